import { quoteOf } from "../../evidence/origin.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, works } from "../check.ts";

const say = texts("node-not-ready", {
  silent: {
    en: "Node {node} has stopped reporting: its kubelet, or the node itself, is down or cut off",
    zh: "节点 {node} 已停止上报状态：kubelet 停止，或节点宕机、失联",
  },
  notReady: { en: "Node {node} is not ready: {message}", zh: "节点 {node} 未就绪：{message}" },
  joining: { en: "it has just joined the cluster", zh: "该节点刚加入集群" },
  notReported: { en: "its kubelet has not reported yet", zh: "其 kubelet 尚未上报状态" },
  look: {
    en: "See whether the node runs, and why its kubelet does not report",
    zh: "确认节点是否在运行，以及 kubelet 为何不上报",
  },
  nothing: { en: "Nothing", zh: "无" },
});

/** What the kubelet says when no CNI configuration is there (pkg/kubelet/runtime.go). */
const NETWORK_NOT_READY = /network is not ready|NetworkPluginNotReady|NetworkReady=false|cni/i;

/** A node that joins is not ready until its CNI agent has been pulled and has started. */
const JOINING = 120_000;

/** A node is not ready: its Pods are taken out of Services, and after five minutes they are evicted. */
export const nodeNotReady = defineCheck({
  id: "node-not-ready",
  reads: ["nodes", "objects", "time"],

  *find({ nodes, objects, time }) {
    for (const { name, ref, ready, object } of nodes.all) {
      const capability = { name: "node.report", node: name } as const;
      if (!object) {
        if (!nodes.whole) yield cannotTell(capability, [{ kind: "nodes" }]);
        continue;
      }
      if (ready !== "True" && (time.age(object.metadata.creationTimestamp) ?? JOINING) < JOINING) {
        yield cannotTell(capability, [], say.joining());
        continue;
      }
      if (ready === undefined) {
        yield cannotTell(capability, [], say.notReported());
        continue;
      }
      const condition = object.status?.conditions?.find(({ type }) => type === "Ready");
      const evidence = [
        objects.quote(
          "nodes",
          object,
          `Node ${name}: Ready ${ready} since ${condition?.lastTransitionTime}: ${condition?.message ?? ""}`,
        ),
      ];
      if (ready === "True") {
        yield works(capability, evidence);
        yield works({ name: "node.up", node: name }, evidence);
        continue;
      }
      const message = condition?.message ?? condition?.reason ?? "";
      const byNetwork = ready === "False" && NETWORK_NOT_READY.test(message);
      yield fault({
        repair: ref,
        nodes: [name],
        // a node without a CNI configuration works; its Pods are not connected
        breaks: [byNetwork ? { name: "pod.attach", node: name } : capability],
        title: ready === "Unknown" ? say.silent({ node: name }) : say.notReady({ node: name, message }),
        evidence: [...evidence, ...leaseOf(name, objects, time)],
        strength: "direct",
        since: condition?.lastTransitionTime ?? undefined,
      });
    }
  },

  remedies({ repair }) {
    const run = `kubectl describe node ${repair.name}`;
    return [
      {
        id: "bring-node-back",
        risk: "none",
        interrupts: say.nothing(),
        steps: [
          { why: say.look(), change: { run }, undo: say.nothing(), verify: `kubectl get node ${repair.name}` },
          {
            why: say.look(),
            change: { run: "systemctl status kubelet; journalctl -u kubelet -n 100", node: repair.name },
            undo: say.nothing(),
            verify: `kubectl get node ${repair.name}`,
          },
        ],
        prevent: [],
      },
    ];
  },

  manual: {
    title: { en: "A node is not ready", zh: "节点未就绪" },
    page: {
      en: `The condition Ready of a node is False, or Unknown because its kubelet has stopped renewing its lease.

**How it looks.** The Pods of the node are taken out of EndpointSlices after about a minute and evicted after five. If only the kubelet is down, the node's Pods and rules go on working and growing stale; if the node is down, everything on it is gone.

**When this is not the cause.** A node that is not ready because \`cni plugin not initialized\` waits for its CNI agent: that is where to look.`,
      zh: `节点的 Ready 条件为 False，或因 kubelet 停止续租而变为 Unknown。

**现象。** 约一分钟后该节点的 Pod 被移出 EndpointSlice，五分钟后被驱逐。若只是 kubelet 停止，节点上的 Pod 和规则仍然工作但逐渐陈旧；若节点宕机，其上的一切都不可用。

**何时不是它。** 因 \`cni plugin not initialized\` 而未就绪的节点是在等待 CNI 代理，应从 CNI 查起。`,
    },
  },
});

type Model = Pick<import("../../model/model.ts").ClusterModel, "objects" | "time">;

/** The kubelet renews its lease every ten seconds (kube-node-lease). */
function leaseOf(node: string, objects: Model["objects"], time: Model["time"]) {
  const lease = objects.find("leases", node, "kube-node-lease");
  if (lease.state !== "present") return [];
  const renewed = lease.value.spec?.renewTime;
  const age = time.age(renewed);
  return [
    quoteOf(
      lease.origin,
      `Lease kube-node-lease/${node}: renewed ${renewed}${age === undefined ? "" : `, ${Math.round(age / 1000)} s before`}`,
    ),
  ];
}
