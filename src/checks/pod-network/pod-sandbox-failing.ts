import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { kubectlName } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import type { Event } from "../../parse/objects.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "pods" | "nodes" | "objects" | "time" | "calico" | "sandboxes">;

const say = texts("pod-sandbox-failing", {
  exhausted: {
    en: "Node {node} has no Pod address left in {range}: {count} {count:Pod waits|Pods wait} for one, while {used} {used:Pod has|Pods have} one",
    zh: "节点 {node} 的地址段 {range} 已无可用 Pod 地址：{count} 个 Pod 在等待，而占用地址的 Pod 只有 {used} 个",
  },
  poolFull: {
    en: "IPPool {pool} ({cidr}) has no address left: {count} {count:Pod waits|Pods wait} for one",
    zh: "IPPool {pool}（{cidr}）已无可用地址：{count} 个 Pod 在等待",
  },
  failing: {
    en: "{count} {count:Pod|Pods} on node {node} {count:gets|get} no network: {message}",
    zh: "节点 {node} 上有 {count} 个 Pod 无法接入网络：{message}",
  },
  free: {
    en: "Take away the reservations of Pods that the container runtime does not know any more",
    zh: "清除容器运行时已不认识的 Pod 所占用的地址记录",
  },
  addPool: {
    en: "See what holds the pool's addresses; take away what belongs to no Pod any more, or add a pool (beside it, in a range that nothing else uses: a pool's range cannot be changed)",
    zh: "查看地址池中的地址被谁占用；清理已不属于任何 Pod 的地址，或另加一个地址池（使用无冲突的网段；已有地址池的网段不能修改）",
  },
  preventPool: {
    en: "Alert on the share of a pool's addresses in use (`ipam_allocations_in_use` of calico-kube-controllers), and leave each node room for blocks of its own",
    zh: "对地址池使用率告警（calico-kube-controllers 的 `ipam_allocations_in_use`），并确保每个节点都能分到自己的地址块",
  },
  look: {
    en: "See what the CNI plugin says, and repair what it names",
    zh: "查看 CNI 插件的报错，并修复其指出的问题",
  },
  nothing: { en: "Nothing", zh: "无" },
  preventFree: {
    en: "Alert on FailedCreatePodSandBox, and on a node's files in /var/lib/cni/networks outnumbering its Pods: they leak where nodes or the runtime are killed",
    zh: "对 FailedCreatePodSandBox 告警，并监控 /var/lib/cni/networks 中的文件数是否超过该节点的 Pod 数：节点或运行时被强制终止时会泄漏",
  },
  prevent: { en: "Alert on FailedCreatePodSandBox", zh: "对 FailedCreatePodSandBox 事件告警" },
});

/** A Pod may fail to get its network once and get it the next time: the kubelet tries again every few seconds. */
const PATIENCE = 30_000;
const CURRENT = 120_000;

