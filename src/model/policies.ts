/**
 * NetworkPolicies: whom they select, what they allow, and whether anything enforces them.
 *
 * Source: the API reference of networking.k8s.io/v1 NetworkPolicy. A policy only ever allows: a Pod that some policy
 * selects for a direction is isolated in it, and what no rule of those policies allows is denied. Traffic between a Pod
 * and its own node is always allowed (kubelet's probes), Pods on the host network count as their node.
 */

import type { ListId } from "../evidence/catalogue.ts";
import { known } from "../evidence/observed.ts";
import type { Evidence } from "../evidence/origin.ts";
import { contains, type Family, isOfFamily, parseIp, parsePrefix } from "../net/ip.ts";
import type { NetworkPolicy, PolicyPeer, PolicyPort } from "../parse/objects.ts";
import type { Components } from "./components/components.ts";
import { imageRepository } from "./components/definitions.ts";
import type { Forwarding } from "./forwarding/plane.ts";
import { selects } from "./labels.ts";
import type { Nodes } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import type { Pods, PodView } from "./pods.ts";
import { type Ref, ref } from "./ref.ts";

export type Direction = "ingress" | "egress";

/**
 * One end of a connection, as a policy sees it: a Pod of the Pod network, with the address family that it uses, or an address
 * (of a node, if it is one).
 */
export type PolicyEnd =
  | { readonly pod: PodView; readonly family?: Family }
  | { readonly address: string; readonly node?: string };

export type PolicyTraffic = { readonly protocol: string; readonly port: number };

export type PolicyVerdict =
  | { readonly state: "allowed" }
  | { readonly state: "denied"; readonly direction: Direction; readonly by: readonly PolicyView[] }
  | { readonly state: "unknown" };

export type PolicyRuleView = {
  readonly direction: Direction;
  readonly peers: readonly PolicyPeer[];
  readonly ports: readonly PolicyPort[];
};

export type PolicyView = {
  readonly name: string;
  readonly namespace: string;
  readonly ref: Ref;
  readonly object: NetworkPolicy;
  readonly directions: readonly Direction[];
  readonly rules: readonly PolicyRuleView[];
};

export interface Policies {
  readonly all: readonly PolicyView[];
  readonly whole: boolean;
  /** The Pods that a policy selects. */
  selected(policy: PolicyView): readonly PodView[];
  /** The policies that isolate a Pod in a direction. */
  isolating(pod: PodView, direction: Direction): readonly PolicyView[];
  /** What the policies say of a connection, enforced or not. */
  verdict(from: PolicyEnd, to: PolicyEnd, traffic: PolicyTraffic): PolicyVerdict;
  /** Whether one rule allows a connection, seen from the Pod `self` that its policy selects. */
  ruleAllows(
    policy: PolicyView,
    rule: PolicyRuleView,
    self: PodView,
    other: PolicyEnd,
    traffic: PolicyTraffic,
  ): boolean;
  /** The Pods that a peer of a policy means; undefined for an ipBlock. */
  peerPods(policy: PolicyView, peer: PolicyPeer): readonly PodView[] | undefined;
  /** Whether the enforcers have policies of other kinds, which are not read; “unknown” of enforcers that may have some. */
  readonly others: "none" | "some" | "unknown";
  /** What enforces policies here: "nothing" only if all that could was looked at. */
  readonly enforcement: "enforced" | "nothing" | "unknown";
  quote(policy: PolicyView, words: string): Evidence;
}

/** Enforcers that are not among the components that we know closer. */
const OTHER_ENFORCERS =
  /network-policy|azure-npm|ovn-kube|openshift.*(sdn|network)|kube-ovn|romana|contiv|nuage|tungsten|anetd|canal|cilium|calico|antrea|weave|kube-router|netpol/;

/** Chains by which an enforcer shows itself on a node (kube-router also inside k3s, Calico, Weave, Azure). */
/** Tables of nftables that enforcers of NetworkPolicies make. */
const ENFORCER_TABLES = /^(calico|kube-network-policies|antrea)/;
const ENFORCER_CHAINS = /^(KUBE-ROUTER-|KUBE-NWPLCY-|cali-|WEAVE-NPC|AZURE-NPM|ANTREA-|CILIUM_)/;

