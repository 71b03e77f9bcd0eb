import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addEvents, type Edit, editObjects, editPods, edits, probedPairs } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import type { Pod } from "../../parse/objects.ts";
import { cloudRouteMissing } from "./cloud-route-missing.ts";

const TAINT = "node.kubernetes.io/network-unavailable";
const routeless = (node: string, reason = "NoRouteCreated", since = ago(900)): Edit =>
  editObjects("nodes", node, ({ spec, status, ...one }) => {
    const message = "RouteController failed to create a route";
    const condition = { type: "NetworkUnavailable", status: "True", reason, message, lastTransitionTime: since };
    return {
      ...one,
      spec: { ...spec, taints: [...(spec?.taints ?? []), { key: TAINT, effect: "NoSchedule" }] },
      status: { ...status, conditions: [...(status?.conditions ?? []), condition] },
    };
  });
const REFUSED = "Could not create route 9c1 10.128.1.0/24 for node w2 after 212ms: RouteLimitExceeded: limit of 50";
const refused = addEvents({ kind: "Node", name: "w2" }, "FailedToCreateRoute", [REFUSED]);
const pending = ({ metadata, spec: { nodeName: _, ...spec } }: Pod): Pod => ({
  metadata,
  spec,
  status: {
    phase: "Pending",
    conditions: [
      {
        ...{ type: "PodScheduled", status: "False", reason: "Unschedulable", lastTransitionTime: ago(800) },
        message: `0/3 nodes are available: 3 node(s) had untolerated taint {${TAINT}: }.`,
      },
    ],
  },
});
const inCloud = cluster({ flavour: "managed" });
const nowhere = edits(routeless("w1"), routeless("w2"), routeless("w3"), editPods("coredns", pending));

testCheck(cloudRouteMissing, {
  finds: {
    "the cloud's route table is full": {
      given: inCloud.edit(routeless("w2"), refused),
      repair: "Node/w2",
      says: ["no route to the Pods of node w2: Could not create route", "RouteLimitExceeded"],
      breaks: ["pod-network.entries"],
      strength: "direct",
      healedBy: () => inCloud,
    },
    "flannel carries the packets, and the taint keeps cluster DNS away": {
      given: cluster().edit(routeless("w1"), routeless("w2"), editPods("coredns", pending)),
      repair: "Node/w1",
      says: ["RouteController failed to create a route"],
      breaks: ["pod.schedule"],
      healedBy: () => cluster(),
    },
  },
  warns: {
    "flannel carries the packets, and nobody waits": {
      given: cluster().edit(routeless("w2")),
      repair: "Node/w2",
      says: ["no route to the Pods of node w2"],
    },
  },
  clears: {
    "a healthy cluster of a cloud": inCloud,
    "the node has just joined": inCloud.edit(routeless("w2", "NoRouteCreated", ago(20))),
    "another agent says that it is not up": inCloud.edit(routeless("w2", "CalicoIsDown")),
  },
});

const rootsOf = (broken: Cluster) => {
  const { rootCauses, unexplained } = diagnose(broken.capture);
  return { roots: rootCauses.map(({ id }) => id), unexplained };
};

it("is the one root of tests that fail for it, and of cluster DNS that waits", () => {
  const lost = probedPairs((from, to, kind) => kind === "node" || (from !== "w2" && to !== "w2"));
  const one = { roots: ["cloud-route-missing/Node/w2"], unexplained: [] };
  expect(rootsOf(inCloud.edit(routeless("w2"), refused, lost))).toEqual(one);
  expect(rootsOf(inCloud.edit(nowhere))).toEqual({ roots: ["cloud-route-missing/Node/w1"], unexplained: [] });
});
