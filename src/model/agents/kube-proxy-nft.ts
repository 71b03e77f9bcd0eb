/**
 * What kube-proxy writes in nftables mode, for IPv4.
 *
 * Source: kubernetes pkg/proxy/nftables/proxier.go (setupNFTables, syncProxyRules, writeServiceToEndpointRules) of 1.31 to
 * 1.33; later versions say the same in fewer rules. It is made as `nft -j` lists it, so that it is read as any other.
 */
import { parsePrefix } from "../../net/ip.ts";
import { type NftRuleset, type NftTable, parseNft } from "../../parse/nft-json.ts";
import type { ServiceEndpoint, ServicePort, Services } from "../services/services.ts";
import { chainHash } from "./kube-proxy.ts";

const TABLE = { family: "ip", table: "kube-proxy" } as const;
const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const match = (left: object, right: unknown, op = "==") => ({ match: { op, left, right } });
const jump = (target: string) => ({ jump: { target } });
const goTo = (target: string) => ({ goto: { target } });

const MARK = { meta: { key: "mark" } };
const L4PROTO = { meta: { key: "l4proto" } };
const [SADDR, DADDR, DPORT] = [payload("ip", "saddr"), payload("ip", "daddr"), payload("th", "dport")];
const SERVICE = { concat: [DADDR, L4PROTO, DPORT] };
const NODE_PORT = { concat: [L4PROTO, DPORT] };
const SERVICE_TYPE = ["ipv4_addr", "inet_proto", "inet_service"];
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

const onNodePort = (data: string) => [match(DADDR, "@nodeport-ips"), { vmap: { key: NODE_PORT, data } }];

/** The chains that serve all Services, with their rules. */
const FIXED: Readonly<Record<string, readonly (readonly object[])[]>> = {
  "nodeport-endpoints-check": [onNodePort("@no-endpoint-nodeports")],
  "service-endpoints-check": [[{ vmap: { key: SERVICE, data: "@no-endpoint-services" } }]],
  "firewall-check": [[{ vmap: { key: SERVICE, data: "@firewall-ips" } }]],
  services: [[{ vmap: { key: SERVICE, data: "@service-ips" } }], onNodePort("@service-nodeports")],
  masquerading: [
    [match({ "&": [MARK, MASQUERADE] }, 0), { return: null }],
    [{ mangle: { key: MARK, value: { "^": [MARK, MASQUERADE] } } }],
    [{ masquerade: { flags: "fully-random" } }],
  ],
  "cluster-ips-check": [[match(DADDR, "@cluster-ips"), { reject: { type: "icmp", expr: "port-unreachable" } }]],
  "mark-for-masquerade": [[{ mangle: { key: MARK, value: { "|": [MARK, MASQUERADE] } } }]],
  "reject-chain": [[{ reject: { type: "icmp", expr: "port-unreachable" } }]],
};

