/**
 * Other addresses for addresses, so that prefixes stay prefixes (as Crypto-PAn does it, Xu et al. 2002): two addresses
 * that share their first n bits share them afterwards. A bit is turned or not as the key and the bits before it say.
 *
 * Never turned are: the bits that say what an address is for (loopback, link-local, private, multicast), those of a host
 * (the last 8 of IPv4, the last 64 of IPv6), and those that make an address the first or the last ones of a known range,
 * such as that of the API's Service.
 */
import { formatIp, type Ip, type Ipv6, type Prefix, parseIp, parsePrefix, prefixOf } from "../net/ip.ts";
import type { Keyed } from "./pseudonym.ts";

/** Ranges by what they are for: their own bits stay. `whole`: the rest as well. */
const KINDS: readonly { readonly range: Prefix; readonly whole?: true }[] = [
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"].map((text) => ({
    range: parsePrefix(text)!,
    whole: true as const,
  })),
  // RFC 1918, RFC 6598, RFC 2544, RFC 4193, RFC 4291
  ...["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7", "2000::/3"].map(
    (text) => ({ range: parsePrefix(text)! }),
  ),
];

/** How many bits may be turned: those before the host's. */
const NETWORK_BITS = { 4: 24, 6: 64 } as const;
const SIZE = { 4: 32n, 6: 128n } as const;
/** `::ffff:0:0/96` and `64:ff9b::/96`: the last 32 bits are an IPv4 address. */
const MAPPED = [0xffffn, 0x64ff9b0000000000000000n];

export interface Addresses {
  /** Keeps the first and last addresses of a range such. */
  keepEndsOf(range: Prefix): void;
  address(ip: Ip): Ip;
  prefix(prefix: Prefix): Prefix;
  /** `aa:bb:cc:dd:ee:ff`, lower case. */
  mac(mac: string): string;
}

export function addresses(keyed: Keyed): Addresses {
  /** Where bits are not turned: the bits so far, after a 1 that says how many they are. */
  const fixed = { 4: new Set<bigint>(), 6: new Set<bigint>() };
  const tables = new Map<string, Uint8Array>();
  const done = new Map<number | bigint, Ip>();

  const bitsOf = ({ family, value }: Ip, length: number): bigint =>
    (1n << BigInt(length)) | (BigInt(value) >> (SIZE[family] - BigInt(length)));
  for (const { range } of KINDS) {
    // a bit on the way to such a range would exchange it for another
    for (let length = 0; length < range.length; length++) fixed[range.ip.family].add(bitsOf(range.ip, length));
  }

  /** One digest says of all prefixes that share whole bytes, for the next 8 bits, whether the next bit is turned. */
  function turns(family: 4 | 6, before: bigint, length: number): boolean {
    const within = length % 8;
    const start = before >> BigInt(within);
    const name = `${family}/${start.toString(16)}`;
    let table = tables.get(name);
    if (!table) {
      table = keyed("address", name);
      tables.set(name, table);
    }
    const node = (1 << within) | Number(before & ((1n << BigInt(within)) - 1n));
    return ((table[node >> 3]! >> (node & 7)) & 1) === 1;
  }

  function turned(ip: Ip): Ip {
    const { family } = ip;
    const kind = KINDS.find(({ range }) => range.ip.family === family && sharesPrefix(range, ip));
    if (kind?.whole) return ip;
    const value = BigInt(ip.value);
    let result = value;
    let isFirst = true;
    for (let length = kind?.range.length ?? 0; length < NETWORK_BITS[family]; length++) {
      const before = bitsOf(ip, length);
      if (fixed[family].has(before)) continue;
      // the first is always turned: no address stays what it was
      if (isFirst || turns(family, before, length)) result ^= 1n << (SIZE[family] - 1n - BigInt(length));
      isFirst = false;
    }
    return family === 4 ? { family, value: Number(result) } : withHost({ family, value: result });
  }

  /** Hosts that took theirs from a MAC address (RFC 4291, appendix A) have it still. */
  function withHost(ip: Ipv6): Ipv6 {
    const host = ip.value & 0xffffffffffffffffn;
    if ((host >> 24n) % 0x10000n !== 0xfffen) return ip;
    const octets = Array.from({ length: 8 }, (_, i) => Number((host >> BigInt(56 - 8 * i)) & 0xffn));
    const before = [octets[0]! ^ 2, octets[1]!, octets[2]!, octets[5]!, octets[6]!, octets[7]!];
    const after = mac(before.map(hex).join(":"))
      .split(":")
      .map((octet) => Number.parseInt(octet, 16));
    const made = [after[0]! ^ 2, after[1]!, after[2]!, 0xff, 0xfe, after[3]!, after[4]!, after[5]!];
    return {
      family: 6,
      value: ((ip.value >> 64n) << 64n) | made.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n),
    };
  }

  function address(ip: Ip): Ip {
    const known = done.get(ip.value);
    if (known) return known;
    let result: Ip;
    const isMapped = ip.family === 6 && MAPPED.includes(ip.value >> 32n);
    if (isMapped) {
      const inner = turned({ family: 4, value: Number(ip.value & 0xffffffffn) });
      result = { family: 6, value: ((ip.value >> 32n) << 32n) | BigInt(inner.value) };
    } else if (ip.family === 6 && ip.value >> 118n === 0xfe80n >> 6n) result = withHost(ip);
    else result = turned(ip);
    done.set(ip.value, result);
    return result;
  }

  function mac(text: string): string {
    const first = Number.parseInt(text.slice(0, 2), 16);
    // none, all, groups; and what Calico gives to all of its devices
    if (text === "00:00:00:00:00:00" || text === "ee:ee:ee:ee:ee:ee" || (first & 1) === 1) return text;
    return [first, ...keyed("mac", text).slice(0, 5)].map(hex).join(":");
  }

  return {
    keepEndsOf({ ip, length }) {
      const { family } = ip;
      for (let at = length; at < NETWORK_BITS[family]; at++) {
        const zeros = bitsOf(ip, at);
        fixed[family].add(zeros).add(zeros | ((1n << BigInt(at - length)) - 1n));
      }
    },
    address,
    prefix: ({ ip, length }) => prefixOf(address(ip), length),
    mac,
  };
}

const hex = (octet: number): string => octet.toString(16).padStart(2, "0");

function sharesPrefix(range: Prefix, ip: Ip): boolean {
  const rest = SIZE[ip.family] - BigInt(range.length);
  return BigInt(range.ip.value) >> rest === BigInt(ip.value) >> rest;
}

/**
 * The text of an address, or of one with the length of its prefix, as another: `10.244.1.0/24` stays the first address of
 * its prefix, `10.244.1.7/24` one inside.
 *
 * @returns undefined if it is none
 */
export function otherAddress(
  text: string,
  { address, prefix }: Pick<Addresses, "address" | "prefix">,
): string | undefined {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!ip) return undefined;
  if (slash < 0) return formatIp(address(ip));
  const range = parsePrefix(text);
  const length = text.slice(slash);
  if (range && BigInt(range.ip.value) === BigInt(ip.value)) return formatIp(prefix(range).ip) + length;
  return formatIp(address(ip)) + length;
}
