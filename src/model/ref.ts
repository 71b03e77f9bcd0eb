import { shellWord } from "../shell.ts";

/** Names an object as a person would edit or restore it. */
export type Ref = {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  /** Missing for the core group and where the kind alone is clear. */
  readonly apiGroup?: string;
};

export function ref(kind: string, name: string, namespace?: string | null): Ref {
  return namespace === undefined || namespace === null ? { kind, name } : { kind, namespace, name };
}

/** An object of Calico's; the group, because others have kinds of the same names. */
export function calicoRef(kind: string, name: string, namespace?: string | null): Ref {
  return { ...ref(kind, name, namespace), apiGroup: "crd.projectcalico.org" };
}

/** `Kind/name` or `Kind/namespace/name`: equal for equal objects. */
export function refId({ kind, namespace, name }: Ref): string {
  return namespace === undefined ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;
}

export function sameRef(a: Ref, b: Ref): boolean {
  return a.kind === b.kind && a.name === b.name && a.namespace === b.namespace;
}

/** A Ref, also as it is read back from a report. */
type Named = Pick<Ref, "kind" | "name"> & {
  readonly namespace?: string | undefined;
  readonly apiGroup?: string | undefined;
};

/** Kinds whose bare name kubectl resolves to the one that is meant, whatever CRDs are installed. */
const BUILT_IN_KINDS = new Set([
  ...["Pod", "Service", "Node", "Namespace", "ConfigMap", "ServiceAccount", "Deployment", "DaemonSet", "StatefulSet"],
  ...["ReplicaSet", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
]);

/**
 * As words of a kubectl command: `clusterrole/flannel`, `-n shop service/backend`; with the group where the kind is not
 * enough.
 */
export function kubectlName({ kind, namespace, name, apiGroup }: Named): string {
  const group = apiGroup && !BUILT_IN_KINDS.has(kind) ? `.${apiGroup}` : "";
  // netwhy's own name for a kind that has the name of Kubernetes'
  const type = kind === "CalicoNetworkPolicy" ? "networkpolicy" : kind.toLowerCase();
  const words = shellWord(`${type}${group}/${name}`);
  return namespace === undefined ? words : `-n ${shellWord(namespace)} ${words}`;
}
