import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addEvents, editObjects } from "../../../testing/cluster-edits.ts";
import { ago, created, withSpec } from "../../../testing/object-states.ts";
import { loadBalancerPending } from "./load-balancer-pending.ts";

const balanced = editObjects("services", "frontend", withSpec({ type: "LoadBalancer" }));
const event = (reason: string, message: string) =>
  addEvents({ kind: "Service", namespace: "shop", name: "frontend" }, reason, [message]);
const WAITS = { repair: "Service/shop/frontend" };

testCheck(loadBalancerPending, {
  finds: {},
  warns: {
    "a cluster without a cloud": {
      ...WAITS,
      given: cluster().edit(balanced),
      says: ["Service shop/frontend has waited for its external address since"],
    },
    "the pool of MetalLB is used up": {
      ...WAITS,
      given: cluster().edit(
        balanced,
        event("AllocationFailed", 'Failed to allocate IP for "shop/frontend": no available IPs'),
      ),
      says: ["gets no external address: Failed to allocate IP", "no available IPs"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "it has an address": cluster().edit(
      balanced,
      editObjects("services", "frontend", (service) => ({
        ...service,
        status: { loadBalancer: { ingress: [{ ip: "203.0.113.20" }] } },
      })),
    ),
    "it was made a moment ago": cluster().edit(balanced, editObjects("services", "frontend", created(ago(60)))),
    "a controller is at it": cluster().edit(balanced, event("EnsuringLoadBalancer", "Ensuring load balancer")),
  },
});
