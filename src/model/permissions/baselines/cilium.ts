/**
 * The Cilium agent, by its chart with default values.
 *
 * Source: cilium/charts, templates/cilium-agent of each release.
 */
import { type Baseline, bound, clusterRole, may, releases, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/cilium", {
  unlabelled: {
    en: "it cannot read the labels of Pods: new Pods keep the identity reserved:init, and all their traffic is dropped",
    zh: "读不到 Pod 标签：新建 Pod 停留在 reserved:init 身份，其全部流量被丢弃",
    breaks: ["pods", "start"],
  },
  identityLess: {
    en: "no identities are allocated: new Pods wait for one, and their traffic is dropped",
    zh: "无法分配身份：新建 Pod 一直等待身份，其流量被丢弃",
    breaks: ["pods"],
  },
  endpointsUnknown: {
    en: "nodes do not learn each other's new Pods: their packets count as foreign, and policies drop them",
    zh: "节点之间感知不到对方的新建 Pod：其报文被当作外部流量，并被策略丢弃",
    breaks: ["pods"],
  },
  endpointsStale: {
    en: "CiliumEndpoints of Pods that are gone stay",
    zh: "已删除 Pod 的 CiliumEndpoint 不会清理",
  },
  peersUnknown: {
    en: "it neither announces its node nor learns of others: no tunnels and routes to nodes that join or change",
    zh: "既不发布本节点，也感知不到其他节点：没有通往新节点或变更节点的隧道和路由",
    breaks: ["nodes"],
  },
  definitionsUnseen: {
    en: "its next start waits for CRDs that it cannot see",
    zh: "下次启动时会一直等待它看不到的 CRD",
    breaks: ["start"],
  },
  configUnread: {
    en: "its init container cannot read cilium-config: a Pod that restarts does not get past it",
    zh: "init 容器读不到 cilium-config，重启的 Pod 无法完成初始化",
    breaks: ["start"],
  },
});

