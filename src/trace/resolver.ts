/**
 * The resolver configuration that a sender has, and the names that it makes of one that it is asked for.
 *
 * Sources: kubernetes pkg/kubelet/network/dns/dns.go (what dnsPolicy means); resolv.conf(5) and glibc resolv/res_query.c
 * (search list and ndots). musl differs: it asks all servers at once.
 */
import type { Missing } from "../evidence/catalogue.ts";
import { known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import type { ClusterModel } from "../model/model.ts";
import type { PodView } from "../model/pods.ts";
import { canonicalIp } from "../net/ip.ts";
import type { ResolvConf } from "../parse/resolv-conf.ts";
import type { Namespace } from "./trace.ts";

export type Resolver = {
  readonly servers: readonly string[];
  /** Without dots at their ends. */
  readonly search: readonly string[];
  readonly ndots: number;
  readonly evidence: readonly Evidence[];
};

type Model = Pick<ClusterModel, "dns" | "objects">;

/** resolv.h: RES_MAXNDOTS and the default. */
const NDOTS = 1;
const MOST_NDOTS = 15;

const unrooted = (name: string): string => name.replace(/\.$/, "");

function resolverFrom({ nameservers, search, options }: ResolvConf, evidence: readonly Evidence[]): Resolver {
  const ndots = Number.parseInt(options.get("ndots") ?? "", 10);
  return {
    servers: nameservers,
    search: search.map(unrooted).filter((domain) => domain !== ""),
    ndots: Number.isInteger(ndots) && ndots >= 0 ? Math.min(ndots, MOST_NDOTS) : NDOTS,
    evidence,
  };
}

const quoted = ({ nameservers, search, options }: ResolvConf): string =>
  [
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...(options.size > 0
      ? [`options ${[...options].map(([name, value]) => (value ? `${name}:${value}` : name)).join(" ")}`]
      : []),
  ].join("; ");

/**
 * As the sender's resolv.conf says; without it, as the kubelet would write it.
 *
 * @returns what is missing, if that cannot be told
 */
export function resolverOf(
  { node, pod }: Namespace,
  model: Model,
): Resolver | { readonly missing: readonly Missing[] } {
  const { dns } = model;
  if (!pod) return ofNode(node, dns);
  const seen = dns.resolverOf(pod);
  if (seen.state === "present" && seen.value.nameservers.length > 0)
    return resolverFrom(seen.value, [quoteOf(seen.origin, quoted(seen.value))]);
  return asKubeletWrites(pod, node, model) ?? { missing: missingFor(pod) };
}

const missingFor = ({ node = "", namespace, name }: PodView): Missing[] => [
  { kind: "podResolvConf", place: { node, namespace, pod: name } },
  { kind: "kubeletConfig", place: { node } },
];

function ofNode(node: string, dns: ClusterModel["dns"]): Resolver | { missing: readonly Missing[] } {
  const seen = dns.nodeResolver(node);
  if (seen.state !== "present") return { missing: [{ kind: "nodeResolvConf", place: { node } }] };
  return resolverFrom(seen.value, [quoteOf(seen.origin, quoted(seen.value))]);
}

function asKubeletWrites(pod: PodView, node: string, { dns, objects }: Model): Resolver | undefined {
  const { spec } = pod.object;
  const policy = spec.dnsPolicy ?? "ClusterFirst";
  const host = known(dns.nodeResolver(node));
  const ofHost = dns.nodeResolver(node).origin;
  const { nameservers = [], searches = [], options = [] } = spec.dnsConfig ?? {};
  const own = {
    servers: (nameservers ?? []).map((server) => canonicalIp(server) ?? server),
    search: searches ?? [],
    options: new Map((options ?? []).map(({ name, value }) => [name ?? "", value ?? ""])),
  };
  const evidence = [objects.quote("pods", pod.object, `dnsPolicy: ${policy}`)];
  const merged = (
    servers: readonly string[],
    search: readonly string[],
    set: ResolvConf["options"],
    more: Evidence[],
  ) =>
    resolverFrom(
      {
        nameservers: [...new Set([...servers, ...own.servers])],
        search: [...new Set([...search, ...own.search])],
        options: new Map([...set, ...own.options]),
      },
      [...evidence, ...more],
    );
  if (policy === "None") return merged([], [], new Map(), []);
  const asksCluster = policy === "ClusterFirstWithHostNet" || (policy === "ClusterFirst" && !pod.hostNetwork);
  if (!asksCluster) return host && merged(host.nameservers, host.search, host.options, [quoteOf(ofHost, quoted(host))]);
  const given = dns.clusterDnsOf(node);
  if (!given) return undefined;
  const domains = [`${pod.namespace}.svc.${dns.domain}`, `svc.${dns.domain}`, dns.domain];
  return merged(given.addresses, [...domains, ...(host?.search ?? [])], new Map([["ndots", "5"]]), [given.evidence]);
}

/** The names that are asked for, one after the other until one is answered (res_search). */
export function namesAsked(name: string, { search, ndots }: Pick<Resolver, "search" | "ndots">): readonly string[] {
  const bare = unrooted(name);
  if (name.endsWith(".")) return [bare];
  const dots = bare.split(".").length - 1;
  const searched = search.map((domain) => `${bare}.${domain}`);
  return [...new Set(dots >= ndots ? [bare, ...searched] : [...searched, bare])];
}
