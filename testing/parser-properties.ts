/**
 * What must hold of every parser, whatever it is given.
 *
 * NETWHY_LONG=1 in the environment runs many more cases.
 */
import fc from "fast-check";
import { expect } from "vitest";
import type { Parsed } from "../src/parse/parsed.ts";

/** How many cases a property is tried with. */
export const RUNS = process.env.NETWHY_LONG ? 5000 : 150;

/** Characters that mean something to some format, and some that do to none. */
const SHARP = [
  "\n",
  " ",
  '"',
  "[",
  "]",
  "{",
  "}",
  ":",
  "=",
  ",",
  "%",
  "/",
  "#",
  "-",
  "0",
  "9",
  "\t",
  "\u0000",
  "\ufffd",
  "é",
];

const junk = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(fc.constantFrom(...SHARP), { maxLength: 40 }).map((chars) => chars.join("")),
);

/** The sample with a piece of it taken out, doubled, or replaced by junk, up to four times. */
export function mutationsOf(sample: string): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.nat(),
    length: fc.nat(40),
    kind: fc.constantFrom("cut", "end", "double", "junk"),
    junk,
  });
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) =>
    changes.reduce((text, { at, length, kind, junk }) => {
      const start = at % (text.length + 1);
      const before = text.slice(0, start);
      const piece = text.slice(start, start + length);
      const after = text.slice(start + length);
      if (kind === "end") return before;
      return before + (kind === "cut" ? "" : kind === "double" ? piece + piece : junk) + after;
    }, sample),
  );
}

/** The sample's JSON with the value of one of its keys, or one item of an array, replaced by any other JSON. */
export function retypedJson(sample: string): fc.Arbitrary<string> {
  const places: { in: Record<string, unknown>; key: string }[] = [];
  const root: unknown = JSON.parse(sample);
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) {
      places.push({ in: value as Record<string, unknown>, key });
      visit((value as Record<string, unknown>)[key]);
    }
  };
  visit(root);
  return fc.tuple(fc.constantFrom(...places), fc.jsonValue()).map(([place, other]) => {
    const original = place.in[place.key];
    place.in[place.key] = other;
    const text = JSON.stringify(root);
    place.in[place.key] = original;
    return text;
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** No text makes the parser throw: none at all, none that is nearly the sample, none with wrong types. */
export function neverThrows(parse: (text: string) => Parsed<unknown>, sample: string): void {
  const texts = [junk, mutationsOf(sample), ...(isJson(sample) ? [retypedJson(sample)] : [])];
  fc.assert(
    fc.property(fc.oneof(...texts), (text) => {
      const { gaps } = parse(text);
      for (const gap of gaps) expect(gap.what).toBeTypeOf("string");
    }),
    { numRuns: RUNS },
  );
}

/**
 * Every beginning of the sample gives only what the whole gives; and where it was cut inside a line, it has a gap.
 * @param itemsOf what a value says, one thing each
 */
export function truncationsAreHonest<T>(
  parse: (text: string) => Parsed<T>,
  sample: string,
  itemsOf: (value: T) => readonly unknown[],
): void {
  const itemTexts = (value: T) => itemsOf(value).map((item) => JSON.stringify(item));
  const whole = parse(sample);
  expect(whole.gaps).toEqual([]);
  const known = new Set(itemTexts(whole.value));
  expect(known.size).toBeGreaterThan(0);
  for (let end = 0; end < sample.length; end++) {
    const prefix = sample.slice(0, end);
    const { value, gaps } = parse(prefix);
    const invented = itemTexts(value).filter((item) => !known.has(item));
    expect(invented, `invented from a text that ends with ${JSON.stringify(prefix.slice(-30))}`).toEqual([]);
    // JSON is whole without its last newline
    const isCut = end > 0 && !prefix.endsWith("\n") && !(isJson(sample) && prefix.trim() === sample.trim());
    if (isCut) expect(gaps.length, `no gap at ${JSON.stringify(prefix.slice(-30))}`).toBeGreaterThan(0);
  }
}
