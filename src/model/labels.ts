/** Label selectors (apimachinery, pkg/apis/meta/v1/helpers.go, LabelSelectorAsSelector). */
import type { LabelSelector } from "../parse/objects.ts";

export type Labels = Readonly<Record<string, string>>;

/** Whether all of `wanted` are among `labels`: the selector of a Service or a node selector. */
export function hasLabels(wanted: Labels, labels: Labels | null | undefined): boolean {
  return Object.entries(wanted).every(([key, value]) => labels?.[key] === value);
}

/**
 * Whether a label selector selects an object with these labels. An empty selector selects everything; a missing one
 * selects nothing, which is the caller's business, because it means other things in other places.
 */
export function selects(selector: LabelSelector, labels: Labels | null | undefined): boolean {
  if (!hasLabels(selector.matchLabels ?? {}, labels)) return false;
  return (selector.matchExpressions ?? []).every((requirement) => meets(requirement, labels));
}

type Requirement = {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[] | null | undefined;
};

/** Operators of label and of node selectors (Gt and Lt exist for nodes only). An unknown operator selects nothing. */
export function meets({ key, operator, values }: Requirement, labels: Labels | null | undefined): boolean {
  // every JavaScript object has a toString
  const value = labels && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && (values ?? []).includes(value);
    case "NotIn":
      return value === undefined || !(values ?? []).includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(values?.[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(values?.[0]);
    default:
      return false;
  }
}

/** As kubectl prints a selector: `app=backend,tier in (api,web)`. */
export function formatSelector(selector: LabelSelector | null | undefined): string {
  const parts = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    if (operator === "Exists") parts.push(key);
    else if (operator === "DoesNotExist") parts.push(`!${key}`);
    else parts.push(`${key} ${operator.toLowerCase()} (${(values ?? []).join(",")})`);
  }
  return parts.length === 0 ? "{}" : parts.join(",");
}
