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

/** `Kind/name` or `Kind/namespace/name`: equal for equal objects. */
export function refId({ kind, namespace, name }: Ref): string {
  return namespace === undefined ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;
}

export function sameRef(a: Ref, b: Ref): boolean {
  return a.kind === b.kind && a.name === b.name && a.namespace === b.namespace;
}

/** As kubectl takes it: `clusterrole/flannel`, `-n shop service/backend`. */
export function kubectlName({ kind, namespace, name }: Ref): string {
  const words = `${kind.toLowerCase()}/${name}`;
  return namespace === undefined ? words : `-n ${namespace} ${words}`;
}
