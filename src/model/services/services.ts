/**
 * What Services demand: their ports, addresses and back ends.
 */

import type { Evidence } from "../../evidence/origin.ts";
import { canonicalIp, type Family, isOfFamily } from "../../net/ip.ts";
import type { EndpointSlice, Service } from "../../parse/objects.ts";
import type { Nodes } from "../nodes.ts";
import type { Objects } from "../objects.ts";
import type { Pods, PodView } from "../pods.ts";
import { type Ref, ref } from "../ref.ts";
import { chooseEndpoints, type Endpoint, type EndpointChoice, type TrafficPolicy } from "./endpoint-choice.ts";

export type Protocol = "TCP" | "UDP" | "SCTP";

export type ServicePort = {
  readonly service: ServiceView;
  /** `namespace/name` or `namespace/name:port`, as kube-proxy names it in comments. */
  readonly key: string;
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort?: number;
};

export type ServiceView = {
  readonly name: string;
  readonly namespace: string;
  readonly ref: Ref;
  readonly object: Service;
  readonly kind: "ClusterIP" | "Headless" | "ExternalName";
  /** The address families that it has, the first of them the one that it had first; for ExternalName Services IPv4. */
  readonly families: readonly Family[];
  /** Canonical, one a family; empty for headless and ExternalName Services. */
  readonly clusterIps: readonly string[];
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  readonly ports: readonly ServicePort[];
  /** Undefined: somebody else writes its EndpointSlices. */
  readonly selector?: Readonly<Record<string, string>>;
  readonly policy: TrafficPolicy;
  /** kube-proxy serves it: it has a cluster IP and is not labelled for another proxy. */
  readonly proxied: boolean;
};

export type ServiceEndpoint = Endpoint & {
  readonly slice: EndpointSlice;
  readonly pod?: { readonly namespace: string; readonly name: string };
};

export interface Services {
  readonly all: readonly ServiceView[];
  readonly whole: boolean;
  get(namespace: string, name: string): ServiceView | undefined;
  /** The Service and port at a cluster, external or load-balancer address. */
  byAddress(address: string, port: number, protocol: Protocol): ServicePort | undefined;
  /** The Service that has a cluster IP, whatever the port. */
  byClusterIp(address: string): ServiceView | undefined;
  byNodePort(port: number, protocol: Protocol): ServicePort | undefined;
  /** All back ends of a port that its EndpointSlices of a family name, ready or not; without a family its Service's first. */
  endpoints(port: ServicePort, family?: Family): readonly ServiceEndpoint[];
  /** Whether the EndpointSlices are known completely. */
  readonly endpointsWhole: boolean;
  /** What tells the families of one cluster apart in capabilities: nothing where all its Services are of one. */
  ofFamily(family: Family): { readonly family?: Family };
  /** The back ends that a node should deliver to; without a family those of its Service's first. */
  expected(port: ServicePort, node: string, family?: Family): EndpointChoice<ServiceEndpoint>;
  /** The Pods that the selector selects; empty without selector. */
  selected(service: ServiceView): readonly PodView[];
  slices(service: ServiceView): readonly EndpointSlice[];
  /** Whether the EndpointSlice controller keeps a slice of a Service as its Pods are; others say what somebody wrote. */
  keeps(service: ServiceView, slice: EndpointSlice): boolean;
  /** The nodes on which API servers run, by the addresses of their own Service; empty where none is a node's. */
  readonly apiServerNodes: readonly string[];
  quote(service: ServiceView, words: string): Evidence;
}

/** core/v1 label by which kube-proxy leaves a Service to another proxy. */
const OTHER_PROXY = "service.kubernetes.io/service-proxy-name";
const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER = "endpointslice-controller.k8s.io";

function protocolOf(text: string | null | undefined): Protocol {
  return text === "UDP" || text === "SCTP" ? text : "TCP";
}

const canonicalAll = (texts: readonly (string | null | undefined)[]) =>
  [...new Set(texts.map((text) => (text ? canonicalIp(text) : undefined)))].filter((ip) => ip !== undefined);

