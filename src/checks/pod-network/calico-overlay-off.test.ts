import { calicoCluster, editPool, felix, POOL } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import { calicoOverlayOff } from "./calico-overlay-off.ts";

const healthy = await calicoCluster();

testCheck(calicoOverlayOff, {
  finds: {
    "encapsulation was switched off where no BGP runs": {
      given: healthy.edit(editPool({ vxlanMode: "Never" })),
      repair: `IPPool/${POOL}`,
      says: ["uses no encapsulation", "calico_backend: vxlan"],
      breaks: ["pod-network.config", "pod-network.entries"],
      strength: "direct",
    },
    "the pool was changed to IPIP where no BGP runs": {
      given: healthy.edit(editPool({ vxlanMode: "Never", ipipMode: "Always" })),
      repair: `IPPool/${POOL}`,
      says: ["uses IPIP, for which BIRD writes the routes", "calico_backend: vxlan"],
      breaks: ["pod-network.config", "pod-network.entries"],
    },
    "VXLAN was turned off for Felix": {
      given: healthy.edit(felix("default", { vxlanEnabled: false })),
      repair: "FelixConfiguration/default",
      says: ["turns VXLAN off (vxlanEnabled: false)"],
      breaks: ["pod-network.config", "pod-network.entries"],
    },
    "a node kept another port": {
      given: healthy.edit(felix("node.w1", { vxlanPort: 4790 })),
      repair: "FelixConfiguration/node.w1",
      says: ["gives w1 another vxlanPort (4790) than other nodes have (4789)"],
      breaks: ["node.tunnel"],
    },
  },
  clears: {
    "as it was installed": healthy,
    "all nodes have another port": healthy.edit(felix("default", { vxlanPort: 4790 })),
    "Felix writes the routes of IPIP itself": healthy.edit(
      editPool({ vxlanMode: "Never", ipipMode: "Always" }),
      felix("default", { programClusterRoutes: "Enabled" }),
    ),
    "VXLAN is said to be on": healthy.edit(felix("default", { vxlanEnabled: true })),
    "BGP carries what is not encapsulated": healthy.edit(editPool({ vxlanMode: "Never" }), (draft) => {
      const maps = draft.list("configmaps").map((map) => {
        const isCalico = map.metadata.name === "calico-config";
        return isCalico ? { ...map, data: { ...map.data, calico_backend: "bird" } } : map;
      });
      draft.setList("configmaps", maps);
    }),
    "a cluster with flannel": built(),
  },
});
