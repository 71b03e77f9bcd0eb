/**
 * A small cluster in network namespaces: three nodes on one switch, Pods behind them, Services as kube-proxy makes them,
 * and sockets that really listen. It is recorded as a bundle is, by the commands of the catalogue.
 *
 *                    outside (the switch, 203.0.113.9)
 *          ┌───────────────┼───────────────┐
 *          n1              n2              n3          192.168.50.1 …
 *       p11  p12        p21  p22          p31          10.244.1.11 …
 *
 * Three ways to connect Pods: `vxlan` as flannel does it, with bridges; `host-gw` with bridges and routes; `routed` as
 * Calico does it without a tunnel, with a device for each Pod and proxy ARP. And three back ends for the rules.
 *
 * All of it is told in IPv4; a cluster of IPv6 is its twin (ipv6-twin.ts).
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { catalogue, type KindId } from "../../src/evidence/catalogue.ts";
import { pathOf } from "../../src/evidence/path.ts";
import { kubeProxyRules } from "../../src/model/agents/kube-proxy.ts";
import { kubeProxyTable } from "../../src/model/agents/kube-proxy-nft.ts";
import { modelOf } from "../../src/model/model.ts";
import type { Services } from "../../src/model/services/services.ts";
import type { Family } from "../../src/net/ip.ts";
import { printNftRuleset } from "../../src/parse/nftables/print.ts";
import { captureOf } from "../recordings.ts";
import { ipv6Twin } from "./ipv6-twin.ts";
import { addNamespace, deleteNamespace } from "./namespaces.ts";
import { PYTHON } from "./three-hosts.ts";

export type Network = "vxlan" | "host-gw" | "routed";
export const NODES = ["n1", "n2", "n3"] as const;
export const PODS = ["p11", "p12", "p21", "p22", "p31"] as const;
export type Node = (typeof NODES)[number];
export type Pod = (typeof PODS)[number];
export type Host = Node | Pod | "outside";

export const OUTSIDE = "203.0.113.9";
export const GATEWAY = "192.168.50.254";
export const addressOf = (host: Host): string =>
  host === "outside" ? OUTSIDE : isPod(host) ? `10.244.${host[1]}.1${host[2]}` : `192.168.50.${host[1]}`;
export const isPod = (host: Host): host is Pod => host.startsWith("p");
export const isNode = (host: Host): host is Node => host.startsWith("n");
export const nodeOf = (host: Node | Pod): Node => (isPod(host) ? (`n${host[1]}` as Node) : host);
export const podsOn = (node: Node): readonly Pod[] => PODS.filter((pod) => nodeOf(pod) === node);
export const rangeOf = (node: Node): string => `10.244.${node[1]}.0/24`;
/** Calico gives a Pod the address of no network; its gateway is one that nobody has. */
const NO_GATEWAY = "169.254.1.1";
export const gatewayOf = (pod: Pod, network: Network): string =>
  network === "routed" ? NO_GATEWAY : `10.244.${pod[1]}.1`;
/** The node's end of a Pod's pair of devices. */
export const deviceOf = (pod: Pod, network: Network): string => `${network === "routed" ? "cali" : "veth"}${pod[2]}`;

const macOf = (kind: number, host: Host): string => `02:0${kind}:00:00:00:${host.slice(1).padStart(2, "0")}`;
export const uplinkMac = (node: Node): string => macOf(1, node);
export const tunnelMac = (node: Node): string => macOf(2, node);
const bridgeMac = (node: Node): string => macOf(3, node);
export const podMac = (pod: Pod): string => macOf(4, pod);

/** A Service of the small cluster: its back ends are Pods, or nodes with a port of their own. */
type Demand = {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly nodePort?: number;
  readonly local?: true;
  readonly backends: readonly Host[];
  readonly targetPort: number;
};

