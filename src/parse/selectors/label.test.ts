import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { meets } from "../../model/labels.ts";
import { type LabelRequirement, parseLabelSelector } from "./label.ts";

type Verdict = readonly string[] | { readonly says: string };
const { objects, labelSelectors } = JSON.parse(
  readFileSync(new URL("../../../testing/semantics/selectors.json", import.meta.url), "utf8"),
) as { objects: Record<string, Record<string, string>>; labelSelectors: [string, Verdict][] };

/** The names of the objects that are selected, as the API server lists them. */
function selectedBy(text: string): Verdict {
  const selector = parseLabelSelector(text);
  if (!selector.ok) return { says: selector.why };
  return Object.keys(objects)
    .filter((name) => selector.value.every((requirement) => meets(requirement, objects[name])))
    .sort();
}

/** What is wrong with a name or a value is told shorter than the API server does. */
function shortened(verdict: Verdict): Verdict {
  if (!("says" in verdict)) return verdict;
  return { says: verdict.says.replace(/\[?(values|<nil>)(.*?Invalid value: ".*?"): .*/, "$1$2") };
}

describe("label selectors", () => {
  it.each(labelSelectors)("%j is taken as the API server takes it", (text, verdict) => {
    expect(shortened(selectedBy(text))).toEqual(shortened(verdict));
  });

  it("never throws", () => {
    const piece = fc.constantFrom(
      "app",
      "in",
      "notin",
      "=",
      "==",
      "!=",
      "!",
      "(",
      ")",
      ",",
      ">",
      " ",
      "5",
      "é",
      "\u0000",
    );
    fc.assert(fc.property(fc.array(piece), (pieces) => void parseLabelSelector(pieces.join(""))));
    fc.assert(fc.property(fc.string(), (text) => void parseLabelSelector(text)));
  });

  it("are read as they were written", () => {
    const key = fc.stringMatching(/^([a-z0-9]{1,10}\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?$/);
    const value = fc.oneof(fc.constant(""), fc.stringMatching(/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?$/));
    const requirement: fc.Arbitrary<LabelRequirement> = fc.oneof(
      fc.record({
        key,
        operator: fc.constantFrom("In" as const, "NotIn" as const),
        values: fc.uniqueArray(value, { minLength: 1, maxLength: 4 }),
      }),
      fc.record({
        key,
        operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
        values: fc.constant([]),
      }),
      fc.record({
        key,
        operator: fc.constantFrom("Gt" as const, "Lt" as const),
        values: fc.tuple(fc.nat().map((number) => String(number))),
      }),
    );
    const blank = fc.constantFrom("", " ", "\t", " \n");
    fc.assert(
      fc.property(fc.array(requirement), blank, (requirements, space) => {
        const text = requirements.map((each) => written(each, space)).join(`${space},${space}`);
        expect(parseLabelSelector(text)).toEqual({ ok: true, value: requirements });
      }),
    );
  });
});

function written({ key, operator, values }: LabelRequirement, space: string): string {
  const set = `(${values.join(`${space},${space}`)})`;
  const spellings = {
    In: `${key} in${space}${set}`,
    NotIn: `${key} notin${space}${set}`,
    Exists: key,
    DoesNotExist: `!${space}${key}`,
    Gt: `${key}${space}>${space}${values[0]}`,
    Lt: `${key}${space}<${space}${values[0]}`,
  };
  return spellings[operator];
}
