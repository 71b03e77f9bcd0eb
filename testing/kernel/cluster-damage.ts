/** What can go wrong on the nodes and in the Pods of small-cluster.ts: meaningful damage, drawn at random. */
import type { seededRandom } from "../random.ts";
import {
  addressOf,
  type Damage,
  deviceOf,
  flannelEntries,
  GATEWAY,
  type Network,
  NODES,
  type Node,
  nodeOf,
  OUTSIDE,
  PODS,
  type Pod,
  podsOn,
  rangeOf,
  SERVICES,
  type SmallCluster,
  tunnelMac,
  uplinkMac,
  vxlanDevice,
} from "./small-cluster.ts";

type Random = ReturnType<typeof seededRandom>;
type Lab = Pick<SmallCluster, "network" | "backend">;

const NOBODY = "02:00:00:00:99:99";
const commands = (...lines: readonly string[]): string => lines.join("; ");

/** A packet's marks in the words of iptables: who sends it, to whom. */
function matches({ pick, chance }: Random): string {
  const words: string[] = [];
  if (chance(0.3)) words.push(`-s ${pick([...PODS.map(addressOf), ...NODES.map(rangeOf), ...NODES.map(addressOf)])}`);
  if (chance(0.5))
    words.push(
      `-d ${pick([...PODS.map(addressOf), ...NODES.map(rangeOf), ...SERVICES.map(({ ip }) => ip), ...NODES.map(addressOf)])}`,
    );
  const protocol = pick(["", "tcp", "udp", "icmp"]);
  if (protocol !== "") words.push(`-p ${protocol}`);
  if (chance(0.4) && (protocol === "tcp" || protocol === "udp"))
    words.push(`--${pick(["dport", "sport"])} ${pick([80, 8080, 10250, 30080, 8472])}`);
  if (protocol === "tcp" && chance(0.15)) words.push(`--tcp-flags SYN,ACK ${pick(["SYN", "SYN,ACK"])}`);
  if (chance(0.15)) words.push(`-m conntrack --ctstate ${pick(["NEW", "ESTABLISHED", "INVALID", "DNAT", "SNAT"])}`);
  if (chance(0.1)) words.push(`-m addrtype --dst-type ${pick(["LOCAL", "UNICAST"])}`);
  if (chance(0.05)) words.push("-m physdev --physdev-is-bridged");
  return words.join(" ");
}

const HOOKS = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
} as const;

function filterRule(random: Random, program: string): string {
  const { pick, chance } = random;
  const table = pick(["raw", "mangle", "filter", "filter", "filter"] as const);
  const chain = pick(HOOKS[table]);
  const words = matches(random).replace(table === "raw" ? /-m conntrack \S+ \S+/ : /$^/, "");
  const refusals = ["icmp-port-unreachable", "icmp-host-prohibited", "icmp-net-unreachable"];
  const target =
    table === "raw" && chance(0.4)
      ? "CT --notrack"
      : table === "filter" && chance(0.5)
        ? `REJECT --reject-with ${words.includes("-p tcp") ? pick(["tcp-reset", ...refusals]) : pick(refusals)}`
        : "DROP";
  const device = chain === "PREROUTING" || chain === "INPUT" ? "-i" : chain === "FORWARD" ? pick(["-i", "-o"]) : "-o";
  const through = chance(0.25) ? `${device} ${pick(["eth0", "cni0", "flannel.1", "cali+", "lo"])}` : "";
  return `${program} -t ${table} -I ${chain} ${through} ${words} -j ${target}`;
}

function natRule({ pick, chance }: Random, program: string): string {
  const { ip, port, protocol } = pick(SERVICES);
  const to = `${addressOf(pick(PODS))}:${pick([8080, 8080, 9999])}`;
  const chain = pick(["PREROUTING", "OUTPUT", "POSTROUTING"]);
  if (chain === "POSTROUTING")
    return `${program} -t nat -I POSTROUTING ${chance(0.5) ? `-d ${addressOf(pick(PODS))}` : "-o eth0"} -j ${pick(["MASQUERADE", `SNAT --to-source ${OUTSIDE}`, "ACCEPT"])}`;
  return `${program} -t nat -I ${chain} -d ${ip} -p ${protocol.toLowerCase()} --dport ${port} -j ${chance(0.8) ? `DNAT --to-destination ${to}` : "ACCEPT"}`;
}

