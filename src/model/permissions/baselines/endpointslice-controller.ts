/**
 * The controller of EndpointSlices inside kube-controller-manager, by the API server's bootstrap policy.
 *
 * Source: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy (1.32, 1.36).
 */
import { type Baseline, bound, clusterRole, may, releases, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/endpointslice-controller", {
  slicesFreeze: {
    en: "EndpointSlices freeze: the back ends of Services are no longer followed",
    zh: "EndpointSlice 停止更新，Service 后端的变化不再被跟踪",
    breaks: ["endpoints"],
  },
  ownersUnproven: {
    en: "only a cluster that demands the right to name owners (OwnerReferencesPermissionEnforcement) refuses its slices",
    zh: "仅启用了 OwnerReferencesPermissionEnforcement 准入插件的集群会拒绝其 EndpointSlice",
  },
});

export const ENDPOINT_SLICE_CONTROLLER: Baseline = {
  id: "endpointslice-controller",
  releasesOf: "kubernetes",
  isBootstrap: true,
  variants: releases("1.32 1.36"),
  grants: [
    clusterRole("system:controller:endpointslice-controller", {
      rules: [
        may("get list watch", "nodes pods services"),
        may("update", "services/finalizers"),
        may("get list watch create update delete", "endpointslices", { in: "discovery.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:endpointslice-controller", "kube-system/endpointslice-controller")],
    }),
  ],
  losses: [
    without("*", "events", LOSS.eventsLost),
    without("*", "services/finalizers", OWN.ownersUnproven),
    without("*", "*", OWN.slicesFreeze),
  ],
};
