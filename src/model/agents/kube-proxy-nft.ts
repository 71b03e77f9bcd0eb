/**
 * What kube-proxy writes in nftables mode, a table for each address family.
 *
 * Source: kubernetes pkg/proxy/nftables/proxier.go (setupNFTables, syncProxyRules, writeServiceToEndpointRules) of 1.31 to
 * 1.33; later versions say the same in fewer rules. It is made as `nft -j` lists it, so that it is read as any other.
 */
import { type Family, isOfFamily, parsePrefix } from "../../net/ip.ts";
import { type NftRuleset, type NftTable, parseNft } from "../../parse/nftables/json.ts";
import { clusterIpOf, type ServiceEndpoint, type ServicePort, type Services } from "../services/services.ts";
import { chainHash } from "./kube-proxy.ts";

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const match = (left: object, right: unknown, op = "==") => ({ match: { op, left, right } });
const jump = (target: string) => ({ jump: { target } });
const goTo = (target: string) => ({ goto: { target } });

const MARK = { meta: { key: "mark" } };
const L4PROTO = { meta: { key: "l4proto" } };
const DPORT = payload("th", "dport");
const NODE_PORT = { concat: [L4PROTO, DPORT] };
const IF_NEW = match({ ct: { key: "state" } }, "new", "in");
const FROM_HERE = match({ fib: { result: "type", flags: ["saddr"] } }, "local");
const MASQUERADE = 0x4000;

/** nftablesBaseChains, each with the chains that it jumps to. */
const BASES: readonly (readonly [name: string, type: string, hook: string, prio: number, ...jumps: string[]])[] = [
  ["filter-prerouting-pre-dnat", "filter", "prerouting", -110, "firewall-check"],
  ["filter-output-pre-dnat", "filter", "output", -110, "firewall-check"],
  ["filter-input", "filter", "input", 0, "nodeport-endpoints-check", "service-endpoints-check"],
  ["filter-forward", "filter", "forward", 0, "service-endpoints-check", "cluster-ips-check"],
  ["filter-output", "filter", "output", 0, "service-endpoints-check", "cluster-ips-check"],
  ["nat-prerouting", "nat", "prerouting", -100, "services"],
  ["nat-output", "nat", "output", -100, "services"],
  ["nat-postrouting", "nat", "postrouting", 100, "masquerading"],
];

/** What differs between the families: names of tables, types and fields. */
type Words = {
  readonly family: Family;
  readonly table: "ip" | "ip6";
  readonly addressType: "ipv4_addr" | "ipv6_addr";
  readonly saddr: object;
  readonly daddr: object;
};
const wordsOf = (family: Family): Words => {
  const table = family === 4 ? "ip" : "ip6";
  const addressType = family === 4 ? "ipv4_addr" : "ipv6_addr";
  return { family, table, addressType, saddr: payload(table, "saddr"), daddr: payload(table, "daddr") };
};

/** The chains that serve all Services, with their rules. */
function fixedChains({ family, daddr }: Words): Readonly<Record<string, readonly (readonly object[])[]>> {
  const service = { concat: [daddr, L4PROTO, DPORT] };
  const onNodePort = (data: string) => [match(daddr, "@nodeport-ips"), { vmap: { key: NODE_PORT, data } }];
  const refuse = { reject: { type: family === 4 ? "icmp" : "icmpv6", expr: "port-unreachable" } };
  return {
    "nodeport-endpoints-check": [onNodePort("@no-endpoint-nodeports")],
    "service-endpoints-check": [[{ vmap: { key: service, data: "@no-endpoint-services" } }]],
    "firewall-check": [[{ vmap: { key: service, data: "@firewall-ips" } }]],
    services: [[{ vmap: { key: service, data: "@service-ips" } }], onNodePort("@service-nodeports")],
    masquerading: [
      [match({ "&": [MARK, MASQUERADE] }, 0), { return: null }],
      [{ mangle: { key: MARK, value: { "^": [MARK, MASQUERADE] } } }],
      [{ masquerade: { flags: "fully-random" } }],
    ],
    "cluster-ips-check": [[match(daddr, "@cluster-ips"), refuse]],
    "mark-for-masquerade": [[{ mangle: { key: MARK, value: { "|": [MARK, MASQUERADE] } } }]],
    "reject-chain": [[refuse]],
  };
}

/** The tables of a rule set under way. */
type Sink = {
  readonly words: Words;
  readonly chains: Map<string, (readonly object[])[]>;
  readonly affinities: string[];
  readonly clusterIps: Set<string>;
  readonly elements: Readonly<
    Record<"service-ips" | "service-nodeports" | "no-endpoint-services" | "no-endpoint-nodeports", unknown[]>
  >;
};

