/**
 * IP addresses and prefixes as values.
 *
 * The textual forms are those that the kernel and Kubernetes accept: dotted quads without leading zeros (`010.0.0.1` is
 * refused, as Go's netip does since CVE-2021-29923) and RFC 4291 IPv6. IPv4-mapped IPv6 addresses are kept as IPv6.
 */
export type Ipv4 = { readonly family: 4; readonly value: number };
export type Ipv6 = { readonly family: 6; readonly value: bigint };
export type Ip = Ipv4 | Ipv6;
export type Family = Ip["family"];

/** An address range `ip/length`; host bits of `ip` are zero. */
export type Prefix = { readonly ip: Ip; readonly length: number };

/** @returns the unsigned 32-bit value of a dotted quad, or -1 if `text` is none. */
export function parseIpv4Value(text: string): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      if (octet < 0 || ++dots > 3) return -1;
      value = value * 256 + octet;
      octet = -1;
    } else if (code >= 48 && code <= 57) {
      if (octet === 0) return -1;
      octet = octet < 0 ? code - 48 : octet * 10 + code - 48;
      if (octet > 255) return -1;
    } else return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

function parseIpv6Value(text: string): bigint | undefined {
  let head = text;
  const tail: number[] = [];
  const lastColon = text.lastIndexOf(":");
  if (text.includes(".")) {
    const v4 = parseIpv4Value(text.slice(lastColon + 1));
    if (v4 < 0) return undefined;
    tail.push(Math.floor(v4 / 65536), v4 % 65536);
    head = text.slice(0, lastColon + 1);
    head = head.endsWith("::") ? head : head.slice(0, -1);
  }
  const halves = head.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string): number[] | undefined => {
    if (half === "") return [];
    const out: number[] = [];
    for (const group of half.split(":")) {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
      out.push(Number.parseInt(group, 16));
    }
    return out;
  };
  const left = groups(halves[0]!);
  const right = groups(halves[1] ?? "");
  if (!left || !right) return undefined;
  const given = left.length + right.length + tail.length;
  if (halves.length === 2 ? given > 7 : given !== 8) return undefined;
  const all = [...left, ...new Array<number>(8 - given).fill(0), ...right, ...tail];
  return all.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** @returns the address, or undefined if `text` is not exactly one (zone indices such as `fe80::1%eth0` are refused). */
export function parseIp(text: string): Ip | undefined {
  if (text.includes(":")) {
    const value = parseIpv6Value(text);
    return value === undefined ? undefined : { family: 6, value };
  }
  const value = parseIpv4Value(text);
  return value < 0 ? undefined : { family: 4, value };
}

/** The canonical text: RFC 5952 for IPv6. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const v = ip.value;
    return `${Math.floor(v / 16777216)}.${Math.floor(v / 65536) % 256}.${Math.floor(v / 256) % 256}.${v % 256}`;
  }
  const groups = Array.from({ length: 8 }, (_, i) => Number((ip.value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}

/** The address and port of a socket as one text, as Go's net.JoinHostPort writes it: `10.0.0.1:80`, `[fd00::1]:80`. */
export const formatSocket = (address: string, port: number | string): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** Whether the text of an address is of a family. */
export const isOfFamily = (address: string, family: Family): boolean => address.includes(":") === (family === 6);

/** The canonical text of an address that may be written in another way; undefined if it is none. */
export function canonicalIp(text: string): string | undefined {
  // a dotted quad has one way of being written: leading zeros are refused
  if (!text.includes(":")) return parseIpv4Value(text) < 0 ? undefined : text;
  const ip = parseIp(text);
  return ip && formatIp(ip);
}

/** How many bits an address has: the length of a prefix of one address. */
export const bitsOf = (family: Family): number => (family === 4 ? 32 : 128);

function masked(ip: Ip, length: number): Ip {
  if (ip.family === 4) {
    const size = 2 ** (32 - length);
    return { family: 4, value: Math.floor(ip.value / size) * size };
  }
  const shift = BigInt(128 - length);
  return { family: 6, value: (ip.value >> shift) << shift };
}

/** The prefix of `length` bits that `ip` lies in. */
export function prefixOf(ip: Ip, length: number): Prefix {
  return { ip: masked(ip, length), length };
}

/** Reads `10.0.0.0/8`, `fd00::/8`, or a bare address (a prefix of full length). Host bits are cleared. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!ip) return undefined;
  if (slash < 0) return { ip, length: bitsOf(ip.family) };
  const lengthText = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  return length <= bitsOf(ip.family) ? prefixOf(ip, length) : undefined;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatIp(prefix.ip)}/${prefix.length}`;
}

export function contains(prefix: Prefix, ip: Ip): boolean {
  if (prefix.ip.family !== ip.family) return false;
  if (prefix.length === 0) return true;
  if (ip.family === 4) {
    const size = 2 ** (32 - prefix.length);
    return ip.value >= Number(prefix.ip.value) && ip.value < Number(prefix.ip.value) + size;
  }
  const shift = BigInt(128 - prefix.length);
  return ip.value >> shift === (prefix.ip.value as bigint) >> shift;
}

/** Whether every address of `inner` is one of `outer`. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && contains(outer, inner.ip);
}

/** Whether the two share an address; prefixes are either nested or disjoint. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return covers(a, b) || covers(b, a);
}

/** The nth address of a prefix (0 is the network address), as kubeadm's GetDNSIP takes the 10th of the Service range. */
export function nthAddress(prefix: Prefix, n: number): Ip {
  return prefix.ip.family === 4
    ? { family: 4, value: prefix.ip.value + n }
    : { family: 6, value: prefix.ip.value + BigInt(n) };
}
