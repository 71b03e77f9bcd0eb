/**
 * Tests of a check, told as stories: broken → found, repaired → clear, blinded → cannot tell.
 *
 * The author writes data; the harness brings the rigour. From each story of `finds` it makes these tests:
 *   - the fault is found, at the object that a person would repair, and said in both languages;
 *   - once repaired (by the check's own remedy where that is made of changes, else by `healedBy`) it is clear, and
 *     nothing new is found;
 *   - for each piece of evidence that it cites: without it, the check never says that all is well;
 *   - the order in which objects are listed does not matter;
 * from the first story of `clears`, that evidence which was not had, or only in part, makes no fault of what is well;
 * and over all stories, that the check reads what it declares, and nothing that it does not.
 */
import { describe, expect, it } from "vitest";
import { capabilitySet } from "../src/cause/effect.ts";
import { explain } from "../src/cause/explain.ts";
import type { Check, Fault, Finding } from "../src/checks/check.ts";
import { CHECKS } from "../src/checks/registry.ts";
import { isCommand } from "../src/checks/remedy.ts";
import { narrowed, runChecks } from "../src/checks/run.ts";
import { reasoningOf } from "../src/diagnose.ts";
import type { Capture } from "../src/evidence/capture.ts";
import { catalogue, type KindId, type ListId } from "../src/evidence/catalogue.ts";
import type { Place } from "../src/evidence/kind.ts";
import { present } from "../src/evidence/observed.ts";
import type { Evidence, Origin } from "../src/evidence/origin.ts";
import { overlay, type Replacement } from "../src/evidence/overlay.ts";
import { matchPath } from "../src/evidence/path.ts";
import { type Capability, capabilityId } from "../src/model/capability.ts";
import type { Change } from "../src/model/changes/change.ts";
import { type ClusterModel, type ModelPart, modelOf } from "../src/model/model.ts";
import { refId } from "../src/model/ref.ts";
import type { Text } from "../src/text.ts";
import { WORLD } from "../src/trace/walk.ts";
import type { Cluster } from "./cluster.ts";
import { LONG } from "./long.ts";

export type FindsStory = {
  readonly given: Cluster;
  /** refId of the object to repair. */
  readonly repair: string;
  /** Words of the English title. */
  readonly says?: readonly string[];
  /** The capabilities, by name, that it breaks. */
  readonly breaks?: readonly string[];
  readonly strength?: Fault["strength"];
  /** What makes it well, where the remedy is no change that can be simulated. */
  readonly healedBy?: (broken: Cluster) => Cluster;
  /** Another witness tells as much without this evidence. */
  readonly otherWitness?: readonly KindId[];
};

/** Each named for an incident. */
type Told<T> = Readonly<Record<string, T>>;

export type Stories = {
  readonly finds: Told<FindsStory>;
  readonly warns?: Told<Pick<FindsStory, "given" | "repair" | "says">>;
  readonly clears?: Told<Cluster>;
  /** By the name of the capability. */
  readonly cannotTell?: Readonly<Record<string, Told<Cluster>>>;
  /** Trouble that is over. */
  readonly remembers?: Told<Cluster>;
};

/** One thing that the harness holds a check to. */
export type StoryTest = { readonly story: string; readonly claim: string; readonly run: () => void };

type View<R extends ModelPart> = Pick<ClusterModel, R>;

/** The parts that a check declares, taking down which of them it looks at. */
function watched<R extends ModelPart>(check: Check<R>, model: ClusterModel, seen: Set<ModelPart>): View<R> {
  return new Proxy(narrowed(model, check.reads), {
    get(target, part) {
      if (typeof part === "string") seen.add(part as ModelPart);
      return Reflect.get(target, part);
    },
  });
}

/** What the reasoning concludes in the name of a check, after all the others have looked. */
function inferredBy(id: string, model: ClusterModel): Finding[] {
  const { outcomes } = runChecks(CHECKS, model, () => 0);
  const { roots } = explain(outcomes, model, reasoningOf(CHECKS, model));
  return roots.flatMap(({ faults }) => faults.filter((fault) => fault.check === id));
}