/** servicePortChainNameBase: `ULMVA6XW-ns1/svc1/tcp/p80`. */
function chainName(kind: string, base: string): string {
  return `${kind}-${chainHash(base).slice(0, 8)}-${base}`;
}

const baseOf = ({ service, name, protocol }: ServicePort): string =>
  `${service.namespace}/${service.name}/${protocol.toLowerCase()}/${name}`;

function writeBackends(
  kind: "service" | "local",
  port: ServicePort,
  unsorted: readonly ServiceEndpoint[],
  sink: Sink,
): void {
  const protocol = port.protocol.toLowerCase();
  const { saddr } = sink.words;
  const rules = sink.chains.get(chainName(kind, baseOf(port))) ?? [];
  // endpointslicecache.go, byEndpoint
  const endpoints = unsorted.toSorted((a, b) => (`${a.address}:${a.port}` < `${b.address}:${b.port}` ? -1 : 1));
  const isSticky = port.service.object.spec.sessionAffinity === "ClientIP";
  // a colon may not stand in the name of a chain
  const names = endpoints.map(
    ({ address, port: number }) => `${baseOf(port)}__${address.replaceAll(":", ".")}/${number}`,
  );
  for (const [at, { address, port: number }] of endpoints.entries()) {
    const affinity = chainName("affinity", names[at]!);
    if (isSticky) {
      rules.push([match(saddr, `@${affinity}`), goTo(chainName("endpoint", names[at]!))]);
      if (!sink.affinities.includes(affinity)) sink.affinities.push(affinity);
    }
    sink.chains.set(chainName("endpoint", names[at]!), [
      [match(saddr, address), jump("mark-for-masquerade")],
      ...(isSticky ? [[{ set: { op: "update", elem: saddr, set: `@${affinity}` } }]] : []),
      [match(L4PROTO, protocol), { dnat: { addr: address, port: number } }],
    ]);
  }
  const numgen = { numgen: { mode: "random", mod: endpoints.length, offset: 0 } };
  const set = names.map((name, at) => [at, goTo(chainName("endpoint", name))]);
  rules.push([{ vmap: { key: numgen, data: { set } } }]);
  sink.chains.set(chainName(kind, baseOf(port)), rules);
}

function writePort(
  port: ServicePort,
  node: string,
  services: Services,
  clusterRange: string | undefined,
  sink: Sink,
): void {
  const { family, saddr, daddr } = sink.words;
  const { policy, externalIps, loadBalancerIps } = port.service;
  const clusterIp = clusterIpOf(port.service, family);
  // a proxier of the other family serves it (proxy.ServiceChangeTracker)
  if (clusterIp === undefined) return;
  const { cluster = [], local = [], any } = services.expected(port, node, family);
  const protocol = port.protocol.toLowerCase();
  const [serviceChain, localChain, externalChain] = (["service", "local", "external"] as const).map((kind) =>
    chainName(kind, baseOf(port)),
  ) as [string, string, string];
  const at = (address: string) => ({ concat: [address, protocol, port.port] });
  // why nothing is delivered: no back end at all, or none here
  const refusal = any ? { drop: null } : goTo("reject-chain");
  const internal = policy.internalLocal ? local : cluster;
  sink.clusterIps.add(clusterIp);
  if (internal.length === 0) sink.elements["no-endpoint-services"].push([at(clusterIp), refusal]);
  else sink.elements["service-ips"].push([at(clusterIp), goTo(policy.internalLocal ? localChain : serviceChain)]);
  const isDeliveredOutside = policy.externalLocal ? local.length > 0 : cluster.length > 0;
  for (const address of [...externalIps, ...loadBalancerIps].filter((one) => isOfFamily(one, family))) {
    if (any) sink.elements["service-ips"].push([at(address), goTo(externalChain)]);
    if (!isDeliveredOutside) sink.elements["no-endpoint-services"].push([at(address), refusal]);
  }
  if (port.nodePort !== undefined) {
    const key = { concat: [protocol, port.nodePort] };
    if (any) sink.elements["service-nodeports"].push([key, goTo(externalChain)]);
    if (!isDeliveredOutside) sink.elements["no-endpoint-nodeports"].push([key, refusal]);
  }
  if (!any) return;
  const range = clusterRange === undefined ? undefined : parsePrefix(clusterRange);
  const pods = range && { prefix: { addr: clusterRange!.split("/")[0], len: range.length } };
  if (cluster.length > 0 && (!policy.internalLocal || policy.external)) {
    const strangers = [
      match(daddr, clusterIp),
      match(payload(protocol, "dport"), port.port),
      match(saddr, pods, "!="),
      jump("mark-for-masquerade"),
    ];
    sink.chains.set(serviceChain, pods && !policy.internalLocal ? [strangers] : []);
    writeBackends("service", port, cluster, sink);
  }
  if (local.length > 0 && (policy.internalLocal || policy.externalLocal)) writeBackends("local", port, local, sink);
  if (!policy.external) return;
  sink.chains.set(
    externalChain,
    policy.externalLocal
      ? [
          ...(pods ? [[match(saddr, pods), goTo(serviceChain)]] : []),
          [FROM_HERE, jump("mark-for-masquerade")],
          [FROM_HERE, goTo(serviceChain)],
          ...(local.length > 0 ? [[goTo(localChain)]] : []),
        ]
      : [[jump("mark-for-masquerade")], [goTo(serviceChain)]],
  );
}

