/** Chains as they come about in clusters: which of several faults that belong together is told as the root. */
import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import { type Edit, editObjects, editPods } from "../../testing/cluster-edits.ts";
import { ago, gone, initialising } from "../../testing/object-states.ts";
import { diagnose } from "../diagnose.ts";
import type { Effect } from "../report/report.ts";

/** The roots of a cluster, each with the checks and symptoms below it. */
function told(given: Cluster): string[] {
  const words = ({ says, causes }: Effect): string[] => [says.en, ...causes.flatMap(words)];
  return diagnose(given.capture).rootCauses.map(({ id, explains }) =>
    [id, ...explains.flatMap(words).filter((line) => line.startsWith("Node "))].join("; "),
  );
}

const NOT_READY = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady";
const networkNotReady: Edit = editObjects("nodes", "w2", (node) => ({
  ...node,
  status: {
    ...node.status,
    conditions: [{ type: "Ready", status: "False", message: NOT_READY, lastTransitionTime: ago(600) }],
  },
}));
const withoutConfig = (given: Cluster) =>
  given.edit(networkNotReady).without("cniConfig", { node: "w2", file: "10-flannel.conflist" });

describe("a node without CNI configuration", () => {
  it("is not ready for that reason", () => {
    expect(told(withoutConfig(cluster()))).toEqual([`cni-config-missing/Node/w2; Node w2 is not ready: ${NOT_READY}`]);
  });

  it("lacks it because of its agent, if that does not run there", () => {
    const missing = told(withoutConfig(cluster().edit(editPods("kube-flannel-ds", gone, "w2"))));
    expect(missing.map((one) => one.split(";")[0])).toEqual([
      "component-missing/DaemonSet/kube-flannel/kube-flannel-ds",
    ]);
    const failing = { terminated: { exitCode: 1, reason: "Error", finishedAt: ago(30) } };
    const init = editPods("kube-flannel-ds", initialising("install-cni", failing), "w2");
    expect(told(withoutConfig(cluster().edit(init))).map((one) => one.split(";")[0])).toEqual([
      "component-crash-loop/DaemonSet/kube-flannel/kube-flannel-ds",
    ]);
  });

  it("may have another reason that nothing shows", () => {
    expect(told(cluster().edit(networkNotReady))).toEqual(["node-not-ready/Node/w2"]);
  });
});
