/**
 * The Cilium operator, by its chart with default values.
 *
 * Source: cilium/charts, templates/cilium-operator of each release.
 */
import { type Baseline, bound, clusterRole, may, ofGroup, releases, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/cilium-operator", {
  rangeLess: {
    en: "new nodes get no Pod range",
    zh: "新节点分配不到 Pod 网段",
    breaks: ["nodes"],
  },
  definitionsUnmade: {
    en: "CRDs that are missing are not made, and agents wait for them at their start",
    zh: "缺少的 CRD 不会创建，agent 启动时会一直等待",
    breaks: ["start"],
  },
  definitionsOld: {
    en: "after an upgrade the CRDs stay as the older release made them",
    zh: "升级后 CRD 仍停留在旧版本",
  },
  podsStay: {
    en: "Pods that were made before Cilium was ready are not restarted",
    zh: "Cilium 就绪之前创建的 Pod 不会被重启",
  },
});

/** The definitions that it keeps as its release has them: those of every release, and those of some. */
const EVERY_DEFINITION = `
  ciliumcidrgroups ciliumclusterwideenvoyconfigs ciliumclusterwidenetworkpolicies ciliumegressgatewaypolicies
  ciliumendpoints ciliumendpointslices ciliumenvoyconfigs ciliumidentities ciliuml2announcementpolicies
  ciliumloadbalancerippools ciliumlocalredirectpolicies ciliumnetworkpolicies ciliumnodeconfigs ciliumnodes
  ciliumpodippools`;
const OF_BGP = `
  ciliumbgpadvertisements ciliumbgpclusterconfigs ciliumbgpnodeconfigoverrides ciliumbgpnodeconfigs
  ciliumbgppeerconfigs`;
const DEFINITIONS: readonly (readonly [releases: string, more: string])[] = [
  ["v1.14", "ciliumbgppeeringpolicies ciliumexternalworkloads"],
  ["v1.15..v1.17", `${OF_BGP} ciliumbgppeeringpolicies ciliumexternalworkloads`],
  ["v1.18", `${OF_BGP} ciliumbgppeeringpolicies ciliumgatewayclassconfigs`],
  ["v1.19", `${OF_BGP} ciliumgatewayclassconfigs`],
  ["v1.20", `${OF_BGP} ciliumgatewayclassconfigs ciliumdatapathplugins`],
];

