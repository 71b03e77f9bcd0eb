/** What a Pod sends, as Cilium's program on its device takes it (bpf_lxc.c: cil_from_container). */
import { isWhole, known } from "../../../evidence/observed.ts";
import type { CiliumNode } from "../../../model/cilium/cilium.ts";
import { whereabouts } from "../../../model/cilium/ipcache.ts";
import { balance } from "../../../model/cilium/load-balancer.ts";
import { lookupRoute } from "../../../model/forwarding/routing.ts";
import type { Packet } from "../../../model/netfilter/packet.ts";
import type { PodView } from "../../../model/pods.ts";
import { type Ip, parseIp } from "../../../net/ip.ts";
import type { CiliumEndpoint } from "../../../parse/cilium/endpoints.ts";
import type { Namespace } from "../../trace.ts";
import { cannotTell, isKnown, type Moving, type Next, textOf, type Walk } from "../moving.ts";
import { admit, awaited, deliver, endpointAt, notInForce, remember, restored } from "./endpoint.ts";
import { throughTunnel } from "./overlay.ts";
import { toBackends } from "./service.ts";
import { toStack } from "./stack.ts";

/** What an endpoint has for its own address when it reaches itself by a Service (IPV4_LOOPBACK). */
const LOOPBACK = parseIp("169.254.42.1") as Ip;

/** Whose packet it is, and where. */
type Container = {
  readonly walk: Walk;
  readonly node: CiliumNode;
  readonly endpoint: CiliumEndpoint;
  readonly identity: number;
  /** The node's end of the Pod's pair of devices. */
  readonly device: string;
};

export function fromContainer(walk: Walk, moving: Moving, pod: PodView, device: string): Next[] {
  const node = walk.world.cilium.of(pod.node ?? "");
  const at: Namespace = { node: node.node };
  const found = node.endpointOf(pod);
  if (found.state === "unknown") return cannotTell(moving, at, [node.missing("ciliumEndpoints")]);
  if (found.state === "absent") return cannotTell(moving, at, [], "a Pod that Cilium's agent does not know");
  const endpoint = found.value;
  const { identity } = endpoint;
  const strange = identity === undefined ? "an endpoint of Cilium without an identity" : notInForce(endpoint);
  if (identity === undefined || strange !== undefined) return cannotTell(moving, at, [], strange);
  const from: Container = { walk, node, endpoint, identity, device };
  const entry = awaited(moving, node, endpoint);
  return entry ? onward(from, { ...moving, packet: restored(moving.packet, entry) }) : balanced(from, moving);
}

/** Packets are translated here unless the socket has done it; the node's own leave that to kube-proxy (lb4_local). */
function balanced(from: Container, moving: Moving): Next[] {
  const { walk, node, endpoint } = from;
  const { packet } = moving;
  const { destination, destinationPort, protocol } = packet;
  const isAsked = moving.answer === undefined && isKnown(destination) && isKnown(destinationPort);
  if (!isAsked || walk.world.cilium.socketLb(node.node, "pod") === true) return permitted(from, moving, packet);
  const found = balance(node, protocol, textOf(destination), destinationPort);
  if (found.is === "not-a-service") return permitted(from, moving, packet);
  return toBackends(walk, moving, { node: node.node }, node, found, (translated) => {
    if (!endpoint.addresses.includes(textOf(translated.packet.destination))) return permitted(from, translated, packet);
    const turned: Moving = { ...translated, packet: { ...translated.packet, source: LOOPBACK } };
    return deliver(walk, remember(turned, node, endpoint, packet), node, endpoint, "itself");
  });
}

/** A new connection, which the endpoint's policy has to allow. @param sent as it was before the load balancer */
function permitted(from: Container, moving: Moving, sent: Packet): Next[] {
  const { node, endpoint } = from;
  const at: Namespace = { node: node.node };
  const { destination } = moving.packet;
  const to = isKnown(destination) ? whereabouts(node, destination) : "unknown";
  if (to === "unknown") return cannotTell(moving, at, [node.missing("ciliumIpcache")]);
  return admit(moving, node, endpoint, "egress", to.identity, (admitted) =>
    onward(from, remember(admitted, node, endpoint, sent)),
  );
}

/** To an endpoint here, through the tunnel, or to the node's own stack. */
function onward(from: Container, moving: Moving): Next[] {
  const { walk, node, endpoint, identity, device } = from;
  const at: Namespace = { node: node.node };
  const plane = walk.world.forwarding.of(node.node);
  const { destination } = moving.packet;
  const own = known(plane.localAddresses);
  if (!isKnown(destination) || !own) return cannotTell(moving, at, [{ kind: "links", place: { node: node.node } }]);
  const address = textOf(destination);
  if (own.has(address)) return toStack(walk, moving, node, identity, device);
  const there = endpointAt(node, address);
  if (there === "unknown") return cannotTell(moving, at, [node.missing("ciliumEndpoints")]);
  if (there !== "none") {
    const route = lookupRoute(plane, { destination });
    if (route.end === "unknown" && !isWhole(plane.routes))
      return cannotTell(moving, at, [{ kind: "routes", place: { node: node.node } }]);
    // with a route to each endpoint, the kernel has its say (enable-endpoint-routes)
    const isRouted = route.end === "via" && route.hops.some((hop) => hop.device === there.device);
    if (isRouted) return toStack(walk, moving, node, identity, device);
    return deliver(walk, moving, node, there, there.id === endpoint.id ? "itself" : identity);
  }
  const to = whereabouts(node, destination);
  if (to === "unknown") return cannotTell(moving, at, [node.missing("ciliumIpcache")]);
  return throughTunnel(walk, moving, node, identity, to) ?? toStack(walk, moving, node, identity, device);
}
