/** What the kernel hands to Cilium's device, of the node itself or on its way (bpf_host.c: cil_from_host). */
import { quoteOf } from "../../../evidence/origin.ts";
import { type CiliumNode, IDENTITY, isOfNodesOrWorld } from "../../../model/cilium/cilium.ts";
import { whereabouts } from "../../../model/cilium/ipcache.ts";
import { markOf } from "../../../model/netfilter/packet.ts";
import type { Namespace } from "../../trace.ts";
import { cannotTell, end, isKnown, type Moving, type Next, textOf, type Walk } from "../moving.ts";
import { deliver, endpointAt } from "./endpoint.ts";
import { throughTunnel } from "./overlay.ts";
import { identityIn, MARK } from "./stack.ts";

export function fromHost(walk: Walk, moving: Moving, node: string): Next[] {
  const own = walk.world.cilium.of(node);
  const at: Namespace = { node };
  const { destination } = moving.packet;
  const identity = senderOf(moving, own);
  if (typeof identity !== "number" || !isKnown(destination))
    return cannotTell(moving, at, [own.missing("ciliumIpcache")]);
  const endpoint = endpointAt(own, textOf(destination));
  if (endpoint === "unknown") return cannotTell(moving, at, [own.missing("ciliumEndpoints")]);
  if (endpoint !== "none") return deliver(walk, moving, own, endpoint, identity);
  const to = whereabouts(own, destination);
  if (to === "unknown") return cannotTell(moving, at, [own.missing("ciliumIpcache")]);
  const tunnelled = throughTunnel(walk, moving, own, identity, to);
  if (tunnelled) return tunnelled;
  // DROP_UNROUTABLE: of the world, and yet it was routed here
  if (to.identity === IDENTITY.world) return end(moving, { is: "lost", at, evidence: to.evidence });
  const words = `${textOf(destination)}: no endpoint, no tunnel`;
  return cannotTell(moving, at, [], quoteOf(own.ipcache.origin, words).quote);
}

/** The sender, by the mark; where that tells only that it is a node or the world, by its address (resolve_srcid_ipv4). */
function senderOf({ packet }: Moving, node: CiliumNode): number | "unknown" {
  const { value, unknown } = markOf(packet);
  const magic = value & MARK.mask;
  if ((unknown & MARK.mask) !== 0) return "unknown";
  const marked = magic === MARK.host ? IDENTITY.host : magic === MARK.identity ? identityIn(value) : IDENTITY.world;
  if (!isOfNodesOrWorld(marked)) return marked;
  const told = isKnown(packet.source) ? whereabouts(node, packet.source) : "unknown";
  if (told === "unknown") return told;
  // of what is masqueraded to the node's own address, only the mark tells whether the node sent it
  return told.identity === IDENTITY.host || told.identity === 0 ? marked : told.identity;
}
