/**
 * What a broken capability will lead to where nothing has failed yet: the needs of what users do, followed upwards.
 *
 * What is foretold are kinds of things ("rules for Services", "name resolution"), not of each node and Service: for that
 * it asks for a few nodes and Services that stand for the others.
 */
import { type Capability, type CapabilityName, capabilityId, covers } from "../model/capability.ts";
import type { ModelParts } from "../model/model.ts";
import type { Need } from "../model/needs/need.ts";
import type { Client } from "../model/needs/ways.ts";
import type { PodView } from "../model/pods.ts";
import { refId } from "../model/ref.ts";
import type { ServicePort, ServiceView } from "../model/services/services.ts";
import { denials, namedIn } from "./effect.ts";

export type Foretold = {
  readonly capability: Capability;
  /** It is lost when something changes or restarts; else at once. */
  readonly later: boolean;
  readonly leadsTo: readonly Foretold[];
};

type Parts = Pick<ModelParts, "needs" | "nodes" | "pods" | "services" | "dns" | "policies">;

/** Enough to meet each kind of thing that others are made of. */
const MOST_NODES = 3;
const MOST_SERVICES = 3;
const MOST_CLIENTS = 3;

/** What users do. */
export const USES: ReadonlySet<CapabilityName> = new Set([
  "dns.resolve",
  "service.reach",
  "pod.reach",
  "outside.reach",
]);

type Question = { readonly capability: Capability; readonly need: Need };

function questionsOf({ needs, nodes, pods, services, dns }: Parts, broken: readonly Capability[]): Question[] {
  const named = broken.flatMap(({ node, peer }) => [node, peer]).filter((node) => node !== undefined);
  const serving = dns.servers.flatMap(({ component }) => component.pods.flatMap(({ node }) => node ?? []));
  const all = nodes.all.map(({ name }) => name);
  const chosen = [...new Set([...named, ...serving, ...all])].slice(0, Math.max(MOST_NODES, named.length));
  const isNamed = ({ namespace, name }: ServiceView) =>
    broken.some(({ service }) => service?.split(":")[0] === `${namespace}/${name}`);
  const ports = services.all
    .filter((service) => service.ports.length > 0 && !dns.services.includes(service))
    .sort((a, b) => Number(isNamed(b)) - Number(isNamed(a)))
    .slice(0, MOST_SERVICES)
    .flatMap(({ ports: [first] }) => first ?? []);
  return chosen.flatMap((node): Question[] => {
    const client: Client = { node, network: "pod" };
    const elsewhere = pods.all.find((pod) => !pod.hostNetwork && pod.node !== undefined && pod.node !== node);
    return [
      ...byName(client, ports, needs),
      ...(elsewhere ? [{ capability: { name: "pod.reach" } as const, need: needs.reachPod(client, elsewhere) }] : []),
      { capability: { name: "outside.reach" }, need: needs.reachOutside(client) },
    ];
  });
}

/** What clients ask by name: the cluster's names and others, and Services. */
const byName = (client: Client, ports: readonly ServicePort[], needs: Parts["needs"]): Question[] => [
  { capability: { name: "dns.resolve", zone: "cluster" }, need: needs.resolve(client, "cluster") },
  { capability: { name: "dns.resolve", zone: "external" }, need: needs.resolve(client, "external") },
  ...ports.map((port) => ({
    capability: { name: "service.reach", node: client.node } as const,
    need: needs.reachService(client, port),
  })),
];

/** Policies are about Pods and not about nodes: what those ask that a policy isolates, and others of them. */
function questionsOfPods(
  { needs, nodes, pods, policies, services, dns }: Parts,
  broken: readonly Capability[],
): Question[] {
  const ids = new Set(broken.flatMap(({ name, policy }) => (name === "policy.allow" ? (policy ?? []) : [])));
  if (ids.size === 0) return [];
  const isolated = new Set(
    policies.all.filter(({ ref }) => ids.has(refId(ref))).flatMap((policy) => policies.selected(policy)),
  );
  const talks = (pod: PodView) => !pod.hostNetwork && !pod.finished && nodes.get(pod.node ?? "") !== undefined;
  const clients = [
    ...[...isolated].filter(talks).slice(0, MOST_CLIENTS),
    ...pods.all.filter((pod) => talks(pod) && !isolated.has(pod)).slice(0, MOST_CLIENTS),
  ];
  const ports = services.all
    .filter((service) => !dns.services.includes(service) && services.selected(service).some((pod) => isolated.has(pod)))
    .slice(0, MOST_SERVICES)
    .flatMap(({ ports: [first] }) => first ?? []);
  return clients.flatMap((pod): Question[] => {
    const { key, node = "" } = pod;
    const client: Client = { node, network: "pod", pod, podKey: key };
    return byName(client, ports, needs);
  });
}

