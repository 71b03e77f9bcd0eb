/**
 * metrics-server, which needs two of the bootstrap policy's roles besides its own.
 *
 * Source: kubernetes-sigs/metrics-server components.yaml of v0.9.0.
 */
import { type Baseline, bound, clusterRole, may, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/metrics-server", {
  metricsGone: {
    en: "`kubectl top` and autoscalers get no numbers",
    zh: "`kubectl top` 和自动扩缩容得不到指标",
  },
});

export const METRICS_SERVER: Baseline = {
  id: "metrics-server",
  releasesOf: "image",
  variants: [{ id: "any" }],
  grants: [
    clusterRole("system:aggregated-metrics-reader", {
      labels: {
        "rbac.authorization.k8s.io/aggregate-to-view": "true",
        "rbac.authorization.k8s.io/aggregate-to-edit": "true",
        "rbac.authorization.k8s.io/aggregate-to-admin": "true",
      },
      rules: [may("get list watch", "nodes pods", { in: "metrics.k8s.io" })],
      to: [],
    }),
    clusterRole("system:metrics-server", {
      rules: [may("get", "nodes/metrics"), may("get list watch", "nodes pods")],
      to: [bound("system:metrics-server", "kube-system/metrics-server")],
    }),
    clusterRole("system:auth-delegator", {
      isForeign: true,
      rules: [],
      to: [bound("metrics-server:system:auth-delegator", "kube-system/metrics-server")],
    }),
    role("kube-system", "extension-apiserver-authentication-reader", {
      isForeign: true,
      rules: [],
      to: [bound("metrics-server-auth-reader", "kube-system/metrics-server", { in: "kube-system" })],
    }),
  ],
  losses: [
    without("*", "*", LOSS.holdersLose, { of: "system:aggregated-metrics-reader" }),
    without("*", "*", OWN.metricsGone),
  ],
};
