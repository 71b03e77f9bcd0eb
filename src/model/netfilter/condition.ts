/**
 * Whether a packet meets one condition of a rule: yes, no, or a doubt and of which kind.
 *
 * Each case follows the kernel's match function (net/netfilter/xt_*.c); where a match gives up on a packet it is `no`
 * even if it is negated.
 */
import { contains, type Ip, type Prefix } from "../../net/ip.ts";
import type { PortRange } from "../../parse/iptables/save.ts";
import { type Addresses, isOfType } from "./addresses.ts";
import { type Ipsets, isMember } from "./ipset-member.ts";
import { compare, packetType } from "./nft-expression.ts";
import { type Bits, connmarkOf, hasConnection, type Maybe, markOf, originalOf, type Packet } from "./packet.ts";
import { portOf, protocolNumber, sameProtocol } from "./protocol.ts";
import type { Condition } from "./rule.ts";

/**
 * unknown: the evidence does not tell. choice: both happen, by design (statistic). history: it depends on packets before
 * (limit, recent).
 */
export type Doubt = "unknown" | "choice" | "history";
export type Answer = "yes" | "no" | Doubt;

/** What a node knows beside its rules. */
export type Context = {
  readonly addresses: Addresses | "unknown";
  readonly ipsets: Ipsets | "unknown";
  /** Answers for conditions that are unknown here: rpfilter from the routes, socket from what listens. */
  readonly answer?: (condition: Condition, packet: Packet) => "yes" | "no" | undefined;
  /** Where REDIRECT sends a packet that comes in: the first address of its device. Absent: not known. */
  readonly redirectTo?: (packet: Packet) => Ip | undefined;
};

const flip = (answer: Answer): Answer => (answer === "yes" ? "no" : answer === "no" ? "yes" : answer);
const toAnswer = (value: Maybe<boolean>): Answer => (value === "unknown" ? "unknown" : value ? "yes" : "no");

export function ask(condition: Condition, packet: Packet, context: Context): Answer {
  const answer = decide(condition, packet, context);
  return answer === "unknown" ? (context.answer?.(condition, packet) ?? "unknown") : answer;
}