function viewOf(object: NetworkPolicy): PolicyView {
  const { metadata, spec } = object;
  const namespace = metadata.namespace ?? "";
  const types = spec.policyTypes?.length
    ? spec.policyTypes
    : // what the API server fills in (pkg/apis/networking/v1/defaults.go)
      ["Ingress", ...(spec.egress?.length ? ["Egress"] : [])];
  const directions = (["ingress", "egress"] as const).filter((direction) =>
    types.some((type) => type.toLowerCase() === direction),
  );
  return {
    name: metadata.name,
    namespace,
    ref: ref("NetworkPolicy", metadata.name, namespace),
    object,
    directions,
    rules: [
      ...(spec.ingress ?? []).map(({ ports, from }) => ({
        direction: "ingress" as const,
        peers: from ?? [],
        ports: ports ?? [],
      })),
      ...(spec.egress ?? []).map(({ ports, to }) => ({
        direction: "egress" as const,
        peers: to ?? [],
        ports: ports ?? [],
      })),
    ],
  };
}

/** Whether a rule's port is the one of a connection; a named port is one of the Pod that is connected to. */
export function portAllows(port: PolicyPort, traffic: PolicyTraffic, target: PolicyEnd): boolean {
  if ((port.protocol ?? "TCP") !== traffic.protocol) return false;
  if (port.port === null || port.port === undefined) return true;
  if (typeof port.port === "number") return traffic.port >= port.port && traffic.port <= (port.endPort ?? port.port);
  if (!("pod" in target)) return false;
  return namedPorts(target.pod, port.port, traffic.protocol).includes(traffic.port);
}

/** The numbers that a port name has in a Pod. */
export function namedPorts(pod: PodView, name: string, protocol: string): readonly number[] {
  return pod.object.spec.containers
    .flatMap(({ ports }) => ports ?? [])
    .filter((port) => port.name === name && (port.protocol ?? "TCP") === protocol)
    .map(({ containerPort }) => containerPort);
}

function addressesOf(end: PolicyEnd): readonly string[] {
  if (!("pod" in end)) return [end.address];
  const { pod, family } = end;
  return family === undefined ? pod.addresses : pod.addresses.filter((address) => isOfFamily(address, family));
}

function inBlock(block: NonNullable<PolicyPeer["ipBlock"]>, end: PolicyEnd): boolean {
  const within = (cidr: string) => {
    const prefix = parsePrefix(cidr);
    return addressesOf(end).some((address) => {
      const ip = parseIp(address);
      return prefix !== undefined && ip !== undefined && contains(prefix, ip);
    });
  };
  return within(block.cidr) && !(block.except ?? []).some(within);
}

export function policiesOf(
  objects: Objects,
  pods: Pods,
  nodes: Nodes,
  components: Components,
  forwarding: Forwarding,
): Policies {
  const all = objects.all("networkpolicies").map(viewOf);
  const namespaceLabels = new Map(
    objects.all("namespaces").map(({ metadata }) => [
      metadata.name,
      // the API server puts this label on every namespace since 1.21
      { "kubernetes.io/metadata.name": metadata.name, ...metadata.labels },
    ]),
  );
  const labelsOf = (namespace: string) =>
    namespaceLabels.get(namespace) ?? { "kubernetes.io/metadata.name": namespace };

  const selectsPod = (policy: PolicyView, pod: PodView) =>
    pod.namespace === policy.namespace && !pod.hostNetwork && selects(policy.object.spec.podSelector ?? {}, pod.labels);

  function meansPod(policy: PolicyView, peer: PolicyPeer, pod: PodView): boolean {
    if (peer.ipBlock || pod.hostNetwork) return false;
    const inNamespace = peer.namespaceSelector
      ? selects(peer.namespaceSelector, labelsOf(pod.namespace))
      : pod.namespace === policy.namespace;
    return inNamespace && (!peer.podSelector || selects(peer.podSelector, pod.labels));
  }

  const byNamespace = new Map<string, PolicyView[]>();
  for (const policy of all) {
    const known = byNamespace.get(policy.namespace);
    if (known) known.push(policy);
    else byNamespace.set(policy.namespace, [policy]);
  }
  const isolating = (pod: PodView, direction: Direction) =>
    (byNamespace.get(pod.namespace) ?? []).filter(
      (policy) => policy.directions.includes(direction) && selectsPod(policy, pod),
    );

  function ruleAllows(
    policy: PolicyView,
    rule: PolicyRuleView,
    self: PodView,
    other: PolicyEnd,
    traffic: PolicyTraffic,
  ) {
    const target: PolicyEnd = rule.direction === "ingress" ? { pod: self } : other;
    if (rule.ports.length > 0 && !rule.ports.some((port) => portAllows(port, traffic, target))) return false;
    if (rule.peers.length === 0) return true;
    return rule.peers.some((peer) =>
      peer.ipBlock ? inBlock(peer.ipBlock, other) : "pod" in other && meansPod(policy, peer, other.pod),
    );
  }

  /** Whether a policy looks at labels of namespaces that were not seen. */
  const isGuess = (policy: PolicyView) =>
    !objects.isWhole("namespaces") && policy.rules.some(({ peers }) => peers.some((peer) => peer.namespaceSelector));

  function denies(
    self: PolicyEnd,
    other: PolicyEnd,
    direction: Direction,
    traffic: PolicyTraffic,
  ): readonly PolicyView[] {
    if (!("pod" in self) || self.pod.hostNetwork) return [];
    const policies = isolating(self.pod, direction);
    const allowed = policies.some((policy) =>
      policy.rules.some((rule) => rule.direction === direction && ruleAllows(policy, rule, self.pod, other, traffic)),
    );
    return allowed ? [] : policies;
  }

  const isOwnNode = (end: PolicyEnd, other: PolicyEnd) =>
    !("pod" in end) && end.node !== undefined && "pod" in other && other.pod.node === end.node;

  return {
    all,
    whole: objects.isWhole("networkpolicies") && !all.some(isGuess),
    selected: (policy) => pods.inNamespace(policy.namespace).filter((pod) => selectsPod(policy, pod)),
    isolating,
    ruleAllows,
    peerPods(policy, peer) {
      if (peer.ipBlock) return undefined;
      const candidates = peer.namespaceSelector ? pods.all : pods.inNamespace(policy.namespace);
      return candidates.filter((pod) => meansPod(policy, peer, pod));
    },
    verdict(from, to, traffic) {
      if (isOwnNode(from, to) || isOwnNode(to, from)) return { state: "allowed" };
      for (const direction of ["egress", "ingress"] as const) {
        const by = direction === "egress" ? denies(from, to, direction, traffic) : denies(to, from, direction, traffic);
        if (by.some(isGuess)) return { state: "unknown" };
        if (by.length > 0) return { state: "denied", direction, by };
      }
      return objects.isWhole("networkpolicies") ? { state: "allowed" } : { state: "unknown" };
    },
    others: othersOf(objects, components),
    enforcement: enforcementOf(objects, pods, nodes, components, forwarding),
    quote: (policy, words) => objects.quote("networkpolicies", policy.object, words),
  };
}

