/** The baselines of all components, and what kube-apiserver makes again of them. */
import { type Ref, refId } from "../ref.ts";
import type { Baseline } from "./baseline.ts";
import { ANTREA_AGENT, ANTREA_CONTROLLER } from "./baselines/antrea.ts";
import { CALICO_KUBE_CONTROLLERS, CALICO_NODE } from "./baselines/calico.ts";
import { CILIUM } from "./baselines/cilium.ts";
import { CILIUM_OPERATOR } from "./baselines/cilium-operator.ts";
import { COREDNS } from "./baselines/coredns.ts";
import { ENDPOINT_SLICE_CONTROLLER } from "./baselines/endpointslice-controller.ts";
import { FLANNEL } from "./baselines/flannel.ts";
import { INGRESS_NGINX } from "./baselines/ingress-nginx.ts";
import { KINDNET } from "./baselines/kindnet.ts";
import { KUBE_APISERVER } from "./baselines/kube-apiserver.ts";
import { KUBE_CONTROLLER_MANAGER } from "./baselines/kube-controller-manager.ts";
import { KUBE_PROXY } from "./baselines/kube-proxy.ts";
import { KUBE_ROUTER } from "./baselines/kube-router.ts";
import { KUBE_SCHEDULER } from "./baselines/kube-scheduler.ts";
import { KUBEADM } from "./baselines/kubeadm.ts";
import { METRICS_SERVER } from "./baselines/metrics-server.ts";
import { TIGERA_OPERATOR } from "./baselines/tigera-operator.ts";
import { WEAVE_NET } from "./baselines/weave-net.ts";

export const BASELINES: readonly Baseline[] = [
  KUBE_PROXY,
  FLANNEL,
  CALICO_NODE,
  CALICO_KUBE_CONTROLLERS,
  TIGERA_OPERATOR,
  CILIUM,
  CILIUM_OPERATOR,
  ANTREA_AGENT,
  ANTREA_CONTROLLER,
  KUBE_ROUTER,
  KINDNET,
  WEAVE_NET,
  COREDNS,
  ENDPOINT_SLICE_CONTROLLER,
  KUBE_CONTROLLER_MANAGER,
  KUBE_SCHEDULER,
  KUBE_APISERVER,
  KUBEADM,
  METRICS_SERVER,
  INGRESS_NGINX,
];

/** The baseline of a component, by its definition's id. */
export function baselineOf(component: string): Baseline | undefined {
  return BASELINES.find(({ id }) => id === component);
}

const RESTORED = new Set(
  BASELINES.flatMap(({ isBootstrap, grants }) =>
    grants.flatMap(({ role, to, isBootstrap: isRole }) => [
      ...(isBootstrap || isRole ? [refId(role)] : []),
      ...to.flatMap((binding) => (isBootstrap || binding.isBootstrap ? [refId(binding.ref)] : [])),
    ]),
  ),
);

/**
 * Whether kube-apiserver makes this object again when it starts (pkg/registry/rbac/rest/storage_rbac.go): by its name,
 * because the label of the bootstrap policy is no proof (system:coredns has it too).
 */
export function isBootstrapObject(object: Ref): boolean {
  return RESTORED.has(refId(object));
}