function decide(condition: Condition, packet: Packet, context: Context): Answer {
  const unlessNot = (answer: Answer): Answer => ("not" in condition && condition.not ? flip(answer) : answer);
  switch (condition.is) {
    case "source":
    case "destination":
      return unlessNot(isWithin(packet[condition.is], condition.prefix));
    case "protocol":
      return unlessNot(
        packet.protocol === "unknown" ? "unknown" : toAnswer(sameProtocol(packet.protocol, condition.protocol)),
      );
    case "in":
      return unlessNot(isDevice(packet.inDevice, condition.device));
    case "out":
      return unlessNot(isDevice(packet.outDevice, condition.device));
    case "fragment":
      return unlessNot(packet.fragment ? "yes" : "no");
    case "source-port":
    case "destination-port": {
      const port = portOf(packet, condition.is === "source-port" ? "source" : "destination");
      return port === undefined ? "no" : unlessNot(isInRanges(port, condition.ports));
    }
    case "any-port": {
      const ports = [portOf(packet, "source"), portOf(packet, "destination")];
      if (ports.includes(undefined)) return "no";
      const answers = ports.map((port) => isInRanges(port!, condition.ports));
      return unlessNot(answers.includes("yes") ? "yes" : answers.includes("unknown") ? "unknown" : "no");
    }
    case "tcp-flags":
      return packet.fragment ? "no" : unlessNot(hasFlags(condition, packet));
    case "icmp-type":
      return packet.fragment ? "no" : unlessNot(isIcmpType(condition.type, packet));
    case "conntrack-state":
      return unlessNot(isInState(condition.states, packet));
    case "address-range": {
      const ip = packet[condition.side];
      if (ip === "unknown") return "unknown";
      return unlessNot(
        ip.family === condition.from.family && condition.from.value <= ip.value && ip.value <= condition.to.value
          ? "yes"
          : "no",
      );
    }
    case "packet-type": {
      const type = packetType(packet, context);
      const wanted = condition.type === "unicast" ? "host" : condition.type;
      return unlessNot(typeof type === "string" ? toAnswer(type === wanted) : "unknown");
    }
    case "connection-direction": {
      const connection = hasConnection(packet);
      if (connection === false) return condition.besideState ? "yes" : "no";
      const isFirst = connection === true && packet.ctState === "new";
      if (!isFirst && !packet.isReply) return "unknown";
      return (condition.direction === "REPLY") === (packet.isReply ?? false) ? "yes" : "no";
    }
    case "original-address":
    case "original-port": {
      // conntrack_mt: of a packet without connection nothing but states is asked, and else nothing holds
      const connection = hasConnection(packet);
      if (connection === false) return condition.besideState ? "yes" : "no";
      const end = originalOf(packet)?.[condition.side];
      const answer =
        condition.is === "original-port"
          ? isInRanges(originalPort(packet, condition.side), condition.ports)
          : isWithin(end?.address ?? "unknown", condition.prefix);
      return connection === "unknown" ? "unknown" : unlessNot(answer);
    }
    case "mark":
      return unlessNot(toAnswer(hasBits(markOf(packet), condition)));
    case "connmark": {
      const connection = hasConnection(packet);
      if (connection !== true) return toAnswer(connection);
      return unlessNot(toAnswer(hasBits(connmarkOf(packet), condition)));
    }
    case "address-type": {
      const ip = packet[condition.side];
      const { limitIface } = condition;
      // Where the packet has no such device, the kernel does not limit at all.
      const device = limitIface && (limitIface === "in" ? packet.inDevice : packet.outDevice);
      const types = condition.type.split(",");
      return unlessNot(ip === "unknown" ? "unknown" : toAnswer(isOfType(context.addresses, ip, types, device)));
    }
    case "set": {
      const asksExceptions = condition.returnNomatch ?? false;
      return unlessNot(toAnswer(isMember(context.ipsets, condition.name, packet, condition.sides, asksExceptions)));
    }
    case "random":
      return unlessNot(condition.probability >= 1 ? "yes" : condition.probability <= 0 ? "no" : "choice");
    case "every-nth":
      return unlessNot(condition.every === 1 ? "yes" : "choice");
    case "recent":
      // recent_mt: --set remembers the address and holds; the others depend on what was remembered.
      return unlessNot(condition.action === "set" ? "yes" : "history");
    case "limit":
      return "history";
    case "physdev":
      return physdev(condition, packet);
    case "owner":
      // owner_mt: packets that another machine sent have no socket.
      return packet.inDevice === undefined ? "unknown" : unlessNot("no");
    case "comment":
    case "counter":
    case "bare":
      return "yes";
    case "family":
      return packet.family === condition.family ? "yes" : "no";
    case "compare":
      return compare(condition.match, { packet, sets: condition.sets, context });
    case "rpfilter":
    case "socket":
    case "unknown":
    case "element":
      return "unknown";
  }
}

/** Of ICMP the tuple has the type and code of its first packet in the destination's place, and an id in the source's. */
function originalPort(packet: Packet, side: "source" | "destination"): Maybe<number> {
  const { protocol, ctState, icmpType, icmpCode, isReply } = packet;
  if (protocol !== "icmp" && protocol !== "ipv6-icmp") return originalOf(packet)?.[side].port ?? "unknown";
  if (side === "source") return "unknown";
  // nf_conntrack_proto_icmp.c, invmap: an echo reply answers an echo request
  if (isReply && (icmpType === 0 || icmpType === 129)) return (icmpType === 0 ? 8 : 128) * 256;
  const isFirst = ctState === "new" && typeof icmpType === "number" && typeof icmpCode === "number";
  return isFirst ? icmpType * 256 + icmpCode : "unknown";
}

function isWithin(address: Maybe<Ip>, prefix: Prefix): Answer {
  if (prefix.length === 0) return "yes";
  return address === "unknown" ? "unknown" : contains(prefix, address) ? "yes" : "no";
}

/** ifname_compare: `eth+` means every name that begins with eth; a packet without device has the empty name. */
function isDevice(device: Maybe<string> | undefined, wanted: string): Answer {
  if (wanted === "+") return "yes";
  if (device === undefined) return "no";
  if (device === "unknown") return "unknown";
  return (wanted.endsWith("+") ? device.startsWith(wanted.slice(0, -1)) : device === wanted) ? "yes" : "no";
}

