import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { PodView } from "../../model/pods.ts";
import { kubectlName, type Ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "objects" | "pods" | "nodes" | "services" | "components" | "time">;

const say = texts("pod-unschedulable", {
  tainted: {
    en: "No node takes the Pods of {workload}: {nodes} {count:has|have} the taint {taint}, which they do not tolerate",
    zh: "没有节点可运行 {workload} 的 Pod：{nodes} 带有其不容忍的污点 {taint}",
  },
  cordoned: {
    en: "No node takes the Pods of {workload}: {nodes} {count:is|are} cordoned",
    zh: "没有节点可运行 {workload} 的 Pod：{nodes} 已被设为不可调度（cordon）",
  },
  unwell: {
    en: "No node takes the Pods of {workload}: {nodes} {count:says|say} {condition}: {message}",
    zh: "没有节点可运行 {workload} 的 Pod：{nodes} 的状况为 {condition}：{message}",
  },
  uninitialised: {
    en: "No node takes the Pods of {workload}: no cloud controller manager has initialised {nodes} (taint {taint})",
    zh: "没有节点可运行 {workload} 的 Pod：{nodes} 尚未被 cloud controller manager 初始化（污点 {taint}）",
  },
  nowhere: {
    en: "No node takes the Pods of {workload}: {words}",
    zh: "没有节点可运行 {workload} 的 Pod：{words}",
  },
  untaint: {
    en: "Take the taint away, or let the Pods tolerate it",
    zh: "移除该污点，或让 Pod 容忍它",
  },
  relieve: {
    en: "Free what the node is short of: images and logs for DiskPressure, memory or processes of what runs there beside; the kubelet takes the taint away by itself five minutes later",
    zh: "释放节点紧缺的资源：DiskPressure 时清理镜像和日志，否则减少节点上其他程序的内存或进程；约五分钟后 kubelet 会自动移除污点",
  },
  initialise: {
    en: "Let the cloud's controller manager run, on the node's own network and tolerating this taint; or run the kubelets without --cloud-provider=external",
    zh: "让云厂商的 controller manager 运行起来（使用主机网络，并容忍该污点）；或去掉 kubelet 的 --cloud-provider=external",
  },
  uncordon: { en: "Let the node take Pods again", zh: "恢复节点的调度" },
  look: {
    en: "Let the Pods ask for what nodes have: resources, node selector, affinity, ports; or add nodes",
    zh: "让 Pod 的要求与节点相符（资源、nodeSelector、亲和性、端口），或增加节点",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Alert on Pods that stay Pending (kube_pod_status_unschedulable), and give agents and cluster DNS tolerations and the priority system-cluster-critical",
    zh: "对一直 Pending 的 Pod 设置告警（kube_pod_status_unschedulable）；为网络组件和集群 DNS 配置容忍及 system-cluster-critical 优先级",
  },
});

const SETTLING = 60_000;
const MOST_SAID = 200;

/** What the scheduler says of a Pod that it finds no node for, and since when; undefined if that is not so, or new. */
function refusalOf({ object, terminating, node, finished }: PodView, { time }: Model) {
  if (node !== undefined || terminating || finished) return undefined;
  const condition = object.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (condition?.status !== "False" || condition.reason !== "Unschedulable") return undefined;
  const since = condition.lastTransitionTime ?? object.metadata.creationTimestamp;
  // the scheduler asks again when something changes; an autoscaler may be at it
  return (time.age(since) ?? SETTLING) < SETTLING ? undefined : { words: condition.message ?? "", since };
}

type Refused = NonNullable<ReturnType<typeof refusalOf>> & { readonly pod: PodView };

/** Taints by which Kubernetes says that a node is not well: the nodes' own checks say why. */
const BY_CONTROLLERS = /^node\.kubernetes\.io\/|^node\.cloudprovider\.kubernetes\.io\//;
const CONTROL_PLANE = /^node-role\.kubernetes\.io\/(?:control-plane|master)$/;

type Taint = { readonly key: string; readonly value?: string | null | undefined; readonly effect: string };
const taintsOf = ({ object }: NodeView): readonly Taint[] =>
  (object?.spec?.taints ?? []).filter(({ effect }) => effect !== "PreferNoSchedule");

/** The taint that the scheduler names, and the nodes that have it: that of the control plane only if there is no other. */
function taintIn(words: string, nodes: readonly NodeView[]): { taint: Taint; on: readonly NodeView[] } | undefined {
  const named = [...words.matchAll(/untolerated taint(?:\(s\))? \{([^:}\s]+)(?:: ?([^}]*))?\}/g)].map(
    ([, key = ""]) => key,
  );
  const keys = named.filter((key) => !BY_CONTROLLERS.test(key));
  const key = keys.find((one) => !CONTROL_PLANE.test(one)) ?? keys[0];
  const on = nodes.filter((node) => taintsOf(node).some((taint) => taint.key === key));
  const taint = on[0] && taintsOf(on[0]).find((one) => one.key === key);
  // beside that of the control plane, something else keeps the other nodes from it
  return taint && (on.length === nodes.length || !CONTROL_PLANE.test(taint.key)) ? { taint, on } : undefined;
}

