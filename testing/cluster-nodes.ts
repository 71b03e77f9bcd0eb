/** Bare nodes of the built cluster, before any agent has started, and what is found inside its Pods. */

import { emptyIptables } from "../src/model/agents/iptables.ts";
import type { Draft } from "../src/model/changes/changes.ts";
import { writeFlannel, writeProxies } from "../src/model/changes/changes.ts";
import { modelOf } from "../src/model/model.ts";
import { type Family, formatIp, formatPrefix, isOfFamily, nthAddress, parsePrefix } from "../src/net/ip.ts";
import type { LinkAddress } from "../src/parse/iproute2/addr.ts";
import type { Route } from "../src/parse/iproute2/route.ts";
import type { SocketProtocol } from "../src/parse/iproute2/ss.ts";
import { logDigestReader } from "../src/parse/logs/digest.ts";
import type { NftChain, NftRuleset } from "../src/parse/nftables/json.ts";
import type { Node, Pod } from "../src/parse/objects.ts";
import type { ClusterOptions } from "./cluster.ts";
import { RANGES, serviceAddress } from "./cluster-addresses.ts";

export const NOW = "2026-11-21T03:00:00Z";
/** Everything in a healthy cluster is older than an hour. */
export const CREATED = "2026-11-21T01:00:00Z";

type Flavour = NonNullable<ClusterOptions["flavour"]>;

const route = (destination: string, device: string, more: Partial<Route> = {}): Route => ({
  type: "unicast",
  family: destination.includes(":") ? "inet6" : "inet",
  destination,
  table: "main",
  protocol: "kernel",
  scope: "link",
  nextHops: [{ device, flags: [] }],
  flags: [],
  ...more,
});

/** The kernel's own, for an address that a device has. */
export const localRoute = (destination: string, device: string, source: string): Route =>
  route(destination, device, { type: "local", table: "local", scope: "host", source });

const baseChain = (name: string, type: string, priority: number): NftChain => ({
  ...{ name, item: 3, rules: [{ item: 4, statements: [{ does: "xt" as const }] }] },
  base: { type, hook: name.toLowerCase(), priority, policy: "accept" },
});

/** What nft lists of the rules of iptables: that there are some. */
const ofIptables = (families: readonly Family[]): NftRuleset => ({
  version: "1.0.6",
  tables: families.flatMap((family) =>
    [
      { name: "filter", chains: ["INPUT", "FORWARD", "OUTPUT"].map((chain) => baseChain(chain, "filter", 0)) },
      { name: "nat", chains: ["PREROUTING", "OUTPUT"].map((chain) => baseChain(chain, "nat", -100)) },
    ].map((table) => ({
      family: family === 4 ? ("ip" as const) : ("ip6" as const),
      ...{ item: 1, flags: [], sets: [], objects: [] },
      ...table,
    })),
  ),
});

/** What a device has of one family: an address in a network, and the routes that the kernel makes of it. */
type Attached = { readonly device: string; readonly address: string; readonly network: string };

function attachedTo(object: Node, families: readonly Family[]): readonly Attached[] {
  const addresses = (object.status?.addresses ?? []).map(({ address }) => address);
  const ranges = (object.spec?.podCIDRs ?? []).map((text) => parsePrefix(text)!);
  return families.flatMap((family) => {
    const own = addresses.find((address) => isOfFamily(address, family));
    const range = ranges.find(({ ip }) => ip.family === family);
    return [
      ...(own === undefined ? [] : [{ device: "eth0", address: own, network: RANGES[family].nodes }]),
      ...(range ? [{ device: "cni0", address: formatIp(nthAddress(range, 1)), network: formatPrefix(range) }] : []),
    ];
  });
}

const linkAddress = (local: string, prefixLength: number, scope = "global"): LinkAddress => {
  const family = local.includes(":") ? "inet6" : "inet";
  return { family, local, prefixLength, scope };
};

const attachedAddresses = (all: readonly Attached[], device: string): LinkAddress[] =>
  all
    .filter((one) => one.device === device)
    .map(({ address, network }) => linkAddress(address, parsePrefix(network)!.length));

/** A router's subnet has an anycast address, all zeros behind the prefix, which is every router's own (addrconf_join_anycast). */
function attachedRoutes(all: readonly Attached[]): Route[] {
  return all.flatMap(({ device, address, network }): Route[] => {
    if (isOfFamily(address, 4))
      return [route(network, device, { source: address }), localRoute(`${address}/32`, device, address)];
    const anycast = formatPrefix({ ip: parsePrefix(network)!.ip, length: 128 });
    return [
      route6(network, device, { metric: 256 }),
      route6(`${address}/128`, device, { type: "local", table: "local", metric: 0 }),
      route6(anycast, device, { type: "anycast", table: "local", metric: 0 }),
    ];
  });
}

function route6(destination: string, device: string, more: Partial<Route>): Route {
  const { scope: _, ...plain } = route(destination, device, more);
  return plain;
}