/** The families that a Service is said to have, or shows by its addresses. */
function familiesOf(ipFamilies: readonly string[], clusterIps: readonly string[]): readonly Family[] {
  const said = ipFamilies.flatMap((name): Family[] => (name === "IPv4" ? [4] : name === "IPv6" ? [6] : []));
  const shown = clusterIps.map((address): Family => (isOfFamily(address, 6) ? 6 : 4));
  const families = clusterIps.length > 0 ? shown : said;
  return families.length > 0 ? families : [4];
}

/** The ClusterIP of a Service for a family; undefined if it has none. */
export const clusterIpOf = ({ clusterIps }: ServiceView, family: Family): string | undefined =>
  clusterIps.find((address) => isOfFamily(address, family));

function viewOf(object: Service): ServiceView {
  const { metadata, spec, status } = object;
  const namespace = metadata.namespace ?? "";
  const clusterIps = canonicalAll(spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP]);
  const externalIps = canonicalAll(spec.externalIPs ?? []);
  const loadBalancerIps = canonicalAll(
    (status?.loadBalancer?.ingress ?? []).filter(({ ipMode }) => ipMode !== "Proxy").map(({ ip }) => ip),
  );
  const kind = spec.type === "ExternalName" ? "ExternalName" : spec.clusterIP === "None" ? "Headless" : "ClusterIP";
  const nodePorts = spec.type === "NodePort" || spec.type === "LoadBalancer";
  const selector = spec.selector && Object.keys(spec.selector).length > 0 ? spec.selector : undefined;
  const view: ServiceView = {
    name: metadata.name,
    namespace,
    ref: ref("Service", metadata.name, namespace),
    object,
    kind,
    families: familiesOf(spec.ipFamilies ?? [], clusterIps),
    clusterIps,
    externalIps,
    loadBalancerIps,
    ports: [],
    ...(selector && { selector }),
    policy: {
      internalLocal: spec.internalTrafficPolicy === "Local",
      externalLocal: spec.externalTrafficPolicy === "Local",
      external: nodePorts || externalIps.length + loadBalancerIps.length > 0,
    },
    proxied: clusterIps.length > 0 && metadata.labels?.[OTHER_PROXY] === undefined,
  };
  const ports = (spec.ports ?? []).map(
    (port): ServicePort => ({
      service: view,
      key: `${namespace}/${metadata.name}${port.name ? `:${port.name}` : ""}`,
      name: port.name ?? "",
      protocol: protocolOf(port.protocol),
      port: port.port,
      targetPort: port.targetPort || port.port,
      ...(nodePorts && port.nodePort ? { nodePort: port.nodePort } : {}),
    }),
  );
  return Object.assign(view, { ports });
}

function endpointsIn(slice: EndpointSlice, port: ServicePort): ServiceEndpoint[] {
  const slicePort = (slice.ports ?? []).find(
    ({ name, protocol }) => (name ?? "") === port.name && protocolOf(protocol) === port.protocol,
  );
  if (!slicePort?.port) return [];
  const number = slicePort.port;
  const found: ServiceEndpoint[] = [];
  // large clusters have a million of them: no object is made and thrown away
  for (const { addresses, conditions, nodeName, hints, targetRef } of slice.endpoints ?? []) {
    const address = canonicalIp(addresses?.[0] ?? "");
    if (address === undefined) continue;
    const endpoint: { -readonly [K in keyof ServiceEndpoint]: ServiceEndpoint[K] } = {
      address,
      port: number,
      // what is not said counts as true (discovery/v1 EndpointConditions); kube-proxy reads `serving` so too
      ready: conditions?.ready ?? true,
      serving: conditions?.serving ?? true,
      terminating: conditions?.terminating ?? false,
      zoneHints: hints?.forZones?.map(({ name }) => name) ?? NO_HINTS,
      nodeHints: hints?.forNodes?.map(({ name }) => name) ?? NO_HINTS,
      slice,
    };
    if (nodeName) endpoint.node = nodeName;
    if (targetRef?.kind === "Pod" && targetRef.name)
      endpoint.pod = { namespace: targetRef.namespace ?? slice.metadata.namespace ?? "", name: targetRef.name };
    found.push(endpoint);
  }
  return found;
}

