/**
 * The kinds of addresses that `-m addrtype` tells apart, from the addresses that a node has.
 *
 * For IPv4 the kernel looks into its local table only (net/ipv4/fib_frontend.c, __inet_dev_addr_type): what is not in it
 * is UNICAST, whether there is a route to it or not. For IPv6 it asks the routes (net/netfilter/xt_addrtype.c).
 */
import { contains, type Ip, parsePrefix, prefixOf } from "../../net/ip.ts";
import type { Maybe } from "./packet.ts";

/** An address that a node has, as `ip addr` shows it; a whole range for routes of type local. */
export type LocalAddress = {
  readonly ip: Ip;
  /** The length of its subnet; absent: it is alone, and no broadcast address belongs to it. */
  readonly length?: number;
  readonly device?: string;
};

/** Addresses by value, each with the devices that have it. */
type Devices = ReadonlyMap<number | bigint, readonly (string | undefined)[]>;

export type Addresses = { readonly local: Devices; readonly broadcast: Devices };

const LOOPBACK = parsePrefix("127.0.0.0/8")!;
const MULTICAST = parsePrefix("224.0.0.0/4")!;
const MULTICAST_6 = parsePrefix("ff00::/8")!;
const ALL_ONES = 0xffffffff;

export function addressesOf(list: readonly LocalAddress[]): Addresses {
  const local = new Map<number | bigint, (string | undefined)[]>();
  const broadcast = new Map<number | bigint, (string | undefined)[]>();
  const put = (map: Map<number | bigint, (string | undefined)[]>, key: number | bigint, device?: string): void => {
    const devices = map.get(key);
    if (devices) devices.push(device);
    else map.set(key, [device]);
  };
  for (const { ip, length, device } of list) {
    put(local, ip.value, device);
    // net/ipv4/fib_frontend.c, fib_add_ifaddr: each subnet of 31 or less bits has a broadcast address.
    if (ip.family === 4 && length !== undefined && length < 31) {
      put(broadcast, Number(prefixOf(ip, length).ip.value) + 2 ** (32 - length) - 1, device);
    }
  }
  return { local, broadcast };
}

const has = (devices: Devices, ip: Ip, device: Maybe<string> | undefined): Maybe<boolean> => {
  const found = devices.get(ip.value);
  if (!found) return false;
  if (device === undefined || found.includes(device)) return true;
  return device === "unknown" || found.includes(undefined) ? "unknown" : false;
};

/** Whether an address is the node's own; with a device, whether it is that device's. */
export function isLocal(addresses: Addresses, ip: Ip, device?: Maybe<string>): Maybe<boolean> {
  if (ip.family === 6 && ip.value === 1n)
    return device === undefined || device === "lo" ? true : device === "unknown" ? device : false;
  if (contains(LOOPBACK, ip))
    return device === undefined || device === "lo" ? true : device === "unknown" ? device : false;
  return has(addresses.local, ip, device);
}

/**
 * Whether an address is of one of the types in a rule, e.g. `LOCAL,BROADCAST`.
 *
 * @param device only this device's addresses count as local (--limit-iface-in, -out)
 */
export function isOfType(
  addresses: Addresses | "unknown",
  ip: Ip,
  types: readonly string[],
  device?: Maybe<string>,
): Maybe<boolean> {
  return ip.family === 4 ? isOfType4(addresses, ip, types, device) : isOfType6(addresses, ip, types, device);
}

const TYPES_4 = new Set(["LOCAL", "UNICAST", "BROADCAST", "MULTICAST"]);

function isOfType4(
  addresses: Addresses | "unknown",
  ip: Ip,
  types: readonly string[],
  device?: Maybe<string>,
): Maybe<boolean> {
  if (ip.value === 0 || ip.value === ALL_ONES) return types.includes("BROADCAST");
  if (contains(MULTICAST, ip)) return types.includes("MULTICAST");
  const wanted = types.filter((type) => TYPES_4.has(type));
  // Routes of type anycast, blackhole … can be put into the local table by hand; we do not look for them.
  if (wanted.length === 0) return types.length === 0 ? false : "unknown";
  if (addresses === "unknown" && !contains(LOOPBACK, ip)) return "unknown";
  const known = addresses === "unknown" ? { local: new Map(), broadcast: new Map() } : addresses;
  const local = isLocal(known, ip, device);
  const broadcast = has(known.broadcast, ip, device);
  if (local === "unknown" || broadcast === "unknown") return "unknown";
  const type = local ? "LOCAL" : broadcast ? "BROADCAST" : "UNICAST";
  return types.includes(type);
}

/** match_type6: several types must all hold, and addresses of the node are UNICAST as well as LOCAL. */
function isOfType6(
  addresses: Addresses | "unknown",
  ip: Ip,
  types: readonly string[],
  device?: Maybe<string>,
): Maybe<boolean> {
  const isMulticast = contains(MULTICAST_6, ip);
  const isUnspecified = ip.value === 0n;
  if (types.includes("MULTICAST") && !isMulticast) return false;
  if (types.includes("UNICAST") && (isMulticast || isUnspecified)) return false;
  if (types.includes("UNSPEC") && !isUnspecified) return false;
  if (types.includes("ANYCAST") || types.includes("UNREACHABLE")) return "unknown";
  if (!types.includes("LOCAL")) return true;
  if (addresses === "unknown") return ip.value === 1n && device === undefined ? true : "unknown";
  return isLocal(addresses, ip, device);
}
