import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import { ENOUGH_LEAVING, insideOf, type Leaving, leavingFrom, quoteUnanswered } from "../../model/leaving.ts";
import type { NodeView } from "../../model/nodes.ts";
import { kubectlName, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

const say = texts("pod-masquerade-off", {
  off: {
    en: "{agent} is not told to masquerade (--ip-masq): packets of Pods leave the cluster with the Pods' addresses, and nobody outside answers them",
    zh: "{agent} 未启用源地址转换（--ip-masq）：Pod 报文以 Pod 自身地址离开集群，外部无人应答",
  },
  add: { en: "Start flanneld with --ip-masq", zh: "为 flanneld 增加启动参数 --ip-masq" },
  restart: {
    en: "Restart {agent}: it has the argument, and nodes still run without",
    zh: "重启 {agent}：参数已有，而节点上仍未生效",
  },
  service: {
    en: "Start flannel of {node} with --ip-masq, wherever its arguments are written",
    zh: "在 {node} 上 flannel 启动参数所在之处加上 --ip-masq",
  },
  nothing: {
    en: "Nothing: flannel writes its rules anew; connections that Pods have keep their addresses",
    zh: "无：flannel 会重写其规则，Pod 已有的连接地址不变",
  },
  undo: { en: "Take the argument out again", zh: "去掉该参数" },
  prevent: {
    en: "Leave --ip-masq out only where routers outside have routes to the Pods' addresses, and test that from a Pod before",
    zh: "只有外部路由器具备到 Pod 网段的路由时才去掉 --ip-masq，并事先从 Pod 中测试",
  },
});

const told = ({ spec }: Component): boolean =>
  (spec?.containers ?? []).some(({ command, args }) =>
    [...(command ?? []), ...(args ?? [])].some((word) => /^--?ip-masq(=true)?$/.test(word)),
  );

/** Where flanneld's arguments are, as the number of the container. */
const containerOf = ({ spec }: Component): number =>
  Math.max(
    0,
    (spec?.containers ?? []).findIndex(({ args }) => (args ?? []).some((word) => word.includes("kube-subnet-mgr"))),
  );

/** flannel does not masquerade, as it is configured, and nobody outside answers the Pods. */
export const podMasqueradeOff = defineCheck({
  id: "pod-masquerade-off",
  reads: ["nodes", "services", "flannel", "components", "forwarding", "objects"],

  *find(model) {
    const { nodes, flannel, components, forwarding, objects } = model;
    if (!flannel.used) return;
    const inside = insideOf(model, flannel.config?.networks ?? []);
    const off: { readonly node: NodeView; readonly leaving: Leaving; readonly evidence: Evidence }[] = [];
    for (const node of nodes.all) {
      const env = flannel.subnetEnv(node.name);
      if (!node.sampled || !flannel.peer(node.name) || known(env)?.ipMasq !== false) continue;
      const { conntrack } = forwarding.of(node.name);
      // what is missing of it may be the answers
      if (!isWhole(conntrack)) {
        yield cannotTell({ name: "node.masquerade", node: node.name }, [
          { kind: "conntrack", place: { node: node.name } },
        ]);
        continue;
      }
      const leaving = leavingFrom(node, node.podRanges, inside, conntrack.value);
      off.push({ node, leaving, evidence: quoteOf(env.origin, "FLANNEL_IPMASQ=false") });
    }
    // one answer, and there is a way back to Pods
    if (off.some(({ leaving }) => leaving.answered.length > 0)) return;
    const hurt = off.filter(({ leaving }) => leaving.unanswered.length >= ENOUGH_LEAVING);
    const [first] = hurt;
    if (!first) return;
    const agent = components.byId("flannel").find(({ leftBehind }) => !leftBehind);
    const { conntrack } = forwarding.of(first.node.name);
    const quotes = first.leaving.unanswered.slice(0, 2).map((entry) => quoteUnanswered(entry, conntrack.origin));
    yield fault({
      repair: agent?.ref ?? first.node.ref,
      related: agent ? [] : off.slice(1).map(({ node }) => node.ref),
      nodes: off.map(({ node }) => node.name),
      breaks: off.map(({ node }) => ({ name: "node.masquerade", node: node.name })),
      title: say.off({ agent: agent ? refId(agent.ref) : "flannel" }),
      evidence: [
        ...(agent?.workload && !told(agent)
          ? [objects.quote("daemonsets", agent.workload, `${refId(agent.ref)}: no argument --ip-masq`)]
          : []),
        first.evidence,
        ...quotes,
      ],
      strength: "direct",
      facts: agent ? { case: told(agent) ? "restart" : "add", container: containerOf(agent) } : { case: "service" },
    });
  },

  remedies({ repair, nodes, facts }) {
    const [node = repair.name] = nodes;
    const verify = { run: "grep IPMASQ /run/flannel/subnet.env; iptables-save -t nat | grep FLANNEL-POSTRTG", node };
    const args = `/spec/template/spec/containers/${facts.container}/args/-`;
    const patch = JSON.stringify([{ op: "add", path: args, value: "--ip-masq" }]);
    const step =
      facts.case === "add"
        ? {
            why: say.add(),
            change: { run: `kubectl patch ${kubectlName(repair)} --type=json ${sh`-p ${patch}`}` },
            undo: say.undo(),
            verify,
          }
        : facts.case === "restart"
          ? {
              why: say.restart({ agent: refId(repair) }),
              change: { do: "restart", component: repair } as const,
              verify,
            }
          : { why: say.service({ node }), verify };
    return [{ id: "masquerade", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "flannel does not masquerade, and nobody answers the Pods",
      zh: "flannel 未做源地址转换，外部无人应答 Pod",
    },
    page: {
      en: `flannel runs without \`--ip-masq\` (FLANNEL_IPMASQ=false in /run/flannel/subnet.env), so that what Pods send out of the cluster keeps the Pods' addresses. The nodes' connection tracking shows such connections, none of which was answered: routers outside do not know the way to the Pods.

**How it looks.** Pods reach each other and the Services, and nothing outside; the nodes reach everything. CoreDNS, which is a Pod, does not reach its upstream servers either: external names fail everywhere, and its log speaks of \`i/o timeout\`.

**How it comes about.** The argument was lost when the manifest was edited or generated anew, or its value set to false.

**When this is not the cause.** Where routers know the Pods' addresses (host-gw and a routed network), flannel is meant to run so: then some connection is answered, and nothing is found here. What does not answer the nodes either is down by itself.`,
      zh: `flannel 未带 \`--ip-masq\` 运行（/run/flannel/subnet.env 中 FLANNEL_IPMASQ=false），Pod 发往集群外的报文保留 Pod 地址。节点的连接跟踪表中有这类连接，但没有一条得到应答：外部路由器不知道到 Pod 的路由。

**现象。** Pod 之间及访问 Service 正常，但访问不到任何外部地址；节点本身一切正常。CoreDNS 也是 Pod，同样访问不到上游服务器：所有外部域名解析失败，其日志出现 \`i/o timeout\`。

**成因。** 编辑或重新生成清单时丢失了该参数，或其值被设为 false。

**何时不是它。** 若外部路由器知道 Pod 网段的路由（host-gw 与可路由的网络），flannel 本应如此运行：此时总有连接得到应答，不会报告本故障。若目标对节点也不应答，则是目标自身的问题。`,
    },
  },
});
