/** Cilium's load balancer in the socket: the destination is translated before there is a packet (bpf_sock.c). */

import { balance } from "../../../model/cilium/load-balancer.ts";
import type { Namespace } from "../../trace.ts";
import { cannotTell, isKnown, type Moving, type Next, textOf, type Walk } from "../moving.ts";
import { toBackends } from "./service.ts";

/**
 * @param on goes on with the packet as the socket sends it
 * @returns undefined where sockets translate nothing
 */
export function atSocket(walk: Walk, moving: Moving, at: Namespace, on: (sent: Moving) => Next[]): Next[] | undefined {
  const { cilium, nodes } = walk.world;
  const { destination, destinationPort, protocol } = moving.packet;
  if (!cilium.runs || moving.answer !== undefined || moving.inner.length > 0) return undefined;
  if (!isKnown(destination) || !isKnown(destinationPort) || (protocol !== "tcp" && protocol !== "udp"))
    return undefined;
  const inUse = cilium.socketLb(at.node, at.pod && !at.pod.hostNetwork ? "pod" : "node");
  if (inUse === false) return undefined;
  const node = cilium.of(at.node);
  if (inUse === "unknown") return cannotTell(moving, at, [node.missing("ciliumStatus")]);
  const address = textOf(destination);
  const asked = balance(node, protocol, address, destinationPort);
  // of any node's address, the node port (sock4_wildcard_lookup)
  const found =
    asked.is === "not-a-service" && nodes.byAddress(address)
      ? balance(node, protocol, "0.0.0.0", destinationPort)
      : asked;
  if (found.is === "not-a-service") return undefined;
  return toBackends(walk, moving, at, node, found, (translated) => on({ ...translated, asked: translated.packet }));
}
