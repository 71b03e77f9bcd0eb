/**
 * Policies of Calico's own kinds, and what they make of a connection together with NetworkPolicies.
 *
 * Source: Calico felix/calc/policy_sorter.go (the order of policies: by `order`, where one without comes last, then by name),
 * felix/rules/{policy,endpoints}.go (rules in turn; what no rule of the policies that select an endpoint decides, is denied; an
 * endpoint that none selects is let do all by its profile), libcalico-go/lib/backend/k8s/conversion (labels of Pods;
 * NetworkPolicies have order 1000).
 */
import type { Evidence } from "../../evidence/origin.ts";
import { contains, parseIp, parsePrefix } from "../../net/ip.ts";
import type { CalicoEntity, CalicoPolicy, CalicoRule, HostEndpoint } from "../../parse/objects.ts";
import { type CalicoSelector, parseCalicoSelector } from "../../parse/selectors/calico.ts";
import type { Labels } from "../labels.ts";
import type { Objects } from "../objects.ts";
import type { PodView } from "../pods.ts";
import { addressesOf, type Denying, type Direction, type PolicyEnd, type PolicyTraffic } from "../policies/views.ts";
import { calicoRef, type Ref } from "../ref.ts";

/** A GlobalNetworkPolicy has no namespace. */
export type CalicoPolicyView = Denying & {
  readonly object: CalicoPolicy;
  readonly order: number;
  readonly directions: readonly Direction[];
  readonly evidence: Evidence;
};

/** What policies in their order say of one end of a connection. */
export type CalicoVerdict =
  | { readonly state: "allowed" | "not-selected" | "unknown" }
  /** `by`: the one whose rule denies it, or all that select the end and decide nothing. */
  | { readonly state: "denied"; readonly by: readonly CalicoPolicyView[]; readonly isolatedByKubernetes: boolean };

/** NetworkPolicies, as they stand among Calico's: what they say of one end. */
export type KubernetesSays = "allows" | "isolates" | "does-not-select";

/** A HostEndpoint: an interface of a node, or all of them. */
export type CalicoHost = {
  readonly ref: Ref;
  readonly node: string;
  /** In which directions nothing may pass but what Felix always lets pass (its failsafe ports). */
  readonly isolated: readonly Direction[];
  /** The policies that select it; undefined if that cannot be told. */
  readonly policies: readonly CalicoPolicyView[] | undefined;
  readonly evidence: Evidence;
};

export interface CalicoPolicies {
  readonly all: readonly CalicoPolicyView[];
  readonly hosts: readonly CalicoHost[];
  /** The policies that select a Pod, in their order; undefined if that cannot be told. */
  selecting(pod: PodView, direction: Direction): readonly CalicoPolicyView[] | undefined;
  verdict(
    self: PodView,
    other: PolicyEnd,
    direction: Direction,
    traffic: PolicyTraffic,
    kubernetes: KubernetesSays,
  ): CalicoVerdict;
}

/** Where NetworkPolicies stand (conversion/constants.go). */
const ORDER_OF_KUBERNETES = 1000;
const NAMESPACE = "projectcalico.org/namespace";

/** Whether something holds; undefined where it cannot be told. */
type Maybe = boolean | undefined;

const everyOf = (parts: Iterable<Maybe>): Maybe => {
  let all: Maybe = true;
  for (const part of parts) {
    if (part === false) return false;
    if (part === undefined) all = undefined;
  }
  return all;
};

function viewOf(
  object: CalicoPolicy,
  kind: "NetworkPolicy" | "GlobalNetworkPolicy",
  objects: Objects,
): CalicoPolicyView {
  const { metadata, spec } = object;
  const isGlobal = kind === "GlobalNetworkPolicy";
  const namespace = metadata.namespace ?? "";
  const list = isGlobal ? "globalnetworkpolicies" : "caliconetworkpolicies";
  const types = spec?.types?.length ? spec.types : ["Ingress", "Egress"];
  const words = `${kind} ${isGlobal ? "" : `${namespace}/`}${metadata.name}: ${JSON.stringify(spec)}`;
  return {
    name: metadata.name,
    ...(!isGlobal && { namespace }),
    ref: isGlobal ? calicoRef(kind, metadata.name) : calicoRef("CalicoNetworkPolicy", metadata.name, namespace),
    list,
    object,
    order: spec?.order ?? Number.POSITIVE_INFINITY,
    directions: (["ingress", "egress"] as const).filter((one) => types.some((type) => type.toLowerCase() === one)),
    evidence: objects.quote(list, object, words),
  };
}

const parsed = new Map<string, CalicoSelector | undefined>();

function met(selector: string, labels: Labels): Maybe {
  if (!parsed.has(selector)) parsed.set(selector, parseCalicoSelector(selector));
  return parsed.get(selector)?.(labels);
}

