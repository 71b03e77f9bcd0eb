import type { Evidence } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { ref } from "../../model/ref.ts";
import { formatPrefix, type Prefix, parsePrefix } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, presumed } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "components" | "objects" | "time" | "logs" | "ranges">;

const say = texts("pod-range-missing", {
  missing: {
    en: "{count:Node|Nodes} {nodes} {count:has|have} no Pod range (spec.podCIDR): {agent} connects no Pods there",
    zh: "节点 {nodes} 没有 Pod 网段（spec.podCIDR）：{agent} 无法为其上的 Pod 接入网络",
  },
  usedUp: {
    en: "The Pod range {range} is used up: kube-controller-manager has none left for {count:node|nodes} {nodes}, where {agent} connects no Pods",
    zh: "Pod 网段 {range} 已分配完：kube-controller-manager 无法再为节点 {nodes} 分配网段，{agent} 无法为其上的 Pod 接入网络",
  },
  off: {
    en: "kube-controller-manager gives nodes no Pod ranges (--allocate-node-cidrs is not set): {agent} connects no Pods on {nodes}",
    zh: "kube-controller-manager 不为节点分配 Pod 网段（未设置 --allocate-node-cidrs）：{agent} 无法为 {nodes} 上的 Pod 接入网络",
  },
  joining: { en: "the node has just joined the cluster", zh: "该节点刚加入集群" },
  free: {
    en: "Delete the Node objects of machines that are gone: their ranges become free at once",
    zh: "删除已下线机器的 Node 对象：其网段会立即释放",
  },
  widen: {
    en: "Else widen the range so that it holds the old one: the CNI's network first, then --cluster-cidr in the manifest of kube-controller-manager (and clusterCIDR of kube-proxy)",
    zh: "否则扩大网段，使其包含原网段：先改 CNI 的网络，再改 kube-controller-manager 清单中的 --cluster-cidr（以及 kube-proxy 的 clusterCIDR）",
  },
  allocate: {
    en: "Set --allocate-node-cidrs=true and --cluster-cidr, the CNI's network, in the manifest of kube-controller-manager: kubelet restarts it, and nodes get their ranges within seconds",
    zh: "在 kube-controller-manager 的清单中设置 --allocate-node-cidrs=true，并将 --cluster-cidr 设为 CNI 的网络：kubelet 会重启它，节点在数秒内得到网段",
  },
  see: {
    en: "See who should give the node its range: kube-controller-manager (--allocate-node-cidrs), or the cloud's controller",
    zh: "查看应由谁为节点分配网段：kube-controller-manager（--allocate-node-cidrs）或云厂商的控制器",
  },
  interrupts: { en: "Nothing that runs", zh: "不影响已运行的 Pod" },
  prevent: {
    en: "Choose --cluster-cidr with room for every node that may come (a /16 with a /24 each holds 256), give the cluster its podSubnet before the first node joins, and alert on the Event CIDRNotAvailable",
    zh: "规划 --cluster-cidr 时为将来的节点留足空间（/16 按每节点 /24 可容纳 256 个），在第一个节点加入之前就设定 podSubnet，并对 CIDRNotAvailable 事件告警",
  },
});

/** Those that connect Pods with addresses of their node's spec.podCIDR, and with no others. */
const USE_NODE_RANGES = ["flannel", "kube-router", "kindnet"];
/** Of kube-controller-manager (pkg/controller/nodeipam/ipam/range_allocator.go, cidrset.ErrCIDRRangeNoCIDRsRemaining). */
const NONE_LEFT = /no remaining CIDRs left to allocate/;
/** Milliseconds: a Node gets its range within a second. */
const JOINING = 60_000;

/** The values of a flag of kube-controller-manager; "" where it stands alone. */
function flags({ components }: Model, name: string): string[] {
  return words(components).flatMap((word) => {
    const [flag, value = ""] = word.split("=");
    return flag === `--${name}` ? [value] : [];
  });
}

