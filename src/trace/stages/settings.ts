/**
 * What a node's parameters (sysctl) make of a packet: forwarding, source validation, proxy ARP and NDP, br_netfilter, a full
 * table.
 */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { lookupRoute, type RouteLookup } from "../../model/forwarding/routing.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import { contains, formatIp, parseIp } from "../../net/ip.ts";
import { isIpv4, isKnown, type Moving } from "./moving.ts";

const LOOPBACK = { ip: { family: 4, value: 0x7f000000 } as const, length: 8 };
const LOOPBACK_6 = { ip: { family: 6, value: 1n } as const, length: 128 };

/** A parameter of IPv4 on a device, where that of all devices counts as well; the larger of both. */
function setting(plane: NodePlane, name: string, device: string): number | "unknown" {
  const values = ["all", device].map((one) => plane.sysctl(`net.ipv4.conf.${one.replaceAll(".", "/")}.${name}`));
  if (values.some(({ state }) => state !== "present")) return "unknown";
  return Math.max(...values.map((found) => (found.state === "present" ? Number(found.value.value) : 0)));
}

/**
 * Whether a node forwards what comes in by a device (IN_DEV_FORWARD); `ip_forward` sets it for all of them. For IPv6 only all
 * devices count, and since Linux 6.17 each may be made to (ip6_forward).
 */
export function forwarding(plane: NodePlane, packet: Packet, device: string): ReturnType<NodePlane["sysctl"]> {
  const name = device.replaceAll(".", "/");
  if (!isIpv4(packet)) {
    const forced = plane.sysctl(`net.ipv6.conf.${name}.force_forwarding`);
    const isForced = forced.state === "present" && forced.value.value === "1";
    return isForced ? forced : plane.sysctl("net.ipv6.conf.all.forwarding");
  }
  const own = plane.sysctl(`net.ipv4.conf.${name}.forwarding`);
  return own.state === "present" ? own : plane.sysctl("net.ipv4.ip_forward");
}

/**
 * Whether br_netfilter shows bridged packets to the rules. What it then sends to another address behind the same bridge is
 * bridged there (br_nf_pre_routing_finish): hairpin mode and isolation count. Forwarding must be on all the same, as the
 * route that is looked up would else be an error.
 *
 * Without the module there is no such parameter; a list that has it not tells nothing.
 */
export function bridgeCalls(plane: NodePlane, packet: Packet): boolean | "unknown" {
  const calls = plane.sysctl(
    isIpv4(packet) ? "net.bridge.bridge-nf-call-iptables" : "net.bridge.bridge-nf-call-ip6tables",
  );
  if (calls.state === "present") return calls.value.value === "1";
  return plane.sysctl("net.ipv4.ip_forward").state === "present" ? false : "unknown";
}

/**
 * Whether a node answers who asks for one of its own addresses by a device: for IPv4 whichever device has it (arp_process:
 * RTN_LOCAL), for IPv6 only that one (ndisc_recv_ns).
 */
export function answersForItself(plane: NodePlane, address: string, device: string): boolean {
  if (!address.includes(":")) return known(plane.localAddresses)?.has(address) ?? false;
  const link = known(plane.links)?.find(({ name }) => name === device);
  return link?.addresses.some(({ local }) => local === address) ?? false;
}

/**
 * Proxy ARP: the node answers for what it would forward, if that leaves by another device (arp_process, arp_fwd_proxy).
 * Proxy NDP: only for addresses that it was given one by one (ip -6 neigh add proxy), which are not gathered.
 */
export function answersForOthers(
  plane: NodePlane,
  address: string,
  device: string,
  packet: Packet,
): boolean | "unknown" {
  const ip = parseIp(address);
  if (ip?.family !== 4) {
    const [all, own] = ["all", device].map((one) =>
      plane.sysctl(`net.ipv6.conf.${one.replaceAll(".", "/")}.proxy_ndp`),
    );
    const isOff = (found: typeof all) => found?.state === "present" && found.value.value === "0";
    // lists leave out devices, whose parameter is off unless somebody sets it
    return isOff(all) && (isOff(own) || own?.state !== "present") ? false : "unknown";
  }
  const on = setting(plane, "proxy_arp", device);
  const forwards = forwarding(plane, packet, device);
  if (on === 0 || (forwards.state === "present" && forwards.value.value === "0")) return false;
  const { source } = packet;
  const route = lookupRoute(plane, { destination: ip, inDevice: device, ...(isKnown(source) && { source }) });
  if (route.end === "unknown" || on === "unknown") return "unknown";
  return route.end === "via" && route.hops.every((hop) => hop.device !== device);
}

