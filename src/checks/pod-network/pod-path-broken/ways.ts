/** The packets that are walked to try a node's devices, bridges and routes: a few, chosen so that each part is met. */
import { isWhole, known } from "../../../evidence/observed.ts";
import type { ClusterModel } from "../../../model/model.ts";
import type { NodeView } from "../../../model/nodes.ts";
import { ipOf, type PodView, steadyPods } from "../../../model/pods.ts";
import { clusterIpOf, type ServicePort } from "../../../model/services/services.ts";
import { type Family, formatIp, type Ip, parseIp } from "../../../net/ip.ts";
import { openingPacket } from "../../../trace/packet.ts";
import type { Way } from "../../../trace/trace.ts";
import { WORLD, walk } from "../../../trace/walk.ts";

export const PARTS = [...WORLD, "time", "components"] as const;
export type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

/**
 * To a Pod beside it and on other nodes; through a Service to itself; through one to a Pod beside it; from another node
 * through a node port.
 */
export type Kind = "between" | "itself" | "beside" | "node-port";

/** Whether a bridge gives what it carries to the rules of the node, by family. */
export const BRIDGE_CALLS = {
  4: "net.bridge.bridge-nf-call-iptables",
  6: "net.bridge.bridge-nf-call-ip6tables",
} as const;

const podsOf = (node: string, family: Family, model: Model): PodView[] =>
  steadyPods(node, model).filter((pod) => ipOf(pod, family) !== undefined);

/** A way that was walked, and what for. */
export type Tried = { readonly way: Way; readonly kind: Kind; readonly from?: PodView };

/** A node, and packets of one address family on it. */
export type Where = { readonly node: NodeView; readonly family: Family };

/** A Service's port by its back ends' Pods. */
export type Served = { readonly port: ServicePort; readonly pods: ReadonlySet<PodView> };

/** Those with the fewest Pods first: a call of one is walked to each of them. */
export function servedPorts(family: Family, { services }: Model): Served[] {
  const served = services.all.flatMap((service): Served[] => {
    const port = service.proxied ? service.ports.find(({ protocol }) => protocol === "TCP") : undefined;
    return port && clusterIp(port, family) ? [{ port, pods: new Set(services.selected(service)) }] : [];
  });
  return served.sort((a, b) => a.pods.size - b.pods.size);
}

const clusterIp = ({ service }: ServicePort, family: Family): Ip | undefined =>
  parseIp(clusterIpOf(service, family) ?? "");

/** Of many Pods of one node so many are tried: the ports of a bridge are made alike. */
const MOST_CALLERS = 30;
const MOST_TARGETS = 8;

const addressesOf = (pods: readonly PodView[]): ReadonlySet<string> =>
  new Set(pods.flatMap(({ addresses }) => addresses));

/** Whether the port of the node's bridge behind which a Pod is sends frames back. */
function hasHairpin(pod: PodView, node: string, { forwarding, podNamespaces }: Model): boolean | undefined {
  const plane = forwarding.of(node);
  const peers = (known(podNamespaces.of(pod).links) ?? []).map(({ peerIndex }) => peerIndex);
  const device = known(plane.links)?.find(({ index, kind }) => kind === "veth" && peers.includes(index));
  return known(plane.bridgePorts)?.find(({ name }) => name === device?.name)?.hairpin;
}

/** By such a gateway the node itself answers (Calico). */
const LINK_LOCAL = /^(169\.254\.|fe80:)/;

/** Whether a Pod's default route is missing, or leads to an address that its node does not have. */
function lacksGateway(pod: PodView, node: string, family: Family, { forwarding, podNamespaces }: Model): boolean {
  const { routes, routes6 } = podNamespaces.of(pod);
  const table = family === 4 ? routes : routes6;
  const local = known(forwarding.of(node).localAddresses);
  if (!isWhole(table) || !local) return false;
  const way = table.value.find(({ destination }) => destination.endsWith("/0"));
  return (
    !way || way.nextHops.some(({ gateway = "" }) => gateway !== "" && !LINK_LOCAL.test(gateway) && !local.has(gateway))
  );
}

/** Whether a device of its own, or the other end of it, is not up, or it has no way out: no other Pod's packets show that. */
function looksCut(pod: PodView, node: string, family: Family, model: Model): boolean {
  const { forwarding, podNamespaces } = model;
  if (lacksGateway(pod, node, family, model)) return true;
  const own = (known(podNamespaces.of(pod).links) ?? []).filter(({ name }) => name !== "lo");
  const ends = own.flatMap(
    ({ peerIndex }) => known(forwarding.of(node).links)?.filter(({ index }) => index === peerIndex) ?? [],
  );
  return [...own, ...ends].some(({ flags }) => !flags.includes("UP"));
}