const INET = { 4: "0.0.0.0/0", 6: "::/0" } as const;

function defaultRoute(family: Family): Route {
  const nextHops = [{ gateway: RANGES[family].gateway, device: "eth0", flags: [] }];
  return family === 4
    ? route(INET[4], "eth0", { scope: "global", nextHops })
    : route6(INET[6], "eth0", { metric: 1024, nextHops });
}

const LOOPBACK: Readonly<Record<Family, Route>> = {
  4: localRoute("127.0.0.0/8", "lo", "127.0.0.1"),
  6: route6("::1/128", "lo", { type: "local", table: "local", metric: 0 }),
};

export const addressOf = (object: Node): string => object.status?.addresses?.[0]?.address ?? "";

export function bareNode(draft: Draft, object: Node, flavour: Flavour, families: readonly Family[]): void {
  const node = object.metadata.name;
  const place = { node };
  const attached = attachedTo(object, families);
  const has6 = families.includes(6);
  const up = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
  draft.set("links", place, [
    {
      index: 1,
      name: "lo",
      flags: ["LOOPBACK", "UP", "LOWER_UP"],
      mtu: 65536,
      addresses: [linkAddress("127.0.0.1", 8, "host"), ...(has6 ? [linkAddress("::1", 128, "host")] : [])],
    },
    {
      index: 2,
      name: "eth0",
      flags: up,
      mtu: 1500,
      mac: "02:00:00:00:00:02",
      addresses: attachedAddresses(attached, "eth0"),
    },
    {
      index: 3,
      name: "cni0",
      flags: up,
      mtu: 1450,
      mac: "02:00:00:00:00:03",
      kind: "bridge",
      addresses: attachedAddresses(attached, "cni0"),
    },
  ]);
  draft.set("routes", place, [
    ...families.map(defaultRoute),
    ...attachedRoutes(attached),
    ...[...new Set([4 as const, ...families])].map((family) => LOOPBACK[family]),
  ]);
  draft.set("routingRules", place, [
    { priority: 0, table: "local", action: "to_tbl", negated: false },
    { priority: 32766, table: "main", action: "to_tbl", negated: false },
    { priority: 32767, table: "default", action: "to_tbl", negated: false },
  ]);
  if (has6)
    draft.set("routingRules6", place, [
      { priority: 0, table: "local", action: "to_tbl", negated: false },
      { priority: 32766, table: "main", action: "to_tbl", negated: false },
    ]);
  draft.set("neighbours", place, []);
  draft.set("fdb", place, []);
  draft.set("bridgePorts", place, []);
  draft.set("iptables", place, emptyIptables(4));
  draft.set("iptablesLegacy", place, { tables: [] });
  if (has6) draft.set("ip6tables", place, emptyIptables(6));
  draft.set("nftables", place, ofIptables(families));
  draft.set("ipset", place, []);
  draft.set("conntrack", place, []);
  draft.set("conntrackCount", place, { count: 500, max: 262144 });
  const sysctls = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    ...(has6 && {
      "net.ipv6.conf.all.forwarding": "1",
      "net.ipv6.conf.all.proxy_ndp": "0",
      "net.bridge.bridge-nf-call-ip6tables": "1",
    }),
    ...Object.fromEntries(
      ["all", "default", "eth0", "cni0", "flannel/1"].flatMap((device) =>
        ["rp_filter", "accept_local", "route_localnet", "proxy_arp"].map((key) => [
          `net.ipv4.conf.${device}.${key}`,
          "0",
        ]),
      ),
    ),
  };
  draft.set(
    "sysctls",
    place,
    new Map(Object.entries(sysctls).map(([key, value], index) => [key, { value, line: index + 1 }])),
  );
  draft.set("sockets", place, [
    { protocol: "tcp", address: "*", port: 10250, processes: [{ name: "kubelet", pid: 200 }], line: 1 },
  ]);
  const main =
    flavour === "k3s" ? "/usr/local/bin/k3s agent" : "/usr/local/bin/kubelet --config=/var/lib/kubelet/config.yaml";
  draft.set("processes", place, [
    { line: 2, pid: 100, ppid: 1, command: "/usr/bin/containerd" },
    { line: 3, pid: 200, ppid: 1, command: main },
  ]);
  const clusterDNS = [serviceAddress("10.96.0.10", families[0] ?? 4)];
  draft.set("kubeletConfig", place, { clusterDNS, clusterDomain: "cluster.local" });
  if (flavour !== "k3s")
    draft.set(
      "cniConfig",
      { node, file: "10-flannel.conflist" },
      { name: "cbr0", cniVersion: "0.3.1", plugins: [{ type: "flannel", hairpinMode: true }, { type: "portmap" }] },
    );
  const subnets = attached
    .filter(({ device }) => device === "cni0")
    .map(({ address, network }) => `${address}/${parsePrefix(network)!.length}`);
  const subnet = subnets.find((text) => isOfFamily(text, 4));
  const ipv6Subnet = subnets.find((text) => isOfFamily(text, 6));
  draft.set("subnetEnv", place, {
    networks: families.includes(4) ? [RANGES[4].pods] : [],
    ...(subnet !== undefined && { subnet }),
    ipv6Networks: has6 ? [RANGES[6].pods] : [],
    ...(ipv6Subnet !== undefined && { ipv6Subnet }),
    mtu: 1450,
    ipMasq: true,
  });
  draft.set("nodeResolvConf", place, {
    nameservers: [RANGES[families[0] ?? 4].gateway],
    search: [],
    options: new Map(),
  });
}

