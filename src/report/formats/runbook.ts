/**
 * The incident as people write it down for who comes after them: symptoms, how it was found, root cause, chain of effects,
 * fix, verification, prevention. In Markdown.
 */
import type { Language, Text } from "../../text.ts";
import { verbatim } from "../../text.ts";
import type { Cause, Effect, Report, ReportEvidence } from "../report.ts";
import { shownBy } from "../shown-by.ts";
import { condensed } from "./chain.ts";
import { type Block, type Branch, line, prose } from "./document.ts";
import { markdownOf } from "./markdown.ts";
import { factsOf, fixBlocks } from "./outline-cause.ts";
import { runbookWords as words } from "./runbook-words.ts";
import {
  branchesOf,
  commandBlock,
  listOf,
  quotesOf,
  refId,
  type Speaker,
  section,
  speakerFor,
  tellingOf,
  timeOf,
} from "./speaker.ts";
import { words as common } from "./words.ts";

/** Commands that one step of the search shows, and tests to make again. */
const MOST_COMMANDS = 3;
/** Moments of the time line: what is more is no line that a person follows. */
const MOST_MOMENTS = 12;

export function renderRunbook(report: Report, lang: Language): string {
  const speaker = speakerFor(lang, false);
  const { say } = speaker;
  const page = section(say(titleOf(report, speaker)), [
    { shape: "facts", items: factsOfIncident(report, speaker) },
    { shape: "line", line: prose(say(report.summary)) },
    ...symptomSection(report, speaker),
    ...section(say(words.timeline()), listOf(momentsOf(report, speaker))),
    ...searchSection(report, speaker),
    ...eachCause(words.rootCause(), report, speaker, (cause) => [
      { shape: "line", line: prose(say(cause.title), "strong") },
      { shape: "facts", items: factsOf(cause, report, speaker) },
    ]),
    ...eachCause(words.chain(), report, speaker, (cause) => chainOf(cause, speaker)),
    ...eachCause(words.fix(), report, speaker, (cause) => fixOf(cause, speaker)),
    ...verificationSection(report, speaker),
    ...preventionSection(report, speaker),
  ]);
  return markdownOf(page, 1);
}

function titleOf({ verdict, rootCauses }: Report, { most, comma }: Speaker): Text {
  if (verdict === "healthy") return words.titleHealthy();
  if (rootCauses.length === 0) return words.titleUnclear();
  const named = rootCauses.slice(0, most.named).map(({ object }) => refId(object));
  return words.title({ objects: named.join(comma) + (rootCauses.length > named.length ? " …" : "") });
}

function factsOfIncident(report: Report, { say }: Speaker) {
  const { cluster, tests, tool, meantDenials } = report;
  const parts = [
    ...(cluster.name === "" ? [] : [cluster.name]),
    ...(cluster.version === undefined ? [] : [`Kubernetes ${cluster.version}`]),
    say(common.nodes({ count: cluster.nodes })),
  ];
  const count = symptomsOf(report).length;
  const ofTests = meantDenials.length > 0 ? words.impactMeant : words.impactTests;
  const impact = tests.made > 0 ? ofTests({ ...tests, count }) : words.impactUntested({ count });
  const facts = [[words.cluster(), parts.join(" · ")] as const];
  if (cluster.capturedAt !== undefined) facts.push([words.evidenceOf(), timeOf(cluster.capturedAt)]);
  facts.push([words.impact(), say(impact)], [words.writtenBy(), say(words.from({ version: tool.version }))]);
  return facts.map(([label, text]) => ({ label: say(label), line: line(text) }));
}

/** Everything in the trees of effects, with how deep it stands, each thing once. */
function effectsOf(roots: readonly Effect[]): { effect: Effect; depth: number }[] {
  const found = new Map<string, { effect: Effect; depth: number }>();
  const visit = (effect: Effect, depth: number) => {
    const key = effect.says.en;
    if ((found.get(key)?.depth ?? -1) < depth) found.set(key, { effect, depth });
    for (const next of effect.causes) visit(next, depth + 1);
  };
  for (const root of roots) visit(root, 0);
  return [...found.values()];
}

function symptomsOf({ rootCauses, unexplained }: Report): Effect[] {
  return effectsOf([...rootCauses.flatMap(({ explains }) => explains), ...unexplained])
    .map(({ effect }) => effect)
    .filter(({ is, state }) => is === "symptom" && state !== "predicted")
    .sort((a, b) => (b.of?.[0] ?? 0) - (a.of?.[0] ?? 0));
}

function symptomSection(report: Report, speaker: Speaker): Block[] {
  const { say, most } = speaker;
  const items = symptomsOf(report).map((symptom) => ({
    line: prose(say(symptom.says)),
    quotes: quotesOf(tellingOf(symptom), 2, most.linkQuoteColumns, speaker),
  }));
  const isSilent = items.length === 0 && report.rootCauses.length > 0;
  return section(
    say(words.symptoms()),
    isSilent ? [{ shape: "line", line: prose(say(words.noSymptoms())) }] : listOf(items),
  );
}

