/**
 * kindnet, the network of kind.
 *
 * Source: kubernetes-sigs/kind pkg/build/nodeimage/const_cni.go, v0.7.0 to v0.32.0. The image's version is the day of its making;
 * NetworkPolicies came with kind v0.24.0 (commit c3e24ff7).
 */
import { type Baseline, bound, clusterRole, may, without } from "../baseline.ts";
import { LOSS } from "../consequences.ts";

export const KINDNET: Baseline = {
  id: "kindnet",
  releasesOf: "image",
  variants: [
    { id: "v2020", releases: { to: "20240722" } },
    { id: "v2024", releases: { from: "20240723" } },
  ],
  grants: [
    clusterRole("kindnet", {
      rules: [
        may("use", "podsecuritypolicies", { in: "policy", named: "kindnet" }),
        may("list watch", "nodes", { for: "v2020" }),
        may("list watch", "namespaces nodes pods", { for: "v2024" }),
        may("list watch", "networkpolicies", { in: "networking.k8s.io", for: "v2024" }),
      ],
      to: [bound("kindnet", "kube-system/kindnet")],
    }),
  ],
  losses: [
    without("*", "nodes", LOSS.nodesFreeze),
    without("*", "pods namespaces networkpolicies", LOSS.policiesFreeze),
    without("*", "*", LOSS.otherReleases),
  ],
};
