import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { kubectlName, type Ref } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "pods" | "nodes" | "objects" | "time">;

const say = texts("pod-address-duplicate", {
  between: {
    en: "Pods {a} on {nodeA} and {b} on {nodeB} have one and the same address, {address}: who calls the one may get the other",
    zh: "{nodeA} 上的 Pod {a} 与 {nodeB} 上的 {b} 使用同一个地址 {address}：访问其中一个可能会到达另一个",
  },
  within: {
    en: "On node {node} two Pods have one and the same address, {address}: {a} and {b} ({count} {count:address|addresses} of the node so)",
    zh: "节点 {node} 上的两个 Pod 使用同一个地址 {address}：{a} 和 {b}（该节点共有 {count} 个地址如此）",
  },
  renew: {
    en: "Let the younger Pod be made anew: it gets another address",
    zh: "重建较新的 Pod：它会得到另一个地址",
  },
  compare: {
    en: "See which addresses the CNI has given out there, and whether what it keeps of them was lost or restored; while it is, the next Pods get taken addresses again",
    zh: "查看 CNI 在该处分配了哪些地址，其分配记录是否丢失或被恢复；在修复之前，新的 Pod 仍会得到已被占用的地址",
  },
  interrupts: { en: "The Pod that is made anew", zh: "被重建的 Pod" },
  noUndo: { en: "not needed: its workload makes it again", zh: "无需撤销：其工作负载会重新创建它" },
  prevent: {
    en: "Never clear /var/lib/cni/networks or a CNI's IPAM objects while Pods run, leave them out of backups of nodes, and give every node a range of its own",
    zh: "有 Pod 运行时不要清空 /var/lib/cni/networks 或 CNI 的 IPAM 对象，不要将其包含在节点备份中，并确保每个节点使用各自的网段",
  },
});

/** Milliseconds: who has just come or gone may hold what another gave back. */
const SETTLING = 60_000;

/** Pods that hold their address now. */
function holders({ pods, nodes, time }: Model): PodView[] {
  return pods.all.filter(
    ({ node, hostNetwork, finished, terminating, object }) =>
      node !== undefined &&
      !hostNetwork &&
      !finished &&
      !terminating &&
      object.status?.phase === "Running" &&
      // what a node says that has fallen silent may be long past
      nodes.get(node)?.ready !== "Unknown" &&
      (time.age(object.metadata.creationTimestamp) ?? SETTLING) >= SETTLING,
  );
}

const bornAt = ({ object }: PodView): number => timeOf(object.metadata.creationTimestamp) ?? 0;

type Pair = { readonly address: string; readonly older: PodView; readonly younger: PodView };

function pairsIn(model: Model): Pair[] {
  const byAddress = new Map<string, PodView[]>();
  for (const pod of holders(model)) {
    for (const address of pod.addresses) {
      const others = byAddress.get(address);
      if (others) others.push(pod);
      else byAddress.set(address, [pod]);
    }
  }
  const byAge = (a: PodView, b: PodView) => bornAt(a) - bornAt(b) || (a.key < b.key ? -1 : 1);
  return [...byAddress].flatMap(([address, same]) => {
    const [older, ...younger] = same.sort(byAge);
    return younger.map((one) => ({ address, older: older!, younger: one }));
  });
}

