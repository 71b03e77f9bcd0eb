import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { kubectlName } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import type { Event } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "pods" | "nodes" | "objects" | "time" | "calico" | "sandboxes" | "components">;

const say = texts("pod-sandbox-failing", {
  exhausted: {
    en: "Node {node} has no Pod address left in {range}: {count} {count:Pod waits|Pods wait} for one, while {used} {used:Pod has|Pods have} one",
    zh: "节点 {node} 的地址段 {range} 已无可用 Pod 地址：{count} 个 Pod 在等待，而占用地址的 Pod 只有 {used} 个",
  },
  poolFull: {
    en: "IPPool {pool} ({cidr}) has no address left: {count} {count:Pod waits|Pods wait} for one",
    zh: "IPPool {pool}（{cidr}）已无可用地址：{count} 个 Pod 在等待",
  },
  unselected: {
    en: "IPPool {pool} is for nodes with {selector} only, and no other for {nodes}: {count} {count:Pod waits|Pods wait} there for an address",
    zh: "IPPool {pool} 只用于满足 {selector} 的节点，而 {nodes} 没有其他地址池：{count} 个 Pod 在等待地址",
  },
  failing: {
    en: "{count} {count:Pod|Pods} on node {node} {count:gets|get} no network: {message}",
    zh: "节点 {node} 上有 {count} 个 Pod 无法接入网络：{message}",
  },
  leaving: {
    en: "{count} {count:Pod|Pods} on node {node} cannot give {count:its|their} network back, and {count:does|do} not end: {message}",
    zh: "节点 {node} 上有 {count} 个 Pod 无法释放网络而停留在 Terminating：{message}",
  },
  noPlugin: {
    en: "Node {node} has no CNI plugin {plugin} in {path}: {count} {count:Pod waits|Pods wait} there to get a network or to give it back",
    zh: "节点 {node} 的 {path} 中没有 CNI 插件 {plugin}：{count} 个 Pod 在等待接入网络或释放网络",
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
  select: {
    en: "Let the pool be for all nodes again, or correct its selector or the labels of the nodes",
    zh: "让该地址池重新用于所有节点，或修正其选择器或节点标签",
  },
  preventUnselected: {
    en: "Alert on nodes that no IPPool selects before they are given Pods; keep one pool for all()",
    zh: "对没有任何 IPPool 可用的节点设置告警，并保留一个适用于 all() 的地址池",
  },
  look: {
    en: "See what the CNI plugin says, and repair what it names",
    zh: "查看 CNI 插件的报错，并修复其指出的问题",
  },
  readdress: {
    en: "Give the bridge the address of the node's Pod range in place of the one that it has: new Pods get {address} for a gateway",
    zh: "把网桥的地址换成本节点 Pod 网段的地址：新 Pod 以 {address} 为网关",
  },
  cut: {
    en: "Pods that were made with the former address lose their gateway: make them anew",
    zh: "以原地址创建的 Pod 会失去网关，需要重建",
  },
  preventAddress: {
    en: "Take cni0 away (`ip link delete cni0`) where a node gets another Pod range or joins another cluster, and keep network managers from it",
    zh: "节点更换 Pod 网段或加入其他集群时删除 cni0（`ip link delete cni0`），并避免网络管理程序修改它",
  },
  install: {
    en: "Make the Pod of {agent} on the node anew: what the CNI plugin needs there is written when it starts",
    zh: "重建该节点上 {agent} 的 Pod：CNI 插件所需的文件会在其启动时写入",
  },
  reinstall: {
    en: "Put the plugin back: copy it from another node, or install the package of CNI plugins again (kubernetes-cni, containernetworking-plugins)",
    zh: "恢复该插件：从其他节点复制，或重新安装 CNI 插件软件包（kubernetes-cni、containernetworking-plugins）",
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

/** And that no pool is for the Pod's node (ipam_block_reader_writer.go, ipam.go). */
const NO_POOL_FOR_NODE = /no configured Calico pools for node|cannot find a qualified ippool/;

/** What CNI says of a binary that is gone (containernetworking/cni, pkg/invoke/find.go). */
const NO_PLUGIN = /failed to find plugin "([^"]+)" in path \[([^\]]+)\]/;

/**
 * What the agents of nodes put there when they start: their plugins, and what those read: flannel's its subnet (plugins,
 * meta/flannel), Calico's the node's name and its credentials (cni-plugin/pkg/plugin).
 */
const OF_THE_AGENT = /^(flannel|calico|calico-ipam|install|cilium-cni|aws-cni|terway|kube-ovn|ovn-k8s-cni-overlay)$/;
const NOT_WRITTEN =
  /open \S*subnet\.env: no such file|\/var\/lib\/calico\/nodename: no such file|calico.*connection is unauthorized/;

/** What the bridge plugin says of a bridge that another range had before (plugins/main/bridge, ensureAddr). */
const OTHER_ADDRESS = /"([^"]+)" already has an IP address different from ([0-9a-f.:]+\/\d+)/;

