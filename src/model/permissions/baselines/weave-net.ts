/**
 * Weave Net, whose last release is v2.8.1.
 *
 * Source: weaveworks/weave prog/weave-kube.
 */
import { type Baseline, bound, clusterRole, may, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/weave-net", {
  peersStay: {
    en: "addresses of peers that are gone are not reclaimed, and nodes that join find none",
    zh: "已离开节点的地址不会回收，新加入的节点找不到对等体",
    breaks: ["nodes"],
  },
});

export const WEAVE_NET: Baseline = {
  id: "weave-net",
  releasesOf: "image",
  variants: [{ id: "any" }],
  grants: [
    clusterRole("weave-net", {
      rules: [
        may("get list watch", "namespaces nodes pods"),
        may("get list watch", "networkpolicies", { in: "extensions" }),
        may("get list watch", "networkpolicies", { in: "networking.k8s.io" }),
        may("update patch", "nodes/status"),
      ],
      to: [bound("weave-net", "kube-system/weave-net")],
    }),
    role("kube-system", "weave-net", {
      rules: [may("get update", "configmaps", { named: "weave-net" }), may("create", "configmaps")],
      to: [bound("weave-net", "kube-system/weave-net", { in: "kube-system" })],
    }),
  ],
  losses: [
    without("*", "networkpolicies", LOSS.otherReleases, { in: "extensions" }),
    without("*", "nodes", LOSS.nodesFreeze),
    without("*", "pods namespaces networkpolicies", LOSS.policiesFreeze),
    without("*", "configmaps", OWN.peersStay),
    without("*", "nodes/status", LOSS.taintStays),
    without("*", "*", LOSS.optionsOnly),
  ],
};
