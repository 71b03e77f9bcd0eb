import { describe, expect, it } from "vitest";
import { captureOf } from "../../testing/recordings.ts";
import type { Capture } from "./capture.ts";
import type { KindId } from "./catalogue.ts";
import { known, present, unknown } from "./observed.ts";
import { overlay, type Replacement } from "./overlay.ts";

const FILE = { kind: "file", path: "x" } as const;
const put = (node: string, count: number): Replacement => ({
  kind: "conntrackCount",
  place: { node },
  observed: present({ count, max: 9 }, FILE),
});
const drop = (node: string): Replacement => ({
  kind: "conntrackCount",
  place: { node },
  observed: unknown({ reason: "not-collected" }, FILE),
});

const base = captureOf(
  new Map([
    ["nodes/a/conntrack-count.txt", "1\n9\n"],
    ["nodes/b/conntrack-count.txt", "2\n9\n"],
    ["nodes/a/resolv.conf", "nameserver 10.0.0.1\n"],
  ]),
);

const countOf = (capture: Capture, node: string) => known(capture.get("conntrackCount", { node }))?.count;
const counts = (capture: Capture) =>
  capture
    .all("conntrackCount")
    .map(({ place, observed }) => `${place.node}:${known(observed)?.count ?? "?"}`)
    .sort();

describe("an overlay", () => {
  it("shows what it replaces, and the rest as it was", () => {
    const over = overlay(base, [put("a", 7)]);
    expect([countOf(over, "a"), countOf(over, "b")]).toEqual([7, 2]);
    expect(counts(over)).toEqual(["a:7", "b:2"]);
    expect(over.get("nodeResolvConf", { node: "a" })).toBe(base.get("nodeResolvConf", { node: "a" }));
  });

  it("shows what was not there", () => {
    expect(counts(overlay(base, [put("c", 3)]))).toEqual(["a:1", "b:2", "c:3"]);
  });

  it("leaves what it lies over as it was", () => {
    overlay(base, [put("a", 7), drop("b")]);
    expect(counts(base)).toEqual(["a:1", "b:2"]);
  });

  it("takes the last of several replacements", () => {
    expect(countOf(overlay(base, [put("a", 7), put("a", 8)]), "a")).toBe(8);
    expect(counts(overlay(base, [put("a", 7), put("a", 8)]))).toEqual(["a:8", "b:2"]);
  });

  it("lies over others: each shows through where the next has nothing", () => {
    const first = overlay(base, [put("a", 7), put("c", 3)]);
    const second = overlay(first, [put("b", 8), drop("c")]);
    expect(counts(second)).toEqual(["a:7", "b:8", "c:?"]);
    expect(counts(first)).toEqual(["a:7", "b:2", "c:3"]);
    expect(counts(overlay(second, [put("a", 1)]))).toEqual(["a:1", "b:8", "c:?"]);
  });

  it("gives evidence of a kind in one order, whatever was replaced", () => {
    const paths = (capture: Capture, kind: KindId) => capture.all(kind).map(({ place }) => place.node);
    expect(paths(overlay(base, [put("a", 7)]), "conntrackCount").sort()).toEqual(["a", "b"]);
  });

  it("keeps remarks and size of what it lies over", () => {
    const over = overlay(base, [put("c", 3)]);
    expect([over.size, over.notes]).toEqual([base.size, base.notes]);
  });
});
