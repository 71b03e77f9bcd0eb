/**
 * Every recorded cluster: each root of the truth is named, and nothing else is. What `collect --anonymize` would give away
 * of it holds none of its names, and is diagnosed the same.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Report } from "../../src/report/report.ts";
import { readBundle } from "../../src/sources/bundle.ts";
import { captureOf, names, RECORDINGS, readRecording, recordingPath, truthOf } from "../recordings.ts";
import { anonymized, type Files, redact } from "../rewriting.ts";

/** What users called theirs in the recordings, and where they are. */
const THEIRS =
  /(?<![\w.-])(?:shop|frontend|cp1|w1|w2|partner-api|lab\.test|toolbox)(?![\w-])|(?<![\d.])(?:10\.244|10\.96|192\.168\.50|203\.0\.113)\.\d+\.?\d*/;

/** @param renamed gives what something is called in the other report */
function told({ verdict, rootCauses, unexplained, warnings, blindSpots }: Report, renamed: (name: string) => string) {
  const called = ({ namespace, name }: { readonly namespace?: string | undefined; readonly name: string }) =>
    renamed(namespace === undefined ? name : `${namespace}/${name}`);
  return {
    verdict,
    roots: rootCauses
      .map(({ check, object, confidence }) => [check, object.kind, called(object), confidence].join(" "))
      .sort(),
    unexplained: unexplained.length,
    warnings: warnings.map(({ check, object }) => `${check} ${called(object)}`).sort(),
    blindSpots: blindSpots.length,
  };
}

describe.each(RECORDINGS)("%s", (id) => {
  const truth = truthOf(id);
  let files: Files;
  let report: Report;
  beforeAll(async () => {
    ({ files } = await readRecording(id));
    report = diagnose(await readBundle(recordingPath(id)));
  });

  it(`tells the truth: ${truth.title}`, () => {
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

  it("is diagnosed the same without its secrets and under other names", () => {
    const { all, text } = anonymized(new Map([...files].map(([path, content]) => [path, redact(path, content).text])));
    const left = [...all]
      .flatMap(([path, content]) => [path, ...content.split("\n")])
      .find((line) => THEIRS.test(line));
    expect(left).toBeUndefined();
    expect(told(diagnose(captureOf(all)), (name) => name)).toEqual(told(report, text));
  });
});
