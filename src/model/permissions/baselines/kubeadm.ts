/**
 * What kubeadm binds to roles of the bootstrap policy when it sets up a cluster. Nobody makes these bindings again.
 *
 * Source: kubernetes cmd/kubeadm/app/phases/bootstraptoken, cmd/kubeadm/app/phases/kubeconfig.
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

  home: "kube-system",
  variants: [{ id: "any" }],
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
      to: [bound("kubeadm:apiserver-kubelet-client", "user:kube-apiserver-kubelet-client")],
    }),
    clusterRole("cluster-admin", {
      isForeign: true,
      rules: [],
      to: [bound("kubeadm:cluster-admins", "group:kubeadm:cluster-admins")],
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
