/**
 * The components that a cluster's network is made of: how each is recognised, what it keeps right, what it must be
 * allowed to do, and under which names its permissions are usually granted.
 *
 * The permissions are those that every release of a component needs for its core work (the intersection of the manifests
 * of its releases, without what only options need), so that no healthy installation is found wanting.
 */

import type { PolicyRule } from "../../parse/objects.ts";
import type { Template } from "../../text.ts";
import type { Want } from "../rbac.ts";

/** What a component does for the network. */
export type Duty =
  /** writes the rules for Services on its node */
  | "service-proxy"
  /** connects Pods and routes between nodes */
  | "cni"
  /** enforces NetworkPolicies on its node */
  | "policy"
  /** answers DNS queries for the cluster */
  | "cluster-dns"
  | "node-dns"
  /** writes EndpointSlices */
  | "endpoints"
  | "operator"
  | "control-plane";

export type Permission = {
  readonly wants: readonly Want[];
  /** What goes wrong without it. */
  readonly without: Template;
  /** It is needed only if the container lacks this environment variable. */
  readonly unlessEnv?: string;
};

export type ComponentDefinition = {
  readonly id: string;
  /** As people call it. */
  readonly name: string;
  readonly duties: readonly Duty[];
  /** Matches the repository of an image, without registry host and tag: `flannel-io/flannel`. */
  readonly image: RegExp;
  /** Matches the command line of its process on a node. */
  readonly process: RegExp;
  readonly permissions: readonly Permission[];
  /** The usual names of what grants them. */
  readonly grant?: {
    readonly role: string;
    readonly binding: string;
    /** All rules of the role, where they are the same in every release: fit to restore it from. */
    readonly rules?: readonly PolicyRule[];
  };
  /** Where its release keeps the manifest of everything that it installs, by version. */
  readonly manifest?: `https://${string}{version}${string}`;
  /** kube-apiserver creates the role again when it starts (pkg/registry/rbac/rest/storage_rbac.go). */
  readonly bootstrapRole?: true;
  /** What an installation leaves behind even when its workload is gone: its ConfigMap, and what it ran as. */
  readonly marker?: {
    readonly configMap: string;
    readonly namespaces: readonly string[];
    readonly workload: { readonly kind: "DaemonSet" | "Deployment"; readonly name: string };
  };
  /** A controller inside kube-controller-manager: it has an account and no Pods of its own. */
  readonly account?: { readonly namespace: string; readonly name: string };
};

function wants(verbs: string, apiGroup: string, resources: string): Want[] {
  return resources.split(",").flatMap((resource) => verbs.split(",").map((verb) => ({ verb, apiGroup, resource })));
}

const rule = (verbs: string, apiGroups: string, resources: string): PolicyRule => ({
  apiGroups: apiGroups.split(","),
  resources: resources.split(","),
  verbs: verbs.split(","),
});

const CALICO = "crd.projectcalico.org";
const CILIUM = "cilium.io";

const FREEZES: Template = {
  en: "rules for Services freeze as they are, and after a restart none are written",
  zh: "Service 规则停留在原样；重启后不再写入任何规则",
};
const BLIND_TO_NODES: Template = {
  en: "nodes that join or change are not learned: no routes to their Pods",
  zh: "感知不到新加入或变更的节点，没有通往其 Pod 的路由",
};
const POLICY_STALE: Template = {
  en: "policies stay as they were learned last",
  zh: "网络策略停留在最后一次获知的状态",
};

