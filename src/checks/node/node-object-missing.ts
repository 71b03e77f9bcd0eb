import type { ClusterModel } from "../../model/model.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, past } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "objects" | "time">;

const say = texts("node-object-missing", {
  missing: {
    en: "Node {node} is no longer in the cluster, and its kubelet runs: the object Node was deleted, and with it the node's Pods and the others' way to it",
    zh: "节点 {node} 已不在集群中，而其 kubelet 仍在运行：Node 对象被删除，其上的 Pod 以及其他节点通往它的路由也随之删除",
  },
  removed: {
    en: "Node {node} was taken out of the cluster",
    zh: "节点 {node} 已从集群中移除",
  },
  register: {
    en: "Let the node register again: the kubelet does so when it starts, and only then",
    zh: "让节点重新注册：kubelet 只在启动时注册",
  },
  relabel: {
    en: "Give it back the labels and taints that it had: a Node that registers has only its own",
    zh: "恢复其原有的标签和污点：重新注册的 Node 只有默认标签",
  },
  nothing: { en: "Nothing more than is broken already", zh: "不会比现状更糟" },
  prevent: {
    en: "Drain a node and stop its kubelet before its object is deleted; keep what may be deleted away from scripts that clean up (`guard render`)",
    zh: "删除 Node 对象之前先排空节点并停止其 kubelet；不要让清理脚本拥有删除 Node 的权限（`guard render`）",
  },
});

/** A node that is at work has lost its object. */
export const nodeObjectMissing = defineCheck({
  id: "node-object-missing",
  reads: ["nodes", "objects", "time"],

  *find({ nodes, objects, time }: Model) {
    const removals = objects
      .all("events")
      .filter(({ reason, involvedObject }) => reason === "RemovingNode" && involvedObject?.kind === "Node");
    const removalOf = (node: string) =>
      removals
        .filter(({ involvedObject }) => involvedObject?.name === node)
        .toSorted((a, b) => (time.age(a.lastTimestamp) ?? 0) - (time.age(b.lastTimestamp) ?? 0))[0];
    for (const { name: node, ref, object, kubelet } of nodes.all) {
      if (object) continue;
      const capability = { name: "node.ready", node } as const;
      if (!nodes.whole) yield cannotTell(capability, [{ kind: "nodes" }]);
      else if (!kubelet) yield cannotTell(capability, [{ kind: "processes", place: { node } }]);
      else if (kubelet.runs) {
        const event = removalOf(node);
        yield fault({
          repair: ref,
          nodes: [node],
          breaks: [
            capability,
            { name: "node.report", node },
            // others forget the way to its Pods, and their answers with it
            { name: "pod-network.entries", peer: node },
            { name: "pod.attach", node },
          ],
          title: say.missing({ node }),
          evidence: [
            objects.quoteAbsence("nodes", `no Node ${node}`),
            kubelet.evidence,
            ...(event ? [objects.quote("events", event, `${event.reason}: ${event.message ?? ""}`)] : []),
          ],
          strength: "direct",
          since: event?.lastTimestamp ?? undefined,
        });
      }
    }
    // whether its machine runs on, nobody has seen
    for (const event of removals) {
      const node = event.involvedObject?.name ?? "";
      if (!nodes.whole || nodes.get(node)) continue;
      yield past({ kind: "Node", name: node }, say.removed({ node }), [
        objects.quote("events", event, `${event.reason}: ${event.message ?? ""}`),
      ]);
    }
  },

  remedies({ repair }) {
    const node = repair.name;
    const steps = [
      {
        why: say.register(),
        change: { run: "systemctl restart kubelet", node },
        verify: { run: sh`kubectl get node ${node}` },
      },
      { why: say.relabel(), verify: { run: sh`kubectl get node ${node} --show-labels` } },
    ];
    return [{ id: "register", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A node that runs has lost its object", zh: "运行中的节点失去了 Node 对象" },
    page: {
      en: `The machine is up and its kubelet runs, and the API server has no Node of this name. A kubelet registers its node when it starts; deleted later, the Node does not come back by itself.

**How it looks.** \`kubectl get nodes\` shows one node less, and nothing is red: the node's Pods are deleted from the API (garbage collection of Pods) while their processes run on, other nodes drop their routes to it, and what still sends to its address or its NodePorts runs into time-outs. Its kubelet logs \`nodes "…" not found\`.

**How it comes about.** Somebody deletes the Node to have it anew, or a script that cleans up, or a cloud controller that took the machine for gone.

**When this is not the cause.** A node that was taken out on purpose has no kubelet. Without a look at the machine itself nobody can tell: then the removal is told as history only.`,
      zh: `机器正常且 kubelet 在运行，但 API Server 中没有该名称的 Node。kubelet 只在启动时注册节点；之后被删除的 Node 不会自动恢复。

**现象。** \`kubectl get nodes\` 少了一个节点，其他一切正常：该节点的 Pod 被回收（Pod 垃圾回收）而进程仍在运行，其他节点删除了通往它的路由，访问其地址或 NodePort 会超时。其 kubelet 日志中有 \`nodes "…" not found\`。

**成因。** 有人为重建而删除 Node，或清理脚本、云控制器误认为机器已不存在。

**何时不是它。** 主动下线的节点不会有 kubelet 在运行。若看不到机器本身则无法判断，此时移除操作只作为历史记录显示。`,
    },
  },
});
