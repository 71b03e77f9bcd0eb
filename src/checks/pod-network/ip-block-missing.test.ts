import { describe, expect, it } from "vitest";
import { calicoCluster } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import { type Edit, editPods } from "../../../testing/cluster-edits.ts";
import { created } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ipBlockMissing } from "./ip-block-missing.ts";

const healthy = await calicoCluster();

/** Felix takes the routes away a second later. */
const blockDeleted: Edit = (draft) => {
  const [block] = draft.list("ipamblocks").filter(({ spec }) => spec.affinity === "host:w2");
  draft.setList(
    "ipamblocks",
    draft.list("ipamblocks").filter((one) => one !== block),
  );
  for (const node of ["cp1", "w1"]) {
    const routes = draft.get("routes", { node })!;
    draft.set(
      "routes",
      { node },
      routes.filter(({ destination }) => destination !== block!.spec.cidr),
    );
  }
};
const affinityLost: Edit = (draft) =>
  draft.setList(
    "ipamblocks",
    draft.list("ipamblocks").map((block) => ({ ...block, spec: { ...block.spec, affinity: undefined } })),
  );

testCheck(ipBlockMissing, {
  finds: {
    "somebody tidied up a block that Pods had addresses of": {
      given: healthy.edit(blockDeleted),
      repair: "IPAMBlock/10-244-80-192-26",
      says: ["of w2 have addresses that no IPAMBlock holds"],
      breaks: ["pod-network.entries"],
      strength: "direct",
      healedBy: () => healthy,
    },
  },
  clears: {
    "as it was installed": healthy,
    "a block that is nobody's, and still holds them": healthy.edit(affinityLost),
    "Pods that were made while blocks were read": healthy.edit(
      blockDeleted,
      ...["backend", "frontend", "client", "coredns", "db", "calico-kube-controllers"].map((owner) =>
        editPods(owner, created("2099-01-01T00:00:00Z")),
      ),
    ),
    "a cluster with flannel": built(),
  },
  cannotTell: {
    "pod-network.entries": { "who may not list blocks": healthy.edit(blockDeleted).without("ipamblocks") },
  },
});

describe("a block that is gone", () => {
  it("is the one root of Pods that other nodes do not reach", () => {
    const { rootCauses, verdict } = diagnose(healthy.edit(blockDeleted).capture);
    expect({ verdict, checks: rootCauses.map(({ check }) => check) }).toEqual({
      verdict: "faulty",
      checks: ["ip-block-missing"],
    });
  });
});