const NO_HINTS: readonly string[] = [];

export function servicesOf(objects: Objects, pods: Pods, nodes: Nodes): Services {
  const all = objects.all("services").map(viewOf);
  const byName = new Map(all.map((service) => [`${service.namespace}/${service.name}`, service]));
  const byAddress = new Map<string, ServicePort>();
  const byClusterIp = new Map<string, ServiceView>();
  const byNodePort = new Map<string, ServicePort>();
  for (const service of all) {
    for (const address of service.clusterIps) byClusterIp.set(address, service);
    for (const port of service.ports) {
      for (const address of [...service.clusterIps, ...service.externalIps, ...service.loadBalancerIps]) {
        byAddress.set(`${address} ${port.port}/${port.protocol}`, port);
      }
      if (port.nodePort !== undefined) byNodePort.set(`${port.nodePort}/${port.protocol}`, port);
    }
  }
  const isDual = new Set(all.filter(({ proxied }) => proxied).flatMap(({ families }) => families)).size > 1;
  const slices = new Map<string, EndpointSlice[]>();
  for (const slice of objects.all("endpointslices")) {
    const name = slice.metadata.labels?.[SERVICE_NAME];
    if (name === undefined) continue;
    const key = `${slice.metadata.namespace ?? ""}/${name}`;
    const known = slices.get(key);
    if (known) known.push(slice);
    else slices.set(key, [slice]);
  }
  const slicesOf = (service: ServiceView) => slices.get(`${service.namespace}/${service.name}`) ?? [];
  const caches = { 4: new Map<ServicePort, readonly ServiceEndpoint[]>(), 6: new Map() } as const;
  const endpoints = (port: ServicePort, family = port.service.families[0] ?? 4): readonly ServiceEndpoint[] => {
    const cached = caches[family].get(port);
    if (cached) return cached;
    const found = slicesOf(port.service)
      .filter(({ addressType }) => addressType !== "FQDN")
      .flatMap((slice) => endpointsIn(slice, port))
      .filter(({ address }) => isOfFamily(address, family));
    caches[family].set(port, found);
    return found;
  };

  return {
    all,
    whole: objects.isWhole("services"),
    get: (namespace, name) => byName.get(`${namespace}/${name}`),
    byAddress: (address, port, protocol) => byAddress.get(`${address} ${port}/${protocol}`),
    byClusterIp: (address) => byClusterIp.get(address),
    byNodePort: (port, protocol) => byNodePort.get(`${port}/${protocol}`),
    endpoints,
    endpointsWhole: objects.isWhole("endpointslices"),
    ofFamily: (family) => (isDual ? { family } : {}),
    expected(port, node, family) {
      const zone = nodes.get(node)?.labels["topology.kubernetes.io/zone"];
      const topology = zone === undefined ? { name: node } : { name: node, zone };
      return chooseEndpoints(endpoints(port, family), port.service.policy, topology);
    },
    selected: (service) => (service.selector ? pods.withLabels(service.namespace, service.selector) : []),
    slices: slicesOf,
    // it lists those of Services with a selector that bear its name (kubernetes pkg/controller/endpointslice, syncService)
    keeps: ({ selector }, { metadata }) => selector !== undefined && metadata.labels?.[MANAGED_BY] === CONTROLLER,
    get apiServerNodes() {
      const [port] = byName.get("default/kubernetes")?.ports ?? [];
      const hosts = port ? endpoints(port).flatMap(({ address }) => nodes.byAddress(address)?.name ?? []) : [];
      return [...new Set(hosts)];
    },
    quote: (service, words) => objects.quote("services", service.object, words),
  };
}
