/**
 * A packet as netfilter sees it at one hook: what rules can ask about, each part possibly unknown.
 */
import type { Ip } from "../../net/ip.ts";

export type Maybe<T> = T | "unknown";

/** What connection tracking says of a packet (ctinfo); `invalid` if it has no entry for it. */
export type ConntrackState = "new" | "established" | "related" | "invalid" | "untracked";

export type End = { readonly address?: Maybe<Ip>; readonly port?: Maybe<number> };

export type Packet = {
  readonly family: 4 | 6;
  /** As iptables prints it: `tcp`, `udp`, `sctp`, `icmp`, `ipv6-icmp`, or a number. */
  readonly protocol: Maybe<string>;
  readonly source: Maybe<Ip>;
  readonly destination: Maybe<Ip>;
  /** Absent: the protocol has no ports. */
  readonly sourcePort?: Maybe<number> | undefined;
  readonly destinationPort?: Maybe<number> | undefined;
  /** Absent: it is no ICMP. */
  readonly icmpType?: Maybe<number> | undefined;
  readonly icmpCode?: Maybe<number> | undefined;
  /** Absent: not known. */
  readonly tcpFlags?: readonly string[] | undefined;
  /** A fragment other than the first: it has no ports. */
  readonly fragment?: true | undefined;
  /** Absent: the node itself sends the packet. */
  readonly inDevice?: Maybe<string> | undefined;
  /** Absent: it is not decided yet, or the packet is for the node itself. */
  readonly outDevice?: Maybe<string> | undefined;
  /** The bridge ports through which it came and will go, if br_netfilter passes it up; absent: no bridge is involved. */
  readonly physIn?: Maybe<string> | undefined;
  readonly physOut?: Maybe<string> | undefined;
  readonly mark: number;
  /** The bits of `mark` that are not known. */
  readonly markUnknown?: number | undefined;
  /** Absent: 0 for a new connection, else unknown. */
  readonly connmark?: number | undefined;
  readonly connmarkUnknown?: number | undefined;
  /**
   * Which values the unknown parts stand for: where rules put others in their place, what was assumed of the former ones
   * does not hold for these. Absent: those that it came with.
   */
  readonly unknowns?: string | undefined;
  readonly ctState: Maybe<ConntrackState>;
  /** Whether the connection's destination or source was translated: conntrack's DNAT and SNAT. Absent: no. */
  readonly dnatted?: Maybe<boolean> | undefined;
  readonly snatted?: Maybe<boolean> | undefined;
  /**
   * The ends of the connection as its first packet had them (conntrack's original tuple). Absent: they are the packet's
   * own if it is the first, else not known.
   */
  readonly original?: { readonly source: End; readonly destination: End } | undefined;
  /** It goes the other way than the first packet of its connection did. Absent: not known, unless it is that packet. */
  readonly isReply?: true | undefined;
  /**
   * What conntrack does to the packets of this connection in this direction, if it is not new: the destination is
   * changed before routing, the source after it. `replyTo` fills this in.
   */
  readonly translation?: { readonly source?: End; readonly destination?: End } | undefined;
  /**
   * The nat chains were already asked for this connection (IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE). Set by `hook`; it matters
   * to what a node sends to itself, which passes the hooks twice.
   */
  readonly natDone?: { readonly destination?: true; readonly source?: true } | undefined;
};

/** A packet with all of its parts, in one order: engines copy and read objects faster that are all alike. */
export const inFull = (packet: Packet): Packet => ({
  family: packet.family,
  protocol: packet.protocol,
  source: packet.source,
  destination: packet.destination,
  sourcePort: packet.sourcePort,
  destinationPort: packet.destinationPort,
  icmpType: packet.icmpType,
  icmpCode: packet.icmpCode,
  tcpFlags: packet.tcpFlags,
  fragment: packet.fragment,
  inDevice: packet.inDevice,
  outDevice: packet.outDevice,
  physIn: packet.physIn,
  physOut: packet.physOut,
  mark: packet.mark,
  markUnknown: packet.markUnknown,
  connmark: packet.connmark,
  connmarkUnknown: packet.connmarkUnknown,
  unknowns: packet.unknowns,
  ctState: packet.ctState,
  dnatted: packet.dnatted,
  snatted: packet.snatted,
  original: packet.original,
  isReply: packet.isReply,
  translation: packet.translation,
  natDone: packet.natDone,
});