const faultsOf = (findings: readonly Finding[]) => findings.filter((finding) => finding.outcome === "fault");
const idsOf = (findings: readonly Finding[]) =>
  [...new Set(faultsOf(findings).map(({ repair }) => refId(repair)))].sort();
const praisedIn = (findings: readonly Finding[]): Capability[] =>
  findings.flatMap((finding) => (finding.outcome === "works" ? [finding.capability] : []));

function sourcesOf(findings: readonly Finding[]): { kind: KindId; place: Place }[] {
  const origins = faultsOf(findings).flatMap(({ evidence }) => evidence.map(({ origin }): Origin => origin));
  const matches = origins.map(({ path }) => matchPath(path)).filter((match) => match !== undefined);
  return [...new Map(matches.map(({ kind, place }) => [JSON.stringify([kind, place]), { kind, place }])).values()];
}

const LISTS = (Object.keys(catalogue) as KindId[]).filter((kind): kind is ListId => "list" in catalogue[kind].how);

function shuffled(cluster: Cluster): Cluster {
  return cluster.edit((draft) => {
    for (const list of LISTS) {
      if (cluster.capture.get(list).state === "present") draft.setList(list, [...draft.list(list)].reverse() as never);
    }
  });
}

/** What of a capture is looked at, by kind and place. */
function watchedCapture(capture: Capture): { capture: Capture; looks: Map<string, { kind: KindId; place: Place }> } {
  const looks = new Map<string, { kind: KindId; place: Place }>();
  const look = (kind: KindId, place: Place) => looks.set(JSON.stringify([kind, place]), { kind, place });
  const watching: Capture = {
    ...capture,
    get(kind, place = {}) {
      look(kind, place);
      return capture.get(kind, place);
    },
    all(kind) {
      for (const { place } of capture.all(kind)) look(kind, place);
      return capture.all(kind);
    },
  };
  return { capture: watching, looks };
}

/** A value of which the second half was cut off; undefined if it has no halves. */
function halfOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, value.length / 2);
  if (typeof value !== "object" || value === null || !("items" in value && "indices" in value)) return undefined;
  const { items, indices } = value as { items: unknown[]; indices: unknown[] };
  const half = Math.floor(items.length / 2);
  return { items: items.slice(0, half), indices: indices.slice(0, half) };
}

function cutOff(cluster: Cluster, kind: KindId): Capture {
  const gaps = [{ line: 1, what: "cut off" }];
  const replacements = cluster.capture.all(kind).flatMap(({ place, observed }): Replacement[] => {
    if (observed.state !== "present") return [];
    return [{ kind, place, observed: present(halfOf(observed.value) ?? observed.value, observed.origin, gaps) }];
  });
  return overlay(cluster.capture, replacements);
}

function expectWellSaid(title: Text, evidence: readonly Evidence[]): void {
  expect(evidence.length).toBeGreaterThan(0);
  expect(title.zh).toMatch(/\p{Script=Han}/u);
  expect(`${title.en}${title.zh}`).not.toMatch(/\{[a-z]\w*(:[^}]*)?\}|undefined|\[object/);
}

