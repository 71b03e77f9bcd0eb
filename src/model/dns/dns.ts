/** Name resolution as it is configured: which server Pods ask, who answers, and where it asks in turn. */
import type { Capture } from "../../evidence/capture.ts";
import { known, type Observed } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { canonicalIp, parseIp } from "../../net/ip.ts";
import { type Corefile, type CorefileDirective, parseCorefile } from "../../parse/corefile/corefile.ts";
import { DIRECTIVES } from "../../parse/corefile/plugins.ts";
import { type KubeletConfig, parseKubeletConfig } from "../../parse/kubernetes/kubelet-config.ts";
import type { ConfigMap } from "../../parse/objects.ts";
import type { ResolvConf } from "../../parse/resolv-conf.ts";
import type { Component, Components } from "../components/components.ts";
import { hasLabels } from "../labels.ts";
import type { Nodes } from "../nodes.ts";
import type { Objects } from "../objects.ts";
import type { Pods, PodView } from "../pods.ts";
import { type Ref, ref } from "../ref.ts";
import type { Services, ServiceView } from "../services/services.ts";
import { meantBy } from "../spelling.ts";
import { hasAnsweredAll, upstreamFailures } from "./counters.ts";

export type DnsServer = {
  readonly component: Component;
  /** Its configuration, if it was seen. */
  readonly configMap?: Ref;
  readonly corefile?: Corefile;
  readonly map?: ConfigMap;
};

/** Where CoreDNS forwards queries for a zone. */
export type DnsForward = {
  readonly zone: string;
  /** Addresses with ports, or paths of resolv.conf files. */
  readonly to: readonly string[];
  readonly line: number;
  readonly server: DnsServer;
};

export interface Dns {
  /** The Services that answer cluster DNS: those that select the DNS servers' Pods or bear their name. */
  readonly services: readonly ServiceView[];
  /** Whether kubelets send their Pods to it, as far as is known: a cluster may have another one for it. */
  isAsked(service: ServiceView): boolean;
  /** Ready Pods of the DNS servers beside a Service that asks for other labels. */
  missedBy(service: ServiceView): readonly PodView[];
  readonly servers: readonly DnsServer[];
  readonly forwards: readonly DnsForward[];
  /** cluster.local, unless configured otherwise. */
  readonly domain: string;
  /** The DNS addresses that the kubelet of a node gives to its Pods. */
  clusterDnsOf(node: string): { readonly addresses: readonly string[]; readonly evidence: Evidence } | undefined;
  /** The configuration of a node's kubelet. */
  kubeletConfigOf(node: string): Observed<KubeletConfig>;
  /** What kubeadm writes into the kubelet's configuration of a node that joins (ConfigMap kubelet-config). */
  readonly commonClusterDns?: readonly string[];
  /** The resolver configuration that a Pod runs with. */
  resolverOf(pod: PodView): Observed<ResolvConf>;
  /** The name servers of a node, which Pods with dnsPolicy Default use, CoreDNS among them. */
  nodeResolver(node: string): Observed<ResolvConf>;
  /** The servers that CoreDNS' nodes ask, if it could forward to them in place of what it forwards to. */
  upstreamOfNodes(forward: DnsForward): readonly string[] | undefined;
  /** Whether the server in a Pod has answered every query since it started, as its counters show. */
  hasAnsweredAll(pod: PodView): boolean;
  /** What the server in a Pod counts, since it started, of upstream servers that failed and of queries left without answer. */
  upstreamFailures(pod: PodView): readonly Evidence[];
  /** Whether an address is one of a node-local cache (link-local, or bound to a node's own device). */
  isNodeLocal(address: string): boolean;
}

/** The one directive that a mistyped word of a Corefile can only mean. */
export const meantDirective = (word: string): string | undefined => meantBy(word, DIRECTIVES);

function configOf(component: Component, objects: Objects): { map: ConfigMap; ref: Ref } | undefined {
  const names = new Set((component.spec?.volumes ?? []).map(({ configMap }) => configMap?.name));
  const map = objects
    .all("configmaps")
    .find(
      ({ metadata, data }) =>
        metadata.namespace === component.ref.namespace && names.has(metadata.name) && data?.Corefile !== undefined,
    );
  return map && { map, ref: ref("ConfigMap", map.metadata.name, map.metadata.namespace) };
}

function serverOf(component: Component, objects: Objects): DnsServer {
  const config = configOf(component, objects);
  if (!config) return { component };
  return {
    component,
    configMap: config.ref,
    map: config.map,
    corefile: parseCorefile(config.map.data?.Corefile ?? "").value,
  };
}

/** `forward FROM TO…`, and `proxy` of old releases. */
function forwardsOf(server: DnsServer): DnsForward[] {
  const isForward = ({ name }: CorefileDirective) => name === "forward" || name === "proxy";
  return (server.corefile?.servers ?? []).flatMap(({ directives }) =>
    directives.filter(isForward).map(({ args: [zone = ".", ...to], line }) => ({ zone, to, line, server })),
  );
}

