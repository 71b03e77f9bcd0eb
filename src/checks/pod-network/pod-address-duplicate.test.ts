import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods, edits } from "../../../testing/cluster-edits.ts";
import { ago, created, deleted, withSpec } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import type { Pod } from "../../parse/objects.ts";
import { podAddressDuplicate } from "./pod-address-duplicate.ts";

const pods = cluster().model().pods.all;
const of = (owner: string, node: string) => pods.find((pod) => pod.name.startsWith(`${owner}-`) && pod.node === node)!;
const [onW1, onW2] = [of("client", "w1"), of("client", "w2")];
const beside = pods.find((pod) => pod.node === "w1" && !pod.hostNetwork && pod !== onW1)!;
const at =
  (address: string) =>
  (pod: Pod): Pod => ({
    ...pod,
    status: { ...pod.status, podIP: address, podIPs: [{ ip: address }] },
  });
/** A Pod has the address of another. */
const takes = (name: string, address: string, change: (pod: Pod) => Pod = created(ago(900))): Edit =>
  editObjects("pods", name, (pod) => change(at(address)(pod)));
const [ofW1 = ""] = onW1.addresses;
const healthy = () => cluster();
const sameRange = edits(
  editObjects("nodes", "w2", withSpec({ podCIDR: "10.128.1.0/24", podCIDRs: ["10.128.1.0/24"] })),
  editObjects("nodes", "w2", created(ago(4000))),
);

testCheck(podAddressDuplicate, {
  finds: {
    "an IPAM that was restored gave w2 an address of w1": {
      given: cluster().edit(takes(onW2.name, ofW1)),
      repair: `Pod/${onW2.key}`,
      says: [`Pods ${onW1.key} on w1 and ${onW2.key} on w2 have one and the same address, ${ofW1}`],
      breaks: ["pod.attach"],
      strength: "direct",
      healedBy: healthy,
    },
    "the files of host-local were cleared on w1": {
      given: cluster().edit(takes(beside.name, ofW1)),
      repair: "Node/w1",
      says: [`On node w1 two Pods have one and the same address, ${ofW1}`],
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "the older one is being deleted": cluster().edit(
      takes(onW2.name, ofW1),
      editObjects("pods", onW1.name, deleted(ago(20))),
    ),
    "the younger one has just come, and the older one may be gone by now": cluster().edit(
      takes(onW2.name, ofW1, created(ago(5))),
    ),
    "the older one has finished": cluster().edit(
      takes(onW2.name, ofW1),
      editPods("client", (pod) => ({ ...pod, status: { ...pod.status, phase: "Succeeded" } }), "w1"),
    ),
    "the node of the older one has fallen silent": cluster().edit(
      takes(onW2.name, ofW1),
      editObjects("nodes", "w1", ({ status, ...node }) => ({
        ...node,
        status: { ...status, conditions: [{ type: "Ready", status: "Unknown" }] },
      })),
    ),
  },
  cannotTell: {
    "pod.attach": { "we may not list Pods": cluster().without("pods") },
  },
});

describe("two Pods with one address", () => {
  it("follow from two nodes with one range", () => {
    const { rootCauses } = diagnose(cluster().edit(sameRange, takes(onW2.name, ofW1)).capture);
    expect(rootCauses.map(({ id }) => id)).toContain("pod-range-conflict/Node/w2");
    expect(rootCauses.map(({ check }) => check)).not.toContain("pod-address-duplicate");
  });
});
