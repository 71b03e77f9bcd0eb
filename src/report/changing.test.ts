import { describe, expect, it } from "vitest";
import { ROOT, SAMPLE } from "../../testing/sample-report.ts";
import { confidenceOf } from "../cause/confidence.ts";
import { differing, withoutChanging } from "./changing.ts";
import type { Cause, Report } from "./report.ts";

type Strength = Parameters<typeof confidenceOf>[0]["root"]["faults"][number]["strength"];

function resting(on: Strength, id: string): Cause {
  const root = { faults: [{ strength: on }] } as unknown as Parameters<typeof confidenceOf>[0]["root"];
  const { because } = confidenceOf({ root, owned: [], refutedBy: [], unseenBelow: [], agreed: 0 });
  return { ...ROOT, id, because };
}

const DIRECT = resting("direct", "direct");
const DIFFERING = resting("differing", "differing");
const BOTH: Report = { ...SAMPLE, rootCauses: [DIRECT, DIFFERING] };

describe("causes that may be a change under way", () => {
  it("are those that rest on a difference", () => expect(differing(BOTH)).toEqual(["differing"]));

  it("are left out where they were seen once, and said to be", () => {
    const left = withoutChanging(BOTH, ["differing"]);
    expect(left.rootCauses).toEqual([DIRECT]);
    expect(left.verdict).toBe(BOTH.verdict);
    expect(left.notes.at(-1)?.en).toContain(`so it is changing: ${ROOT.title.en}`);
  });

  it("leave it unclear where nothing else is left: neither faulty nor healthy", () => {
    const left = withoutChanging({ ...BOTH, rootCauses: [DIFFERING] }, ["differing"]);
    expect({ verdict: left.verdict, causes: left.rootCauses }).toEqual({ verdict: "unclear", causes: [] });
  });
});
