import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { editObjects } from "../../../testing/cluster-edits.ts";
import { logOf } from "../../../testing/cluster-nodes.ts";
import { ago, created } from "../../../testing/object-states.ts";
import { cniConfigMissing } from "./cni-config-missing.ts";

const MESSAGE =
  "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";

const is = (built: Cluster, status: string, message: string): Cluster =>
  built.edit(
    editObjects("nodes", "w2", (node) => ({
      ...node,
      status: {
        ...node.status,
        conditions: [{ type: "Ready", status, reason: "KubeletNotReady", message, lastTransitionTime: ago(600) }],
      },
    })),
  );
const CONFIG = { node: "w2", file: "10-flannel.conflist" };
const removed = (built: Cluster) => is(built, "False", MESSAGE).without("cniConfig", CONFIG);
const healthy = () => cluster();

testCheck(cniConfigMissing, {
  finds: {
    "somebody cleaned up /etc/cni/net.d of w2": {
      given: removed(cluster()),
      repair: "Node/w2",
      says: ["Node w2 has no CNI configuration"],
      breaks: ["cni.config"],
      strength: "differing",
      healedBy: healthy,
    },
    "the kubelet's log says so as well": {
      given: removed(cluster()).edit((draft) => draft.set("kubeletLog", { node: "w2" }, logOf([MESSAGE]))),
      repair: "Node/w2",
      healedBy: healthy,
    },
    "nothing tells which agent wrote it": {
      given: removed(cluster({ flavour: "managed" })),
      repair: "Node/w2",
      healedBy: () => cluster({ flavour: "managed" }),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a node of which files were not collected": cluster().without("cniConfig", CONFIG),
    "it is there, and the runtime does not read it for another reason": is(cluster(), "False", MESSAGE),
    "the node is not ready for another reason": is(cluster(), "False", "container runtime is down").without(
      "cniConfig",
      CONFIG,
    ),
    "the node does not report": is(cluster(), "Unknown", "Kubelet stopped posting node status.").without(
      "cniConfig",
      CONFIG,
    ),
  },
  cannotTell: {
    "cni.config": {
      "w2 joined half a minute ago": removed(cluster()).edit(editObjects("nodes", "w2", created(ago(30)))),
      "no file of w2 was collected": removed(cluster())
        .without("kubeletConfig", { node: "w2" })
        .without("subnetEnv", { node: "w2" }),
      "no node's was collected: the cluster keeps them elsewhere": is(cluster({ flavour: "k3s" }), "False", MESSAGE),
    },
  },
});
