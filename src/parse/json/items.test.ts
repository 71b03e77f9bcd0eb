import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RUNS } from "../../../testing/parser-properties.ts";
import { bytesOf, damaged, readPieces, splitsDoNotMatter } from "../../../testing/pieces.ts";
import { CUT_OFF, type Reader } from "../parsed.ts";
import { itemSplitter } from "./items.ts";

type Split = { readonly items: readonly (readonly [index: number, item: unknown])[]; readonly head: string };

/** A splitter as a reader of what it finds. */
function reader(arrayKey: string | undefined): Reader<Split> {
  const items: [number, unknown][] = [];
  const splitter = itemSplitter(arrayKey, (item, index) => items.push([index, item]));
  return {
    write: (piece) => splitter.write(piece),
    end() {
      const { gaps, head } = splitter.end();
      return { value: { items, head }, gaps };
    },
  };
}

const list = (text: string) => readPieces(reader("items"), [text]);
const bare = (text: string) => readPieces(reader(undefined), [text]);
const found = ({ value }: { value: Split }) => value.items.map(([, item]) => item);
const whats = ({ gaps }: ReturnType<typeof list>) => gaps.map(({ pointer, what }) => `${pointer} ${what}`);

/** All that makes brackets and strings hard to tell apart. */
const SAMPLE = `{"kind":"PodList","metadata":{"items":[1],"a":"]"},"items":[{"a":"}]{[\\""},{"b":[[{}],"\\\\"]},{"items":[{"é😀":"\\u00e9"}]}],"later":[{"c":1}]}\n`;

describe("the objects of a list", () => {
  it("are found among all that looks like the end of one", () => {
    const split = list(SAMPLE);
    expect(split.gaps).toEqual([]);
    expect(found(split)).toEqual([{ a: '}]{["' }, { b: [[{}], "\\"] }, { items: [{ "é😀": "é" }] }]);
    expect(split.value.head).toBe('{"kind":"PodList","metadata":{"items":[1],"a":"]"},"items":');
  });

  it("are what JSON.parse finds", () => {
    const object = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 4 }));
    const before = fc.dictionary(fc.constantFrom("kind", "metadata", "x", "[", '"'), fc.jsonValue({ maxDepth: 2 }));
    fc.assert(
      fc.property(before, fc.array(object), fc.nat(4), (head, objects, indent) => {
        const split = list(JSON.stringify({ ...head, items: objects, after: [{}] }, undefined, indent));
        expect(split.gaps).toEqual([]);
        expect(split.value.items).toEqual(objects.map((one, index) => [index, JSON.parse(JSON.stringify(one))]));
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    ['{"items":[]}', []],
    [' {\n "items" : [ ]\n}\n', []],
    ['{"items":[{},[]]}', [{}, []]],
    ['{"kind":"items","items":[{}]}', [{}]],
    ['{"other":[{"a":1}],"items":[{"b":1}]}', [{ b: 1 }]],
  ])("%s", (text, objects) => {
    expect(list(text).gaps).toEqual([]);
    expect(found(list(text))).toEqual(objects);
  });

  it("of a bare array are found without any head", () => {
    expect(found(bare(' [{"a":1}, {"b":[2]}]\n'))).toEqual([{ a: 1 }, { b: [2] }]);
    expect(bare(" []").gaps).toEqual([]);
  });
});

describe("what is no object", () => {
  it.each([
    ['{"items":[1,{"a":1}]}', "/items/0 expected an object", [[1, { a: 1 }]]],
    ['{"items":[{"a":1},null]}', "/items/1 expected an object", [[0, { a: 1 }]]],
    ['{"items":["a, ] b"]}', "/items/0 expected an object", []],
    ['{"items":[ true ]}', "/items/0 expected an object", []],
    ['{"items":[-1.5e3\n]}', "/items/0 expected an object", []],
  ])("%s is a gap, and counts", (text, gap, items) => {
    expect(whats(list(text))).toEqual([gap]);
    expect(list(text).value.items).toEqual(items);
  });

  it("is a gap for each", () => expect(list('{"items":[1,2,{},3]}').gaps).toHaveLength(3));

  it("is a gap where an object cannot be read, and the others still count", () => {
    const split = list('{"items":[{"a":1},{"b":},{"c":3}]}');
    expect(split.value.items).toEqual([
      [0, { a: 1 }],
      [2, { c: 3 }],
    ]);
    expect(split.gaps).toMatchObject([{ pointer: "/items/1" }]);
  });

  it.each([
    ['{"kind":"Status","code":403}', " not a list"],
    ["forbidden", " not a list"],
    ['{"metadata":{"items":[{}]}}', " not a list"],
    ['{"items":{"a":[{}]}}', " not a list"],
    ['{"items":null}', " not a list"],
    ["", `/items/0 ${CUT_OFF}`],
    ["  \n", `/items/0 ${CUT_OFF}`],
    ['{"items":[{"a":1},{"b"', `/items/1 ${CUT_OFF}`],
    ['{"items":[{"a":1},', `/items/1 ${CUT_OFF}`],
    ['{"items":[{"a":1}]', `/items/1 ${CUT_OFF}`],
    ['{"kind":"Pod', `/items/0 ${CUT_OFF}`],
  ])("%j", (text, gap) => expect(whats(list(text))[0]!.slice(0, gap.length)).toBe(gap));

  it("is quoted short where there is no list", () => {
    expect(list(`"${"x".repeat(100_000)}"`).gaps[0]!.what.length).toBeLessThan(250);
  });
});

describe("what is too much", () => {
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

  it("is deeper than any real object: the others still count", () => {
    const split = list(`{"items":[${nested(90)},${nested(100_000)},{"b":1}]}`);
    expect(split.gaps).toEqual([{ pointer: "/items/1", what: "deeper or larger than any object of the API" }]);
    expect(split.value.items.map(([index]) => index)).toEqual([0, 2]);
  });

  it("is larger than any real object, even if it has no end", () => {
    const huge = `{"a":"${"x".repeat(33 * 1024 * 1024)}"}`;
    const split = list(`{"items":[${huge},{"b":1}]}`);
    expect(split.gaps).toEqual([{ pointer: "/items/0", what: "deeper or larger than any object of the API" }]);
    expect(found(split)).toEqual([{ b: 1 }]);
    const endless = readPieces(reader("items"), ['{"items":[{"a":"', ...Array<string>(100).fill("x".repeat(1 << 20))]);
    expect(whats(endless)).toEqual([`/items/0 ${CUT_OFF}`]);
  });

  it("is a head without end", () => {
    const split = readPieces(reader("items"), ['{"kind":"', ...Array<string>(10).fill("x".repeat(1 << 20))]);
    expect(split.value.head.length).toBeLessThan(100_000);
  });
});

describe("a text in pieces", () => {
  it("is read the same, however it is split, whole or damaged", () => {
    splitsDoNotMatter(() => reader("items"), damaged(SAMPLE), [bytesOf(SAMPLE)]);
  });

  it("is read the same as a bare array", () => {
    const sample = ' [{"a":"}]"},1,[{"é":2}],"x, y",null,{"b":{}}]\n';
    splitsDoNotMatter(() => reader(undefined), damaged(sample), [bytesOf(sample)]);
  });

  it("gives up to its end what the whole gives, and has a gap", () => {
    const whole = list(SAMPLE);
    for (let end = 0; end < SAMPLE.length - 2; end++) {
      const { value, gaps } = list(SAMPLE.slice(0, end));
      expect(value.items).toEqual(whole.value.items.slice(0, value.items.length));
      expect(gaps.length, `cut at ${end}`).toBeGreaterThan(0);
    }
  });
});
