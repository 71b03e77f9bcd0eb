import { testCheck } from "../../../testing/check-stories.ts";
import { editEndpoint, NAMELESS, recordedEndpoints } from "../../../testing/cilium-cluster.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import { said } from "../../../testing/cluster-edits.ts";
import { podLabelsUnread } from "./pod-labels-unread.ts";

const cilium = await recordedEndpoints();

const TOLD =
  'level=warning msg="Unable to fetch kubernetes labels" error="pod.core \\"client-wnls8\\" not found" k8sPodName=tools/client-wnls8 subsys=resolve-labels';

testCheck(podLabelsUnread, {
  finds: {
    "the agent's controller has failed since": {
      given: cilium.edit(
        editEndpoint({ ...NAMELESS, withoutLabels: { tries: 22, because: 'pod.core "client-wnls8" not found' } }),
      ),
      repair: "DaemonSet/kube-system/cilium",
      says: ["Cilium on cp1 does not get the labels of 1 Pod"],
      breaks: ["pod.labels"],
      strength: "differing",
      healedBy: () => cilium,
    },
    "only its log tells": {
      given: cilium.edit(editEndpoint(NAMELESS), said("cilium", [TOLD], cilium.model().time.nowText!, "cp1")),
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
      editEndpoint({ withoutLabels: { tries: 3, because: "connection refused" } }),
    ),
  },
});
