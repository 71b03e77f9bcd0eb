/**
 * What the cluster's DNS servers answer to one query, as far as their Corefile and the API objects tell.
 *
 * Source: coredns core/dnsserver/server.go (the longest zone), plugin.cfg (the order of plugins), plugin/kubernetes
 * parse.go and kubernetes.go (names of Services, end points and Pods). Names in the cluster's domain are answered alike by
 * whatever serves them: the specification of Kubernetes DNS demands it.
 */
import type { Missing } from "../evidence/catalogue.ts";
import { known } from "../evidence/observed.ts";
import type { Evidence } from "../evidence/origin.ts";
import { blocksFor } from "../model/dns/server-block.ts";
import type { ClusterModel } from "../model/model.ts";
import type { ServiceEndpoint, ServiceView } from "../model/services/services.ts";
import { canonicalIp, parseIp } from "../net/ip.ts";
import type { CorefileDirective } from "../parse/corefile/corefile.ts";

export type Answer =
  | {
      readonly is: "addresses";
      readonly addresses: readonly string[];
      readonly service?: ServiceView;
      readonly evidence: readonly Evidence[];
    }
  /** The name exists, and has no address of this family. */
  | { readonly is: "no-data"; readonly service?: ServiceView; readonly evidence: readonly Evidence[] }
  /** It is another name for one that has to be asked for in turn (ExternalName). */
  | { readonly is: "alias"; readonly to: string; readonly service: ServiceView; readonly evidence: readonly Evidence[] }
  | { readonly is: "nxdomain"; readonly evidence: readonly Evidence[] }
  /** Servers outside know, and what they say is not recorded. */
  | { readonly is: "outside"; readonly servers: readonly string[] }
  /** No plugin of the server answers for the name. */
  | { readonly is: "refused" }
  | { readonly is: "unknown"; readonly missing: readonly Missing[]; readonly because?: string };

type Model = Pick<ClusterModel, "dns" | "services" | "pods" | "objects">;

/** Plugins that may answer before the kubernetes plugin, or change the name, in ways that are not followed. */
const NOT_FOLLOWED = ["rewrite", "template", "acl", "view", "import"];
/** Plugins after it that answer from data of their own. */
const OTHER_SOURCES = ["file", "auto", "secondary", "etcd", "k8s_external", "route53", "azure", "clouddns", "grpc"];

const isWithin = (name: string, zone: string): boolean => zone === "." || name === zone || name.endsWith(`.${zone}`);

/** @param name lower case, without the dot at its end */
export function clusterAnswer(name: string, family: 4 | 6, model: Model): Answer {
  const { dns } = model;
  const server = dns.servers.find(({ corefile }) => corefile !== undefined);
  if (!server?.corefile) {
    if (isWithin(name, dns.domain)) return kubernetesAnswer(name, dns.domain, family, undefined, model);
    return { is: "unknown", missing: [{ kind: "configmaps" }] };
  }
  const [block] = blocksFor(name, server.corefile.servers);
  if (!block) return { is: "refused" };
  const { directives } = block;
  const strange = directives.find((one) => NOT_FOLLOWED.includes(one.name));
  if (strange) return { is: "unknown", missing: [], because: `${strange.name} in the Corefile` };
  const fixed = hostsAnswer(name, family, directives);
  if (fixed) return fixed;
  const kubernetes = directives.find((one) => one.name === "kubernetes");
  const zones = kubernetes?.args.length ? kubernetes.args.map(zoneOf) : block.zones;
  const zone = kubernetes && longest(zones.filter((one) => isWithin(name, one)));
  if (kubernetes && zone !== undefined) {
    const answer = kubernetesAnswer(name, zone, family, kubernetes, model);
    if (answer.is !== "nxdomain" || !fallsThrough(kubernetes, name)) return answer;
  }
  const other = directives.find((one) => OTHER_SOURCES.includes(one.name));
  if (other) return { is: "unknown", missing: [], because: `${other.name} in the Corefile` };
  const forward = directives.find(
    (one) => (one.name === "forward" || one.name === "proxy") && isWithin(name, zoneOf(one.args[0] ?? ".")),
  );
  if (!forward) return { is: "refused" };
  return { is: "outside", servers: upstreamOf(forward.args.slice(1), model) };
}

const zoneOf = (text: string): string => (text === "." ? "." : text.toLowerCase().replace(/\.$/, ""));
const longest = (zones: readonly string[]): string | undefined =>
  zones.toSorted((a, b) => (b === "." ? 0 : b.length) - (a === "." ? 0 : a.length))[0];

function fallsThrough({ block }: CorefileDirective, name: string): boolean {
  const property = block.find((one) => one.name === "fallthrough");
  if (!property) return false;
  return property.args.length === 0 || property.args.some((zone) => isWithin(name, zoneOf(zone)));
}

/** Entries of the hosts plugin that stand in the Corefile; those in a file are not recorded. */
function hostsAnswer(name: string, family: 4 | 6, directives: readonly CorefileDirective[]): Answer | undefined {
  const hosts = directives.find((one) => one.name === "hosts");
  if (!hosts) return undefined;
  const entries = hosts.block.filter(({ name: address }) => parseIp(address) !== undefined);
  const mine = entries.filter(({ args }) => args.some((host) => zoneOf(host) === name));
  const addresses = mine
    .map(({ name: address }) => canonicalIp(address)!)
    .filter((address) => parseIp(address)?.family === family);
  if (addresses.length > 0) return { is: "addresses", addresses, evidence: [] };
  if (mine.length > 0) return { is: "no-data", evidence: [] };
  const zones = hosts.args.filter((arg) => !arg.includes("/"));
  const isItsOwn = zones.length > 0 && zones.some((zone) => isWithin(name, zoneOf(zone)));
  return isItsOwn && !fallsThrough(hosts, name) ? { is: "nxdomain", evidence: [] } : undefined;
}

