/**
 * Policies: whom they select, what they allow, and whether anything enforces them.
 *
 * Source: the API reference of networking.k8s.io/v1 NetworkPolicy. A Pod that some policy selects for a direction is isolated
 * in it, and what no rule of those policies allows is denied. Traffic between a Pod and its own node is always allowed
 * (kubelet's probes), Pods on the host network count as their node. Policies of Cilium's kinds are among them, those
 * of Calico's kinds beside them: they are asked in an order. Those of other enforcers are not read.
 */

import type { ListId } from "../../evidence/catalogue.ts";
import { known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import { type CalicoPolicies, calicoPoliciesOf } from "../calico/policies.ts";
import { alwaysEnforced, ciliumPolicyViews } from "../cilium/network-policies.ts";
import type { Component, Components } from "../components/components.ts";
import { imageRepository } from "../components/definitions.ts";
import type { Forwarding } from "../forwarding/plane.ts";
import { POLICY_QUEUES } from "../netfilter/effect.ts";
import type { Nodes } from "../nodes.ts";
import type { Objects } from "../objects.ts";
import type { Pods, PodView } from "../pods.ts";
import {
  type Answer,
  addressesOf,
  type Denying,
  type Direction,
  inBlock,
  networkPolicyView,
  type PeerView,
  type PolicyEnd,
  type PolicyRuleView,
  type PolicyTraffic,
  type PolicyView,
  portAllows,
  type Selectable,
} from "./views.ts";

export type PolicyVerdict =
  | { readonly state: "allowed" }
  | { readonly state: "denied"; readonly direction: Direction; readonly by: readonly Denying[] }
  | { readonly state: "unknown" };

export interface Policies {
  readonly all: readonly PolicyView[];
  readonly whole: boolean;
  /** The Pods that a policy selects. */
  selected(policy: PolicyView): readonly PodView[];
  /** The policies that isolate a Pod in a direction. */
  isolating(pod: PodView, direction: Direction): readonly PolicyView[];
  /** Whether a policy of any kind selects a Pod for a direction, or may do so. */
  isolates(pod: PodView, direction: Direction): boolean;
  /** Those of Calico's own kinds; none where Calico does not enforce. */
  readonly calico: CalicoPolicies;
  /** What the policies say of a connection, enforced or not. */
  verdict(from: PolicyEnd, to: PolicyEnd, traffic: PolicyTraffic): PolicyVerdict;
  /** The Pods that a peer of a policy means; undefined of one that means others than Pods by their labels. */
  peerPods(peer: PeerView): readonly PodView[] | undefined;
  /** What selectors look at of Pods that a template would make. */
  selectable(namespace: string, labels: Readonly<Record<string, string>>, account?: string): Selectable;
  /** Whether the enforcers have policies of other kinds, which are not read; “unknown” of enforcers that may have some. */
  readonly others: "none" | "some" | "unknown";
  /** What enforces policies here: "nothing" only if all that could was looked at. */
  readonly enforcement: "enforced" | "nothing" | "unknown";
  quote(policy: Denying, words: string): Evidence;
}

/** Enforcers that are not among the components that we know closer. */
const OTHER_ENFORCERS =
  /network-policy|azure-npm|ovn-kube|openshift.*(sdn|network)|kube-ovn|romana|contiv|nuage|tungsten|anetd|canal|cilium|calico|antrea|weave|kube-router|netpol/;

/** Tables of nftables that enforcers of NetworkPolicies make. */
const ENFORCER_TABLES = /^(calico|(kube|kindnet)-network-policies|antrea)/;
/** Chains by which an enforcer shows itself on a node (kube-router also inside k3s, Calico, Weave, Azure). */
const ENFORCER_CHAINS = /^(KUBE-ROUTER-|KUBE-NWPLCY-|cali-|WEAVE-NPC|AZURE-NPM|ANTREA-|CILIUM_)/;
const OF_KUBE_ROUTER = /^KUBE-(ROUTER|NWPLCY)-/;

const CILIUM_LISTS = ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"] as const;

export function policiesOf(
  objects: Objects,
  pods: Pods,
  nodes: Nodes,
  components: Components,
  forwarding: Forwarding,
): Policies {
  const isCilium = components.byId("cilium").length > 0;
  const config = objects.all("configmaps").find(({ metadata }) => metadata.name === "cilium-config");
  const setting = (key: string) => config?.data?.[key];
  const cluster = setting("cluster-name") ?? "default";
  const all = [
    ...objects.all("networkpolicies").map(networkPolicyView),
    ...CILIUM_LISTS.flatMap((list) => objects.all(list).flatMap((one) => ciliumPolicyViews(one, list, cluster))),
    ...(isCilium && config && setting("enable-policy") === "always" ? [alwaysEnforced(config)] : []),
  ];
  const isCalico = components.byId("calico-node").length > 0;
  const calico = calicoPoliciesOf(isCalico ? objects : undefined);
  const namespaceLabels = new Map(
    objects.all("namespaces").map(({ metadata }) => [
      metadata.name,
      // the API server puts this label on every namespace since 1.21
      { "kubernetes.io/metadata.name": metadata.name, ...metadata.labels },
    ]),
  );
  const selectable: Policies["selectable"] = (namespace, labels, account) => ({
    namespace,
    labels,
    namespaceLabels: namespaceLabels.get(namespace) ?? { "kubernetes.io/metadata.name": namespace },
    ...(account && { account }),
  });
  const made = new Map<PodView, Selectable>();
  const selectableOf = (pod: PodView): Selectable => {
    const one = made.get(pod) ?? selectable(pod.namespace, pod.labels, pod.object.spec.serviceAccountName ?? undefined);
    made.set(pod, one);
    return one;
  };

  const selectsPod = (policy: PolicyView, pod: PodView) => !pod.hostNetwork && policy.selects(selectableOf(pod));

  const byNamespace = Map.groupBy(all, ({ namespace }) => namespace);
  const selecting = (pod: PodView) =>
    [...(byNamespace.get(pod.namespace) ?? []), ...(byNamespace.get("") ?? [])].filter((policy) =>
      selectsPod(policy, pod),
    );
  const isolating = (pod: PodView, direction: Direction) =>
    selecting(pod).filter(({ directions }) => directions.includes(direction));

  /** Ranges of addresses mean what is outside the cluster to Cilium (docs: “CIDR rules do not apply to Pods”). */
  function inRange({ block }: PeerView, other: PolicyEnd): boolean {
    if (!block) return false;
    const isOfCluster = "pod" in other || other.node !== undefined;
    return !(isCilium && isOfCluster) && inBlock(block, addressesOf(other));
  }

  function means(peer: PeerView, self: PodView, other: PolicyEnd): Answer {
    if (peer.block) return inRange(peer, other);
    if (!("pod" in other)) return peer.meansAddress(other, self.node);
    if (!other.pod.hostNetwork) return peer.means(selectableOf(other.pod));
    const [address = ""] = addressesOf(other);
    return peer.meansAddress({ address, ...(other.pod.node !== undefined && { node: other.pod.node }) }, self.node);
  }

  function matches(rule: PolicyRuleView, self: PodView, other: PolicyEnd, traffic: PolicyTraffic): Answer {
    const target: PolicyEnd = rule.direction === "ingress" ? { pod: self } : other;
    if (rule.ports.length > 0 && !rule.ports.some((port) => portAllows(port, traffic, target))) return false;
    const answers = rule.peers.map((peer) => means(peer, self, other));
    if (rule.peers.length === 0 || answers.includes(true)) return rule.more ?? true;
    return answers.includes("unknown") ? "unknown" : false;
  }

  /** Whether a policy looks at labels of namespaces that were not seen. */
  const isGuess = ({ asksNamespaces }: PolicyView) => asksNamespaces && !objects.isWhole("namespaces");

  /** Who denies one end a connection, but for Calico's own policies. */
  function commonlyDenied(
    pod: PodView,
    other: PolicyEnd,
    direction: Direction,
    traffic: PolicyTraffic,
  ): readonly PolicyView[] | "unknown" {
    const policies = selecting(pod);
    const answersOf = ({ rules }: PolicyView, action: PolicyRuleView["action"]) =>
      rules
        .filter((rule) => rule.direction === direction && rule.action === action)
        .map((rule) => matches(rule, pod, other, traffic));
    const denying = policies.map((policy) => ({ policy, answers: answersOf(policy, "deny") }));
    const refusing = denying.filter(({ answers }) => answers.includes(true)).map(({ policy }) => policy);
    if (refusing.length > 0) return refusing;
    if (denying.some(({ answers }) => answers.includes("unknown"))) return "unknown";
    const isolated = policies.filter(({ directions }) => directions.includes(direction));
    if (isolated.length === 0) return [];
    const allowing = policies.flatMap((policy) => answersOf(policy, "allow"));
    if (allowing.includes(true)) return [];
    return allowing.includes("unknown") || isolated.some(isGuess) ? "unknown" : isolated;
  }

  function denies(
    self: PolicyEnd,
    other: PolicyEnd,
    direction: Direction,
    traffic: PolicyTraffic,
  ): readonly Denying[] | "unknown" {
    if (!("pod" in self) || self.pod.hostNetwork) return [];
    const common = commonlyDenied(self.pod, other, direction, traffic);
    if (common === "unknown" || calico.all.length === 0) return common;
    const isSelected = isolating(self.pod, direction).length > 0;
    const says = common.length > 0 ? "isolates" : isSelected ? "allows" : "does-not-select";
    const verdict = calico.verdict(self.pod, other, direction, traffic, says);
    if (verdict.state === "unknown") return "unknown";
    return verdict.state === "denied" ? [...verdict.by, ...(verdict.isolatedByKubernetes ? common : [])] : [];
  }

  const isOwnNode = (end: PolicyEnd, other: PolicyEnd) =>
    !("pod" in end) && end.node !== undefined && "pod" in other && other.pod.node === end.node;
  let queues: boolean | undefined;
  /** Whether what comes in to a node is handed to kube-network-policies. */
  const isQueued = (): boolean => {
    queues ??= nodes.all.some(({ name }) =>
      known(forwarding.of(name).nftables)?.tables.some(
        (table) => POLICY_QUEUES.test(table.name) && table.chains.some(({ base }) => base?.hook === "input"),
      ),
    );
    return queues;
  };
  const listsWhole =
    objects.isWhole("networkpolicies") && (!isCilium || CILIUM_LISTS.every((list) => isRead(list, objects)));

  return {
    all,
    whole: listsWhole && !all.some(isGuess),
    selected: (policy) =>
      (policy.namespace === "" ? pods.all : pods.inNamespace(policy.namespace)).filter((pod) =>
        selectsPod(policy, pod),
      ),
    isolating,
    isolates: (pod, direction) =>
      isolating(pod, direction).length > 0 || calico.selecting(pod, direction)?.length !== 0,
    calico,
    selectable,
    peerPods: (peer) =>
      peer.by === "label"
        ? pods.all.filter((pod) => !pod.hostNetwork && peer.means(selectableOf(pod)) === true)
        : undefined,
    verdict(from, to, traffic) {
      // Felix holds what Pods send to their own node to their policies as well (cali-wl-to-host), and so do others
      const isFree = isOwnNode(from, to) || (isOwnNode(to, from) && !isCalico && !isCilium && !isQueued());
      if (isFree) return { state: "allowed" };
      for (const direction of ["egress", "ingress"] as const) {
        const by = direction === "egress" ? denies(from, to, direction, traffic) : denies(to, from, direction, traffic);
        if (by === "unknown") return { state: "unknown" };
        if (by.length > 0) return { state: "denied", direction, by };
      }
      return listsWhole ? { state: "allowed" } : { state: "unknown" };
    },
    others: othersOf(objects, components, nodes, forwarding),
    enforcement:
      isCilium && setting("enable-policy") === "never"
        ? "nothing"
        : enforcementOf(objects, pods, nodes, components, forwarding),
    quote: ({ list, object }, words) => objects.quote(list, object, words),
  };
}

/** A kind that the API server does not serve is absent. */
const isRead = (list: ListId, objects: Objects) => objects.isWhole(list) || objects.observed(list).state === "absent";

/** Kinds of policies that enforcers bring along beside those read for all; kube-router has none. */
const OTHER_KINDS: Readonly<Record<string, readonly ListId[]>> = {
  cilium: [],
  "calico-node": ["caliconetworkpolicies", "globalnetworkpolicies"],
  "kube-router": [],
};
const READ: ReadonlySet<ListId> = new Set(["caliconetworkpolicies", "globalnetworkpolicies"]);
const OF_ADMINISTRATORS = /^(baseline)?adminnetworkpolicies\./;

/** An enforcer that is no Pod, by its chains: k3s has kube-router's inside its one process. */
function embedded(nodes: Nodes, forwarding: Forwarding): readonly string[] {
  const found = nodes.all.flatMap(({ name }) => {
    const filter = known(forwarding.of(name).iptables)?.tables.find((table) => table.name === "filter");
    return (filter?.chains ?? []).flatMap((chain) => (ENFORCER_CHAINS.test(chain.name) ? chain.name : []));
  });
  return found.length > 0 && found.every((name) => OF_KUBE_ROUTER.test(name)) ? ["kube-router"] : [];
}

function othersOf(objects: Objects, components: Components, nodes: Nodes, forwarding: Forwarding): Policies["others"] {
  const enforcers = components.withDuty("policy").map(({ definition }) => definition.id);
  const lists = (enforcers.length > 0 ? enforcers : embedded(nodes, forwarding)).map((id) => OTHER_KINDS[id]);
  const known = lists.flatMap((list) => list ?? []);
  if (known.some((list) => !READ.has(list) && objects.all(list).length > 0)) return "some";
  if (objects.all("customresourcedefinitions").some(({ metadata }) => OF_ADMINISTRATORS.test(metadata.name)))
    return "unknown";
  return lists.length > 0 && lists.every((list) => list?.every((one) => isRead(one, objects))) ? "none" : "unknown";
}

/** kindnet's images bear their day; NetworkPolicies came with kind v0.24.0. */
const KINDNET_ENFORCES = 20240723;

function enforcesNothing({ definition, version }: Component): boolean {
  const day = /^v(\d{8})-/.exec(version ?? "")?.[1];
  return definition.id === "flannel" || (definition.id === "kindnet" && Number(day ?? Infinity) < KINDNET_ENFORCES);
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
  // these alone enforce nothing; any other network may do it in ways that we do not see
  const networks = components.withDuty("cni");
  const isKnown = networks.length > 0 && components.whole && pods.whole;
  return isKnown && networks.every(enforcesNothing) ? "nothing" : "unknown";
}
