/**
 * kube-router.
 *
 * Source: cloudnativelabs/kube-router daemonset/ of v1.6.0, v2.5.0 and v2.11.1.
 */
import { type Baseline, bound, clusterRole, may, releases, without } from "../baseline.ts";
import { LOSS } from "../consequences.ts";

export const KUBE_ROUTER: Baseline = {
  id: "kube-router",
  releasesOf: "image",
  variants: releases("1.6 2.5 2.11"),
  grants: [
    clusterRole("kube-router", {
      rules: [
        may("get list watch", "endpoints namespaces nodes pods services"),
        may("get list watch", "networkpolicies", { in: "networking.k8s.io" }),
        may("get list watch", "networkpolicies", { in: "extensions" }),
        may("get create update", "leases", { in: "coordination.k8s.io", for: "v2.5.." }),
        may("update", "services/status", { for: "v2.5.." }),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io", for: "v2.5.." }),
      ],
      to: [bound("kube-router", "kube-system/kube-router")],
    }),
  ],
  losses: [
    without("*", "networkpolicies", LOSS.otherReleases, { in: "extensions" }),
    without("*", "pods namespaces services nodes networkpolicies", LOSS.policiesFreeze),
    without("*", "endpoints endpointslices", LOSS.servicesFreeze),
    without("*", "*", LOSS.optionsOnly),
  ],
};