/** The tables of a rule set under way. */
type Sink = {
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
  const rules = sink.chains.get(chainName(kind, baseOf(port))) ?? [];
  // endpointslicecache.go, byEndpoint
  const endpoints = unsorted.toSorted((a, b) => (`${a.address}:${a.port}` < `${b.address}:${b.port}` ? -1 : 1));
  const isSticky = port.service.object.spec.sessionAffinity === "ClientIP";
  const names = endpoints.map(({ address, port: number }) => `${baseOf(port)}__${address}/${number}`);
  for (const [at, { address, port: number }] of endpoints.entries()) {
    const affinity = chainName("affinity", names[at]!);
    if (isSticky) {
      rules.push([match(SADDR, `@${affinity}`), goTo(chainName("endpoint", names[at]!))]);
      if (!sink.affinities.includes(affinity)) sink.affinities.push(affinity);
    }
    sink.chains.set(chainName("endpoint", names[at]!), [
      [match(SADDR, address), jump("mark-for-masquerade")],
      ...(isSticky ? [[{ set: { op: "update", elem: SADDR, set: `@${affinity}` } }]] : []),
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
  const { policy, clusterIps, externalIps, loadBalancerIps } = port.service;
  const { cluster = [], local = [], any } = services.expected(port, node);
  const protocol = port.protocol.toLowerCase();
  const [serviceChain, localChain, externalChain] = (["service", "local", "external"] as const).map((kind) =>
    chainName(kind, baseOf(port)),
  ) as [string, string, string];
  const ipv4 = (addresses: readonly string[]) => addresses.filter((address) => !address.includes(":"));
  const at = (address: string) => ({ concat: [address, protocol, port.port] });
  // why nothing is delivered: no back end at all, or none here
  const refusal = any ? { drop: null } : goTo("reject-chain");
  const internal = policy.internalLocal ? local : cluster;
  for (const address of ipv4(clusterIps)) {
    sink.clusterIps.add(address);
    if (internal.length === 0) sink.elements["no-endpoint-services"].push([at(address), refusal]);
    else sink.elements["service-ips"].push([at(address), goTo(policy.internalLocal ? localChain : serviceChain)]);
  }
  const isDeliveredOutside = policy.externalLocal ? local.length > 0 : cluster.length > 0;
  for (const address of [...ipv4(externalIps), ...ipv4(loadBalancerIps)]) {
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
    const marking = ipv4(clusterIps).flatMap((address) =>
      pods && !policy.internalLocal
        ? [
            [
              match(DADDR, address),
              match(payload(protocol, "dport"), port.port),
              match(SADDR, pods, "!="),
              jump("mark-for-masquerade"),
            ],
          ]
        : [],
    );
    sink.chains.set(serviceChain, marking);
    writeBackends("service", port, cluster, sink);
  }
  if (local.length > 0 && (policy.internalLocal || policy.externalLocal)) writeBackends("local", port, local, sink);
  if (!policy.external) return;
  sink.chains.set(
    externalChain,
    policy.externalLocal
      ? [
          ...(pods ? [[match(SADDR, pods), goTo(serviceChain)]] : []),
          [FROM_HERE, jump("mark-for-masquerade")],
          [FROM_HERE, goTo(serviceChain)],
          ...(local.length > 0 ? [[goTo(localChain)]] : []),
        ]
      : [[jump("mark-for-masquerade")], [goTo(serviceChain)]],
  );
}

/** @param nodeAddress the node's first address, at which node ports are served (nodePortAddresses: primary) */
export function kubeProxyTable(
  services: Services,
  node: string,
  clusterRange: string | undefined,
  nodeAddress: string | undefined,
): NftTable {
  const sink: Sink = {
    chains: new Map(),
    affinities: [],
    clusterIps: new Set(),
    elements: { "service-ips": [], "service-nodeports": [], "no-endpoint-services": [], "no-endpoint-nodeports": [] },
  };
  for (const service of services.all) {
    if (service.proxied) for (const port of service.ports) writePort(port, node, services, clusterRange, sink);
  }
  const set = (name: string, elem: readonly unknown[], more = {}) => ({
    set: { ...TABLE, name, type: "ipv4_addr", ...more, ...(elem.length > 0 && { elem }) },
  });
  const map = (name: string, type: readonly string[], elem: readonly unknown[]) => ({
    map: { ...TABLE, name, type, map: "verdict", ...(elem.length > 0 && { elem }) },
  });
  const chains = [...Object.entries(FIXED), ...sink.chains];
  const rule = (chain: string, expr: readonly object[], at: number) => ({
    rule: { ...TABLE, chain, handle: at + 1, expr },
  });
  const rules = [
    ...BASES.flatMap(([name, type, , , ...jumps]) =>
      jumps.map((target) => [name, [...(type === "filter" ? [IF_NEW] : []), jump(target)]] as const),
    ),
    ...chains.flatMap(([name, list]) => list.map((expr) => [name, expr] as const)),
  ];
  const items = [
    { metainfo: { version: "1.0.6", release_name: "Lester Gooch #5", json_schema_version: 1 } },
    { table: { family: "ip", name: "kube-proxy", handle: 1 } },
    set("cluster-ips", [...sink.clusterIps]),
    set("nodeport-ips", nodeAddress === undefined ? [] : [nodeAddress]),
    map("no-endpoint-services", SERVICE_TYPE, sink.elements["no-endpoint-services"]),
    map("no-endpoint-nodeports", SERVICE_TYPE.slice(1), sink.elements["no-endpoint-nodeports"]),
    map("firewall-ips", SERVICE_TYPE, []),
    map("service-ips", SERVICE_TYPE, sink.elements["service-ips"]),
    map("service-nodeports", SERVICE_TYPE.slice(1), sink.elements["service-nodeports"]),
    ...sink.affinities.map((name) => set(name, [], { size: 65535, flags: ["timeout"], timeout: 10800 })),
    ...BASES.map(([name, type, hook, prio]) => ({ chain: { ...TABLE, name, type, hook, prio, policy: "accept" } })),
    ...chains.map(([name]) => ({ chain: { ...TABLE, name } })),
    ...rules.map(([chain, expr], at) => rule(chain, expr, at)),
  ];
  return parseNft(JSON.stringify({ nftables: items })).value.tables[0]!;
}

/** Puts kube-proxy's table in place of what it wrote before; other tables stay. */
export function replaceTable(current: NftRuleset | undefined, table: NftTable): NftRuleset {
  const others = (current?.tables ?? []).filter(({ family, name }) => family !== table.family || name !== table.name);
  return { ...(current ?? { version: "1.0.6" }), tables: [...others, table] };
}
