/**
 * Policies of Cilium's own kinds (cilium.io/v2, pkg/policy/api; pkg/k8s/apis/cilium.io/utils, ParseToCiliumRule).
 *
 * They add up with NetworkPolicies: a Pod that one of them selects with rules of a direction is isolated in it, and what one
 * allows is allowed; what a rule denies is denied, whatever allows it. Ranges of addresses mean what is outside the cluster,
 * never Pods or nodes.
 */
import type { ObjectOf } from "../../evidence/catalogue.ts";
import type {
  CiliumPolicy,
  CiliumPolicyRule,
  CiliumPolicySpec,
  LabelSelector,
  PolicyPort,
} from "../../parse/objects.ts";
import { type Labels, selects } from "../labels.ts";
import type { Answer, Direction, PeerView, PolicyRuleView, PolicyView, Selectable } from "../policies/views.ts";
import { inBlock } from "../policies/views.ts";
import { ref } from "../ref.ts";

const NAMESPACE = "io.kubernetes.pod.namespace";
const NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels.";
const ACCOUNT = "io.cilium.k8s.policy.serviceaccount";
const CLUSTER = "io.cilium.k8s.policy.cluster";

/**
 * Labels that make no identity, so that no selector finds Pods by them, unless the configuration says otherwise
 * (pkg/labelsfilter/filter.go, defaultLabelPrefixCfg). Each is the beginning of a key.
 */
const NO_IDENTITY =
  /^(?:io\.kubernetes|kubernetes\.io|statefulset\.kubernetes\.io\/pod-name|apps\.kubernetes\.io\/pod-index|batch\.kubernetes\.io\/(?:job-completion-index|controller-uid)|.*beta\.kubernetes\.io|k8s\.io|pod-template-(?:generation|hash)|controller-(?:revision-hash|uid)|annotation|etcd_node)/;

/** @param cluster the name that Cilium has for this one */
function identityLabels({ namespace, labels, namespaceLabels, account }: Selectable, cluster: string): Labels {
  const own = Object.entries(labels).filter(([key]) => !NO_IDENTITY.test(key));
  const ofNamespace = Object.entries(namespaceLabels).map(([key, value]) => [`${NAMESPACE_LABELS}${key}`, value]);
  return Object.fromEntries([
    ...own,
    ...ofNamespace,
    [NAMESPACE, namespace],
    [ACCOUNT, account ?? "default"],
    [CLUSTER, cluster],
  ]);
}

/** `k8s:app`, `any:app` and `app` mean a label of a Pod; of other sources (`reserved:host`) it has none. */
const SOURCE = /^(k8s|any)[:.](?=.)/;
const OTHER_SOURCE = /^(reserved|cidr|container|cni|fqdn|unspec|mesos|cilium-generated)[:.]/;

function unprefixed({ matchLabels, matchExpressions }: LabelSelector): LabelSelector {
  const key = (written: string) => (OTHER_SOURCE.test(written) ? written : written.replace(SOURCE, ""));
  return {
    matchLabels: Object.fromEntries(Object.entries(matchLabels ?? {}).map(([name, value]) => [key(name), value])),
    matchExpressions: (matchExpressions ?? []).map((one) => ({ ...one, key: key(one.key) })),
  };
}

const keysOf = ({ matchLabels, matchExpressions }: LabelSelector): readonly string[] => [
  ...Object.keys(matchLabels ?? {}),
  ...(matchExpressions ?? []).map(({ key }) => key),
];

/** Of the peers of a policy in a namespace, those of that namespace are meant unless they say another. */
function peerByLabels(written: LabelSelector, namespace: string, cluster: string): PeerView {
  const selector = unprefixed(written);
  const isReserved = Object.keys(written.matchLabels ?? {}).some((key) => /^reserved[:.]/.test(key));
  const isBound = namespace !== "" && !isReserved && !keysOf(selector).includes(NAMESPACE);
  return {
    ...(!isReserved && { by: "label" as const }),
    means: (pod) => (!isBound || pod.namespace === namespace) && selects(selector, identityLabels(pod, cluster)),
    // nodes and the world are meant by reserved labels
    meansAddress: () => (isReserved ? "unknown" : false),
  };
}

