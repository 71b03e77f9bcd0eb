import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built, clusterOf } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import { captureOf, readRecording } from "../../../testing/recordings.ts";
import type { CiliumEndpoint } from "../../parse/cilium-endpoints.ts";
import { podIdentityMissing } from "./pod-identity-missing.ts";

const LOOKED_AT = /^(cluster\.json|exec|api\/v1\/(pods|nodes|namespaces|configmaps)|apis\/apps)/;

const recording = await readRecording("cilium-healthy");
const cilium = clusterOf(captureOf(new Map([...recording.files].filter(([path]) => LOOKED_AT.test(path)))));

const AGENT_OF_CP1 = { namespace: "kube-system", pod: "cilium-79fv6" };
const POD = "tools/client-wnls8";
const endpoint =
  (change: Partial<CiliumEndpoint>): Edit =>
  (draft) =>
    draft.set(
      "ciliumEndpoints",
      AGENT_OF_CP1,
      (draft.get("ciliumEndpoints", AGENT_OF_CP1) ?? []).map((one) => (one.pod === POD ? { ...one, ...change } : one)),
    );
const nameless = { identity: 5, labels: ["reserved:init"] };

testCheck(podIdentityMissing, {
  finds: {
    "a Pod that was made since the agent lost its permissions": {
      given: cilium.edit(endpoint(nameless)),
      repair: "DaemonSet/kube-system/cilium",
      says: ["1 Pod keeps Cilium's identity 5 (reserved:init)", `${POD} (cp1)`],
      breaks: ["pod.identity"],
      strength: "differing",
      healedBy: () => cilium,
    },
  },
  clears: {
    Cilium: cilium,
    "flannel, which knows no identities": built(),
    "a Pod that was made a moment ago": cilium.edit(endpoint(nameless), (draft) =>
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
