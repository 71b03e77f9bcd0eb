import { calicoCluster, felix } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import { calicoInterfacePrefixWrong } from "./calico-interface-prefix-wrong.ts";

const healthy = await calicoCluster();

testCheck(calicoInterfacePrefixWrong, {
  finds: {
    "a setting of another platform was copied": {
      given: healthy.edit(felix("default", { interfacePrefix: "tap" })),
      repair: "FelixConfiguration/default",
      says: ["their names begin with tap", "they are called cali"],
      breaks: ["policy.rules"],
      strength: "direct",
    },
    "on one node": {
      given: healthy.edit(felix("node.w1", { interfacePrefix: "eni,gke" })),
      repair: "FelixConfiguration/node.w1",
      says: ["their names begin with eni,gke"],
      breaks: ["policy.rules"],
    },
  },
  clears: {
    "as it was installed": healthy,
    "one of several prefixes fits": healthy.edit(felix("default", { interfacePrefix: "eni,cali" })),
    "a cluster with flannel": built(),
  },
  warns: {
    "there are no policies": {
      given: healthy
        .edit(felix("default", { interfacePrefix: "tap" }))
        .edit((draft) => draft.setList("networkpolicies", [])),
      repair: "FelixConfiguration/default",
      says: ["their names begin with tap"],
    },
  },
});