const beside = (meansAddress: PeerView["meansAddress"], pods: Answer = false): PeerView => ({
  means: () => pods,
  meansAddress,
});

/** pkg/policy/api/entity.go */
function peerByEntity(entity: string): PeerView {
  switch (entity) {
    case "all":
      return beside(() => true, true);
    case "cluster":
      return beside(({ node }) => node !== undefined, true);
    case "world":
      return beside(({ node }) => node === undefined);
    case "world-ipv4":
      return beside(({ node, address }) => node === undefined && !address.includes(":"));
    case "world-ipv6":
      return beside(({ node, address }) => node === undefined && address.includes(":"));
    case "host":
      return beside(({ node }, self) => node !== undefined && node === self);
    case "remote-node":
      return beside(({ node }, self) => node !== undefined && node !== self);
    case "kube-apiserver":
      // it may be on a node, and outside
      return beside(() => "unknown");
    case "init":
    case "health":
    case "ingress":
    case "unmanaged":
    case "none":
      return beside(() => false);
    default:
      return beside(() => "unknown", "unknown");
  }
}

function peerByRange(cidr: string, except: readonly string[] | null | undefined): PeerView {
  const block = { cidr, ...(except && { except }) };
  return beside(({ node, address }) => node === undefined && inBlock(block, [address]));
}

const outside = (): PeerView => beside(({ node }) => (node === undefined ? "unknown" : false));

/** @returns undefined for nobody at all: a list that is there and empty, and no other */
function peersOf(rule: CiliumPolicyRule, direction: Direction, namespace: string, cluster: string) {
  const isIn = direction === "ingress";
  const endpoints = isIn ? rule.fromEndpoints : rule.toEndpoints;
  const ranges = isIn ? rule.fromCIDRSet : rule.toCIDRSet;
  const peers = [
    ...(endpoints ?? []).map((selector) => peerByLabels(selector, namespace, cluster)),
    ...((isIn ? rule.fromEntities : rule.toEntities) ?? []).map(peerByEntity),
    ...((isIn ? rule.fromCIDR : rule.toCIDR) ?? []).map((cidr) => peerByRange(cidr, undefined)),
    ...(ranges ?? []).map(({ cidr, except }) => (cidr ? peerByRange(cidr, except) : outside())),
    ...((isIn ? rule.fromNodes : rule.toNodes) ?? []).map(() =>
      beside(({ node }) => (node === undefined ? false : "unknown")),
    ),
    ...(rule.toFQDNs?.length ? [{ ...outside(), by: "name" as const }] : []),
    ...((isIn ? rule.fromGroups : rule.toGroups)?.length ? [outside()] : []),
    ...(rule.toServices?.length ? [beside(() => "unknown", "unknown")] : []),
  ];
  const isEmpty = peers.length === 0 && !rule.toPorts?.length && !rule.icmps?.length;
  return isEmpty ? undefined : peers;
}

const PROTOCOLS = ["TCP", "UDP", "SCTP"];

/** Of no port it is about all; of ANY protocol about each. */
function portsOf({ toPorts, icmps }: CiliumPolicyRule): readonly PolicyPort[] {
  const ports = (toPorts ?? []).flatMap(({ ports: each }) =>
    (each ?? []).flatMap(({ port, endPort, protocol }): PolicyPort[] => {
      const number = port && /^\d+$/.test(port) ? Number(port) : port;
      const of = protocol && protocol !== "ANY" ? [protocol] : PROTOCOLS;
      return of.map((one) => ({
        protocol: one,
        ...(number && { port: number }),
        ...(endPort && { endPort }),
      }));
    }),
  );
  return ports.length === 0 && icmps?.length ? [{ protocol: "ICMP" }] : ports;
}

