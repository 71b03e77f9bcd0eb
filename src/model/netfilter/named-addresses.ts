/** The addresses that a rule tells from others, to know for whom it may be different. */
import { type Prefix, parsePrefix } from "../../net/ip.ts";
import type { NftExpression } from "../../parse/nftables/json.ts";
import type { Condition, Part, Rule } from "./rule.ts";

/** Whether packets may end at the rule: it drops or rejects, or a map says what it does. */
export function mayDrop(rule: Rule): boolean {
  for (let part: Rule | Part | undefined = rule; part; part = part.then)
    if (/^(drop|reject|vmap)/.test(part.target.does)) return true;
  return false;
}

/** Of a range its first address is given: what is told apart there is enough to be looked at. */
export function addressesNamedBy(rule: Rule): readonly Prefix[] {
  const named: Prefix[] = [];
  for (let part: Rule | Part | undefined = rule; part; part = part.then)
    for (const condition of part.conditions) named.push(...namedIn(condition));
  return named;
}

function namedIn(condition: Condition): readonly Prefix[] {
  if (condition.is === "source" || condition.is === "destination") return [condition.prefix];
  if (condition.is !== "compare") return [];
  const { right } = condition.match;
  const elements =
    typeof right !== "object"
      ? []
      : right.is === "set"
        ? right.elements
        : right.is === "named"
          ? (condition.sets.byName.get(right.name)?.elements ?? [])
          : [{ key: right }];
  return elements.flatMap(({ key }) => prefixesOf(key));
}

function prefixesOf(key: NftExpression): readonly Prefix[] {
  if (typeof key === "object" && key.is === "concat") return key.of.flatMap(prefixesOf);
  const text =
    typeof key === "string"
      ? key
      : typeof key !== "object"
        ? undefined
        : key.is === "prefix"
          ? `${key.address}/${key.length}`
          : key.is === "range"
            ? `${key.from}`
            : undefined;
  const prefix = text === undefined ? undefined : parsePrefix(text);
  return prefix ? [prefix] : [];
}
