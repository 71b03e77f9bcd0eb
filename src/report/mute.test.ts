import { describe, expect, it } from "vitest";
import { ROOT, SAMPLE } from "../../testing/sample-report.ts";
import { muted } from "./mute.ts";
import type { Report } from "./report.ts";

const ONE: Report = { ...SAMPLE, unexplained: [], blindSpots: [], checks: [] };

describe("ignoring", () => {
  it("leaves a report alone that does not hold what is to be ignored", () => {
    expect(muted(ONE, ["dns-forward-loop"])).toBe(ONE);
  });

  it("takes out a check, and what its cause explains stays explained", () => {
    const left = muted(ONE, ["component-access-denied"]);
    expect(left.rootCauses).toEqual([]);
    expect(left.verdict).toBe("healthy");
    expect(left.summary.en).toBe("No root cause found but those that are ignored");
    expect(left.notes.at(-1)?.en).toBe("ignored as asked: component-access-denied/ClusterRole/flannel");
  });

  it("takes out one cause of several", () => {
    const other = { ...ROOT, id: "component-access-denied/ClusterRole/other" };
    const left = muted({ ...ONE, rootCauses: [ROOT, other] }, [ROOT.id]);
    expect(left.rootCauses).toEqual([other]);
    expect(left.verdict).toBe("faulty");
  });

  it("takes out warnings", () => {
    expect(muted(ONE, ["network-policy-unenforced"]).warnings).toEqual([]);
  });

  it("stays unclear where something else is", () => {
    expect(muted(SAMPLE, ["component-access-denied"]).verdict).toBe("unclear");
  });
});