const RESTRICTS = /"matchName"|"matchPattern":"(?!\*")/;

/** What a proxy says of it decides for queries of DNS; to others it answers itself. */
const isProxied = ({ toPorts }: CiliumPolicyRule): boolean =>
  (toPorts ?? []).some(({ rules }) => rules?.dns && RESTRICTS.test(JSON.stringify(rules.dns)));

function rulesOf(
  rules: readonly CiliumPolicyRule[] | null | undefined,
  direction: Direction,
  action: PolicyRuleView["action"],
  namespace: string,
  cluster: string,
): PolicyRuleView[] {
  return (rules ?? []).flatMap((rule) => {
    const peers = peersOf(rule, direction, namespace, cluster);
    if (!peers) return [];
    const asksMore = (direction === "ingress" ? rule.fromRequires : rule.toRequires)?.length || isProxied(rule);
    return [{ direction, action, peers, ports: portsOf(rule), ...(asksMore && { more: "unknown" as const }) }];
  });
}

function viewOf(
  object: CiliumPolicy,
  spec: CiliumPolicySpec,
  list: "ciliumnetworkpolicies" | "ciliumclusterwidenetworkpolicies",
  cluster: string,
): PolicyView {
  const { metadata } = object;
  const namespace = list === "ciliumnetworkpolicies" ? (metadata.namespace ?? "") : "";
  const kind = namespace === "" ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy";
  const { endpointSelector, enableDefaultDeny: defaults } = spec;
  const selector = endpointSelector ? unprefixed(endpointSelector) : undefined;
  const isolates = (...rules: readonly (readonly unknown[] | null | undefined)[]) => rules.some((one) => one?.length);
  const text = JSON.stringify(spec);
  return {
    name: metadata.name,
    namespace,
    ref: namespace === "" ? ref(kind, metadata.name) : ref(kind, metadata.name, namespace),
    list,
    object,
    spec,
    directions: [
      ...(defaults?.ingress !== false && isolates(spec.ingress, spec.ingressDeny) ? (["ingress"] as const) : []),
      ...(defaults?.egress !== false && isolates(spec.egress, spec.egressDeny) ? (["egress"] as const) : []),
    ],
    rules: [
      ...rulesOf(spec.ingress, "ingress", "allow", namespace, cluster),
      ...rulesOf(spec.ingressDeny, "ingress", "deny", namespace, cluster),
      ...rulesOf(spec.egress, "egress", "allow", namespace, cluster),
      ...rulesOf(spec.egressDeny, "egress", "deny", namespace, cluster),
    ],
    // of nodes, it is none of Pods
    selects: (pod) =>
      selector !== undefined &&
      (namespace === "" || pod.namespace === namespace) &&
      selects(selector, identityLabels(pod, cluster)),
    asksNamespaces: text.includes(NAMESPACE_LABELS),
  };
}

/** @param cluster the name that Cilium has for this cluster */
export function ciliumPolicyViews(
  object: CiliumPolicy,
  list: "ciliumnetworkpolicies" | "ciliumclusterwidenetworkpolicies",
  cluster: string,
): readonly PolicyView[] {
  return [...(object.spec ? [object.spec] : []), ...(object.specs ?? [])].map((spec) =>
    viewOf(object, spec, list, cluster),
  );
}

/** `enable-policy: always` isolates all Pods both ways, as a policy would that allows nothing (pkg/option/config.go). */
export function alwaysEnforced(config: ObjectOf<"configmaps">): PolicyView {
  const { name, namespace } = config.metadata;
  return {
    name,
    namespace: "",
    ref: ref("ConfigMap", name, namespace),
    list: "configmaps",
    object: config,
    spec: { "enable-policy": config.data?.["enable-policy"] },
    directions: ["ingress", "egress"],
    rules: [],
    selects: () => true,
    asksNamespaces: false,
  };
}