export const SERVICES: readonly Demand[] = [
  {
    name: "web",
    ip: "10.96.0.10",
    port: 80,
    protocol: "TCP",
    nodePort: 30080,
    backends: ["p12", "p22"],
    targetPort: 8080,
  },
  {
    name: "local",
    ip: "10.96.0.11",
    port: 80,
    protocol: "TCP",
    nodePort: 30081,
    local: true,
    backends: ["p21"],
    targetPort: 8080,
  },
  { name: "dns", ip: "10.96.0.53", port: 53, protocol: "UDP", backends: ["p21"], targetPort: 8080 },
  { name: "empty", ip: "10.96.0.12", port: 80, protocol: "TCP", nodePort: 30082, backends: [], targetPort: 8080 },
  { name: "agent", ip: "10.96.0.13", port: 443, protocol: "TCP", backends: ["n1", "n3"], targetPort: 10250 },
];

const list = (items: readonly object[]): string => JSON.stringify({ kind: "List", items });
const meta = (name: string) => ({ name, namespace: "lab", creationTimestamp: "2026-11-21T01:00:00Z" });

/** What the API says of it. */
function apiFiles(): Map<string, string> {
  const readiness = [{ type: "Ready", status: "True", lastTransitionTime: "2026-11-21T01:00:00Z" }];
  const nodes = NODES.map((name) => ({
    metadata: { name },
    spec: { podCIDR: rangeOf(name), podCIDRs: [rangeOf(name)] },
    status: { addresses: [{ type: "InternalIP", address: addressOf(name) }], conditions: readiness },
  }));
  const pods = PODS.map((name) => ({
    metadata: meta(name),
    spec: { nodeName: nodeOf(name), containers: [{ name: "app" }] },
    status: { phase: "Running", podIP: addressOf(name), conditions: readiness },
  }));
  const services = SERVICES.map(({ name, ip, port, protocol, nodePort, local }) => ({
    metadata: meta(name),
    spec: {
      type: nodePort === undefined ? "ClusterIP" : "NodePort",
      clusterIP: ip,
      ...(local && { externalTrafficPolicy: "Local" }),
      ports: [{ name: "p", port, protocol, ...(nodePort !== undefined && { nodePort }) }],
    },
  }));
  const slices = SERVICES.map(({ name, protocol, backends, targetPort }) => ({
    metadata: { ...meta(`${name}-1`), labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: "p", port: targetPort, protocol }],
    endpoints: backends.map((host) => ({
      addresses: [addressOf(host)],
      conditions: { ready: true },
      nodeName: nodeOf(host as Node | Pod),
    })),
  }));
  return new Map([
    ["api/v1/nodes.json", list(nodes)],
    ["api/v1/pods.json", list(pods)],
    ["api/v1/services.json", list(services)],
    ["apis/discovery.k8s.io/v1/endpointslices.json", list(slices)],
  ]);
}

// ---- what agents have written on a node

const BUILT_IN = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

const FLANNEL = {
  nat: {
    chains: ["FLANNEL-POSTRTG"],
    rules: (range: string) => [
      "-A POSTROUTING -j FLANNEL-POSTRTG",
      "-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -j RETURN",
      `-A FLANNEL-POSTRTG -s ${range} -d 10.244.0.0/16 -j RETURN`,
      `-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d ${range} -j RETURN`,
      `-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d ${range} -j RETURN`,
      "-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully",
      "-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -j MASQUERADE --random-fully",
    ],
  },
  filter: {
    chains: ["FLANNEL-FWD"],
    rules: () => [
      "-A FORWARD -j FLANNEL-FWD",
      "-A FLANNEL-FWD -s 10.244.0.0/16 -j ACCEPT",
      "-A FLANNEL-FWD -d 10.244.0.0/16 -j ACCEPT",
    ],
  },
};

const PODS_RANGE = { 4: "10.244.0.0/16", 6: "fd00:10:244::/48" } as const;

function iptablesText(services: Services, node: Node, family: Family): string {
  const proxy = kubeProxyRules(services, node, PODS_RANGE[family], family);
  const tables = Object.entries(BUILT_IN).map(([table, builtIn]) => {
    const own = proxy[table as keyof typeof proxy] ?? { chains: [], rules: [] };
    const flannel = FLANNEL[table as keyof typeof FLANNEL];
    return [
      `*${table}`,
      ...builtIn.map((chain) => `:${chain} ACCEPT [0:0]`),
      ...[...own.chains, ...(flannel?.chains ?? [])].map((chain) => `:${chain} - [0:0]`),
      ...[...own.rules, ...(flannel?.rules(rangeOf(node)) ?? [])],
      "COMMIT",
    ].join("\n");
  });
  return `${tables.join("\n")}\n`;
}

