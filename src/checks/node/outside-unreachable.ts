import { texts } from "../../text.ts";
import { defineCheck } from "../check.ts";

const say = texts("outside-unreachable", {
  title: {
    en: "Nothing outside the cluster answers node {node} and its Pods",
    zh: "节点 {node} 及其 Pod 无法访问集群外部",
  },
  look: {
    en: "See whether the gateway answers, and whether Pods leave with the node's address",
    zh: "查看网关是否应答，以及 Pod 出站时是否转换为节点地址",
  },
  decide: {
    en: "If the gateway answers, the fault is behind it: NAT, proxy, firewall or egress rules for the node",
    zh: "若网关有应答，问题在网关之后：针对该节点的 NAT、代理、防火墙或出站规则",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Write down which nodes are meant to reach the outside, and watch it from there",
    zh: "明确哪些节点应能访问外部，并在这些节点上监控",
  },
});

const TRY_GATEWAY =
  "ping -c 3 -W 1 $(ip route show default | awk '{ print $3; exit }'); iptables-save -t nat | grep -i masquerade";

/** What is outside the cluster does not answer, although the node's own part of the way is right. */
export const outsideUnreachable = defineCheck({
  id: "outside-unreachable",
  reads: [],

  concludes: { by: "elimination", of: "outside.reach", title: ({ nodes: [node = ""] }) => say.title({ node }) },

  remedies({ nodes: [node] }) {
    const verify = { run: TRY_GATEWAY, ...(node !== undefined && { node }) };
    const steps = [
      { why: say.look(), change: verify, verify },
      { why: say.decide(), verify },
    ];
    return [{ id: "find-the-break", risk: "none", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "What is outside the cluster does not answer", zh: "集群外部无应答" },
    page: {
      en: `Tests to addresses outside the cluster fail, while the node forwards and masquerades as it should. netwhy concludes by elimination that the way from the node on, or the other end, is at fault.

**How it looks.** Pods and the node alike time out to outside addresses; everything inside works. External names fail as well if CoreDNS needs that way.

**How it comes about.** Default route or gateway, NAT or a proxy outside, a firewall that lets out only some; or the far end itself.

**When this is not the cause.** If the node reaches the outside and its Pods do not, look at forwarding and masquerading. Many clusters are not meant to reach the outside.`,
      zh: `访问集群外部地址的探测失败，而节点的转发和源地址转换均正常。netwhy 由排除得出：问题在节点之外的路径或对端。

**现象。** Pod 与节点访问外部地址都超时，集群内部一切正常。若 CoreDNS 依赖这条路径，外部域名也会解析失败。

**成因。** 默认路由或网关、外部的 NAT 或代理、只放行部分流量的防火墙；或对端本身。

**何时不是它。** 若节点能访问外部而 Pod 不能，应检查转发和源地址转换。许多集群本来就不允许访问外部。`,
    },
  },
});
