/** Bare nodes of the built cluster, before any agent has started, and what is found inside its Pods. */

import { emptyIptables } from "../src/model/agents/iptables.ts";
import type { Draft } from "../src/model/changes.ts";
import { writeFlannel, writeProxies } from "../src/model/changes.ts";
import { modelOf } from "../src/model/model.ts";
import { formatIp, formatPrefix, nthAddress, parsePrefix } from "../src/net/ip.ts";
import type { Route } from "../src/parse/ip-route.ts";
import { logDigestReader } from "../src/parse/log-digest.ts";
import type { NftChain, NftRuleset } from "../src/parse/nft-json.ts";
import type { Node, Pod } from "../src/parse/objects.ts";
import type { ClusterOptions } from "./cluster.ts";

export const NOW = "2026-11-21T03:00:00Z";
/** Everything in a healthy cluster is older than an hour. */
export const CREATED = "2026-11-21T01:00:00Z";

type Flavour = NonNullable<ClusterOptions["flavour"]>;

const route = (destination: string, device: string, more: Partial<Route> = {}): Route => ({
  type: "unicast",
  family: "inet",
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
const OF_IPTABLES: NftRuleset = {
  version: "1.0.6",
  tables: [
    { name: "filter", chains: ["INPUT", "FORWARD", "OUTPUT"].map((chain) => baseChain(chain, "filter", 0)) },
    { name: "nat", chains: ["PREROUTING", "OUTPUT"].map((chain) => baseChain(chain, "nat", -100)) },
  ].map((table) => ({ family: "ip" as const, item: 1, flags: [], sets: [], objects: [], ...table })),
};

export const addressOf = (object: Node): string => object.status?.addresses?.[0]?.address ?? "";

export function bareNode(draft: Draft, object: Node, flavour: Flavour): void {
  const node = object.metadata.name;
  const place = { node };
  const address = addressOf(object);
  const range = parsePrefix(object.spec?.podCIDR ?? "")!;
  const bridge = formatIp(nthAddress(range, 1));
  const up = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
  draft.set("links", place, [
    {
      index: 1,
      name: "lo",
      flags: ["LOOPBACK", "UP", "LOWER_UP"],
      mtu: 65536,
      addresses: [{ family: "inet", local: "127.0.0.1", prefixLength: 8, scope: "host" }],
    },
    {
      index: 2,
      name: "eth0",
      flags: up,
      mtu: 1500,
      mac: "02:00:00:00:00:02",
      addresses: [{ family: "inet", local: address, prefixLength: 16, scope: "global" }],
    },
    {
      index: 3,
      name: "cni0",
      flags: up,
      mtu: 1450,
      mac: "02:00:00:00:00:03",
      kind: "bridge",
      addresses: [{ family: "inet", local: bridge, prefixLength: range.length, scope: "global" }],
    },
  ]);
  draft.set("routes", place, [
    route("0.0.0.0/0", "eth0", {
      scope: "global",
      nextHops: [{ gateway: "172.16.255.254", device: "eth0", flags: [] }],
    }),
    route("172.16.0.0/16", "eth0", { source: address }),
    route(formatPrefix(range), "cni0", { source: bridge }),
    localRoute(`${address}/32`, "eth0", address),
    localRoute(`${bridge}/32`, "cni0", bridge),
    localRoute("127.0.0.0/8", "lo", "127.0.0.1"),
  ]);
  draft.set("routingRules", place, [
    { priority: 0, table: "local", action: "to_tbl", negated: false },
    { priority: 32766, table: "main", action: "to_tbl", negated: false },
    { priority: 32767, table: "default", action: "to_tbl", negated: false },
  ]);
  draft.set("neighbours", place, []);
  draft.set("fdb", place, []);
  draft.set("bridgePorts", place, []);
  draft.set("iptables", place, emptyIptables());
  draft.set("iptablesLegacy", place, { tables: [] });
  draft.set("nftables", place, OF_IPTABLES);
  draft.set("ipset", place, []);
  draft.set("conntrack", place, []);
  draft.set("conntrackCount", place, { count: 500, max: 262144 });
  const sysctls = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
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
  draft.set("kubeletConfig", place, { clusterDNS: ["10.96.0.10"], clusterDomain: "cluster.local" });
  if (flavour !== "k3s")
    draft.set(
      "cniConfig",
      { node, file: "10-flannel.conflist" },
      { name: "cbr0", cniVersion: "0.3.1", plugins: [{ type: "flannel", hairpinMode: true }, { type: "portmap" }] },
    );
  draft.set("subnetEnv", place, {
    networks: ["10.128.0.0/9"],
    subnet: `${bridge}/${range.length}`,
    ipv6Networks: [],
    mtu: 1450,
    ipMasq: true,
  });
  draft.set("nodeResolvConf", place, { nameservers: ["172.16.255.254"], search: [], options: new Map() });
}

function socketsOf(pod: Pod) {
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  return ports.map(({ containerPort, protocol }, index) => ({
    protocol: protocol === "UDP" ? ("udp" as const) : ("tcp" as const),
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
  const gateway = bridge?.addresses[0];
  const first = Math.max(100, ...links.map(({ index }) => index)) + 1;
  const flags = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
  for (const [n, pod] of pods.entries()) {
    const { name, namespace } = pod.metadata;
    const place = { node, namespace: namespace!, pod: name };
    const address = pod.status?.podIP;
    draft.set("podSockets", place, socketsOf(pod));
    draft.set("podLinks", place, [
      {
        index: 2,
        name: "eth0",
        flags: ["UP"],
        mtu: 1450,
        kind: "veth",
        peerIndex: first + n,
        addresses: address ? [{ family: "inet", local: address, prefixLength: 24, scope: "global" }] : [],
      },
    ]);
    if (gateway) {
      const hops = [{ gateway: gateway.local, device: "eth0", flags: [] }];
      const near = formatPrefix(parsePrefix(`${gateway.local}/${gateway.prefixLength}`)!);
      draft.set("podRoutes", place, [route("0.0.0.0/0", "eth0", { nextHops: hops }), route(near, "eth0")]);
    }
    const isDefault = pod.spec.dnsPolicy === "Default";
    draft.set("podResolvConf", place, {
      nameservers: [isDefault ? "172.16.255.254" : "10.96.0.10"],
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
