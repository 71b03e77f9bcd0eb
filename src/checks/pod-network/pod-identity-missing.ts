import type { Capability } from "../../model/capability.ts";
import { connectedPods } from "../../model/cilium/endpoint-identity.ts";
import { sh } from "../../shell.ts";
import { fewOf, texts } from "../../text.ts";
import { defineCheck, fault, works } from "../check.ts";

const say = texts("pod-identity-missing", {
  found: {
    en: "{count} {count:Pod keeps|Pods keep} Cilium's identity 5 (reserved:init), which may send nothing: {pods}",
    zh: "{count} 个 Pod 停留在 Cilium 身份 5（reserved:init），不能发送任何报文：{pods}",
  },
  restart: {
    en: "Restart Cilium on {node}: it asks for the labels of its Pods anew",
    zh: "重启 {node} 上的 Cilium：它会重新获取 Pod 的标签",
  },
  interrupts: {
    en: "Nothing: the programs on the devices go on while the agent restarts",
    zh: "无：代理重启期间，网卡上的程序继续工作",
  },
  prevent: {
    en: "Alert on endpoints that keep the identity reserved:init for more than a minute",
    zh: "对停留在 reserved:init 身份超过一分钟的端点告警",
  },
});

const MOST_NAMED = 3;

/** Cilium does not know who a Pod is. */
export const podIdentityMissing = defineCheck({
  id: "pod-identity-missing",
  reads: ["cilium", "components", "nodes", "pods", "time"],

  *find(model) {
    const { cilium, components, nodes } = model;
    if (!cilium.runs) return;
    const [agent] = components.byId("cilium");
    const known = nodes.all.map(({ name }) => ({ node: cilium.of(name), ...connectedPods(cilium.of(name), model) }));
    for (const { node, identified } of known)
      for (const { pod } of identified) yield works({ name: "pod.identity", node: node.node, pod: pod.key }, []);
    const nameless = known.flatMap(({ node, nameless: found }) => found.map((one) => ({ node, ...one })));
    if (!agent || nameless.length === 0) return;
    const shown = nameless.slice(0, MOST_NAMED);
    const names = nameless.map(({ pod }) => `${pod.key} (${pod.node})`);
    yield fault({
      repair: agent.ref,
      related: shown.map(({ pod }) => pod.ref),
      nodes: [...new Set(nameless.map(({ node }) => node.node))],
      breaks: nameless.map(({ node, pod }): Capability => ({ name: "pod.identity", node: node.node, pod: pod.key })),
      title: say.found({ count: nameless.length, pods: fewOf(names, MOST_NAMED) }),
      evidence: shown.map(({ node, pod, endpoint }) => {
        const { identity, labels, state } = endpoint;
        return node.quoteEndpoint(endpoint, `${pod.key}: identity ${identity} ${labels.join(",")}, ${state}`);
      }),
      strength: "differing",
      since: nameless.flatMap(({ pod }) => pod.object.metadata.creationTimestamp ?? []).sort()[0],
    });
  },

  remedies({ nodes, repair }) {
    const { namespace = "" } = repair;
    const verify = sh`kubectl exec -n ${namespace} ds/${repair.name} -c cilium-agent -- cilium-dbg endpoint list`;
    return [
      {
        id: "resolve-labels",
        risk: "low",
        interrupts: say.interrupts(),
        steps: nodes.map((node) => ({
          why: say.restart({ node }),
          change: { do: "restart", component: repair, node },
          verify: { run: verify },
        })),
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "Cilium does not know who a Pod is", zh: "Cilium 不认识某个 Pod" },
    page: {
      en: `Cilium decides by identities, which it makes of a Pod's labels. Until its agent has read them, a new Pod has identity 5, \`reserved:init\`, for which policy is in force even where no NetworkPolicy is: it may send nothing, and only its own node may reach it. That takes seconds; here it has lasted longer than a minute.

**How it looks.** New Pods time out on everything, cluster IPs, names and the gateway, while Pods that are older and Pods on the host's network fare well. \`cilium-dbg endpoint list\` shows \`5\` and \`reserved:init\`, \`ready\`, with policy enabled both ways; the agent logs \`Unable to fetch kubernetes labels\`. Pods and agents are Running.

**How it comes about.** The agent may not read Pods and namespaces any more (\`component-access-denied\`), does not reach the API server, or its watch hangs. It asks again and again: once it is answered, the Pods get their identities without being made anew.

**When this is not the cause.** In the first seconds of a Pod this is normal. An identity of 256 and more whose packets are refused is a matter of policies.`,
      zh: `Cilium 按身份做判断，而身份由 Pod 的标签得出。代理读到标签之前，新 Pod 的身份是 5，即 \`reserved:init\`；即使没有任何 NetworkPolicy，该身份也会执行策略：什么都不能发送，只有本节点能访问它。正常情况下这只持续几秒，而这里已超过一分钟。

**现象。** 新建的 Pod 访问 ClusterIP、域名、网关一律超时，而早先的 Pod 和 hostNetwork 的 Pod 一切正常。\`cilium-dbg endpoint list\` 中显示 \`5\` 和 \`reserved:init\`，状态为 \`ready\`，双向策略均为启用；代理日志中有 \`Unable to fetch kubernetes labels\`。Pod 和代理都处于 Running。

**成因。** 代理失去读取 Pod 和 Namespace 的权限（见 \`component-access-denied\`）、访问不到 API Server，或 watch 卡住。代理会不断重试：一旦得到应答，Pod 无需重建即可获得身份。

**何时不是它。** Pod 创建后的最初几秒属于正常现象。身份为 256 及以上而报文被拒绝时，是策略问题。`,
    },
  },
});
