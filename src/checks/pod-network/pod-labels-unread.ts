import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { CiliumNode } from "../../model/cilium/cilium.ts";
import { type Connected, connectedPods } from "../../model/cilium/endpoint-identity.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

const say = texts("pod-labels-unread", {
  found: {
    en: "Cilium on {nodes} does not get the labels of {count} {count:Pod|Pods} that {count:was|were} made since",
    zh: "{nodes} 上的 Cilium 取不到此后新建的 {count} 个 Pod 的标签",
  },
  look: {
    en: "See why Cilium on {node} gets no answer from the API server",
    zh: "查看 {node} 上的 Cilium 为何得不到 API Server 的应答",
  },
  restart: {
    en: "Restart Cilium on {node}: its watches begin anew",
    zh: "重启 {node} 上的 Cilium：重新建立 watch",
  },
  interrupts: {
    en: "Nothing: the programs on the devices go on while the agent restarts",
    zh: "无：代理重启期间，网卡上的程序继续工作",
  },
  prevent: {
    en: "Alert on cilium_controllers_failing",
    zh: "对 cilium_controllers_failing 告警",
  },
});

const NO_LABELS = /Unable to fetch kubernetes labels/;
const MOST_SHOWN = 3;

/** What the agent says of a Pod whose labels it asked for in vain. */
function complaintOf(
  node: CiliumNode,
  agent: PodView,
  { pod, endpoint }: Connected,
  { logs }: Pick<ClusterModel, "logs">,
): Evidence | undefined {
  const { withoutLabels } = endpoint;
  if (withoutLabels) {
    const { tries, because } = withoutLabels;
    return node.quoteEndpoint(endpoint, `${pod.key}: resolve-labels has failed ${tries} times: ${because}`);
  }
  const said = logs.said(agent, NO_LABELS).filter(({ entry }) => entry.last.message.includes(pod.key));
  return said.findLast(({ current }) => current)?.evidence;
}

/** Cilium's agent cannot read the labels of new Pods. */
export const podLabelsUnread = defineCheck({
  id: "pod-labels-unread",
  reads: ["cilium", "components", "nodes", "pods", "logs", "time"],

  *find(model) {
    const { cilium, components, nodes } = model;
    if (!cilium.runs) return;
    const [agent] = components.byId("cilium");
    const unread = nodes.all.flatMap(({ name }) => {
      const node = cilium.of(name);
      const own = agent?.pods.find((pod) => pod.node === name);
      return connectedPods(node, model).nameless.flatMap((one) => {
        const evidence = own && complaintOf(node, own, one, model);
        return evidence ? [{ name, pod: one.pod, evidence }] : [];
      });
    });
    if (!agent || unread.length === 0) return;
    const on = [...new Set(unread.map(({ name }) => name))];
    yield fault({
      repair: agent.ref,
      related: unread.slice(0, MOST_SHOWN).map(({ pod }) => pod.ref),
      nodes: on,
      breaks: unread.map(({ name, pod }): Capability => ({ name: "pod.labels", node: name, pod: pod.key })),
      title: say.found({ nodes: on, count: unread.length }),
      evidence: unread.slice(0, MOST_SHOWN).map(({ evidence }) => evidence),
      strength: "differing",
    });
  },

  remedies({ nodes, repair }) {
    const { namespace = "", name } = repair;
    const logs = sh`kubectl logs -n ${namespace} ds/${name} -c cilium-agent --since=10m`;
    return [
      {
        id: "watch-again",
        risk: "low",
        interrupts: say.interrupts(),
        steps: nodes.flatMap((node) => [
          { why: say.look({ node }), verify: { run: logs } },
          {
            why: say.restart({ node }),
            change: { do: "restart", component: repair, node } as const,
            verify: { run: logs },
          },
        ]),
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "Cilium cannot read the labels of new Pods", zh: "Cilium 读不到新 Pod 的标签" },
    page: {
      en: `Cilium's agent asks the API server for the labels of every new Pod, and of them makes the identity by which policy treats it. Here it has asked in vain for more than a minute.

**How it looks.** The agent logs \`Unable to fetch kubernetes labels\`, again and again; in \`cilium-dbg endpoint list -o json\` the controller \`resolve-labels-NAMESPACE/NAME\` counts failures. \`pod.core "…" not found\`, although the Pod exists, means that the agent's list of Pods stands still: it was refused, or its watch hangs. The Pods stay on identity \`reserved:init\` (\`pod-identity-missing\`).

**How it comes about.** The agent has lost its permissions (\`component-access-denied\`) or does not reach the API server; a watch hangs.

**When this is not the cause.** In the first seconds of a Pod, and while the API server restarts, this is normal.`,
      zh: `Cilium 代理会向 API Server 查询每个新 Pod 的标签，并由此得出策略所依据的身份。这里它已连续一分钟以上查询无果。

**现象。** 代理日志反复出现 \`Unable to fetch kubernetes labels\`；在 \`cilium-dbg endpoint list -o json\` 中，controller \`resolve-labels-NAMESPACE/NAME\` 的失败次数不断增加。Pod 明明存在却报 \`pod.core "…" not found\`，说明代理手中的 Pod 列表已停滞：请求被拒绝，或 watch 卡住。这些 Pod 停留在 \`reserved:init\` 身份（见 \`pod-identity-missing\`）。

**成因。** 代理失去权限（见 \`component-access-denied\`）或访问不到 API Server；watch 卡住。

**何时不是它。** Pod 创建后的最初几秒、API Server 重启期间，属于正常现象。`,
    },
  },
});