/** One of the rules that agents wrote is lost. */
function lostRule({ below, pick }: Random, { backend }: Lab): string {
  if (backend === "nftables") {
    const chain = pick([
      "services",
      "masquerading",
      "nat-prerouting",
      "nat-output",
      "nat-postrouting",
      "filter-forward",
    ]);
    const map = pick(["service-ips", "service-nodeports", "no-endpoint-services"]);
    return pick([
      `nft flush chain ip kube-proxy ${chain}`,
      `nft flush map ip kube-proxy ${map}`,
      "nft flush table ip outward",
      "nft flush set ip kube-proxy nodeport-ips",
      "nft flush chain ip kube-proxy mark-for-masquerade",
    ]);
  }
  const program = backend === "iptables-nft" ? "iptables-nft" : "iptables-legacy";
  return `${program}-save | awk -v n=${below(70) + 1} '/^-A/ && ++i == n {next} {print}' | ${program}-restore`;
}

/** A firewall in nftables, as firewalld and administrators write it. */
function nftFirewall({ pick, chance }: Random): string {
  const hook = pick(["input", "forward", "output", "prerouting", "postrouting"]);
  const what = pick([
    "tcp dport 8080 drop",
    "udp dport 8472 drop",
    `ip daddr ${pick(NODES.map(rangeOf))} reject with icmp type admin-prohibited`,
    `ip saddr ${pick(PODS.map(addressOf))} counter drop`,
    "ct state invalid drop",
    "ct state new tcp dport { 80, 8080 } drop",
    "icmp type echo-reply drop",
    "meta l4proto icmp reject with icmp type port-unreachable",
  ]);
  const rule = /reject/.test(what) && /routing/.test(hook) ? "counter" : what;
  const policy = chance(0.2) && (hook === "forward" || hook === "input") ? "drop" : "accept";
  const allowed = policy === "drop" ? "ct state established,related accept;" : "";
  return `nft -f - <<'EOF'
table inet guard { chain c { type filter hook ${hook} priority ${pick([-300, -150, 0, 10])}; policy ${policy}; ${allowed} ${rule}; } }
EOF`;
}

type Maker = (random: Random, node: Node, lab: Lab) => string | undefined;

const other = ({ pick }: Random, node: Node): Node => pick(NODES.filter((one) => one !== node));
const podOn = ({ pick }: Random, node: Node): Pod => pick(podsOn(node));
const wayTo = (target: Node, via: Node, network: Network): string =>
  network === "vxlan"
    ? `${rangeOf(target)} via 10.244.${via[1]}.0 dev flannel.1 onlink`
    : `${rangeOf(target)} via ${addressOf(via)} dev eth0`;
const program = ({ backend }: Lab, { pick }: Random): string =>
  pick([backend === "iptables-legacy" ? "iptables-legacy" : "iptables-nft", "iptables-nft"]);
const devicesOf = (node: Node, network: Network): string[] => [
  "eth0",
  ...(network === "routed" ? [] : ["cni0"]),
  ...(network === "vxlan" ? ["flannel.1"] : []),
  ...podsOn(node).map((pod) => deviceOf(pod, network)),
];
const bridged =
  (make: (random: Random, node: Node) => string): Maker =>
  (random, node, { network }) =>
    network === "routed" ? undefined : make(random, node);
const tunnelled =
  (make: (random: Random, node: Node) => string): Maker =>
  (random, node, { network }) =>
    network === "vxlan" ? make(random, node) : undefined;
const port = (random: Random, node: Node): string => deviceOf(podOn(random, node), "vxlan");

