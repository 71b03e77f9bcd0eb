/**
 * kindnet, the network of kind.
 *
 * Source: kubernetes-sigs/kind pkg/build/nodeimage/const_cni.go of v0.32.0; its image has versions of its own.
 */
import { type Baseline, bound, clusterRole, may, without } from "../baseline.ts";
import { LOSS } from "../consequences.ts";

export const KINDNET: Baseline = {
  id: "kindnet",
  releasesOf: "image",
  variants: [{ id: "any" }],
  grants: [
    clusterRole("kindnet", {
      rules: [
        may("use", "podsecuritypolicies", { in: "policy", named: "kindnet" }),
        may("list watch", "namespaces nodes pods"),
        may("list watch", "networkpolicies", { in: "networking.k8s.io" }),
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
