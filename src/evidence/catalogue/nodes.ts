/** What the kernels, tools and files of nodes tell, and Pods' network namespaces. */

import { parseCniConflist } from "../../parse/cni-conflist.ts";
import { parseConntrackCount } from "../../parse/conntrack/count.ts";
import { parseConntrack } from "../../parse/conntrack/entries.ts";
import { parseConntrackStats } from "../../parse/conntrack/stats.ts";
import { parseIpAddr } from "../../parse/iproute2/addr.ts";
import { parseBridgeFdb } from "../../parse/iproute2/bridge-fdb.ts";
import { parseBridgeLink } from "../../parse/iproute2/bridge-link.ts";
import { parseIpLinkStats } from "../../parse/iproute2/link-stats.ts";
import { parseIpNeigh } from "../../parse/iproute2/neigh.ts";
import { parseNstat } from "../../parse/iproute2/nstat.ts";
import { parseIpRoute } from "../../parse/iproute2/route.ts";
import { parseIpRule } from "../../parse/iproute2/rule.ts";
import { parseSs } from "../../parse/iproute2/ss.ts";
import { parseIpset } from "../../parse/ipset.ts";
import { parseIptables } from "../../parse/iptables/list-rules.ts";
import { parseIpvsadm } from "../../parse/ipvsadm.ts";
import { parseKubeletConfig } from "../../parse/kubernetes/kubelet-config.ts";
import { parseKernelLog } from "../../parse/logs/kernel.ts";
import { type NftRuleset, nftRulesetReader } from "../../parse/nftables/json.ts";
import type { Parser } from "../../parse/parsed.ts";
import { parseProcesses } from "../../parse/processes.ts";
import { parseResolvConf } from "../../parse/resolv-conf.ts";
import { parseSubnetEnv } from "../../parse/subnet-env.ts";
import { parseSysctl } from "../../parse/sysctl.ts";
import { parseUptime } from "../../parse/uptime.ts";
import { parseWg } from "../../parse/wg.ts";
import type { Template } from "../../text.ts";
import { type Kind, parsedBy } from "../kind.ts";

function onNode<T>(
  file: string,
  command: string,
  parse: Parser<T>,
  hides: Template,
  more: Partial<Pick<Kind<T>, "empty" | "cost" | "repeats">> = {},
): Kind<T> {
  return {
    path: `nodes/{node}/${file}`,
    how: { command, where: "node" },
    open: parsedBy(parse),
    empty: "tells-nothing",
    hides,
    sensitivity: "plain",
    cost: "small",
    ...(file.endsWith(".json") && { plain: true }),
    ...more,
  };
}

function nodeFile<T>(path: string, parse: Parser<T>, hides: Template): Kind<T> {
  return {
    path: `nodes/{node}/files${path}`,
    how: { file: path },
    open: parsedBy(parse),
    empty: "tells-nothing",
    hides,
    sensitivity: "plain",
    cost: "small",
  };
}

function inPod<T>(file: string, command: string, parse: Parser<T>, hides: Template, empty: Kind<T>["empty"]): Kind<T> {
  return {
    path: `nodes/{node}/pods/{namespace}/{pod}/${file}`,
    how: { command, where: "pod" },
    open: parsedBy(parse),
    empty,
    hides,
    sensitivity: "plain",
    cost: "medium",
    ...(file.endsWith(".json") && { plain: true }),
  };
}

const NOTHING_THERE = { empty: "nothing-there" } as const;