/** Kinds of policies that enforcers bring along; kube-router has none. */
const OTHER_KINDS: Readonly<Record<string, readonly ListId[]>> = {
  cilium: ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"],
  "calico-node": ["caliconetworkpolicies", "globalnetworkpolicies"],
  "kube-router": [],
};
const OF_ADMINISTRATORS = /^(baseline)?adminnetworkpolicies\./;

function othersOf(objects: Objects, components: Components): Policies["others"] {
  const enforcers = components.withDuty("policy");
  const lists = enforcers.map(({ definition }) => OTHER_KINDS[definition.id]);
  const known = lists.flatMap((list) => list ?? []);
  if (known.some((list) => objects.all(list).length > 0)) return "some";
  if (objects.all("customresourcedefinitions").some(({ metadata }) => OF_ADMINISTRATORS.test(metadata.name)))
    return "unknown";
  // a kind that the API server does not serve is absent
  const isNone = (list: ListId) => objects.isWhole(list) || objects.observed(list).state === "absent";
  return lists.length > 0 && lists.every((list) => list?.every(isNone)) ? "none" : "unknown";
}

function enforcementOf(
  objects: Objects,
  pods: Pods,
  nodes: Nodes,
  components: Components,
  forwarding: Forwarding,
): Policies["enforcement"] {
  if (components.withDuty("policy").some(({ pods: running }) => running.length > 0)) return "enforced";
  const specs = [
    ...pods.all.map(({ object }) => object.spec),
    ...objects.all("daemonsets").map(({ spec }) => spec.template.spec),
  ];
  const images = specs.flatMap(({ containers }) => containers.map(({ image }) => imageRepository(image ?? "")));
  if (images.some((image) => OTHER_ENFORCERS.test(image))) return "enforced";
  const isEnforced = ({ name }: { readonly name: string }) =>
    known(forwarding.of(name).iptables)
      ?.tables.find((table) => table.name === "filter")
      ?.chains.some((chain) => ENFORCER_CHAINS.test(chain.name)) ||
    known(forwarding.of(name).nftables)?.tables.some((table) => ENFORCER_TABLES.test(table.name));
  if (nodes.all.some(isEnforced)) return "enforced";
  // flannel alone enforces nothing; any other network may do it in ways that we do not see
  const onlyFlannel = components.withDuty("cni").every(({ definition }) => definition.id === "flannel");
  const flannelRuns = components.byId("flannel").length > 0;
  return onlyFlannel && flannelRuns && components.whole && pods.whole ? "nothing" : "unknown";
}
