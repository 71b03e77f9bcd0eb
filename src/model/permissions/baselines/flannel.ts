/**
 * flannel, by its manifest, its chart and kubespray. The manifest lives in kube-flannel since v0.19, in kube-system before.
 *
 * Sources: flannel-io/flannel Documentation/kube-flannel.yml and chart/kube-flannel, kubespray roles/network_plugin/flannel.
 */
import { type Baseline, bound, clusterRole, may, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/flannel", {
  unpublished: {
    en: "it cannot publish its own address: the other nodes do not learn how to reach it",
    zh: "无法发布本节点的地址，其他节点不知道如何到达该节点",
    breaks: ["nodes", "start"],
  },
  // pkg/subnet/kube/kube.go, GetStoredMacAddresses: the lease comes from the list; without `get`, as in Canal, it works
  macForgotten: {
    en: "after a restart its device has another MAC address, which the other nodes have to learn anew",
    zh: "重启后其隧道设备的 MAC 地址会改变，其他节点需重新获知",
  },
  nodeUnnamed: {
    en: "it exits at its start: it finds its node's name in its own Pod",
    zh: "启动即退出：它从自己的 Pod 中获知节点名",
    breaks: ["start"],
  },
});

export const FLANNEL: Baseline = {
  id: "flannel",
  releasesOf: "image",
  variants: [
    { id: "v0.14", releases: { to: "0.18" } },
    { id: "v0.19", releases: { from: "0.19", to: "0.20" } },
    { id: "v0.21", releases: { from: "0.21", to: "0.23" } },
    // nodes get since v0.20.2; clustercidrs are gone since v0.24.1
    { id: "v0.24", releases: { from: "0.24" } },
    { id: "kubespray", releases: { from: "0.21" }, installer: "kubespray" },
    { id: "helm", releases: { from: "0.20" }, installer: "helm" },
  ],
  grants: [
    clusterRole("flannel", {
      rules: [
        may("get list watch", "namespaces nodes pods", { for: "helm" }),
        may("patch", "nodes/status"),
        may("get", "pods", { for: "..kubespray" }),
        may("get list watch", "nodes", { for: "v0.21..kubespray" }),
        may("list watch", "clustercidrs", { in: "networking.k8s.io", for: "v0.21 kubespray" }),
        may("list watch", "nodes", { for: "..v0.19" }),
        may("use", "podsecuritypolicies", { in: "extensions", named: "psp.flannel.unprivileged", for: "v0.14" }),
      ],
      to: [
        bound("flannel", "kube-system/flannel", { for: "v0.14 kubespray" }),
        bound("flannel", "kube-flannel/flannel", { for: "v0.19 v0.21 v0.24 helm" }),
      ],
    }),
  ],
  losses: [
    without("list watch", "nodes", LOSS.nodesFreeze),
    without("get", "nodes", OWN.macForgotten),
    without("patch", "nodes/status", OWN.unpublished),
    without("get", "pods", OWN.nodeUnnamed, { unlessEnv: "NODE_NAME" }),
    without("*", "pods", LOSS.otherReleases),
    without("*", "namespaces", LOSS.optionsOnly),
    without("*", "clustercidrs podsecuritypolicies", LOSS.otherReleases),
  ],
};
