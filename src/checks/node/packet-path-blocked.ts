import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { ENDS } from "../../trace/trace.ts";
import { type Blockage, defineCheck } from "../check.ts";

const say = texts("packet-path-blocked", {
  node: {
    en: "Packets to {to} end on node {node}: {end} ({what})",
    zh: "发往 {to} 的报文止于节点 {node}：{end}（{what}）",
  },
  pod: {
    en: "Packets to {to} end in Pod {pod} on node {node}: {end} ({what})",
    zh: "发往 {to} 的报文止于节点 {node} 上的 Pod {pod}：{end}（{what}）",
  },
  look: {
    en: "Walk the packet, see what ends it, and take that away or put right what is missing there",
    zh: "逐跳查看该报文的路径，找到终止它的规则、路由或设备，将其移除或补全",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep what is not of the cluster's agents off the nodes' rules and routes, and test the paths after each change",
    zh: "除集群组件外，不要改动节点的规则与路由；每次变更后验证这些路径",
  },
});

const title = ({ end, pod, ...where }: Blockage) => {
  const how = { id: `end-${end}`, args: {}, ...ENDS[end] };
  return pod === undefined ? say.node({ ...where, end: how }) : say.pod({ ...where, pod, end: how });
};

/** What ends the packets of a failed test, where no other check says it. */
export const packetPathBlocked = defineCheck({
  id: "packet-path-blocked",
  reads: [],

  concludes: { by: "walk", title },

  remedies({ facts: { from = "", to = "" } }) {
    const verify = { run: sh`netwhy path ${String(from)} ${String(to)} --explain` };
    return [
      {
        id: "clear-the-path",
        risk: "medium",
        interrupts: say.nothing(),
        steps: [{ why: say.look(), verify }],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "Something on a node ends the packets of a test", zh: "节点上的某项配置终止了探测报文" },
    page: {
      en: `netwhy walks the packets of every active test through the rules, routes, devices and tunnels of all nodes. Where a test failed, no other check accounts for it, and the walk ends before its goal, then what ends it is the cause.

**How it looks.** Some connections fail, others between the same nodes work: a rule about one port, a route for one address, a size that does not fit.

**How it comes about.** Something that no agent of the cluster writes: a firewall rule for one port, a route or a policy rule of a VPN, of a second network, of a forgotten experiment.

Where it cannot be told from a rule which packets it drops (it looks into what is sent, at a country, at a program of BPF), the failed test tells it, if the rule has counted packets, none of the tests that succeeded meets it, and the nodes between which it lies are known to reach each other.

**When this is not the cause.** The state of the nodes is that of the moment when it was taken: a test that was made long before or after may have met another. \`netwhy path\` shows each step of the walk with the line that decides it.`,
      zh: `netwhy 让每项主动探测的报文走一遍所有节点的规则、路由、设备与隧道。若探测失败、没有其他检查能解释，而报文在到达目标之前就已终止，则终止它的那一项就是根因。

**现象。** 部分连接失败，而同样两个节点之间的其他连接正常：针对某个端口的规则、针对某个地址的路由、放不下的报文长度。

**成因。** 集群组件不会写入的东西：针对单个端口的防火墙规则，VPN、第二网络或遗忘的实验留下的路由或策略路由。

若仅凭规则无法判断它丢弃哪些报文（按内容、国家或 BPF 程序匹配），则由失败的探测来判断：该规则的计数不为零，成功的探测都不经过它，且相关节点之间已知可达。

**何时不是它。** 节点状态只代表采集那一刻：若探测早于或晚于采集很久，当时的状态可能不同。\`netwhy path\` 会列出每一步及其依据的那一行。`,
    },
  },
});
