/** An endpoint of Cilium: its policy, its connection tracking, and the way in (bpf_lxc.c: tail_ipv4_policy, tail_ipv4_to_endpoint). */
import { known } from "../../../evidence/observed.ts";
import type { CiliumNode } from "../../../model/cilium/cilium.ts";
import { type Asked, policyVerdict } from "../../../model/cilium/policy.ts";
import { type Packet, replyTo } from "../../../model/netfilter/packet.ts";
import type { CiliumEndpoint } from "../../../parse/cilium/endpoints.ts";
import type { Namespace } from "../../trace.ts";
import { onTheWire } from "../connections.ts";
import { enterPod } from "../deliver.ts";
import { isOversized, isUp, mtuOf, stateOf } from "../devices.ts";
import { after, cannotTell, end, isKnown, type Moving, type Next, textOf, type Walk } from "../moving.ts";

/** States in which the programs of an endpoint are in force (pkg/endpoint/endpoint.go); until it has an identity there are none. */
const IN_FORCE = new Set(["ready", "regenerating", "waiting-to-regenerate"]);

/** Why nothing can be said of what an endpoint's programs do. */
export const notInForce = ({ state }: CiliumEndpoint): string | undefined =>
  IN_FORCE.has(state) ? undefined : `an endpoint of Cilium that is ${state}`;

const connectionsOf = (node: CiliumNode, endpoint: CiliumEndpoint): string => `${node.node} endpoint ${endpoint.id}`;

/** The answer that an endpoint's connection tracking expects; an ICMP message is let pass if it is about a connection. */
export function awaited({ tracked, packet, answer, refusal }: Moving, node: CiliumNode, endpoint: CiliumEndpoint) {
  if (answer === undefined) return undefined;
  const entries = tracked.get(connectionsOf(node, endpoint)) ?? [];
  if (refusal && packet.protocol !== entries[0]?.protocol)
    return entries.some(({ destination }) => textOf(destination) === textOf(packet.destination)) ? packet : undefined;
  return entries.find(
    (one) =>
      textOf(one.source) === textOf(packet.source) &&
      textOf(one.destination) === textOf(packet.destination) &&
      one.sourcePort === packet.sourcePort &&
      one.destinationPort === packet.destinationPort,
  );
}

/** Its answer will be known to the endpoint. @param sent as it was before the load balancer */
export function remember(moving: Moving, node: CiliumNode, endpoint: CiliumEndpoint, sent: Packet): Moving {
  const key = connectionsOf(node, endpoint);
  const entries = [...(moving.tracked.get(key) ?? []), replyTo(onTheWire(sent), onTheWire(moving.packet))];
  return { ...moving, tracked: new Map(moving.tracked).set(key, entries) };
}

/** With the addresses that were asked, as the load balancer's other half puts them back (lb4_rev_nat). */
export function restored(packet: Packet, entry: Packet): Packet {
  const { source, destination } = entry.translation ?? {};
  return {
    ...packet,
    ...(source?.address !== undefined && { source: source.address }),
    ...(typeof source?.port === "number" && { sourcePort: source.port }),
    ...(destination?.address !== undefined && { destination: destination.address }),
    ...(typeof destination?.port === "number" && { destinationPort: destination.port }),
  };
}

/** Asks an endpoint's policy. */
export function admit(
  moving: Moving,
  node: CiliumNode,
  endpoint: CiliumEndpoint,
  direction: Asked["direction"],
  identity: number,
  on: (admitted: Moving) => Next[],
): Next[] {
  const at: Namespace = { node: node.node };
  const { protocol, destinationPort, icmpType } = moving.packet;
  const port = protocol === "icmp" || protocol === "ipv6-icmp" ? icmpType : destinationPort;
  if (!isKnown(port) && protocol !== "icmp") return cannotTell(moving, at, [], "the port that it is sent to");
  const verdict = policyVerdict(node, endpoint, {
    direction,
    identity,
    protocol: protocol === "ipv6-icmp" ? "icmpv6" : protocol,
    port: isKnown(port) ? port : undefined,
  });
  if (verdict.is === "unknown") return cannotTell(moving, at, verdict.missing.map(node.missing), verdict.because);
  if (verdict.is === "denied") return end(moving, { is: "denied", at, evidence: verdict.evidence });
  const name = endpoint.pod ?? `endpoint ${endpoint.id}`;
  return on(after(moving, { did: "admit", at, endpoint: name, direction, identity, evidence: verdict.evidence }));
}

/**
 * To an endpoint of this node, past the hooks of the kernel.
 *
 * @param sender its identity, or the endpoint itself: then its policy is not asked
 */
export function deliver(
  walk: Walk,
  moving: Moving,
  node: CiliumNode,
  endpoint: CiliumEndpoint,
  sender: number | "itself",
): Next[] {
  const { world } = walk;
  const at: Namespace = { node: node.node };
  const strange = notInForce(endpoint);
  if (strange !== undefined) return cannotTell(moving, at, [], strange);
  const entry = awaited(moving, node, endpoint);
  if (entry) return enter({ ...moving, packet: restored(moving.packet, entry) });
  if (sender === "itself") return enter(moving);
  return admit(moving, node, endpoint, "ingress", sender, (admitted) =>
    enter(remember(admitted, node, endpoint, admitted.packet)),
  );

  function enter(inside: Moving): Next[] {
    const plane = world.forwarding.of(node.node);
    const pod =
      world.pods.onNode(node.node).find(({ key }) => key === endpoint.pod) ??
      endpoint.addresses.map((address) => world.pods.byAddress(address)).find((one) => one?.node === node.node);
    if (!pod) return cannotTell(inside, at, [{ kind: "pods" }], "an endpoint of Cilium that is no Pod");
    const link = known(plane.links)?.find(({ name }) => name === endpoint.device);
    if (!link) return cannotTell(inside, at, [{ kind: "links", place: { node: node.node } }]);
    if (!isUp(link)) return end(inside, { is: "device-down", at, evidence: [stateOf(world, node.node, link)] });
    if (isOversized(link, inside))
      return end(inside, { is: "too-big", at, evidence: [mtuOf(plane.links.origin, link)] });
    const own = known(world.podNamespaces.of(pod).links)?.find(({ peerIndex }) => peerIndex === link.index);
    return enterPod(walk, inside, node.node, link, pod, own);
  }
}

/** The endpoint of this node that has an address; “none” if it is nobody's here. */
export function endpointAt({ endpoints }: CiliumNode, address: string): CiliumEndpoint | "none" | "unknown" {
  const list = known(endpoints);
  const found = list?.find(({ addresses }) => addresses.includes(address));
  if (found) return found;
  return list && endpoints.state === "present" && endpoints.gaps.length === 0 ? "none" : "unknown";
}
