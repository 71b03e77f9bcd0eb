/** Who may do what by the RBAC objects of a snapshot, and what somebody may do by one snapshot and not by another. */
import type { ManifestObject } from "../model/changes/change.ts";
import type { PolicyRule } from "../parse/objects.ts";
import { beyond, inWords, type Rules } from "./permissions.ts";
import { isFields } from "./restorable.ts";

export type Subject = {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
};

/** `ServiceAccount/kube-flannel/flannel`, `User/system:kube-proxy`: equal for equal subjects. */
export const subjectId = ({ kind, name, namespace }: Subject): string =>
  [kind, namespace, name].filter(Boolean).join("/");

/** What somebody may do that they might not before. */
export type Gain = {
  /** As `subjectId` has it. */
  readonly subject: string;
  /** Missing: everywhere. */
  readonly namespace?: string;
  /** As `inWords` has it. */
  readonly may: readonly string[];
};

export const rulesOf = ({ rules }: ManifestObject): Rules => (Array.isArray(rules) ? (rules as PolicyRule[]) : []);

export function subjectsOf({ subjects, metadata }: ManifestObject): Subject[] {
  if (!Array.isArray(subjects)) return [];
  return subjects.filter(isFields).map(({ kind, name, namespace }) => ({
    kind: String(kind),
    name: String(name),
    // the authorizer takes the namespace of the binding where an account names none
    ...(kind === "ServiceAccount" && { namespace: String(namespace || (metadata.namespace ?? "")) }),
  }));
}

export function roleRefOf({ roleRef }: ManifestObject): { readonly kind: string; readonly name: string } {
  const { kind, name } = isFields(roleRef) ? roleRef : {};
  return { kind: String(kind), name: String(name) };
}

type Grants = ReadonlyMap<string, { readonly subject: string; readonly namespace?: string; readonly rules: Rules }>;

function grantsBy(objects: readonly ManifestObject[]): Grants {
  const roles = new Map(
    objects
      .filter(({ kind }) => kind === "ClusterRole" || kind === "Role")
      .map((role) => [`${role.kind}/${role.metadata.namespace ?? ""}/${role.metadata.name}`, rulesOf(role)]),
  );
  const grants = new Map<string, { subject: string; namespace?: string; rules: PolicyRule[] }>();
  for (const binding of objects) {
    if (binding.kind !== "ClusterRoleBinding" && binding.kind !== "RoleBinding") continue;
    const { namespace } = binding.metadata;
    const { kind, name } = roleRefOf(binding);
    const rules = roles.get(`${kind}/${kind === "Role" ? (namespace ?? "") : ""}/${name}`) ?? [];
    for (const subject of subjectsOf(binding).map(subjectId)) {
      const key = `${namespace ?? ""} ${subject}`;
      const grant = grants.get(key) ?? { subject, ...(namespace !== undefined && { namespace }), rules: [] };
      grant.rules.push(...rules);
      grants.set(key, grant);
    }
  }
  return grants;
}

/** What somebody may do by the second objects and not by the first, by names of subjects. */
export function gainsBetween(before: readonly ManifestObject[], after: readonly ManifestObject[]): Gain[] {
  const [old, now] = [grantsBy(before), grantsBy(after)];
  return [...now.values()]
    .flatMap(({ subject, namespace, rules }): Gain[] => {
      // what is granted everywhere is granted in each namespace
      const had = [`${namespace ?? ""} ${subject}`, ` ${subject}`].flatMap((key) => old.get(key)?.rules ?? []);
      const may = inWords(beyond(rules, had));
      return may.length === 0 ? [] : [{ subject, ...(namespace !== undefined && { namespace }), may }];
    })
    .sort((a, b) => (`${a.subject} ${a.namespace}` < `${b.subject} ${b.namespace}` ? -1 : 1));
}
