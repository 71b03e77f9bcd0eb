/** Texts in pieces, as they come from a disk or a network. */
import fc from "fast-check";
import { expect } from "vitest";
import type { Parsed, Reader } from "../src/parse/parsed.ts";
import { RUNS } from "./parser-properties.ts";

/** All that a reader says of a text that comes in these pieces. */
export function readPieces<T>(reader: Reader<T>, pieces: readonly string[]): Parsed<T> {
  for (const piece of pieces) reader.write(piece);
  return reader.end();
}

/** The bytes, decoded piece by piece, as a source decodes them: broken UTF-8 becomes U+FFFD. */
export function decoded(bytes: Uint8Array, cuts: readonly number[]): string[] {
  const decoder = new TextDecoder("utf-8");
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const pieces = places.slice(1).map((end, i) => decoder.decode(bytes.subarray(places[i]!, end), { stream: true }));
  return [...pieces, decoder.decode()];
}

/** However the bytes are split, the reader says what it says of them whole; each single split is tried besides. */
export function splitsDoNotMatter<T>(
  open: () => Reader<T>,
  bytes: fc.Arbitrary<Uint8Array>,
  examples: readonly Uint8Array[] = [],
): void {
  const whole = (all: Uint8Array) => readPieces(open(), [new TextDecoder("utf-8").decode(all)]);
  for (const example of examples) {
    const expected = whole(example);
    for (let cut = 0; cut <= example.length; cut++)
      expect(readPieces(open(), decoded(example, [cut])), `cut at ${cut}`).toEqual(expected);
  }
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 8 }), (all, cuts) => {
      expect(readPieces(open(), decoded(all, cuts))).toEqual(whole(all));
    }),
    { numRuns: RUNS },
  );
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The text's bytes, with some of them cut out, cut off or replaced: what is left need not be UTF-8. */
export function damaged(text: string): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.nat(),
    length: fc.nat(30),
    with: fc.oneof(fc.constant(new Uint8Array()), fc.uint8Array({ maxLength: 4 })),
    isEnd: fc.boolean(),
  });
  return fc.array(change, { maxLength: 3 }).map((changes) =>
    changes.reduce((bytes, { at, length, with: put, isEnd }) => {
      const start = at % (bytes.length + 1);
      return new Uint8Array([...bytes.subarray(0, start), ...put, ...(isEnd ? [] : bytes.subarray(start + length))]);
    }, bytesOf(text)),
  );
}
