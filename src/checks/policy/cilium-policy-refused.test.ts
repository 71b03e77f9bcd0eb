import { testCheck } from "../../../testing/check-stories.ts";
import { ciliumCluster } from "../../../testing/cilium-cluster.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import { type Edit, editObjects, said } from "../../../testing/cluster-edits.ts";
import { ciliumPolicyRefused } from "./cilium-policy-refused.ts";

const healthy = ciliumCluster();

const policy = (spec: object): Edit => {
  const metadata = { name: "egress", namespace: "shop", creationTimestamp: "2026-01-01T00:00:00Z" };
  return (draft) => draft.setList("ciliumnetworkpolicies", [{ metadata, spec }] as never);
};
const BY_NAME = policy({ endpointSelector: {}, egress: [{ toFQDNs: [{ matchName: "api.example.org" }] }] });
const BY_PORT = policy({
  endpointSelector: {},
  egressDeny: [{ toPorts: [{ ports: [{ port: "80", protocol: "TCP" }], rules: { http: [{ path: "/" }] } }] }],
});
const refused = (error: string, name = "egress"): Edit =>
  said("cilium", [
    `time="2026-11-22T08:26:06Z" level=warning msg="Unable to add CiliumNetworkPolicy" ciliumNetworkPolicyName=${name} error="${error}" k8sApiVersion= k8sNamespace=shop subsys=k8s-watcher`,
  ]);
const NOT_YET = "Invalid CiliumNetworkPolicy spec: FQDN regex compilation LRU not yet initialized";
const withoutProxy = editObjects("configmaps", "cilium-config", (map) => ({
  ...map,
  data: { ...map.data, "enable-l7-proxy": "false" },
}));

testCheck(ciliumPolicyRefused, {
  finds: {
    "names are meant where there is no proxy": {
      given: healthy.edit(BY_NAME, withoutProxy, refused(NOT_YET)),
      repair: "CiliumNetworkPolicy/shop/egress",
      says: ["needs Cilium's proxy (toFQDNs)", "ConfigMap/kube-system/cilium-config", "not yet initialized"],
      breaks: ["policy.allow"],
      strength: "direct",
      healedBy: () => healthy.edit(BY_NAME),
    },
    "a rule that there is not": {
      given: healthy.edit(BY_PORT, refused("Invalid CiliumNetworkPolicy spec: L7 rules are not supported on deny")),
      repair: "CiliumNetworkPolicy/shop/egress",
      says: ["refuse CiliumNetworkPolicy/shop/egress", "L7 rules are not supported on deny"],
      breaks: ["policy.allow"],
      healedBy: () => healthy,
    },
  },
  clears: {
    "all are taken": healthy.edit(BY_NAME),
    "the policy is gone": healthy.edit(withoutProxy, refused(NOT_YET)),
    "another one was refused": healthy.edit(BY_NAME, refused(NOT_YET, "other")),
    "a cluster with flannel": built(),
  },
});