/**
 * @param clusterRange the family's range of Pod addresses
 * @param nodeAddress the node's first address of the family, at which node ports are served (nodePortAddresses: primary)
 */
export function kubeProxyTable(
  services: Services,
  node: string,
  clusterRange: string | undefined,
  nodeAddress: string | undefined,
  family: Family,
): NftTable {
  const words = wordsOf(family);
  const table = { family: words.table, table: "kube-proxy" };
  const sink: Sink = {
    words,
    chains: new Map(),
    affinities: [],
    clusterIps: new Set(),
    elements: { "service-ips": [], "service-nodeports": [], "no-endpoint-services": [], "no-endpoint-nodeports": [] },
  };
  for (const service of services.all) {
    if (service.proxied) for (const port of service.ports) writePort(port, node, services, clusterRange, sink);
  }
  const set = (name: string, elem: readonly unknown[], more = {}) => ({
    set: { ...table, name, type: words.addressType, ...more, ...(elem.length > 0 && { elem }) },
  });
  const map = (name: string, type: readonly string[], elem: readonly unknown[]) => ({
    map: { ...table, name, type, map: "verdict", ...(elem.length > 0 && { elem }) },
  });
  const serviceType = [words.addressType, "inet_proto", "inet_service"];
  const chains = [...Object.entries(fixedChains(words)), ...sink.chains];
  const rule = (chain: string, expr: readonly object[], at: number) => ({
    rule: { ...table, chain, handle: at + 1, expr },
  });
  const rules = [
    ...BASES.flatMap(([name, type, , , ...jumps]) =>
      jumps.map((target) => [name, [...(type === "filter" ? [IF_NEW] : []), jump(target)]] as const),
    ),
    ...chains.flatMap(([name, list]) => list.map((expr) => [name, expr] as const)),
  ];
  const items = [
    { metainfo: { version: "1.0.6", release_name: "Lester Gooch #5", json_schema_version: 1 } },
    { table: { family: words.table, name: "kube-proxy", handle: 1 } },
    set("cluster-ips", [...sink.clusterIps]),
    set("nodeport-ips", nodeAddress === undefined ? [] : [nodeAddress]),
    map("no-endpoint-services", serviceType, sink.elements["no-endpoint-services"]),
    map("no-endpoint-nodeports", serviceType.slice(1), sink.elements["no-endpoint-nodeports"]),
    map("firewall-ips", serviceType, []),
    map("service-ips", serviceType, sink.elements["service-ips"]),
    map("service-nodeports", serviceType.slice(1), sink.elements["service-nodeports"]),
    ...sink.affinities.map((name) => set(name, [], { size: 65535, flags: ["timeout"], timeout: 10800 })),
    ...BASES.map(([name, type, hook, prio]) => ({ chain: { ...table, name, type, hook, prio, policy: "accept" } })),
    ...chains.map(([name]) => ({ chain: { ...table, name } })),
    ...rules.map(([chain, expr], at) => rule(chain, expr, at)),
  ];
  return parseNft(JSON.stringify({ nftables: items })).value.tables[0]!;
}

/** Puts kube-proxy's table in place of what it wrote before; other tables stay. */
export function replaceTable(current: NftRuleset | undefined, table: NftTable): NftRuleset {
  const others = (current?.tables ?? []).filter(({ family, name }) => family !== table.family || name !== table.name);
  return { ...(current ?? { version: "1.0.6" }), tables: [...others, table] };
}