/** @param objects undefined where Calico enforces nothing */
export function calicoPoliciesOf(objects: Objects | undefined): CalicoPolicies {
  if (!objects) return { all: [], hosts: [], selecting: () => [], verdict: () => ({ state: "not-selected" }) };
  const all = [
    ...objects.all("globalnetworkpolicies").map((one) => viewOf(one, "GlobalNetworkPolicy", objects)),
    ...objects.all("caliconetworkpolicies").map((one) => viewOf(one, "NetworkPolicy", objects)),
  ]
    // these are for the nodes' own interfaces
    .filter(({ object: { spec } }) => !spec?.doNotTrack && !spec?.preDNAT)
    .sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
  const sets = [...objects.all("globalnetworksets"), ...objects.all("caliconetworksets")];
  const namespaceLabels = new Map(
    objects
      .all("namespaces")
      .map(({ metadata: { name, labels } }) => [
        name,
        { "kubernetes.io/metadata.name": name, ...labels, "projectcalico.org/name": name } as Labels,
      ]),
  );
  const knownLabels = (namespace: string): Labels =>
    namespaceLabels.get(namespace) ?? {
      "kubernetes.io/metadata.name": namespace,
      "projectcalico.org/name": namespace,
    };
  const labelsByPod = new WeakMap<PodView, Labels>();
  function labelsOf(pod: PodView): Labels {
    const known = labelsByPod.get(pod);
    if (known) return known;
    const account = pod.object.spec.serviceAccountName ?? "default";
    const made: Labels = {
      ...pod.labels,
      [NAMESPACE]: pod.namespace,
      "projectcalico.org/orchestrator": "k8s",
      "projectcalico.org/serviceaccount": account,
      ...Object.fromEntries(Object.entries(knownLabels(pod.namespace)).map(([key, value]) => [`pcns.${key}`, value])),
    };
    labelsByPod.set(pod, made);
    return made;
  }

  /** Whether the labels of its namespace meet a namespaceSelector. */
  const inNamespaces = (selector: string | null | undefined, pod: PodView): Maybe =>
    selector ? (selector === "global()" ? false : met(selector, knownLabels(pod.namespace))) : true;

  const selectsPod = ({ namespace, object: { spec } }: CalicoPolicyView, pod: PodView): Maybe =>
    everyOf([
      !pod.hostNetwork,
      namespace === undefined || namespace === pod.namespace,
      met(spec?.selector ?? "", labelsOf(pod)),
      inNamespaces(spec?.namespaceSelector, pod),
      // accounts' labels are not read
      spec?.serviceAccountSelector ? undefined : true,
    ]);

  function isInNets(nets: readonly string[], end: PolicyEnd): Maybe {
    const addresses = addressesOf(end);
    return nets.some((net) => {
      const prefix = parsePrefix(net.includes("/") ? net : `${net}/${net.includes(":") ? 128 : 32}`);
      return addresses.some((address) => {
        const ip = parseIp(address);
        return prefix !== undefined && ip !== undefined && contains(prefix, ip);
      });
    });
  }

  /** Whether an end is among the endpoints and network sets that a selector of a rule means. */
  function isMeant(
    policy: CalicoPolicyView,
    entity: NonNullable<CalicoEntity>,
    selector: string,
    end: PolicyEnd,
  ): Maybe {
    const { namespaceSelector } = entity;
    if ("pod" in end && !end.pod.hostNetwork) {
      const isThere = namespaceSelector
        ? inNamespaces(namespaceSelector, end.pod)
        : policy.namespace === undefined || policy.namespace === end.pod.namespace;
      const own = everyOf([isThere, met(selector, labelsOf(end.pod))]);
      if (own !== false) return own;
    }
    for (const { metadata, spec } of sets) {
      // a set of a namespace is meant by that one's policies; those of the cluster by all, unless namespaces are named
      const isNear = metadata.namespace
        ? metadata.namespace === policy.namespace
        : policy.namespace === undefined || namespaceSelector === "global()";
      if (isNear && met(selector, metadata.labels ?? {}) && isInNets(spec?.nets ?? [], end)) return true;
    }
    return false;
  }

  function fitsEntity(policy: CalicoPolicyView, entity: CalicoEntity, end: PolicyEnd, port: number | undefined): Maybe {
    if (!entity) return true;
    const { nets, notNets, ports, notPorts, selector, notSelector, namespaceSelector, serviceAccounts, services } =
      entity;
    // what is named by other things than addresses and labels
    if (services?.name) return undefined;
    const accounts = serviceAccounts?.names ?? [];
    return everyOf([
      nets?.length ? isInNets(nets, end) : true,
      notNets?.length ? !isInNets(notNets, end) : true,
      ports?.length ? isPort(ports, end, port) : true,
      notPorts?.length ? not(isPort(notPorts, end, port)) : true,
      selector || namespaceSelector ? isMeant(policy, entity, selector ?? "", end) : true,
      notSelector ? not(isMeant(policy, entity, notSelector, end)) : true,
      accounts.length > 0
        ? "pod" in end && accounts.includes(end.pod.object.spec.serviceAccountName ?? "default")
        : true,
      serviceAccounts?.selector ? undefined : true,
    ]);
  }

  function fits(policy: CalicoPolicyView, rule: CalicoRule, ends: Ends, { protocol, port }: PolicyTraffic): Maybe {
    const named = (one: string | number | null | undefined): Maybe =>
      one === null || one === undefined
        ? undefined
        : String(one).toUpperCase() === protocol || one === NUMBERS[protocol];
    return everyOf([
      rule.protocol === null || rule.protocol === undefined ? true : named(rule.protocol),
      rule.notProtocol === null || rule.notProtocol === undefined ? true : not(named(rule.notProtocol)),
      rule.ipVersion ? ends.family === rule.ipVersion : true,
      // from which port a connection comes is not known
      fitsEntity(policy, rule.source, ends.from, undefined),
      fitsEntity(policy, rule.destination, ends.to, port),
    ]);
  }

  function selecting(pod: PodView, direction: Direction): readonly CalicoPolicyView[] | undefined {
    const found: CalicoPolicyView[] = [];
    for (const policy of all) {
      if (!policy.directions.includes(direction)) continue;
      const selected = selectsPod(policy, pod);
      if (selected === undefined) return undefined;
      if (selected) found.push(policy);
    }
    return found;
  }

  function hostOf(object: HostEndpoint): CalicoHost[] {
    const { metadata, spec } = object;
    if (!spec?.node) return [];
    const marks = all
      .filter(({ namespace }) => namespace === undefined)
      .map((policy) => {
        const { selector, namespaceSelector } = policy.object.spec ?? {};
        const isNear = !namespaceSelector || namespaceSelector === "global()";
        return { policy, isSelected: isNear ? met(selector ?? "", metadata.labels ?? {}) : false };
      });
    const selected = marks.flatMap(({ policy, isSelected }) => (isSelected ? [policy] : []));
    const isIsolated = (direction: Direction) => {
      const about = selected.filter(({ directions }) => directions.includes(direction));
      const lets = about.some(({ object: one }) => one.spec?.[direction]?.some(({ action }) => action !== "Deny"));
      return about.length > 0 ? !lets : !spec.profiles?.length;
    };
    const isUnread = marks.some(({ isSelected }) => isSelected === undefined);
    const words = `HostEndpoint ${metadata.name}: ${JSON.stringify(spec)}`;
    return [
      {
        ref: calicoRef("HostEndpoint", metadata.name),
        node: spec.node,
        isolated: isUnread ? [] : (["ingress", "egress"] as const).filter(isIsolated),
        policies: isUnread ? undefined : selected,
        evidence: objects!.quote("hostendpoints", object, words),
      },
    ];
  }

  return {
    all,
    hosts: objects.all("hostendpoints").flatMap(hostOf),
    selecting,
    verdict(self, other, direction, traffic, kubernetes) {
      const policies = selecting(self, direction);
      // tiers are looked at in an order of their own
      if (!policies || policies.some(({ object: { spec } }) => (spec?.tier ?? "default") !== "default"))
        return { state: "unknown" };
      const ends = endsOf(self, other, direction);
      let isKubernetesAsked = false;
      const asksKubernetes = (): boolean => {
        isKubernetesAsked = true;
        return kubernetes === "allows";
      };
      for (const policy of policies) {
        if (!isKubernetesAsked && policy.order > ORDER_OF_KUBERNETES && asksKubernetes()) return { state: "allowed" };
        for (const rule of policy.object.spec?.[direction] ?? []) {
          const does = fits(policy, rule, ends, traffic);
          if (does === undefined) return { state: "unknown" };
          if (!does || rule.action === "Log") continue;
          if (rule.action === "Deny") return { state: "denied", by: [policy], isolatedByKubernetes: false };
          // what is passed on goes to the profile, which allows
          return { state: "allowed" };
        }
      }
      if (!isKubernetesAsked && asksKubernetes()) return { state: "allowed" };
      if (policies.length === 0 && kubernetes === "does-not-select") return { state: "not-selected" };
      return { state: "denied", by: policies, isolatedByKubernetes: kubernetes === "isolates" };
    },
  };
}

const NUMBERS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1 };

const not = (one: Maybe): Maybe => (one === undefined ? undefined : !one);

type Ends = { readonly from: PolicyEnd; readonly to: PolicyEnd; readonly family: number };

function endsOf(self: PodView, other: PolicyEnd, direction: Direction): Ends {
  const family = addressesOf(other).every((address) => address.includes(":")) ? 6 : 4;
  return direction === "ingress"
    ? { from: other, to: { pod: self }, family }
    : { from: { pod: self }, to: other, family };
}

/** `8080`, `"8000:8100"`, or a name that the Pod's containers give a port. */
function isPort(ports: readonly (string | number)[], end: PolicyEnd, port: number | undefined): Maybe {
  if (port === undefined) return undefined;
  return ports.some((wanted) => {
    const [, first, last] = /^(\d+)(?::(\d+))?$/.exec(String(wanted)) ?? [];
    if (first !== undefined) return port >= Number(first) && port <= Number(last ?? first);
    if (!("pod" in end)) return false;
    return end.pod.object.spec.containers.some(({ ports: own }) =>
      (own ?? []).some(({ name, containerPort }) => name === wanted && containerPort === port),
    );
  });
}