export const CILIUM_OPERATOR: Baseline = {
  id: "cilium-operator",
  releasesOf: "image",
  variants: releases("1.14 1.15 1.16 1.17 1.18 1.19 1.20"),
  grants: [
    clusterRole("cilium-operator", {
      rules: [
        may("get list watch delete", "pods"),
        may("patch", "configmaps", { named: "cilium-config", for: "v1.16.." }),
        may("list watch", "nodes"),
        may("patch", "nodes nodes/status"),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io" }),
        may("update patch", "services/status"),
        may("get list watch", "namespaces secrets serviceaccounts", { for: "v1.20" }),
        may("get list watch", "services", { for: "v1.20" }),
        may(
          "get list watch create update patch deletecollection",
          "ciliumclusterwidenetworkpolicies ciliumnetworkpolicies",
          { in: "cilium.io" },
        ),
        may("update patch", "ciliumclusterwidenetworkpolicies/status ciliumnetworkpolicies/status", {
          in: "cilium.io",
        }),
        may("list watch delete", "ciliumendpoints ciliumidentities", { in: "cilium.io" }),
        may("update", "ciliumidentities", { in: "cilium.io" }),
        may("get list watch create update delete", "ciliumnodes", { in: "cilium.io" }),
        may("update", "ciliumnodes/status", { in: "cilium.io" }),
        may(
          "get list watch create update patch delete",
          `
          ciliumbgpadvertisements ciliumbgpclusterconfigs ciliumbgpnodeconfigoverrides ciliumbgpnodeconfigs
          ciliumbgppeerconfigs ciliumcidrgroups ciliumendpointslices ciliumenvoyconfigs`,
          { in: "cilium.io", for: "v1.20" },
        ),
        may("update", "ciliumbgpclusterconfigs/status ciliumbgppeerconfigs/status", {
          in: "cilium.io",
          for: "v1.17..",
        }),
        may("get list watch create", "customresourcedefinitions", { in: "apiextensions.k8s.io" }),
        ...DEFINITIONS.map(([release, more]) =>
          may("update", "customresourcedefinitions", {
            in: "apiextensions.k8s.io",
            named: ofGroup(`${EVERY_DEFINITION} ${more}`, "cilium.io"),
            for: release,
          }),
        ),
        may("update", "customresourcedefinitions/status", {
          in: "apiextensions.k8s.io",
          named: `
          ciliumbgpclusterconfigs.cilium.io ciliumbgppeerconfigs.cilium.io ciliumbgpadvertisements.cilium.io
          ciliumbgpnodeconfigs.cilium.io ciliumbgpnodeconfigoverrides.cilium.io`,
          for: "v1.20",
        }),
        may("get list watch", "ciliumbgppeerconfigs ciliumdatapathplugins ciliumloadbalancerippools ciliumpodippools", {
          in: "cilium.io",
          for: "v1.20",
        }),
        may("create", "ciliumpodippools", { in: "cilium.io" }),
        may("patch", "ciliumloadbalancerippools/status", { in: "cilium.io" }),
        may("get create update", "leases", { in: "coordination.k8s.io" }),
        may("deletecollection", "ciliumendpointslices", { in: "cilium.io", for: "v1.19.." }),
        may("get list watch", "namespaces secrets", { for: "v1.17..v1.19" }),
        may("get list watch", "endpoints services", { for: "..v1.19" }),
        may(
          "get list watch create update patch delete",
          `
          ciliumbgpadvertisements ciliumbgpnodeconfigs ciliumbgppeerconfigs ciliumendpointslices
          ciliumenvoyconfigs`,
          { in: "cilium.io", for: "v1.15..v1.19" },
        ),
        may(
          "get list watch",
          `
          ciliumbgpclusterconfigs ciliumbgpnodeconfigoverrides ciliumbgppeerconfigs ciliumbgppeeringpolicies
          ciliumloadbalancerippools ciliumpodippools`,
          { in: "cilium.io", for: "v1.17..v1.19" },
        ),
        may("get list watch", "namespaces", { for: "..v1.16" }),
        may(
          "get list watch",
          `
          ciliumbgpclusterconfigs ciliumbgpnodeconfigoverrides ciliumbgppeeringpolicies
          ciliumloadbalancerippools ciliumpodippools`,
          { in: "cilium.io", for: "v1.16" },
        ),
        may(
          "get list watch",
          `
          ciliumbgpclusterconfigs ciliumbgpnodeconfigoverrides ciliumloadbalancerippools ciliumpodippools`,
          { in: "cilium.io", for: "v1.15" },
        ),
        may("get list watch create update patch delete", "ciliumendpointslices ciliumenvoyconfigs", {
          in: "cilium.io",
          for: "v1.14",
        }),
        may("get list watch", "ciliumloadbalancerippools ciliumpodippools", { in: "cilium.io", for: "v1.14" }),
      ],
      to: [bound("cilium-operator", "kube-system/cilium-operator")],
    }),
    role("cilium-secrets", "cilium-operator-tlsinterception-secrets", {
      for: "v1.17..",
      rules: [may("create update patch delete", "secrets")],
      to: [bound("cilium-operator-tlsinterception-secrets", "kube-system/cilium-operator", { in: "cilium-secrets" })],
    }),
    role("kube-system", "cilium-operator-ztunnel", {
      for: "v1.19..",
      rules: [
        may("get list watch create delete", "daemonsets", { in: "apps" }),
        may("get list watch", "serviceaccounts", { for: "v1.20" }),
      ],
      to: [bound("cilium-operator-ztunnel", "kube-system/cilium-operator", { in: "kube-system" })],
    }),
  ],
  losses: [
    without("*", "*", LOSS.optionsOnly, { of: "cilium-operator-tlsinterception-secrets cilium-operator-ztunnel" }),
    without("*", "leases", LOSS.leaderLess),
    without("list watch", "nodes", OWN.rangeLess),
    without("get list watch create update", "ciliumnodes", OWN.rangeLess),
    without("*", "ciliumnodes/status", LOSS.stateUnwritten),
    without("*", "nodes nodes/status", LOSS.taintStays),
    without("create get list watch", "customresourcedefinitions", OWN.definitionsUnmade),
    without("update", "customresourcedefinitions", OWN.definitionsOld),
    without("list watch", "ciliumidentities", LOSS.startBlocks),
    without("*", "ciliumidentities ciliumendpoints", LOSS.garbageStays),
    without("*", "pods", OWN.podsStay),
    without("*", "*", LOSS.optionsOnly),
  ],
};
