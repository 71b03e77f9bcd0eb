/** Protocols by name and number, as iptables prints them (/etc/protocols and xtables_chain_protos). */
import type { Maybe, Packet } from "./packet.ts";

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["igmp", 2],
  ["ipencap", 4],
  ["ipip", 4],
  ["tcp", 6],
  ["udp", 17],
  ["dccp", 33],
  ["ipv6", 41],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["ipv6-icmp", 58],
  ["icmpv6", 58],
  ["icmp6", 58],
  ["ospf", 89],
  ["vrrp", 112],
  ["sctp", 132],
  ["udplite", 136],
]);

const WITH_PORTS = new Set([6, 17, 33, 132, 136]);

export function protocolNumber(name: string): number | undefined {
  return /^\d{1,3}$/.test(name) ? Number(name) : NUMBERS.get(name.toLowerCase());
}

/** Whether two names are of one protocol. */
export function sameProtocol(a: string, b: string): Maybe<boolean> {
  if (a === b) return true;
  const left = protocolNumber(a);
  const right = protocolNumber(b);
  return left === undefined || right === undefined ? "unknown" : left === right;
}

export const hasPorts = (protocol: string): boolean => WITH_PORTS.has(protocolNumber(protocol) ?? -1);

/** One end's port; undefined if the packet has none. */
export function portOf(packet: Packet, side: "source" | "destination"): Maybe<number> | undefined {
  if (packet.fragment) return undefined;
  const port = side === "source" ? packet.sourcePort : packet.destinationPort;
  if (port !== undefined) return port;
  return packet.protocol === "unknown" || hasPorts(packet.protocol) ? "unknown" : undefined;
}
