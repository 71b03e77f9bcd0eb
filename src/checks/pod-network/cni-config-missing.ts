import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "objects" | "cni" | "components" | "logs" | "time">;

const say = texts("cni-config-missing", {
  missing: {
    en: "Node {node} has no CNI configuration: nothing is in its /etc/cni/net.d, and new Pods there get no network",
    zh: "节点 {node} 没有 CNI 配置：/etc/cni/net.d 为空，其上新建的 Pod 无法接入网络",
  },
  joining: { en: "it has just joined the cluster", zh: "该节点刚加入集群" },
  writeAgain: {
    en: "Restart {agent} on the node: it writes the CNI configuration when it starts",
    zh: "重启该节点上的 {agent}：它启动时会写入 CNI 配置",
  },
  look: {
    en: "See whether the file is there, and put it back: it is the same on every node",
    zh: "确认文件是否存在并恢复：各节点的该文件相同",
  },
  nothing: { en: "Nothing: the Pods that run keep their network", zh: "无：正在运行的 Pod 不受影响" },
});

/** containerd (internal/cri/server/status.go) and CRI-O, as the kubelet hands it on (pkg/kubelet/runtime.go). */
const NOT_CONFIGURED = /NetworkReady=false|NetworkPluginNotReady|cni plugin not initialized|No CNI configuration/i;

/** A node that joins has none until its CNI agent has been pulled and has started. */
const JOINING = 120_000;

function* judge({ name, ref, object }: NodeView, model: Model): Iterable<Finding> {
  const { objects, cni, logs, time, components } = model;
  const capability = { name: "cni.config", node: name } as const;
  const condition = object?.status?.conditions?.find(({ type }) => type === "Ready");
  if (!object || !condition) return;
  const quote = objects.quote(
    "nodes",
    object,
    `Node ${name}: Ready ${condition.status} since ${condition.lastTransitionTime}: ${condition.message ?? ""}`,
  );
  // the runtime reports its network as ready as soon as it has read a configuration, and no sooner
  if (condition.status === "True") {
    yield works(capability, [quote]);
    return;
  }
  if (condition.status !== "False" || !NOT_CONFIGURED.test(condition.message ?? "")) return;
  if ((time.age(object.metadata.creationTimestamp) ?? JOINING) < JOINING) {
    yield cannotTell(capability, [], say.joining());
    return;
  }
  const config = cni.configOf(name);
  if (config.state === "unknown") yield cannotTell(capability, [{ kind: "cniConfig", place: { node: name } }]);
  if (config.state !== "absent") return;
  const complaint = logs.kubeletSaid(name, NOT_CONFIGURED).at(-1);
  const [agent] = components.withDuty("cni");
  const pod = agent?.pods.find((one) => one.node === name && !one.terminating);
  yield fault({
    repair: ref,
    related: [...(pod ? [pod.ref] : []), ...(agent ? [agent.ref] : [])],
    nodes: [name],
    breaks: [capability],
    title: say.missing({ node: name }),
    evidence: [...config.evidence, quote, ...(complaint ? [complaint.evidence] : [])],
    // it is what its agent should have written
    strength: "differing",
    since: condition.lastTransitionTime ?? undefined,
  });
}

/** A node without a file in /etc/cni/net.d: the container runtime cannot connect Pods, and says so. */
export const cniConfigMissing = defineCheck({
  id: "cni-config-missing",
  reads: ["nodes", "objects", "cni", "components", "logs", "time"],

  *find(model) {
    for (const node of model.nodes.all) yield* judge(node, model);
  },

  remedies({ repair }, { components }) {
    const [agent] = components.withDuty("cni");
    const verify = { run: sh`kubectl wait --for=condition=Ready --timeout=2m node/${repair.name}` };
    const step = agent
      ? {
          why: say.writeAgain({ agent: agent.definition.name }),
          change: { do: "restart", component: agent.ref, node: repair.name } as const,
          undo: say.nothing(),
          verify,
        }
      : { why: say.look(), change: { run: "ls -l /etc/cni/net.d", node: repair.name }, verify };
    return [{ id: "write-cni-config", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [] }];
  },

  manual: {
    title: { en: "A node has no CNI configuration", zh: "节点缺少 CNI 配置" },
    page: {
      en: `The container runtime of a node finds no configuration in \`/etc/cni/net.d\`. The CNI agent writes it, mostly in an init container of its Pod; afterwards it stays until somebody removes it: a \`kubeadm reset\`, the cleaning up after another CNI plugin, a new disk.

**How it looks.** The kubelet reports \`NetworkPluginNotReady … cni plugin not initialized\`, the node becomes NotReady, and its Pods leave the Services although they run and keep their network. New Pods stay in ContainerCreating. The agent's own Pod runs on, because it is on the host network, and does not write the file again.

**When this is not the cause.** A node that has just joined has no configuration until the agent has started. If the agent does not run there, or its init container fails, that is the cause. Distributions that keep the directory elsewhere (k3s) are not judged.`,
      zh: `节点的容器运行时在 \`/etc/cni/net.d\` 中找不到配置。该文件由 CNI 代理写入，通常在其 Pod 的 init 容器中完成；之后一直保留，直到被人删除：执行了 \`kubeadm reset\`、清理另一种 CNI 插件、更换磁盘等。

**现象。** kubelet 报告 \`NetworkPluginNotReady … cni plugin not initialized\`，节点变为 NotReady；其上的 Pod 虽仍在运行且网络正常，却被移出 Service。新建的 Pod 停留在 ContainerCreating。CNI 代理自身使用主机网络，会继续运行，但不会重新写入该文件。

**何时不是它。** 刚加入的节点在代理启动之前没有该配置。若代理没有在该节点运行，或其 init 容器失败，原因在代理。把该目录放在别处的发行版（k3s）不作判断。`,
    },
  },
});
