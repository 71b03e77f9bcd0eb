/** What is otherwise in one snapshot than in another: of roles what they permit, of bindings whom, of others each field. */
import { changesBetween, type FieldChange } from "../compare/values.ts";
import type { ManifestObject } from "../model/changes/change.ts";
import { type Ref, refId } from "../model/ref.ts";
import type { Snapshot, Without } from "./archive.ts";
import { roleRefOf, rulesOf, subjectId, subjectsOf } from "./grants.ts";
import { kindOf, refOf } from "./kinds.ts";
import { beyond, inWords } from "./permissions.ts";
import { isAggregated } from "./restorable.ts";

export type ObjectDifference = {
  readonly object: Ref;
  readonly change: "added" | "removed" | "changed";
  /** What a role permits that it did not, and the other way round: `list, watch: nodes`. */
  readonly gained: readonly string[];
  readonly lost: readonly string[];
  /** Of a binding, as `Kind/namespace/name`. */
  readonly bound: readonly string[];
  readonly unbound: readonly string[];
  /** Of a binding: the role that it refers to. */
  readonly roleRef?: { readonly before: string; readonly after: string };
  /** Everything else. */
  readonly fields: readonly FieldChange[];
};

export type SnapshotDifference = {
  readonly differences: readonly ObjectDifference[];
  /** What cannot be compared, because one of the two does not hold it. */
  readonly uncompared: readonly Without[];
};

const isRole = ({ kind }: ManifestObject): boolean => kind === "ClusterRole" || kind === "Role";
const isBinding = ({ kind }: ManifestObject): boolean => kind === "ClusterRoleBinding" || kind === "RoleBinding";

const only = (these: readonly string[], others: readonly string[]): string[] =>
  [...new Set(these)].filter((each) => !others.includes(each)).sort();

/** Without what is compared by what it means. */
function otherFields(object: ManifestObject): unknown {
  if (isRole(object)) {
    const { rules: _, ...rest } = object;
    return rest;
  }
  if (!isBinding(object)) return object;
  const { subjects: _, roleRef: __, ...rest } = object;
  return rest;
}

/** @returns undefined if they mean the same */
export function differenceOf(
  before: ManifestObject | undefined,
  after: ManifestObject | undefined,
): ObjectDifference | undefined {
  const one = after ?? before;
  if (!one) return undefined;
  const [old, now] = [before && rulesOf(before), after && rulesOf(after)];
  const [was, is] = [before, after].map((binding) =>
    binding && isBinding(binding) ? subjectsOf(binding).map(subjectId) : [],
  ) as [string[], string[]];
  const roles = [before, after].map((binding) => {
    if (!binding || !isBinding(binding)) return undefined;
    const { kind, name } = roleRefOf(binding);
    return `${kind}/${name}`;
  });
  // what others aggregate to differs where they do
  const isCompared = isRole(one) && !(before && after && isAggregated(before) && isAggregated(after));
  const difference: ObjectDifference = {
    object: refOf(one),
    change: !before ? "added" : !after ? "removed" : "changed",
    gained: isCompared ? inWords(beyond(now ?? [], old ?? [])) : [],
    lost: isCompared ? inWords(beyond(old ?? [], now ?? [])) : [],
    bound: only(is, was),
    unbound: only(was, is),
    ...(roles[0] !== undefined &&
      roles[1] !== undefined &&
      roles[0] !== roles[1] && { roleRef: { before: roles[0], after: roles[1] } }),
    fields: before && after ? changesBetween(otherFields(before), otherFields(after)) : [],
  };
  const { gained, lost, bound, unbound, roleRef, fields } = difference;
  const isSame = [gained, lost, bound, unbound, fields].every((list) => list.length === 0) && !roleRef;
  return difference.change === "changed" && isSame ? undefined : difference;
}

/** Kinds that a backup holds only of what other objects refer to. */
const REFERRED_TO: ReadonlySet<string> = new Set(["Namespace", "ServiceAccount", "ConfigMap"]);

/** Whether a snapshot says that an object is not there, rather than nothing about it. */
export function provesAbsence({ head: { without }, others }: Snapshot, { kind, name, namespace }: Ref): boolean {
  // what was not seen may have referred to it
  if (!others && REFERRED_TO.has(kind) && without.some((gap) => gap.name === undefined)) return false;
  return !without.some(
    (gap) => gap.kind === kind && (gap.name === undefined || (gap.name === name && gap.namespace === namespace)),
  );
}

/** All that is known to be there, by its id. */
export function presentIn({ objects, others = [] }: Snapshot): ReadonlyMap<string, ManifestObject> {
  return new Map([...others, ...objects].map((object) => [refId(refOf(object)), object]));
}

export function differencesBetween(before: Snapshot, after: Snapshot): SnapshotDifference {
  const [old, now] = [presentIn(before), presentIn(after)];
  const all = [...before.objects, ...after.objects];
  const objects = [...new Map(all.map((object) => [refId(refOf(object)), object])).values()].sort(inOrder);
  const differences = objects.flatMap((object) => {
    const self = refOf(object);
    const [was, is] = [old.get(refId(self)), now.get(refId(self))];
    if ((!was && !provesAbsence(before, self)) || (!is && !provesAbsence(after, self))) return [];
    return differenceOf(was, is) ?? [];
  });
  return { differences, uncompared: [...before.head.without, ...after.head.without] };
}

/** Permissions first: they are what the rest hangs on. */
function inOrder(a: ManifestObject, b: ManifestObject): number {
  const rank = (object: ManifestObject) => (kindOf(object)?.group.startsWith("rbac.") ? 0 : 1);
  const [x, y] = [refId(refOf(a)), refId(refOf(b))];
  return rank(a) - rank(b) || (x < y ? -1 : 1);
}
