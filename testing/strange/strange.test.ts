/**
 * Evidence with wrong types, wrong values and garbled text in any place: a report comes out that keeps its schema, no
 * check crashes, and every format can be written.
 *
 * A failure names its seed: `fc.assert(…, { seed, path })` repeats it. NETWHY_LONG=1 tries thousands.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Capture } from "../../src/evidence/capture.ts";
import { catalogue } from "../../src/evidence/catalogue.ts";
import { overlay, type Replacement } from "../../src/evidence/overlay.ts";
import { matchPath } from "../../src/evidence/path.ts";
import { FORMATS } from "../../src/report/formats/registry.ts";
import { type Report, reportSchema } from "../../src/report/report.ts";
import { LONG } from "../long.ts";
import { captureOf, RECORDINGS, type Recording, readRecording } from "../recordings.ts";
import { type Mutation, mutated, mutation } from "./strange-files.ts";

/** All of them in the long run. */
const USED = LONG ? RECORDINGS : ["two-faults", "healthy-ipvs", "netpol-default-deny-egress"];

type Original = { readonly files: Recording["files"]; readonly paths: readonly string[]; readonly capture: Capture };
const originals: Original[] = [];

/** Large lists that little is read of would take most of the time, and most of the mutations. */
const RARELY = /customresourcedefinitions|events|leases|dmesg|\.log$|pods\/.*\/(ip-|resolv|ss)/;

/** What of a recording is used in the short run: two nodes, few tests and logs; half a cluster is strange as well. */
function small(files: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const kept = [...files].filter(([path]) => !/^nodes\/w2|^logs\/(?!kube-system\/coredns|kube-flannel)/.test(path));
  return new Map(
    kept.map(([path, text]) => [
      path,
      path === "probes.jsonl" ? `${text.split("\n").slice(0, 12).join("\n")}\n` : text,
    ]),
  );
}

/** The capture with some files changed; what was not is not read again. */
function strange({ files, paths, capture }: Original, mutations: readonly Mutation[]): Capture {
  const changed = new Map<string, string>();
  for (const one of mutations) {
    const path = paths[one.file % paths.length]!;
    changed.set(path, mutated(path, changed.get(path) ?? files.get(path)!, one));
  }
  const read = captureOf(changed);
  const replacements = [...changed.keys()].map((path): Replacement => {
    const { kind, place } = matchPath(path)!;
    return { kind, place, observed: read.get(kind, place) };
  });
  return overlay(capture, replacements);
}

function expectSound(report: Report): void {
  expect(report.checks.filter(({ outcome }) => outcome === "crashed")).toEqual([]);
  const plain: unknown = JSON.parse(JSON.stringify(report));
  const fit = reportSchema.safeParse(plain);
  expect(fit.error?.issues ?? []).toEqual([]);
  for (const lang of ["en", "zh"] as const) {
    const options = { lang, color: false, width: 100 };
    const written = lang === "en" ? FORMATS.wide.render(report, options) : FORMATS.markdown.render(report, options);
    expect(written).not.toContain("[object Object]");
  }
}

describe("strange evidence", () => {
  beforeAll(async () => {
    for (const id of USED) {
      const recording = await readRecording(id);
      const files = LONG ? recording.files : small(recording.files);
      const known = [...files.keys()].filter((path) => matchPath(path) !== undefined);
      const often = known.filter((path) => !RARELY.test(path));
      const lists = often.filter((path) => "list" in catalogue[matchPath(path)!.kind].how);
      originals.push({ files, paths: [...known, ...often, ...lists, ...lists], capture: captureOf(files) });
    }
  });

  it("gives a sound report", () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(mutation, { minLength: 1, maxLength: 12 }), (which, mutations) => {
        expectSound(diagnose(strange(originals[which % originals.length]!, mutations)));
      }),
      { numRuns: LONG ? 5000 : 120, seed: LONG ? Date.now() : 4 },
    );
  }, 1_800_000);
});