/** By what happened; each gives a script for the node, or nothing if the network has no such thing. */
const ON_NODES: Readonly<Record<string, Maker>> = {
  "route lost": (random, node) => `ip route del ${rangeOf(other(random, node))}`,
  "default route lost": () => "ip route del default",
  "route refuses": (random, node) =>
    commands(
      `ip route del ${rangeOf(other(random, node))}`,
      `ip route replace ${random.pick(["blackhole", "unreachable", "prohibit"])} ${random.pick([rangeOf(other(random, node)), addressOf(random.pick(PODS))])}`,
    ),
  "route leads to the wrong node": (random, node, { network }) =>
    `ip route replace ${wayTo(other(random, node), other(random, node), network)}`,
  "own Pod routed away": (random, node, { network }) =>
    `ip route replace ${wayTo(node, other(random, node), network).replace(rangeOf(node), addressOf(podOn(random, node)))}`,
  "several next hops": (random, node, { network }) => {
    const target = other(random, node);
    const hop = (via: Node) => wayTo(target, via, network).replace(rangeOf(target), "nexthop").replace("via", "via");
    const [a, b] = NODES.filter((one) => one !== node);
    return `ip route replace ${rangeOf(target)} ${hop(a!)} ${hop(b!)}`;
  },
  "another way, not the tunnel": (random, node) => {
    const target = other(random, node);
    return `ip route replace ${rangeOf(target)} via ${addressOf(target)} dev eth0`;
  },
  "to outside with this source": (random) =>
    `ip route replace default via ${GATEWAY} dev eth0 src ${random.pick(NODES.map(addressOf))}`,
  "policy rule": (random, node, { network }) =>
    commands(
      `ip route replace table 100 ${random.pick([`blackhole ${random.pick(["default", rangeOf(other(random, node))])}`, wayTo(other(random, node), other(random, node), network), "throw default"])}`,
      `ip rule add ${random.pick([`from ${rangeOf(node)}`, `from ${addressOf(podOn(random, node))}`, `to ${rangeOf(other(random, node))}`, "iif cni0", "iif eth0", "fwmark 0x4000/0x4000", "iif lo"])} pref 100 ${random.pick(["lookup 100", "lookup 100", "lookup 100", "prohibit", "blackhole", "unreachable"])}`,
    ),
  "does not forward": () => "sysctl -qw net.ipv4.ip_forward=0",
  "source check": (random, node, { network }) =>
    `sysctl -qw net.ipv4.conf.${random
      .pick(["all", ...devicesOf(node, network)])
      .replace(".", "/")}.rp_filter=${random.pick([1, 1, 2])}`,
  "source check, and another way back": (random, node, { network }) =>
    commands(
      `sysctl -qw net.ipv4.conf.all.rp_filter=1`,
      network === "vxlan"
        ? `ip route replace ${rangeOf(other(random, node))} via ${addressOf(other(random, node))} dev eth0`
        : `ip route replace ${rangeOf(other(random, node))} dev lo`,
    ),
  "one device does not forward": (random, node, { network }) =>
    `sysctl -qw net.ipv4.conf.${random.pick(devicesOf(node, network)).replace(".", "/")}.forwarding=0`,
  "local addresses": () => "sysctl -qw net.ipv4.conf.all.route_localnet=1",
  "no proxy ARP": (random, node, { network }) =>
    network === "routed" ? `sysctl -qw net.ipv4.conf.${deviceOf(podOn(random, node), network)}.proxy_arp=0` : undefined,
  "ignores echo": () => "sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
  "bridge passes by the rules": bridged(() => "sysctl -qw net.bridge.bridge-nf-call-iptables=0"),
  "device down": (random, node, { network }) => `ip link set ${random.pick(devicesOf(node, network))} down`,
  "device gone": (_, __, { network }) => (network === "vxlan" ? "ip link del flannel.1" : undefined),
  "small MTU": (random, node, { network }) =>
    `ip link set ${random.pick(devicesOf(node, network))} mtu ${random.pick([1300, 1300, 1400, 600])}`,
  "neighbour's MAC is wrong": (random, node, { network }) => {
    const pod = podOn(random, node);
    const next = other(random, node);
    return random.pick([
      `ip neigh replace ${addressOf(next)} lladdr ${random.pick([NOBODY, uplinkMac(other(random, node))])} dev eth0 nud permanent`,
      `ip neigh replace ${addressOf(pod)} lladdr ${NOBODY} dev ${network === "routed" ? deviceOf(pod, network) : "cni0"} nud permanent`,
      ...(network === "vxlan"
        ? [
            `ip neigh replace 10.244.${next[1]}.0 lladdr ${random.pick([NOBODY, tunnelMac(other(random, node))])} dev flannel.1 nud permanent`,
          ]
        : []),
    ]);
  },
  "tunnel's neighbour lost": tunnelled(
    (random, node) => `ip neigh del 10.244.${other(random, node)[1]}.0 dev flannel.1`,
  ),
  "tunnel's entry lost": tunnelled((random, node) => `bridge fdb del ${tunnelMac(other(random, node))} dev flannel.1`),
  "tunnel's entry wrong": tunnelled((random, node) => {
    const mac = tunnelMac(other(random, node));
    return commands(
      `bridge fdb del ${mac} dev flannel.1`,
      `bridge fdb replace ${mac} dev flannel.1 dst ${random.pick([addressOf(other(random, node)), "192.168.50.77", GATEWAY])} self permanent`,
    );
  }),
  "tunnel's device is another": tunnelled((random, node) => {
    const { ip, bridge } = flannelEntries(node);
    const made = random.pick([
      vxlanDevice(node).replace("id 1", "id 2"),
      vxlanDevice(node).replace("8472", "4789"),
      vxlanDevice(node).replace(tunnelMac(node), NOBODY),
      vxlanDevice(node).replace(`local ${addressOf(node)} `, ""),
    ]);
    const routes = NODES.filter((one) => one !== node).map((one) => `ip route replace ${wayTo(one, one, "vxlan")}`);
    return commands(
      "ip link del flannel.1",
      `ip ${made}`,
      "ip link set flannel.1 up",
      `ip addr add 10.244.${node[1]}.0/32 dev flannel.1`,
      ...ip.map((line) => `ip ${line}`),
      ...bridge.map((line) => `bridge ${line}`),
      ...routes,
    );
  }),
  "hairpin off": bridged((_, node) =>
    podsOn(node)
      .map((pod) => `bridge link set dev ${deviceOf(pod, "vxlan")} hairpin off`)
      .join("; "),
  ),
  "ports isolated": bridged((_, node) =>
    podsOn(node)
      .map((pod) => `bridge link set dev ${deviceOf(pod, "vxlan")} isolated on`)
      .join("; "),
  ),
  "port does not forward": bridged((random, node) => `bridge link set dev ${port(random, node)} state 0`),
  "port left the bridge": bridged((random, node) => `ip link set ${port(random, node)} nomaster`),
  "address lost": (random, node, { network }) =>
    random.pick([
      ...(network === "routed" ? [] : [`ip addr del 10.244.${node[1]}.1/24 dev cni0`]),
      `ip addr del ${addressOf(node)}/24 dev eth0`,
      ...(network === "vxlan" ? [`ip addr del 10.244.${node[1]}.0/32 dev flannel.1`] : []),
    ]),
  "somebody else's address": (random) => `ip addr add ${addressOf(random.pick(PODS))}/32 dev lo`,
  "rule of a filter": (random, _, lab) => filterRule(random, program(lab, random)),
  "another rule of a filter": (random, _, lab) => filterRule(random, program(lab, random)),
  "a third rule of a filter": (random, _, lab) => filterRule(random, program(lab, random)),
  "policy DROP": (random, _, lab) => {
    const tool = program(lab, random);
    const chain = random.pick(["FORWARD", "FORWARD", "INPUT", "OUTPUT"]);
    const keeps = random.chance(0.5)
      ? `${tool} -A ${chain} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; `
      : "";
    return `${keeps}${tool} -P ${chain} DROP`;
  },
  "rule of NAT": (random, _, lab) => natRule(random, program(lab, random)),
  "two rules of NAT": (random, _, lab) =>
    commands(natRule(random, program(lab, random)), natRule(random, "iptables-nft")),
  "back ends that contradict each other": (random, _, lab) => {
    const { ip, port: number, protocol } = random.pick(SERVICES);
    const rule = (tool: string) =>
      `${tool} -t nat -I ${random.pick(["PREROUTING", "OUTPUT"])} -d ${ip} -p ${protocol.toLowerCase()} --dport ${number} -j DNAT --to-destination ${addressOf(random.pick(PODS))}:8080`;
    return lab.backend === "iptables-legacy"
      ? commands(rule("iptables-nft"), rule("iptables-legacy"))
      : commands(rule("iptables-legacy"), rule("iptables-nft"));
  },
  "agent's rule lost": (random, _, lab) => lostRule(random, lab),
  "agent's rules lost": (random, _, lab) =>
    commands(lostRule(random, lab), lostRule(random, lab), lostRule(random, lab)),
  firewall: (random) => nftFirewall(random),
};

