/** The ConfigMaps that a component is configured by. */
import type { PodSpec } from "../../parse/objects.ts";

export type WantedConfigMap = {
  readonly name: string;
  /** The volume that it is mounted as, if it is. */
  readonly volume?: string;
};

/**
 * Cilium's agent mounts none since 1.13: an init container reads it over the API, from the namespace of the Pod
 * (`cilium-dbg build-config`, install/kubernetes/cilium/templates/cilium-agent/daemonset.yaml).
 */
const readsOverApi = ({ command, args }: PodSpec["containers"][number]): boolean =>
  [...(command ?? []), ...(args ?? [])].includes("build-config");

/** The ConfigMaps without which its Pod does not start (kubelet, pkg/volume/configmap; pkg/kubelet/kubelet_pods.go). */
export function wantedConfigMaps({ volumes, containers, initContainers }: PodSpec): readonly WantedConfigMap[] {
  const mounted = (volumes ?? []).flatMap(({ name: volume, configMap, projected }) => [
    ...(configMap ? [{ ...configMap, volume }] : []),
    ...(projected?.sources ?? []).flatMap(({ configMap: source }) => source ?? []),
  ]);
  const all = [...containers, ...(initContainers ?? [])];
  const environment = all.flatMap(({ env, envFrom }) => [
    ...(env ?? []).flatMap(({ valueFrom }) => valueFrom?.configMapKeyRef ?? []),
    ...(envFrom ?? []).flatMap(({ configMapRef }) => configMapRef ?? []),
  ]);
  const read = all.some(readsOverApi) ? [{ name: "cilium-config", optional: false }] : [];
  const wanted = [...mounted, ...environment, ...read].flatMap(({ name, optional, ...rest }) =>
    name && !optional ? [{ name, ...rest }] : [],
  );
  return [...new Map(wanted.toReversed().map((one) => [one.name, one])).values()];
}