function isInRanges(port: Maybe<number>, ranges: readonly PortRange[]): Answer {
  if (port === "unknown") return ranges.some(({ from, to }) => from === 0 && to === 65535) ? "yes" : "unknown";
  return ranges.some(({ from, to }) => from <= port && port <= to) ? "yes" : "no";
}

function hasBits(bits: Bits, { value, mask }: { readonly value: number; readonly mask: number }): Maybe<boolean> {
  const known = mask & ~bits.unknown;
  if ((value & ~mask) !== 0 || (bits.value & known) !== (value & known)) return false;
  return (mask & bits.unknown) === 0 ? true : "unknown";
}

/** conntrack_mt and state_mt: the packet's state, and whether its connection is translated. */
function isInState(states: readonly string[], packet: Packet): Answer {
  const { ctState, dnatted = false, snatted = false } = packet;
  if (ctState !== "unknown" && states.includes(ctState.toUpperCase())) return "yes";
  const connection = hasConnection(packet);
  if (connection === false) return "no";
  const flags = [
    ...(states.includes("DNAT") ? [dnatted] : []),
    ...(states.includes("SNAT") ? [snatted] : []),
    ...(ctState === "unknown" ? ["unknown" as const] : []),
  ];
  return flags.includes(true) ? "yes" : flags.includes("unknown") ? "unknown" : "no";
}

const ALL_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
const spelledOut = (flags: readonly string[]): readonly string[] =>
  flags.includes("ALL") ? ALL_FLAGS : flags.filter((flag) => flag !== "NONE");

function hasFlags(
  condition: { readonly mask: readonly string[]; readonly set: readonly string[] },
  packet: Packet,
): Answer {
  const { tcpFlags } = packet;
  if (packet.protocol === "unknown" || (protocolNumber(packet.protocol) === 6 && !tcpFlags)) return "unknown";
  const wanted = spelledOut(condition.set);
  const looked = spelledOut(condition.mask);
  const isSet = (flag: string): boolean => tcpFlags?.includes(flag) ?? false;
  return wanted.every((flag) => looked.includes(flag)) && looked.every((flag) => isSet(flag) === wanted.includes(flag))
    ? "yes"
    : "no";
}

/** Names that kube-proxy and administrators write; iptables-save prints numbers. */
const ICMP_NAMES: ReadonlyMap<string, string> = new Map([
  ["echo-request", "8"],
  ["echo-reply", "0"],
  ["destination-unreachable", "3"],
  ["fragmentation-needed", "3/4"],
  ["time-exceeded", "11"],
]);

function isIcmpType(text: string, packet: Packet): Answer {
  if (text === "any" || text === "255") return "yes";
  const found = /^(\d{1,3})(?:\/(\d{1,3}))?$/.exec(packet.family === 4 ? (ICMP_NAMES.get(text) ?? text) : text);
  const { icmpType = "unknown", icmpCode = "unknown" } = packet;
  if (!found || icmpType === "unknown") return "unknown";
  if (icmpType !== Number(found[1])) return "no";
  if (found[2] === undefined) return "yes";
  return icmpCode === "unknown" ? "unknown" : icmpCode === Number(found[2]) ? "yes" : "no";
}

/** physdev_mt: nothing holds for a packet that no bridge passed up; in PREROUTING and INPUT there is no way out yet. */
function physdev(condition: Condition & { readonly is: "physdev" }, { physIn, physOut }: Packet): Answer {
  const unlessNot = (answer: Answer): Answer => (condition.not ? flip(answer) : answer);
  if (physIn === undefined && physOut === undefined) return unlessNot("no");
  if (condition.has) return unlessNot((condition.has === "in" ? physIn : physOut) === undefined ? "no" : "yes");
  if (condition.in !== undefined) return unlessNot(isDevice(physIn, condition.in));
  if (condition.out === undefined) return unlessNot(physOut === undefined ? "no" : "yes");
  return physOut === undefined ? "no" : unlessNot(isDevice(physOut, condition.out));
}