/** kube-proxy in nftables mode, and a masquerade as Calico's. */
function nftText(services: Services, node: Node, family: Family): string {
  const address = family === 4 ? addressOf(node) : ipv6Twin(addressOf(node));
  const table = kubeProxyTable(services, node, PODS_RANGE[family], address, family);
  return `${printNftRuleset({ version: "1.0.6", tables: [table] })}
table ip outward {
  chain postrouting {
    type nat hook postrouting priority 110; policy accept;
    ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 ip daddr != 192.168.50.0/24 masquerade
  }
}
`;
}

// ---- how it is laid out, and put in order again

const mtuOf = (network: Network): number => (network === "vxlan" ? 1450 : 1500);

function routesOf(node: Node, network: Network): string[] {
  const own =
    network === "routed"
      ? [`blackhole ${rangeOf(node)}`, ...podsOn(node).map((pod) => `${addressOf(pod)} dev ${deviceOf(pod, network)}`)]
      : [`${rangeOf(node)} dev cni0 proto kernel scope link src 10.244.${node[1]}.1`];
  const others = NODES.filter((other) => other !== node).map((other) =>
    network === "vxlan"
      ? `${rangeOf(other)} via 10.244.${other[1]}.0 dev flannel.1 onlink`
      : `${rangeOf(other)} via ${addressOf(other)} dev eth0`,
  );
  return [
    `192.168.50.0/24 dev eth0 proto kernel scope link src ${addressOf(node)}`,
    `default via ${GATEWAY} dev eth0`,
    ...own,
    ...others,
  ];
}

export const vxlanDevice = (node: Node, more = ""): string =>
  `link add flannel.1 address ${tunnelMac(node)} type vxlan id 1 local ${addressOf(node)} dev eth0 dstport 8472 nolearning ${more}`;

/** The neighbours and forwarding entries that flannel writes. */
export const flannelEntries = (node: Node): { readonly ip: readonly string[]; readonly bridge: readonly string[] } => {
  const others = NODES.filter((other) => other !== node);
  return {
    ip: others.map(
      (other) => `neigh replace 10.244.${other[1]}.0 lladdr ${tunnelMac(other)} dev flannel.1 nud permanent`,
    ),
    bridge: others.map(
      (other) => `fdb replace ${tunnelMac(other)} dev flannel.1 dst ${addressOf(other)} self permanent`,
    ),
  };
};