function domainOf(servers: readonly DnsServer[], capture: Capture): string {
  for (const { observed } of capture.all("kubeletConfig")) {
    const domain = known(observed)?.clusterDomain;
    if (domain) return domain.replace(/\.$/, "");
  }
  for (const { corefile } of servers) {
    for (const { directives } of corefile?.servers ?? []) {
      const zone = directives.find(({ name }) => name === "kubernetes")?.args[0];
      if (zone) return zone.replace(/\.$/, "");
    }
  }
  return "cluster.local";
}

const RESOLV_CONF = "/etc/resolv.conf";
const LOOPBACK = /^(127\.|::1$)/;
const LINK_LOCAL = /^(169\.254\.|fe80:)/;

export function dnsOf(
  capture: Capture,
  objects: Objects,
  nodes: Nodes,
  pods: Pods,
  services: Services,
  components: Components,
): Dns {
  const servers = components.withDuty("cluster-dns").map((component) => serverOf(component, objects));
  const serverPods = new Set(servers.flatMap(({ component }) => component.pods.map(({ key }) => key)));
  const isDns = (service: ServiceView) =>
    service.ports.some(({ port }) => port === 53) &&
    (service.name === "kube-dns" ||
      service.object.metadata.labels?.["k8s-app"] === "kube-dns" ||
      services.selected(service).some(({ key }) => serverPods.has(key)));
  const found = services.all.filter(isDns);
  const clusterDnsOf: Dns["clusterDnsOf"] = (node) => {
    const observed = capture.get("kubeletConfig", { node });
    const addresses = known(observed)?.clusterDNS;
    if (!addresses) return undefined;
    const canonical = addresses.map((address) => canonicalIp(address) ?? address);
    return { addresses: canonical, evidence: quoteOf(observed.origin, `clusterDNS: ${addresses.join(", ")}`) };
  };
  const joining = objects
    .all("configmaps")
    .find(({ metadata }) => metadata.name === "kubelet-config" && metadata.namespace === "kube-system")?.data?.kubelet;
  const commonClusterDns = joining === undefined ? undefined : parseKubeletConfig(joining).value.clusterDNS;
  const isNodeLocal = (address: string) => LINK_LOCAL.test(address) || nodeHasAddress(capture, nodes, pods, address);
  return {
    services: found,
    isAsked({ clusterIps }) {
      const given = nodes.all.flatMap(({ name }) => clusterDnsOf(name)?.addresses ?? []);
      return given.length === 0 || given.some((address) => clusterIps.includes(address) || isNodeLocal(address));
    },
    missedBy(service) {
      const { namespace, selector } = service;
      if (!selector || !found.includes(service)) return [];
      return servers
        .flatMap(({ component }) => component.pods)
        .filter((pod) => pod.ready && pod.namespace === namespace && !hasLabels(selector, pod.labels));
    },
    servers,
    forwards: servers.flatMap(forwardsOf),
    domain: domainOf(servers, capture),
    clusterDnsOf,
    kubeletConfigOf: (node) => capture.get("kubeletConfig", { node }),
    ...(commonClusterDns && { commonClusterDns: commonClusterDns.map((one) => canonicalIp(one) ?? one) }),
    resolverOf: (pod) =>
      capture.get("podResolvConf", { node: pod.node ?? "", namespace: pod.namespace, pod: pod.name }),
    nodeResolver: (node) => capture.get("nodeResolvConf", { node }),
    upstreamOfNodes({ to: [target, ...others], server: { component } }) {
      if (target === undefined || target === RESOLV_CONF || others.length > 0) return undefined;
      const hosts = [...new Set(component.pods.flatMap(({ node }) => node ?? []))];
      const resolvers = hosts.map((node) => known(capture.get("nodeResolvConf", { node }))?.nameservers);
      const servers = [...new Set(resolvers.flatMap((names) => names ?? []))];
      const isOther = (address: string) =>
        !LOOPBACK.test(address) && !target.includes(address) && services.byClusterIp(address) === undefined;
      const isSure = servers.length > 0 && resolvers.every((names) => names !== undefined) && servers.every(isOther);
      return isSure ? servers : undefined;
    },
    upstreamFailures: ({ namespace, name }) => upstreamFailures(capture.get("dnsMetrics", { namespace, pod: name })),
    hasAnsweredAll: ({ namespace, name }) => hasAnsweredAll(capture.get("dnsMetrics", { namespace, pod: name })),
    isNodeLocal,
  };
}

function nodeHasAddress(capture: Capture, nodes: Nodes, pods: Pods, address: string): boolean {
  if (!parseIp(address) || pods.byAddress(address)) return false;
  if (nodes.byAddress(address)) return true;
  // NodeLocal DNSCache binds the cluster DNS address to a dummy device of every node; kube-ipvs0 binds all cluster IPs
  return nodes.all.some(({ name }) =>
    (known(capture.get("links", { node: name })) ?? []).some(
      (link) => link.name === "nodelocaldns" && link.addresses.some(({ local }) => local === address),
    ),
  );
}
