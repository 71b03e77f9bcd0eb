/**
 * kube-scheduler, by the API server's bootstrap policy.
 *
 * Source: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy (1.32, 1.36).
 */
import { type Baseline, bound, clusterRole, may, releases, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/kube-scheduler", {
  unscheduled: {
    en: "Pods stay Pending, although nodes fit them",
    zh: "即使有合适的节点，Pod 也一直 Pending",
    breaks: ["start"],
    stops: ["pod.create"],
  },
  volumesUnbound: {
    en: "Pods whose volumes wait for a node stay Pending",
    zh: "存储卷等待选定节点的 Pod 一直 Pending",
  },
});

export const KUBE_SCHEDULER: Baseline = {
  id: "kube-scheduler",
  releasesOf: "kubernetes",
  isBootstrap: true,
  variants: releases("1.32 1.36"),
  grants: [
    clusterRole("system:kube-scheduler", {
      rules: [
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("create", "leases", { in: "coordination.k8s.io" }),
        may("get list watch update", "leases", { in: "coordination.k8s.io", named: "kube-scheduler" }),
        may("get list watch create update patch delete deletecollection", "leasecandidates", {
          in: "coordination.k8s.io",
        }),
        may("get list watch", "nodes"),
        may("get list watch delete", "pods"),
        may("create", "bindings pods/binding"),
        may("update patch", "pods/status"),
        may("get list watch", "replicationcontrollers services"),
        may("get list watch", "replicasets", { in: "apps extensions" }),
        may("get list watch", "statefulsets", { in: "apps" }),
        may("get list watch", "poddisruptionbudgets", { in: "policy" }),
        may("get list watch", "persistentvolumeclaims persistentvolumes"),
        may("create", "tokenreviews", { in: "authentication.k8s.io" }),
        may("create", "subjectaccessreviews", { in: "authorization.k8s.io" }),
        may("get list watch", "csinodes", { in: "storage.k8s.io" }),
        may("get list watch", "volumeattachments", { in: "storage.k8s.io" }),
        may("get list watch", "namespaces"),
        may("get list watch", "csidrivers", { in: "storage.k8s.io" }),
        may("get list watch", "csistoragecapacities", { in: "storage.k8s.io" }),
        may("get list watch", "deviceclasses", { in: "resource.k8s.io", for: "v1.36" }),
        may("get list watch update patch", "resourceclaims", { in: "resource.k8s.io", for: "v1.36" }),
        may("get list watch update patch", "resourceclaims/status", { in: "resource.k8s.io", for: "v1.36" }),
        may("update", "pods/finalizers", { for: "v1.36" }),
        may("get list watch", "resourceslices", { in: "resource.k8s.io", for: "v1.36" }),
        may("create delete", "resourceclaims", { in: "resource.k8s.io", for: "v1.36" }),
        may("update patch", "resourceclaims/binding", { in: "resource.k8s.io", for: "v1.36" }),
      ],
      to: [bound("system:kube-scheduler", "user:system:kube-scheduler")],
    }),
    clusterRole("system:volume-scheduler", {
      rules: [
        may("get list watch update patch", "persistentvolumes"),
        may("get list watch", "storageclasses", { in: "storage.k8s.io" }),
        may("get list watch update patch", "persistentvolumeclaims"),
      ],
      to: [bound("system:volume-scheduler", "user:system:kube-scheduler")],
    }),
    role("kube-system", "system::leader-locking-kube-scheduler", {
      rules: [
        may("get list watch create update", "leases", { in: "coordination.k8s.io" }),
        may("get list watch create update", "leasecandidates", { in: "coordination.k8s.io" }),
        may("watch", "configmaps", { for: "v1.32" }),
        may("get update", "configmaps", { named: "kube-scheduler", for: "v1.32" }),
      ],
      to: [
        bound("system::leader-locking-kube-scheduler", "user:system:kube-scheduler kube-system/kube-scheduler", {
          in: "kube-system",
        }),
      ],
    }),
  ],
  losses: [
    without("*", "*", OWN.volumesUnbound, { of: "system:volume-scheduler" }),
    without("*", "configmaps", LOSS.otherReleases, { of: "system::leader-locking-kube-scheduler" }),
    without("*", "*", LOSS.leaderLess, { of: "system::leader-locking-kube-scheduler" }),
    without("*", "leases leasecandidates", LOSS.leaderLess),
    without("*", "events", LOSS.eventsLost),
    without("create", "bindings pods/binding", OWN.unscheduled),
    without("*", "pods nodes namespaces", OWN.unscheduled),
    without("*", "pods/status", LOSS.stateUnwritten),
    without("*", "tokenreviews subjectaccessreviews", LOSS.metricsClosed),
    without(
      "*",
      "resourceclaims resourceclaims/status resourceclaims/binding resourceslices deviceclasses pods/finalizers",
      LOSS.optionsOnly,
    ),
    without("*", "*", LOSS.startBlocks),
  ],
};
