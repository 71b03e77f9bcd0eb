import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FieldRequirement, parseFieldSelector } from "./field.ts";

type Verdict = readonly string[] | { readonly says: string };
const { objects, fieldSelectors } = JSON.parse(
  readFileSync(new URL("../../../testing/semantics/selectors.json", import.meta.url), "utf8"),
) as { objects: Record<string, unknown>; fieldSelectors: [string, Verdict][] };

/** The ConfigMaps that are selected, of those in the namespace `sel`. */
function selectedBy(text: string): Verdict {
  const selector = parseFieldSelector(text);
  if (!selector.ok) return { says: selector.why };
  const known = ["metadata.name", "metadata.namespace"];
  const unknown = selector.value.find(({ field }) => !known.includes(field));
  if (unknown) return { says: `${JSON.stringify(unknown.field)} is not a known field selector` };
  return Object.keys(objects)
    .filter((name) =>
      selector.value.every(({ field, isEqual, value }) => ((field === known[0] ? name : "sel") === value) === isEqual),
    )
    .sort();
}

describe("field selectors", () => {
  it.each(fieldSelectors)("%j is taken as the API server takes it", (text, verdict) => {
    const expected = "says" in verdict ? { says: verdict.says.replace(/(known field selector): .*/, "$1") } : verdict;
    expect(selectedBy(text)).toEqual(expected);
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.stringMatching(/^[a.\\,=!]*$/), (text) => void parseFieldSelector(text)));
  });

  it("are read as they were written", () => {
    const requirement: fc.Arbitrary<FieldRequirement> = fc.record({
      field: fc.stringMatching(/^[a-z]{1,5}(\.[a-zA-Z]{1,5})?$/),
      isEqual: fc.boolean(),
      value: fc.stringMatching(/^[a-z\\,=!]*$/),
    });
    fc.assert(
      fc.property(fc.array(requirement), (requirements) => {
        const texts = requirements.map(
          ({ field, isEqual, value }) => `${field}${isEqual ? "==" : "!="}${value.replace(/[\\,=]/g, "\\$&")}`,
        );
        const parsed = parseFieldSelector(texts.join(","));
        expect(parsed.ok && new Set(parsed.value.map((each) => JSON.stringify(each)))).toEqual(
          new Set(requirements.map(({ field, isEqual, value }) => JSON.stringify({ field, isEqual, value }))),
        );
      }),
    );
  });
});
