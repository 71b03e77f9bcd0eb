import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { editObjects } from "../../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../../testing/cluster-nodes.ts";
import { ago, created } from "../../../testing/object-states.ts";
import { nodeNotReady } from "./node-not-ready.ts";

type Condition = { readonly status: string; readonly reason: string; readonly message: string };

const is = (built: Cluster, condition: Condition, since = ago(600)) =>
  built.edit(
    editObjects("nodes", "w2", (node) => ({
      ...node,
      status: {
        ...node.status,
        conditions: [
          { type: "MemoryPressure", status: "False" },
          { type: "Ready", ...condition, lastTransitionTime: since },
        ],
      },
    })),
  );
const silent = (built: Cluster) =>
  is(built, { status: "Unknown", reason: "NodeStatusUnknown", message: "Kubelet stopped posting node status." });
const NO_CNI = {
  status: "False",
  reason: "KubeletNotReady",
  message:
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
};
const healthy = () => cluster();
const kubeletSays = (why: string) =>
  `E1121 02:59:50.000000     812 kubelet_node_status.go:549] "Error updating node status, will retry" err="${why}"`;
const refusedAs = (user: string) =>
  `error getting node \\"w2\\": nodes \\"w2\\" is forbidden: User \\"${user}\\" cannot get resource \\"nodes\\" in API group \\"\\" at the cluster scope`;

testCheck(nodeNotReady, {
  finds: {
    "w2 lost power ten minutes ago": {
      given: silent(cluster())
        .edit(editObjects("leases", "w2", (lease) => ({ ...lease, spec: { ...lease.spec, renewTime: ago(640) } })))
        .without("processes", { node: "w2" }),
      repair: "Node/w2",
      says: ["Node w2 has stopped reporting"],
      breaks: ["node.report"],
      strength: "direct",
      healedBy: healthy,
    },
    "somebody stopped the kubelet of w2": {
      given: silent(cluster()).edit((draft) =>
        editNode(draft, "processes", "w2", (all) => all.filter(({ command }) => !command.includes("kubelet"))),
      ),
      repair: "Node/w2",
      says: ["The kubelet of node w2 does not run"],
      breaks: ["node.report"],
      healedBy: healthy,
    },
    "a firewall keeps the kubelet of w2 from the API server": {
      given: silent(cluster()),
      repair: "Node/w2",
      says: ["Node w2 has stopped reporting, although its kubelet runs"],
      healedBy: healthy,
    },
    ...Object.fromEntries(
      Object.entries({
        "the client certificate of w2's kubelet ended, and its rotation had failed": [
          "E1121 02:59:50.000000     812 bootstrap.go:266] part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired: 2026-11-20 00:00:00 +0000 UTC",
          "the client certificate of its kubelet has expired",
          "node.login",
        ],
        "the CA was made anew, and the kubelet of w2 has a certificate of the old one": [
          kubeletSays('error getting node \\"w2\\": Unauthorized'),
          "does not accept the client certificate of its kubelet (401)",
          "node.login",
        ],
        "w2 was cloned from w1 with its certificates": [
          kubeletSays(refusedAs("system:node:w1")),
          "its kubelet logs in as system:node:w1 and not as system:node:w2",
        ],
        "the certificate of w2's kubelet was made without the group system:nodes": [
          kubeletSays(refusedAs("system:node:w2")),
          "its certificate is not of the group system:nodes",
        ],
        "the kubeconfig of w2's kubelet lost its certificate": [
          kubeletSays(refusedAs("system:anonymous")),
          "shows the API server no client certificate",
        ],
      }).map(([story, [line, says, breaks = "node.report"]]) => [
        story,
        {
          given: silent(cluster()).edit((draft) => draft.set("kubeletLog", { node: "w2" }, logOf([line!], NOW))),
          repair: "Node/w2",
          says: [says!],
          breaks: [breaks],
          healedBy: healthy,
        } as const,
      ]),
    ),
    "a CNI plugin on w2 is refused, and its kubelet says so": {
      given: silent(cluster()).edit((draft) =>
        draft.set(
          "kubeletLog",
          { node: "w2" },
          logOf([kubeletSays("error getting ClusterInformation: connection is unauthorized: Unauthorized")], NOW),
        ),
      ),
      repair: "Node/w2",
      says: ["Node w2 has stopped reporting, although its kubelet runs"],
      healedBy: healthy,
    },
    "the kubelet of w2 reports that containerd is down": {
      given: is(cluster(), { status: "False", reason: "KubeletNotReady", message: "container runtime is down" }),
      repair: "Node/w2",
      says: ["Node w2 is not ready: container runtime is down"],
      breaks: ["node.report"],
      healedBy: healthy,
    },
    "the CNI configuration of w2 was deleted: the node works, and gets no new Pods": {
      given: is(cluster(), NO_CNI),
      repair: "Node/w2",
      says: ["cni plugin not initialized"],
      breaks: ["node.ready"],
      healedBy: healthy,
    },
    "a node of a managed cluster is gone, and its lease with it": {
      given: silent(cluster({ flavour: "managed" })).edit(editObjects("leases", "w2", () => undefined)),
      repair: "Node/w2",
      says: ["has stopped reporting"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a node is cordoned and drained for its upgrade": cluster().edit(
      editObjects("nodes", "w2", (node) => ({
        ...node,
        spec: {
          ...node.spec,
          unschedulable: true,
          taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }],
        },
      })),
    ),
  },
  cannotTell: {
    "node.report": {
      "w2 joined half a minute ago and waits for its CNI agent": is(cluster(), NO_CNI, ago(30)).edit(
        editObjects("nodes", "w2", created(ago(30))),
      ),
      "a Node object that the kubelet has not written to yet": cluster().edit(
        editObjects("nodes", "w2", ({ status: _, ...node }) => node),
      ),
      "we may not read Nodes": cluster().without("nodes"),
    },
  },
});
