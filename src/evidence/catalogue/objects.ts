/** Lists of API objects. */
import { type ApiList, apiListReader, type ItemSchema, jsonLinesReader } from "../../parse/api-list.ts";
import { projectionOf } from "../../parse/json/projection.ts";
import * as objects from "../../parse/objects.ts";
import type { Template } from "../../text.ts";
import type { Kind } from "../kind.ts";

function list<T>(resource: string, schema: ItemSchema<T>, hides: Template): Kind<ApiList<T>> {
  return {
    path: `${resource}.json`,
    how: { list: `/${resource}` },
    open: () => apiListReader(schema),
    openLines: () => jsonLinesReader(schema),
    projection: () => projectionOf(schema),
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "small",
  };
}

export const objectLists = {
  pods: list("api/v1/pods", objects.pod, {
    en: "which Pods exist, where they run and whether they are ready",
    zh: "有哪些 Pod、运行在哪个节点、是否就绪",
  }),
  nodes: list("api/v1/nodes", objects.node, {
    en: "the nodes, their addresses and Pod ranges",
    zh: "节点及其地址、Pod 网段",
  }),
  namespaces: list("api/v1/namespaces", objects.namespace, {
    en: "the labels of namespaces, by which NetworkPolicies select, and which of them cannot be deleted",
    zh: "命名空间的标签（NetworkPolicy 据此选择），以及哪些命名空间无法删除",
  }),
  services: list("api/v1/services", objects.service, { en: "what Services demand", zh: "Service 的期望状态" }),
  endpointslices: list("apis/discovery.k8s.io/*/endpointslices", objects.endpointSlice, {
    en: "the back ends of Services",
    zh: "Service 的后端",
  }),
  configmaps: list("api/v1/configmaps", objects.configMap, {
    en: "the configuration of CoreDNS, kube-proxy and the CNI",
    zh: "CoreDNS、kube-proxy 和 CNI 的配置",
  }),
  serviceaccounts: list("api/v1/serviceaccounts", objects.serviceAccount, {
    en: "which ServiceAccounts exist",
    zh: "有哪些 ServiceAccount",
  }),
  events: list("api/v1/events", objects.event, { en: "recent events", zh: "近期事件" }),
  daemonsets: list("apis/apps/*/daemonsets", objects.workload, {
    en: "which agents belong on which nodes",
    zh: "哪些节点应当运行哪些代理",
  }),
  deployments: list("apis/apps/*/deployments", objects.workload, {
    en: "how many replicas Deployments ask for",
    zh: "Deployment 期望的副本数",
  }),
  statefulsets: list("apis/apps/*/statefulsets", objects.workload, {
    en: "how many replicas StatefulSets ask for",
    zh: "StatefulSet 期望的副本数",
  }),
  replicasets: list("apis/apps/*/replicasets", objects.workload, {
    en: "which Deployment a Pod belongs to",
    zh: "Pod 属于哪个 Deployment",
  }),
  networkpolicies: list("apis/networking.k8s.io/*/networkpolicies", objects.networkPolicy, {
    en: "which traffic NetworkPolicies allow",
    zh: "NetworkPolicy 放行哪些流量",
  }),
  ciliumnetworkpolicies: list("apis/cilium.io/*/ciliumnetworkpolicies", objects.ciliumPolicy, {
    en: "which traffic policies of Cilium's own kind allow",
    zh: "Cilium 自有类型的策略放行哪些流量",
  }),
  ciliumclusterwidenetworkpolicies: list("apis/cilium.io/*/ciliumclusterwidenetworkpolicies", objects.ciliumPolicy, {
    en: "which traffic cluster-wide policies of Cilium's own kind allow",
    zh: "Cilium 自有类型的全局策略放行哪些流量",
  }),
  ciliumnodes: list("apis/cilium.io/*/ciliumnodes", objects.ciliumNode, {
    en: "which Pod ranges and addresses Cilium's agents on other nodes know of a node",
    zh: "其他节点上的 Cilium 代理所知的某节点的 Pod 网段和地址",
  }),
  caliconetworkpolicies: list("apis/crd.projectcalico.org/*/networkpolicies", objects.calicoPolicy, {
    en: "which traffic policies of Calico's own kind allow and deny",
    zh: "Calico 自有类型的策略放行和禁止哪些流量",
  }),
  globalnetworkpolicies: list("apis/crd.projectcalico.org/*/globalnetworkpolicies", objects.calicoPolicy, {
    en: "which traffic cluster-wide policies of Calico's own kind allow and deny",
    zh: "Calico 自有类型的全局策略放行和禁止哪些流量",
  }),
  caliconetworksets: list("apis/crd.projectcalico.org/*/networksets", objects.calicoNetworkSet, {
    en: "which addresses Calico's policies of a namespace mean by their labels",
    zh: "Calico 命名空间策略的标签所指的地址",
  }),
  globalnetworksets: list("apis/crd.projectcalico.org/*/globalnetworksets", objects.calicoNetworkSet, {
    en: "which addresses Calico's policies mean by their labels",
    zh: "Calico 策略的标签所指的地址",
  }),
  hostendpoints: list("apis/crd.projectcalico.org/*/hostendpoints", objects.hostEndpoint, {
    en: "which interfaces of nodes Calico's policies apply to",
    zh: "Calico 策略作用于节点的哪些网卡",
  }),
  ippools: list("apis/crd.projectcalico.org/*/ippools", objects.ipPool, {
    en: "from which ranges Calico gives Pods addresses, and how it carries and masquerades their packets",
    zh: "Calico 从哪些网段为 Pod 分配地址，以及如何封装和转换其报文",
  }),
  ipamblocks: list("apis/crd.projectcalico.org/*/ipamblocks", objects.ipamBlock, {
    en: "which blocks of addresses each node has with Calico",
    zh: "Calico 中每个节点拥有哪些地址块",
  }),
  felixconfigurations: list("apis/crd.projectcalico.org/*/felixconfigurations", objects.felixConfiguration, {
    en: "how Calico's agent on the nodes is set up",
    zh: "节点上 Calico 代理的配置",
  }),
  clusterroles: list("apis/rbac.authorization.k8s.io/*/clusterroles", objects.role, {
    en: "what ClusterRoles grant",
    zh: "ClusterRole 授予的权限",
  }),
  clusterrolebindings: list("apis/rbac.authorization.k8s.io/*/clusterrolebindings", objects.roleBinding, {
    en: "to whom ClusterRoles are granted",
    zh: "ClusterRole 授予了谁",
  }),
  roles: list("apis/rbac.authorization.k8s.io/*/roles", objects.role, {
    en: "what Roles grant",
    zh: "Role 授予的权限",
  }),
  rolebindings: list("apis/rbac.authorization.k8s.io/*/rolebindings", objects.roleBinding, {
    en: "to whom Roles are granted",
    zh: "Role 授予了谁",
  }),
  leases: list("apis/coordination.k8s.io/*/leases", objects.lease, {
    en: "whether kubelets and controllers still renew their leases",
    zh: "kubelet 与控制器是否仍在续租",
  }),
  validatingwebhookconfigurations: list(
    "apis/admissionregistration.k8s.io/*/validatingwebhookconfigurations",
    objects.webhookConfiguration,
    { en: "which programs are asked before an object is written", zh: "写入对象之前会询问哪些程序" },
  ),
  mutatingwebhookconfigurations: list(
    "apis/admissionregistration.k8s.io/*/mutatingwebhookconfigurations",
    objects.webhookConfiguration,
    { en: "which programs may change an object before it is written", zh: "写入对象之前哪些程序可以修改它" },
  ),
  apiservices: list("apis/apiregistration.k8s.io/*/apiservices", objects.apiService, {
    en: "which APIs other programs serve for the API server, and whether it reaches them",
    zh: "哪些 API 由其他程序代 API Server 提供，以及它能否访问到这些程序",
  }),
  certificatesigningrequests: list(
    "apis/certificates.k8s.io/*/certificatesigningrequests",
    objects.certificateSigningRequest,
    {
      en: "whether kubelets get the certificates that they ask for, so that nodes can join and stay",
      zh: "kubelet 申请的证书是否签发（关系到节点能否加入、能否继续留在集群）",
    },
  ),
  customresourcedefinitions: list("apis/apiextensions.k8s.io/*/customresourcedefinitions", objects.named, {
    en: "which operators are installed",
    zh: "安装了哪些 Operator",
  }),
} satisfies Record<string, Kind<unknown>>;
