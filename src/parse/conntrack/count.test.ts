import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseConntrackCount } from "./count.ts";

describe("nf_conntrack_count and nf_conntrack_max", () => {
  it("gives both", () => {
    expect(parseConntrackCount("197\n262144\n")).toEqual({ value: { count: 197, max: 262144 }, gaps: [] });
  });

  it("gives no number that was cut off", () => {
    const { value, gaps } = parseConntrackCount("197\n2621");
    expect(value).toEqual({ count: 197, max: Number.NaN });
    expect(gaps).toEqual([{ line: 2, what: "cut off here" }]);
  });

  it("says when there are not two numbers", () => {
    expect(parseConntrackCount("").gaps).toEqual([{ what: "empty" }]);
    expect(parseConntrackCount("197\n").gaps).toEqual([{ what: "expected two lines, found 1" }]);
    expect(parseConntrackCount("cat: no such file\n5\n")).toMatchObject({ value: { count: Number.NaN, max: 5 } });
    expect(parseConntrackCount("1\n2\n3\n").gaps).toHaveLength(1);
  });

  it("never throws", () => neverThrows(parseConntrackCount, "197\n262144\n"));
  it("never invents from a part", () =>
    truncationsAreHonest(parseConntrackCount, "197\n262144\n", ({ count, max }) =>
      [count, max].filter((n) => !Number.isNaN(n)),
    ));
});
