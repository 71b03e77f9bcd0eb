import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault, warning } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "pods" | "services" | "components" | "objects" | "time">;

const say = texts("cloud-route-missing", {
  missing: {
    en: "The cloud's network has no route to the Pods of node {node}: {words}",
    zh: "云网络中没有通往节点 {node} 上 Pod 的路由：{words}",
  },
  look: {
    en: "Read why the route controller (of the cloud controller manager, or of kube-controller-manager) could not make the route",
    zh: "查看路由控制器（位于 cloud controller manager 或 kube-controller-manager 中）创建路由失败的原因",
  },
  mend: {
    en: "Give it what it lacks: rights to the route table, a larger quota of routes, or room by deleting routes of nodes that are gone. Where a CNI carries the Pods' packets itself, run it with --configure-cloud-routes=false instead",
    zh: "补足所缺：路由表的操作权限、更高的路由配额，或删除已不存在节点的路由以腾出空间。若由 CNI 自己传送 Pod 报文，则改为使用 --configure-cloud-routes=false",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Alert on kube_node_status_condition NetworkUnavailable, and on the number of routes against its quota",
    zh: "对 kube_node_status_condition 的 NetworkUnavailable，以及路由数量接近配额设置告警",
  },
});

/** A route is made within seconds of a node's joining, and tried again every ten (cloud-provider controllers/route). */
const PATIENCE = 2 * 60_000;

/** What the route controller said last of a node. */
function refusalOf(node: string, { objects }: Model): { words: string; evidence: Evidence } | undefined {
  const event = objects
    .all("events")
    .findLast(
      ({ reason, involvedObject }) =>
        reason === "FailedToCreateRoute" && involvedObject?.kind === "Node" && involvedObject.name === node,
    );
  const words = event?.message ?? "";
  return event && { words, evidence: objects.quote("events", event, `${node}: ${words}`) };
}

/** Pods that wait because nodes bear the taint by which they say so. */
function waiting({ pods, services }: Model): Capability[] {
  const all = pods.all.filter(({ object, node, finished }) => {
    const scheduled = object.status?.conditions?.find(({ type }) => type === "PodScheduled");
    return node === undefined && !finished && scheduled?.message?.includes("node.kubernetes.io/network-unavailable");
  });
  const owners = new Set(all.map((pod) => refId(pod.owner ?? pod.ref)));
  const wanting = services.all.filter((service) => services.selected(service).some((pod) => all.includes(pod)));
  return [
    ...[...owners].map((component) => ({ name: "pod.schedule", component }) as const),
    ...wanting.map(({ namespace, name }) => ({ name: "pod.schedule", service: `${namespace}/${name}` }) as const),
  ];
}

/** Since when a node waits for its route; undefined if it has one, or may still get one. */
function conditionOf({ object }: NodeView, { time }: Model) {
  const found = object?.status?.conditions?.find(({ type }) => type === "NetworkUnavailable");
  if (found?.status !== "True" || found.reason !== "NoRouteCreated") return undefined;
  return (time.age(found.lastTransitionTime ?? object?.metadata.creationTimestamp) ?? 0) < PATIENCE ? undefined : found;
}

/** A cloud that routes Pods' addresses itself has no route to those of a node. */
export const cloudRouteMissing = defineCheck({
  id: "cloud-route-missing",
  reads: ["nodes", "pods", "services", "components", "objects", "time"],

  *find(model) {
    const unable = waiting(model);
    // an agent that connects Pods does not need the cloud for it
    const isCarried = model.components.withDuty("cni").length > 0;
    for (const node of model.nodes.all) {
      const { name, object } = node;
      const condition = conditionOf(node, model);
      if (!condition || !object) continue;
      const refusal = refusalOf(name, model);
      const message = condition.message ?? "";
      const title = say.missing({ node: name, words: refusal?.words || message });
      const evidence = [
        model.objects.quote("nodes", object, `Node ${name}: NetworkUnavailable, NoRouteCreated: ${message}`),
        ...(refusal ? [refusal.evidence] : []),
      ];
      const breaks = [...(isCarried ? [] : [{ name: "pod-network.entries", peer: name } as const]), ...unable];
      if (breaks.length === 0) yield warning(node.ref, title, evidence);
      else {
        yield fault({
          ...{ repair: node.ref, nodes: [name], breaks, title, evidence, strength: "direct" },
          since: condition.lastTransitionTime ?? undefined,
        });
      }
    }
  },

  remedies({ repair }) {
    const node = repair.name;
    const verify = { run: sh`kubectl wait --for=condition=NetworkUnavailable=False --timeout=2m node/${node}` };
    const events = sh`kubectl get events -A --field-selector ${`reason=FailedToCreateRoute,involvedObject.name=${node}`}`;
    const steps = [
      { why: say.look(), change: { run: events }, verify },
      { why: say.mend(), verify },
    ];
    return [{ id: "make-the-route", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "The cloud has no route to a node's Pods", zh: "云网络中缺少通往节点 Pod 的路由" },
    page: {
      en: `Where no agent carries Pods' packets between nodes (kubenet, GKE without its newer data plane, a cloud controller manager with --configure-cloud-routes), the cloud's network routes each node's Pod range to that node. A controller makes these routes; for a node it could not.

**How it looks.** The node is Ready, and its condition NetworkUnavailable says \`NoRouteCreated\`. Its taint \`node.kubernetes.io/network-unavailable\` keeps new Pods away; Pods that tolerate it run there, reach others of their node and nobody else. In a new cluster no node has a route, and CoreDNS stays Pending. Events say \`FailedToCreateRoute\`.

**How it comes about.** The controller's credentials may not write the route table; its quota is used up (50 routes in a table of AWS, 400 of Azure), often by nodes that are gone; ranges overlap with a route that is there.

**When this is not the cause.** Calico, Cilium and flannel set the same condition with reasons of their own, and clear it when they run. Where one of them carries the packets, only the taint hurts.`,
      zh: `若没有组件在节点之间传送 Pod 报文（kubenet、未使用新数据面的 GKE、启用了 --configure-cloud-routes 的 cloud controller manager），则由云网络把各节点的 Pod 网段路由到该节点。这些路由由控制器创建，而它未能为某个节点创建。

**现象。** 节点是 Ready，但其 NetworkUnavailable 状态的原因为 \`NoRouteCreated\`。污点 \`node.kubernetes.io/network-unavailable\` 使新的 Pod 无法调度上来；容忍它的 Pod 只能与同节点的 Pod 通信。新集群中所有节点都没有路由，CoreDNS 一直 Pending。事件中有 \`FailedToCreateRoute\`。

**成因。** 控制器的凭据没有修改路由表的权限；配额已用尽（AWS 每个路由表 50 条，Azure 400 条），往往被已不存在的节点占用；网段与已有路由重叠。

**何时不是它。** Calico、Cilium 和 flannel 也会设置同一状态，但原因不同，运行后即清除。若由它们传送报文，则只有污点造成影响。`,
    },
  },
});
