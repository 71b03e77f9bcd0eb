/**
 * The components that a cluster's network is made of: how each is recognised, and what it keeps right. What each has to be
 * granted stands in permissions/, under the same id.
 */
import type { ComponentDescription } from "../../parse/component-file.ts";

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
  /** gives nodes the ranges of their Pods */
  | "pod-ranges"
  | "control-plane";

/** Matches names: a regular expression of ours, or what a description says. */
export type Matcher = { test(name: string): boolean };

export type ComponentDefinition = {
  readonly id: string;
  /** As people call it. */
  readonly name: string;
  readonly duties: readonly Duty[];
  /** Matches the repository of an image, without registry host and tag: `flannel-io/flannel`. */
  readonly image: Matcher;
  /** Matches the command line of its process on a node. */
  readonly process: Matcher;
  /** Where its release keeps the manifest of everything that it installs, by version. */
  readonly manifest?: `https://${string}{version}${string}`;
  /** What an installation leaves behind even when its workload is gone: its ConfigMap, and what it ran as. */
  readonly marker?: {
    readonly configMap: string;
    readonly namespaces: readonly string[];
    readonly workload: { readonly kind: "DaemonSet" | "Deployment"; readonly name: string };
    /** A DaemonSet without which it does not belong there: some clouds have their own. */
    readonly beside?: string;
  };
  /** A controller inside kube-controller-manager: it has an account and no Pods of its own. */
  readonly account?: { readonly namespace: string; readonly name: string };
  /** The id of a component that stands between it and the API server, where there is one. */
  readonly servedBy?: string;
  /** It is not one of ours: what those who run it say of it, and in which file. */
  readonly described?: { readonly file: string; readonly by: ComponentDescription };
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
    manifest: "https://github.com/flannel-io/flannel/releases/download/{version}/kube-flannel.yml",
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
    servedBy: "calico-typha",
    manifest: "https://raw.githubusercontent.com/projectcalico/calico/{version}/manifests/calico.yaml",
  },
  {
    // it watches the API server for all calico-nodes, which end at their start where they find none
    id: "calico-typha",
    name: "Typha",
    duties: ["operator"],
    image: /(^|\/)(mirrored-)?calico[/-]typha$/,
    process: /(^|\/)calico-typha(\s|$)/,
  },
  {
    id: "calico-kube-controllers",
    name: "calico-kube-controllers",
    duties: ["operator"],
    image: /(^|\/)(mirrored-)?calico[/-]kube-controllers$/,
    process: /(^|\/)kube-controllers(\s|$)/,
    manifest: "https://raw.githubusercontent.com/projectcalico/calico/{version}/manifests/calico.yaml",
  },
  {
    id: "tigera-operator",
    name: "tigera-operator",
    duties: ["operator"],
    image: /(^|\/)tigera\/operator$/,
    process: /^\/?operator(\s|$)/,
    manifest: "https://raw.githubusercontent.com/projectcalico/calico/{version}/manifests/tigera-operator.yaml",
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
  },
  {
    id: "cilium-operator",
    name: "cilium-operator",
    duties: ["operator", "pod-ranges"],
    image: /(^|\/)(mirrored-)?(cilium-)?operator(-(generic|aws|azure|alibabacloud))?$/,
    process: /(^|\/)cilium-operator(-\w+)?(\s|$)/,
    marker: {
      configMap: "cilium-config",
      namespaces: ["kube-system", "cilium"],
      workload: { kind: "Deployment", name: "cilium-operator" },
      beside: "cilium",
    },
  },
  {
    id: "kube-router",
    name: "kube-router",
    duties: ["policy"],
    image: /(^|\/)kube-router$/,
    process: /(^|\/)kube-router(\s|$)/,
  },
  {
    id: "kindnet",
    name: "kindnet",
    duties: ["cni"],
    image: /(^|\/)kindnetd$/,
    process: /(^|\/)kindnetd(\s|$)/,
  },
  {
    id: "antrea-agent",
    name: "antrea-agent",
    duties: ["cni", "policy"],
    image: /(^|\/)antrea-(agent-ubuntu|agent-ubi|ubuntu|agent)$/,
    process: /(^|\/)antrea-agent(\s|$)/,
  },
  {
    id: "antrea-controller",
    name: "antrea-controller",
    duties: ["operator"],
    image: /(^|\/)antrea-controller(-ubuntu|-ubi)?$/,
    process: /(^|\/)antrea-controller(\s|$)/,
  },
  {
    id: "weave-net",
    name: "Weave Net",
    duties: ["cni", "policy"],
    image: /(^|\/)weave-kube$/,
    process: /(^|\/)weaver(\s|$)/,
  },
  {
    id: "coredns",
    name: "CoreDNS",
    duties: ["cluster-dns"],
    image: /(^|\/|-)coredns$/,
    process: /(^|\/)coredns(\s|$)/,
    marker: { configMap: "coredns", namespaces: ["kube-system"], workload: { kind: "Deployment", name: "coredns" } },
  },
  {
    id: "node-local-dns",
    name: "NodeLocal DNSCache",
    duties: ["node-dns"],
    image: /(^|\/)(hardened-|mirrored-)?(k8s-)?dns-node-cache$/,
    process: /(^|\/)node-cache(\s|$)/,
  },
  {
    id: "metrics-server",
    name: "metrics-server",
    duties: [],
    image: /(^|\/)(mirrored-|hardened-k8s-)?metrics-server$/,
    process: /(^|\/)metrics-server(\s|$)/,
  },
  {
    id: "ingress-nginx",
    name: "ingress-nginx",
    duties: [],
    image: /(^|\/)(ingress-nginx\/controller|nginx-ingress-controller)$/,
    process: /(^|\/)nginx-ingress-controller(\s|$)/,
  },
  {
    id: "endpointslice-controller",
    name: "endpointslice-controller",
    duties: ["endpoints"],
    image: /^$/,
    process: /^$/,
    account: { namespace: "kube-system", name: "endpointslice-controller" },
  },
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"].map(
    (name): ComponentDefinition => ({
      id: name,
      name,
      duties: ["control-plane"],
      image: new RegExp(`(^|/)${name}(-(amd64|arm64))?$`),
      process: new RegExp(`(^|/)${name}(\\s|$)`),
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
