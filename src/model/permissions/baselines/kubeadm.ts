/**
 * What kubeadm binds to roles of the bootstrap policy when it sets up a cluster. Nobody makes these bindings again.
 *
 * Source: kubernetes cmd/kubeadm/app/phases/bootstraptoken, cmd/kubeadm/app/phases/kubeconfig; clusters that kubeadm 1.32 and
 * 1.33 set up show since when the API server's own client has a binding.
 */
import { type Baseline, bound, clusterRole, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/kubeadm", {
  certificatesExpire: {
    en: "kubelets' certificates are not renewed: nodes drop out when theirs runs out",
    zh: "kubelet 证书不再自动续期：到期的节点会掉线",
  },
  kubeletClosed: {
    en: "kubelets refuse the API server: no `kubectl logs`, `exec` and `port-forward`",
    zh: "kubelet 拒绝 API Server：`kubectl logs`、`exec`、`port-forward` 不可用",
  },
  administratorLocked: {
    en: "kubeadm's admin.conf may do nothing any more; super-admin.conf still may",
    zh: "kubeadm 的 admin.conf 失去全部权限，super-admin.conf 仍然可用",
  },
});

export const KUBEADM: Baseline = {
  id: "kubeadm",
  releasesOf: "kubernetes",
  variants: [
    { id: "v1.28", releases: { to: "1.28" } },
    { id: "v1.29", releases: { from: "1.29", to: "1.32" } },
    { id: "v1.33", releases: { from: "1.33" } },
  ],
  grants: [
    clusterRole("system:node-bootstrapper", {
      isForeign: true,
      rules: [],
      to: [bound("kubeadm:kubelet-bootstrap", "group:system:bootstrappers:kubeadm:default-node-token")],
    }),
    clusterRole("system:certificates.k8s.io:certificatesigningrequests:nodeclient", {
      isForeign: true,
      rules: [],
      to: [bound("kubeadm:node-autoapprove-bootstrap", "group:system:bootstrappers:kubeadm:default-node-token")],
    }),
    clusterRole("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", {
      isForeign: true,
      rules: [],
      to: [bound("kubeadm:node-autoapprove-certificate-rotation", "group:system:nodes")],
    }),
    clusterRole("system:kubelet-api-admin", {
      isForeign: true,
      rules: [],
      to: [bound("kubeadm:apiserver-kubelet-client", "user:kube-apiserver-kubelet-client", { for: "v1.33" })],
    }),
    clusterRole("cluster-admin", {
      isForeign: true,
      rules: [],
      to: [bound("kubeadm:cluster-admins", "group:kubeadm:cluster-admins", { for: "v1.29.." })],
    }),
  ],
  losses: [
    without("*", "*", OWN.certificatesExpire, {
      of: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    }),
    without("*", "*", OWN.kubeletClosed, { of: "system:kubelet-api-admin" }),
    without("*", "*", OWN.administratorLocked, { of: "cluster-admin" }),
    without("*", "*", LOSS.joinStops),
  ],
};
