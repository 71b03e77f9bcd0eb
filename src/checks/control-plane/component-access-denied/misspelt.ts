/**
 * Why a rule that seems to allow something does not: RBAC compares words as they are, and the API server takes any.
 *
 * Source: kubernetes pkg/apis/rbac/v1/evaluation_helpers.go (VerbMatches, APIGroupMatches, ResourceMatches,
 * ResourceNameMatches).
 */
import { ruleAllows, type Want } from "../../../model/rbac.ts";
import type { PolicyRule } from "../../../parse/objects.ts";
import { type Text, texts } from "../../../text.ts";

const say = texts("component-access-denied/misspelt", {
  verbs: {
    en: "verbs are compared letter by letter, and it has {words}",
    zh: "动词区分大小写，规则中写的是 {words}",
  },
  resources: {
    en: "resources go by their plural in small letters, and it names {words}",
    zh: "资源须用小写复数形式，规则中写的是 {words}",
  },
  apiGroups: {
    en: 'a group goes without its version, and the core group is "": it has {words}',
    zh: 'apiGroups 不带版本，核心组写作 ""，规则中写的是 {words}',
  },
  resourceNames: {
    en: "it holds for {words} alone (resourceNames), and not for a request that names none",
    zh: "它只对 {words} 生效（resourceNames），不适用于不带名称的请求",
  },
});

type Part = "verbs" | "resources" | "apiGroups" | "resourceNames";

const plural = (name: string): string =>
  name.endsWith("s") ? name : name.endsWith("y") ? `${name.slice(0, -1)}ies` : `${name}s`;

/** What was meant, of each part of a rule; undefined: any. */
const MEANT: Readonly<Record<Part, ((word: string) => string) | undefined>> = {
  verbs: (word) => word.trim().toLowerCase(),
  resources(word) {
    const [name = "", ...subresource] = word.trim().toLowerCase().split("/");
    return [plural(name), ...subresource].join("/");
  },
  apiGroups: (word) => (/^(v\d\w*|core)(\/v\d\w*)?$/.test(word) ? "" : word.replace(/\/v\d\w*$/, "")),
  resourceNames: undefined,
};

/** What keeps one of these rules from allowing a request, if it is one word of it. */
export function misspeltIn(rules: readonly PolicyRule[], want: Want): Text | undefined {
  if ("path" in want) return undefined;
  for (const part of Object.keys(MEANT) as Part[]) {
    const meant = MEANT[part];
    for (const rule of rules) {
      const words = rule[part] ?? [];
      const read = { ...rule, [part]: meant ? words.map(meant) : undefined };
      if (!ruleAllows(read, want)) continue;
      const wrong = meant ? words.filter((word) => meant(word) !== word) : words;
      return say[part]({ words: [...new Set(wrong)] });
    }
  }
  return undefined;
}