/** What is dated, in order: who did it, the first traces, what was heard and tested, and when it was looked at. */
function momentsOf({ triggers, rootCauses, cluster }: Report, { say }: Speaker) {
  const moments: { at: string; says: Text }[] = [];
  for (const { at, by, what } of triggers) {
    if (at !== undefined) moments.push({ at, says: by === undefined ? what : common.triggerBy({ what, by }) });
  }
  for (const { since, object, explains } of rootCauses) {
    if (since !== undefined) moments.push({ at: since, says: words.firstTrace({ object: refId(object) }) });
    for (const { effect } of effectsOf(explains)) {
      const at = effect.evidence.flatMap((one) => one.at ?? []).sort(byTime)[0];
      if (at !== undefined) moments.push({ at, says: effect.says });
    }
  }
  moments.sort((a, b) => byTime(a.at, b.at));
  const shown = moments.slice(0, MOST_MOMENTS);
  if (shown.length > 0 && cluster.capturedAt !== undefined)
    shown.push({ at: cluster.capturedAt, says: words.captured() });
  return shown.map(({ at, says }) => ({ line: [...line(timeOf(at), "strong"), ...prose(` — ${say(says)}`)] }));
}

const byTime = (a: string, b: string) => Date.parse(a) - Date.parse(b);

/** The way that a person would have taken: from what fails, back along the chain, to the cause, and what it is not. */
function searchSection(report: Report, speaker: Speaker): Block[] {
  const { say } = speaker;
  const { rootCauses } = report;
  const isOne = rootCauses.length === 1;
  const steps: { title: Text; blocks: Block[] }[] = [];
  const symptoms = symptomsOf(report).flatMap(({ evidence }) => evidence.slice(0, 1));
  steps.push({ title: words.whatFails(), blocks: shownBlocks(symptoms, [], speaker) });
  for (const cause of rootCauses) {
    const object = refId(cause.object);
    const about = [cause.object, ...cause.related];
    const faults = effectsOf(cause.explains)
      .filter(({ effect }) => effect.is === "fault" && effect.state !== "predicted")
      .sort((a, b) => b.depth - a.depth)
      .map(({ effect }) => ({
        line: prose(say(effect.says)),
        blocks: shownBlocks(effect.evidence, [effect.subject, ...about], speaker, 1),
      }));
    steps.push(
      {
        title: isOne ? words.backAlong() : words.backAlongOf({ object }),
        blocks: faults.length > 0 ? [{ shape: "steps", items: faults }] : [],
      },
      {
        title: isOne ? words.confirm() : words.confirmOf({ object }),
        blocks: [
          ...shownBlocks(cause.evidence, about, speaker),
          { shape: "line", line: prose(say(words.page({ check: cause.check }))) },
        ],
      },
    );
  }
  steps.push({ title: words.notIt(), blocks: listOf(notIt(report, speaker)) });
  const shown = steps.filter(({ blocks }) => blocks.length > 0);
  const blocks = shown.flatMap((step, index) =>
    section(say(words.step({ index: index + 1, title: step.title })), step.blocks),
  );
  if (blocks.length === 0) return [];
  return section(say(words.howFound()), [{ shape: "line", line: prose(say(words.howFoundNote())) }, ...blocks]);
}

/** Commands, each with what it showed. What no command shows is quoted alone. */
function shownBlocks(
  evidence: readonly ReportEvidence[],
  about: readonly Cause["object"][],
  speaker: Speaker,
  most = MOST_COMMANDS,
): Block[] {
  const byCommand = new Map<string, { command: ReturnType<typeof shownBy>; shown: ReportEvidence[] }>();
  for (const one of evidence) {
    const command = shownBy(one, about);
    const key = JSON.stringify(command ?? null);
    const group = byCommand.get(key) ?? { command, shown: [] };
    byCommand.set(key, group);
    group.shown.push(one);
  }
  // here a quote is what a command answered: also what was quoted before
  const fresh: Speaker = { ...speaker, quoted: new Set() };
  return [...byCommand.values()].slice(0, most).flatMap(({ command, shown }): Block[] => {
    const quotes = quotesOf(shown, 2, speaker.most.quoteColumns, fresh);
    const result: Block[] = quotes.length > 0 ? [{ shape: "quotes", quotes }] : [];
    if (!command) return result;
    const run = commandBlock(command, { there: (node) => words.showsOn({ node }) }, speaker);
    const lead: Block = { shape: "line", line: line(speaker.say(words.result())) };
    return [run, ...(result.length > 0 ? [lead, ...result] : [])];
  });
}

