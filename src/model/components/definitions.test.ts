/** Components are known by whatever name their image goes: distributions and mirrors rename them. */
import { expect, it } from "vitest";
import { definitionOf } from "./definitions.ts";

/** Images as distributions and mirrors call them, each with what it is; undefined: none that is known. */
const IMAGES: readonly (readonly [image: string, id: string | undefined])[] = [
  // RKE2, k3s, Rancher
  ["index.docker.io/rancher/hardened-flannel:v0.26.4-build20250218", "flannel"],
  ["rancher/mirrored-flannel-flannel:v0.25.1", "flannel"],
  ["rancher/hardened-coredns:v1.12.1-build20250507", "coredns"],
  ["rancher/mirrored-coredns-coredns:1.12.0", "coredns"],
  ["rancher/hardened-dns-node-cache:1.25.0-build20250325", "node-local-dns"],
  ["rancher/mirrored-k8s-dns-node-cache:1.22.28", "node-local-dns"],
  ["rancher/hardened-k8s-metrics-server:v0.7.2-build20250110", "metrics-server"],
  ["rancher/mirrored-metrics-server:v0.7.2", "metrics-server"],
  ["rancher/nginx-ingress-controller:v1.12.1-hardened3", "ingress-nginx"],
  ["rancher/mirrored-calico-node:v3.29.3", "calico-node"],
  ["rancher/mirrored-calico-kube-controllers:v3.29.3", "calico-kube-controllers"],
  ["rancher/mirrored-calico-typha:v3.29.3", "calico-typha"],
  ["rancher/mirrored-calico-operator:v1.36.7", "tigera-operator"],
  ["rancher/mirrored-cilium-cilium:v1.17.3", "cilium"],
  ["rancher/mirrored-cilium-operator-generic:v1.17.3", "cilium-operator"],
  ["rancher/hardened-etcd:v3.5.21-k3s1-build20250411", "etcd"],
  // EKS, AKS, GKE
  ["602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/kube-proxy:v1.32.0-minimal-eksbuild.2", "kube-proxy"],
  ["602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.11.4-eksbuild.2", "coredns"],
  ["public.ecr.aws/eks-distro/kubernetes/kube-proxy:v1.32.3-eks-1-32-10", "kube-proxy"],
  ["public.ecr.aws/eks-distro/kubernetes-sigs/metrics-server:v0.7.2-eks-1-32-10", "metrics-server"],
  ["602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.19.0-eksbuild.1", "aws-node"],
  ["602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni-init:v1.19.0-eksbuild.1", undefined],
  ["602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon/aws-network-policy-agent:v1.1.5-eksbuild.1", undefined],
  ["mcr.microsoft.com/containernetworking/v2/azure-cns:v1.8.13", "azure-cns"],
  ["registry-cn-hangzhou.ack.aliyuncs.com/acs/terway:v1.16.8", "terway"],
  ["mcr.microsoft.com/oss/kubernetes/kube-proxy:v1.31.7", "kube-proxy"],
  ["mcr.microsoft.com/oss/v2/kubernetes/coredns:v1.12.1-1", "coredns"],
  ["mcr.microsoft.com/oss/calico/node:v3.28.1", "calico-node"],
  ["mcr.microsoft.com/oss/v2/tigera/operator:v1.36.3", "tigera-operator"],
  ["mcr.microsoft.com/containernetworking/cilium/cilium:v1.16.6", "cilium"],
  ["mcr.microsoft.com/oss/cilium/operator-generic:v1.14.10", "cilium-operator"],
  ["gke.gcr.io/kube-proxy-amd64:v1.32.2-gke.1182003", "kube-proxy"],
  ["gke.gcr.io/cilium/cilium:v1.15.6-gke.31", "cilium"],
  ["gke.gcr.io/k8s-dns-node-cache:1.24.1-gke.1", "node-local-dns"],
  // Talos, Canonical, charts and mirrors
  ["ghcr.io/siderolabs/flannel:v0.26.5", "flannel"],
  ["ghcr.io/canonical/cilium:1.16.3-ck0", "cilium"],
  ["ghcr.io/canonical/cilium-operator-generic:1.16.3-ck0", "cilium-operator"],
  ["rocks.canonical.com:443/cdk/calico/node:v3.27.4", "calico-node"],
  ["docker.io/bitnami/coredns:1.12.1-debian-12-r0", "coredns"],
  ["docker.io/cdkbot/coredns-amd64:1.6.7", "coredns"],
  ["swr.cn-north-4.myhuaweicloud.com/ddn-k8s/docker.io/calico/node:v3.28.0", "calico-node"],
  ["registry.cn-hangzhou.aliyuncs.com/acs/coredns:v1.9.3.6", "coredns"],
  ["harbor.example.com/k8s/calico_node:v3.26.1", "calico-node"],
  ["registry.k8s.io/kube-proxy@sha256:0a1b", "kube-proxy"],
  // others' operators, and what only sounds alike
  ["quay.io/minio/operator:v6.0.4", undefined],
  ["ghcr.io/cloudnative-pg/postgres-operator:1.25", undefined],
  ["harbor.example.com/lib/node:22", undefined],
  ["quay.io/calico/cni:v3.28.0", undefined],
  ["docker.io/rancher/hardened-calico:v3.29.2-build20250306", undefined],
];

it.each(IMAGES)("%s is %s", (image, id) => {
  expect(definitionOf({ name: "c", image }, "default")?.id).toBe(id);
});

it.each([
  ["kube-proxy", "rancher/hardened-kubernetes:v1.32.3-rke2r1", ["kube-proxy"], undefined, "kube-proxy"],
  ["kube-apiserver", "rancher/hardened-kubernetes:v1.32.3-rke2r1", ["kube-apiserver"], undefined, "kube-apiserver"],
  ["calico-node", "rancher/hardened-calico:v3.29.2", ["start_runit"], "canal", "calico-node"],
  ["kube-flannel", "rancher/hardened-x:v1", ["/opt/bin/flanneld", "--kube-subnet-mgr"], "canal", "flannel"],
  ["calico-node", "harbor.example.com/library/node:v3.27.4", undefined, "calico-node", "calico-node"],
  ["dns", "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0a1b", ["coredns"], "dns", "coredns"],
  ["ovnkube-controller", "quay.io/x@sha256:0a1b", ["/bin/bash", "-c"], "ovn-kubernetes-node", "ovnkube-node"],
  ["ovnkube-cluster-manager", "quay.io/x@sha256:0a1b", ["/bin/bash"], "ovn-kubernetes-control-plane", undefined],
  ["cni-server", "docker.io/kubeovn/kube-ovn:v1.13.2", ["bash", "/kube-ovn/start-cniserver.sh"], "ovn", "kube-ovn-cni"],
  ["kube-ovn-controller", "docker.io/kubeovn/kube-ovn:v1.13.2", ["/kube-ovn/start-controller.sh"], "ovn", undefined],
  ["calico-node", "harbor.example.com/library/node:22", undefined, "default", undefined],
  ["etcd-backup", "alpine:3", ["sh", "-c", "etcd --data-dir=/var/lib/etcd"], "default", undefined],
])("%s of %s, started by %j as %s, is %s", (name, image, command, account, id) => {
  expect(definitionOf({ name, image, command }, account)?.id).toBe(id);
});
