import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { LONG } from "../../../testing/long.ts";
import { pod } from "../objects.ts";
import { INCOMPLETE } from "./bytes.ts";
import { projectionOf, projector } from "./projection.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const numRuns = LONG ? 20_000 : 2000;

/** Names that tell readers of bytes and readers of values apart, few enough that schemas and objects share them. */
const name = fc.constantFrom("a", "b", "ab", "items", "", "é", "a\\", 'a"b', "\u2028", "{", "}]");
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), fc.double({ noNaN: true }), fc.string({ unit: "binary" }), name),
    fc.array(tie("any"), { maxLength: 4 }),
    fc.dictionary(name, tie("any"), { maxKeys: 5 }),
  ),
})).any;
const schema: fc.Arbitrary<z.ZodType> = fc.letrec<{ any: z.ZodType }>((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(z.unknown(), z.string(), z.record(z.string(), z.unknown()), z.union([z.number(), z.null()])),
    tie("any").map((inner) => z.array(inner)),
    tie("any").map((inner) => inner.nullish()),
    fc.dictionary(name, tie("any"), { maxKeys: 4 }).map((shape) => z.object(shape)),
    fc.dictionary(name, tie("any"), { maxKeys: 2 }).map((shape) => z.looseObject(shape)),
  ),
})).any;

const object = fc.dictionary(name, value);
const objectSchema = fc.dictionary(name, schema).map((shape) => z.object(shape).partial());

/** @returns what was kept, and where the value ended */
function cut(text: string, of: z.ZodType, behind = ""): { kept: string; end: number } {
  const bytes = encoder.encode(text + behind);
  const { take, kept } = projector(projectionOf(of));
  const end = take(bytes, 0, bytes.length);
  return { kept: decoder.decode(kept()), end };
}

describe("what is kept of an object", () => {
  it("is to its schema what the whole object is", () => {
    fc.assert(
      fc.property(
        fc.oneof(value, object),
        fc.oneof(schema, objectSchema),
        fc.constantFrom(undefined, 1, "\t\r\n"),
        (json, of, space) => {
          const text = JSON.stringify(json, null, space);
          const { kept, end } = cut(text, of, ",");
          expect(end).toBe(encoder.encode(text).length);
          const [whole, projected] = [of.safeParse(JSON.parse(text)), of.safeParse(JSON.parse(kept))];
          expect([projected.success, projected.data]).toEqual([whole.success, whole.data]);
        },
      ),
      { numRuns },
    );
  });

  it("is not told before all of it has come", () => {
    fc.assert(
      fc.property(object, schema, fc.nat(), (json, of, at) => {
        const bytes = encoder.encode(JSON.stringify(json));
        const end = at % bytes.length;
        expect(projector(projectionOf(of)).take(bytes, 0, end)).toBe(INCOMPLETE);
      }),
      { numRuns },
    );
  });

  it("of names that were written with escapes is what they stand for", () => {
    const { kept } = cut(String.raw`{"\u0061":1,"b":2,"c":"\"}"}`, z.object({ a: z.number() }));
    expect(JSON.parse(kept)).toEqual({ a: 1 });
  });

  it("of a name that comes twice is both: the later counts, as it does in the whole", () => {
    expect(cut('{"a":1,"b":0,"a":2}', z.object({ a: z.number() })).kept).toBe('{"a":1,"a":2}');
  });

  it("of a Pod is not who wrote which of its fields", () => {
    const written = [{ manager: "kubelet", time: "2026-11-21T22:51:13Z", fieldsV1: { "f:status": { "f:phase": {} } } }];
    const text = JSON.stringify({ metadata: { name: "web", managedFields: written }, spec: { containers: [] } });
    expect(cut(text, pod).kept).toBe(
      '{"metadata":{"name":"web","managedFields":[{"manager":"kubelet","time":"2026-11-21T22:51:13Z"}]},"spec":{"containers":[]}}',
    );
  });
});
