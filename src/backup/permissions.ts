/**
 * What rules permit, as sets: a rule is the product of its verbs, groups, resources and names, and two lists of rules
 * are equal if they permit the same, however they are written.
 */
import { ruleAllows, type Want } from "../model/rbac.ts";
import type { PolicyRule } from "../parse/objects.ts";

export type Rules = readonly PolicyRule[];

/** One thing that may be done; `*` where a rule says so. */
function wantsOf({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): Want[] {
  return (verbs ?? []).flatMap((verb) => [
    ...(nonResourceURLs ?? []).map((path): Want => ({ verb, path })),
    ...(apiGroups ?? []).flatMap((apiGroup) =>
      (resources ?? []).flatMap((resource) =>
        (resourceNames?.length ? resourceNames : [undefined]).map(
          (name): Want => ({ verb, apiGroup, resource, ...(name !== undefined && { name }) }),
        ),
      ),
    ),
  ]);
}

/** A rule of more than this is compared as it is written: products of strangers' lists grow without end. */
const MOST_WANTS = 10_000;

const size = ({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): number =>
  (verbs?.length ?? 0) *
  ((nonResourceURLs?.length ?? 0) +
    (apiGroups?.length ?? 0) * (resources?.length ?? 0) * Math.max(1, resourceNames?.length ?? 0));

/** What the first permit and the second do not. */
export function beyond(rules: Rules, others: Rules): readonly Want[] {
  return rules
    .filter(
      (rule) => size(rule) <= MOST_WANTS || !others.some((other) => JSON.stringify(other) === JSON.stringify(rule)),
    )
    .flatMap(wantsOf)
    .filter((want) => !others.some((rule) => ruleAllows(rule, want)));
}

const inOrder = (words: Iterable<string>): string => [...new Set(words)].sort().join(", ");

const resourceOf = (want: Want): string => {
  if ("path" in want) return want.path;
  const [resource = "", subresource] = want.resource.split("/");
  const group = want.apiGroup === "" ? "" : `.${want.apiGroup}`;
  const name = want.name === undefined ? "" : `[${want.name}]`;
  return `${resource}${group}${subresource === undefined ? "" : `/${subresource}`}${name}`;
};

/** In few lines, each `list, watch: endpoints, services`; the same for equal sets. */
export function inWords(wants: readonly Want[]): string[] {
  const verbsOf = Map.groupBy(wants, resourceOf);
  const byVerbs = Map.groupBy(verbsOf, ([, same]) => inOrder(same.map(({ verb }) => verb)));
  return [...byVerbs].map(([verbs, resources]) => `${verbs}: ${inOrder(resources.map(([name]) => name))}`).sort();
}
