/** Rules taken apart: what a rule allows, one request at a time, and what of it another rule allows as well. */
import type { PolicyRule } from "../../parse/objects.ts";
import { ruleAllows, type Want } from "../rbac.ts";

/**
 * Every request that a rule is for. Wildcards stay what they are: only a wildcard allows a wildcard.
 *
 * @param namespace where the rule holds, if it is granted by a RoleBinding
 */
export function wantsOf(rule: PolicyRule, namespace?: string): Want[] {
  const verbs = rule.verbs ?? [];
  if (rule.nonResourceURLs?.length)
    return rule.nonResourceURLs.flatMap((path) => verbs.map((verb) => ({ verb, path })));
  const where = namespace === undefined ? {} : { namespace };
  const names: readonly { name?: string }[] = rule.resourceNames?.length
    ? rule.resourceNames.map((name) => ({ name }))
    : [{}];
  return (rule.resources ?? []).flatMap((resource) =>
    (rule.apiGroups ?? []).flatMap((apiGroup) =>
      verbs.flatMap((verb) => names.map((name) => ({ verb, apiGroup, resource, ...name, ...where }))),
    ),
  );
}

/** Requests as rules again: those of one resource together. */
export function rulesOf(wants: readonly Want[]): PolicyRule[] {
  const keyOf = (want: Want) => ("path" in want ? want.path : `${want.apiGroup} ${want.resource} ${want.name ?? ""}`);
  return [...Map.groupBy(wants, keyOf).values()].map((same): PolicyRule => {
    const [first] = same as [Want, ...Want[]];
    const verbs = same.map(({ verb }) => verb);
    if ("path" in first) return { nonResourceURLs: [first.path], verbs };
    const named = first.name === undefined ? {} : { resourceNames: [first.name] };
    return { apiGroups: [first.apiGroup], resources: [first.resource], ...named, verbs };
  });
}

/** What of a rule none of these allows; nothing is asked one by one where one rule allows it all. */
export function deniedOf(rule: PolicyRule, by: readonly PolicyRule[], namespace?: string): Want[] {
  if (by.some((other) => includes(other, rule))) return [];
  return wantsOf(rule, namespace).filter((want) => !by.some((other) => ruleAllows(other, want)));
}

/** Rules without what these others do not allow. */
export function commonRules(rules: readonly PolicyRule[], others: readonly PolicyRule[]): PolicyRule[] {
  return rules.flatMap((rule) => {
    const denied = deniedOf(rule, others);
    if (denied.length === 0) return [rule];
    return rulesOf(wantsOf(rule).filter((want) => others.some((other) => ruleAllows(other, want))));
  });
}

/** Rules without what these others allow. */
export const rulesWithout = (rules: readonly PolicyRule[], others: readonly PolicyRule[]): PolicyRule[] =>
  rules.flatMap((rule) => {
    const left = deniedOf(rule, others);
    return left.length === wantsOf(rule).length ? [rule] : rulesOf(left);
  });

type Words = readonly string[] | null | undefined;

function includes(wide: PolicyRule, narrow: PolicyRule): boolean {
  const holds = (all: Words, some: Words) => (some ?? []).every((word) => all?.includes(word) || all?.includes("*"));
  if (!holds(wide.verbs, narrow.verbs)) return false;
  if (narrow.nonResourceURLs?.length) return narrow.nonResourceURLs.every((url) => wide.nonResourceURLs?.includes(url));
  if (wide.resourceNames?.length && !narrow.resourceNames?.length) return false;
  return (
    holds(wide.apiGroups, narrow.apiGroups) &&
    holds(wide.resources, narrow.resources) &&
    (!wide.resourceNames?.length || (narrow.resourceNames ?? []).every((name) => wide.resourceNames?.includes(name)))
  );
}
