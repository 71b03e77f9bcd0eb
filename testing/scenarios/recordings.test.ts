/**
 * Every recorded cluster: each root of the truth is named, and nothing else is.
 */
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { readBundle } from "../../src/sources/bundle.ts";
import { names, RECORDINGS, recordingPath, truthOf } from "../recordings.ts";

describe.each(RECORDINGS)("%s", (id) => {
  const truth = truthOf(id);

  it(`tells the truth: ${truth.title}`, async () => {
    const report = diagnose(await readBundle(recordingPath(id)));
    expect(report.checks.filter(({ outcome }) => outcome === "crashed")).toEqual([]);
    for (const root of truth.root_causes) {
      const found = report.rootCauses.some((cause) => names(cause, root.objects));
      expect(found, root.fault).toBe(true);
    }
    const all = truth.root_causes.flatMap(({ objects }) => objects);
    expect(report.rootCauses.filter((cause) => !names(cause, all)).map((cause) => cause.id)).toEqual([]);
    expect(report.verdict).toBe(truth.healthy ? "healthy" : "faulty");
    // what is left unexplained would be a second fault, or a gap of the model
    expect(report.unexplained.map(({ says }) => says.en)).toEqual([]);
  });
});
