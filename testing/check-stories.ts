/**
 * Tests of a check, told as stories: broken → found, repaired → clear, blinded → cannot tell.
 *
 * The author writes data; the harness brings the rigour. From each story of `finds` it makes these tests:
 *   - the fault is found, at the object that a person would repair, and said in both languages;
 *   - once repaired (by the check's own remedy where that is made of changes, else by `healedBy`) it is clear;
 *   - for each piece of evidence that it cites: without it, the check never says that all is well;
 *   - the order in which objects are listed does not matter;
 * and over all stories, that the check reads what it declares, and nothing that it does not.
 */
import { describe, expect, it } from "vitest";
import { capabilitySet } from "../src/cause/effect.ts";
import type { Check, Fault, Finding } from "../src/checks/check.ts";
import { isNodeCommand } from "../src/checks/remedy.ts";
import { narrowed } from "../src/checks/run.ts";
import { catalogue, type KindId, type ListId } from "../src/evidence/catalogue.ts";
import type { Place } from "../src/evidence/kind.ts";
import type { Origin } from "../src/evidence/origin.ts";
import { matchPath } from "../src/evidence/path.ts";
import type { Change } from "../src/model/change.ts";
import type { ClusterModel, ModelPart } from "../src/model/model.ts";
import { refId } from "../src/model/ref.ts";
import type { Cluster } from "./cluster.ts";

