import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { formatIp, parseIp } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { openingPacket } from "../../trace/packet.ts";
import { WORLD, walk } from "../../trace/walk.ts";
import { captureCommands } from "../capture-commands.ts";
import { defineCheck, type Ends } from "../check.ts";

const say = texts("underlay-packet-loss", {
  pair: {
    en: "Packets of Pods are lost between nodes {a} and {b}, although both ends are right",
    zh: "节点 {a} 与 {b} 之间的 Pod 报文丢失，而两端配置均正确",
  },
  oneToAll: {
    en: "Packets of Pods are lost between node {a} and every other node, although both ends are right",
    zh: "节点 {a} 与其他所有节点之间的 Pod 报文丢失，而各端配置均正确",
  },
  all: {
    en: "Packets of Pods are lost between all nodes ({nodes}), although all ends are right",
    zh: "所有节点（{nodes}）之间的 Pod 报文均丢失，而各端配置均正确",
  },
  sent: {
    en: "See whether the packets leave {node}: run this there and the next on {peer}, at once, and ping {target} from {from} meanwhile",
    zh: "确认报文是否离开 {node}：在其上执行此命令，同时在 {peer} 上执行下一条，并从 {from} ping {target}",
  },
  arrived: {
    en: "See whether they arrive at {peer}; `netwhy diagnose` reads both files back (--capture)",
    zh: "确认报文是否到达 {peer}；两个文件都可以交给 `netwhy diagnose` 判读（--capture）",
  },
  allow: {
    en: "Let the tunnel's packets (UDP port {port}) pass in both directions between the nodes: security groups, firewalls of hypervisor and switch, network ACLs",
    zh: "在节点之间双向放行隧道报文（UDP 端口 {port}）：安全组、虚拟化平台与交换机的防火墙、网络 ACL",
  },
  allowRoutes: {
    en: "Let packets with addresses of Pods pass between the nodes: no source or destination check, no anti-spoofing",
    zh: "在节点之间放行带有 Pod 地址的报文：关闭源/目的地址检查和防地址欺骗",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Test the Pod network between each pair of nodes after every change of firewalls and security groups",
    zh: "每次变更防火墙或安全组后，逐对节点验证 Pod 网络的连通性",
  },
});

const PARTS = [...WORLD, "flannel", "tunnels"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

/** Who pings whom, and what captures the packets at both ends of their way. */
function captured(node: string, peer: string, model: Model) {
  const podOf = (name: string): PodView | undefined =>
    model.pods.onNode(name).find((pod) => !pod.hostNetwork && pod.ready && pod.addresses.length > 0);
  const [sender, target] = [podOf(node), podOf(peer)];
  const [source, destination] = [sender, target].map((pod) => parseIp(pod?.addresses[0] ?? ""));
  const said = { from: sender?.key ?? node, to: destination ? formatIp(destination) : peer };
  if (!sender || !source || !destination) return { ...said, commands: [] };
  const packet = openingPacket("icmp", source, destination);
  const { ways } = walk({ from: { node, pod: sender }, packet }, model);
  return { ...said, commands: captureCommands(ways) };
}

const title = ({ are, nodes }: Ends) => {
  const [a = "", b = ""] = nodes;
  if (are === "all") return say.all({ nodes: nodes });
  return are === "pair" ? say.pair({ a, b }) : say.oneToAll({ a });
};

/** What is between the nodes drops the Pod network's packets. */
export const underlayPacketLoss = defineCheck({
  id: "underlay-packet-loss",
  reads: PARTS,

  concludes: { by: "elimination", of: "underlay.carry", title },

  remedies({ nodes: [node = "", lost] }, model) {
    const { flannel, nodes } = model;
    const peer = lost ?? nodes.all.find(({ name }) => name !== node)?.name ?? "";
    const isTunnel = !flannel.used || flannel.peer(node)?.backend === "vxlan";
    const { port } = model.tunnels;
    const { from, to, commands } = captured(node, peer, model);
    const watch = (name: string) => {
      const host = `host ${nodes.get(name)?.addresses[0] ?? name}`;
      return sh`timeout 60 tcpdump -ni any -c 10 ${isTunnel ? `udp port ${port} and ${host}` : host}`;
    };
    const onNode = commands.find((command) => command.node === node) ?? { run: watch(peer), node };
    const onPeer = commands.find((command) => command.node === peer) ?? { run: watch(node), node: peer };
    const steps = [
      { why: say.sent({ node, peer, from, target: to }), change: onNode, verify: onPeer },
      { why: say.arrived({ peer }), change: onPeer, verify: onPeer },
      { why: isTunnel ? say.allow({ port }) : say.allowRoutes(), verify: onPeer },
    ];
    return [{ id: "allow-tunnel", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "The network between the nodes loses the Pods' packets", zh: "节点之间的网络丢弃 Pod 报文" },
    page: {
      en: `Packets of Pods leave one node as they should and do not reach the other: something between the nodes drops them. netwhy concludes it by elimination: routes, neighbours, forwarding, filters and tunnel devices of both ends were seen to be right. If the connection tracking tables of both ends show it (sent here, never arrived there), it says so.

**How it looks.** Pods reach those of their own node and time out to others, for one node or for all. The nodes themselves reach each other: \`ping\` and ssh work. Names fail wherever CoreDNS is on the other side, Services fail for some of their back ends.

**How it comes about.** A security group or firewall that does not allow the tunnel (VXLAN: UDP 8472 for flannel and Cilium, 4789 for Calico; IPIP: protocol 4; WireGuard: UDP 51820), one that allows it one way only, two overlays on one port, a virtual network that takes VXLAN of its guests for its own, anti-spoofing that drops addresses of Pods where there is no tunnel.

**When this is not the cause.** If small packets pass and large ones do not, it is the MTU. If the nodes do not reach each other either, it is no matter of Pods.`,
      zh: `Pod 的报文正常离开一个节点，却没有到达另一个节点：被两者之间的网络丢弃。该结论由 netwhy 排除得出：两端的路由、邻居表项、转发、过滤规则和隧道设备均已确认正确。若两端的连接跟踪表能证明（这边已发出、那边从未收到），报告会注明。

**现象。** Pod 能访问本节点上的 Pod，访问其他节点则超时，可能只涉及一个节点，也可能涉及全部。节点之间 \`ping\` 和 ssh 正常。若 CoreDNS 在另一侧，域名解析失败；Service 的部分后端不可达。

**成因。** 安全组或防火墙没有放行隧道（VXLAN：flannel 和 Cilium 用 UDP 8472，Calico 用 4789；IPIP：协议号 4；WireGuard：UDP 51820），或只放行了单向；两套 overlay 占用同一端口；虚拟化网络把虚机发出的 VXLAN 当作自己的；没有隧道时，防地址欺骗丢弃了带 Pod 地址的报文。

**何时不是它。** 若小报文能通而大报文不通，原因是 MTU。若节点之间本身就不通，则与 Pod 无关。`,
    },
  },
});
