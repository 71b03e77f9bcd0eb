/**
 * The catalogue of evidence: every kind that netwhy reads, in one table.
 *
 * Paths, commands and API calls here are the contract between collecting and diagnosing; a kind is never renamed.
 * docs/generated/evidence.md is made from it.
 */
import { type ApiList, apiListReader, type ItemSchema, jsonLinesReader } from "../parse/api-list.ts";
import { type AuditLog, auditLogReader } from "../parse/audit-log.ts";
import { parseBridgeFdb } from "../parse/bridge-fdb.ts";
import { parseBridgeLink } from "../parse/bridge-link.ts";
import { parseCiliumEndpoints } from "../parse/cilium-endpoints.ts";
import { parseCiliumIdentities } from "../parse/cilium-identities.ts";
import { parseCiliumIpcache } from "../parse/cilium-ipcache.ts";
import { parseCiliumLb } from "../parse/cilium-lb.ts";
import { parseCiliumServices } from "../parse/cilium-services.ts";
import { parseCiliumStatus } from "../parse/cilium-status.ts";
import { parseCiliumTunnels } from "../parse/cilium-tunnels.ts";
import { parseClusterFile, parseVersionFile } from "../parse/cluster-file.ts";
import { parseCniConflist } from "../parse/cni-conflist.ts";
import { type ComponentDescription, parseComponentFile } from "../parse/component-file.ts";
import { parseConntrack } from "../parse/conntrack.ts";
import { parseConntrackCount } from "../parse/conntrack-count.ts";
import { parseConntrackStats } from "../parse/conntrack-stats.ts";
import { type HelmRelease, parseHelmReleases } from "../parse/helm-release.ts";
import { parseIpAddr } from "../parse/ip-addr.ts";
import { parseIpLinkStats } from "../parse/ip-link-stats.ts";
import { parseIpNeigh } from "../parse/ip-neigh.ts";
import { parseIpRoute } from "../parse/ip-route.ts";
import { parseIpRule } from "../parse/ip-rule.ts";
import { parseIpset } from "../parse/ipset.ts";
import { parseIptablesSave } from "../parse/iptables-save.ts";
import { parseIpvsadm } from "../parse/ipvsadm.ts";
import { projectionOf } from "../parse/json-projection.ts";
import { parseKernelLog } from "../parse/kernel-log.ts";
import { parseKubeletConfig } from "../parse/kubelet-config.ts";
import { type LogDigest, logDigestReader } from "../parse/log-digest.ts";
import { parseManifest } from "../parse/manifest.ts";
import { type Metrics, metricsReader } from "../parse/metrics.ts";
import { type NftRuleset, nftRulesetReader } from "../parse/nft-json.ts";
import { parseNstat } from "../parse/nstat.ts";
import * as objects from "../parse/objects.ts";
import { type PacketCapture, parsePacketCaptures } from "../parse/packet-capture.ts";
import type { Parser, Reader } from "../parse/parsed.ts";
import { parseProbes } from "../parse/probes.ts";
import { parseProcesses } from "../parse/processes.ts";
import { type ProxyHealth, parseProxyHealth } from "../parse/proxy-health.ts";
import { parseResolvConf } from "../parse/resolv-conf.ts";
import { parseSs } from "../parse/ss.ts";
import { parseSubnetEnv } from "../parse/subnet-env.ts";
import { parseSysctl } from "../parse/sysctl.ts";
import { parseTextLines } from "../parse/text-lines.ts";
import { parseUptime } from "../parse/uptime.ts";
import { parseWg } from "../parse/wg.ts";
import type { Template } from "../text.ts";
import { HELM_RELEASES } from "./helm-releases.ts";
import { type Kind, type Place, parsedBy } from "./kind.ts";

function list<T>(resource: string, schema: ItemSchema<T>, hides: Template): Kind<ApiList<T>> {
  return {
    path: `${resource}.json`,
    how: { list: `/${resource}` },
    open: () => apiListReader(schema),
    openLines: () => jsonLinesReader(schema),
    projection: () => projectionOf(schema),
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "small",
  };
}

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
  };
}

/** What Cilium's agent on a node knows: the Pod is the agent's. */
function inCilium<T>(file: string, command: string, parse: Parser<T>, hides: Template): Kind<T> {
  return {
    path: `exec/{namespace}/{pod}/${file}`,
    how: { exec: `cilium-dbg ${command}`, container: "cilium-agent" },
    open: parsedBy(parse),
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "medium",
  };
}

