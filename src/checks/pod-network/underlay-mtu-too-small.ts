import { kubectlName } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Ends } from "../check.ts";

const say = texts("underlay-mtu-too-small", {
  pair: {
    en: "Large packets are lost between nodes {a} and {b}: small ones pass",
    zh: "节点 {a} 与 {b} 之间的大报文丢失，小报文正常",
  },
  oneToAll: {
    en: "Large packets are lost between node {a} and every other node: small ones pass",
    zh: "节点 {a} 与其他所有节点之间的大报文丢失，小报文正常",
  },
  all: {
    en: "Large packets are lost between all nodes ({nodes}): small ones pass",
    zh: "所有节点（{nodes}）之间的大报文均丢失，小报文正常",
  },
  measure: {
    en: "Find the largest packet that passes between {node} and {peer}",
    zh: "测出 {node} 与 {peer} 之间能通过的最大报文",
  },
  fit: {
    en: "Let the network carry what the nodes' devices send, or set the MTU of the Pod network to what passes, less what the tunnel adds (VXLAN: 50 bytes), restart the CNI's agents and make the Pods anew",
    zh: "让网络能传送节点网卡发出的报文；或将 Pod 网络的 MTU 设为可通过的大小减去隧道开销（VXLAN 为 50 字节），重启 CNI 组件并重建 Pod",
  },
  interrupts: { en: "Pods keep their MTU until they are made anew", zh: "Pod 重建前仍使用原来的 MTU" },
  prevent: {
    en: "Let ICMP “fragmentation needed” pass, and test with full-size packets whenever the network between the nodes changes",
    zh: "放行 ICMP “fragmentation needed” 报文；节点之间的网络变更后用满长报文验证",
  },
});

const title = ({ are, nodes }: Ends) => {
  const [a = "", b = ""] = nodes;
  if (are === "all") return say.all({ nodes: nodes });
  return are === "pair" ? say.pair({ a, b }) : say.oneToAll({ a });
};

/** The network between the nodes does not carry packets as large as Pods send them. */
export const underlayMtuTooSmall = defineCheck({
  id: "underlay-mtu-too-small",
  reads: ["nodes", "flannel"],

  concludes: { by: "elimination", of: "underlay.carry-large", title },

  remedies({ nodes: [node = "", lost] }, { nodes, flannel }) {
    const peer = lost ?? nodes.all.find(({ name }) => name !== node)?.name ?? "";
    const ping = sh`ping -M do -c 1 -W 1 ${nodes.get(peer)?.addresses[0] ?? peer}`;
    const sizes = "1472 1422 1372 1322 1272";
    const run = `for size in ${sizes}; do ${ping} -s $size > /dev/null && echo path MTU: $((size + 28)) && break; done`;
    const verify = { run, node };
    const edit = flannel.configMap && { run: `kubectl edit ${kubectlName(flannel.configMap)}` };
    const steps = [
      { why: say.measure({ node, peer }), change: verify, verify },
      { why: say.fit(), ...(edit && { change: edit, undo: edit }), verify },
    ];
    return [{ id: "fit-mtu", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "The network between the nodes loses large packets", zh: "节点之间的网络丢弃大报文" },
    page: {
      en: `Small packets of Pods reach other nodes and packets of full size do not: somewhere between the nodes the MTU is smaller than the nodes believe, and nobody tells them.

**How it looks.** Connections are made and then hang: a TLS handshake, a larger answer, an image pull, \`kubectl logs\` of a long line. \`ping\` works, \`ping -s 1372 -M do\` does not. Requests that fit one packet succeed.

**How it comes about.** A tunnel below (VPN, cloud network, VLAN in VLAN) takes its part of each packet; one link was set up with another MTU; ICMP “fragmentation needed” is filtered, so that path MTU discovery never learns (RFC 1191).

**When this is not the cause.** If small packets are lost too, it is not the size. A Pod device whose own MTU is larger than that of the tunnel shows on the node itself.`,
      zh: `Pod 的小报文能到达其他节点，满长报文不能：节点之间某处的 MTU 比节点认为的小，而又无人告知。

**现象。** 连接能建立，随后卡住：TLS 握手、稍大的响应、拉取镜像、一行很长的 \`kubectl logs\`。\`ping\` 正常，\`ping -s 1372 -M do\` 不通。一个报文就能装下的请求可以成功。

**成因。** 下层还有隧道（VPN、云网络、QinQ），占去了每个报文的一部分；某条链路的 MTU 配置不同；ICMP “fragmentation needed” 被过滤，路径 MTU 发现因此失效（RFC 1191）。

**何时不是它。** 若小报文也丢失，则与大小无关。若 Pod 网卡的 MTU 大于隧道的 MTU，在节点上就能看出。`,
    },
  },
});
