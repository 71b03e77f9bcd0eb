import { describe, expect, it } from "vitest";
import { z } from "zod";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { bytesOf, damaged, readPieces, splitsDoNotMatter } from "../../testing/pieces.ts";
import { apiListReader, jsonLinesReader } from "./api-list.ts";
import { service } from "./objects.ts";
import { CUT_OFF, type Parsed } from "./parsed.ts";

const schema = z.object({ metadata: z.object({ name: z.string() }), spec: z.object({ n: z.number() }).nullish() });
const list = (text: string) => readPieces(apiListReader(schema), [text]);
const lines = (text: string) => readPieces(jsonLinesReader(schema), [text]);
const namesIn = ({ value }: ReturnType<typeof list>) => value.items.map(({ metadata }) => metadata.name);

const named = (name: string, more: object = {}) => JSON.stringify({ metadata: { name }, ...more });
const bodyOf = (...objects: readonly string[]) =>
  `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"4711"},"items":[${objects.join(",")}]}\n`;

describe("the body of a list call", () => {
  it("gives the fields that are read of its objects, and its version", () => {
    expect(list(bodyOf(named("a", { spec: { n: 1, other: 2 }, status: {} }), named("b", { spec: null })))).toEqual({
      value: {
        items: [
          { metadata: { name: "a" }, spec: { n: 1 } },
          { metadata: { name: "b" }, spec: null },
        ],
        indices: [0, 1],
        resourceVersion: "4711",
      },
      gaps: [],
    });
  });

  it.each([
    ["of another type", named("b", { spec: { n: "1" } }), "spec.n: expected number, received string"],
    ["missing", '{"metadata":{}}', "metadata.name: expected string, is missing"],
    ["no object", "[]", "object: expected object, received array"],
    ["no object either", "5", "expected an object"],
  ])("has a gap where an object does not fit: one %s", (_, object, what) => {
    const read = list(bodyOf(named("a"), object, named("c")));
    expect(read.value).toMatchObject({
      items: [{ metadata: { name: "a" } }, { metadata: { name: "c" } }],
      indices: [0, 2],
    });
    expect(read.gaps).toEqual([{ pointer: "/items/1", what }]);
  });

  it("may be empty in every way that Go writes it", () => {
    for (const text of ['{"kind":"PodList","items":[]}', '{"kind":"PodList","items":null}', '{"kind":"PodList"}'])
      expect(list(text)).toEqual({ value: { items: [], indices: [] }, gaps: [] });
  });

  it.each([
    ['{"kind":"Status","status":"Failure","code":403}'],
    ['{"items":null}'],
    ['{"kind":"PodList","items":{}}'],
    ['{"kind":"PodList","items":[null]}'],
    ['{"kind":"PodList"'],
    ["null"],
    ["[]"],
    [""],
  ])("is not empty where it is %j", (text) => {
    expect(list(text).value.items).toEqual([]);
    expect(list(text).gaps).not.toEqual([]);
  });

  it("does not read what is meant for JavaScript", () => {
    const read = list(bodyOf('{"metadata":{"name":"a","__proto__":{"isWrong":true}},"__proto__":{"isWrong":true}}'));
    expect((read.value.items[0] as { isWrong?: boolean }).isWrong).toBeUndefined();
    expect(({} as { isWrong?: boolean }).isWrong).toBeUndefined();
  });

  it("tells a service's fields from those of other types", () => {
    const text = bodyOf(JSON.stringify({ metadata: { name: "a" }, spec: { ports: [{ port: "80" }] } }));
    expect(readPieces(apiListReader(service), [text]).gaps).toEqual([
      { pointer: "/items/0", what: "spec.ports.0.port: expected number, received string" },
    ]);
  });
});

describe("objects a line each", () => {
  it("are told by their lines", () => {
    expect(lines(`${named("a")}\n\n{"metadata":{}}\n{]\n${named("b")}\n`)).toEqual({
      value: { items: [{ metadata: { name: "a" } }, { metadata: { name: "b" } }], indices: [0, 4] },
      gaps: [
        { line: 3, what: "metadata.name: expected string, is missing" },
        { line: 4, what: expect.stringMatching(/JSON/) },
      ],
    });
  });

  it("end with a line feed: what stands behind the last one was cut off", () => {
    expect(lines(`${named("a")}\n${named("b")}`)).toMatchObject({ gaps: [{ line: 2, what: CUT_OFF }] });
    expect(namesIn(lines(`${named("a")}\n${named("b")}`))).toEqual(["a"]);
    expect(lines(`${named("a")}\n  `).gaps).toEqual([]);
  });

  it("are not larger than any object of the API", () => {
    const read = lines(`${named("x".repeat(5 * 1024 * 1024))}\n${named("b")}\n`);
    expect(namesIn(read)).toEqual(["b"]);
    expect(read.gaps).toEqual([{ line: 1, what: "larger than any object of the API" }]);
  });
});

const BODY = bodyOf(named("a", { spec: { n: 1 } }), named("é😀"), '{"metadata":{}}', named("]}"));
const LINES = `${named("a", { spec: { n: 1 } })}\n${named("é😀")}\n\n{"metadata":{}}\n${named("b")}\n`;
const without = (text: string, bad: string) => text.replace(bad, "");

describe("lists in pieces", () => {
  it("are read the same, however they are split", () => {
    splitsDoNotMatter(() => apiListReader(schema), damaged(BODY), [bytesOf(BODY)]);
    splitsDoNotMatter(() => jsonLinesReader(schema), damaged(LINES), [bytesOf(LINES)]);
  });

  it("say nothing that the whole does not, where they are cut off", () => {
    const items = ({ items: all }: ReturnType<typeof list>["value"]) => all;
    truncationsAreHonest(list, without(BODY, '{"metadata":{}},'), items);
    truncationsAreHonest(lines, without(LINES, '{"metadata":{}}\n'), items);
  });

  it("never throw", () => {
    neverThrows(list as (text: string) => Parsed<unknown>, BODY);
    neverThrows(lines as (text: string) => Parsed<unknown>, LINES);
  });
});
