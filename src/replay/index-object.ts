/** From the JSON of an object to what selectors ask for. */
import type { Labels } from "../model/labels.ts";
import { fieldsOf } from "./fields.ts";
import type { StoredObject } from "./store.ts";

type Metadata = {
  readonly name?: unknown;
  readonly namespace?: unknown;
  readonly labels?: unknown;
};

/** @returns undefined for what has no name: it is no object of the API */
export function indexed(group: string, plural: string, value: unknown, json: Uint8Array): StoredObject | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { metadata, kind, apiVersion } = value as { metadata?: Metadata; kind?: unknown; apiVersion?: unknown };
  if (typeof metadata?.name !== "string") return undefined;
  const { name, namespace, labels } = metadata;
  return {
    namespace: typeof namespace === "string" ? namespace : "",
    name,
    labels: typeof labels === "object" && labels !== null ? (labels as Labels) : NO_LABELS,
    fields: fieldsOf(group, plural, value as Readonly<Record<string, unknown>>),
    json,
    isTyped: typeof kind === "string" && typeof apiVersion === "string",
  };
}

const NO_LABELS: Labels = {};
