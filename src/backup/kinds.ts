/** The kinds of objects that a backup holds, in the order in which they are restored: what others need comes first. */
import type { ManifestObject } from "../model/changes/change.ts";
import { type Ref, ref } from "../model/ref.ts";

export type Kind = {
  readonly kind: string;
  /** Empty for the core group. */
  readonly group: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
};

const RBAC = "rbac.authorization.k8s.io";

/** All are `v1` in every version of Kubernetes since 1.9. */
export const KINDS: readonly Kind[] = [
  { kind: "Namespace", group: "", plural: "namespaces", isNamespaced: false },
  { kind: "ServiceAccount", group: "", plural: "serviceaccounts", isNamespaced: true },
  { kind: "ClusterRole", group: RBAC, plural: "clusterroles", isNamespaced: false },
  { kind: "Role", group: RBAC, plural: "roles", isNamespaced: true },
  { kind: "ClusterRoleBinding", group: RBAC, plural: "clusterrolebindings", isNamespaced: false },
  { kind: "RoleBinding", group: RBAC, plural: "rolebindings", isNamespaced: true },
  { kind: "ConfigMap", group: "", plural: "configmaps", isNamespaced: true },
  { kind: "DaemonSet", group: "apps", plural: "daemonsets", isNamespaced: true },
  { kind: "Deployment", group: "apps", plural: "deployments", isNamespaced: true },
  { kind: "StatefulSet", group: "apps", plural: "statefulsets", isNamespaced: true },
];

/** @param word as a person names a kind: `ClusterRole`, `clusterroles`, `clusterroles.rbac.authorization.k8s.io`, `cm` */
export function kindNamed(word: string): Kind | undefined {
  const wanted = word.toLowerCase();
  const short: Readonly<Record<string, string>> = {
    ns: "Namespace",
    sa: "ServiceAccount",
    cm: "ConfigMap",
    ds: "DaemonSet",
    deploy: "Deployment",
    sts: "StatefulSet",
  };
  return KINDS.find(
    ({ kind, plural, group }) =>
      [kind.toLowerCase(), plural, `${plural}.${group}`, `${kind.toLowerCase()}.${group}`].includes(wanted) ||
      short[wanted] === kind,
  );
}

export const kindOf = ({ kind }: Pick<ManifestObject, "kind">): Kind | undefined =>
  KINDS.find((each) => each.kind === kind);

export const apiVersionOf = ({ group }: Kind): string => (group === "" ? "v1" : `${group}/v1`);

/** The path of all objects of a kind, or of those of a namespace. */
export function listPathOf({ group, plural }: Kind, namespace?: string): string {
  const root = group === "" ? "/api/v1" : `/apis/${group}/v1`;
  return namespace === undefined
    ? `${root}/${plural}`
    : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

export function refOf({ kind, metadata: { name, namespace } }: ManifestObject): Ref {
  return ref(kind, name, namespace);
}