function upstreamOf(to: readonly string[], { dns }: Model): string[] {
  return to.flatMap((server) => {
    if (!server.startsWith("/")) return server;
    const told = dns.servers
      .flatMap(({ component }) => component.pods)
      .flatMap((pod) => known(dns.resolverOf(pod))?.nameservers ?? []);
    return told.length > 0 ? [...new Set(told)] : server;
  });
}

/** parseRequest and findServices, findPods. */
function kubernetesAnswer(
  name: string,
  zone: string,
  family: 4 | 6,
  plugin: CorefileDirective | undefined,
  model: Model,
): Answer {
  const NXDOMAIN: Answer = { is: "nxdomain", evidence: [] };
  const NO_DATA: Answer = { is: "no-data", evidence: [] };
  const labels = name === zone ? [] : name.slice(0, zone === "." ? undefined : -zone.length - 1).split(".");
  const kind = labels.pop();
  if (kind === undefined) return NO_DATA;
  if (kind !== "svc" && kind !== "pod") return NXDOMAIN;
  const namespace = labels.pop();
  if (namespace === undefined) return NO_DATA;
  const option = ["namespaces", "labels", "namespace_labels", "noendpoints"].find((word) =>
    plugin?.block.some((one) => one.name === word),
  );
  if (option) return { is: "unknown", missing: [], because: `${option} of the kubernetes plugin` };
  const { objects, services } = model;
  const exists = objects.find("namespaces", namespace).state;
  const isKnownNamespace = exists === "present" || services.all.some((one) => one.namespace === namespace);
  if (!isKnownNamespace && exists === "unknown") return { is: "unknown", missing: [{ kind: "namespaces" }] };
  if (!isKnownNamespace) return NXDOMAIN;
  const host = labels.pop();
  if (host === undefined) return NO_DATA;
  // _port._protocol has records of another type only
  if (labels.length > 1)
    return labels.length === 2 && labels.every((label) => label.startsWith("_")) ? NO_DATA : NXDOMAIN;
  if (kind === "pod") return podAnswer(host, family, plugin);
  return serviceAnswer(namespace, host, labels[0], family, plugin, model);
}

function podAnswer(host: string, family: 4 | 6, plugin: CorefileDirective | undefined): Answer {
  const mode = plugin?.block.find((one) => one.name === "pods")?.args[0] ?? "disabled";
  if (mode === "disabled") return { is: "nxdomain", evidence: [] };
  const text =
    host.split("-").length === 4 && !host.includes("--") ? host.replaceAll("-", ".") : host.replaceAll("-", ":");
  const address = canonicalIp(text);
  if (address === undefined) return { is: "nxdomain", evidence: [] };
  if (parseIp(address)?.family !== family) return { is: "no-data", evidence: [] };
  return { is: "addresses", addresses: [address], evidence: [] };
}

function serviceAnswer(
  namespace: string,
  name: string,
  endpoint: string | undefined,
  family: 4 | 6,
  plugin: CorefileDirective | undefined,
  { services }: Model,
): Answer {
  const service = services.get(namespace, name);
  if (!service)
    return services.whole ? { is: "nxdomain", evidence: [] } : { is: "unknown", missing: [{ kind: "services" }] };
  const { spec } = service.object;
  const quote = (words: string) => [services.quote(service, words)];
  if (service.kind === "ExternalName") {
    const to = spec.externalName ?? "";
    return endpoint !== undefined || to === ""
      ? { is: "nxdomain", evidence: quote(`externalName: ${to}`) }
      : { is: "alias", to: zoneOf(to), service, evidence: quote(`externalName: ${to}`) };
  }
  if (service.kind === "Headless" || endpoint !== undefined) {
    if (!services.endpointsWhole) return { is: "unknown", missing: [{ kind: "endpointslices" }] };
    const ready = service.ports
      .flatMap((port) => [...services.endpoints(port, 4), ...services.endpoints(port, 6)])
      .filter((one) => one.ready && (endpoint === undefined || isNamed(one, endpoint)));
    const all = [...new Set(ready.map(({ address }) => address))];
    // a headless Service without ready back ends is as if it did not exist
    if (all.length === 0) return { is: "nxdomain", evidence: quote("clusterIP: None; no ready back end") };
    const addresses = all.filter((address) => parseIp(address)?.family === family);
    const evidence = quote(service.kind === "Headless" ? "clusterIP: None" : `clusterIP: ${spec.clusterIP ?? ""}`);
    return addresses.length > 0
      ? { is: "addresses", addresses, service, evidence }
      : { is: "no-data", service, evidence };
  }
  const isEmpty = plugin?.block.some((one) => one.name === "ignore" && one.args[0] === "empty_service");
  if (isEmpty && service.ports.every((port) => !services.endpoints(port).some(({ ready }) => ready)))
    return { is: "nxdomain", evidence: quote("ignore empty_service: no ready back end") };
  const addresses = service.clusterIps.filter((address) => parseIp(address)?.family === family);
  const evidence = quote(`clusterIP: ${service.clusterIps.join(", ")}`);
  return addresses.length > 0
    ? { is: "addresses", addresses, service, evidence }
    : { is: "no-data", service, evidence };
}

/** endpointHostname: its host name, as Pods of StatefulSets have one, else its address with dashes. */
function isNamed({ address, slice }: ServiceEndpoint, label: string): boolean {
  const entry = slice.endpoints?.find(({ addresses }) => addresses?.some((one) => canonicalIp(one) === address));
  return label === (entry?.hostname ?? address.replaceAll(".", "-").replaceAll(":", "-"));
}
