/**
 * CoreDNS. Its role carries the label of the bootstrap policy, and yet no API server makes it again.
 *
 * Sources: kubernetes cmd/kubeadm/app/phases/addons/dns/manifests.go, kubespray roles/kubernetes-apps/ansible/templates,
 * coredns plugin/kubernetes, notes/coredns-1.8.1.md (from then on it watches EndpointSlices).
 */
import { type Baseline, bound, clusterRole, may, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/coredns", {
  namesFreeze: {
    en: "names of Services are answered as they were learned last, and after a restart with SERVFAIL",
    zh: "Service 名称仍按最后一次获知的状态应答；重启后返回 SERVFAIL",
    breaks: ["names", "start"],
  },
  importsFreeze: {
    en: "names of Services of other clusters are not followed, and a restart does not become ready",
    zh: "其他集群的 Service 名称不再更新，重启后无法就绪",
    breaks: ["names", "start"],
  },
  podsUnverified: {
    en: "names of Pods cannot be verified where the Corefile says `pods verified`",
    zh: "Corefile 配置了 `pods verified` 时，无法核实 Pod 名称",
  },
});

export const COREDNS: Baseline = {
  id: "coredns",
  releasesOf: "image",
  variants: [
    { id: "v1.6", releases: { to: "1.8.0" } },
    // before 1.8.1 it may have it, and does not need it
    { id: "v1.7", releases: { from: "1.8.1" } },
    { id: "kubespray", releases: { from: "1.8.1" }, installer: "kubespray" },
    { id: "multicluster", releases: { from: "1.8.1" }, option: "multicluster" },
  ],
  grants: [
    clusterRole("system:coredns", {
      rules: [
        may("list watch", "endpoints namespaces pods services"),
        may("list watch", "endpointslices", { in: "discovery.k8s.io", for: "v1.7.." }),
        may("list watch", "serviceimports", { in: "multicluster.x-k8s.io", for: "multicluster" }),
        may("get", "nodes", { for: "kubespray" }),
      ],
      to: [bound("system:coredns", "kube-system/coredns")],
    }),
  ],
  losses: [
    without("*", "services endpointslices namespaces", OWN.namesFreeze),
    without("*", "serviceimports", OWN.importsFreeze),
    without("*", "pods", OWN.podsUnverified),
    without("*", "endpoints nodes", LOSS.otherReleases),
  ],
};
