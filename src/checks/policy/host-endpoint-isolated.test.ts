import { calicoCluster, globalPolicy, hostEndpoint } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { hostEndpointIsolated } from "./host-endpoint-isolated.ts";

const healthy = await calicoCluster();
const W1 = { node: "w1", interfaceName: "eth0" };
const bare = healthy.edit(hostEndpoint("w1-eth0", W1));
const DENY = { selector: "all()", types: ["Ingress", "Egress"] };
const ALLOW = { selector: "has(role)", ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] };

testCheck(hostEndpointIsolated, {
  finds: {
    "a HostEndpoint was made before its policies": {
      given: bare,
      repair: "HostEndpoint/w1-eth0",
      says: ["isolates node w1", "failsafe"],
      breaks: ["node.admit"],
      strength: "direct",
      healedBy: () => healthy,
    },
    "a policy for Pods selects hosts, too": {
      given: healthy.edit(
        hostEndpoint("w1-eth0", { ...W1, profiles: ["projectcalico-default-allow"] }),
        globalPolicy("deny", DENY),
      ),
      repair: "HostEndpoint/w1-eth0",
      says: ["GlobalNetworkPolicy/deny isolates node w1"],
      healedBy: () => healthy,
    },
  },
  clears: {
    "no HostEndpoints": healthy,
    "its profile allows": healthy.edit(hostEndpoint("w1-eth0", { ...W1, profiles: ["projectcalico-default-allow"] })),
    "a policy allows": healthy.edit(hostEndpoint("w1-eth0", W1, { role: "worker" }), globalPolicy("allow", ALLOW)),
    "of a node that is gone": healthy.edit(hostEndpoint("old", { ...W1, node: "w9" })),
  },
  cannotTell: {
    "node.admit": {
      "a selector that cannot be read": bare.edit(globalPolicy("odd", { selector: "role ~ 'x'" })),
    },
  },
});