/** The Pod that the rules of a Service chose. */
function targetOf({ steps, answer }: Way, { pods }: Model): PodView | undefined {
  const sent = steps.slice(0, answer).findLast((step) => "packet" in step);
  const destination = sent && "packet" in sent ? sent.packet.destination : "unknown";
  return destination === "unknown" ? undefined : pods.byAddress(formatIp(destination));
}

export function* waysOf({ node, family }: Where, served: readonly Served[], model: Model): Iterable<Tried> {
  const mine = podsOf(node.name, family, model);
  const [from, beside] = mine;
  const others = model.nodes.all.filter(({ name }) => name !== node.name).slice(0, 3);
  const through = function* (kind: Kind, caller: PodView, { port, pods: targets }: Served): Iterable<Tried> {
    const packet = openingPacket("tcp", ipOf(caller, family), clusterIp(port, family)!, port.port);
    // of other nodes' Pods tell the ways between Pods
    const near = mine.filter((pod) => pod !== caller && targets.has(pod)).slice(0, MOST_TARGETS);
    const towards = addressesOf([caller, ...near]);
    const { ways } = walk({ from: { node: node.name, pod: caller }, packet, towards }, model);
    for (const way of ways) {
      const target = targetOf(way, model);
      if (target?.node !== undefined && target.node !== node.name) continue;
      const isOther = kind === "itself" && target !== undefined && target.key !== caller.key;
      yield { way, kind: isOther ? "beside" : kind, from: caller };
    }
  };
  if (from) {
    const peers = [beside, ...others.map(({ name }) => podsOf(name, family, model)[0])].filter(
      (pod) => pod !== undefined,
    );
    const cut = mine.filter((pod) => pod !== from && looksCut(pod, node.name, family, model)).slice(0, MOST_CALLERS);
    const pairs = [
      ...peers.map((peer) => [from, peer] as const),
      ...cut.map((pod) => [pod, peers.at(-1) ?? from] as const),
    ];
    for (const [caller, peer] of pairs) {
      const packet = openingPacket("icmp", ipOf(caller, family), ipOf(peer, family)!);
      for (const way of walk({ from: { node: node.name, pod: caller }, packet }, model).ways)
        yield { way, kind: "between", from: caller };
    }
    // hairpin is a property of each port: of those that have it, one Pod shows what the node does
    const callable = mine.flatMap((pod) => {
      const own = served.find(({ pods }) => pods.has(pod));
      return own ? [{ pod, own }] : [];
    });
    const suspects = callable.filter(({ pod }) => hasHairpin(pod, node.name, model) === false);
    for (const { pod, own } of new Set([...callable.slice(0, 1), ...suspects.slice(0, MOST_CALLERS)]))
      yield* through("itself", pod, own);
    const near = served.find(({ pods }) => mine.some((pod) => pods.has(pod)) && mine.some((pod) => !pods.has(pod)));
    const caller = near && mine.find((pod) => !near.pods.has(pod));
    if (near && caller) yield* through("beside", caller, near);
  }
  yield* waysIn({ node, family }, others, from, served, model);
}

/** From another node, and from a Pod of this one, through a node port of this one. */
function* waysIn(
  { node, family }: Where,
  others: readonly NodeView[],
  from: PodView | undefined,
  served: readonly Served[],
  model: Model,
): Iterable<Tried> {
  const open = served.find(({ port }) => port.nodePort !== undefined && !port.service.policy.externalLocal);
  const own = node.ips[family];
  if (!open || !own) return;
  const [other] = others;
  // one on this node, others on nodes whose rules are at hand
  const reached = [node, ...others].flatMap(
    ({ name }) => podsOf(name, family, model).find((pod) => open.pods.has(pod)) ?? [],
  );
  const towards = addressesOf(reached.length > 0 ? reached : [...open.pods].slice(0, 1));
  if (from) {
    const packet = openingPacket("tcp", ipOf(from, family), own, open.port.nodePort);
    for (const way of walk({ from: { node: node.name, pod: from }, packet, towards }, model).ways)
      yield { way, kind: "node-port", from };
  }
  if (!other?.sampled) return;
  const packet = openingPacket("tcp", undefined, own, open.port.nodePort);
  for (const way of walk({ from: { node: other.name }, packet, towards }, model).ways) yield { way, kind: "node-port" };
}
