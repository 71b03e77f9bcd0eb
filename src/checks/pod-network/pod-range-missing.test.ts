import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addEvents, type Edit, editObjects, editPods, edits, said } from "../../../testing/cluster-edits.ts";
import { ago, crashing, created, withContainers, withSpec } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { podRangeMissing } from "./pod-range-missing.ts";

const without = (...nodes: readonly string[]): Edit =>
  edits(...nodes.map((node) => editObjects("nodes", node, withSpec({ podCIDR: undefined, podCIDRs: undefined }))));
const controllerWith = (...flags: readonly string[]): Edit =>
  editPods(
    "kube-controller-manager",
    withContainers((one) => ({ ...one, command: ["kube-controller-manager", ...flags] })),
  );
const allocating = controllerWith("--allocate-node-cidrs=true", "--cluster-cidr=10.128.0.0/9");
/** As kube-controller-manager v1.33 says it. */
const NONE_LEFT =
  'E1121 02:59:15.706371 1 range_allocator.go:252] "Unhandled Error" err="error syncing \'w2\': failed to allocate cidr from cluster cidr at idx:0: CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range, requeuing"';
const node = { kind: "Node", name: "w2" };
const event = addEvents(node, "CIDRNotAvailable", ["Node w2 status is now: CIDRNotAvailable"]);
/** Room for two nodes, of which there are three. */
const small = controllerWith("--allocate-node-cidrs=true", "--cluster-cidr=10.128.0.0/23");
const healthy = () => cluster();
const KCM = "Pod/kube-system/kube-controller-manager-cp1";

testCheck(podRangeMissing, {
  finds: {
    "the last range was given out before w2 joined": {
      given: cluster().edit(without("w2"), small),
      repair: KCM,
      says: ["The Pod range 10.128.0.0/23 is used up", "none left for node w2, where flannel connects no Pods"],
      breaks: ["pod-network.config"],
      strength: "direct",
      healedBy: healthy,
    },
    "its Event says so": { given: cluster().edit(without("w2"), allocating, event), repair: KCM, healedBy: healthy },
    "kube-controller-manager says so": {
      given: cluster().edit(without("w2"), allocating, said("kube-controller-manager", [NONE_LEFT])),
      repair: KCM,
      healedBy: healthy,
    },
    "the cluster was made without a range for Pods": {
      given: cluster().edit(without("cp1", "w1", "w2"), controllerWith()),
      repair: KCM,
      says: ["gives nodes no Pod ranges (--allocate-node-cidrs is not set): flannel connects no Pods on cp1, w1, w2"],
      healedBy: healthy,
    },
    "nothing says why": {
      given: cluster().edit(without("w2"), allocating),
      repair: "Node/w2",
      says: ["Node w2 has no Pod range"],
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a managed cluster, whose CNI gives out ranges of its own": cluster({ flavour: "managed" }).edit(without("w2")),
    "the node has just joined": cluster().edit(without("w2"), editObjects("nodes", "w2", created(ago(10)))),
    "an Event of a node that has its range by now": cluster().edit(event),
  },
  cannotTell: {
    "pod-network.config": { "the list of Nodes was not collected": cluster().without("nodes") },
  },
});

describe("a range that is used up", () => {
  it("is the one root of flannel's crashes there", () => {
    const told = said("kube-flannel-ds", ['node "w2" pod cidr not assigned'], undefined, "w2");
    const { rootCauses } = diagnose(
      cluster().edit(without("w2"), small, event, editPods("kube-flannel-ds", crashing(), "w2"), told).capture,
    );
    expect(rootCauses.map(({ id }) => id)).toEqual([`pod-range-missing/${KCM}`]);
    expect(JSON.stringify(rootCauses[0]!.explains)).toContain("pod cidr not assigned");
  });
});