const words = (components: Model["components"]): string[] =>
  components
    .byId("kube-controller-manager")
    .flatMap(({ pods }) => pods)
    .flatMap(({ object }) =>
      object.spec.containers.flatMap(({ command, args }) => [...(command ?? []), ...(args ?? [])]),
    );

/** Whether a range is large enough for no more nodes than have one. */
function isUsedUp(range: Prefix | undefined, model: Model): boolean {
  if (range?.ip.family !== 4) return false;
  const size = Number(flags(model, "node-cidr-mask-size")[0] ?? flags(model, "node-cidr-mask-size-ipv4")[0] ?? 24);
  const given = model.ranges.podRanges.filter(({ prefix }) => prefix.ip.family === 4).length;
  return 2 ** (size - range.length) <= given;
}

/** What says that no range is left for a node. */
function refusals(nodes: readonly NodeView[], { objects, logs }: Model): readonly Evidence[] {
  const names = new Set(nodes.map(({ name }) => name));
  const events = objects
    .all("events")
    .filter(({ reason, involvedObject }) => reason === "CIDRNotAvailable" && names.has(involvedObject?.name ?? ""))
    .slice(0, 2)
    .map((event) => objects.quote("events", event, `${event.reason}: ${event.message ?? ""}`));
  const said = logs.saidAnywhere(NONE_LEFT).filter(({ current }) => current);
  return [...events, ...said.slice(-1).map(({ evidence }) => evidence)];
}

