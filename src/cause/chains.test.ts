/** Chains as they come about in clusters: which of several faults that belong together is told as the root. */
import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import {
  type Edit,
  editConfig,
  editIptables,
  editObjects,
  editPods,
  probed,
  said,
} from "../../testing/cluster-edits.ts";
import { ago, crashing, gone, initialising, unready, withContainers } from "../../testing/object-states.ts";
import { diagnose } from "../diagnose.ts";
import { ref } from "../model/ref.ts";
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

describe("a Pod network that was moved away from the nodes' ranges", () => {
  const moved = (text: string) => text.replace("10.128.0.0/9", "10.244.0.0/16");
  const network = editConfig("kube-flannel-cfg", "net-conf.json", moved);
  const crashes = editPods("kube-controller-manager", crashing());
  const ids = (...edits: readonly Edit[]) => told(cluster().edit(...edits)).map((one) => one.split(";")[0]);

  it("ends kube-controller-manager as well, where it was told of it", () => {
    const controller = editPods(
      "kube-controller-manager",
      withContainers((one) => ({ ...one, command: one.command?.map(moved) })),
    );
    expect(ids(network, controller, crashes)).toEqual(["pod-range-conflict/ConfigMap/kube-flannel/kube-flannel-cfg"]);
  });

  it("does not, where it was not", () => {
    expect(ids(network, crashes)).toContain("component-crash-loop/Pod/kube-system/kube-controller-manager-cp1");
  });
});

describe("a Corefile with which new Pods do not start, while the old ones serve", () => {
  const refusal = "/etc/coredns/Corefile:13 - Error during parsing: Unknown directive 'forwrd'";
  const mistyped = editConfig("coredns", "Corefile", (text) => text.replace("forward .", "forwrd ."));

  it("is why they crash", () => {
    const newPod = [editPods("coredns", crashing(), "w1"), said("coredns", [refusal], ago(10), "w1")];
    const [one, ...more] = diagnose(cluster().edit(mistyped, ...newPod).capture).rootCauses;
    expect([one?.id, more]).toEqual(["corefile-invalid/ConfigMap/kube-system/coredns", []]);
    expect(one!.explains.map(({ says: { en } }) => en)).toEqual([
      expect.stringMatching(/^CoreDNS crash-loops on w1: /),
    ]);
  });
});

describe("one wrong back end among right ones", () => {
  it("may fail calls from wherever the rules are asked", () => {
    const { pods, nodes } = cluster().model();
    const [address] = pods.withLabels("shop", { app: "frontend" })[0]!.addresses;
    const wrong = editIptables("w1", (text) => text.replaceAll(`${address}:8080`, "10.128.2.99:8080"));
    const nodePort = `${nodes.get("w1")!.addresses[0]}:30080`;
    const given = cluster().edit(wrong, probed("client", "tcp", nodePort, "timeout"));
    expect(diagnose(given.capture)).toMatchObject({
      rootCauses: [{ id: "service-rules-mismatch/Node/w1" }],
      unexplained: [],
    });
  });
});

describe("a Service that delivers to the caller's node only", () => {
  const local = cluster().with({
    do: "patch",
    target: ref("Service", "frontend", "shop"),
    patch: { spec: { internalTrafficPolicy: "Local" } },
  });
  const inVain = probed("frontend", "tcp", "10.96.10.2:80", "timeout");

  it("has no back end there because the node is not ready", () => {
    const [caller] = local.model().pods.withLabels("shop", { app: "frontend" });
    const silent: Edit = editObjects("nodes", caller!.node!, (node) => ({
      ...node,
      status: { ...node.status, conditions: [{ type: "Ready", status: "Unknown", lastTransitionTime: ago(600) }] },
    }));
    const takenOut: Edit = editObjects("endpointslices", "frontend-00000", (slice) => ({
      ...slice,
      endpoints: (slice.endpoints ?? []).map((one) =>
        one.nodeName === caller!.node ? { ...one, conditions: { ready: false, serving: false } } : one,
      ),
    }));
    const given = local.edit(silent, takenOut, editPods("frontend", unready(), caller!.node), inVain);
    const ids = told(given).map((one) => one.split(";")[0]!);
    expect(ids).toContain(`node-not-ready/Node/${caller!.node}`);
    expect(ids.filter((id) => id.startsWith("service-without-local-endpoints"))).toEqual([]);
  });
});