/** Why the kernel does not take a packet from where it comes (ip_route_input_slow, __fib_validate_source). */
export function notAccepted(
  plane: NodePlane,
  { source, destination, family }: Packet,
  device: string,
  route: RouteLookup,
): readonly Evidence[] | "unknown" | undefined {
  if (!isKnown(source) || !isKnown(destination) || device === "lo") return undefined;
  const quote = (words: string) => [quoteOf(plane.routes.origin, words)];
  // ip6_rcv_core; IPv6 validates sources only where a rule asks for it
  if (family === 6)
    return contains(LOOPBACK_6, source) || contains(LOOPBACK_6, destination)
      ? quote(`${formatIp(source)} to ${formatIp(destination)} came by ${device}`)
      : undefined;
  if (contains(LOOPBACK, destination) || contains(LOOPBACK, source)) {
    const local = setting(plane, "route_localnet", device);
    if (local === "unknown") return "unknown";
    if (local === 0) return quote(`${formatIp(destination)} from ${device}: route_localnet is off`);
  }
  if (route.end === "no-route") return undefined;
  const back = lookupRoute(plane, { destination: source, source: destination });
  if (back.end === "unknown") return "unknown";
  if (back.end === "local") {
    const accepts = setting(plane, "accept_local", device);
    if (accepts === "unknown") return "unknown";
    return accepts > 0 ? undefined : quote(`${formatIp(source)} came by ${device} and is the node's own address`);
  }
  if (back.end === "via" && back.hops.some((hop) => hop.device === device)) return undefined;
  const strictness = setting(plane, "rp_filter", device);
  if (strictness === "unknown" || strictness === 0) return strictness === 0 ? undefined : strictness;
  if (back.end !== "via") return quote(`rp_filter ${strictness}: no way back to ${formatIp(source)}`);
  const hasAddress = known(plane.links)?.some(({ name, addresses }) => name === device && addresses.length > 0);
  if (strictness === 2 && hasAddress) return undefined;
  const words = `rp_filter ${strictness}: ${formatIp(source)} came by ${device}, the way back is ${back.evidence.quote}`;
  const { networkCounters } = plane;
  const { count = 0, line } = known(networkCounters)?.get("TcpExtIPReversePathFilter") ?? {};
  const counted = quoteOf({ ...networkCounters.origin, ...(line && { line }) }, `TcpExtIPReversePathFilter ${count}`);
  return [...quote(words), back.evidence, ...(count > 0 ? [counted] : [])];
}

/** What comes from a loopback address does not leave the node, unless it may (__mkroute_output). */
export function staysInside(
  plane: NodePlane,
  { source }: Packet,
  route: RouteLookup,
): Evidence | "unknown" | undefined {
  if (!isKnown(source) || !contains(LOOPBACK, source) || route.end !== "via") return undefined;
  const { device = "" } = route.hops[0] ?? {};
  const local = setting(plane, "route_localnet", device);
  if (local === "unknown") return local;
  return local > 0
    ? undefined
    : quoteOf(plane.routes.origin, `${formatIp(source)} may not leave by ${device}: route_localnet is off`);
}

/** Whether there is no room for a new connection. Where nobody looked, there is taken to be. */
export function tableFull({ packet }: Moving, { conntrackCount }: NodePlane): Evidence | "unknown" | undefined {
  const counts = known(conntrackCount);
  if (!counts || packet.ctState !== "new") return undefined;
  if (!isWhole(conntrackCount)) return "unknown";
  if (counts.count < counts.max) return undefined;
  return quoteOf(conntrackCount.origin, `${counts.count} of ${counts.max} entries`);
}

export function ignoresEcho(plane: NodePlane, packet: Packet): Evidence | undefined {
  const found = plane.sysctl(isIpv4(packet) ? "net.ipv4.icmp_echo_ignore_all" : "net.ipv6.icmp.echo_ignore_all");
  return found.state === "present" && found.value.value !== "0" ? found.value.evidence : undefined;
}