/** Bits of which some are known. */
export type Bits = { readonly value: number; readonly unknown: number };

export const markOf = (packet: Packet): Bits => ({ value: packet.mark, unknown: packet.markUnknown ?? 0 });

export function connmarkOf(packet: Packet): Bits {
  if (packet.connmark !== undefined) return { value: packet.connmark, unknown: packet.connmarkUnknown ?? 0 };
  return { value: 0, unknown: packet.ctState === "new" ? (packet.connmarkUnknown ?? 0) : 0xffffffff };
}

/** (bits & ~mask) ^ value, as xt_MARK and xt_CONNMARK compute it. */
export function setBits(bits: Bits, value: number, mask: number): Bits {
  const unknown = (bits.unknown & ~mask) >>> 0;
  return { value: (((bits.value & ~mask) ^ value) & ~unknown) >>> 0, unknown };
}

/** Whether the connection is one that conntrack has an entry for (`nf_ct_get` gives one). */
export function hasConnection(packet: Packet): Maybe<boolean> {
  if (packet.ctState === "unknown") return "unknown";
  return packet.ctState !== "invalid" && packet.ctState !== "untracked";
}

/** An end of the packet as it is now. */
export const endOf = (packet: Packet, side: "source" | "destination"): End => {
  const port = side === "source" ? packet.sourcePort : packet.destinationPort;
  return { address: packet[side], ...(port !== undefined && { port }) };
};

/** The ends that conntrack's original tuple has; undefined if they are not known. */
export function originalOf(packet: Packet): Packet["original"] {
  if (packet.original) return packet.original;
  return packet.ctState === "new"
    ? { source: endOf(packet, "source"), destination: endOf(packet, "destination") }
    : undefined;
}

const addressKey = (ip: Maybe<Ip>): string => (ip === "unknown" ? "?" : `${ip.value}`);
const endKey = ({ address, port }: End): string => `${address === undefined ? "" : addressKey(address)} ${port ?? ""}`;
const originalKey = ({ original }: Packet): string =>
  original ? `${endKey(original.source)} ${endKey(original.destination)}` : "";
const bitsKey = ({ value, unknown }: Bits): string => `${value}/${unknown}`;

/** The same for packets that differ in nothing that rules without marks and states ask about. */
export function flowKey(packet: Packet): string {
  const { protocol, source, destination, sourcePort, destinationPort, icmpType, icmpCode, inDevice, outDevice } =
    packet;
  const ends = `${addressKey(source)} ${sourcePort} ${addressKey(destination)} ${destinationPort}`;
  const devices = `${inDevice} ${outDevice} ${packet.physIn} ${packet.physOut}`;
  const other = `${packet.fragment} ${packet.tcpFlags} ${packet.unknowns ?? ""}`;
  return `${protocol} ${ends} ${icmpType} ${icmpCode} ${devices} ${other}`;
}

/** The same for packets that are the same to all rules. */
export function packetKey(packet: Packet): string {
  const { ctState, dnatted = false, snatted = false, natDone } = packet;
  const done = `${natDone?.destination ?? ""}${natDone?.source ?? ""}`;
  const first = originalKey(packet);
  return `${flowKey(packet)} ${bitsKey(markOf(packet))} ${bitsKey(connmarkOf(packet))} ${ctState} ${dnatted} ${snatted} ${done} ${first}`;
}

const sameBits = (a: Bits, b: Bits): boolean => a.value === b.value && a.unknown === b.unknown;

/** Whether `packetKey` is the same, without making it. */
export const isSame = (a: Packet, b: Packet): boolean =>
  isSameNow(a, b) &&
  sameBits(connmarkOf(a), connmarkOf(b)) &&
  (a.original === b.original || originalKey(a) === originalKey(b));

