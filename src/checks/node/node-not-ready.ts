import { quoteOf } from "../../evidence/origin.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, works } from "../check.ts";
import { certificateSteps, refusalOf } from "./node-not-ready/refusal.ts";

const say = texts("node-not-ready", {
  silent: {
    en: "Node {node} has stopped reporting: its kubelet, or the node itself, is down or cut off",
    zh: "节点 {node} 已停止上报状态：kubelet 停止，或节点宕机、失联",
  },
  stopped: {
    en: "The kubelet of node {node} does not run: the node has stopped reporting",
    zh: "节点 {node} 的 kubelet 没有运行，节点已停止上报状态",
  },
  cutOff: {
    en: "Node {node} has stopped reporting, although its kubelet runs: it hangs, or does not get through to the API server",
    zh: "节点 {node} 已停止上报状态，但其 kubelet 在运行：kubelet 卡住，或无法连通 API Server",
  },
  notReady: { en: "Node {node} is not ready: {message}", zh: "节点 {node} 未就绪：{message}" },
  joining: { en: "it has just joined the cluster", zh: "该节点刚加入集群" },
  notReported: { en: "its kubelet has not reported yet", zh: "其 kubelet 尚未上报状态" },
  describe: {
    en: "See since when, and what its conditions and events say",
    zh: "查看从何时开始，以及其 conditions 和 events",
  },
  lookKubelet: {
    en: "See why its kubelet does not report; if the node itself does not answer, look at its machine or console",
    zh: "查看 kubelet 不上报的原因；若节点本身无响应，检查其主机或控制台",
  },
  startKubelet: { en: "Start what is stopped", zh: "启动已停止的服务" },
  lookCni: {
    en: "See which CNI agent should have written its configuration there, and why it has not",
    zh: "查看应由哪个 CNI 组件写入配置，以及为何没有写入",
  },
  interrupts: { en: "Nothing: running Pods go on", zh: "无：运行中的 Pod 不受影响" },
  prevent: {
    en: "Alert on kube_node_status_condition Ready other than true for a minute; keep the kubelet enabled (`systemctl enable kubelet`)",
    zh: "对 kube_node_status_condition 的 Ready 超过一分钟不为 true 设置告警；确保 kubelet 开机自启（`systemctl enable kubelet`）",
  },
});

/** What the kubelet says when no CNI configuration is there (pkg/kubelet/runtime.go). */
const NETWORK_NOT_READY = /network is not ready|NetworkPluginNotReady|NetworkReady=false|cni/i;

/** A node that joins is not ready until its CNI agent has been pulled and has started. */
const JOINING = 120_000;

/** A node is not ready: its Pods are taken out of Services, and after five minutes they are evicted. */
export const nodeNotReady = defineCheck({
  id: "node-not-ready",
  reads: ["nodes", "objects", "time", "logs"],

  *find({ nodes, objects, time, logs }) {
    for (const { name, ref, ready, object, kubelet } of nodes.all) {
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
        yield works({ name: "node.ready", node: name }, evidence);
        yield works({ name: "node.up", node: name }, evidence);
        continue;
      }
      const message = condition?.message ?? condition?.reason ?? "";
      // who answered a command when the kubelet was silent already is up
      if (ready === "Unknown" && kubelet) yield works({ name: "node.up", node: name }, [kubelet.evidence]);
      // who logs in with no certificate that counts cannot report
      const refusal = ready === "Unknown" ? refusalOf(name, { logs }) : undefined;
      const silent = kubelet === undefined ? say.silent : kubelet.runs ? say.cutOff : say.stopped;
      const byNetwork = ready === "False" && NETWORK_NOT_READY.test(message);
      yield fault({
        repair: ref,
        nodes: [name],
        // a node without a CNI configuration works and reports, and the Pods that it has stay connected
        breaks: [
          byNetwork
            ? { name: "node.ready", node: name }
            : refusal?.isOld
              ? { name: "node.login", node: name }
              : capability,
        ],
        title: refusal?.says ?? (ready === "Unknown" ? silent({ node: name }) : say.notReady({ node: name, message })),
        evidence: [
          ...evidence,
          ...leaseOf(name, objects, time),
          ...(refusal ? [refusal.evidence] : []),
          ...(ready === "Unknown" && kubelet ? [kubelet.evidence] : []),
        ],
        strength: "direct",
        since: condition?.lastTransitionTime ?? undefined,
        facts: {
          case: byNetwork ? "network" : refusal ? "certificate" : kubelet?.runs === false ? "stopped" : "kubelet",
        },
      });
    }
  },

  remedies({ repair, facts }) {
    const node = repair.name;
    const verify = { run: sh`kubectl wait --for=condition=Ready --timeout=2m node/${node}` };
    const describe = { why: say.describe(), change: { run: sh`kubectl describe node ${node}` }, verify };
    const agents = sh`kubectl get pods -A -o wide --field-selector ${`spec.nodeName=${node}`}`;
    const files = { why: say.lookCni(), change: { run: "ls -l /etc/cni/net.d /opt/cni/bin", node }, verify };
    const kubelet = "systemctl status kubelet containerd --no-pager; journalctl -u kubelet -n 50 --no-pager";
    const steps =
      facts.case === "certificate"
        ? certificateSteps(node, verify)
        : facts.case === "network"
          ? [{ ...describe, change: { run: `${describe.change.run}; ${agents}` } }, files]
          : [
              ...(facts.case === "stopped" ? [] : [describe]),
              { why: say.lookKubelet(), change: { run: kubelet, node }, verify },
              {
                why: say.startKubelet(),
                change: { run: "systemctl enable --now containerd kubelet", node },
                undo: { run: "systemctl stop kubelet", node },
                verify,
              },
            ];
    return [{ id: "bring-node-back", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A node is not ready", zh: "节点未就绪" },
    page: {
      en: `The condition Ready of a node is False, or Unknown because its kubelet has stopped renewing its lease.

**How it looks.** The Pods of the node are taken out of EndpointSlices after about a minute and evicted after five. If only the kubelet is down, the node's Pods and rules go on working and growing stale; if the node is down, everything on it is gone.

A kubelet that is not let in says so in its log: its client certificate has expired (\`bootstrap client certificate … is expired\`, \`Unauthorized\`), is another node's, or is not of the group \`system:nodes\` (\`forbidden\`).

**When this is not the cause.** A node that is not ready because \`cni plugin not initialized\` waits for its CNI agent: that is where to look.`,
      zh: `节点的 Ready 条件为 False，或因 kubelet 停止续租而变为 Unknown。

**现象。** 约一分钟后该节点的 Pod 被移出 EndpointSlice，五分钟后被驱逐。若只是 kubelet 停止，节点上的 Pod 和规则仍然工作但逐渐陈旧；若节点宕机，其上的一切都不可用。

kubelet 登录被拒时，其日志会写明原因：客户端证书已过期（\`bootstrap client certificate … is expired\`、\`Unauthorized\`）、属于另一节点，或不属于 \`system:nodes\` 组（\`forbidden\`）。

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