/** A node after its agents have done their work, whatever it was like before. */
function orderOf(node: Node, network: Network): { ip: string[]; bridge: string[]; sysctls: string[] } {
  const ports = podsOn(node).map((pod) => deviceOf(pod, network));
  const hasBridge = network !== "routed";
  const tunnel = network === "vxlan" ? flannelEntries(node) : { ip: [], bridge: [] };
  const devices = ["eth0", ...(hasBridge ? ["cni0"] : []), ...ports];
  const off = ["rp_filter", "route_localnet", "accept_local", "send_redirects"];
  return {
    ip: [
      "rule flush",
      "rule add pref 32766 lookup main",
      "rule add pref 32767 lookup default",
      "addr flush dev lo",
      "addr add 127.0.0.1/8 dev lo",
      `link set eth0 up mtu 1500 address ${uplinkMac(node)}`,
      `addr replace ${addressOf(node)}/24 dev eth0`,
      ...(hasBridge ? ["link set cni0 up", `addr replace 10.244.${node[1]}.1/24 dev cni0`] : []),
      ...ports.map((port) => `link set ${port} up mtu ${mtuOf(network)}${hasBridge ? " master cni0" : ""}`),
      ...(hasBridge ? [`link set cni0 mtu ${mtuOf(network)}`] : []),
      ...(network === "vxlan"
        ? [
            "link del flannel.1",
            vxlanDevice(node),
            "link set flannel.1 up mtu 1450",
            `addr add 10.244.${node[1]}.0/32 dev flannel.1`,
          ]
        : []),
      "route flush table main",
      "route flush table 100",
      ...["blackhole", "unreachable", "prohibit"].map((type) => `route flush table main type ${type}`),
      ...routesOf(node, network).map((route) => `route replace ${route}`),
      ...devices.map((device) => `neigh flush dev ${device} nud all`),
      ...tunnel.ip,
    ],
    bridge: [
      ...(hasBridge ? ports.map((port) => `link set dev ${port} hairpin on isolated off state 3`) : []),
      ...tunnel.bridge,
    ],
    sysctls: [
      "net.ipv4.ip_forward=1",
      "net.ipv4.icmp_echo_ignore_all=0",
      "net.bridge.bridge-nf-call-iptables=1",
      // ip_forward that is on already sets nothing
      ...devices.map((device) => `net.ipv4.conf.${device}.forwarding=1`),
      ...["all", "default", ...devices].flatMap((device) => off.map((key) => `net.ipv4.conf.${device}.${key}=0`)),
      ...(hasBridge
        ? []
        : ports.flatMap((port) => [`net.ipv4.conf.${port}.proxy_arp=1`, `net.ipv4.neigh.${port}.proxy_delay=0`])),
    ],
  };
}

function podOrder(pod: Pod, network: Network): string[] {
  const gateway = gatewayOf(pod, network);
  return [
    `link set eth0 up mtu ${mtuOf(network)} address ${podMac(pod)}`,
    "addr flush dev eth0",
    `addr replace ${addressOf(pod)}/${network === "routed" ? 32 : 24} dev eth0`,
    "route flush table main",
    ...["blackhole", "unreachable", "prohibit"].map((type) => `route flush table main type ${type}`),
    ...(network === "routed"
      ? [`route replace ${gateway} dev eth0 scope link`]
      : [`route replace 10.244.${pod[1]}.0/24 dev eth0 proto kernel scope link src ${addressOf(pod)}`]),
    `route replace default via ${gateway} dev eth0`,
    "neigh flush dev eth0 nud all",
  ];
}

const batch = (program: string, commands: readonly string[]): string =>
  commands.length === 0
    ? ""
    : `${program} -force -batch - <<'EOF' >/dev/null 2>&1 || true\n${commands.join("\n")}\nEOF\n`;

const run = promisify(execFile);

async function inside(namespace: string, script: string): Promise<string> {
  const { stdout } = await run("ip", ["netns", "exec", namespace, "sh", "-c", script], { maxBuffer: 1 << 28 });
  return stdout;
}

// ---- the evidence

const NODE_KINDS: readonly KindId[] = [
  "iptables",
  "iptablesLegacy",
  "ip6tables",
  "ip6tablesLegacy",
  "nftables",
  "ipset",
  "links",
  "routes",
  "routingRules",
  "routingRules6",
  "neighbours",
  "fdb",
  "bridgePorts",
  "conntrackCount",
  "sysctls",
  "sockets",
];
const POD_KINDS: readonly KindId[] = ["podLinks", "podRoutes", "podRoutes6", "podSockets"];

const commandOf = (kind: KindId): string => {
  const { how } = catalogue[kind];
  return "command" in how ? how.command : "";
};

const END = "@@@ the end of";

/** A file for each command that succeeded, as a collector writes them. */
async function record(namespace: string, kinds: readonly KindId[], place: object, files: Map<string, string>) {
  const script = kinds.map((kind) => `${commandOf(kind)} 2>/dev/null; echo "${END} ${kind} $?"`).join("\n");
  const printed = await inside(namespace, script);
  let rest = printed;
  for (const kind of kinds) {
    const at = rest.indexOf(`${END} ${kind} `);
    const status = rest.slice(at + END.length + kind.length + 2, rest.indexOf("\n", at));
    if (status === "0") files.set(pathOf(kind, place), rest.slice(0, at));
    rest = rest.slice(rest.indexOf("\n", at) + 1);
  }
}

