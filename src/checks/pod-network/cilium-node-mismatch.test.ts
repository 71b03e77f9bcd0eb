import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { ciliumCluster, editCiliumNode } from "../../../testing/cilium-cluster.ts";
import { cluster } from "../../../testing/cluster.ts";
import { editConfig, editObjects } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import type { CiliumNodeObject } from "../../parse/objects.ts";
import { ciliumNodeMismatch } from "./cilium-node-mismatch.ts";

const healthy = ciliumCluster;
const withRanges =
  (...podCIDRs: readonly string[]) =>
  (node: CiliumNodeObject): CiliumNodeObject => ({
    ...node,
    spec: { ...node.spec, ipam: { podCIDRs: [...podCIDRs] } },
  });
const at =
  (ip: string) =>
  (node: CiliumNodeObject): CiliumNodeObject => ({
    ...node,
    spec: {
      ...node.spec,
      addresses: [
        { type: "InternalIP", ip },
        { type: "CiliumInternalIP", ip: "10.0.1.7" },
      ],
    },
  });
const story = { healedBy: healthy, strength: "direct" as const };
const rangeLess = healthy().edit(editCiliumNode("w2", withRanges()));

testCheck(ciliumNodeMismatch, {
  finds: {
    "the operator gave the node no range": {
      ...story,
      given: rangeLess,
      repair: "CiliumNode/w2",
      says: ["CiliumNode w2 has no Pod range"],
      breaks: ["pod-network.config"],
    },
    "the pool is used up": {
      ...story,
      given: healthy().edit(
        editCiliumNode("w2", (node) => ({
          ...withRanges()(node),
          status: { ipam: { "operator-status": { error: "allocator full" } } },
        })),
      ),
      repair: "CiliumNode/w2",
      says: ["CiliumNode w2 gets no Pod range: allocator full"],
    },
    "somebody deleted it": {
      ...story,
      given: healthy().edit(editCiliumNode("w1", () => undefined)),
      repair: "CiliumNode/w1",
      says: ["CiliumNode w1 does not exist"],
      breaks: ["pod-network.config", "pod-network.ranges"],
    },
    "it has the address that the node had before": {
      ...story,
      given: healthy().edit(editCiliumNode("w1", at("192.168.50.77"))),
      repair: "CiliumNode/w1",
      says: ["says that the node is at 192.168.50.77"],
      breaks: ["pod-network.ranges"],
    },
    "a backup gave a range a second time": {
      ...story,
      given: healthy().edit(
        editCiliumNode("w2", (node) => ({
          ...withRanges("10.0.1.0/24")(node),
          metadata: { ...node.metadata, creationTimestamp: "2026-11-20T00:00:00Z" },
        })),
      ),
      repair: "CiliumNode/w2",
      says: ["CiliumNodes w2 and w1 have one Pod range: 10.0.1.0/24 and 10.0.1.0/24"],
      breaks: ["pod-network.ranges"],
    },
  },
  clears: {
    "Cilium as it should be": healthy(),
    "flannel, without any": cluster(),
    "a cloud gives nodes addresses and no ranges": rangeLess.edit(editConfig("cilium-config", "ipam", () => "eni")),
    "a node has just joined": rangeLess.edit(
      editObjects("nodes", "w2", (node) => ({
        ...node,
        metadata: { ...node.metadata, creationTimestamp: "2026-11-21T02:59:50Z" },
      })),
    ),
  },
  cannotTell: {
    "pod-network.config": { "CiliumNodes were not read": healthy().without("ciliumnodes") },
  },
});

it("follows from an operator that does not run, and stands for itself where it does", () => {
  const roots = (broken: typeof rangeLess) => diagnose(broken.capture).rootCauses.map(({ id }) => id);
  expect(roots(rangeLess)).toEqual(["cilium-node-mismatch/CiliumNode/w2"]);
  const operator = ref("Deployment", "cilium-operator", "kube-system");
  expect(roots(rangeLess.with({ do: "scale", target: operator, replicas: 0 }))).toEqual([
    "component-missing/Deployment/kube-system/cilium-operator",
  ]);
});
