import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built, clusterOf } from "../../../testing/cluster.ts";
import { type Edit, said } from "../../../testing/cluster-edits.ts";
import { captureOf, readRecording } from "../../../testing/recordings.ts";
import type { CiliumEndpoint } from "../../parse/cilium-endpoints.ts";
import { podLabelsUnread } from "./pod-labels-unread.ts";

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

const TOLD =
  'level=warning msg="Unable to fetch kubernetes labels" error="pod.core \\"client-wnls8\\" not found" k8sPodName=tools/client-wnls8 subsys=resolve-labels';

testCheck(podLabelsUnread, {
  finds: {
    "the agent's controller has failed since": {
      given: cilium.edit(
        endpoint({ ...nameless, withoutLabels: { tries: 22, because: 'pod.core "client-wnls8" not found' } }),
      ),
      repair: "DaemonSet/kube-system/cilium",
      says: ["Cilium on cp1 does not get the labels of 1 Pod"],
      breaks: ["pod.labels"],
      strength: "differing",
      healedBy: () => cilium,
    },
    "only its log tells": {
      given: cilium.edit(endpoint(nameless), said("cilium", [TOLD], cilium.model().time.nowText!, "cp1")),
      repair: "DaemonSet/kube-system/cilium",
      says: ["Cilium on cp1 does not get the labels of 1 Pod"],
      breaks: ["pod.labels"],
      strength: "differing",
      healedBy: () => cilium,
    },
  },
  clears: {
    Cilium: cilium,
    "flannel, which asks for no labels": built(),
    "a Pod whose labels were read before": cilium.edit(
      endpoint({ withoutLabels: { tries: 3, because: "connection refused" } }),
    ),
  },
});
