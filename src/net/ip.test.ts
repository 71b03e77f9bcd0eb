import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RUNS } from "../../testing/parser-properties.ts";
import {
  canonicalIp,
  contains,
  covers,
  formatIp,
  formatPrefix,
  type Ip,
  nthAddress,
  overlaps,
  parseIp,
  parseIpv4Value,
  parsePrefix,
  prefixOf,
} from "./ip.ts";

const ipv4: fc.Arbitrary<Ip> = fc.nat(0xffffffff).map((value) => ({ family: 4, value }));
/** Of groups many of which are zero, so that there is something to shorten. */
const ipv6: fc.Arbitrary<Ip> = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => ({ family: 6, value: groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n) }));
const address = fc.oneof(ipv4, ipv6);

const bitsOf = ({ family }: Ip) => (family === 4 ? 32 : 128);
/** The address as its bits, written out: what prefixes are compared by, in the simplest way. */
const bits = (ip: Ip) => ip.value.toString(2).padStart(bitsOf(ip), "0");
const prefix = address.chain((ip) => fc.integer({ min: 0, max: bitsOf(ip) }).map((length) => prefixOf(ip, length)));

const holds = (property: fc.IProperty<unknown>) => fc.assert(property, { numRuns: RUNS * 4 });

describe("addresses", () => {
  it("come back from their text", () => {
    holds(
      fc.property(address, (ip) => {
        expect(parseIp(formatIp(ip))).toEqual(ip);
      }),
    );
  });

  it("come back from any way to write IPv6: capitals, leading zeros, the last groups as a dotted quad", () => {
    holds(
      fc.property(ipv6, fc.boolean(), fc.boolean(), fc.boolean(), (ip, isUpper, isPadded, isQuad) => {
        const groups = Array.from({ length: 8 }, (_, i) => bits(ip).slice(i * 16, i * 16 + 16)).map((text) =>
          Number.parseInt(text, 2).toString(16),
        );
        const padded = isPadded ? groups.map((group) => group.padStart(4, "0")) : groups;
        const quad = [...bits(ip).slice(96).matchAll(/.{8}/g)].map(([octet]) => Number.parseInt(octet, 2)).join(".");
        const text = (isQuad ? [...padded.slice(0, 6), quad] : padded).join(":");
        expect(parseIp(isUpper ? text.toUpperCase() : text)).toEqual(ip);
      }),
    );
  });

  it("are written as the platform writes them in URLs, which keep to RFC 5952", () => {
    holds(
      fc.property(ipv6, (ip) => {
        expect(`[${formatIp(ip)}]`).toBe(new URL(`http://[${formatIp(ip)}]/`).hostname);
      }),
    );
  });

  it.each([
    // RFC 5952, sections 2.2 and 4
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8::A", "2001:db8::a"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1::", "1::"],
    ["::1", "::1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    // an IPv4-mapped address stays IPv6
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
  ])("%s is %s", (text, canonical) => expect(canonicalIp(text)).toBe(canonical));

  it.each([
    ...[
      "",
      ".",
      "1",
      "1.2.3",
      "1.2.3.",
      ".1.2.3",
      "1..2.3",
      "1.2.3.4.5",
      "256.0.0.1",
      "1.2.3.4 ",
      " 1.2.3.4",
      "+1.2.3.4",
    ],
    ...["010.0.0.1", "00.0.0.0", "0x1.0.0.0", "1.2.3.4/8", "1.2.3.-4", "१.0.0.1", "4294967296", "localhost"],
    ...[":", ":::", "1", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8"],
    ...[":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:", "12345::", "g::", "::1%eth0", "[::1]", "::1/64", ":: 1", "fe80:::1"],
    ...["1.2.3.4::", "::1.2.3", "::1.2.3.256", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::01.2.3.4", "1.2.3.4:80"],
    ...[
      "1:2:3:4:5:6.7.8.9",
      ":1.2.3.4",
      "1:2:3:4:5:6:7:8:1.2.3.4",
      "::ffff:",
      "1::2::1.2.3.4",
      ":::1.2.3.4",
      "1:2:3::4:5:6:7:8::9",
    ],
  ])("%j is none", (text) => expect(parseIp(text)).toBeUndefined());

  it("are never made of anything else", () => {
    const text = fc.array(fc.constantFrom(..."0123456789af:./% "), { maxLength: 20 }).map((chars) => chars.join(""));
    holds(
      fc.property(text, (any) => {
        const ip = parseIp(any);
        if (ip?.family === 4) expect(formatIp(ip)).toBe(any);
        if (ip?.family === 6) expect(new URL(`http://[${any}]/`).hostname).toBe(`[${formatIp(ip)}]`);
        // the platform takes no fewer forms of IPv6 than we do, and no more
        if (any.includes(":") && !ip) expect(URL.canParse(`http://[${any}]/`)).toBe(false);
        if (!any.includes(":")) expect(parseIpv4Value(any)).toBe(ip === undefined ? -1 : ip.value);
      }),
    );
  });
});

describe("prefixes", () => {
  it("come back from their text, and have no host bits", () => {
    holds(
      fc.property(address, fc.nat(128), (ip, length) => {
        fc.pre(length <= bitsOf(ip));
        const read = parsePrefix(`${formatIp(ip)}/${length}`)!;
        expect(bits(read.ip)).toBe(bits(ip).slice(0, length).padEnd(bitsOf(ip), "0"));
        expect(parsePrefix(formatPrefix(read))).toEqual(read);
      }),
    );
  });

  it.each([
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["fd00::1", "fd00::1/128"],
    ["fd00:ffff::/9", "fd00::/9"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["255.255.255.255/1", "128.0.0.0/1"],
    ["::/0", "::/0"],
  ])("%s is %s", (text, canonical) => expect(formatPrefix(parsePrefix(text)!)).toBe(canonical));

  it.each([
    "10.0.0.0/33",
    "fd00::/129",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/ 8",
    "10.0.0.0/8.0",
    "/8",
    "x/8",
  ])("%j is none", (text) => expect(parsePrefix(text)).toBeUndefined());

  const begins = (ip: Ip, { ip: start, length }: { ip: Ip; length: number }) =>
    ip.family === start.family && bits(ip).startsWith(bits(start).slice(0, length));

  it("contain the addresses that begin with their bits", () => {
    // addresses near by are the interesting ones: one bit of the prefix's own address turned
    const near = fc.tuple(prefix, fc.nat(127)).map(([one, bit]) => {
      const text = bits(one.ip);
      const turned = [...text].map((digit, i) => (i === bit % text.length ? 1 - Number(digit) : digit)).join("");
      const ip: Ip =
        one.ip.family === 4
          ? { family: 4, value: Number.parseInt(turned, 2) }
          : { family: 6, value: BigInt(`0b${turned}`) };
      return [one, ip] as const;
    });
    holds(
      fc.property(fc.oneof(near, fc.tuple(prefix, address)), ([one, ip]) => {
        expect(contains(one, ip)).toBe(begins(ip, one));
        expect(contains(one, one.ip)).toBe(true);
      }),
    );
  });

  it("cover prefixes all of whose addresses they contain, and overlap where one covers the other", () => {
    const nested = fc
      .tuple(prefix, fc.nat(128))
      .map(([one, length]) => [one, prefixOf(one.ip, length % (bitsOf(one.ip) + 1))] as const);
    holds(
      fc.property(fc.oneof(nested, fc.tuple(prefix, prefix)), ([a, b]) => {
        const isInside = begins(b.ip, a) && b.length >= a.length;
        const isAround = begins(a.ip, b) && a.length >= b.length;
        expect(covers(a, b)).toBe(isInside);
        expect(covers(b, a)).toBe(isAround);
        expect(overlaps(a, b)).toBe(isInside || isAround);
        expect(overlaps(b, a)).toBe(isInside || isAround);
      }),
    );
  });

  it.each([
    ["10.96.0.0/16", 10, "10.96.0.10"],
    ["10.96.0.0/24", 254, "10.96.0.254"],
    ["10.0.0.0/8", 65536, "10.1.0.0"],
    ["fd00:10:96::/112", 10, "fd00:10:96::a"],
  ])("%s has as its address number %i %s", (text, n, expected) =>
    expect(formatIp(nthAddress(parsePrefix(text)!, n))).toBe(expected),
  );
});