export const CILIUM: Baseline = {
  id: "cilium",
  releasesOf: "image",
  variants: releases("1.14 1.15 1.16 1.17 1.18 1.19 1.20"),
  grants: [
    clusterRole("cilium", {
      rules: [
        may("get list watch", "networkpolicies", { in: "networking.k8s.io" }),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io" }),
        may("get list watch", "namespaces nodes pods services", { for: "v1.20" }),
        may("get list watch", "customresourcedefinitions", { in: "apiextensions.k8s.io" }),
        may(
          "list watch",
          `
          ciliumbgpadvertisements ciliumbgpnodeconfigs ciliumbgppeerconfigs ciliumcidrgroups
          ciliumclusterwideenvoyconfigs ciliumclusterwidenetworkpolicies ciliumdatapathplugins
          ciliumegressgatewaypolicies ciliumendpoints ciliumendpointslices ciliumenvoyconfigs ciliumidentities
          ciliuml2announcementpolicies ciliumloadbalancerippools ciliumlocalredirectpolicies
          ciliumnetworkpolicies ciliumnodeconfigs ciliumnodes ciliumpodippools`,
          { in: "cilium.io", for: "v1.20" },
        ),
        may("create", "ciliumendpoints ciliumidentities ciliumnodes", { in: "cilium.io" }),
        may("update", "ciliumidentities", { in: "cilium.io" }),
        may("get delete", "ciliumendpoints", { in: "cilium.io" }),
        may("get update", "ciliumnodes ciliumnodes/status", { in: "cilium.io" }),
        may(
          "patch",
          `
          ciliumbgpnodeconfigs/status ciliumendpoints ciliumendpoints/status
          ciliuml2announcementpolicies/status`,
          { in: "cilium.io", for: "v1.16.." },
        ),
        may("get list watch", "endpoints namespaces nodes pods services", { for: "..v1.19" }),
        may(
          "list watch",
          `
          ciliumbgpadvertisements ciliumbgpnodeconfigs ciliumbgppeerconfigs ciliumbgppeeringpolicies
          ciliumcidrgroups ciliumclusterwideenvoyconfigs ciliumclusterwidenetworkpolicies
          ciliumegressgatewaypolicies ciliumendpoints ciliumendpointslices ciliumenvoyconfigs ciliumidentities
          ciliuml2announcementpolicies ciliumloadbalancerippools ciliumlocalredirectpolicies
          ciliumnetworkpolicies ciliumnodeconfigs ciliumnodes ciliumpodippools`,
          { in: "cilium.io", for: "v1.15..v1.19" },
        ),
        may(
          "patch",
          `
          ciliumbgpnodeconfigs/status ciliumclusterwidenetworkpolicies/status ciliumendpoints
          ciliumendpoints/status ciliuml2announcementpolicies/status ciliumnetworkpolicies/status`,
          { in: "cilium.io", for: "v1.15" },
        ),
        may(
          "list watch",
          `
          ciliumbgppeeringpolicies ciliumcidrgroups ciliumclusterwideenvoyconfigs
          ciliumclusterwidenetworkpolicies ciliumegressgatewaypolicies ciliumendpoints ciliumendpointslices
          ciliumenvoyconfigs ciliumidentities ciliuml2announcementpolicies ciliumloadbalancerippools
          ciliumlocalredirectpolicies ciliumnetworkpolicies ciliumnodeconfigs ciliumnodes ciliumpodippools`,
          { in: "cilium.io", for: "v1.14" },
        ),
        may(
          "patch",
          `
          ciliumclusterwidenetworkpolicies/status ciliumendpoints ciliumendpoints/status
          ciliuml2announcementpolicies/status ciliumnetworkpolicies/status`,
          { in: "cilium.io", for: "v1.14" },
        ),
      ],
      to: [bound("cilium", "kube-system/cilium")],
    }),
    role("kube-system", "cilium-config-agent", {
      usedBy: "config",
      rules: [may("get list watch", "configmaps")],
      to: [bound("cilium-config-agent", "kube-system/cilium", { in: "kube-system" })],
    }),
    role("cilium-secrets", "cilium-tlsinterception-secrets", {
      for: "v1.17..",
      rules: [may("get list watch", "secrets")],
      to: [bound("cilium-tlsinterception-secrets", "kube-system/cilium", { in: "cilium-secrets" })],
    }),
  ],
  losses: [
    without("*", "*", OWN.configUnread, { of: "cilium-config-agent" }),
    without("*", "*", LOSS.optionsOnly, { of: "cilium-tlsinterception-secrets" }),
    without("list watch", "pods namespaces", OWN.unlabelled),
    without("list watch", "services endpointslices", LOSS.servicesFreeze),
    without("list watch", "nodes", LOSS.nodesFreeze),
    without(
      "list watch",
      "networkpolicies ciliumnetworkpolicies ciliumclusterwidenetworkpolicies",
      LOSS.policiesFreeze,
    ),
    without("list watch", "ciliumcidrgroups", LOSS.policiesFreeze),
    without("get list watch create update", "ciliumnodes", OWN.peersUnknown),
    without("list watch create", "ciliumidentities", OWN.identityLess),
    without("list watch create patch", "ciliumendpoints", OWN.endpointsUnknown),
    without("delete get", "ciliumendpoints", OWN.endpointsStale),
    without("update", "ciliumidentities", LOSS.garbageStays),
    without("list watch", "customresourcedefinitions", OWN.definitionsUnseen),
    without("*", "ciliumnodes/status ciliumendpoints/status ciliumnetworkpolicies/status", LOSS.stateUnwritten),
    without("*", "ciliumclusterwidenetworkpolicies/status", LOSS.stateUnwritten),
    without("*", "endpoints", LOSS.otherReleases),
    // what nobody asks for one by one
    without("get", "*", LOSS.otherReleases),
    without("*", "*", LOSS.optionsOnly),
  ],
};