/** All that stories hold a check to, in the order in which it is to be run. */
export function storyTests<R extends ModelPart>(check: Check<R>, stories: Stories): StoryTest[] {
  const { finds, warns = {}, clears = {}, cannotTell = {}, remembers = {} } = stories;
  const seen = new Set<ModelPart>();
  const told = new WeakMap<Cluster, readonly Finding[]>();
  // all checks run for each of its findings
  const isConcluded = check.concludes !== undefined;
  const find = (model: ClusterModel): readonly Finding[] =>
    isConcluded ? inferredBy(check.id, model) : [...check.find(watched(check, model, seen))];
  function findings(cluster: Cluster): readonly Finding[] {
    const known = told.get(cluster) ?? find(cluster.model());
    told.set(cluster, known);
    return known;
  }
  const findingsIn = (capture: Capture): readonly Finding[] => find(modelOf(capture));
  const remediesOf = (found: Finding, cluster: Cluster) =>
    check.remedies({ ...found, check: check.id } as Fault, watched(check, cluster.model(), seen));

  /** The changes of a remedy, if it is made of nothing else. */
  function changesOf(found: Finding, cluster: Cluster): readonly Change[] | undefined {
    const [remedy] = remediesOf(found, cluster);
    // steps that cannot be taken back only look
    const steps = (remedy?.steps ?? []).flatMap(({ change, undo }) =>
      change && (undo || !isCommand(change)) ? change : [],
    );
    const changes = steps.filter((change) => !isCommand(change));
    return changes.length > 0 && changes.length === steps.length ? (changes as readonly Change[]) : undefined;
  }

  function ofFinds([story, told]: readonly [string, FindsStory]): StoryTest[] {
    const { given, repair, says = [], breaks = [], strength, healedBy, otherWitness = [] } = told;
    const foundIn = (cluster: Cluster) => faultsOf(findings(cluster)).filter((one) => refId(one.repair) === repair);
    const test = (claim: string, run: () => void): StoryTest => ({ story, claim, run });
    return [
      test("is found", () => {
        const found = foundIn(given);
        expect(idsOf(findings(given))).toContain(repair);
        for (const words of says) expect(found.map(({ title }) => title.en).join("\n")).toContain(words);
        for (const name of breaks)
          expect(found.flatMap((one) => one.breaks.map((capability) => capability.name))).toContain(name);
        if (strength) expect(found.map((one) => one.strength)).toContain(strength);
      }),
      test("is said in both languages, with evidence", () => {
        for (const { title, evidence } of faultsOf(findings(given))) expectWellSaid(title, evidence);
      }),
      test("is clear once repaired", () => {
        const changes = healedBy ? [] : foundIn(given).flatMap((one) => changesOf(one, given) ?? []);
        if (!healedBy && changes.length === 0) throw new Error("its remedy cannot be simulated: needs `healedBy`");
        const healed = healedBy ? healedBy(given) : given.with(...changes);
        expect(idsOf(findings(healed))).not.toContain(repair);
        expect(idsOf(findings(healed)).filter((id) => !idsOf(findings(given)).includes(id))).toEqual([]);
      }),
      test("has a remedy that reads well", () => {
        for (const found of foundIn(given)) {
          const remedies = remediesOf(found, given);
          expect(remedies.length).toBeGreaterThan(0);
          for (const { steps, interrupts } of remedies) {
            expect(steps.length).toBeGreaterThan(0);
            for (const { why } of [...steps, { why: interrupts }])
              expect(`${why.en}${why.zh}`).not.toMatch(/\{[a-z]\w*\}|undefined/);
            for (const { change, verify } of steps) expect(JSON.stringify([change, verify])).not.toContain("undefined");
          }
        }
      }),
      test("is never called well when evidence of it is missing", () => {
        const broken = foundIn(given).flatMap((one) => one.breaks);
        for (const { kind, place } of sourcesOf(findings(given))) {
          if (otherWitness.includes(kind)) continue;
          const praised = capabilitySet(praisedIn(findings(given.without(kind, place))));
          expect(broken.filter(praised.holds).map(capabilityId), `without ${kind}`).toEqual([]);
        }
      }),
      test("does not depend on the order of lists", () => {
        expect(idsOf(findings(shuffled(given)))).toEqual(idsOf(findings(given)));
      }),
    ];
  }

  function ofBlinding([story, given]: readonly [string, Cluster]): StoryTest[] {
    const kindsSeen = () => {
      const { capture, looks } = watchedCapture(given.capture);
      findingsIn(capture);
      const kinds = [...new Set([...looks.values()].map(({ kind }) => kind))];
      return isConcluded && !LONG ? kinds.filter((_, index) => index % 6 === 0) : kinds;
    };
    return [
      {
        story,
        claim: "and no fault is made of evidence that was not had",
        run() {
          for (const kind of kindsSeen()) expect(idsOf(findings(given.without(kind))), `without ${kind}`).toEqual([]);
        },
      },
      {
        story,
        claim: "nor of evidence that was cut off",
        run() {
          for (const kind of kindsSeen())
            expect(idsOf(findingsIn(cutOff(given, kind))), `with half of ${kind}`).toEqual([]);
        },
      },
    ];
  }

  const blinded = Object.entries(cannotTell).flatMap(([capability, told]) =>
    Object.entries(told).map(([story, given]) => [story, given, capability] as const),
  );
  const tests = [
    ...Object.entries(finds).flatMap(ofFinds),
    ...Object.entries(warns).map(([story, { given, repair, says = [] }]) => ({
      story,
      claim: "is warned of",
      run() {
        const found = findings(given);
        const warnings = found.filter((one) => one.outcome === "warning").filter((one) => refId(one.repair) === repair);
        expect(idsOf(found)).toEqual([]);
        expect(warnings.length).toBeGreaterThan(0);
        for (const words of says) expect(warnings.map(({ title }) => title.en).join("\n")).toContain(words);
        for (const { title, evidence } of warnings) expectWellSaid(title, evidence);
      },
    })),
    ...Object.entries(clears).map(([story, given]) => ({
      story,
      claim: "is clear",
      run() {
        const found = findings(given);
        expect(idsOf(found)).toEqual([]);
        expect(found.filter(({ outcome }) => outcome === "warning")).toEqual([]);
      },
    })),
    ...Object.entries(clears).slice(0, 1).flatMap(ofBlinding),
    ...Object.entries(remembers).map(([story, given]) => ({
      story,
      claim: "is remembered",
      run() {
        const past = findings(given).flatMap((one) => (one.outcome === "past" ? [one] : []));
        expect(idsOf(findings(given))).toEqual([]);
        expect(past.length).toBeGreaterThan(0);
        for (const { title, evidence } of past) expectWellSaid(title, evidence);
      },
    })),
    ...blinded.map(([story, given, capability]) => ({
      story,
      claim: "cannot be told",
      run() {
        const found = findings(given);
        const untold = found.flatMap((one) => (one.outcome === "cannot-tell" ? [one] : []));
        expect(idsOf(found)).toEqual([]);
        expect(untold.map((one) => one.capability.name)).toContain(capability);
        // a blind spot says what is missing, or what else stood in the way
        for (const { missing, because } of untold) expect(missing.length > 0 || because !== undefined).toBe(true);
        const praised = capabilitySet(praisedIn(found));
        expect(untold.map((one) => one.capability).filter(praised.holds)).toEqual([]);
      },
    })),
  ];
  const stated = tests.map(({ story, claim }) => `${story}: ${claim}`);
  const repeated = stated.filter((name, index) => stated.indexOf(name) !== index);
  if (repeated.length > 0) throw new Error(`told twice: ${repeated.join(", ")}`);
  return [
    ...tests,
    {
      story: "over all stories",
      claim: "reads the parts of the model that it declares",
      run() {
        // who walks packets declares all that a walk may look at, and few walks look at all of it
        const walks = WORLD.every((part) => check.reads.some((one) => one === part));
        const expected = check.reads.filter((part) => seen.has(part) || !(walks && WORLD.some((one) => one === part)));
        expect([...seen].sort()).toEqual([...expected].sort());
      },
    },
    {
      story: "over all stories",
      claim: "has a manual page in both languages",
      run() {
        const { title, page } = check.manual;
        for (const words of [title.en, page.en]) expect(words).not.toMatch(/\p{Script=Han}/u);
        for (const words of [title.zh, page.zh]) expect(words).toMatch(/\p{Script=Han}/u);
        expect(page.en).toContain("**When this");
        expect(page.en).toContain("**How it looks.**");
      },
    },
  ];
}

export function testCheck<R extends ModelPart>(check: Check<R>, stories: Stories): void {
  describe(check.id, () => {
    for (const [story, tests] of Map.groupBy(storyTests(check, stories), (test) => test.story)) {
      describe(story, () => {
        for (const { claim, run } of tests) it(claim, run);
      });
    }
  });
}
