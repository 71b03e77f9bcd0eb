import type { ClusterModel } from "../../model/model.ts";
import { ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";
import { rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "sandboxes" | "pods" | "nodes" | "components" | "logs" | "time" | "objects">;

const say = texts("etcd-rolled-back", {
  rolledBack: {
    en: "etcd was restored from an older snapshot under running components: {known} Pods run nowhere, {unknown} are unknown",
    zh: "etcd 在组件运行期间被恢复到较旧的快照：{known} 个 Pod 并未运行，另有 {unknown} 个运行中的 Pod 没有记录",
  },
  restartControlPlane: {
    en: "Restart the control plane of {node}, so that no cache is ahead of the store (one control-plane node after the other)",
    zh: "重启 {node} 上的控制面，使缓存不再领先于存储（多个控制面节点逐个进行）",
  },
  restartKubelets: {
    en: "Then the kubelet of every node: it ends Pods that the store does not know and starts those that it does",
    zh: "然后重启每个节点的 kubelet：它会终止存储中没有的 Pod，并启动存储中已有的 Pod",
  },
  restartAgents: {
    en: "Then the network agents, so that they list anew what they deliver to",
    zh: "然后重启网络组件，使其重新获取转发目标",
  },
  reapply: {
    en: "Apply again what was changed after the snapshot, from where it is kept (here: a directory manifests/)",
    zh: "从保存清单的地方（此处为 manifests/ 目录）重新应用快照之后的变更",
  },
  interrupts: {
    en: "The API for about a minute; Pods that the store does not know are ended",
    zh: "API 中断约一分钟；存储中没有记录的 Pod 会被终止",
  },
  noUndo: {
    en: "not possible: take a snapshot of the present state first (`etcdctl snapshot save`)",
    zh: "无法撤销：请先对当前状态做快照（`etcdctl snapshot save`）",
  },
  prevent: {
    en: "Restore with all API servers stopped, and with `etcdutl snapshot restore --bump-revision 1000000000 --mark-compacted`, so that every client lists anew",
    zh: "恢复时先停止全部 API Server，并使用 `etcdutl snapshot restore --bump-revision 1000000000 --mark-compacted`，迫使所有客户端重新 List",
  },
});

/**
 * What etcd says at its first start from a snapshot: its raft log begins anew, at an index that only counts the members,
 * in term 1 (etcdutl snapshot restore). Whoever restarts with its own store goes on at thousands, in a later term.
 */
const RESTORED =
  /"recovered v2 store from snapshot","snapshot-index":\d{1,2}\b|newRaft \w+ \[peers: \[\w.*?\], term: 1, commit: \d{1,2}, applied: [1-9]\d?,/;
/** Clients that are ahead of the store (apiserver storage/errors.go, etcd rpctypes). */
const AHEAD = /Too large resource version|required revision is a future revision/;
const SETTLING = 120_000;

/** Pods of the Pod network that the API server believes to run on nodes that were looked into. */
function ghosts({ sandboxes, pods, time }: Model) {
  const running = new Set(sandboxes.all.map(({ namespace, pod }) => `${namespace}/${pod}`));
  return pods.all.filter(
    (pod) =>
      !pod.hostNetwork &&
      pod.node !== undefined &&
      sandboxes.isSampled(pod.node) &&
      pod.object.status?.phase === "Running" &&
      !pod.terminating &&
      (time.age(pod.object.metadata.creationTimestamp) ?? 0) > SETTLING &&
      !running.has(pod.key),
  );
}

/** What a Pod's name says of whom it belongs to: without its own suffix and that of its ReplicaSet. */
const workloadOf = (name: string) => name.replace(/-[a-z0-9]{5}$/, "").replace(/-[a-z0-9]{6,10}$/, "");

/** The store of the API server went back in time while its clients kept running. */
export const etcdRolledBack = defineCheck({
  id: "etcd-rolled-back",
  reads: ["sandboxes", "pods", "nodes", "components", "logs", "time", "objects"],

  *find(model) {
    const { sandboxes, pods, nodes, components, logs, objects } = model;
    if (sandboxes.all.length === 0) return;
    if (!pods.whole) {
      yield cannotTell({ name: "api.remember" }, [{ kind: "pods" }]);
      return;
    }
    const missing = ghosts(model);
    const strangers = sandboxes.all.filter(({ namespace, pod }) => !pods.get(namespace, pod));
    // Pods that come and go while evidence is taken are missing on one side only
    if (missing.length === 0 || strangers.length === 0) return;
    const etcd = components.byId("etcd");
    const restored = etcd.flatMap((component) => component.pods).flatMap((pod) => logs.said(pod, RESTORED));
    const ahead = logs.saidAnywhere(AHEAD).filter(({ current }) => current);
    // a Deployment that is rolled out meanwhile looks the same, but for being one
    const workloads = new Set([...missing.map(({ name }) => name), ...strangers.map(({ pod }) => pod)].map(workloadOf));
    const isMany = missing.length > 1 && strangers.length > 1;
    // while a node is away, Pods of many workloads are made anew on others, and evidence takes longer to be had
    const isQuiet = nodes.all.every(({ ready }) => ready === undefined || ready === "True");
    const isSure = restored.length > 0 || (isMany && ((isQuiet && workloads.size > 1) || ahead.length > 0));
    if (!isSure) return;
    yield fault({
      repair: etcd[0]?.ref ?? ref("Pod", "etcd", "kube-system"),
      related: etcd.slice(1).map((component) => component.ref),
      breaks: [{ name: "api.remember" }],
      title: say.rolledBack({ known: missing.length, unknown: strangers.length }),
      evidence: [
        ...restored.slice(-1).map(({ evidence }) => evidence),
        ...ahead.slice(-1).map(({ evidence }) => evidence),
        ...missing
          .slice(0, 2)
          .map((pod) =>
            objects.quote("pods", pod.object, `${pod.key}: Running on ${pod.node}, ${pod.addresses.join(", ")}`),
          ),
        ...strangers.slice(0, 2).map(({ evidence }) => evidence),
      ],
      strength: "direct",
      since: restored.at(-1)?.entry.last.at,
    });
  },

  remedies(_, { components, pods }) {
    const masters = [...new Set(components.byId("etcd").flatMap((one) => one.pods.flatMap(({ node }) => node ?? [])))];
    const nodes = [...new Set(pods.all.flatMap(({ node }) => node ?? []))].sort();
    const agents = ["service-proxy", "cni", "cluster-dns"] as const;
    const workloads = new Map(
      agents.flatMap((duty) => components.withDuty(duty).map((one) => [refId(one.ref), one.ref] as const)),
    );
    const verify = { run: "kubectl get pods -A -o wide" };
    const restarted = [...workloads.values()].filter(({ kind }) => kind !== "Pod");
    const parts = "^kube-(apiserver|controller-manager|scheduler)$";
    const stop = sh`crictl ps -q --name ${parts} | xargs crictl stop`;
    return [
      {
        id: "list-anew",
        risk: "high",
        interrupts: say.interrupts(),
        steps: [
          ...masters.map((node) => ({
            why: say.restartControlPlane({ node }),
            change: { run: stop, node },
            undo: say.noUndo(),
            verify: { run: "kubectl get --raw '/readyz?verbose'" },
          })),
          ...nodes.map((node) => ({
            why: say.restartKubelets(),
            change: { run: "systemctl restart kubelet", node },
            undo: say.noUndo(),
            verify: { run: "crictl pods", node },
          })),
          ...restarted.map((component) => ({
            why: say.restartAgents(),
            change: { do: "restart", component } as const,
            verify: rolledOut(component),
          })),
          { why: say.reapply(), change: { run: "kubectl apply -R -f manifests/" }, undo: say.noUndo(), verify },
        ],
        prevent: [say.prevent()],
        errata: ["X14", "X15", "X16"],
      },
    ];
  },

  manual: {
    title: { en: "etcd was rolled back under running components", zh: "etcd 在组件运行期间被回滚" },
    page: {
      en: `etcd was restored from an older snapshot while kube-apiserver, controllers, kubelets and agents kept running. They remember newer revisions than the store has, wait for changes that never come, or act on objects that no longer exist.

**How it looks.** Nodes run Pods that \`kubectl get pods\` does not show, and it shows Pods that run nowhere. EndpointSlices name addresses that nobody has; a node whose kube-proxy listed anew follows the old world, the others still deliver to the new one. Logs may say \`Too large resource version\`, \`required revision is a future revision\`, and conflicts pile up.

**When this is not the cause.** Pods that come and go while the evidence is taken are missing on one side as well: a Deployment that is being rolled out is not blamed. etcd says \`recovered v3 backend from snapshot\` at every restart; only a raft log that begins anew (\`"snapshot-index":1\`) shows a restore.

**What does not help.** Deleting static Pods through the API (only their mirror goes), \`kubeadm init phase etcd\` (it destroys the store), deleting all Pods.`,
      zh: `etcd 被恢复到较旧的快照，而 kube-apiserver、控制器、kubelet 和各组件仍在运行。它们缓存的 resourceVersion 比存储中的更新，于是一直等待不会到来的变更，或依据已不存在的对象行事。

**现象。** 节点上运行着 \`kubectl get pods\` 看不到的 Pod，而它列出的 Pod 却没有在任何节点运行。EndpointSlice 中的地址无人使用；重新 List 过的 kube-proxy 遵循旧数据，其余节点仍转发到新的后端。日志中可能出现 \`Too large resource version\`、\`required revision is a future revision\`，冲突不断。

**何时不是它。** 采集证据期间新建或删除的 Pod 也会只出现在一侧：正在滚动更新的 Deployment 不算。etcd 每次重启都会输出 \`recovered v3 backend from snapshot\`；只有 raft 日志从头开始（\`"snapshot-index":1\`）才说明做过恢复。

**无效的做法。** 通过 API 删除静态 Pod（只会删掉镜像 Pod）、\`kubeadm init phase etcd\`（会毁掉存储）、删除所有 Pod。`,
    },
  },
});
