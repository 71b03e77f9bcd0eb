import { testCheck } from "../../../testing/check-stories.ts";
import { editEndpoint, NAMELESS, RECORDED_POD, recordedEndpoints } from "../../../testing/cilium-cluster.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import { podIdentityMissing } from "./pod-identity-missing.ts";

const cilium = await recordedEndpoints();

testCheck(podIdentityMissing, {
  finds: {
    "a Pod that was made since the agent lost its permissions": {
      given: cilium.edit(editEndpoint(NAMELESS)),
      repair: "DaemonSet/kube-system/cilium",
      says: ["1 Pod keeps Cilium's identity 5 (reserved:init)", `${RECORDED_POD} (cp1)`],
      breaks: ["pod.identity"],
      strength: "differing",
      healedBy: () => cilium,
    },
  },
  clears: {
    Cilium: cilium,
    "flannel, which knows no identities": built(),
    "a Pod that was made a moment ago": cilium.edit(editEndpoint(NAMELESS), (draft) =>
      draft.setList(
        "pods",
        draft
          .list("pods")
          .map((pod) =>
            pod.metadata.name === "client-wnls8"
              ? { ...pod, metadata: { ...pod.metadata, creationTimestamp: cilium.model().time.nowText! } }
              : pod,
          ),
      ),
    ),
  },
});