/** What host-local says when its range is used up (containernetworking plugins, ipam/host-local/backend/allocator). */
const NO_ADDRESS = /no IP addresses available in range set: ([^\s"]+)/;

/** What Calico says when all pools that it may take from are used up (Calico libcalico-go/lib/ipam, PartialFulfillmentError). */
const NO_ADDRESS_IN_POOLS = /No IPs available in pools: \[([^\s\],]+)/;

const MOST_SAID = 160;

const lastOf = ({ series, lastTimestamp, eventTime, firstTimestamp }: Event): string | undefined =>
  series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? firstTimestamp ?? undefined;

/** What the CNI plugin said, without what is different each time. */
function complaintOf(message: string): string {
  const said = /failed to setup network for sandbox "?[0-9a-f]+"?: (.*)$/s.exec(message)?.[1] ?? message;
  const words = said.replace(/\s+/g, " ");
  // the first clauses say what failed, and the last name sockets and URLs
  return words.length <= MOST_SAID ? words : `${words.slice(0, words.lastIndexOf(" ", MOST_SAID))} …`;
}

/** Pods that have waited for their network for a while. */
function waiting({ pods, time }: Model): PodView[] {
  return pods.all.filter(
    ({ node, hostNetwork, terminating, finished, addresses, object }) =>
      node !== undefined &&
      !hostNetwork &&
      !terminating &&
      !finished &&
      addresses.length === 0 &&
      object.status?.phase === "Pending" &&
      (time.age(object.metadata.creationTimestamp) ?? 0) > PATIENCE,
  );
}

/** The newest refusal of each Pod, if it is fresh. */
function refusals({ objects, time }: Model): Map<string, Event> {
  const found = new Map<string, Event>();
  for (const event of objects.all("events")) {
    const { reason, involvedObject } = event;
    if (reason !== "FailedCreatePodSandBox" || involvedObject?.kind !== "Pod") continue;
    if ((time.age(lastOf(event)) ?? CURRENT) >= CURRENT) continue;
    const key = `${involvedObject.namespace}/${involvedObject.name}`;
    const known = found.get(key);
    if (!known || (timeOf(lastOf(known)) ?? 0) < (timeOf(lastOf(event)) ?? 0)) found.set(key, event);
  }
  return found;
}

/** New Pods of a node get no network: no address is left, or the CNI plugin fails. */
export const podSandboxFailing = defineCheck({
  id: "pod-sandbox-failing",
  reads: ["pods", "nodes", "objects", "time", "calico", "sandboxes"],

  *find(model) {
    const { pods, nodes, objects, calico, sandboxes } = model;
    const late = waiting(model);
    if (late.length > 0 && !objects.isWhole("events"))
      for (const pod of late)
        yield cannotTell({ name: "pod.attach", node: pod.node!, pod: pod.key }, [{ kind: "events" }]);
    const said = refusals(model);
    const failing = late.flatMap((pod) => {
      const event = said.get(pod.key);
      if (!event) return [];
      const complaint = complaintOf(event.message ?? "");
      const full = NO_ADDRESS_IN_POOLS.exec(complaint)?.[1];
      return [{ pod, event, complaint, pool: calico.pools.find(({ object }) => object.spec.cidr === full) }];
    });
    // one pool is the cluster's, and what else fails a node's
    const whoseOf = ({ pod, complaint, pool }: (typeof failing)[number]) =>
      pool?.ref.name ?? `${pod.node} ${complaint}`;
    for (const group of Map.groupBy(failing, whoseOf).values()) {
      const [{ pod: first, complaint, pool }] = group as [(typeof group)[number], ...typeof group];
      const node = nodes.get(first.node!);
      if (!node) continue;
      const range = NO_ADDRESS.exec(complaint)?.[1];
      const used = pods
        .onNode(node.name)
        .filter(({ hostNetwork, addresses, finished }) => !hostNetwork && addresses.length > 0 && !finished).length;
      const args = { node: node.name, count: group.length };
      const title = pool
        ? say.poolFull({ ...args, pool: pool.ref.name, cidr: pool.object.spec.cidr })
        : range === undefined
          ? say.failing({ ...args, message: complaint })
          : say.exhausted({ ...args, range, used });
      yield fault({
        repair: pool?.ref ?? node.ref,
        related: group.map(({ pod }) => pod.ref),
        nodes: [...new Set(group.map(({ pod }) => pod.node!))],
        breaks: group.map(({ pod }) => ({ name: "pod.attach", node: pod.node!, pod: pod.key })),
        title,
        evidence: [
          ...group
            .slice(0, 3)
            .map(({ pod, event }) => objects.quote("events", event, `${pod.key}: ${event.reason}: ${complaint}`)),
          ...sandboxes.failuresOn(node.name),
          ...(pool ? calico.borrowedTunnels(pool) : []),
        ],
        strength: "direct",
        since: group.map(({ event }) => event.firstTimestamp ?? undefined).find((at) => at !== undefined),
        facts: { case: pool ? "pool" : range === undefined ? "failing" : "exhausted" },
      });
    }
  },

  remedies({ repair, related, facts }) {
    if (facts.case === "pool") {
      const step = {
        why: say.addPool(),
        verify: { run: "kubectl get ippools.crd.projectcalico.org,ipamblocks.crd.projectcalico.org -o yaml" },
      };
      const prevent = [say.preventPool()];
      return [{ id: "enlarge-pool", risk: "none", interrupts: say.nothing(), steps: [step], prevent }];
    }
    const node = repair.name;
    const list = { run: "ls /var/lib/cni/networks/*/ | wc -l; crictl pods -q | wc -l", node };
    if (facts.case === "exhausted") {
      const run = `for f in /var/lib/cni/networks/*/[0-9]*; do crictl inspectp "$(head -n 1 "$f" | tr -d '\\r')" > /dev/null 2>&1 || rm -v "$f"; done`;
      const step = { why: say.free(), change: { run, node }, verify: list };
      return [
        {
          id: "free-addresses",
          risk: "medium",
          interrupts: say.nothing(),
          steps: [step],
          prevent: [say.preventFree()],
        },
      ];
    }
    const [pod] = related;
    const step = { why: say.look(), verify: pod ? { run: `kubectl describe ${kubectlName(pod)}` } : list };
    return [{ id: "repair-plugin", risk: "none", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "New Pods of a node get no network", zh: "节点上的新 Pod 无法接入网络" },
    page: {
      en: `Pods of a node stay in ContainerCreating, and the kubelet says again and again that it could not make their sandbox: the CNI plugin fails, or no address is left in the node's range.

**How it looks.** Pods that run go on running, and all tests between them succeed. New ones wait: a rollout stops, a Deployment has fewer replicas than it asks for. Events say \`FailedCreatePodSandBox\` with the plugin's own words, for example \`no IP addresses available in range set\`.

**How it comes about.** host-local keeps a file for each address in /var/lib/cni/networks; where a node or its runtime is killed, files of Pods that are gone stay, until none is free. Or the range is too small for the node's Pods. Calico's addresses come from IPPools of the whole cluster: where one is used up, Pods of all nodes wait (\`No IPs available in pools\`), and the pool is what there is to repair; nodes that had to take their tunnel's address out of another node's block get no answers from it, either. Or the plugin's binary or configuration is missing, or it does not reach its own daemon.

**When this is not the cause.** If the node's CNI agent does not run or has lost its permissions, that stands above this. A Pod that fails once and starts the next time is no fault.`,
      zh: `节点上的 Pod 一直处于 ContainerCreating，kubelet 反复报告无法创建 sandbox：CNI 插件失败，或该节点的网段已无可用地址。

**现象。** 已运行的 Pod 继续工作，它们之间的探测全部成功。新的 Pod 一直等待：滚动升级停住，Deployment 的副本数少于期望值。事件为 \`FailedCreatePodSandBox\`，并带有插件自己的报错，例如 \`no IP addresses available in range set\`。

**成因。** host-local 在 /var/lib/cni/networks 中为每个地址保存一个文件；节点或运行时被强制终止后，已不存在的 Pod 的文件会残留，直到没有空闲地址。或者网段对该节点的 Pod 数来说太小；Calico 的地址来自全集群共用的 IPPool：地址池耗尽时所有节点的新 Pod 都会等待（\`No IPs available in pools\`），需要修复的是地址池；隧道地址取自其他节点地址块的节点，也收不到该节点的应答；或者插件的二进制或配置缺失，或无法连接它自己的守护进程。

**何时不是它。** 若该节点的 CNI 代理未运行或失去权限，该原因会排在本项之上。失败一次、下次就启动成功的 Pod 不算故障。`,
    },
  },
});
