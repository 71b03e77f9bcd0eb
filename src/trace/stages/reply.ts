/** The answer, or the refusal: sent back, and taken by whoever asked. */
import { inFull, type Packet } from "../../model/netfilter/packet.ts";
import type { End, Namespace } from "../trace.ts";
import { leaving } from "./connections.ts";
import { after, end, isIpv4, type Moving, type Next, textOf, type Walk } from "./moving.ts";

/** Of a refusal the asker has to learn: the reset, or the ICMP message, walks back as an answer does. */
export function refuse(moving: Moving, at: Namespace, how: End): Next[] {
  const { packet } = moving;
  const { with: words, ...unheard } = how;
  // it is told to the one who answered, or to the node that sent the tunnel's packet
  if (moving.answer !== undefined || moving.inner.length > 0) return end(moving, unheard);
  const isReset = how.is === "refused" || words === "tcp-reset";
  if (packet.protocol !== "tcp" || !(isReset || /port-unreach/.test(words ?? ""))) return end(moving, how);
  const reset: Packet = { ...replyOf(packet), tcpFlags: ["RST", "ACK"] };
  const message = inFull({
    family: packet.family,
    protocol: isIpv4(packet) ? "icmp" : "ipv6-icmp",
    source: "unknown",
    destination: packet.source,
    icmpType: isIpv4(packet) ? 3 : 1,
    icmpCode: isIpv4(packet) ? 3 : 4,
    mark: 0,
    ctState: "related",
  });
  const seen = at.pod && !at.pod.hostNetwork ? moving : leaving(moving, at.node);
  return sendBack({ ...seen, refusal: how }, at, isReset ? reset : message);
}

/** The one that took it answers, and the answer walks back. */
export function answer(moving: Moving, at: Namespace): Next[] {
  return sendBack(moving, at, replyOf(moving.packet));
}

function replyOf(packet: Packet): Packet {
  return inFull({
    family: packet.family,
    protocol: packet.protocol,
    source: packet.destination,
    destination: packet.source,
    ...(packet.destinationPort !== undefined && { sourcePort: packet.destinationPort }),
    ...(packet.sourcePort !== undefined && { destinationPort: packet.sourcePort }),
    ...(packet.icmpType !== undefined && { icmpType: packet.family === 4 ? 0 : 129, icmpCode: 0 }),
    ...(packet.protocol === "tcp" && { tcpFlags: ["SYN", "ACK"] }),
    mark: 0,
    ctState: "established",
  });
}

function sendBack(moving: Moving, at: Namespace, packet: Packet): Next[] {
  const back: Moving = { ...moving, entered: undefined, packet, answer: moving.trail?.length ?? 0, inner: [] };
  return [{ go: "send", moving: after(back, { did: "send", at, packet }), at }];
}

/**
 * The asker's socket takes an answer only from whom it asked.
 *
 * @param at undefined: outside
 */
export function receiveAnswer({ sending }: Walk, moving: Moving, at: Namespace | undefined): Next[] {
  const { packet } = moving;
  const asked = moving.asked ?? sending.packet;
  const isHere =
    sending.from === "outside"
      ? at === undefined
      : sending.from.node === at?.node && (sending.from.pod?.key ?? "") === (at.pod?.key ?? "");
  const { refusal } = moving;
  const isMessage = refusal !== undefined && packet.protocol !== asked.protocol;
  if (isHere && isMessage) return end(at ? after(moving, { did: "receive", at, evidence: [] }) : moving, refusal);
  const isRight =
    isHere &&
    textOf(packet.source) === textOf(asked.destination) &&
    (packet.sourcePort === undefined || packet.sourcePort === asked.destinationPort);
  const received = at ? after(moving, { did: "receive", at, evidence: [] }) : moving;
  const place = at && { at };
  if (isRight && moving.unseen)
    return end({ ...received, certainty: "guessed" }, refusal ?? { is: "answered", ...place, evidence: [] });
  if (isRight) return end(received, refusal ?? { is: "answered", ...place, evidence: [] });
  const words = `${textOf(packet.source)}:${packet.sourcePort ?? ""} instead of ${textOf(asked.destination)}:${asked.destinationPort ?? ""}`;
  return end(received, { is: "wrong-answer", ...place, evidence: [], because: words });
}
