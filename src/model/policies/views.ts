/**
 * Policies of every kind in one vocabulary: whom one selects, in which directions it isolates them, and the rules by which
 * it allows or denies. Kubernetes' own are read here, those of enforcers beside their enforcer (cilium/policies.ts).
 */
import type { ListId } from "../../evidence/catalogue.ts";
import { contains, type Family, isOfFamily, parseIp, parsePrefix } from "../../net/ip.ts";
import type { Metadata, NetworkPolicy, PolicyPeer, PolicyPort } from "../../parse/objects.ts";
import { type Labels, selects } from "../labels.ts";
import type { PodView } from "../pods.ts";
import { type Ref, ref } from "../ref.ts";

export type Direction = "ingress" | "egress";

/**
 * One end of a connection, as a policy sees it: a Pod of the Pod network, with the address family that it uses, or an address
 * (of a node, if it is one).
 */
export type PolicyEnd =
  | { readonly pod: PodView; readonly family?: Family }
  | { readonly address: string; readonly node?: string };

export type PolicyTraffic = { readonly protocol: string; readonly port: number };

/** What of a Pod, or of a workload's template, selectors look at. */
export type Selectable = {
  readonly namespace: string;
  readonly labels: Labels;
  /** Of its namespace. */
  readonly namespaceLabels: Labels;
  readonly account?: string;
};

/** Unknown where it depends on what nobody sees: names, addresses outside. */
export type Answer = boolean | "unknown";

export type PeerView = {
  /** By what it means others: Pods by their labels, of which there may be none, or what is outside by names. */
  readonly by?: "label" | "name";
  /** Whether it means Pods like this one. */
  means(pod: Selectable): Answer;
  /** Whether it means an end that is no Pod of the Pod network. @param self the node of the Pod that the policy is about */
  meansAddress(end: { readonly address: string; readonly node?: string }, self: string | undefined): Answer;
  /** Whether it means addresses, also those of Pods. */
  readonly block?: Block;
};

export type Block = { readonly cidr: string; readonly except?: readonly string[] | null | undefined };

export type PolicyRuleView = {
  readonly direction: Direction;
  readonly action: "allow" | "deny";
  /** Empty for anybody. */
  readonly peers: readonly PeerView[];
  /** Empty for all. */
  readonly ports: readonly PolicyPort[];
  /** Whether more than peers and ports decides, which is not read. */
  readonly more?: "unknown";
};

/** A policy of any kind that denies something. */
export type Denying = {
  readonly name: string;
  readonly namespace?: string;
  readonly ref: Ref;
  readonly list: ListId;
  readonly object: { readonly metadata: Metadata };
};

export type PolicyView = {
  readonly name: string;
  /** Empty for policies of the whole cluster. */
  readonly namespace: string;
  readonly ref: Ref;
  readonly list: ListId;
  readonly object: { readonly metadata: Metadata };
  /** What it says, as it is written. */
  readonly spec: object;
  /** In which it denies what nothing allows. */
  readonly directions: readonly Direction[];
  readonly rules: readonly PolicyRuleView[];
  selects(pod: Selectable): boolean;
  /** Whether it looks at labels of namespaces. */
  readonly asksNamespaces: boolean;
};

export function addressesOf(end: PolicyEnd): readonly string[] {
  if (!("pod" in end)) return [end.address];
  const { pod, family } = end;
  return family === undefined ? pod.addresses : pod.addresses.filter((address) => isOfFamily(address, family));
}

export function inBlock({ cidr, except }: Block, addresses: readonly string[]): boolean {
  const within = (range: string) => {
    const prefix = parsePrefix(range);
    return addresses.some((address) => {
      const ip = parseIp(address);
      return prefix !== undefined && ip !== undefined && contains(prefix, ip);
    });
  };
  return within(cidr) && !(except ?? []).some(within);
}

function peerOf(peer: PolicyPeer, namespace: string): PeerView {
  const { ipBlock, namespaceSelector, podSelector } = peer;
  if (ipBlock)
    return {
      means: () => false,
      meansAddress: ({ address }) => inBlock(ipBlock, [address]),
      block: ipBlock,
    };
  return {
    by: "label",
    means: (pod) =>
      (namespaceSelector ? selects(namespaceSelector, pod.namespaceLabels) : pod.namespace === namespace) &&
      (!podSelector || selects(podSelector, pod.labels)),
    meansAddress: () => false,
  };
}

/** networking.k8s.io/v1 NetworkPolicy: it only ever allows. */
export function networkPolicyView(object: NetworkPolicy): PolicyView {
  const { metadata, spec } = object;
  const namespace = metadata.namespace ?? "";
  const types = spec.policyTypes?.length
    ? spec.policyTypes
    : // what the API server fills in (pkg/apis/networking/v1/defaults.go)
      ["Ingress", ...(spec.egress?.length ? ["Egress"] : [])];
  const rule = (
    direction: Direction,
    peers: readonly PolicyPeer[] | null | undefined,
    ports: readonly PolicyPort[] | null | undefined,
  ): PolicyRuleView => ({
    direction,
    action: "allow",
    peers: (peers ?? []).map((peer) => peerOf(peer, namespace)),
    ports: ports ?? [],
  });
  return {
    name: metadata.name,
    namespace,
    ref: ref("NetworkPolicy", metadata.name, namespace),
    list: "networkpolicies",
    object,
    spec,
    directions: (["ingress", "egress"] as const).filter((direction) =>
      types.some((type) => type.toLowerCase() === direction),
    ),
    rules: [
      ...(spec.ingress ?? []).map(({ ports, from }) => rule("ingress", from, ports)),
      ...(spec.egress ?? []).map(({ ports, to }) => rule("egress", to, ports)),
    ],
    selects: (pod) => pod.namespace === namespace && selects(spec.podSelector ?? {}, pod.labels),
    asksNamespaces: [
      ...(spec.ingress ?? []).flatMap(({ from }) => from ?? []),
      ...(spec.egress ?? []).flatMap(({ to }) => to ?? []),
    ].some(({ namespaceSelector }) => namespaceSelector),
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
