/** What a node's connection tracking knows of a packet. */
import { inFull, type Packet, replyTo } from "../../model/netfilter/packet.ts";
import { isKnown, isSameIp, type Moving } from "./moving.ts";

/** The packet as it comes to a node, with what the node's connection tracking knows of it. */
export function expected(moving: Moving, node: string): Packet {
  const packet = onTheWire(moving.packet);
  // a tunnel's packets are a flow of their own in each direction
  if (moving.answer === undefined || moving.inner.length > 0) return packet;
  const entry = moving.tracked
    .get(node)
    ?.find(
      (one) =>
        isSameIp(one.source, packet.source) &&
        isSameIp(one.destination, packet.destination) &&
        one.sourcePort === packet.sourcePort &&
        one.destinationPort === packet.destinationPort,
    );
  if (moving.refusal && !packet.tcpFlags) return asRelated(packet, moving.tracked.get(node) ?? []);
  if (entry) return packet.tcpFlags ? { ...entry, tcpFlags: packet.tcpFlags } : entry;
  // an answer that this node has not seen the question of
  return { ...packet, ctState: packet.protocol === "udp" ? "new" : "invalid" };
}

/** What of a packet is on the wire: no marks, devices or states of the node that it left. */
export function onTheWire(packet: Packet): Packet {
  const { family, protocol, source, destination, sourcePort, destinationPort, icmpType, icmpCode, tcpFlags } = packet;
  return inFull({
    family,
    protocol,
    source,
    destination,
    sourcePort,
    destinationPort,
    icmpType,
    icmpCode,
    tcpFlags,
    mark: 0,
    // of an error message connection tracking knows what it is about
    ctState: protocol === "icmp" && icmpType === 3 ? "related" : "new",
  });
}

/** An ICMP message has its addresses translated as its connection's answers have (nf_nat_icmp_reply_translation). */
function asRelated(packet: Packet, answers: readonly Packet[]): Packet {
  const about = answers.find(({ destination }) => isSameIp(destination, packet.destination));
  if (!about) return { ...packet, ctState: "invalid" };
  const { protocol, source, destination, icmpType, icmpCode } = packet;
  return {
    ...about,
    sourcePort: undefined,
    destinationPort: undefined,
    protocol,
    source,
    destination,
    ...(icmpType !== undefined && { icmpType }),
    ...(icmpCode !== undefined && { icmpCode }),
    ctState: "related",
  };
}

/** It leaves the node, or reaches a socket on it: from now on its connection is known there. */
export function leaving(moving: Moving, node: string): Moving {
  const { entered, answer, packet } = moving;
  if (!entered || answer !== undefined || moving.inner.length > 0) return moving;
  const sent: Packet = { ...entered, source: isKnown(entered.source) ? entered.source : packet.source, ctState: "new" };
  const { tracked } = moving;
  return { ...moving, tracked: new Map(tracked).set(node, [...(tracked.get(node) ?? []), replyTo(sent, packet)]) };
}
