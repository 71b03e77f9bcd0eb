import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects, networkPolicy } from "../../../testing/cluster-edits.ts";
import { kindCluster } from "../../../testing/kindnet.ts";
import { networkPolicyUnenforced } from "./network-policy-unenforced.ts";

const policies = (built: Cluster, ...names: readonly string[]) =>
  built.with(...names.map((name) => networkPolicy(name, { podSelector: {} })));
const FLANNEL = "DaemonSet/kube-flannel/kube-flannel-ds";

/** kindnet of before kind v0.24, which makes no table of policies. */
const oldKindnet: Edit = (draft) => {
  editObjects("daemonsets", "kindnet", ({ spec, ...set }) => {
    const [container] = spec.template.spec.containers;
    const containers = [{ ...container!, image: "docker.io/kindest/kindnetd:v20240513-cd2ac642" }];
    return { ...set, spec: { ...spec, template: { ...spec.template, spec: { ...spec.template.spec, containers } } } };
  })(draft);
  for (const { metadata } of draft.list("nodes"))
    editNode(draft, "nftables", metadata.name, (all) => ({
      ...all,
      tables: all.tables.filter(({ name }) => name !== "kindnet-network-policies"),
    }));
};

testCheck(networkPolicyUnenforced, {
  finds: {},
  warns: {
    "a policy is written for a cluster with flannel alone": {
      given: policies(cluster(), "deny-all"),
      repair: FLANNEL,
      says: ["1 NetworkPolicy exists and nothing enforces it: flannel alone does not"],
    },
    "kind of before v0.24": {
      given: policies(kindCluster(), "deny-all").edit(oldKindnet),
      repair: "DaemonSet/kube-system/kindnet",
      says: ["nothing enforces it: kindnet alone does not"],
    },
    "a chart brought several": {
      given: policies(cluster(), "deny-all", "allow-dns", "backend"),
      repair: FLANNEL,
      says: ["3 NetworkPolicies exist and nothing enforces them"],
    },
  },
  clears: {
    "a healthy cluster without policies": cluster(),
    "kindnet enforces them": policies(kindCluster(), "deny-all"),
    "kube-router enforces them": policies(cluster({ enforcer: true }), "deny-all"),
    "a managed cluster may enforce them in its own way": policies(cluster({ flavour: "managed" }), "deny-all"),
    "k3s does, inside its one process": policies(cluster({ flavour: "k3s" }), "deny-all"),
    "an enforcer may be among what we may not read": policies(cluster(), "deny-all").without("daemonsets"),
  },
});