/** Of taints that say that a node is not well, those of nodes that count as ready: no other check tells of them. */
const CONDITIONS: Readonly<Record<string, string | undefined>> = {
  "node.kubernetes.io/disk-pressure": "DiskPressure",
  "node.kubernetes.io/memory-pressure": "MemoryPressure",
  "node.kubernetes.io/pid-pressure": "PIDPressure",
  "node.cloudprovider.kubernetes.io/uninitialized": undefined,
};

type Unwell = {
  readonly on: readonly NodeView[];
  readonly taint: Taint;
  readonly condition?: { readonly type: string; readonly message: string };
};

function unwellIn(words: string, nodes: readonly NodeView[]): Unwell | undefined {
  for (const key of Object.keys(CONDITIONS)) {
    const on = nodes.filter((node) => node.ready === "True" && taintsOf(node).some((one) => one.key === key));
    const taint = on[0] && taintsOf(on[0]).find((one) => one.key === key);
    if (!taint || !words.includes(`{${key}`)) continue;
    const found = on[0]?.object?.status?.conditions?.find(({ type }) => type === CONDITIONS[key]);
    return { on, taint, ...(found && { condition: { type: found.type, message: found.message ?? "" } }) };
  }
  return undefined;
}

/** Pods that are missed: of a part of the network, or the only ones of a Service. */
function missedPods(model: Model): Map<string, Refused[]> {
  const { pods, components, services } = model;
  const refused = pods.all.flatMap((pod): Refused[] => {
    const refusal = refusalOf(pod, model);
    return refusal ? [{ ...refusal, pod }] : [];
  });
  const byOwner = Map.groupBy(refused, ({ pod }) => refId(pod.owner ?? pod.ref));
  for (const [id, [first]] of byOwner as Map<string, [Refused, ...Refused[]]>) {
    const { owner } = first.pod;
    const component = owner && components.byRef(owner);
    const others = owner ? pods.ownedBy(owner) : [first.pod];
    const isServed = others.some(({ ready }) => ready);
    const isWanted = servicesOf(first.pod, services).length > 0 || component !== undefined;
    if (!isWanted || (isServed && owner?.kind !== "DaemonSet")) byOwner.delete(id);
  }
  return byOwner;
}

const servicesOf = (pod: PodView, services: Model["services"]): string[] =>
  services.all
    .filter((service) => services.selected(service).includes(pod))
    .map(({ namespace, name }) => `${namespace}/${name}`);

