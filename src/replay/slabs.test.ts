import fc from "fast-check";
import { expect, it } from "vitest";
import { gathered, joined, slabs } from "./slabs.ts";

const textOf = (pieces: Iterable<Uint8Array>): string => Buffer.concat([...pieces]).toString();

it("whatever is left out, and however large the slabs are, the rest is an array in its order", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.constant("x".repeat(300)));
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.boolean())), fc.integer({ min: 1, max: 500 }), (texts, size) => {
      const { add } = slabs(size);
      const values = texts.map(([value, isWanted]) => ({ value, isWanted, bytes: add(JSON.stringify(value)) }));
      const wanted = values.filter(({ isWanted }) => isWanted);
      const written = textOf(gathered(joined(wanted.map(({ bytes }) => bytes))));
      expect(JSON.parse(`[${written}]`)).toEqual(wanted.map(({ value }) => value.toWellFormed()));
    }),
  );
});

it("all objects of a slab are one write, and many small ones are few", () => {
  const { add } = slabs(1024 * 1024);
  const objects = Array.from({ length: 10_000 }, (_, index) => add(`{"n":${index}}`));
  expect([...gathered(joined(objects))].length).toBe(1);
  const half = objects.filter((_, index) => index % 2 === 0);
  expect([...gathered(joined(half))].length).toBe(1);
  expect(JSON.parse(`[${textOf(gathered(joined(half)))}]`).length).toBe(5000);
});
