import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { editObjects } from "../../../testing/cluster-edits.ts";
import { annotated } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { flannelBackendMixed } from "./flannel-backend-mixed.ts";

const backend = (node: string, type: string) =>
  editObjects("nodes", node, annotated({ "flannel.alpha.coreos.com/backend-type": type }));
const given = cluster().edit(backend("w1", "host-gw"));

testCheck(flannelBackendMixed, {
  finds: {
    "the backend was changed to host-gw, and only w1 restarted since": {
      given,
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel runs with different backends: vxlan (cp1, w2), host-gw (w1)"],
      breaks: ["pod-network.backend"],
      strength: "direct",
      healedBy: () => cluster(),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "all were changed": cluster().edit(...["cp1", "w1", "w2"].map((node) => backend(node, "host-gw"))),
  },
  cannotTell: {},
});

it("is latent while what was known before still leads there", () => {
  const { rootCauses } = diagnose(given.capture);
  expect(rootCauses.map(({ check, latent }) => [check, latent])).toEqual([["flannel-backend-mixed", true]]);
});
