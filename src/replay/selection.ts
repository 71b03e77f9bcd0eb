/** Which objects a request asks for: its namespace, its label selector and its field selector. */
import { meets } from "../model/labels.ts";
import type { ResourceType } from "../model/resource-types.ts";
import { parseFieldSelector } from "../parse/selectors/field.ts";
import { parseLabelSelector } from "../parse/selectors/label.ts";
import { whyNotSelectable } from "./fields.ts";
import { StatusError } from "./status.ts";
import type { StoredObject } from "./store.ts";

export type Selection = {
  /** Nothing is left out. */
  readonly isAll: boolean;
  includes(object: StoredObject): boolean;
};

/**
 * @param namespace undefined for all
 * @throws StatusError for a selector that does not parse, and for fields by which nothing can be selected
 */
export function selectionOf(type: ResourceType, namespace: string | undefined, query: URLSearchParams): Selection {
  const labels = parseLabelSelector(query.get("labelSelector") ?? "");
  if (!labels.ok) throw new StatusError("BadRequest", labels.why);
  const fields = parseFieldSelector(query.get("fieldSelector") ?? "");
  if (!fields.ok) throw new StatusError("BadRequest", fields.why);
  for (const { field } of fields.value) {
    const why = whyNotSelectable(type.group, type.plural, field);
    if (why !== undefined) throw new StatusError("BadRequest", why);
  }
  return {
    isAll: namespace === undefined && labels.value.length === 0 && fields.value.length === 0,
    includes: (object) =>
      (namespace === undefined || object.namespace === namespace) &&
      labels.value.every((requirement) => meets(requirement, object.labels)) &&
      fields.value.every(({ field, isEqual, value }) => (fieldOf(object, field) === value) === isEqual),
  };
}

function fieldOf({ name, namespace, fields }: StoredObject, field: string): string {
  if (field === "metadata.name") return name;
  return field === "metadata.namespace" ? namespace : fields[field]!;
}
