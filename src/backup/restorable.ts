/**
 * An object as somebody made it, without what the API server and controllers write into it: it can be applied anew, and
 * is equal whenever the same was meant.
 *
 * Source: apimachinery, pkg/apis/meta/v1/types.go (ObjectMeta: "Populated by the system"); owners are known by uids that
 * do not last, and what has an owner that is gone is collected as garbage.
 */
import type { ManifestObject } from "../model/changes/change.ts";
import { apiVersionOf, type Kind } from "./kinds.ts";

type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const SET_BY_SERVER: ReadonlySet<string> = new Set([
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "managedFields",
  "selfLink",
  "ownerReferences",
  "finalizers",
  "generateName",
]);

/** Annotations in which programs keep books. */
const BOOKKEEPING =
  /^kubectl\.kubernetes\.io\/last-applied-configuration$|^deployment\.kubernetes\.io\/revision$|^deprecated\.daemonset\.template\.generation$|^control-plane\.alpha\.kubernetes\.io\/leader$|^kubectl\.kubernetes\.io\/restartedAt$/;

/** Without nulls, which the API takes for fields that are not there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, part]) => (part === null ? [] : [[key, withoutNulls(part)]])),
  );
}

function metadataOf({ annotations, labels, ...rest }: Fields): ManifestObject["metadata"] {
  const kept = Object.entries(rest).filter(([key]) => !SET_BY_SERVER.has(key));
  const notes = Object.entries(isFields(annotations) ? annotations : {}).filter(([key]) => !BOOKKEEPING.test(key));
  return {
    ...(Object.fromEntries(kept) as ManifestObject["metadata"]),
    ...(isFields(labels) && Object.keys(labels).length > 0 && { labels }),
    ...(notes.length > 0 && { annotations: Object.fromEntries(notes) }),
  };
}

/** What besides the metadata is not of whoever made it. */
function withoutWritten(kind: string, fields: Fields): Fields {
  const { status: _, ...rest } = fields;
  if (kind === "Namespace") {
    const { spec: __, ...kept } = rest;
    return kept;
  }
  // tokens that a controller made (before 1.24)
  if (kind === "ServiceAccount") {
    const { secrets: __, ...kept } = rest;
    return kept;
  }
  return rest;
}

/**
 * @param object of that kind, as the API or a bundle has it; lists leave out its kind
 * @returns undefined for what is no object
 */
export function restorable(object: unknown, kind: Kind): ManifestObject | undefined {
  const clean = withoutNulls(object);
  if (!isFields(clean) || !isFields(clean.metadata) || typeof clean.metadata.name !== "string") return undefined;
  const { apiVersion: _, kind: __, metadata, ...rest } = clean;
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: metadataOf(metadata),
    ...withoutWritten(kind.kind, rest),
  };
}

/** Whether a controller writes the rules of a role, from those of others: they are no one's to restore. */
export const isAggregated = ({ kind, aggregationRule }: Fields): boolean =>
  kind === "ClusterRole" && isFields(aggregationRule);

/** What of an object is applied. */
export function withoutAggregated<T extends Fields>(object: T): T {
  if (!isAggregated(object)) return object;
  const { rules: _, ...rest } = object;
  return rest as T;
}

const HIDDEN = /\[(?:private key|token|password|key|Secret|environment value) redacted\]/;

/** Whether something in it was taken out on its way into a bundle: as it is now it was never meant. */
export function isRedacted(value: unknown): boolean {
  if (typeof value === "string") return HIDDEN.test(value);
  if (Array.isArray(value)) return value.some(isRedacted);
  return isFields(value) && Object.values(value).some(isRedacted);
}
