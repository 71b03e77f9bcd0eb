import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { listPage, watchEvents } from "./list-page.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const decode = (bytes: Uint8Array) => decoder.decode(bytes);

/** What comes of a body that arrives in pieces of this size. */
function read(body: string, size = body.length + 1) {
  const lines: string[] = [];
  const page = listPage({ decode }, (line) => lines.push(line));
  const bytes = encoder.encode(body);
  for (let at = 0; at < bytes.length; at += size) page.write(bytes.slice(at, at + size));
  return { lines, ...page.end() };
}

const PAGE = {
  kind: "PodList",
  metadata: { resourceVersion: "7", continue: "next", remainingItemCount: 3 },
  items: [{ metadata: { name: "a", note: 'é "}],{[' } }, {}, { deep: [[{ items: [1] }]] }],
};
const LINES = PAGE.items.map((item) => JSON.stringify(item));

describe("a page of a list", () => {
  it("is its objects, however it arrives", () => {
    for (const space of [undefined, 2]) {
      const body = `${JSON.stringify(PAGE, null, space)}\n`;
      for (let size = 1; size < body.length; size++) {
        const { lines, ...end } = read(body, size);
        expect(lines.map((line) => JSON.parse(line))).toEqual(PAGE.items);
        expect(lines.every((line) => !line.includes("\n"))).toBe(true);
        expect(end).toEqual({ count: 3, next: "next", remaining: 3 });
      }
    }
  });

  it("tells its metadata behind its objects, too", () => {
    const { items, ...frame } = PAGE;
    expect(read(JSON.stringify({ items, ...frame }))).toEqual({ lines: LINES, count: 3, next: "next", remaining: 3 });
  });

  it.each(['{"kind":"PodList","items":[]}', '{"kind":"PodList","items":null}', '{"kind":"PodList","metadata":{}}'])(
    "may be empty: %s",
    (body) => expect(read(body)).toEqual({ lines: [], count: 0 }),
  );

  it("that was cut off shows what came, and says so", () => {
    fc.assert(
      fc.property(fc.nat({ max: JSON.stringify(PAGE).length - 1 }), fc.integer({ min: 1, max: 50 }), (at, size) => {
        const { lines, flaw } = read(JSON.stringify(PAGE).slice(0, at), size);
        expect(lines).toEqual(LINES.slice(0, lines.length));
        expect(flaw).toBeDefined();
      }),
    );
  });

  it.each(["<html>502</html>", "[]", '{"items":[1]}', '{"items":["x",{}]}', "{{", "null"])("is none: %s", (body) =>
    expect(read(body).flaw).toBeDefined(),
  );
});

describe("an event of a watch", () => {
  const event = (text: string) => watchEvents({ decode })(encoder.encode(text));

  it("is an object, the end of all objects, or an error", () => {
    expect(event(`{"type":"ADDED","object":${LINES[0]}}`)).toEqual({ type: "object", line: LINES[0] });
    expect(event(`{"object":${LINES[0]}, "type":"ADDED"}`)).toEqual({ type: "object", line: LINES[0] });
    const annotations = { "k8s.io/initial-events-end": "true" };
    expect(event(JSON.stringify({ type: "BOOKMARK", object: { metadata: { annotations } } }))).toEqual({ type: "end" });
    expect(event(JSON.stringify({ type: "BOOKMARK", object: {} }))).toEqual({ type: "other" });
    expect(event(JSON.stringify({ type: "ERROR", object: { code: 410, message: "too old" } }))).toEqual({
      type: "error",
      message: "too old",
      status: 410,
    });
    expect(event('{"type":"ADDED","object":{"a":1').type).toBe("error");
  });
});