// ---- talk

export type Question = {
  readonly from: Host;
  readonly how: "tcp" | "udp" | "icmp";
  readonly to: string;
  readonly port: number;
  readonly size?: number;
};

export type Answer = {
  readonly result: "ok" | "refused" | "silent";
  /** Who answered, and as whom it saw the asker. */
  readonly by?: string;
  readonly saw?: string;
  readonly errno: number;
};

type Talker = { ask(questions: readonly Question[], patience: number): Promise<Answer[]>; stop(): void };

async function startTalker(namespace: string, name: string, listens: readonly string[]): Promise<Talker> {
  const script = fileURLToPath(new URL("talkers.py", import.meta.url));
  const child: ChildProcess = spawn("ip", ["netns", "exec", namespace, PYTHON, script, name, ...listens], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout! });
  const waiting: ((line: string) => void)[] = [];
  lines.on("line", (line) => waiting.shift()?.(line));
  await new Promise((resolve) => waiting.push(resolve));
  return {
    ask: async (ask, patience) => {
      const line = await new Promise<string>((resolve) => {
        waiting.push(resolve);
        child.stdin!.write(`${JSON.stringify({ ask, patience })}\n`);
      });
      return (JSON.parse(line) as [Answer["result"], string, number][]).map(([result, said, errno]) => {
        const [by, saw] = said.split(" ");
        return { result, errno, ...(by && saw ? { by, saw } : {}) };
      });
    },
    stop: () => child.stdin!.end(),
  };
}

const LISTENS: Readonly<Record<"node" | "pod" | "outside", readonly string[]>> = {
  node: ["tcp:0.0.0.0:10250", "tcp:127.0.0.1:10248", "udp:0.0.0.0:10250"],
  pod: ["tcp:0.0.0.0:8080", "udp:0.0.0.0:8080", "tcp:127.0.0.1:9090"],
  outside: ["tcp:0.0.0.0:443"],
};

export type Damage = {
  readonly where: Host;
  readonly what: string;
  /** For `sh`; what of it fails is left out. */
  readonly script: string;
};

/** No waiting for duplicates of addresses, no routers that advertise themselves. */
const QUIET_6 = ["all", "default"].flatMap((of6) =>
  ["accept_dad", "accept_ra", "accept_redirects", "proxy_ndp"]
    .map((key) => `net.ipv6.conf.${of6}.${key}=0`)
    .concat(of6 === "all" ? ["net.ipv6.icmp.ratelimit=0"] : []),
);

export type SmallCluster = {
  readonly family: Family;
  readonly network: Network;
  readonly backend: "iptables-nft" | "iptables-legacy" | "nftables";
  /** As its agents want it; the connections that were seen are forgotten. */
  putInOrder(): Promise<void>;
  damage(damages: readonly Damage[]): Promise<void>;
  record(): Promise<ReadonlyMap<string, string>>;
  ask(questions: readonly Question[], patience: number): Promise<readonly Answer[]>;
  close(): void;
};

