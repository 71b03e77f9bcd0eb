import { calicoCluster, editPool, POOL } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import { ipPoolMissing } from "./ip-pool-missing.ts";

const healthy = await calicoCluster();

testCheck(ipPoolMissing, {
  finds: {
    "somebody disabled the only pool": {
      given: healthy.edit(editPool({ disabled: true })),
      repair: `IPPool/${POOL}`,
      says: ["is disabled and there is no other"],
      breaks: ["pod-network.config", "pod-network.entries"],
      strength: "direct",
    },
    "the pool was deleted before its Pods were moved": {
      given: healthy.edit(editPool(undefined)),
      repair: `IPPool/${POOL}`,
      says: ["Calico has no IPPool"],
      breaks: ["node.masquerade", "pod-network.config", "pod-network.entries"],
      healedBy: () => healthy,
    },
    "the pool's range was corrected in place": {
      given: healthy.edit(editPool({ cidr: "10.245.0.0/16" })),
      repair: `IPPool/${POOL}`,
      says: ["have addresses that belong to no IPPool", "is 10.245.0.0/16"],
      healedBy: () => healthy,
    },
  },
  clears: {
    "as it was installed": healthy,
    "an old pool is being replaced": healthy.edit((draft) => {
      const [pool] = draft.list("ippools");
      const next = { ...pool, metadata: { name: "next" }, spec: { ...pool!.spec, cidr: "10.250.0.0/16" } };
      draft.setList("ippools", [{ ...pool!, spec: { ...pool!.spec, disabled: true } }, next]);
    }),
    "a cluster with flannel": built(),
  },
  cannotTell: {
    "pod-network.config": { "who may not list IPPools": healthy.without("ippools") },
  },
});