const MOST_SAID = 160;

const lastOf = ({ series, lastTimestamp, eventTime, firstTimestamp }: Event): string | undefined =>
  series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? firstTimestamp ?? undefined;

/** What stands before the plugin's own words, and names the Pod: containerd's, CRI-O's and that of the kubelet up to 1.23. */
const BEFORE_PLUGIN =
  /failed to (?:setup|destroy) network for sandbox "?[0-9a-f]+"?: |error (?:adding|removing) pod \S+ (?:to|from) CNI network "[^"]*": |[Nn]etworkPlugin cni failed to (?:set up|teardown) pod "[^"]*" network: /;

/** What the CNI plugin said, without what is different each time. */
function complaintOf(message: string): string {
  const plain = message.replaceAll('\\"', '"').replace(/"$/, "");
  const before = BEFORE_PLUGIN.exec(plain);
  const said = before ? plain.slice(before.index + before[0].length) : plain;
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

/** Pods that should have ended by now. */
const overdue = ({ pods, time }: Model): PodView[] =>
  pods.all.filter(
    ({ node, hostNetwork, terminating, object }) =>
      node !== undefined &&
      !hostNetwork &&
      terminating &&
      (time.age(object.metadata.deletionTimestamp ?? undefined) ?? 0) > PATIENCE,
  );

/** The newest event with this reason of each Pod. */
function newest({ objects }: Model, reason: string): Map<string, Event> {
  const found = new Map<string, Event>();
  for (const event of objects.all("events")) {
    const { involvedObject } = event;
    if (event.reason !== reason || involvedObject?.kind !== "Pod") continue;
    const key = `${involvedObject.namespace}/${involvedObject.name}`;
    const known = found.get(key);
    if (!known || (timeOf(lastOf(known)) ?? 0) < (timeOf(lastOf(event)) ?? 0)) found.set(key, event);
  }
  return found;
}

/** A Pod waits for its network since it was made; that it should have ended is told by its deletion. */
const sinceOf = ({ pod: { object }, leaves }: Refusal): string =>
  (leaves ? object.metadata.deletionTimestamp : undefined) ?? object.metadata.creationTimestamp ?? "";

type Refusal = { readonly pod: PodView; readonly event: Event; readonly leaves: boolean };

/**
 * The Pods whose network the plugin refuses to make or to take away. Where what was begun cannot be taken away,
 * the kubelet says FailedCreatePodSandBox only once, and SandboxChanged with each further try.
 */
function refusals(model: Model, late: readonly PodView[]): Refusal[] {
  const isFresh = (event: Event | undefined) => (model.time.age(event && lastOf(event)) ?? CURRENT) < CURRENT;
  const [created, again, killed] = ["FailedCreatePodSandBox", "SandboxChanged", "FailedKillPod"].map((reason) =>
    newest(model, reason),
  ) as [Map<string, Event>, Map<string, Event>, Map<string, Event>];
  const waits = late.flatMap((pod) => {
    const event = created.get(pod.key);
    return event && (isFresh(event) || isFresh(again.get(pod.key))) ? [{ pod, event, leaves: false }] : [];
  });
  const leave = overdue(model).flatMap((pod) => {
    const event = killed.get(pod.key);
    const isNetwork = event?.message?.includes("failed to destroy network");
    return event && isNetwork && isFresh(event) ? [{ pod, event, leaves: true }] : [];
  });
  return [...waits, ...leave];
}

/** New Pods of a node get no network: no address is left, or the CNI plugin fails. */
export const podSandboxFailing = defineCheck({
  id: "pod-sandbox-failing",
  reads: ["pods", "nodes", "objects", "time", "calico", "sandboxes", "components"],

  *find(model) {
    const { pods, nodes, objects, calico, sandboxes } = model;
    const late = waiting(model);
    if (late.length > 0 && !objects.isWhole("events"))
      for (const pod of late)
        yield cannotTell({ name: "pod.attach", node: pod.node!, pod: pod.key }, [{ kind: "events" }]);
    const failing = refusals(model, late).map((refusal) => {
      const { pod, event } = refusal;
      const complaint = complaintOf(event.message ?? "");
      const full = NO_ADDRESS_IN_POOLS.exec(complaint)?.[1];
      const isUnselected = NO_POOL_FOR_NODE.test(complaint);
      const home = nodes.get(pod.node!);
      const pool = isUnselected
        ? calico.pools.find((one) => one.serves && home !== undefined && one.selects(home) === false)
        : calico.pools.find(({ object }) => object.spec.cidr === full);
      return { ...refusal, complaint, pool, isUnselected, plugin: NO_PLUGIN.exec(complaint) ?? undefined };
    });
    // one pool is the cluster's, and what else fails a node's
    const whoseOf = ({ pod, complaint, pool, plugin }: (typeof failing)[number]) =>
      pool?.ref.name ?? `${pod.node} ${plugin?.[1] ?? complaint.replace(/ \((?:add|delete)\) ?/, " ")}`;
    for (const group of Map.groupBy(failing, whoseOf).values()) {
      const [{ pod: first, complaint, pool, isUnselected, plugin }] = group as [
        (typeof group)[number],
        ...typeof group,
      ];
      const node = nodes.get(first.node!);
      if (!node) continue;
      const range = NO_ADDRESS.exec(complaint)?.[1];
      const used = pods
        .onNode(node.name)
        .filter(({ hostNetwork, addresses, finished }) => !hostNetwork && addresses.length > 0 && !finished).length;
      const bridge = OTHER_ADDRESS.exec(complaint);
      const args = { node: node.name, count: group.length };
      const on = [...new Set(group.map(({ pod }) => pod.node!))];
      const selector = pool?.object.spec.nodeSelector ?? "";
      const title =
        pool && isUnselected
          ? say.unselected({ ...args, pool: pool.ref.name, selector, nodes: on })
          : pool
            ? say.poolFull({ ...args, pool: pool.ref.name, cidr: pool.object.spec.cidr })
            : plugin
              ? say.noPlugin({ ...args, plugin: plugin[1]!, path: plugin[2]! })
              : range !== undefined
                ? say.exhausted({ ...args, range, used })
                : group.every(({ leaves }) => leaves)
                  ? say.leaving({ ...args, message: complaint })
                  : say.failing({ ...args, message: complaint });
      yield fault({
        repair: pool?.ref ?? node.ref,
        related: group.map(({ pod }) => pod.ref),
        nodes: on,
        breaks: group.map(({ pod, leaves }) => ({
          name: leaves ? "pod.release" : "pod.attach",
          node: pod.node!,
          pod: pod.key,
        })),
        title,
        evidence: [
          ...group
            .slice(0, 3)
            .map((one) => objects.quote("events", one.event, `${one.pod.key}: ${one.event.reason}: ${one.complaint}`)),
          ...sandboxes.failuresOn(node.name),
          ...(pool && isUnselected ? [pool.quote(`IPPool ${pool.ref.name}: nodeSelector: ${selector}`)] : []),
          ...(pool && !isUnselected ? calico.borrowedTunnels(pool) : []),
        ],
        strength: "direct",
        since: group.map(sinceOf).toSorted()[0],
        facts: {
          case: pool
            ? isUnselected
              ? "unselected"
              : "pool"
            : range !== undefined
              ? "exhausted"
              : OF_THE_AGENT.test(plugin?.[1] ?? "") || NOT_WRITTEN.test(complaint)
                ? "unwritten"
                : plugin
                  ? "binary"
                  : "failing",
          selector,
          ...(bridge && { case: "bridge", device: bridge[1]!, address: bridge[2]! }),
        },
      });
    }
  },

  remedies({ repair, related, facts }, { components }) {
    if (facts.case === "pool") {
      const step = {
        why: say.addPool(),
        verify: { run: "kubectl get ippools.crd.projectcalico.org,ipamblocks.crd.projectcalico.org -o yaml" },
      };
      const prevent = [say.preventPool()];
      return [{ id: "enlarge-pool", risk: "none", interrupts: say.nothing(), steps: [step], prevent }];
    }
    if (facts.case === "unselected") {
      const selecting = (nodeSelector: string) =>
        ({ do: "patch", target: repair, patch: { spec: { nodeSelector } } }) as const;
      const verify = { run: "kubectl get ippools.crd.projectcalico.org -o yaml" };
      const step = { why: say.select(), change: selecting("all()"), undo: selecting(String(facts.selector)), verify };
      const prevent = [say.preventUnselected()];
      return [{ id: "select-nodes", risk: "low", interrupts: say.nothing(), steps: [step], prevent }];
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
    const [agent] = components.withDuty("cni");
    if (facts.case === "unwritten" && agent) {
      const step = {
        why: say.install({ agent: agent.definition.name }),
        change: { do: "restart", component: agent.ref, node } as const,
        undo: say.nothing(),
        verify: { run: sh`kubectl get pods -A -o wide --field-selector spec.nodeName=${node}` },
      };
      return [{ id: "write-again", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
    }
    if (facts.case === "bridge") {
      const { device, address } = facts as Record<"device" | "address", string>;
      const run = sh`ip ${address.includes(":") ? "-6" : "-4"} address flush dev ${device} scope global; ip address add ${address} dev ${device}`;
      const step = {
        why: say.readdress({ address }),
        change: { run, node },
        verify: { run: sh`ip address show dev ${device}`, node },
      };
      return [
        { id: "readdress", risk: "medium", interrupts: say.cut(), steps: [step], prevent: [say.preventAddress()] },
      ];
    }
    if (facts.case === "binary") {
      const step = { why: say.reinstall(), verify: { run: "ls -l /opt/cni/bin", node } };
      return [{ id: "reinstall", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
    }
    const step = { why: say.look(), verify: pod ? { run: `kubectl describe ${kubectlName(pod)}` } : list };
    return [{ id: "repair-plugin", risk: "none", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "New Pods of a node get no network", zh: "节点上的新 Pod 无法接入网络" },
    page: {
      en: `Pods of a node stay in ContainerCreating, and the kubelet says again and again that it could not make their sandbox: the CNI plugin fails, or no address is left in the node's range.

**How it looks.** Pods that run go on running, and all tests between them succeed. New ones wait: a rollout stops, a Deployment has fewer replicas than it asks for. Events say \`FailedCreatePodSandBox\` with the plugin's own words, for example \`no IP addresses available in range set\`.

**How it comes about.** host-local keeps a file for each address in /var/lib/cni/networks; where a node or its runtime is killed, files of Pods that are gone stay, until none is free. Or the range is too small for the node's Pods. Calico's addresses come from IPPools of the whole cluster: where one is used up, Pods of all nodes wait (\`No IPs available in pools\`), and the pool is what there is to repair; a pool whose nodeSelector leaves a node out gives its Pods none (\`no configured Calico pools for node\`); nodes that had to take their tunnel's address out of another node's block get no answers from it, either. Or the plugin's binary or a file that it reads is missing (an upgrade of packages, a clean-up of /opt/cni/bin or /run), or it does not reach its own daemon. A plugin that is gone cannot take a network away, either: Pods stay in Terminating.

**When this is not the cause.** If the node's CNI agent does not run or has lost its permissions, that stands above this. A Pod that fails once and starts the next time is no fault.`,
      zh: `节点上的 Pod 一直处于 ContainerCreating，kubelet 反复报告无法创建 sandbox：CNI 插件失败，或该节点的网段已无可用地址。

**现象。** 已运行的 Pod 继续工作，它们之间的探测全部成功。新的 Pod 一直等待：滚动升级停住，Deployment 的副本数少于期望值。事件为 \`FailedCreatePodSandBox\`，并带有插件自己的报错，例如 \`no IP addresses available in range set\`。

**成因。** host-local 在 /var/lib/cni/networks 中为每个地址保存一个文件；节点或运行时被强制终止后，已不存在的 Pod 的文件会残留，直到没有空闲地址。或者网段对该节点的 Pod 数来说太小；Calico 的地址来自全集群共用的 IPPool：地址池耗尽时所有节点的新 Pod 都会等待（\`No IPs available in pools\`），需要修复的是地址池；nodeSelector 未选中某节点的地址池不会为其 Pod 分配地址（\`no configured Calico pools for node\`）；隧道地址取自其他节点地址块的节点，也收不到该节点的应答；或者插件的二进制或其读取的文件缺失（软件包升级、清理了 /opt/cni/bin 或 /run），或无法连接它自己的守护进程。插件缺失时也无法释放网络：Pod 会停留在 Terminating。

**何时不是它。** 若该节点的 CNI 代理未运行或失去权限，该原因会排在本项之上。失败一次、下次就启动成功的 Pod 不算故障。`,
    },
  },
});
