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
  /**
   * Matches the repository of an image, without registry host and tag: `flannel-io/flannel`. Distributions rename images:
   * `rancher/mirrored-flannel-flannel`, `rancher/hardened-flannel`, `eks/coredns`, `oss/calico/node`.
   */
  readonly image: Matcher;
  /** Names of its program, where images of any name start it by its command. */
  readonly programs?: readonly string[];
  /** What tells it where the image does not (`hardened-calico`, `library/node`): its container, run by such an account. */
  readonly named?: { readonly container: string; readonly accounts: readonly string[] };
  /** Matches the command line of its process on a node. */
  readonly process: Matcher;
  /** Where its release keeps the manifest of everything that it installs, by version. */
  readonly manifest?: `https://${string}{version}${string}`;
  /** What an installation leaves behind even when its workload is gone: its ConfigMap, or its account if it has none, and what it ran as. */
  readonly marker?: {
    readonly configMap?: string;
    readonly account?: string;
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
    image: /(^|\/|-)kube-proxy(-(amd64|arm64))?$/,
    programs: ["kube-proxy"],
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
    programs: ["flanneld"],
    named: { container: "kube-flannel", accounts: ["flannel"] },
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
    image: /(^|\/|-)calico[/_-]node$/,
    named: { container: "calico-node", accounts: ["calico-node", "canal"] },
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
    image: /(^|\/|-)calico[/_-]typha$/,
    programs: ["calico-typha"],
    named: { container: "calico-typha", accounts: ["calico-typha", "calico-node"] },
    process: /(^|\/)calico-typha(\s|$)/,
  },
  {
    id: "calico-kube-controllers",
    name: "calico-kube-controllers",
    duties: ["operator"],
    image: /(^|\/|-)calico[/_-]kube-controllers$/,
    named: { container: "calico-kube-controllers", accounts: ["calico-kube-controllers"] },
    process: /(^|\/)kube-controllers(\s|$)/,
    manifest: "https://raw.githubusercontent.com/projectcalico/calico/{version}/manifests/calico.yaml",
  },
  {
    id: "tigera-operator",
    name: "tigera-operator",
    duties: ["operator"],
    image: /(^|\/)(tigera\/operator|(mirrored-)?(calico|tigera)-operator)$/,
    named: { container: "tigera-operator", accounts: ["tigera-operator"] },
    process: /^\/?operator(\s|$)/,
    manifest: "https://raw.githubusercontent.com/projectcalico/calico/{version}/manifests/tigera-operator.yaml",
  },
  {
    id: "cilium",
    name: "Cilium",
    duties: ["cni", "policy"],
    image: /(^|\/)(mirrored-)?cilium(-cilium)?$/,
    programs: ["cilium-agent"],
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
    image: /(^|\/)(mirrored-)?(cilium[/-])?operator-(generic|aws|azure|alibabacloud)$|(^|\/|-)cilium[/-]operator$/,
    programs: [
      "cilium-operator",
      "cilium-operator-generic",
      "cilium-operator-aws",
      "cilium-operator-azure",
      "cilium-operator-alibabacloud",
    ],
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
    programs: ["kube-router"],
    process: /(^|\/)kube-router(\s|$)/,
  },
  {
    id: "kindnet",
    name: "kindnet",
    duties: ["cni"],
    image: /(^|\/)kindnetd$/,
    programs: ["kindnetd"],
    process: /(^|\/)kindnetd(\s|$)/,
    marker: { account: "kindnet", namespaces: ["kube-system"], workload: { kind: "DaemonSet", name: "kindnet" } },
  },
  {
    id: "antrea-agent",
    name: "antrea-agent",
    duties: ["cni", "policy"],
    image: /(^|\/)antrea-(agent-ubuntu|agent-ubi|ubuntu|agent)$/,
    programs: ["antrea-agent"],
    process: /(^|\/)antrea-agent(\s|$)/,
  },
  {
    id: "antrea-controller",
    name: "antrea-controller",
    duties: ["operator"],
    image: /(^|\/)antrea-controller(-ubuntu|-ubi)?$/,
    programs: ["antrea-controller"],
    process: /(^|\/)antrea-controller(\s|$)/,
  },
  {
    id: "weave-net",
    name: "Weave Net",
    duties: ["cni", "policy"],
    image: /(^|\/)(mirrored-)?(weave(works)?-)?weave-kube$/,
    named: { container: "weave", accounts: ["weave-net"] },
    process: /(^|\/)weaver(\s|$)/,
  },
  {
    // Amazon's: Pods have addresses of the VPC
    id: "aws-node",
    name: "Amazon VPC CNI",
    duties: ["cni"],
    image: /(^|\/)amazon-k8s-cni$/,
    named: { container: "aws-node", accounts: ["aws-node"] },
    process: /(^|\/)aws-(k8s-agent|vpc-cni)(\s|$)/,
  },
  {
    id: "azure-cns",
    name: "Azure CNS",
    duties: ["cni"],
    image: /(^|\/)azure-cns$/,
    process: /(^|\/)azure-cns(\s|$)/,
  },
  {
    // Alibaba's
    id: "terway",
    name: "Terway",
    duties: ["cni"],
    image: /(^|\/)terway$/,
    programs: ["terwayd"],
    process: /(^|\/)terwayd(\s|$)/,
  },
  {
    // OpenShift's; all of its Pods are of one image
    id: "ovnkube-node",
    name: "OVN-Kubernetes",
    duties: ["cni", "policy", "service-proxy"],
    image: /^$/,
    named: { container: "ovnkube-controller", accounts: ["ovn-kubernetes-node", "ovnkube-node", "ovn"] },
    process: /(^|\/)ovnkube\s.*--init-(node|ovnkube-controller)\b/,
  },
  {
    id: "kube-ovn-cni",
    name: "Kube-OVN",
    duties: ["cni", "policy"],
    image: /^$/,
    named: { container: "cni-server", accounts: ["kube-ovn-cni", "ovn"] },
    process: /(^|\/)kube-ovn-daemon(\s|$)/,
  },
  {
    id: "coredns",
    name: "CoreDNS",
    duties: ["cluster-dns"],
    image: /(^|\/|-)coredns(-(amd64|arm64))?$/,
    programs: ["coredns"],
    named: { container: "coredns", accounts: ["coredns"] },
    process: /(^|\/)coredns(\s|$)/,
    marker: { configMap: "coredns", namespaces: ["kube-system"], workload: { kind: "Deployment", name: "coredns" } },
  },
  {
    id: "node-local-dns",
    name: "NodeLocal DNSCache",
    duties: ["node-dns"],
    image: /(^|\/|-)dns-node-cache$/,
    programs: ["node-cache"],
    named: { container: "node-cache", accounts: ["node-local-dns", "nodelocaldns"] },
    process: /(^|\/)node-cache(\s|$)/,
  },
  {
    id: "metrics-server",
    name: "metrics-server",
    duties: [],
    image: /(^|\/|-)metrics-server(-(amd64|arm64))?$/,
    programs: ["metrics-server"],
    named: { container: "metrics-server", accounts: ["metrics-server"] },
    process: /(^|\/)metrics-server(\s|$)/,
  },
  {
    id: "ingress-nginx",
    name: "ingress-nginx",
    duties: [],
    image: /(^|\/)(ingress-nginx\/controller|ingress-nginx-controller|nginx-ingress-controller)$/,
    programs: ["nginx-ingress-controller"],
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
      // RKE2 starts them all from one image (rancher/hardened-kubernetes), by their commands
      image: new RegExp(`(^|/)(hardened-)?${name}(-(amd64|arm64))?$`),
      programs: [name],
      process: new RegExp(`(^|/)${name}(\\s|$)`),
    }),
  ),
];

type Container = {
  readonly name?: string | undefined;
  readonly image?: string | null | undefined;
  readonly command?: readonly string[] | null | undefined;
};

/**
 * The component that a container runs: by its image; in registries of one's own, and with distributions that rename images,
 * by the program that it starts, or by its name and the account of its Pod.
 */
export function definitionOf(
  container: Container,
  account: string | null | undefined,
): ComponentDefinition | undefined {
  const { name, image, command } = container;
  if (!image) return undefined;
  const repository = imageRepository(image);
  const program = command?.[0]?.split("/").at(-1) ?? "";
  return (
    COMPONENTS.find((one) => one.image.test(repository)) ??
    COMPONENTS.find(({ programs }) => programs?.includes(program)) ??
    COMPONENTS.find(({ named }) => named?.container === name && named?.accounts.includes(account ?? ""))
  );
}

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
