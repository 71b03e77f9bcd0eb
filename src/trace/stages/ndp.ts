/**
 * Neighbour discovery: IPv6 asks for hardware addresses with ICMPv6, which the rules of both ends see like any other packet
 * (no rule of iptables sees ARP). A firewall that drops ICMPv6 cuts its node off from everybody.
 *
 * Source: Linux net/ipv6/ndisc.c (ndisc_send_skb: LOCAL_OUT; ndisc_rcv is behind LOCAL_IN); no connection is made of it, its
 * state is UNTRACKED (net/netfilter/nf_conntrack_proto_icmpv6.c).
 */
import { known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { Hook } from "../../model/netfilter/ruleset.ts";
import { type Ip, type Ipv6, parseIp } from "../../net/ip.ts";
import { isKnown } from "./moving.ts";

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** RFC 4291, section 2.7.1: ff02::1:ff and the last three bytes. */
const solicitedNode = ({ value }: Ipv6): Ip => ({
  family: 6,
  value: 0xff0200000000000000000001ff000000n | (value & 0xffffffn),
});

/** One end of the question: a node, by one of its devices. What happens in Pods no rule sees. */
type Side = { readonly plane: NodePlane; readonly device: string };

function messageOf(icmpType: number, source: Packet["source"], destination: Packet["destination"]): Packet {
  return {
    ...{ family: 6, protocol: "ipv6-icmp", icmpType, icmpCode: 0, source, destination, mark: 0, ctState: "untracked" },
  };
}

/** The rules that surely keep a message from passing these hooks. */
function stoppedAt({ plane }: Side, hooks: readonly Hook[], packet: Packet): Evidence | undefined {
  const ends = plane.filter.through(hooks, packet);
  const areStopped = ends.every(
    ({ verdict, certainty }) => certainty === "certain" && (verdict.is === "drop" || verdict.is === "reject"),
  );
  const decisive = areStopped ? ends[0]?.rules.at(-1) : undefined;
  return decisive && plane.filter.quote(decisive);
}

const sent = (side: Side, packet: Packet): Evidence | undefined =>
  stoppedAt(side, ["output", "postrouting"], { ...packet, outDevice: side.device });

const taken = (side: Side, packet: Packet): Evidence | undefined =>
  stoppedAt(side, ["prerouting", "input"], { ...packet, inDevice: side.device });

function linkLocal({ plane, device }: Side): Packet["source"] {
  const link = known(plane.links)?.find(({ name }) => name === device);
  const own = link?.addresses.find(({ family, scope }) => family === "inet6" && scope === "link");
  return (own && parseIp(own.local)) ?? "unknown";
}

/** Whether a node knows a hardware address without asking. */
const isGiven = ({ plane, device }: Side, address: string): boolean =>
  known(plane.neighbours)?.some(
    (one) => one.address === address && one.device === device && one.states.includes("PERMANENT"),
  ) ?? false;

/**
 * The rule because of which a node does not learn who has an address; undefined for IPv4, and where none is known.
 *
 * @param answering the node that has the address; undefined if it is a Pod
 */
export function unasked(asking: Side, address: string, answering: Side | undefined): Evidence | undefined {
  const target = parseIp(address);
  if (target?.family !== 6 || isGiven(asking, address)) return undefined;
  const self = linkLocal(asking);
  const question = messageOf(SOLICITATION, self, solicitedNode(target));
  const answer = messageOf(ADVERTISEMENT, target, self);
  return (
    sent(asking, question) ??
    (answering && (taken(answering, question) ?? sent(answering, answer))) ??
    taken(asking, answer)
  );
}

/**
 * The rule because of which two Pods on one bridge do not learn of each other, where br_netfilter shows bridged packets to the
 * rules; undefined as above.
 */
export function unbridged(bridge: Side, address: string, asker: Packet["source"]): Evidence | undefined {
  const target = parseIp(address);
  if (target?.family !== 6 || !isKnown(asker)) return undefined;
  const { device } = bridge;
  const across = (packet: Packet) =>
    stoppedAt(bridge, ["prerouting", "forward", "postrouting"], {
      ...packet,
      ...{ inDevice: device, outDevice: device, physIn: "unknown", physOut: "unknown" },
    });
  return (
    across(messageOf(SOLICITATION, asker, solicitedNode(target))) ?? across(messageOf(ADVERTISEMENT, target, asker))
  );
}

/** The rule because of which a Pod does not learn that the node has an address; undefined as above. */
export function unanswered(node: Side, address: string, asker: Packet["source"]): Evidence | undefined {
  const target = parseIp(address);
  if (target?.family !== 6 || !isKnown(asker)) return undefined;
  return (
    taken(node, messageOf(SOLICITATION, asker, solicitedNode(target))) ??
    sent(node, messageOf(ADVERTISEMENT, target, asker))
  );
}
