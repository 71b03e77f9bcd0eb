/** Between Cilium's nodes: into the tunnel with the sender's identity, and out of it (bpf_overlay.c). */
import { known } from "../../../evidence/observed.ts";
import { type CiliumNode, IDENTITY } from "../../../model/cilium/cilium.ts";
import { tunnelTo, type Whereabouts, whereabouts } from "../../../model/cilium/ipcache.ts";
import type { Link } from "../../../parse/iproute2/addr.ts";
import type { Namespace } from "../../trace.ts";
import { isUp, stateOf } from "../devices.ts";
import { cannotTell, end, type Inner, isKnown, type Moving, type Next, textOf, type Walk } from "../moving.ts";
import { decapsulate, encapsulated } from "../tunnel.ts";
import { deliver, endpointAt } from "./endpoint.ts";

/** The device of the tunnel, which routes to other nodes' Pods where Cilium is not told to leave that to the network. */
export const tunnelOf = ({ world }: Walk, node: string): Link | undefined =>
  known(world.forwarding.of(node).links)?.find(({ name }) => name === "cilium_vxlan" || name === "cilium_geneve");

/**
 * To the node that a packet's destination is behind.
 *
 * @param identity of the sender
 * @returns undefined if no tunnel leads there
 */
export function throughTunnel(
  walk: Walk,
  moving: Moving,
  node: CiliumNode,
  identity: number,
  to: Whereabouts,
): Next[] | undefined {
  const at: Namespace = { node: node.node };
  const link = tunnelOf(walk, node.node);
  const { destination } = moving.packet;
  if (!link || !isKnown(destination)) return undefined;
  const byRange = to.tunnelEndpoint === undefined ? tunnelTo(node, destination) : "none";
  if (byRange === "unknown") return cannotTell(moving, at, [node.missing("ciliumTunnels")]);
  const behind = to.tunnelEndpoint ?? (byRange === "none" ? undefined : byRange.to);
  if (behind === undefined) return undefined;
  const encryption = known(node.status)?.encryption ?? "Disabled";
  if (encryption !== "Disabled") return cannotTell(moving, at, [], "Cilium's encryption");
  const evidence = byRange === "none" ? to.evidence : [byRange.evidence, ...to.evidence];
  if (!isUp(link))
    return end(moving, { is: "device-down", at, evidence: [stateOf(walk.world, node.node, link)], tunnel: true });
  // to others a node is a remote one (bpf/lib/encap.h: __encap_with_nodeid)
  const sent = identity === IDENTITY.host ? IDENTITY.remoteNode : identity;
  return encapsulated(moving, node.node, link, behind, { kind: "vxlan", identity: sent }, evidence);
}

/** Out of the tunnel, and to whom it is for. */
export function fromOverlay(walk: Walk, moving: Moving, node: string, inner: Inner): Next[] {
  return decapsulate(walk, moving, node, inner).flatMap((next) =>
    "go" in next ? onward(walk, next.moving, walk.world.cilium.of(node), inner.identity ?? 0) : [next],
  );
}

/** To an endpoint, or to the node itself. */
function onward(walk: Walk, moving: Moving, node: CiliumNode, identity: number): Next[] {
  const at: Namespace = { node: node.node };
  const { source, destination } = moving.packet;
  const address = textOf(destination);
  const isOfNode = identity === IDENTITY.remoteNode || identity === IDENTITY.apiServer;
  // the ipcache tells remote nodes from the API server's
  const told = isOfNode && isKnown(source) ? whereabouts(node, source) : undefined;
  if (told === "unknown") return cannotTell(moving, at, [node.missing("ciliumIpcache")]);
  const sender = told ? told.identity : identity;
  if (known(walk.world.forwarding.of(node.node).localAddresses)?.has(address)) return toHost(moving, node);
  const endpoint = endpointAt(node, address);
  if (endpoint === "unknown") return cannotTell(moving, at, [node.missing("ciliumEndpoints")]);
  if (endpoint !== "none") return deliver(walk, moving, node, endpoint, sender);
  const { origin } = node.endpoints;
  return end(moving, { is: "lost", at, evidence: [{ origin, quote: `no endpoint has ${address}` }] });
}

/** To the node's own stack, by the pair of devices that Cilium made (ipv4_host_delivery). */
const toHost = (moving: Moving, { node }: CiliumNode): Next[] => [
  { go: "arrive", moving, node, device: "cilium_host" },
];
