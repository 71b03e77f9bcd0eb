/**
 * What kubeadm binds to roles of the bootstrap policy when it sets up a cluster. Nobody makes these bindings again.
 *
 * Source: kubernetes cmd/kubeadm/app/phases/bootstraptoken, cmd/kubeadm/app/phases/kubeconfig; clusters that kubeadm 1.32 and
 * 1.33 set up show since when the API server's own client has a binding.
 */
import { type Baseline, bound, clusterRole, may, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/kubeadm", {
  certificatesExpire: {
    en: "kubelets' certificates are not renewed: nodes drop out when theirs runs out",
    zh: "kubelet 证书不再自动续期：到期的节点会掉线",
    stops: ["certificate.renew"],
  },
  kubeletClosed: {
    en: "kubelets refuse the API server: no `kubectl logs`, `exec` and `port-forward`",
    zh: "kubelet 拒绝 API Server：`kubectl logs`、`exec`、`port-forward` 不可用",
  },
  informationClosed: {
    en: "nodes cannot join by a bootstrap token alone: nobody may read ConfigMap cluster-info before logging in (some close it on purpose)",
    zh: "新节点无法仅凭 bootstrap token 加入：未登录者读不到 ConfigMap cluster-info（也有人有意关闭）",
  },
  administratorLocked: {
    en: "kubeadm's admin.conf may do nothing any more; super-admin.conf still may",
    zh: "kubeadm 的 admin.conf 失去全部权限，super-admin.conf 仍然可用",
  },
});

/** Whoever shows a bootstrap token that kubeadm made. */
const JOINING = "group:system:bootstrappers:kubeadm:default-node-token";

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
      to: [bound("kubeadm:kubelet-bootstrap", JOINING)],
    }),
    clusterRole("system:certificates.k8s.io:certificatesigningrequests:nodeclient", {
      isForeign: true,
      rules: [],
      to: [bound("kubeadm:node-autoapprove-bootstrap", JOINING)],
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
    // what `kubeadm join` reads, first of all without a name
    role("kube-public", "kubeadm:bootstrap-signer-clusterinfo", {
      rules: [may("get", "configmaps", { named: "cluster-info" })],
      to: [bound("kubeadm:bootstrap-signer-clusterinfo", "user:system:anonymous", { in: "kube-public" })],
    }),
    role("kube-system", "kubeadm:nodes-kubeadm-config", {
      rules: [may("get", "configmaps", { named: "kubeadm-config" })],
      to: [bound("kubeadm:nodes-kubeadm-config", `${JOINING} group:system:nodes`, { in: "kube-system" })],
    }),
    // until 1.23 its name ended with the release
    role("kube-system", "kubeadm:kubelet-config", {
      for: "v1.29..",
      rules: [may("get", "configmaps", { named: "kubelet-config" })],
      to: [bound("kubeadm:kubelet-config", `group:system:nodes ${JOINING}`, { in: "kube-system", for: "v1.29.." })],
    }),
    clusterRole("kubeadm:get-nodes", {
      rules: [may("get", "nodes")],
      to: [bound("kubeadm:get-nodes", JOINING)],
    }),
  ],
  losses: [
    without("*", "*", OWN.informationClosed, { of: "kubeadm:bootstrap-signer-clusterinfo" }),
    without("*", "*", OWN.certificatesExpire, {
      of: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    }),
    without("*", "*", OWN.kubeletClosed, { of: "system:kubelet-api-admin" }),
    without("*", "*", OWN.administratorLocked, { of: "cluster-admin" }),
    without("*", "*", LOSS.joinStops),
  ],
};
