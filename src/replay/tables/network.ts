/** Services and what belongs to them. */
import {
  age,
  type Dict,
  labelText,
  type Maybe,
  type Metadata,
  NONE,
  type Printer,
  printer,
  type Selector,
  selectorText,
  UNSET,
} from "./printer.ts";

type ServicePort = { readonly port: number; readonly protocol?: Maybe<string>; readonly nodePort?: Maybe<number> };
type Ingress = { readonly ip?: Maybe<string>; readonly hostname?: Maybe<string> };
type Service = {
  readonly metadata: Metadata;
  readonly spec: {
    readonly type?: Maybe<string>;
    readonly clusterIP?: Maybe<string>;
    readonly clusterIPs?: Maybe<readonly string[]>;
    readonly externalIPs?: Maybe<readonly string[]>;
    readonly externalName?: Maybe<string>;
    readonly selector?: Dict;
    readonly ports?: Maybe<readonly ServicePort[]>;
  };
  readonly status?: Maybe<{ readonly loadBalancer?: Maybe<{ readonly ingress?: Maybe<readonly Ingress[]> }> }>;
};

function externalAddress({ spec, status }: Service): string {
  const own = spec.externalIPs ?? [];
  const fromBalancer = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip || hostname || []);
  switch (spec.type) {
    case "ExternalName":
      return spec.externalName ?? "";
    case "LoadBalancer":
      if (own.length === 0) return fromBalancer.length === 0 ? "<pending>" : balancerText(fromBalancer);
      return fromBalancer.length === 0 ? own.join(",") : `${balancerText(fromBalancer)},${own.join(",")}`;
    default:
      return own.length === 0 ? NONE : own.join(",");
  }
}

/** Addresses of a balancer, each once, in order. */
const balancerText = (addresses: readonly string[]): string => [...new Set(addresses)].sort().join(",");

function portText({ port, protocol, nodePort }: ServicePort): string {
  return `${port}${nodePort ? `:${nodePort}` : ""}/${protocol ?? "TCP"}`;
}

type Subset = {
  readonly addresses?: Maybe<readonly { readonly ip: string }[]>;
  readonly ports?: Maybe<readonly { readonly name?: Maybe<string>; readonly port: number }[]>;
};

/** So many and no more are told. */
const MOST = 3;