/** Whether two packets are the same to rules that do not ask where their connections were sent at first, and stay so. */
export const isAlike = (a: Packet, b: Packet): boolean =>
  isSameNow(a, b) &&
  a.family === b.family &&
  a.connmark === b.connmark &&
  a.connmarkUnknown === b.connmarkUnknown &&
  a.isReply === b.isReply &&
  (a.original === undefined) === (b.original === undefined);

/** The same in all but marks of the connection, and its ends. */
const isSameNow = (a: Packet, b: Packet): boolean =>
  a.mark === b.mark &&
  (a.markUnknown ?? 0) === (b.markUnknown ?? 0) &&
  a.unknowns === b.unknowns &&
  a.ctState === b.ctState &&
  a.destinationPort === b.destinationPort &&
  a.sourcePort === b.sourcePort &&
  sameEnd(a.destination, b.destination) &&
  sameEnd(a.source, b.source) &&
  a.protocol === b.protocol &&
  a.inDevice === b.inDevice &&
  a.outDevice === b.outDevice &&
  a.physIn === b.physIn &&
  a.physOut === b.physOut &&
  a.icmpType === b.icmpType &&
  a.icmpCode === b.icmpCode &&
  a.fragment === b.fragment &&
  (a.tcpFlags === b.tcpFlags || `${a.tcpFlags}` === `${b.tcpFlags}`) &&
  (a.dnatted ?? false) === (b.dnatted ?? false) &&
  (a.snatted ?? false) === (b.snatted ?? false) &&
  a.natDone?.destination === b.natDone?.destination &&
  a.natDone?.source === b.natDone?.source;

const sameEnd = (a: Maybe<Ip>, b: Maybe<Ip>): boolean =>
  a === b || (a !== "unknown" && b !== "unknown" && a.value === b.value);

/**
 * Conntrack's state of an answer. To a packet that was not tracked it is the first that conntrack sees: a UDP packet may
 * begin a connection, a SYN,ACK or an echo reply may not (nf_conntrack_proto_tcp.c, tcp_new; …_icmp.c).
 */
function stateOfAnswer({ ctState, protocol }: Packet): Maybe<ConntrackState> {
  if (ctState === "unknown") return "unknown";
  if (ctState !== "untracked" && ctState !== "invalid") return "established";
  if (protocol === "udp") return "new";
  return protocol === "tcp" || protocol === "icmp" || protocol === "ipv6-icmp" ? "invalid" : "unknown";
}

/**
 * The first packet of the answer to a new connection, as the answering end sends it.
 *
 * @param sent as it was before the first hook of the node that translates
 * @param arrived as it came out of the last one
 */
export function replyTo(sent: Packet, arrived: Packet): Packet {
  const destination: End = {
    ...(sameEnd(sent.source, arrived.source) ? {} : { address: sent.source }),
    ...(sent.sourcePort === arrived.sourcePort || sent.sourcePort === undefined ? {} : { port: sent.sourcePort }),
  };
  const source: End = {
    ...(sameEnd(sent.destination, arrived.destination) ? {} : { address: sent.destination }),
    ...(sent.destinationPort === arrived.destinationPort || sent.destinationPort === undefined
      ? {}
      : { port: sent.destinationPort }),
  };
  return inFull({
    family: sent.family,
    protocol: sent.protocol,
    source: arrived.destination,
    destination: arrived.source,
    ...(arrived.destinationPort === undefined ? {} : { sourcePort: arrived.destinationPort }),
    ...(arrived.sourcePort === undefined ? {} : { destinationPort: arrived.sourcePort }),
    ...(sent.icmpType === 8 || sent.icmpType === 128 ? { icmpType: sent.icmpType === 8 ? 0 : 129, icmpCode: 0 } : {}),
    mark: 0,
    connmark: connmarkOf(arrived).value,
    connmarkUnknown: connmarkOf(arrived).unknown,
    ctState: stateOfAnswer(arrived),
    ...(stateOfAnswer(arrived) === "established" ? { isReply: true as const } : {}),
    dnatted: arrived.dnatted ?? false,
    snatted: arrived.snatted ?? false,
    translation: { source, destination },
    original: originalOf(sent) ?? { source: endOf(sent, "source"), destination: endOf(sent, "destination") },
  });
}
