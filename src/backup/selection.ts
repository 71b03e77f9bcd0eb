/** Which objects of a cluster belong into a backup: all of RBAC, and what the network is made of. */
import type { ManifestObject } from "../model/changes/change.ts";
import { definitionOf, imageRepository, type Matcher } from "../model/components/definitions.ts";
import { refId } from "../model/ref.ts";
import { subjectsOf } from "./grants.ts";
import { kindOf, refOf } from "./kinds.ts";
import { isFields } from "./restorable.ts";

/** Of kube-system: how the cluster was made, which no Pod of the network refers to. */
const INSTALLED_WITH = ["kubeadm-config", "kubelet-config", "kube-proxy", "coredns", "node-local-dns"];

const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce((part, key) => (isFields(part) ? part[key] : undefined), value);

const listAt = (value: unknown, ...path: readonly string[]): readonly unknown[] => {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
};

const podSpecOf = (workload: ManifestObject): unknown => at(workload, "spec", "template", "spec");

const textAt = (value: unknown, key: string): string | undefined => {
  const found = at(value, key);
  return typeof found === "string" ? found : undefined;
};

/** One of the programs that the network is made of. */
function isOfNetwork(workload: ManifestObject, described: readonly Matcher[]): boolean {
  const account = textAt(podSpecOf(workload), "serviceAccountName");
  return listAt(podSpecOf(workload), "containers").some((container) => {
    const image = textAt(container, "image");
    const command = listAt(container, "command").map(String);
    return (
      definitionOf({ name: textAt(container, "name"), image, command }, account) !== undefined ||
      (image !== undefined && described.some((each) => each.test(imageRepository(image))))
    );
  });
}

/** The ConfigMaps that a Pod mounts or takes its environment from. */
function configMapsOf(spec: unknown): string[] {
  const names = [
    ...listAt(spec, "volumes").flatMap((volume) => [
      at(volume, "configMap", "name"),
      ...listAt(volume, "projected", "sources").map((source) => at(source, "configMap", "name")),
    ]),
    ...[...listAt(spec, "containers"), ...listAt(spec, "initContainers")].flatMap((container) => [
      ...listAt(container, "envFrom").map((source) => at(source, "configMapRef", "name")),
      ...listAt(container, "env").map((variable) => at(variable, "valueFrom", "configMapKeyRef", "name")),
    ]),
  ];
  return names.filter((name) => typeof name === "string");
}

/**
 * @param objects all of the cluster, of the kinds that a backup holds
 * @param described images of components that netwhy does not know and was told of
 */
export function selectedForBackup(
  objects: readonly ManifestObject[],
  described: readonly Matcher[] = [],
): ManifestObject[] {
  const isRbac = (object: ManifestObject) => kindOf(object)?.group.startsWith("rbac.") === true;
  const network = new Set(
    objects.filter((object) => kindOf(object)?.group === "apps" && isOfNetwork(object, described)),
  );
  const wanted = new Set(
    [...network].flatMap((workload) => {
      const { namespace } = workload.metadata;
      const spec = podSpecOf(workload);
      const maps = configMapsOf(spec).map((name) => `ConfigMap/${namespace}/${name}`);
      return [...maps, `ServiceAccount/${namespace}/${at(spec, "serviceAccountName") ?? "default"}`];
    }),
  );
  for (const name of INSTALLED_WITH) wanted.add(`ConfigMap/kube-system/${name}`);
  for (const binding of objects.filter(isRbac)) {
    for (const { kind, namespace, name } of subjectsOf(binding)) {
      if (kind === "ServiceAccount") wanted.add(`ServiceAccount/${namespace}/${name}`);
    }
  }
  const chosen = objects.filter((object) => isRbac(object) || network.has(object) || wanted.has(refId(refOf(object))));
  const namespaces = new Set(chosen.map(({ metadata: { namespace } }) => namespace));
  return [...objects.filter(({ kind, metadata: { name } }) => kind === "Namespace" && namespaces.has(name)), ...chosen];
}