function clusterWide<T>(path: string, other: string, parse: Parser<T>, hides: Template): Kind<T> {
  return {
    path,
    how: { other },
    open: parsedBy(parse),
    empty: "tells-nothing",
    hides,
    sensitivity: "plain",
    cost: "small",
  };
}

function log(path: string, how: Kind<unknown>["how"], hides: Template): Kind<LogDigest> {
  return {
    path,
    how,
    open: () => logDigestReader(),
    empty: "nothing-there",
    hides,
    sensitivity: "may-hold-secrets",
    cost: "large",
  };
}

/** What a component counts of itself. @param names of the samples that are read */
function metrics(path: string, get: string, names: readonly string[], hides: Template): Kind<Metrics> {
  const wanted = new Set(names);
  return {
    path,
    how: { get },
    open: () => metricsReader(wanted),
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "medium",
  };
}

/** Of what is kept for others and of which nothing is read here. */
const unread = (): Reader<readonly never[]> => ({ write: () => {}, end: () => ({ value: [], gaps: [] }) });

/** What metrics-server measured: for people, and for `kubectl top` against a replay. */
function usage(resource: "nodes" | "pods", hides: Template): Kind<readonly never[]> {
  return {
    path: `top/${resource}.json`,
    how: { get: `/apis/metrics.k8s.io/v1beta1/${resource}` },
    open: unread,
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "small",
  };
}

function discovery(root: "api" | "apis", hides: Template): Kind<readonly never[]> {
  return {
    path: `${root}.json`,
    how: { get: `/${root}` },
    open: unread,
    empty: "tells-nothing",
    hides,
    sensitivity: "plain",
    cost: "small",
  };
}

const NOTHING_THERE = { empty: "nothing-there" } as const;