export const COMPONENTS: readonly ComponentDefinition[] = [
  {
    id: "kube-proxy",
    name: "kube-proxy",
    duties: ["service-proxy"],
    image: /(^|\/)(hardened-)?kube-proxy(-(amd64|arm64))?$/,
    process: /(^|\/)kube-proxy(\s|$)/,
    marker: {
      configMap: "kube-proxy",
      namespaces: ["kube-system"],
      workload: { kind: "DaemonSet", name: "kube-proxy" },
    },
    permissions: [
      { wants: wants("list,watch", "", "services"), without: FREEZES },
      { wants: wants("list,watch", "discovery.k8s.io", "endpointslices"), without: FREEZES },
    ],
    grant: {
      role: "system:node-proxier",
      binding: "kubeadm:node-proxier",
      // plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go
      rules: [
        rule("list,watch", "", "services,endpoints"),
        rule("get,list,watch", "", "nodes"),
        rule("create,patch,update", ",events.k8s.io", "events"),
        rule("list,watch", "discovery.k8s.io", "endpointslices"),
        rule("list,watch", "networking.k8s.io", "servicecidrs"),
      ],
    },
    bootstrapRole: true,
  },
  {
    id: "flannel",
    name: "flannel",
    duties: ["cni"],
    image: /(^|\/|-)flannel(-(amd64|arm64))?$/,
    process: /(^|\/)flanneld(\s|$)/,
    marker: {
      configMap: "kube-flannel-cfg",
      namespaces: ["kube-flannel", "kube-system"],
      workload: { kind: "DaemonSet", name: "kube-flannel-ds" },
    },
    permissions: [
      { wants: wants("list,watch", "", "nodes"), without: BLIND_TO_NODES },
      {
        wants: wants("patch", "", "nodes/status"),
        without: {
          en: "it cannot publish its own address: the other nodes do not learn how to reach it",
          zh: "无法发布本节点的地址，其他节点不知道如何到达该节点",
        },
      },
      {
        wants: wants("get", "", "pods"),
        without: { en: "it exits at its start", zh: "启动即退出" },
        unlessEnv: "NODE_NAME",
      },
    ],
    manifest: "https://github.com/flannel-io/flannel/releases/download/{version}/kube-flannel.yml",
    grant: {
      role: "flannel",
      binding: "flannel",
      // flannel Documentation/kube-flannel.yml
      rules: [rule("get", "", "pods"), rule("get,list,watch", "", "nodes"), rule("patch", "", "nodes/status")],
    },
  },
  {
    id: "calico-node",
    name: "calico-node",
    duties: ["cni", "policy"],
    image: /(^|\/)(mirrored-)?calico[/-]node$/,
    process: /calico-node\s+-felix/,
    marker: {
      configMap: "calico-config",
      namespaces: ["kube-system"],
      workload: { kind: "DaemonSet", name: "calico-node" },
    },
    permissions: [
      { wants: wants("get,list,watch", "", "nodes"), without: BLIND_TO_NODES },
      { wants: wants("list,watch", "", "pods,namespaces"), without: POLICY_STALE },
      { wants: wants("list,watch", "networking.k8s.io", "networkpolicies"), without: POLICY_STALE },
      {
        wants: wants("list,watch", CALICO, "felixconfigurations,ippools,clusterinformations"),
        without: BLIND_TO_NODES,
      },
      {
        wants: wants("get,list,watch", CALICO, "ipamblocks,blockaffinities"),
        without: {
          en: "routes to other nodes' address blocks stay as they are",
          zh: "通往其他节点地址块的路由停留在原样",
        },
      },
    ],
    manifest: "https://raw.githubusercontent.com/projectcalico/calico/{version}/manifests/calico.yaml",
    grant: { role: "calico-node", binding: "calico-node" },
  },
  {
    id: "calico-kube-controllers",
    name: "calico-kube-controllers",
    duties: ["operator"],
    image: /(^|\/)(mirrored-)?calico[/-]kube-controllers$/,
    process: /(^|\/)kube-controllers(\s|$)/,
    permissions: [
      {
        wants: wants("list,watch", "", "nodes"),
        without: { en: "addresses of nodes that are gone are not freed", zh: "已删除节点占用的地址不会释放" },
      },
    ],
    manifest: "https://raw.githubusercontent.com/projectcalico/calico/{version}/manifests/calico.yaml",
    grant: { role: "calico-kube-controllers", binding: "calico-kube-controllers" },
  },
  {
    id: "cilium",
    name: "Cilium",
    duties: ["cni", "policy"],
    image: /(^|\/)(mirrored-)?cilium(-cilium)?$/,
    process: /(^|\/)cilium-agent(\s|$)/,
    marker: {
      configMap: "cilium-config",
      namespaces: ["kube-system", "cilium"],
      workload: { kind: "DaemonSet", name: "cilium" },
    },
    permissions: [
      {
        wants: wants("list,watch", "", "pods,namespaces"),
        without: {
          en: "new Pods keep the identity reserved:init, and all their traffic is dropped",
          zh: "新建 Pod 停留在 reserved:init 身份，其全部流量被丢弃",
        },
      },
      { wants: wants("list,watch", "", "services"), without: FREEZES },
      { wants: wants("list,watch", "discovery.k8s.io", "endpointslices"), without: FREEZES },
      { wants: wants("get,list,watch", "", "nodes"), without: BLIND_TO_NODES },
      { wants: wants("list,watch", "networking.k8s.io", "networkpolicies"), without: POLICY_STALE },
      {
        wants: wants("list,watch,create", CILIUM, "ciliumendpoints,ciliumidentities,ciliumnodes"),
        without: BLIND_TO_NODES,
      },
    ],
    grant: { role: "cilium", binding: "cilium" },
  },
  {
    id: "cilium-operator",
    name: "cilium-operator",
    duties: ["operator"],
    image: /(^|\/)(mirrored-)?(cilium-)?operator(-(generic|aws|azure|alibabacloud))?$/,
    process: /(^|\/)cilium-operator(-\w+)?(\s|$)/,
    permissions: [
      {
        wants: wants("list,watch", "", "nodes").concat(wants("list,watch,create,update", CILIUM, "ciliumnodes")),
        without: { en: "new nodes get no Pod range", zh: "新节点分配不到 Pod 网段" },
      },
      {
        wants: wants("list,watch,delete", CILIUM, "ciliumidentities"),
        without: { en: "unused identities are not removed", zh: "不再使用的身份不会被清理" },
      },
    ],
    grant: { role: "cilium-operator", binding: "cilium-operator" },
  },
  {
    id: "kube-router",
    name: "kube-router",
    duties: ["policy"],
    image: /(^|\/)kube-router$/,
    process: /(^|\/)kube-router(\s|$)/,
    permissions: [
      { wants: wants("list,watch", "", "pods,namespaces,services,nodes"), without: POLICY_STALE },
      { wants: wants("list,watch", "networking.k8s.io", "networkpolicies"), without: POLICY_STALE },
    ],
    grant: { role: "kube-router", binding: "kube-router" },
  },
  {
    id: "kindnet",
    name: "kindnet",
    duties: ["cni"],
    image: /(^|\/)kindnetd$/,
    process: /(^|\/)kindnetd(\s|$)/,
    permissions: [{ wants: wants("list,watch", "", "nodes"), without: BLIND_TO_NODES }],
    grant: { role: "kindnet", binding: "kindnet" },
  },
  {
    id: "antrea-agent",
    name: "antrea-agent",
    duties: ["cni", "policy"],
    image: /(^|\/)antrea-(agent-ubuntu|agent-ubi|ubuntu|agent)$/,
    process: /(^|\/)antrea-agent(\s|$)/,
    permissions: [
      { wants: wants("get,list,watch", "", "nodes"), without: BLIND_TO_NODES },
      { wants: wants("list,watch", "controlplane.antrea.io", "networkpolicies"), without: POLICY_STALE },
    ],
    grant: { role: "antrea-agent", binding: "antrea-agent" },
  },
  {
    id: "weave-net",
    name: "Weave Net",
    duties: ["cni", "policy"],
    image: /(^|\/)weave-kube$/,
    process: /(^|\/)weaver(\s|$)/,
    permissions: [{ wants: wants("list,watch", "", "nodes"), without: BLIND_TO_NODES }],
    grant: { role: "weave-net", binding: "weave-net" },
  },
  {
    id: "coredns",
    name: "CoreDNS",
    duties: ["cluster-dns"],
    image: /(^|\/|-)coredns$/,
    process: /(^|\/)coredns(\s|$)/,
    marker: { configMap: "coredns", namespaces: ["kube-system"], workload: { kind: "Deployment", name: "coredns" } },
    permissions: [
      {
        wants: wants("list,watch", "", "services,namespaces").concat(
          wants("list,watch", "discovery.k8s.io", "endpointslices"),
        ),
        without: {
          en: "names of Services are answered as they were learned last, and after a restart with SERVFAIL",
          zh: "Service 名称仍按最后一次获知的状态应答；重启后返回 SERVFAIL",
        },
      },
    ],
    grant: {
      role: "system:coredns",
      binding: "system:coredns",
      // cmd/kubeadm/app/phases/addons/dns/manifests.go
      rules: [
        rule("list,watch", "", "endpoints,services,pods,namespaces"),
        rule("list,watch", "discovery.k8s.io", "endpointslices"),
      ],
    },
  },
  {
    id: "node-local-dns",
    name: "NodeLocal DNSCache",
    duties: ["node-dns"],
    image: /(^|\/)(hardened-|mirrored-)?(k8s-)?dns-node-cache$/,
    process: /(^|\/)node-cache(\s|$)/,
    permissions: [],
  },
  {
    id: "endpointslice-controller",
    name: "endpointslice-controller",
    duties: ["endpoints"],
    image: /^$/,
    process: /^$/,
    account: { namespace: "kube-system", name: "endpointslice-controller" },
    permissions: [
      {
        wants: wants("list,watch", "", "services,pods,nodes").concat(
          wants("create,update,delete,list,watch", "discovery.k8s.io", "endpointslices"),
        ),
        without: {
          en: "EndpointSlices freeze: the back ends of Services are no longer followed",
          zh: "EndpointSlice 停止更新，Service 后端的变化不再被跟踪",
        },
      },
    ],
    grant: {
      role: "system:controller:endpointslice-controller",
      binding: "system:controller:endpointslice-controller",
      // plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go
      rules: [
        rule("get,list,watch", "", "nodes,pods,services"),
        rule("update", "", "services/finalizers"),
        rule("create,delete,get,list,update,watch", "discovery.k8s.io", "endpointslices"),
        rule("create,patch,update", ",events.k8s.io", "events"),
      ],
    },
    bootstrapRole: true,
  },
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"].map(
    (name): ComponentDefinition => ({
      id: name,
      name,
      duties: ["control-plane"],
      image: new RegExp(`(^|/)${name}(-(amd64|arm64))?$`),
      process: new RegExp(`(^|/)${name}(\\s|$)`),
      permissions: [],
    }),
  ),
];

/** The repository of an image reference: no registry host, tag or digest. */
export function imageRepository(image: string): string {
  const [first, ...rest] = image
    .replace(/@.*$/, "")
    .replace(/:[^:/]*$/, "")
    .split("/");
  const isHost = rest.length > 0 && (first!.includes(".") || first!.includes(":") || first === "localhost");
  return isHost ? rest.join("/") : [first, ...rest].join("/");
}

export function imageTag(image: string): string | undefined {
  return /:([^:/@]+)(@.*)?$/.exec(image)?.[1];
}