export const ofNodes = {
  iptables: onNode(
    "iptables-save.txt",
    "iptables-save -c",
    parseIptables,
    {
      en: "what the node does with packets to Services and Pods",
      zh: "节点如何处理发往 Service 和 Pod 的报文",
    },
    NOTHING_THERE,
  ),
  ip6tables: onNode(
    "ip6tables-save.txt",
    "ip6tables-save -c",
    parseIptables,
    {
      en: "what the node does with IPv6 packets",
      zh: "节点如何处理 IPv6 报文",
    },
    NOTHING_THERE,
  ),
  iptablesLegacy: onNode(
    "iptables-legacy-save.txt",
    "iptables-legacy-save -c",
    parseIptables,
    {
      en: "rules in the other iptables back end",
      zh: "另一个 iptables 后端中的规则",
    },
    NOTHING_THERE,
  ),
  ip6tablesLegacy: onNode(
    "ip6tables-legacy-save.txt",
    "ip6tables-legacy-save -c",
    parseIptables,
    {
      en: "rules for IPv6 packets in the other iptables back end",
      zh: "另一个 iptables 后端中的 IPv6 规则",
    },
    NOTHING_THERE,
  ),
  nftables: {
    path: "nodes/{node}/nft-ruleset.json",
    how: { command: "nft -j list ruleset", where: "node" },
    open: nftRulesetReader,
    empty: "tells-nothing",
    hides: {
      en: "what the node does with packets by nftables: kube-proxy in nftables mode, firewalld",
      zh: "节点通过 nftables 如何处理报文：nftables 模式的 kube-proxy、firewalld",
    },
    sensitivity: "plain",
    cost: "medium",
  } satisfies Kind<NftRuleset>,
  ipset: onNode(
    "ipset.txt",
    "ipset save",
    parseIpset,
    {
      en: "the address sets that rules refer to",
      zh: "规则引用的地址集合",
    },
    NOTHING_THERE,
  ),
  ipvs: onNode("ipvsadm.txt", "ipvsadm -Ln", parseIpvsadm, {
    en: "the back ends that IPVS delivers to",
    zh: "IPVS 实际转发到的后端",
  }),
  links: onNode("ip-addr.json", "ip -j -d addr", parseIpAddr, {
    en: "the node's devices and addresses",
    zh: "节点的网络设备和地址",
  }),
  linkCounters: onNode("ip-link-stats.json", "ip -j -s link", parseIpLinkStats, {
    en: "what the node's devices counted of errors and of packets that they threw away",
    zh: "节点网卡的错误和丢包计数",
  }),
  routes: onNode(
    "ip-route.json",
    "ip -j -d route show table all",
    parseIpRoute,
    {
      en: "the node's routes",
      zh: "节点的路由",
    },
    { repeats: true },
  ),
  routingRules: onNode("ip-rule.json", "ip -j rule", parseIpRule, {
    en: "the node's policy routing",
    zh: "节点的策略路由",
  }),
  routingRules6: onNode("ip-6-rule.json", "ip -j -6 rule", parseIpRule, {
    en: "the node's policy routing of IPv6",
    zh: "节点的 IPv6 策略路由",
  }),
  neighbours: onNode(
    "ip-neigh.json",
    "ip -j neigh",
    parseIpNeigh,
    {
      en: "the node's neighbour table",
      zh: "节点的邻居表",
    },
    { ...NOTHING_THERE, repeats: true },
  ),
  fdb: onNode(
    "bridge-fdb.json",
    "bridge -j fdb",
    parseBridgeFdb,
    {
      en: "to which nodes the overlay sends frames",
      zh: "Overlay 把帧发往哪些节点",
    },
    { ...NOTHING_THERE, repeats: true },
  ),
  bridgePorts: onNode(
    "bridge-link.json",
    "bridge -j -d link",
    parseBridgeLink,
    {
      en: "the ports of the Pod bridge",
      zh: "Pod 网桥的端口",
    },
    NOTHING_THERE,
  ),
  // `wg show all dump` prints private keys
  wireguard: onNode(
    "wg.txt",
    "wg show all",
    parseWg,
    {
      en: "the peers of WireGuard devices",
      zh: "WireGuard 设备的对端",
    },
    NOTHING_THERE,
  ),
  conntrack: onNode(
    "conntrack.txt",
    "conntrack -L",
    parseConntrack,
    {
      en: "which connections the node has seen",
      zh: "节点见过哪些连接",
    },
    { empty: "nothing-there", cost: "medium" },
  ),
  conntrackCount: onNode(
    "conntrack-count.txt",
    "cat /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max",
    parseConntrackCount,
    { en: "whether the connection-tracking table is full", zh: "连接跟踪表是否已满" },
  ),
  conntrackStats: onNode("conntrack-stats.txt", "conntrack -S", parseConntrackStats, {
    en: "drops of the connection tracking",
    zh: "连接跟踪的丢包计数",
  }),
  networkCounters: onNode("nstat.txt", "nstat -asz", parseNstat, {
    en: "the kernel's counters of packets that it threw away",
    zh: "内核的丢包计数",
  }),
  sysctls: onNode("sysctl.txt", "sysctl -a", parseSysctl, {
    en: "the node's kernel parameters, forwarding among them",
    zh: "节点的内核参数，包括转发开关",
  }),
  sockets: onNode(
    "ss.txt",
    "ss -lntupSH",
    parseSs,
    {
      en: "what listens on the node",
      zh: "节点上有哪些监听端口",
    },
    NOTHING_THERE,
  ),
  kernelLog: onNode(
    "dmesg.txt",
    "dmesg | tail -n 300",
    parseKernelLog,
    {
      en: "what the kernel complained about",
      zh: "内核报告的问题",
    },
    NOTHING_THERE,
  ),
  uptime: onNode("uptime.txt", "cat /proc/uptime", parseUptime, {
    en: "how long ago the kernel said what is in its log",
    zh: "内核日志中各条消息距今多久",
  }),
  processes: onNode("processes.txt", "ps -eo pid,ppid,user,lstart,args", parseProcesses, {
    en: "which agents run on the node without being Pods",
    zh: "节点上有哪些不以 Pod 形式运行的代理",
  }),
  nodeResolvConf: onNode("resolv.conf", "cat /etc/resolv.conf", parseResolvConf, {
    en: "the node's own name servers, to which CoreDNS forwards",
    zh: "节点自身的域名服务器（CoreDNS 的上游）",
  }),
  kubeletConfig: nodeFile("/var/lib/kubelet/config.yaml", parseKubeletConfig, {
    en: "which DNS server the kubelet gives to Pods",
    zh: "kubelet 为 Pod 配置的 DNS 服务器",
  }),
  subnetEnv: nodeFile("/run/flannel/subnet.env", parseSubnetEnv, {
    en: "which Pod range flannel serves on the node",
    zh: "flannel 在该节点使用的 Pod 网段",
  }),
  cniConfig: nodeFile("/etc/cni/net.d/{file}", parseCniConflist, {
    en: "which CNI plugin the node uses",
    zh: "节点使用的 CNI 插件",
  }),
  podLinks: inPod(
    "ip-addr.json",
    "ip -j -d addr",
    parseIpAddr,
    {
      en: "the Pod's interfaces",
      zh: "Pod 的网卡",
    },
    "tells-nothing",
  ),
  podRoutes: inPod(
    "ip-route.json",
    "ip -j route",
    parseIpRoute,
    {
      en: "the Pod's routes",
      zh: "Pod 的路由",
    },
    "tells-nothing",
  ),
  podRoutes6: inPod(
    "ip-6-route.json",
    "ip -j -6 route",
    parseIpRoute,
    {
      en: "the Pod's IPv6 routes",
      zh: "Pod 的 IPv6 路由",
    },
    "tells-nothing",
  ),
  podSockets: inPod(
    "ss.txt",
    "ss -lntupSH",
    parseSs,
    {
      en: "what listens inside the Pod",
      zh: "Pod 内有哪些监听端口",
    },
    "nothing-there",
  ),
  podResolvConf: inPod(
    "resolv.conf",
    "cat /etc/resolv.conf",
    parseResolvConf,
    {
      en: "the Pod's resolver configuration",
      zh: "Pod 的解析配置",
    },
    "tells-nothing",
  ),
} satisfies Record<string, Kind<unknown>>;
