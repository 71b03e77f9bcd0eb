/** Into a Pod, and to a socket: one takes it, or nothing listens. */
import type { Missing } from "../../evidence/catalogue.ts";
import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { PodView } from "../../model/pods.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { ListeningSocket } from "../../parse/iproute2/ss.ts";
import type { Namespace } from "../trace.ts";
import { addressesIn, isOversized, isUp, mtuOf } from "./devices.ts";
import { after, cannotTell, end, inPod, type Moving, type Next, textOf, type Walk, type World } from "./moving.ts";
import { answer, receiveAnswer, refuse } from "./reply.ts";
import { ignoresEcho } from "./settings.ts";
import { lostForSize } from "./size.ts";

/** @param own the Pod's end of the pair of devices, if it was seen */
export function enterPod(
  walk: Walk,
  moving: Moving,
  node: string,
  link: Link,
  pod: PodView,
  own: Link | undefined,
): Next[] {
  const at: Namespace = { node, pod };
  const { origin } = walk.world.podNamespaces.of(pod).links;
  const crossed = after(moving, { did: "cross", from: { node }, to: at, device: link.name });
  if (own && !isUp(own)) {
    const words = `${own.name}: <${own.flags.join(",")}>`;
    return end(crossed, { is: "device-down", at, evidence: [quoteOf(origin, words)] });
  }
  if (own && isOversized(own, moving))
    return lostForSize(crossed, at, mtuOf(origin, own), (taken) => receiveInPod(walk, taken, pod));
  return receiveInPod(walk, own ? crossed : { ...crossed, unseen: true }, pod);
}

export function receiveInPod(walk: Walk, moving: Moving, pod: PodView): Next[] {
  const at: Namespace = { node: pod.node ?? "", pod };
  const { destination } = moving.packet;
  // what came with another address is not for this Pod, and Pods do not forward
  const text = textOf(destination);
  const isOwn = addressesIn(walk.world, pod).includes(text) || text.startsWith("127.") || text === "::1";
  if (!isOwn) return end(moving, { is: "lost", at, evidence: [] });
  return receive(walk, moving, at, walk.world.sockets.of(pod), inPod(pod, "podSockets"));
}

export function receive(
  walk: Walk,
  moving: Moving,
  at: Namespace,
  sockets: ReturnType<World["sockets"]["of"]>,
  missing: readonly Missing[],
): Next[] {
  if (moving.answer !== undefined) return receiveAnswer(walk, moving, at);
  const { packet } = moving;
  if (packet.protocol === "icmp" || packet.protocol === "ipv6-icmp") {
    const ignores = at.pod && !at.pod.hostNetwork ? undefined : ignoresEcho(walk.world.forwarding.of(at.node), packet);
    if (ignores) return end(moving, { is: "dropped", at, evidence: [ignores] });
    return answer(after(moving, { did: "receive", at, evidence: [] }), at);
  }
  const list = known(sockets);
  if (!list) return cannotTell(moving, at, missing);
  const socket = list.find((one) => listens(one, packet));
  // who listed sockets without asking for SCTP (ss -S) saw none
  if (!socket && packet.protocol === "sctp" && !list.some(({ protocol }) => protocol === "sctp"))
    return cannotTell(moving, at, missing);
  if (!socket) {
    const words = `nothing listens on ${packet.protocol} ${textOf(packet.destination)}:${packet.destinationPort ?? ""}`;
    if (sockets.state === "present" && sockets.gaps.length > 0) return cannotTell(moving, at, missing);
    return refuse(moving, at, { is: "refused", at, evidence: [quoteOf(sockets.origin, words)] });
  }
  const holder = socket.processes[0]?.name;
  const words = `${socket.protocol} ${socket.address}:${socket.port}${holder === undefined ? "" : ` ${holder}`}`;
  const evidence = [quoteOf({ ...sockets.origin, line: socket.line }, words)];
  return answer(after(moving, { did: "receive", at, evidence }), at);
}

function listens({ protocol, address, port }: ListeningSocket, packet: Packet): boolean {
  if (protocol !== packet.protocol || port !== packet.destinationPort) return false;
  const any = address === "*" || address === "0.0.0.0" || address === "::";
  return any ? !(address === "0.0.0.0" && packet.family === 6) : address === textOf(packet.destination);
}
