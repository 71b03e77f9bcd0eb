import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Ends } from "../check.ts";

const say = texts("node-unreachable", {
  pair: { en: "Nodes {a} and {b} do not reach each other", zh: "节点 {a} 与 {b} 互不可达" },
  oneToAll: { en: "Node {a} is cut off from the other nodes", zh: "节点 {a} 与其他节点之间不通" },
  all: { en: "The nodes ({nodes}) do not reach each other", zh: "节点（{nodes}）之间互不可达" },
  look: { en: "See how far packets to {peer} get", zh: "查看发往 {peer} 的报文能到哪里" },
  decide: {
    en: "Follow the way between the nodes' own addresses: whether {peer} runs, link, VLAN, routes of the gateway, security groups, firewalls",
    zh: "沿节点自身地址之间的路径排查：{peer} 是否在运行、链路、VLAN、网关路由、安全组、防火墙",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Watch the nodes from each other, and not only from one place",
    zh: "让节点相互探测，而不只从单一位置监控",
  },
});

const title = ({ are, nodes }: Ends) => {
  const [a = "", b = ""] = nodes;
  if (are === "all") return say.all({ nodes: nodes });
  return are === "pair" ? say.pair({ a, b }) : say.oneToAll({ a });
};

/** The nodes' own addresses do not reach each other. */
export const nodeUnreachable = defineCheck({
  id: "node-unreachable",
  reads: ["nodes"],

  concludes: { by: "elimination", of: "node.reach", title },

  remedies({ nodes: [node = "", lost] }, { nodes }) {
    const peer = lost ?? nodes.all.find(({ name }) => name !== node)?.name ?? "";
    const address = nodes.get(peer)?.addresses[0] ?? peer;
    const verify = { run: sh`ip route get ${address}; ip neigh show ${address}; ping -c 3 -W 1 ${address}`, node };
    const steps = [
      { why: say.look({ peer }), change: verify, verify },
      { why: say.decide({ peer }), verify },
    ];
    return [{ id: "find-the-break", risk: "none", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "Nodes do not reach each other", zh: "节点之间不通" },
    page: {
      en: `Packets between the nodes' own addresses are lost, whatever the Pod network does. netwhy concludes it by elimination.

**How it looks.** Tests from one node to another's address time out, Pods or not; NodePorts of the other node too. If the control plane is on the other side, the node becomes NotReady within a minute.

**How it comes about.** A link, a VLAN, a route or a neighbour entry outside Kubernetes; a firewall or a security group; two machines with one address.

**When this is not the cause.** A node that refuses a connection was reached. If only Pods fail and the nodes reach each other, see \`underlay-packet-loss\`.`,
      zh: `节点自身地址之间的报文丢失，与 Pod 网络无关。该结论由 netwhy 排除得出。

**现象。** 从一个节点访问另一个节点的地址超时，无论是否经过 Pod；对方的 NodePort 也是如此。若控制面在另一侧，该节点会在一分钟内变为 NotReady。

**成因。** Kubernetes 之外的链路、VLAN、路由或邻居表项；防火墙或安全组；两台机器使用同一地址。

**何时不是它。** 拒绝连接说明节点可达。若只有 Pod 不通而节点之间正常，见 \`underlay-packet-loss\`。`,
    },
  },
});