export async function smallCluster(
  network: Network,
  backend: SmallCluster["backend"],
  family: Family = 4,
): Promise<SmallCluster> {
  const told = (text: string): string => (family === 4 ? text : ipv6Twin(text));
  const ip = family === 4 ? "ip" : "ip -6";
  const names = new Map<Host, string>();
  const talkers = new Map<Host, Talker>();
  const of = (host: Host): string => names.get(host)!;
  const close = (): void => {
    for (const talker of talkers.values()) talker.stop();
    for (const name of names.values()) deleteNamespace(name);
  };
  const api = new Map([...apiFiles()].map(([path, text]) => [path, told(text)]));
  const { services } = modelOf(captureOf(api));
  const rules = new Map(
    NODES.map((node) => {
      const written = backend === "nftables" ? nftText : iptablesText;
      return [node, told(written(services, node, family))];
    }),
  );
  const restore =
    backend === "nftables"
      ? "nft -f -"
      : backend === "iptables-nft"
        ? "iptables-nft-restore"
        : "iptables-legacy-restore";
  const nodeScript = (node: Node): string => {
    const order = orderOf(node, network);
    const { bridge, sysctls } = order;
    return told(`${batch(ip, order.ip)}${batch("bridge", bridge)}
sysctl -qw ${sysctls.join(" ")} || true
nft flush ruleset
for table in $(cat /proc/net/ip_tables_names); do
  iptables-legacy -t $table -F
  for chain in INPUT FORWARD; do iptables-legacy -t $table -P $chain ACCEPT 2>/dev/null; done
done
${restore} <<'EOF' || echo "${restore} failed on ${node}"
${rules.get(node)}
EOF
conntrack -F >/dev/null 2>&1
true`);
  };
  const putInOrder = async (): Promise<void> => {
    const said = await Promise.all([
      ...NODES.map((node) => inside(of(node), nodeScript(node))),
      ...PODS.map((pod) => inside(of(pod), told(batch(ip, podOrder(pod, network))))),
      inside(of("outside"), told("ip neigh flush dev up0 nud all; conntrack -F >/dev/null 2>&1; true")),
    ]);
    const complaint = said.join("").trim();
    if (complaint !== "") throw new Error(complaint);
  };
  try {
    for (const host of ["outside", ...NODES, ...PODS] as const) names.set(host, addNamespace());
    const quiet = [
      ...(family === 4 ? ["all", "default"].map((of6) => `net.ipv6.conf.${of6}.disable_ipv6=1`) : QUIET_6),
      "net.ipv4.conf.all.rp_filter=0",
      "net.ipv4.conf.default.rp_filter=0",
      "net.ipv4.icmp_ratelimit=0",
      "net.ipv4.conf.default.accept_redirects=0",
      "net.ipv4.conf.all.accept_redirects=0",
    ].join(" ");
    const burst = "sysctl -qw net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000 2>/dev/null || true";
    for (const name of names.values()) await inside(name, `sysctl -qw ${quiet}; ${burst}; ip link set lo up`);
    await inside(
      of("outside"),
      told(`ip link add up0 type bridge; sysctl -qw net.bridge.bridge-nf-call-iptables=0; ip link set up0 up
       ip addr add ${GATEWAY}/24 dev up0; ip addr add ${OUTSIDE}/32 dev lo`),
    );
    for (const node of NODES) {
      const bridge = network === "routed" ? [] : [`link add cni0 address ${bridgeMac(node)} type bridge`];
      const pods = podsOn(node).map(
        (pod) => `link add ${deviceOf(pod, network)} type veth peer name eth0 address ${podMac(pod)} netns ${of(pod)}`,
      );
      await inside(
        of(node),
        batch("ip", [
          `link add eth0 address ${uplinkMac(node)} type veth peer name ${node} netns ${of("outside")}`,
          ...bridge,
          ...pods,
        ]),
      );
      await inside(of("outside"), `ip link set ${node} master up0 up`);
    }
    await putInOrder();
    for (const host of names.keys()) {
      const kind = host === "outside" ? host : isPod(host) ? "pod" : "node";
      talkers.set(host, await startTalker(of(host), host, LISTENS[kind].map(told)));
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    family,
    network,
    backend,
    putInOrder,
    close,
    async damage(damages) {
      for (const { where, script } of damages) await inside(of(where), `{ ${told(script)}\n} >/dev/null 2>&1; true`);
    },
    async record() {
      const files = new Map(api);
      await Promise.all([
        ...NODES.map((node) => record(of(node), NODE_KINDS, { node }, files)),
        ...PODS.map((pod) => record(of(pod), POD_KINDS, { node: nodeOf(pod), namespace: "lab", pod }, files)),
      ]);
      return files;
    },
    async ask(questions, patience) {
      const answers: Answer[] = new Array(questions.length);
      await Promise.all(
        [...Map.groupBy(questions.keys(), (index) => questions[index]!.from)].map(async ([from, indices]) => {
          const said = await talkers.get(from)!.ask(
            indices.map((index) => questions[index]!),
            patience,
          );
          for (const [at, index] of indices.entries()) answers[index] = said[at]!;
        }),
      );
      return answers;
    },
  };
}
