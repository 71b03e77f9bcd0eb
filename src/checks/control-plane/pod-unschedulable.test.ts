import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods, edits, probed } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import type { Pod } from "../../parse/objects.ts";
import { podUnschedulable } from "./pod-unschedulable.ts";

/** A Pod that the scheduler, v1.33, finds no node for. */
const pending =
  (message: string, since = ago(600)) =>
  ({ metadata, spec: { nodeName: _, ...spec } }: Pod): Pod => ({
    metadata,
    spec,
    status: {
      phase: "Pending",
      conditions: [
        { type: "PodScheduled", status: "False", reason: "Unschedulable", message, lastTransitionTime: since },
      ],
    },
  });
const tainted = (node: string): Edit =>
  editObjects("nodes", node, (one) => ({
    ...one,
    spec: { ...one.spec, taints: [{ key: "upgrade", value: "now", effect: "NoSchedule" }] },
  }));
const TAINTED =
  "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) had untolerated taint {upgrade: now}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
const upgrading = edits(tainted("w1"), tainted("w2"), editPods("coredns", pending(TAINTED)));
const cordoned = edits(
  ...["w1", "w2"].map((node) =>
    editObjects("nodes", node, (one) => ({
      ...one,
      spec: {
        ...one.spec,
        unschedulable: true,
        taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }],
      },
    })),
  ),
  editPods(
    "backend",
    pending(
      "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) were unschedulable.",
    ),
  ),
);
const NAMES = ["cp1", "w1", "w2"];
/** All nodes are ready and bear a taint of Kubernetes' own, and cluster DNS was made anew. */
const unwell = (key: string, ...conditions: readonly object[]) =>
  edits(
    ...NAMES.map((node) =>
      editObjects("nodes", node, ({ spec, status, ...one }) => ({
        ...one,
        spec: { ...spec, taints: [...(spec?.taints ?? []), { key, effect: "NoSchedule" }] },
        status: { ...status, conditions: [...(status?.conditions ?? []), ...conditions] } as typeof status,
      })),
    ),
    editPods("coredns", pending(`0/3 nodes are available: 3 node(s) had untolerated taint {${key}: }.`)),
  );
const fullDisks = unwell("node.kubernetes.io/disk-pressure", {
  ...{ type: "DiskPressure", status: "True", reason: "KubeletHasDiskPressure" },
  ...{ message: "kubelet has disk pressure", lastTransitionTime: ago(900) },
});
const uninitialised = unwell("node.cloudprovider.kubernetes.io/uninitialized");
const large = editPods("backend", pending("0/3 nodes are available: 3 Insufficient cpu."));
const healthy = () => cluster();

testCheck(podUnschedulable, {
  finds: {
    "the nodes were tainted for an upgrade, and stayed so": {
      given: cluster().edit(upgrading),
      repair: "Node/w1",
      says: ["Deployment/kube-system/coredns", "w1, w2 have the taint upgrade=now:NoSchedule"],
      breaks: ["pod.schedule"],
      strength: "direct",
      healedBy: healthy,
    },
    "the nodes are cordoned, and a Service's Pods were made anew": {
      given: cluster().edit(cordoned),
      repair: "Node/w1",
      says: ["Deployment/shop/backend", "w1, w2 are cordoned"],
      healedBy: healthy,
    },
    "the disks of all nodes are full, and cluster DNS was evicted": {
      given: cluster().edit(fullDisks),
      repair: "Node/cp1",
      says: ["coredns: cp1, w1, w2 say DiskPressure: kubelet has disk pressure"],
      breaks: ["pod.schedule"],
      healedBy: healthy,
    },
    "the kubelets wait for a cloud controller manager": {
      given: cluster().edit(uninitialised),
      repair: "Node/cp1",
      says: ["no cloud controller manager has initialised cp1, w1, w2"],
      breaks: ["pod.schedule"],
      healedBy: healthy,
    },
    "Pods ask for more than nodes have": {
      given: cluster().edit(large),
      repair: "Deployment/shop/backend",
      says: ["3 Insufficient cpu"],
      healedBy: healthy,
    },
  },
  clears: {
    "nodes with taints, and nobody waits": cluster().edit(tainted("w1"), tainted("w2")),
    "one replica waits, another serves": cluster().edit(
      editPods("backend", (pod) =>
        pod.metadata.name.endsWith("0") ? pending("0/3 nodes are available: 3 Insufficient cpu.")(pod) : pod,
      ),
    ),
    "the scheduler is still at it": cluster().edit(editPods("backend", pending(TAINTED, ago(5)))),
    "nodes are not ready, and that is why": cluster().edit(
      editPods(
        "backend",
        pending("0/3 nodes are available: 3 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."),
      ),
    ),
  },
  cannotTell: {
    "pod.schedule": { "we may not list Pods": cluster().edit(upgrading).without("pods") },
  },
});

describe("nodes that take no Pods", () => {
  it.each([
    ["tainted", upgrading, "Node/w1"],
    ["short of disk", fullDisks, "Node/cp1"],
  ])("are the one root of cluster DNS that does not answer: %s", (_, edit, root) => {
    const { rootCauses, unexplained } = diagnose(
      cluster().edit(
        edit,
        editObjects("endpointslices", "kube-dns-00000", (slice) => ({ ...slice, endpoints: [] })),
        probed("client", "dns", "kubernetes.default.svc.cluster.local", "timeout"),
      ).capture,
    );
    const roots = rootCauses.map(({ id }) => id).filter((id) => !id.startsWith("service-rules"));
    expect(roots).toEqual([`pod-unschedulable/${root}`]);
    expect(unexplained).toEqual([]);
    expect(JSON.stringify(rootCauses[0]!.explains)).toContain("no Pod of Deployment/kube-system/coredns is ready");
  });
});
