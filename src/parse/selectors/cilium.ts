/**
 * A selector of identities, as Cilium prints it inside an endpoint's policy.
 *
 * Formats: Go's print of a LabelSelector (until 1.16),
 *   &LabelSelector{MatchLabels:map[string]string{k8s.app: backend,},MatchExpressions:[]LabelSelectorRequirement{
 *   LabelSelectorRequirement{Key:k8s.tier,Operator:In,Values:[api web],},},}
 * or its JSON. Keys begin with the source of the label: `k8s.app`, `reserved.host`, `cidr.10.0.0.0/8`, `any.app`.
 */
import { type Fields, isObject } from "../fields.ts";
import { parseJson } from "../parsed.ts";

export type IdentityRequirement = {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values: readonly string[];
};

const GO =
  /^&?LabelSelector\{MatchLabels:map\[string\]string\{(.*?)\},MatchExpressions:\[\]LabelSelectorRequirement\{(.*)\},\}$/;
const REQUIREMENT = /LabelSelectorRequirement\{Key:([^,]+),Operator:(\w+),Values:\[([^\]]*)\],\},?/y;
const OPERATORS = new Set(["In", "NotIn", "Exists", "DoesNotExist"]);

const isOperator = (text: string): text is IdentityRequirement["operator"] => OPERATORS.has(text);

/** @returns what an identity's labels have to meet, all of it; undefined if it is no selector by labels */
export function parseIdentitySelector(text: string): readonly IdentityRequirement[] | undefined {
  const [, labels, expressions] = GO.exec(text) ?? [];
  if (labels !== undefined && expressions !== undefined) return ofGo(labels, expressions);
  const json = text.startsWith("{") ? parseJson(text) : undefined;
  return json?.ok && isObject(json.value) ? ofJson(json.value) : undefined;
}

function ofGo(labels: string, expressions: string): readonly IdentityRequirement[] | undefined {
  const found: IdentityRequirement[] = [];
  for (const pair of labels.split(",").filter((one) => one !== "")) {
    const colon = pair.indexOf(": ");
    if (colon < 0) return undefined;
    found.push({ key: pair.slice(0, colon), operator: "In", values: [pair.slice(colon + 2)] });
  }
  REQUIREMENT.lastIndex = 0;
  while (REQUIREMENT.lastIndex < expressions.length) {
    const [, key = "", operator = "", values = ""] = REQUIREMENT.exec(expressions) ?? [];
    if (!isOperator(operator)) return undefined;
    found.push({ key, operator, values: values.split(" ").filter((value) => value !== "") });
  }
  return found;
}

function ofJson({ matchLabels, matchExpressions, ...rest }: Fields): readonly IdentityRequirement[] | undefined {
  if (Object.keys(rest).length > 0) return undefined;
  const found: IdentityRequirement[] = [];
  for (const [key, value] of isObject(matchLabels) ? Object.entries(matchLabels) : []) {
    if (typeof value !== "string") return undefined;
    found.push({ key: dotted(key), operator: "In", values: [value] });
  }
  for (const one of Array.isArray(matchExpressions) ? matchExpressions : []) {
    if (!isObject(one) || typeof one.key !== "string" || typeof one.operator !== "string") return undefined;
    if (!isOperator(one.operator)) return undefined;
    const values = Array.isArray(one.values) ? one.values.map(String) : [];
    found.push({ key: dotted(one.key), operator: one.operator, values });
  }
  return found;
}

/** JSON writes `k8s:app` for `k8s.app`. */
const dotted = (key: string): string => key.replace(/^(\w+):/, "$1.");
