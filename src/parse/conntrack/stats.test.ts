import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseConntrackStats } from "./stats.ts";

/** conntrack 1.4.7 in the recording conntrack-full, with some of its numbers. */
const SAMPLE = `cpu=0   \tfound=0 invalid=1 insert=0 insert_failed=2 drop=4013 early_drop=17 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 
cpu=1   \tfound=1 invalid=1 insert=0 insert_failed=3 drop=2987 early_drop=20 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 
`;

describe("conntrack -S", () => {
  it("sums the counters of all CPUs", () => {
    const { value, gaps } = parseConntrackStats(SAMPLE);
    expect(gaps).toEqual([]);
    expect(value).toMatchObject({ drop: 7000, early_drop: 37, insert_failed: 5, found: 1, chaintoolong: 0 });
    expect(value).not.toHaveProperty("cpu");
  });

  it("reads the counters of older kernels", () => {
    expect(
      parseConntrackStats("cpu=0   \tsearched=3 found=1 new=9 invalid=2 ignore=7 delete=4 delete_list=4 insert=0\n")
        .value,
    ).toMatchObject({ ignore: 7 });
  });

  it("leaves out a CPU whose line is cut off or makes no sense", () => {
    const { value, gaps } = parseConntrackStats(`${SAMPLE}cpu=2 found=x\nentries\ncpu=3 found=1`);
    expect(value.found).toBe(1);
    expect(gaps.map((gap) => gap.line)).toEqual([5, 3, 4]);
  });

  it("takes no counter from an empty text", () => {
    expect(parseConntrackStats("")).toEqual({ value: {}, gaps: [{ what: "empty" }] });
  });

  it("never throws", () => neverThrows(parseConntrackStats, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseConntrackStats, SAMPLE, Object.keys));
});
