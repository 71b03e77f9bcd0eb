/** Prefixes stay prefixes, what is well known stays, and nothing else does. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp, type Ip, parseIp, parsePrefix } from "../net/ip.ts";
import { addresses, otherAddress } from "./addresses.ts";
import { keyedBy } from "./pseudonym.ts";

const made = (seed = 1) => addresses(keyedBy(new Uint8Array(32).fill(seed)));
const other = (text: string, seed = 1) => otherAddress(text, made(seed));
const ipv4 = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((value): Ip => ({ family: 4, value }));
const ipv6 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value): Ip => ({ family: 6, value }));

function shared(a: Ip, b: Ip): number {
  const size = a.family === 4 ? 32 : 128;
  const difference = BigInt(a.value) ^ BigInt(b.value);
  return difference === 0n ? size : size - difference.toString(2).length;
}

it.each([
  ["IPv4", ipv4, 32],
  ["IPv6", ipv6, 64],
] as const)("%s: two that share n bits share n bits afterwards", (_, any, most) => {
  const all = made();
  all.keepEndsOf(parsePrefix("10.96.0.0/12")!);
  fc.assert(
    fc.property(any, any, fc.integer({ min: 0, max: 32 }), (a, b, length) => {
      // pairs by chance share almost nothing
      const size = a.family === 4 ? 32n : 128n;
      const mask = size - BigInt(length);
      const near = ((BigInt(a.value) >> mask) << mask) | (BigInt(b.value) & ((1n << mask) - 1n));
      const c = { family: a.family, value: a.family === 4 ? Number(near) : near } as Ip;
      const now = shared(all.address(a), all.address(c));
      expect(Math.min(now, most)).toBe(Math.min(shared(a, c), most));
    }),
  );
});

it.each([
  ..."127.0.0.1 0.0.0.0 255.255.255.255 169.254.25.10 224.0.0.22 :: ::1 fe80::1 ff02::1 0.0.0.0/0 ::/0".split(" "),
])("%s stays", (text) => expect(other(text)).toBe(text));

it.each([
  "10.244.1.5",
  "192.168.50.10",
  "172.17.0.1",
  "203.0.113.80",
  "8.8.8.8",
  "fd00::5",
  "2001:db8::1",
  "64:ff9b::a00:1",
])("%s does not, is for the same, and is another under another key", (text) => {
  const seen = new Set(Array.from({ length: 8 }, (_, seed) => other(text, seed)));
  expect(seen).not.toContain(text);
  expect(seen.size).toBeGreaterThan(1);
  for (const one of seen) expect(one!.split(/[.:]/)[0]).toMatch(text.startsWith("10.") ? /^10$/ : /./);
});

describe("what a range is for stays", () => {
  const all = made();
  const to = (text: string) => otherAddress(text, all)!;
  for (const range of ["10.96.0.0/12", "10.244.0.0/16", "172.20.0.0/20"]) all.keepEndsOf(parsePrefix(range)!);

  it("the API's Service is the first, that of DNS the tenth", () => {
    const range = to("10.96.0.0/12").replace(/\.0\/12$/, "");
    expect([to("10.96.0.1"), to("10.96.0.10")]).toEqual([`${range}.1`, `${range}.10`]);
  });

  it("a network's first address, a broadcast address, a gateway, a block inside of it", () => {
    expect(to("172.20.0.0/20")).toMatch(/\.0\/20$/);
    const broadcast = parseIp(to("172.20.15.255"))!;
    expect(BigInt(broadcast.value) % 4096n).toBe(4095n);
    const node = to("10.244.3.0/24").replace(/\.0\/24$/, "");
    expect([to("10.244.3.0"), to("10.244.3.1/24"), to("10.244.3.64/26")]).toEqual([
      `${node}.0`,
      `${node}.1/24`,
      `${node}.64/26`,
    ]);
  });
});

it("hardware addresses: groups stay, and link-local addresses made of one are made of the other", () => {
  const all = made();
  expect(all.mac("ff:ff:ff:ff:ff:ff")).toBe("ff:ff:ff:ff:ff:ff");
  const mac = all.mac("52:54:00:12:34:56");
  expect(mac).not.toBe("52:54:00:12:34:56");
  expect(mac.slice(0, 3)).toBe("52:");
  const [, , c, d, e, f] = mac.split(":").map((octet) => Number.parseInt(octet, 16));
  const made6 = formatIp(all.address(parseIp("fe80::5054:ff:fe12:3456")!));
  expect(made6).not.toBe("fe80::5054:ff:fe12:3456");
  expect(parseIp(made6)!.value).toBe(
    (0xfe80n << 112n) |
      (BigInt(`0x${(0x50).toString(16)}${mac.slice(3, 5)}`) << 48n) |
      (BigInt(c!) << 40n) |
      (0xfffen << 24n) |
      (BigInt(d!) << 16n) |
      (BigInt(e!) << 8n) |
      BigInt(f!),
  );
});
