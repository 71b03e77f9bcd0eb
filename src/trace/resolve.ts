/**
 * Name resolution as a sender would do it: which names it asks for, which servers, what they answer, and whether its
 * queries get there at all.
 */
import type { Missing } from "../evidence/catalogue.ts";
import type { ClusterModel } from "../model/model.ts";
import { type Family, parseIp } from "../net/ip.ts";
import { type Answer, clusterAnswer } from "./dns-answer.ts";
import { namesAsked, type Resolver, resolverOf } from "./resolver.ts";
import type { Namespace } from "./trace.ts";

export type Query = { readonly name: string; readonly answer: Answer };

export type Lookup = {
  readonly name: string;
  /** Undefined: it cannot be told how the sender resolves names. */
  readonly resolver?: Resolver;
  readonly missing: readonly Missing[];
  /** Who answers: the cluster's own DNS servers, or others, of which nothing is recorded. */
  readonly asks: "cluster" | "others" | "nobody";
  readonly queries: readonly Query[];
  readonly result: Answer;
};

type Model = Pick<ClusterModel, "dns" | "services" | "pods" | "objects">;

const MOST_ALIASES = 8;

/** Whether a server is the cluster's DNS: by its Service, through a cache of the node, or itself. */
function isOfCluster(server: string, node: string, { dns, pods, services }: Model): boolean {
  if (dns.services.some(({ clusterIps }) => clusterIps.includes(server)) || dns.isNodeLocal(server)) return true;
  // where Services were not seen, the kubelet's word is as good
  if (!services.whole && dns.clusterDnsOf(node)?.addresses.includes(server)) return true;
  const pod = pods.byAddress(server);
  return pod !== undefined && dns.servers.some(({ component }) => component.pods.some(({ key }) => key === pod.key));
}

/** The first of these families in which the name has an address, else the first. */
export function lookupFirst(name: string, from: Namespace, families: readonly Family[], model: Model): Lookup {
  const [first = 4, ...others] = families;
  const found = lookup(name, from, first, model);
  if (found.result.is === "addresses") return found;
  return (
    others.map((family) => lookup(name, from, family, model)).find(({ result }) => result.is === "addresses") ?? found
  );
}

export function lookup(name: string, from: Namespace, family: Family, model: Model): Lookup {
  const resolver = resolverOf(from, model);
  const nothing = { name, queries: [] };
  if ("missing" in resolver) {
    const { missing } = resolver;
    return { ...nothing, missing, asks: "nobody", result: { is: "unknown", missing } };
  }
  // the next server is asked only if one is silent
  const [first] = resolver.servers;
  const base = { ...nothing, resolver, missing: [] };
  if (first === undefined) return { ...base, asks: "nobody", result: { is: "refused" } };
  const asks = isOfCluster(first, from.node, model) ? "cluster" : "others";
  const answerTo = (asked: string): Answer =>
    asks === "cluster"
      ? clusterAnswer(asked.toLowerCase(), family, model)
      : { is: "outside", servers: resolver.servers.filter((server) => parseIp(server)) };
  const queries: Query[] = [];
  const search = (names: readonly string[]): void => {
    for (const asked of names) {
      const answer = answerTo(asked);
      queries.push({ name: asked, answer });
      if (answer.is === "addresses") return;
      if (answer.is !== "alias") continue;
      // the server follows the alias itself (plugin/backend_lookup.go)
      if (queries.length < MOST_ALIASES) search([answer.to]);
      return;
    }
  };
  search(namesAsked(name, resolver));
  return { ...base, asks, queries, result: resultOf(queries) };
}

/** What the sender is left with: an address, else the best reason why there is none. */
function resultOf(queries: readonly Query[]): Answer {
  const answers = queries.map(({ answer }) => answer);
  const last = (...kinds: readonly Answer["is"][]) => answers.findLast(({ is }) => kinds.includes(is));
  return (
    last("addresses") ??
    last("outside", "unknown") ??
    last("no-data") ??
    last("nxdomain") ??
    last("refused") ?? { is: "refused" }
  );
}