export const catalogue = {
  cluster: clusterWide("cluster.json", "written by the collector", parseClusterFile, {
    en: "when the evidence was taken",
    zh: "证据的采集时间",
  }),
  version: clusterWide("version.json", "GET /version", parseVersionFile, {
    en: "the version of Kubernetes",
    zh: "Kubernetes 版本",
  }),
  readyz: clusterWide("readyz.txt", "GET /readyz?verbose", parseTextLines, {
    en: "whether the API server was ready",
    zh: "API Server 是否就绪",
  }),

  // told only where it could not be had
  coreDiscovery: discovery("api", {
    en: "which resources of Kubernetes' core the API server serves",
    zh: "API Server 提供哪些核心资源",
  }),
  groupDiscovery: discovery("apis", {
    en: "which other APIs the server serves, and in which versions",
    zh: "API Server 还提供哪些 API 及其版本",
  }),

  pods: list("api/v1/pods", objects.pod, {
    en: "which Pods exist, where they run and whether they are ready",
    zh: "有哪些 Pod、运行在哪个节点、是否就绪",
  }),
  nodes: list("api/v1/nodes", objects.node, {
    en: "the nodes, their addresses and Pod ranges",
    zh: "节点及其地址、Pod 网段",
  }),
  namespaces: list("api/v1/namespaces", objects.named, {
    en: "the labels of namespaces, by which NetworkPolicies select",
    zh: "命名空间的标签（NetworkPolicy 据此选择）",
  }),
  services: list("api/v1/services", objects.service, { en: "what Services demand", zh: "Service 的期望状态" }),
  endpointslices: list("apis/discovery.k8s.io/*/endpointslices", objects.endpointSlice, {
    en: "the back ends of Services",
    zh: "Service 的后端",
  }),
  configmaps: list("api/v1/configmaps", objects.configMap, {
    en: "the configuration of CoreDNS, kube-proxy and the CNI",
    zh: "CoreDNS、kube-proxy 和 CNI 的配置",
  }),
  serviceaccounts: list("api/v1/serviceaccounts", objects.serviceAccount, {
    en: "which ServiceAccounts exist",
    zh: "有哪些 ServiceAccount",
  }),
  events: list("api/v1/events", objects.event, { en: "recent events", zh: "近期事件" }),
  daemonsets: list("apis/apps/*/daemonsets", objects.workload, {
    en: "which agents belong on which nodes",
    zh: "哪些节点应当运行哪些代理",
  }),
  deployments: list("apis/apps/*/deployments", objects.workload, {
    en: "how many replicas Deployments ask for",
    zh: "Deployment 期望的副本数",
  }),
  statefulsets: list("apis/apps/*/statefulsets", objects.workload, {
    en: "how many replicas StatefulSets ask for",
    zh: "StatefulSet 期望的副本数",
  }),
  replicasets: list("apis/apps/*/replicasets", objects.workload, {
    en: "which Deployment a Pod belongs to",
    zh: "Pod 属于哪个 Deployment",
  }),
  networkpolicies: list("apis/networking.k8s.io/*/networkpolicies", objects.networkPolicy, {
    en: "which traffic NetworkPolicies allow",
    zh: "NetworkPolicy 放行哪些流量",
  }),
  ciliumnetworkpolicies: list("apis/cilium.io/*/ciliumnetworkpolicies", objects.ciliumPolicy, {
    en: "which traffic policies of Cilium's own kind allow",
    zh: "Cilium 自有类型的策略放行哪些流量",
  }),
  ciliumclusterwidenetworkpolicies: list("apis/cilium.io/*/ciliumclusterwidenetworkpolicies", objects.ciliumPolicy, {
    en: "which traffic cluster-wide policies of Cilium's own kind allow",
    zh: "Cilium 自有类型的全局策略放行哪些流量",
  }),
  ciliumnodes: list("apis/cilium.io/*/ciliumnodes", objects.ciliumNode, {
    en: "which Pod ranges and addresses Cilium's agents on other nodes know of a node",
    zh: "其他节点上的 Cilium 代理所知的某节点的 Pod 网段和地址",
  }),
  caliconetworkpolicies: list("apis/crd.projectcalico.org/*/networkpolicies", objects.calicoPolicy, {
    en: "which traffic policies of Calico's own kind allow and deny",
    zh: "Calico 自有类型的策略放行和禁止哪些流量",
  }),
  globalnetworkpolicies: list("apis/crd.projectcalico.org/*/globalnetworkpolicies", objects.calicoPolicy, {
    en: "which traffic cluster-wide policies of Calico's own kind allow and deny",
    zh: "Calico 自有类型的全局策略放行和禁止哪些流量",
  }),
  caliconetworksets: list("apis/crd.projectcalico.org/*/networksets", objects.calicoNetworkSet, {
    en: "which addresses Calico's policies of a namespace mean by their labels",
    zh: "Calico 命名空间策略的标签所指的地址",
  }),
  globalnetworksets: list("apis/crd.projectcalico.org/*/globalnetworksets", objects.calicoNetworkSet, {
    en: "which addresses Calico's policies mean by their labels",
    zh: "Calico 策略的标签所指的地址",
  }),
  hostendpoints: list("apis/crd.projectcalico.org/*/hostendpoints", objects.hostEndpoint, {
    en: "which interfaces of nodes Calico's policies apply to",
    zh: "Calico 策略作用于节点的哪些网卡",
  }),
  ippools: list("apis/crd.projectcalico.org/*/ippools", objects.ipPool, {
    en: "from which ranges Calico gives Pods addresses, and how it carries and masquerades their packets",
    zh: "Calico 从哪些网段为 Pod 分配地址，以及如何封装和转换其报文",
  }),
  ipamblocks: list("apis/crd.projectcalico.org/*/ipamblocks", objects.ipamBlock, {
    en: "which blocks of addresses each node has with Calico",
    zh: "Calico 中每个节点拥有哪些地址块",
  }),
  felixconfigurations: list("apis/crd.projectcalico.org/*/felixconfigurations", objects.felixConfiguration, {
    en: "how Calico's agent on the nodes is set up",
    zh: "节点上 Calico 代理的配置",
  }),
  clusterroles: list("apis/rbac.authorization.k8s.io/*/clusterroles", objects.role, {
    en: "what ClusterRoles grant",
    zh: "ClusterRole 授予的权限",
  }),
  clusterrolebindings: list("apis/rbac.authorization.k8s.io/*/clusterrolebindings", objects.roleBinding, {
    en: "to whom ClusterRoles are granted",
    zh: "ClusterRole 授予了谁",
  }),
  roles: list("apis/rbac.authorization.k8s.io/*/roles", objects.role, {
    en: "what Roles grant",
    zh: "Role 授予的权限",
  }),
  rolebindings: list("apis/rbac.authorization.k8s.io/*/rolebindings", objects.roleBinding, {
    en: "to whom Roles are granted",
    zh: "Role 授予了谁",
  }),
  leases: list("apis/coordination.k8s.io/*/leases", objects.lease, {
    en: "whether kubelets and controllers still renew their leases",
    zh: "kubelet 与控制器是否仍在续租",
  }),
  validatingwebhookconfigurations: list(
    "apis/admissionregistration.k8s.io/*/validatingwebhookconfigurations",
    objects.webhookConfiguration,
    { en: "which programs are asked before an object is written", zh: "写入对象之前会询问哪些程序" },
  ),
  mutatingwebhookconfigurations: list(
    "apis/admissionregistration.k8s.io/*/mutatingwebhookconfigurations",
    objects.webhookConfiguration,
    { en: "which programs may change an object before it is written", zh: "写入对象之前哪些程序可以修改它" },
  ),
  customresourcedefinitions: list("apis/apiextensions.k8s.io/*/customresourcedefinitions", objects.named, {
    en: "which operators are installed",
    zh: "安装了哪些 Operator",
  }),

  iptables: onNode(
    "iptables-save.txt",
    "iptables-save -c",
    parseIptablesSave,
    {
      en: "what the node does with packets to Services and Pods",
      zh: "节点如何处理发往 Service 和 Pod 的报文",
    },
    NOTHING_THERE,
  ),
  ip6tables: onNode(
    "ip6tables-save.txt",
    "ip6tables-save -c",
    parseIptablesSave,
    {
      en: "what the node does with IPv6 packets",
      zh: "节点如何处理 IPv6 报文",
    },
    NOTHING_THERE,
  ),
  iptablesLegacy: onNode(
    "iptables-legacy-save.txt",
    "iptables-legacy-save -c",
    parseIptablesSave,
    {
      en: "rules in the other iptables back end",
      zh: "另一个 iptables 后端中的规则",
    },
    NOTHING_THERE,
  ),
  ip6tablesLegacy: onNode(
    "ip6tables-legacy-save.txt",
    "ip6tables-legacy-save -c",
    parseIptablesSave,
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

  ciliumStatus: inCilium("cilium-dbg-status.txt", "status --verbose", parseCiliumStatus, {
    en: "how Cilium's datapath on the node is set up",
    zh: "节点上 Cilium 数据面的工作方式",
  }),
  ciliumEndpoints: inCilium("cilium-dbg-endpoint-list.json", "endpoint list -o json", parseCiliumEndpoints, {
    en: "which Pods Cilium connects on the node, with which identity and policy",
    zh: "Cilium 在节点上接入了哪些 Pod，以及它们的身份和策略",
  }),
  ciliumIdentities: inCilium("cilium-dbg-identity-list.json", "identity list -o json", parseCiliumIdentities, {
    en: "the labels of Cilium's identities, which its policies select",
    zh: "Cilium 各身份对应的标签（策略据此选择）",
  }),
  ciliumIpcache: inCilium("cilium-dbg-bpf-ipcache-list.txt", "bpf ipcache list", parseCiliumIpcache, {
    en: "which identity and node Cilium takes an address for",
    zh: "Cilium 认为某个地址属于哪个身份、在哪个节点后面",
  }),
  ciliumLb: inCilium("cilium-dbg-bpf-lb-list.txt", "bpf lb list", parseCiliumLb, {
    en: "the back ends to which Cilium sends packets for Services",
    zh: "Cilium 把发往 Service 的报文转发到哪些后端",
  }),
  ciliumServices: inCilium("cilium-dbg-service-list.txt", "service list", parseCiliumServices, {
    en: "the Services as Cilium's agent knows them",
    zh: "Cilium 代理所知的 Service",
  }),
  ciliumTunnels: inCilium("cilium-dbg-bpf-tunnel-list.txt", "bpf tunnel list", parseCiliumTunnels, {
    en: "the nodes to which Cilium's tunnel leads",
    zh: "Cilium 隧道通往哪些节点",
  }),

  containerLog: log(
    "logs/{namespace}/{pod}/{container}.log",
    { logs: "current" },
    {
      en: "what the container reports",
      zh: "容器的日志",
    },
  ),
  previousContainerLog: log(
    "logs/{namespace}/{pod}/{container}.previous.log",
    { logs: "previous" },
    {
      en: "why the container stopped last time",
      zh: "容器上一次退出的原因",
    },
  ),
  kubeletLog: log(
    "nodes/{node}/kubelet.log",
    { command: "journalctl -u kubelet -n 1500", where: "node" },
    {
      en: "what the kubelet reports",
      zh: "kubelet 的日志",
    },
  ),

  dnsMetrics: metrics(
    "metrics/coredns/{namespace}/{pod}.prom",
    "/api/v1/namespaces/{namespace}/pods/{pod}:9153/proxy/metrics",
    [
      "coredns_dns_responses_total",
      "coredns_forward_healthcheck_broken_total",
      // until 1.10, and since
      "coredns_forward_healthcheck_failures_total",
      "coredns_proxy_healthcheck_failures_total",
      "coredns_panics_total",
    ],
    {
      en: "how many queries CoreDNS could not answer since it started",
      zh: "CoreDNS 自启动以来有多少查询未能应答",
    },
  ),
  proxyHealth: {
    path: "metrics/kube-proxy/{node}.json",
    how: { get: "/api/v1/nodes/{node}:10256/proxy/healthz" },
    open: parsedBy(parseProxyHealth),
    empty: "tells-nothing",
    hides: {
      en: "whether kube-proxy on the node writes the changes that it learns of",
      zh: "节点上的 kube-proxy 是否把获知的变化写入了规则",
    },
    sensitivity: "plain",
    cost: "small",
  } satisfies Kind<ProxyHealth>,
  // on the node's loopback alone, unless `metricsBindAddress` says otherwise: then nobody but the node itself may ask
  proxyMetrics: metrics(
    "metrics/kube-proxy/{node}.prom",
    "/api/v1/nodes/{node}:10249/proxy/metrics",
    [
      "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
      "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
    ],
    {
      en: "when kube-proxy on the node last wrote its rules, and how often it failed to",
      zh: "节点上的 kube-proxy 上次写入规则的时间，以及写入失败的次数",
    },
  ),
  kubeletMetrics: metrics(
    "metrics/kubelet/{node}.prom",
    "/api/v1/nodes/{node}/proxy/metrics",
    [
      "kubelet_run_podsandbox_errors_total",
      "kubelet_started_pods_errors_total",
      "kubelet_runtime_operations_errors_total",
    ],
    {
      en: "how often the kubelet failed to start Pods and their network since it started",
      zh: "kubelet 自启动以来启动 Pod 及其网络失败的次数",
    },
  ),
  nodeUsage: usage("nodes", {
    en: "how much CPU and memory nodes use (`kubectl top nodes`)",
    zh: "节点的 CPU 与内存用量（`kubectl top nodes`）",
  }),
  podUsage: usage("pods", {
    en: "how much CPU and memory Pods use (`kubectl top pods`)",
    zh: "Pod 的 CPU 与内存用量（`kubectl top pods`）",
  }),

  helmReleases: {
    path: HELM_RELEASES,
    how: { other: "`netwhy collect --helm`: the permissions and agents in Helm's records; no Secret is kept" },
    open: parsedBy(parseHelmReleases),
    empty: "nothing-there",
    hides: {
      en: "what Helm installed, from which deleted permissions can be restored",
      zh: "Helm 安装了什么（可据此恢复被删除的权限）",
    },
    sensitivity: "names",
    cost: "medium",
  } satisfies Kind<readonly HelmRelease[]>,
  auditLog: {
    path: "audit/{file}",
    how: { other: "the audit log of kube-apiserver (--audit-log-path)" },
    open: auditLogReader,
    empty: "nothing-there",
    hides: {
      en: "who changed or deleted what, when, and with which selector",
      zh: "谁在何时、用什么选择器修改或删除了什么",
    },
    sensitivity: "names",
    cost: "large",
  } satisfies Kind<AuditLog>,

  components: {
    path: "components/{file}.yaml",
    how: { other: "written by those who run the component (`--component`)" },
    open: parsedBy(parseComponentFile),
    empty: "tells-nothing",
    hides: {
      en: "what components need that netwhy does not know by itself",
      zh: "netwhy 未内置的组件需要哪些权限",
    },
    sensitivity: "names",
    cost: "small",
  } satisfies Kind<readonly ComponentDescription[]>,
  packetCapture: {
    path: "captures/{file}",
    how: { other: "the tcpdump commands that a report prints for both ends of a failure" },
    open: parsedBy(parsePacketCaptures),
    empty: "tells-nothing",
    hides: {
      en: "where packets were last seen on their way",
      zh: "报文在途中最后出现在哪里",
    },
    sensitivity: "may-hold-secrets",
    cost: "small",
  } satisfies Kind<readonly PacketCapture[]>,

  manifest: clusterWide("manifest.jsonl", "written by the collector", parseManifest, {
    en: "which evidence was asked for and arrived whole",
    zh: "采集了哪些证据、是否完整",
  }),
  probes: clusterWide("probes.jsonl", "netwhy probe", parseProbes, {
    en: "which connections work and which fail",
    zh: "哪些连接正常、哪些失败",
  }),
} satisfies Record<string, Kind<unknown>>;

export type KindId = keyof typeof catalogue;

/** A piece of evidence that would have told. */
export type Missing = { readonly kind: KindId; readonly place?: Place };
export type ValueOf<K extends KindId> = (typeof catalogue)[K] extends Kind<infer T> ? T : never;
/** The kinds that are lists of API objects. */
export type ListId = { [K in KindId]: ValueOf<K> extends ApiList<unknown> ? K : never }[KindId];
export type ObjectOf<K extends ListId> = ValueOf<K> extends ApiList<infer T> ? T : never;