/** One for all of its kind. */
const kindOf = ({ name, component, zone }: Capability): string =>
  [name, component ?? "", USES.has(name) ? (zone ?? "") : ""].join("|");

/** With all that `to` needs. */
type Edge = { readonly to: Capability; readonly need: Need; readonly later: boolean };

/** What rests on what: for everything that is needed, what needs it. */
class Dependents {
  readonly #edges = new Map<string, Edge[]>();
  readonly #seen = new Map<string, Capability>();
  readonly #needs: Parts["needs"];

  constructor(needs: Parts["needs"], questions: readonly Question[]) {
    this.#needs = needs;
    for (const { capability, need } of questions) this.#descend(need, capability, need);
  }

  get all(): Iterable<Capability> {
    return this.#seen.values();
  }

  of(capability: Capability): readonly Edge[] {
    return this.#edges.get(capabilityId(capability)) ?? [];
  }

  #descend(part: Need, user: Capability, need: Need): void {
    switch (part.is) {
      case "all":
      case "any":
        for (const one of part.of) this.#descend(one, user, need);
        return;
      case "capability":
      case "to-follow-change":
        this.#link(part.of, { to: user, need, later: part.is === "to-follow-change" });
        return;
      case "denied":
        for (const denial of denials(part)) this.#link(denial, { to: user, need, later: false });
    }
    // what perhaps depends on it is not foretold
  }

  #link(capability: Capability, edge: Edge): void {
    const id = capabilityId(capability);
    const edges = this.#edges.get(id);
    if (edges) edges.push(edge);
    else this.#edges.set(id, [edge]);
    if (this.#seen.has(id)) return;
    this.#seen.set(id, capability);
    const need = this.#needs.of(capability);
    if (need) this.#descend(need, capability, need);
  }
}

/** Whether nothing is left of a need: of several alternatives, all have to be lost. */
function isLost(need: Need, lost: (capability: Capability) => boolean): boolean {
  switch (need.is) {
    case "all":
      return need.of.some((part) => isLost(part, lost));
    case "any":
      return need.of.length > 0 && need.of.every((part) => isLost(part, lost));
    case "capability":
    case "to-follow-change":
      return lost(need.of);
    case "denied":
      return denials(need).some(lost);
    default:
      return false;
  }
}

type Reached = { readonly capability: Capability; readonly kind: string; later: boolean; readonly under: string };

/** What will be lost for want of what is broken, each under what it is lost for. */
export function foretoldBy(broken: readonly Capability[], model: Parts): readonly Foretold[] {
  const questions = [...questionsOf(model, broken), ...questionsOfPods(model, broken)];
  const dependents = new Dependents(model.needs, questions);
  // of what is broken in part, nobody knows which part will be asked for
  const isBroken = (one: Capability) => broken.some((wide) => covers(wide, one));
  // what users' needs name themselves; the rest only holds it up
  const named = new Set(questions.flatMap(({ need }) => namedIn(need).map(kindOf)));

  // breadth first: what comes first leads there most directly, and stands for all of its kind
  const queue = [...dependents.all].filter(isBroken).map((capability) => ({ capability, later: false }));
  const start = new Set(queue.map(({ capability }) => kindOf(capability)));
  const visited = new Set(queue.map(({ capability }) => capabilityId(capability)));
  const isGone = (one: Capability) => visited.has(capabilityId(one));
  const reached = new Map<string, Reached>();
  for (const { capability, later } of queue) {
    for (const edge of dependents.of(capability)) {
      const id = capabilityId(edge.to);
      if (visited.has(id) || !isLost(edge.need, isGone)) continue;
      visited.add(id);
      const next = { capability: edge.to, later: later || edge.later };
      queue.push(next);
      const kind = kindOf(edge.to);
      const known = reached.get(kind);
      if (known) known.later &&= next.later;
      else if (!start.has(kind)) reached.set(kind, { ...next, kind, under: kindOf(capability) });
    }
  }
  const treeOf = (isUnder: (under: string) => boolean): Foretold[] =>
    [...reached.values()].flatMap(({ capability, kind, later, under }) => {
      if (!isUnder(under)) return [];
      const leadsTo = treeOf((one) => one === kind);
      const isTold = leadsTo.length > 0 || USES.has(capability.name) || named.has(kind);
      return isTold ? [{ capability, later, leadsTo }] : [];
    });
  return treeOf((under) => start.has(under));
}
