/**
 * Evidence with wrong types, wrong values and garbled text in any place: a report and paths come out that keep their
 * schema, no check crashes, and every format can be written.
 *
 * A failure names its seed: `fc.assert(…, { seed, path })` repeats it. NETWHY_LONG=1 tries many more.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Capture } from "../../src/evidence/capture.ts";
import type { KindId } from "../../src/evidence/catalogue.ts";
import { overlay, type Replacement } from "../../src/evidence/overlay.ts";
import { matchPath } from "../../src/evidence/path.ts";
import type { ApiList } from "../../src/parse/api-list.ts";
import { isProblem, pathBetween } from "../../src/path.ts";
import { PATH_FORMATS } from "../../src/report/formats/path.ts";
import { FORMATS } from "../../src/report/formats/registry.ts";
import { pathSchema } from "../../src/report/path.ts";
import { type Report, reportSchema } from "../../src/report/report.ts";
import type { Typed } from "../../src/trace/ends/ends.ts";
import { LONG } from "../long.ts";
import { captureOf, RECORDINGS, type Recording, readRecording } from "../recordings.ts";
import { fieldsOf, type Mutation, mutated, mutation } from "./strange-files.ts";

/** All of them in the long run. */
const USED = LONG ? RECORDINGS : ["two-faults", "healthy-ipvs", "netpol-default-deny-egress"];

type Original = { readonly files: Recording["files"]; readonly paths: readonly string[]; readonly capture: Capture };
const originals: Original[] = [];

/** Large lists that little is read of would take most of the time, and most of the mutations. */
const RARELY = /customresourcedefinitions|events|leases|dmesg|\.log$|pods\/.*\/(ip-|resolv|ss)/;

/** What most is made of. */
const MOSTLY: ReadonlySet<KindId> = new Set<KindId>([
  ...(["pods", "nodes", "services", "endpointslices", "configmaps", "daemonsets", "deployments"] as const),
  ...(["networkpolicies", "clusterroles", "clusterrolebindings", "links", "routes", "iptables", "probes"] as const),
]);

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
function replaced({ capture }: Original, changed: ReadonlyMap<string, string>): Capture {
  const read = captureOf(changed);
  const replacements = [...changed.keys()].map((path): Replacement => {
    const { kind, place } = matchPath(path)!;
    return { kind, place, observed: read.get(kind, place) };
  });
  return overlay(capture, replacements);
}

function strange(original: Original, mutations: readonly Mutation[]): Capture {
  const { files, paths } = original;
  const byPath = Map.groupBy(mutations, ({ file }) => paths[file % paths.length]!);
  return replaced(original, new Map([...byPath].map(([path, some]) => [path, mutated(path, files.get(path)!, some)])));
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

/** Who asks for what in the recordings; names that a change took away are a problem that is told. */
const ASKED: readonly Typed[] = [
  { from: "w1", to: "backend.shop.svc.cluster.local:8080" },
  { from: "outside", to: "w1:30080" },
];

function expectSoundPaths(capture: Capture): void {
  for (const typed of ASKED) {
    const path = pathBetween(capture, typed, { explain: true });
    if (isProblem(path)) continue;
    const fit = pathSchema.strict().safeParse(JSON.parse(JSON.stringify(path)));
    expect(fit.error?.issues ?? []).toEqual([]);
    for (const lang of ["en", "zh"] as const)
      expect(PATH_FORMATS.text(path, { lang, color: false, width: 100 })).not.toMatch(/\[object Object\]|undefined/);
  }
}

/** A field of the objects of one list that is missing, or null, in all of them. */
type Lack = { readonly path: string; readonly name: string; readonly isNull: boolean };

function withLacks(text: string, lacks: readonly Lack[]): string {
  const list = JSON.parse(text) as { items: unknown[] };
  const fields = new Map(fieldsOf(list.items).map(({ name, places }) => [name, places]));
  for (const { name, isNull } of lacks) {
    for (const { box, key } of fields.get(name) ?? []) {
      if (isNull) box[key] = null;
      else delete box[key];
    }
  }
  return JSON.stringify(list);
}

/** What is read of a list that holds one object; undefined if the object does not fit. */
function readOf(path: string, text: string): unknown {
  const { kind, place } = matchPath(path)!;
  const observed = captureOf(new Map([[path, text]])).get(kind, place);
  return observed.state === "present" && observed.gaps.length === 0
    ? (observed.value as ApiList<unknown>).items[0]
    : undefined;
}

/** All fields that are read, and that an object need not have or that may be null. */
function lacksOf({ files }: Original): Lack[] {
  const lists = [...files].filter(([path]) => /^apis?\/.*\.json$/.test(path) && !RARELY.test(path) && matchPath(path));
  return lists.flatMap(([path, text]) => {
    const seen = new Set<string>();
    const { items } = JSON.parse(text) as { items: unknown[] | null };
    return (items ?? []).flatMap((item) => {
      const one = JSON.stringify({ kind: "List", items: [item] });
      // one object that has a field is enough to see whether it must
      const fresh = fieldsOf([readOf(path, one)]).filter(({ name }) => !seen.has(name));
      for (const { name } of fresh) seen.add(name);
      const lacks = fresh.flatMap(({ name }) => [true, false].map((isNull): Lack => ({ path, name, isNull })));
      return lacks.filter((lack) => readOf(path, withLacks(one, [lack])) !== undefined);
    });
  });
}

describe("strange evidence", () => {
  beforeAll(async () => {
    for (const id of USED) {
      const recording = await readRecording(id);
      const files = LONG ? recording.files : small(recording.files);
      const known = [...files.keys()].filter((path) => matchPath(path) !== undefined);
      const often = known.filter((path) => !RARELY.test(path));
      const most = Array.from({ length: 8 }, () => often.filter((path) => MOSTLY.has(matchPath(path)!.kind))).flat();
      originals.push({ files, paths: [...known, ...often, ...most], capture: captureOf(files) });
    }
  });

  it("gives a sound report, whatever field of a list is missing or null", () => {
    const original = originals[1]!;
    const all = lacksOf(original);
    expect(all.length).toBeGreaterThan(150);
    const [draw] = fc.sample(fc.shuffledSubarray(all, { minLength: all.length }), { numRuns: 1, seed: 4 });
    // few at a time: a field that matters hides what depends on others
    const size = LONG ? 3 : 10;
    for (let at = 0; at < draw!.length; at += size) {
      const some = draw!.slice(at, at + size);
      const byPath = Map.groupBy(some, ({ path }) => path);
      const changed = new Map([...byPath].map(([path, lacks]) => [path, withLacks(original.files.get(path)!, lacks)]));
      const what = some.map(({ path, name, isNull }) => `${path} ${name}${isNull ? " null" : ""}`).join("; ");
      expect(() => expectSound(diagnose(replaced(original, changed))), what).not.toThrow();
    }
  }, 1_800_000);

  it("gives a sound report", () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(mutation, { minLength: 1, maxLength: 80, size: "max" }), (which, mutations) => {
        const capture = strange(originals[which % originals.length]!, mutations);
        expectSound(diagnose(capture));
        expectSoundPaths(capture);
      }),
      { numRuns: LONG ? 2000 : 70, seed: LONG ? Date.now() : 4 },
    );
  }, 1_800_000);
});