function socketsOf(pod: Pod) {
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  return ports.map(({ containerPort, protocol }, index) => ({
    protocol: (protocol ?? "TCP").toLowerCase() as SocketProtocol,
    address: "*",
    port: containerPort,
    processes: [{ name: pod.spec.containers[0]!.name, pid: 1 }],
    line: index + 1,
  }));
}

/** What is seen inside Pods that nobody has looked into yet, and of them on their nodes: sockets, devices, routes, names. */
export function lookIntoPods(draft: Draft): void {
  const fresh = draft.list("pods").filter(({ metadata: { namespace, name }, spec: { nodeName, hostNetwork } }) => {
    const place = { node: nodeName ?? "", namespace: namespace ?? "", pod: name };
    return nodeName && namespace && !hostNetwork && draft.get("podLinks", place) === undefined;
  });
  for (const [node, pods] of Map.groupBy(fresh, ({ spec }) => spec.nodeName!)) plugIn(draft, node, pods);
}

/** As the bridge plugin does: a pair of devices for each Pod, one end of it a port of cni0. */
function plugIn(draft: Draft, node: string, pods: readonly Pod[]): void {
  const links = draft.get("links", { node }) ?? [];
  const bridge = links.find(({ name }) => name === "cni0");
  const gateways = bridge?.addresses ?? [];
  const [clusterDns = ""] = draft.get("kubeletConfig", { node })?.clusterDNS ?? [];
  const first = Math.max(100, ...links.map(({ index }) => index)) + 1;
  const flags = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
  for (const [n, pod] of pods.entries()) {
    const { name, namespace } = pod.metadata;
    const place = { node, namespace: namespace!, pod: name };
    const addresses = (pod.status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
    draft.set("podSockets", place, socketsOf(pod));
    draft.set("podLinks", place, [
      {
        index: 2,
        name: "eth0",
        flags: ["UP"],
        mtu: 1450,
        kind: "veth",
        peerIndex: first + n,
        addresses: addresses.map((address) => linkAddress(address, isOfFamily(address, 4) ? 24 : 64)),
      },
    ]);
    for (const { local, prefixLength, family } of gateways) {
      const hops = [{ gateway: local, device: "eth0", flags: [] }];
      const near = formatPrefix(parsePrefix(`${local}/${prefixLength}`)!);
      if (family === "inet")
        draft.set("podRoutes", place, [route(INET[4], "eth0", { nextHops: hops }), route(near, "eth0")]);
      else
        draft.set("podRoutes6", place, [
          route6(near, "eth0", { metric: 256 }),
          route6(INET[6], "eth0", { metric: 1024, nextHops: hops }),
        ]);
    }
    const isDefault = pod.spec.dnsPolicy === "Default";
    draft.set("podResolvConf", place, {
      nameservers: isDefault ? (draft.get("nodeResolvConf", { node })?.nameservers ?? []) : [clusterDns],
      search: isDefault ? [] : [`${namespace}.svc.cluster.local`, "svc.cluster.local", "cluster.local"],
      options: new Map([["ndots", "5"]]),
    });
  }
  if (!bridge) return;
  const names = pods.map((_, n) => `veth${first + n}`);
  const pairs = names.map((name, n) => ({
    index: first + n,
    name,
    flags,
    mtu: 1450,
    kind: "veth",
    master: "cni0",
    peerIndex: 2,
    addresses: [],
  }));
  const ports = names.map((name) => ({ name, master: "cni0", state: "forwarding", hairpin: true, isolated: false }));
  draft.set("links", { node }, [...links, ...pairs]);
  draft.set("bridgePorts", { node }, [...(draft.get("bridgePorts", { node }) ?? []), ...ports]);
}

/** k3s and managed clusters have the rules of agents that are no Pods. */
export function otherAgents(draft: Draft, flavour: Flavour): void {
  if (flavour === "kubeadm") return;
  const model = modelOf(draft.capture());
  const names = model.nodes.all.map(({ name }) => name);
  writeProxies(draft, model, names);
  if (flavour === "k3s") for (const name of names) writeFlannel(draft, model, name);
}

/** A log with these messages, said at one time. */
export function logOf(messages: readonly string[], at = NOW) {
  const reader = logDigestReader();
  for (const message of messages) reader.write(`${at} ${message}\n`);
  return reader.end().value;
}