export type FindsStory = {
  readonly story: string;
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

export type Stories = {
  readonly finds: readonly FindsStory[];
  readonly warns?: readonly { readonly story: string; readonly given: Cluster; readonly repair: string }[];
  readonly clears?: readonly { readonly story: string; readonly given: Cluster }[];
  readonly cannotTell?: readonly { readonly story: string; readonly given: Cluster; readonly capability: string }[];
};

type Seen = Set<ModelPart>;

function run<R extends ModelPart>(check: Check<R>, cluster: Cluster, seen?: Seen): Finding[] {
  const model = cluster.model();
  const view = narrowed(model, check.reads);
  const watched = new Proxy(view, {
    get(target, part) {
      if (typeof part === "string") seen?.add(part as ModelPart);
      return Reflect.get(target, part);
    },
  });
  return [...check.find(watched)];
}

const faultsOf = (findings: readonly Finding[]) => findings.filter((finding) => finding.outcome === "fault");
const idsOf = (findings: readonly Finding[]) =>
  [...new Set(faultsOf(findings).map(({ repair }) => refId(repair)))].sort();

/** The changes of a remedy, if it is made of nothing else. */
function changesOf<R extends ModelPart>(
  check: Check<R>,
  found: Finding,
  cluster: Cluster,
): readonly Change[] | undefined {
  if (found.outcome !== "fault") return undefined;
  const model = narrowed(cluster.model() as ClusterModel, check.reads);
  const [remedy] = check.remedies({ ...found, check: check.id } as Fault, model);
  const steps = remedy?.steps.map(({ change }) => change) ?? [];
  const changes = steps.filter((change) => !isNodeCommand(change));
  return changes.length > 0 && changes.length === steps.length ? (changes as readonly Change[]) : undefined;
}

function sourcesOf(findings: readonly Finding[]): { kind: KindId; place: Place }[] {
  const origins = faultsOf(findings).flatMap(({ evidence }) => evidence.map(({ origin }): Origin => origin));
  const matches = origins.map(({ path }) => matchPath(path)).filter((match) => match !== undefined);
  return [...new Map(matches.map(({ kind, place }) => [JSON.stringify([kind, place]), { kind, place }])).values()];
}

function shuffled(cluster: Cluster): Cluster {
  const lists = (Object.keys(catalogue) as KindId[]).filter((kind): kind is ListId => "list" in catalogue[kind].how);
  return cluster.edit((draft) => {
    for (const list of lists) {
      if (cluster.capture.get(list).state === "present") draft.setList(list, [...draft.list(list)].reverse() as never);
    }
  });
}

export function testCheck<R extends ModelPart>(
  check: Check<R>,
  { finds, warns = [], clears = [], cannotTell = [] }: Stories,
): void {
  const seen: Seen = new Set();

  describe(check.id, () => {
    for (const { story, given, repair, says = [], breaks = [], strength, healedBy, otherWitness = [] } of finds) {
      describe(story, () => {
        it("is found", () => {
          const findings = run(check, given, seen);
          const found = faultsOf(findings).filter((one) => refId(one.repair) === repair);
          expect(idsOf(findings)).toContain(repair);
          for (const words of says) expect(found.map(({ title }) => title.en).join("\n")).toContain(words);
          for (const name of breaks)
            expect(found.flatMap((one) => one.breaks.map((capability) => capability.name))).toContain(name);
          if (strength) expect(found.map((one) => one.strength)).toContain(strength);
        });

        it("is said in both languages, with evidence", () => {
          for (const { title, evidence } of faultsOf(run(check, given))) {
            expect(evidence.length).toBeGreaterThan(0);
            expect(title.zh).toMatch(/\p{Script=Han}/u);
            expect(`${title.en}${title.zh}`).not.toMatch(/\{[a-z]\w*(:[^}]*)?\}|undefined|\[object/);
          }
        });

        it("is clear once repaired", () => {
          const found = faultsOf(run(check, given)).filter((one) => refId(one.repair) === repair);
          const changes = healedBy ? undefined : found.flatMap((one) => changesOf(check, one, given) ?? []);
          if (changes?.length === 0) throw new Error("its remedy cannot be simulated: the story needs `healedBy`");
          const healed = healedBy ? healedBy(given) : given.with(...changes!);
          expect(idsOf(run(check, healed))).not.toContain(repair);
        });

        it("has a remedy that reads well", () => {
          const [found] = faultsOf(run(check, given));
          const remedies = check.remedies(
            { ...found!, check: check.id } as Fault,
            narrowed(given.model(), check.reads),
          );
          expect(remedies.length).toBeGreaterThan(0);
          for (const { steps, interrupts } of remedies) {
            expect(steps.length).toBeGreaterThan(0);
            for (const { why } of [...steps, { why: interrupts }])
              expect(`${why.en}${why.zh}`).not.toMatch(/\{[a-z]\w*\}|undefined/);
          }
        });

        it("is never called well when evidence of it is missing", () => {
          const findings = run(check, given);
          const broken = faultsOf(findings)
            .filter((one) => refId(one.repair) === repair)
            .flatMap((one) => one.breaks);
          for (const { kind, place } of sourcesOf(findings)) {
            if (otherWitness.includes(kind)) continue;
            const blinded = run(check, given.without(kind, place));
            const praised = blinded
              .filter((finding) => finding.outcome === "works")
              .map(({ capability }) => capability);
            const wrong = broken.filter((capability) => capabilitySet(praised).holds(capability));
            expect(wrong, `without ${kind}`).toEqual([]);
          }
        });

        it("does not depend on the order of lists", () => {
          expect(idsOf(run(check, shuffled(given)))).toEqual(idsOf(run(check, given)));
        });
      });
    }

    for (const { story, given, repair } of warns) {
      it(`warns: ${story}`, () => {
        const findings = run(check, given, seen);
        expect(idsOf(findings)).toEqual([]);
        expect(findings.flatMap((one) => (one.outcome === "warning" ? [refId(one.repair)] : []))).toContain(repair);
      });
    }

    for (const { story, given } of clears) {
      it(`stays clear: ${story}`, () => {
        const findings = run(check, given, seen);
        expect(idsOf(findings)).toEqual([]);
        expect(findings.filter(({ outcome }) => outcome === "warning")).toEqual([]);
      });
    }

    for (const { story, given, capability } of cannotTell) {
      it(`cannot tell: ${story}`, () => {
        const findings = run(check, given, seen);
        expect(idsOf(findings)).toEqual([]);
        expect(findings.flatMap((one) => (one.outcome === "cannot-tell" ? [one.capability.name] : []))).toContain(
          capability,
        );
      });
    }

    it("reads the parts of the model that it declares", () => {
      expect([...seen].sort()).toEqual([...check.reads].sort());
    });

    it("has a manual page in both languages", () => {
      const { title, page } = check.manual;
      for (const words of [title.en, page.en]) expect(words).not.toMatch(/\p{Script=Han}/u);
      for (const words of [title.zh, page.zh]) expect(words).toMatch(/\p{Script=Han}/u);
      expect(page.en).toContain("**When this");
      expect(page.en).toContain("**How it looks.**");
    });
  });
}