/** Two Pods have one address. */
export const podAddressDuplicate = defineCheck({
  id: "pod-address-duplicate",
  reads: ["pods", "nodes", "objects", "time"],

  *find(model) {
    const { pods, nodes, objects } = model;
    // who sees some Pods only sees some of the pairs
    if (!pods.whole) yield cannotTell({ name: "pod.attach" }, [{ kind: "pods" }]);
    const isWithin = ({ older, younger }: Pair) => older.node === younger.node;
    const whoseOf = (pair: Pair) => (isWithin(pair) ? `node ${pair.older.node}` : `pod ${pair.younger.key}`);
    for (const group of Map.groupBy(pairsIn(model), whoseOf).values()) {
      const [first] = group as [Pair, ...Pair[]];
      const { address, older, younger } = first;
      const node = nodes.get(younger.node!);
      const args = { address, a: older.key, b: younger.key };
      const own = isWithin(first) && node;
      yield fault({
        repair: own ? own.ref : younger.ref,
        related: group.flatMap((pair): Ref[] => [
          ...(own ? [pair.younger.ref] : node ? [node.ref] : []),
          pair.older.ref,
          ...(nodes.get(pair.older.node!) && !own ? [nodes.get(pair.older.node!)!.ref] : []),
        ]),
        nodes: [...new Set(group.flatMap((pair) => [pair.older.node!, pair.younger.node!]))],
        breaks: group.flatMap((pair) =>
          // some packets find the right one
          [pair.older, pair.younger].map(
            (pod) => ({ name: "pod.attach", node: pod.node!, peer: "elsewhere", pod: pod.key }) as const,
          ),
        ),
        title: own
          ? say.within({ ...args, node: own.name, count: group.length })
          : say.between({ ...args, nodeA: older.node!, nodeB: younger.node! }),
        evidence: group
          .slice(0, 3)
          .flatMap((pair) =>
            [pair.older, pair.younger].map((pod) =>
              objects.quote("pods", pod.object, `${pod.key} on ${pod.node}: Running, ${pod.addresses.join(", ")}`),
            ),
          ),
        strength: "direct",
        lost: true,
        since: younger.object.metadata.creationTimestamp ?? undefined,
        facts: { younger: group.map((pair) => pair.younger.key), node: younger.node! },
      });
    }
  },

  remedies({ facts }) {
    const node = String(facts.node);
    const verify = { run: "kubectl get pods -A -o wide --field-selector status.phase=Running" };
    const kept = "ls /var/lib/cni/networks/*/; crictl pods";
    const steps = [
      { why: say.compare(), change: { run: kept, node }, verify },
      ...((facts.younger ?? []) as readonly string[]).map((key) => {
        const [namespace = "", name = ""] = key.split("/");
        return {
          why: say.renew(),
          change: { run: sh`kubectl delete pod -n ${namespace} ${name}` },
          undo: say.noUndo(),
          verify: { run: `kubectl get ${kubectlName({ kind: "Pod", namespace, name })} -o wide` },
        };
      }),
    ];
    return [{ id: "renew-address", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "Two Pods have one address", zh: "两个 Pod 使用同一个地址" },
    page: {
      en: `Two Pods that run have the same address.

**How it looks.** Both Pods are ready, because kubelet asks each on its own node. Calls of the one are answered by the other, or only from some nodes: each node delivers to its own, and the rest to wherever the route leads. On one bridge, neighbours flap between two MAC addresses. A Service that has one of them as a back end answers some calls wrongly.

**How it comes about.** host-local keeps what it has given out in /var/lib/cni/networks: where those files are lost (a clean-up of the node) or restored from a backup, it gives addresses out again. Two nodes with one Pod range do so, too. IPAM objects of Calico, Cilium or Whereabouts that went back in time with etcd know nothing of Pods that were made since.

**When this is not the cause.** Pods on the host network have their node's address. Pods that have finished, are being deleted, have just started or are on a node that has fallen silent may have given theirs back. If two nodes have overlapping Pod ranges, that stands above this.`,
      zh: `两个正在运行的 Pod 使用同一个地址。

**现象。** 两个 Pod 都显示就绪，因为 kubelet 只在各自的节点上探测。访问其中一个会由另一个应答，或只有从部分节点访问才正确：各节点投递给自己的那个，其余的取决于路由。在同一网桥上，邻居表项在两个 MAC 之间来回变化。以其中之一为后端的 Service 会有部分请求得到错误的应答。

**成因。** host-local 在 /var/lib/cni/networks 中记录已分配的地址：这些文件丢失（清理节点）或从备份恢复后，地址会被再次分配。两个节点使用同一 Pod 网段时也是如此。Calico、Cilium 或 Whereabouts 的 IPAM 对象随 etcd 回滚后，不知道此后创建的 Pod。

**何时不是它。** 使用主机网络的 Pod 地址与节点相同。已结束、正在删除、刚启动或位于失联节点上的 Pod 可能已归还地址。若两个节点的 Pod 网段重叠，该原因会排在本项之上。`,
    },
  },
});
