import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { networkPolicy } from "../../../testing/cluster-edits.ts";
import { networkPolicyUnenforced } from "./network-policy-unenforced.ts";

const policies = (built: Cluster, ...names: readonly string[]) =>
  built.with(...names.map((name) => networkPolicy(name, { podSelector: {} })));
const FLANNEL = "DaemonSet/kube-flannel/kube-flannel-ds";

testCheck(networkPolicyUnenforced, {
  finds: {},
  warns: {
    "a policy is written for a cluster with flannel alone": {
      given: policies(cluster(), "deny-all"),
      repair: FLANNEL,
      says: ["1 NetworkPolicy exists and nothing enforces it: flannel alone does not"],
    },
    "a chart brought several": {
      given: policies(cluster(), "deny-all", "allow-dns", "backend"),
      repair: FLANNEL,
      says: ["3 NetworkPolicies exist and nothing enforces them"],
    },
  },
  clears: {
    "a healthy cluster without policies": cluster(),
    "kube-router enforces them": policies(cluster({ enforcer: true }), "deny-all"),
    "a managed cluster may enforce them in its own way": policies(cluster({ flavour: "managed" }), "deny-all"),
    "k3s does, inside its one process": policies(cluster({ flavour: "k3s" }), "deny-all"),
    "an enforcer may be among what we may not read": policies(cluster(), "deny-all").without("daemonsets"),
  },
});