type PodMaker = (random: Random, pod: Pod, lab: Lab) => string;

const IN_PODS: Readonly<Record<string, PodMaker>> = {
  "Pod without default route": () => "ip route del default",
  "Pod's device is down": () => "ip link set eth0 down",
  "Pod has lost its address": (_, pod, { network }) =>
    `ip addr del ${addressOf(pod)}/${network === "routed" ? 32 : 24} dev eth0`,
  "Pod's route refuses": (random) =>
    `ip route replace ${random.pick(["unreachable", "blackhole", "prohibit"])} ${random.pick([...NODES.map(rangeOf), "10.96.0.0/16"])}`,
  "Pod's MTU is small": (random) => `ip link set eth0 mtu ${random.pick([600, 1300])}`,
  "Pod's gateway is another": (random, pod, { network }) =>
    network === "routed"
      ? `ip route replace default via 169.254.1.2 dev eth0 onlink`
      : `ip route replace default via 10.244.${pod[1]}.${random.pick([99, 11, 12])} dev eth0`,
  "Pod's address is of a larger network": (_, pod, { network }) =>
    network === "routed"
      ? `ip route replace 10.244.0.0/16 dev eth0`
      : `ip addr add ${addressOf(pod)}/16 dev eth0; ip addr del ${addressOf(pod)}/24 dev eth0; ip route replace default via 10.244.${pod[1]}.1`,
};

export const KINDS: readonly string[] = [...Object.keys(ON_NODES), ...Object.keys(IN_PODS)];

/** Damage of this kind, or of any. */
export function randomDamage(random: Random, lab: Lab, kind?: string): Damage {
  for (;;) {
    const what = kind ?? random.pick(random.chance(0.85) ? Object.keys(ON_NODES) : Object.keys(IN_PODS));
    const pod = random.pick(PODS);
    const node = nodeOf(pod);
    const script = ON_NODES[what]?.(random, node, lab) ?? IN_PODS[what]?.(random, pod, lab);
    if (script !== undefined) return { where: ON_NODES[what] ? node : pod, what, script };
    if (kind !== undefined) return { where: node, what: `${kind} (not here)`, script: "true" };
  }
}