function notIt({ rootCauses, tests, checks, blindSpots }: Report, speaker: Speaker) {
  const { say, comma, most } = speaker;
  const quoted: Speaker = { ...speaker, quoted: new Set() };
  const ruledOut = rootCauses.flatMap(({ ruledOut: ways }) => ways);
  const items = ruledOut.map(({ what, by }) => ({
    line: prose(say(what)),
    quotes: quotesOf([by], 1, most.linkQuoteColumns, quoted),
  }));
  const worked = tests.made - tests.failed;
  if (worked > 0 && tests.failed > 0) items.push({ line: prose(say(words.worked({ count: worked }))), quotes: [] });
  const clear = Map.groupBy(
    checks.filter(({ outcome }) => outcome === "clear"),
    ({ layer }) => layer,
  );
  for (const [layer, found] of clear) {
    const ids = found.map(({ id }) => `\`${id}\``).join(comma);
    items.push({ line: prose(say(words.clearChecks({ count: found.length, layer, ids }))), quotes: [] });
  }
  for (const { what, why, matters } of blindSpots) {
    if (matters.length > 0) items.push({ line: prose(say(words.unseen({ what, why }))), quotes: [] });
  }
  return items;
}

/** A section with a part for each cause, which has a heading of its own where there are several. */
function eachCause(title: Text, { rootCauses }: Report, { say }: Speaker, draw: (cause: Cause) => Block[]): Block[] {
  const parts = rootCauses.map((cause) => ({ cause, blocks: draw(cause) })).filter(({ blocks }) => blocks.length > 0);
  if (parts.length < 2)
    return section(
      say(title),
      parts.flatMap(({ blocks }) => blocks),
    );
  const numbered = parts.flatMap(({ cause, blocks }, index) =>
    section(say(words.step({ index: index + 1, title: verbatim(refId(cause.object)) })), blocks),
  );
  return section(say(title), numbered);
}

/** The chain without its proofs, which the search has shown. */
function chainOf(cause: Cause, speaker: Speaker): Block[] {
  const branches = branchesOf(condensed(cause.explains, speaker.most.symptoms), speaker);
  if (branches.length === 0) return [];
  const root = { line: prose(speaker.say(cause.title), "strong"), quotes: [], branches: branches.map(unquoted) };
  return [{ shape: "tree", branches: [root] }];
}

const unquoted = ({ line: says, branches }: Branch): Branch => ({
  line: [{ text: "↓ " }, ...says],
  quotes: [],
  branches: branches.map(unquoted),
});

function fixOf({ remedies }: Cause, speaker: Speaker): Block[] {
  const { say } = speaker;
  if (remedies.length === 0) return [{ shape: "line", line: line(say(common.noRemedy())) }];
  if (remedies.length === 1) return fixBlocks(remedies[0]!, speaker);
  return remedies.flatMap((remedy, index) =>
    section(say(words.option({ index: index + 1 })), fixBlocks(remedy, speaker)),
  );
}

function verificationSection(report: Report, speaker: Speaker): Block[] {
  const { say } = speaker;
  if (report.verdict === "healthy") return [];
  const once = <T extends { run: string; node?: string | undefined }>(commands: readonly T[]) => [
    ...new Map(commands.map((command) => [`${command.node}\n${command.run}`, command])).values(),
  ];
  const blocksOf = (commands: readonly { run: string; node?: string | undefined }[]) =>
    once(commands).map((command) => commandBlock(command, { there: (node) => words.showsOn({ node }) }, speaker));
  // the first remedy of each cause: others are other ways to the same end
  const verify = report.rootCauses.flatMap(({ remedies }) => remedies[0]?.steps.map((step) => step.verify) ?? []);
  const failed = symptomsOf(report).flatMap(({ evidence }) => {
    const test = evidence.find(({ origin }) => origin.kind === "probe");
    return (test && shownBy(test)) ?? [];
  });
  const items = [
    { says: words.repaired(), blocks: blocksOf(verify) },
    { says: words.failedBefore(), blocks: blocksOf(failed).slice(0, 2 * MOST_COMMANDS) },
    { says: words.askAgain(), blocks: blocksOf([{ run: "netwhy diagnose" }]) },
  ].filter(({ blocks }) => blocks.length > 0);
  return section(say(words.verification()), [
    { shape: "steps", items: items.map(({ says, blocks }) => ({ line: prose(say(says)), blocks })) },
  ]);
}

function preventionSection({ rootCauses, warnings }: Report, speaker: Speaker): Block[] {
  const { say } = speaker;
  const prevent = rootCauses.flatMap(({ remedies }) => remedies.flatMap((remedy) => remedy.prevent));
  const once = [...new Map(prevent.map((text) => [text.en, text])).values()];
  return [
    ...section(say(words.prevention()), listOf(once.map((text) => ({ line: prose(say(text)) })))),
    ...section(say(words.alsoSeen()), listOf(warnings.map(({ title }) => ({ line: prose(say(title)) })))),
  ];
}