/** A node was given no range for its Pods. */
export const podRangeMissing = defineCheck({
  id: "pod-range-missing",
  reads: ["nodes", "components", "objects", "time", "logs", "ranges"],

  *find(model) {
    const { nodes, components, objects, time } = model;
    const agent = USE_NODE_RANGES.flatMap((id) => components.byId(id))[0];
    if (!agent) return;
    const bare: NodeView[] = [];
    for (const node of nodes.all) {
      const capability = { name: "pod-network.config", node: node.name } as const;
      if (node.podRanges.length > 0 || (node.object && !agent.belongsOn(node.name))) continue;
      // what is not shown whole may have been given one
      if (!node.object || !nodes.whole) yield cannotTell(capability, [{ kind: "nodes" }]);
      else if ((time.age(node.object.metadata.creationTimestamp) ?? JOINING) < JOINING)
        yield presumed(capability, [], say.joining());
      else bare.push(node);
    }
    const [first] = bare;
    if (!first) return;
    const managers = components.byId("kube-controller-manager").map((component) => component.ref);
    const manager = managers[0] ?? ref("Pod", "kube-controller-manager", "kube-system");
    const range = parsePrefix(flags(model, "cluster-cidr")[0]?.split(",")[0] ?? "");
    const refused = refusals(bare, model);
    const allocates = flags(model, "allocate-node-cidrs").some((value) => value !== "false");
    const isFull = refused.length > 0 || (allocates && isUsedUp(range, model));
    // whose Pod is not seen may do as it likes
    const isOff = !isFull && !allocates && words(components).length > 0;
    const own = components.byId("kube-controller-manager").flatMap(({ pods }) => pods)[0];
    const args = {
      nodes: bare.map(({ name }) => name),
      count: bare.length,
      agent: agent.definition.name,
    };
    const title = isFull
      ? say.usedUp({ ...args, range: range ? formatPrefix(range) : "--cluster-cidr" })
      : isOff
        ? say.off(args)
        : say.missing(args);
    yield fault({
      repair: isFull || isOff ? manager : first.ref,
      related: [...(isFull || isOff ? managers.slice(1) : []), ...bare.map((node) => node.ref), agent.ref],
      nodes: bare.map(({ name }) => name),
      breaks: bare.map(({ name }) => ({ name: "pod-network.config", node: name })),
      title,
      evidence: [
        ...bare.slice(0, 3).map(({ name, object }) => objects.quote("nodes", object!, `Node ${name}: no spec.podCIDR`)),
        ...refused,
        ...(own && (isFull || isOff)
          ? [
              objects.quote(
                "pods",
                own.object,
                `${own.key}: ${
                  words(components)
                    .filter((word) => /cidr/.test(word))
                    .join(" ") || "no --allocate-node-cidrs"
                }`,
              ),
            ]
          : []),
      ],
      strength: "direct",
      since: first.object?.metadata.creationTimestamp ?? undefined,
      facts: { case: isFull ? "used-up" : isOff ? "off" : "unknown", ...(own?.node && { master: own.node }) },
    });
  },

  remedies({ facts }) {
    const verify = { run: "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDRs" };
    const at = typeof facts.master === "string" ? { node: facts.master } : {};
    const edit = { run: "vi /etc/kubernetes/manifests/kube-controller-manager.yaml", ...at };
    const base = { id: "give-range", risk: "medium", interrupts: say.interrupts(), prevent: [say.prevent()] } as const;
    switch (facts.case) {
      case "used-up": {
        const gone = sh`kubectl get nodes -o wide`;
        const steps = [
          { why: say.free(), change: { run: gone }, verify },
          { why: say.widen(), change: edit, undo: edit, verify },
        ];
        return [{ ...base, steps }];
      }
      case "off":
        return [{ ...base, steps: [{ why: say.allocate(), change: edit, undo: edit, verify }] }];
      default:
        return [{ ...base, risk: "none", steps: [{ why: say.see(), verify }] }];
    }
  },

  manual: {
    title: { en: "A node has no range for its Pods", zh: "节点没有 Pod 网段" },
    page: {
      en: `A Node has no spec.podCIDR, and the cluster's CNI (flannel, kube-router, kindnet) gives Pods addresses of nothing else. kube-controller-manager sets it, if it is told to.

**How it looks.** The node joins and stays NotReady (\`cni plugin not initialized\`), or its Pods stay in ContainerCreating. flannel crash-loops there and says \`node "w3" pod cidr not assigned\`. All other nodes are well.

**How it comes about.** kube-controller-manager runs without \`--allocate-node-cidrs\` (a kubeadm cluster that was made without podSubnet): then no node has a range. Or its \`--cluster-cidr\` is used up: then the node that came last has none, an Event on it says \`CIDRNotAvailable\` (of type Normal), and kube-controller-manager logs \`no remaining CIDRs left to allocate in the accepted range\` (seen so with v1.33; pkg/controller/nodeipam/ipam/range_allocator.go). A Node that is deleted gives its range back.

**When this is not the cause.** Calico and Cilium have pools of their own, and managed clusters controllers of theirs: there spec.podCIDR need not be set. If kube-controller-manager does not run, controller-lease-expired tells so, and this follows from it.`,
      zh: `Node 没有 spec.podCIDR，而集群的 CNI（flannel、kube-router、kindnet）只从它为 Pod 分配地址。该字段由 kube-controller-manager 在启用相应参数后设置。

**现象。** 节点加入后一直 NotReady（\`cni plugin not initialized\`），或其 Pod 一直处于 ContainerCreating。该节点上的 flannel 反复崩溃并输出 \`node "w3" pod cidr not assigned\`。其他节点都正常。

**成因。** kube-controller-manager 未设置 \`--allocate-node-cidrs\`（kubeadm 创建集群时没有指定 podSubnet）：此时所有节点都没有网段。或者 \`--cluster-cidr\` 已分配完：此时最后加入的节点没有网段，其上有 \`CIDRNotAvailable\` 事件（类型为 Normal），kube-controller-manager 日志输出 \`no remaining CIDRs left to allocate in the accepted range\`（在 v1.33 上实测；pkg/controller/nodeipam/ipam/range_allocator.go）。删除 Node 会释放其网段。

**何时不是它。** Calico 和 Cilium 使用自己的地址池，托管集群由云厂商的控制器分配：这些情况下 spec.podCIDR 可以为空。若 kube-controller-manager 未运行，controller-lease-expired 会说明，本项是其后果。`,
    },
  },
});