function endpointsText(subsets: readonly Subset[]): string {
  if (subsets.length === 0) return NONE;
  const all = subsets.flatMap(({ addresses, ports }) => {
    if ((ports ?? []).length === 0) return (addresses ?? []).map(({ ip }) => ip);
    return (ports ?? []).flatMap(({ port }) =>
      (addresses ?? []).map(({ ip }) => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`)),
    );
  });
  const more = all.length > MOST ? ` + ${all.length - MOST} more...` : "";
  return all.length === 0 ? "" : `${all.slice(0, MOST).join(",")}${more}`;
}

/** The first few of many, with how many more there are. */
function few(words: readonly string[]): string {
  if (words.length <= MOST) return words.join(",");
  return `${words.slice(0, MOST).join(",")} + ${words.length - MOST} more...`;
}

type EndpointSlice = {
  readonly metadata: Metadata;
  readonly addressType?: string;
  readonly ports?: Maybe<readonly { readonly name?: Maybe<string>; readonly port?: Maybe<number> }[]>;
  readonly endpoints?: Maybe<readonly { readonly addresses?: Maybe<readonly string[]> }[]>;
};

function slicePorts({ ports }: EndpointSlice): string {
  if (!ports || ports.length === 0) return UNSET;
  return few(ports.map(({ name, port }) => (port !== undefined && port !== null ? String(port) : (name ?? "*"))));
}

type Backend = Maybe<{ readonly service?: Maybe<{ readonly name: string }> }>;
type IngressObject = {
  readonly metadata: Metadata;
  readonly spec?: Maybe<{
    readonly ingressClassName?: Maybe<string>;
    readonly defaultBackend?: Backend;
    readonly tls?: Maybe<readonly unknown[]>;
    readonly rules?: Maybe<readonly { readonly host?: Maybe<string> }[]>;
  }>;
  readonly status?: Maybe<{ readonly loadBalancer?: Maybe<{ readonly ingress?: Maybe<readonly Ingress[]> }> }>;
};

function hosts({ spec }: IngressObject): string {
  const named = (spec?.rules ?? []).flatMap(({ host }) => host || []);
  return named.length === 0 ? "*" : few(named);
}

type ParentRef = Maybe<{
  readonly group?: Maybe<string>;
  readonly resource?: string;
  readonly namespace?: Maybe<string>;
  readonly name?: string;
}>;
type Parameters = Maybe<{ readonly apiGroup?: Maybe<string>; readonly kind: string; readonly name: string }>;

export const networkPrinters: Readonly<Record<string, Printer>> = {
  "/services": printer<Service>("Name, Type, Cluster-IP, External-IP, Port(s), Age, Selector^", (service, now) => {
    const { metadata, spec } = service;
    return [
      metadata.name,
      spec.type ?? "ClusterIP",
      (spec.clusterIPs?.[0] ?? spec.clusterIP) || NONE,
      externalAddress(service),
      (spec.ports ?? []).map(portText).join(",") || NONE,
      age(metadata, now),
      labelText(spec.selector),
    ];
  }),
  "/endpoints": printer<{ metadata: Metadata; subsets?: Maybe<readonly Subset[]> }>(
    "Name, Endpoints, Age",
    ({ metadata, subsets }, now) => [metadata.name, endpointsText(subsets ?? []), age(metadata, now)],
  ),
  "discovery.k8s.io/endpointslices": printer<EndpointSlice>(
    "Name, AddressType, Ports, Endpoints, Age",
    (slice, now) => {
      const addresses = (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses ?? []);
      return [
        slice.metadata.name,
        slice.addressType ?? "",
        slicePorts(slice),
        addresses.length === 0 ? UNSET : few(addresses),
        age(slice.metadata, now),
      ];
    },
  ),
  "networking.k8s.io/networkpolicies": printer<{ metadata: Metadata; spec?: { podSelector?: Selector } }>(
    "Name, Pod-Selector, Age",
    ({ metadata, spec }, now) => [metadata.name, selectorText(spec?.podSelector), age(metadata, now)],
  ),
  "networking.k8s.io/ingresses": printer<IngressObject>("Name, Class, Hosts, Address, Ports, Age", (ingress, now) => [
    ingress.metadata.name,
    ingress.spec?.ingressClassName ?? NONE,
    hosts(ingress),
    balancerText((ingress.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip || hostname || [])),
    (ingress.spec?.tls ?? []).length > 0 ? "80, 443" : "80",
    age(ingress.metadata, now),
  ]),
  "networking.k8s.io/ingressclasses": printer<{
    metadata: Metadata;
    spec?: { controller?: string; parameters?: Parameters };
  }>("Name, Controller, Parameters, Age", ({ metadata, spec }, now) => {
    const { apiGroup, kind, name } = spec?.parameters ?? {};
    const text = kind === undefined ? NONE : `${kind}${apiGroup ? `.${apiGroup}` : ""}/${name}`;
    return [metadata.name, spec?.controller ?? "", text, age(metadata, now)];
  }),
  // the API server tells their age too, without a column for it
  "networking.k8s.io/ipaddresses": printer<{ metadata: Metadata; spec?: { parentRef?: ParentRef } }>(
    "Name, ParentRef",
    ({ metadata, spec }, now) => {
      const { group, resource, namespace, name } = spec?.parentRef ?? {};
      const parts = [group ? `${resource}.${group}` : resource, namespace, name].filter((part) => part);
      return [metadata.name, resource === undefined ? NONE : parts.join("/"), age(metadata, now)];
    },
  ),
  "networking.k8s.io/servicecidrs": printer<{ metadata: Metadata; spec?: { cidrs?: Maybe<readonly string[]> } }>(
    "Name, CIDRs, Age",
    ({ metadata, spec }, now) => [metadata.name, (spec?.cidrs ?? []).join(","), age(metadata, now)],
  ),
};