/** Pods that the network misses, and no node takes: taints, cordons, resources, selectors. */
export const podUnschedulable = defineCheck({
  id: "pod-unschedulable",
  reads: ["objects", "pods", "nodes", "services", "components", "time"],

  *find(model) {
    const { pods, nodes, objects, services } = model;
    if (!pods.whole) {
      yield cannotTell({ name: "pod.schedule" }, [{ kind: "pods" }]);
      return;
    }
    const all = nodes.all.filter(({ object }) => object);
    for (const refused of missedPods(model).values() as Iterable<[Refused, ...Refused[]]>) {
      const [{ pod, words, since }] = refused;
      const owner = pod.owner ?? pod.ref;
      const found = taintIn(words, all);
      const cordoned = found ? [] : all.filter(({ object }) => object?.spec?.unschedulable === true);
      const unwell = found ? undefined : unwellIn(words, all);
      const isCordoned = !unwell && /were unschedulable/.test(words) && cordoned.length > 0;
      // nodes that are not well keep it out: that is their fault
      if (!found && !unwell && !isCordoned && /taint(?:\(s\))? \{node\.(?:kubernetes|cloudprovider)/.test(words))
        continue;
      const on = (found ?? unwell)?.on ?? (isCordoned ? cordoned : []);
      const at = { workload: refId(owner), nodes: on.map(({ name }) => name), count: on.length };
      const taint = found || unwell ? wordsOf((found ?? unwell)!.taint) : "";
      const { type: condition = "", message = "" } = unwell?.condition ?? {};
      const [node] = on;
      yield fault({
        repair: node?.ref ?? owner,
        related: [...on.slice(1).map((one) => one.ref), ...(node ? [owner] : [])],
        nodes: on.map(({ name }) => name),
        breaks: [
          { name: "pod.schedule", component: refId(owner) },
          ...servicesOf(pod, services).map((service) => ({ name: "pod.schedule", service }) as const),
        ],
        title: found
          ? say.tainted({ ...at, taint })
          : unwell
            ? condition
              ? say.unwell({ ...at, condition, message })
              : say.uninitialised({ ...at, taint })
            : isCordoned
              ? say.cordoned(at)
              : say.nowhere({ workload: at.workload, words: words.slice(0, MOST_SAID) }),
        evidence: [
          ...refused.slice(0, 2).map((one) => objects.quote("pods", one.pod.object, `${one.pod.key}: ${one.words}`)),
          ...on
            .slice(0, 3)
            .map((one) =>
              objects.quote("nodes", one.object!, `${refId(one.ref)}: ${condition || taint || "unschedulable"}`),
            ),
        ],
        strength: "direct",
        since: since ?? undefined,
        facts: {
          case: found ? "taint" : unwell ? (condition ? "pressure" : "cloud") : isCordoned ? "cordon" : "nowhere",
          taint,
          at: on.map(({ name }) => name),
        },
      });
    }
  },

  remedies({ repair, related, facts }) {
    const names = facts.at as readonly string[];
    const taint = String(facts.taint);
    const workload = [repair, ...related].find(({ kind }) => kind !== "Node") as Ref;
    const verify = { run: `kubectl get ${kubectlName(workload)} -o wide` };
    const each = (command: (node: string) => string) => ({ run: names.map(command).join("; ") });
    const step = {
      taint: {
        why: say.untaint(),
        change: each((node) => sh`kubectl taint node ${node} ${`${taint}-`}`),
        undo: each((node) => sh`kubectl taint node ${node} ${taint}`),
        verify,
      },
      pressure: {
        why: say.relieve(),
        change: { run: "df -h; free -m; crictl rmi --prune; journalctl --vacuum-size=500M", node: names[0] ?? "" },
        verify,
      },
      cloud: { why: say.initialise(), change: { run: "kubectl get pods -A -o wide | grep -i cloud" }, verify },
      cordon: {
        why: say.uncordon(),
        change: each((node) => sh`kubectl uncordon ${node}`),
        undo: each((node) => sh`kubectl cordon ${node}`),
        verify,
      },
    }[String(facts.case)] ?? {
      why: say.look(),
      change: { run: `kubectl edit ${kubectlName(workload)}` },
      undo: { run: `kubectl edit ${kubectlName(workload)}` },
      verify,
    };
    return [{ id: "find-a-node", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "No node takes a Pod", zh: "没有节点可运行 Pod" },
    page: {
      en: `Pods that the network wants for, of cluster DNS, of a CNI's controller, or the only ones of a Service, are made and stay Pending: the scheduler finds no node for them. Nodes have a taint that they do not tolerate, or are cordoned, or have not what the Pods ask for.

**How it looks.** \`kubectl get pods\` says Pending, without a node and without an address; nothing is in their logs, for nothing was started. The condition PodScheduled and Events \`FailedScheduling\` say of each node why not. Names do not resolve, or a Service refuses connections.

**How it comes about.** Nodes were tainted or cordoned for an upgrade and stayed so, all at once; disks are full (\`node.kubernetes.io/disk-pressure\`); kubelets wait for a cloud controller manager that does not run (\`node.cloudprovider.kubernetes.io/uninitialized\`); a node pool was replaced by one with other labels; requests grew beyond what any node has.

**When this is not the cause.** If a replica is ready elsewhere the Service goes on, and this is not told. Taints that begin with node.kubernetes.io are put there by Kubernetes for nodes that are not well: that a node lacks disk, memory or process ids is told here, others by node-not-ready. If nothing says why and no scheduler renews its lease, see controller-lease-expired.`,
      zh: `网络所需的 Pod（集群 DNS、CNI 控制器，或某 Service 仅有的后端）已创建但一直 Pending：调度器找不到可用节点。节点带有其不容忍的污点、被 cordon，或不具备 Pod 要求的资源或标签。

**现象。** \`kubectl get pods\` 显示 Pending，没有节点也没有地址；由于没有启动，也没有日志。PodScheduled 条件和 \`FailedScheduling\` 事件逐个说明各节点不可用的原因。域名无法解析，或 Service 拒绝连接。

**成因。** 升级时给所有节点打了污点或执行了 cordon，之后没有恢复；磁盘已满（\`node.kubernetes.io/disk-pressure\`）；kubelet 等待的 cloud controller manager 没有运行（\`node.cloudprovider.kubernetes.io/uninitialized\`）；节点池被替换，新节点标签不同；requests 超过了任何节点的容量。

**何时不是它。** 若其他节点上仍有就绪的副本，Service 可以继续工作，不会报告本项。以 node.kubernetes.io 开头的污点由 Kubernetes 加在异常节点上：磁盘、内存或 PID 紧张在此报告，其余见 node-not-ready。若没有任何说明且调度器没有续约，见 controller-lease-expired。`,
    },
  },
});

const wordsOf = ({ key, value, effect }: Taint): string => `${key}${value ? `=${value}` : ""}:${effect}`;
