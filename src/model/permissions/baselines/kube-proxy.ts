/**
 * kube-proxy. Its ClusterRole is the API server's own; the binding for the ServiceAccount is kubeadm's, as are the Role and
 * binding by which nodes that join read its configuration.
 *
 * Sources: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy, cmd/kubeadm/app/phases/addons/proxy.
 */
import { type Baseline, bound, clusterRole, may, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/kube-proxy", {
  nodeUnknown: {
    en: "it learns neither its node's addresses nor its Pod range: its next start waits for them",
    zh: "获知不了本节点的地址和 Pod 网段，下次启动时会一直等待",
    breaks: ["start"],
  },
  rangesUnknown: {
    en: "it complains in its log, and in nftables mode does not refuse addresses that no Service has",
    zh: "日志中反复报错；nftables 模式下不会拒绝未被任何 Service 使用的地址",
  },
});

export const KUBE_PROXY: Baseline = {
  id: "kube-proxy",
  releasesOf: "image",
  variants: [
    { id: "v1.19", releases: { from: "1.19", to: "1.32" } },
    { id: "v1.33", releases: { from: "1.33" } },
  ],
  grants: [
    clusterRole("system:node-proxier", {
      isBootstrap: true,
      rules: [
        may("list watch", "endpoints services"),
        may("get list watch", "nodes"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("list watch", "servicecidrs", { in: "networking.k8s.io", for: "v1.33" }),
        may("list watch", "endpointslices", { in: "discovery.k8s.io" }),
      ],
      to: [
        bound("system:node-proxier", "user:system:kube-proxy", { isBootstrap: true }),
        bound("kubeadm:node-proxier", "kube-system/kube-proxy"),
      ],
    }),
    role("kube-system", "kube-proxy", {
      rules: [may("get", "configmaps", { named: "kube-proxy" })],
      to: [bound("kube-proxy", "group:system:bootstrappers:kubeadm:default-node-token", { in: "kube-system" })],
    }),
  ],
  losses: [
    without("*", "services endpointslices", LOSS.servicesFreeze),
    without("*", "nodes", OWN.nodeUnknown),
    without("*", "servicecidrs", OWN.rangesUnknown),
    without("*", "events", LOSS.eventsLost),
    without("*", "endpoints", LOSS.otherReleases),
    without("*", "configmaps", LOSS.joinStops),
  ],
};
