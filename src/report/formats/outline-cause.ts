/** What is said of one root cause: what it is, the proof, what follows from it, and the fix. */
import type { Text } from "../../text.ts";
import type { Cause, Report, ReportEvidence } from "../report.ts";
import { condensed } from "./chain.ts";
import { commandOf } from "./commands.ts";
import { type Block, type Line, line, prose } from "./document.ts";
import {
  branchesOf,
  commandBlock,
  headline,
  listOf,
  quotesOf,
  refId,
  type Speaker,
  section,
  timeOf,
  whereOf,
} from "./speaker.ts";
import { words } from "./words.ts";
import { clipped } from "./wrap.ts";

type Remedy = Cause["remedies"][number];
type Step = Remedy["steps"][number];

export function causeBlocks(cause: Cause, index: number, report: Report, speaker: Speaker): Block[] {
  const { say } = speaker;
  const count = report.rootCauses.length;
  const number = { index: index + 1, count };
  const one = cause.latent ? words.latentCause() : words.rootCause();
  const many = cause.latent ? words.latentCauseOf(number) : words.rootCauseOf(number);
  // what several came with is told above them all
  const own = report.triggers.filter(({ roots: [first, ...others] }) => first === cause.id && others.length === 0);
  return [
    headline(cause.latent ? "doubt" : "bad", cause.latent ? "!" : "✗", say(count === 1 ? one : many), say(cause.title)),
    { shape: "facts", items: factsOf(cause, report, speaker, own) },
    ...section(say(words.evidence()), quoteBlocks(cause.evidence, speaker)),
    ...chainSection(cause, speaker),
    ...ruledOutSection(cause, speaker),
    ...fixSections(cause, speaker),
  ];
}

const CONFIDENCE = { certain: words.certain(), likely: words.likely(), possible: words.possible() };

/** @param triggers those to tell of; missing: what several came with is told with the first of them */
export function factsOf(
  cause: Cause,
  report: Report,
  speaker: Speaker,
  triggers = report.triggers.filter(({ roots }) => roots[0] === cause.id),
) {
  const { say, wide, comma } = speaker;
  const confidence = CONFIDENCE[cause.confidence];
  const facts: { label: string; line: Line }[] = [
    { label: say(words.object()), line: line(objectOf(cause, speaker), "strong") },
  ];
  const add = (label: Text, text: string) => facts.push({ label: say(label), line: prose(text) });
  if (cause.latent) add(words.latentNow(), say(words.latentMeans()));
  const because = cause.because;
  add(words.confidence(), say(say(because) === "" ? confidence : words.because({ confidence, because })));
  if (cause.since !== undefined) add(words.since(), say(sinceOf(cause.since, report.cluster.capturedAt)));
  facts.push(...triggers.flatMap((trigger) => triggerFacts(trigger, speaker)));
  const others = cause.alternatives.flatMap((id) => report.rootCauses.find((other) => other.id === id)?.title ?? []);
  for (const other of others) add(words.alternatives(), say(other));
  if (wide && cause.related.length > 0) add(words.related(), cause.related.map(refId).join(comma));
  return facts;
}

/** What brought it about, by whom, and when; of what took permissions, how to have all of them back. */
export function triggerFacts({ what, by, at, roots, took = [] }: Report["triggers"][number], { say }: Speaker) {
  const who = by === undefined ? what : words.triggerBy({ what, by });
  const fact = (label: Text, text: Text) => ({ label: say(label), line: prose(say(text)) });
  const isRecovered = roots.length > 1 && took.length > 0 && took.every(({ kind }) => /Role(Binding)?$/.test(kind));
  return [
    fact(words.trigger(), at === undefined ? who : words.triggerAt({ what: who, at: timeOf(at) })),
    ...(by === undefined ? [fact(words.doneBy(), words.doneByUnknown())] : []),
    ...(isRecovered ? [fact(words.allAtOnce(), words.recoverAll())] : []),
  ];
}

function objectOf({ object, nodes = [] }: Cause, { say, most, comma }: Speaker): string {
  const named = refId(object);
  if (nodes.length === 0 || object.kind === "Node") return named;
  const shown = nodes.slice(0, most.nodes).join(comma);
  const more = nodes.length - most.nodes;
  const where = more > 0 ? say(words.moreNodes({ nodes: shown, count: more })) : shown;
  return say(words.onNodes({ object: named, nodes: where }));
}

function sinceOf(since: string, capturedAt: string | undefined): Text {
  const at = timeOf(since);
  const seconds =
    capturedAt === undefined ? Number.NaN : Math.round((Date.parse(capturedAt) - Date.parse(since)) / 1000);
  return seconds >= 0 ? words.sinceBefore({ at, ago: spanOf(seconds) }) : { id: "verbatim", args: {}, en: at, zh: at };
}

function spanOf(seconds: number): Text {
  if (seconds < 90) return words.seconds({ count: seconds });
  if (seconds < 120 * 60) return words.minutes({ count: Math.round(seconds / 60) });
  if (seconds < 48 * 3600) return words.hours({ count: Math.round(seconds / 3600) });
  return words.days({ count: Math.round(seconds / 86400) });
}

export function quoteBlocks(evidence: readonly ReportEvidence[], speaker: Speaker): Block[] {
  const quotes = quotesOf(evidence, speaker.most.causeQuotes, speaker.most.quoteColumns, speaker);
  return quotes.length > 0 ? [{ shape: "quotes", quotes }] : [];
}

export function chainSection({ explains }: Cause, speaker: Speaker): Block[] {
  const branches = branchesOf(condensed(explains, speaker.most.symptoms), speaker);
  return section(speaker.say(words.chain()), branches.length > 0 ? [{ shape: "tree", branches }] : []);
}

function ruledOutSection({ ruledOut }: Cause, speaker: Speaker): Block[] {
  const { say, most, wide } = speaker;
  const items = ruledOut.slice(0, wide ? 999 : 3).map(({ what, by }) => ({
    line: prose(say(what)),
    quotes: [{ words: clipped(by.quote, most.linkQuoteColumns), where: [whereOf(by)] }],
  }));
  return section(say(words.ruledOut()), listOf(items));
}

const RISK = { none: words.riskNone(), low: words.riskLow(), medium: words.riskMedium(), high: words.riskHigh() };
const SOURCE = {
  helm: words.sourceHelm(),
  bootstrap: words.sourceBootstrap(),
  backup: words.sourceBackup(),
  baseline: words.sourceBaseline(),
};

export function fixSections({ remedies }: Cause, speaker: Speaker): Block[] {
  const { say } = speaker;
  if (remedies.length === 0) return section(say(words.fix()), [{ shape: "line", line: line(say(words.noRemedy())) }]);
  return remedies.flatMap((remedy, index) => {
    const title = remedies.length === 1 ? words.fix() : words.fixNumbered({ index: index + 1 });
    const prevention = listOf(remedy.prevent.map((text) => ({ line: prose(say(text)) })));
    return section(say(title), [...fixBlocks(remedy, speaker), ...section(say(words.prevent()), prevention)]);
  });
}

/** What a remedy risks, and its steps, each with the check of it. */
export function fixBlocks({ risk, interrupts, source, steps }: Remedy, speaker: Speaker): Block[] {
  const { say } = speaker;
  const facts = [
    { label: say(words.risk()), line: line(say(RISK[risk])) },
    { label: say(words.interrupts()), line: prose(say(interrupts)) },
    ...(source === undefined ? [] : [{ label: say(words.source()), line: line(say(SOURCE[source])) }]),
  ];
  const groups = grouped(steps);
  const items = groups.map((group, index) => ({
    line: prose(say(group[0]!.why)),
    blocks: stepBlocks(group, groups[index + 1]?.[0], speaker),
  }));
  return [
    { shape: "facts", items: facts },
    { shape: "steps", items },
  ];
}

/** The same on several nodes, one after the other, is one step. */
function grouped(steps: readonly Step[]): (readonly [Step, ...Step[]])[] {
  const groups: [Step, ...Step[]][] = [];
  for (const step of steps) {
    const last = groups.at(-1);
    if (last && isAlike(step, last[0])) last.push(step);
    else groups.push([step]);
  }
  return groups;
}

function isAlike(one: Step, other: Step): boolean {
  const runOf = ({ change }: Step) => change && commandOf(change);
  const [a, b] = [runOf(one), runOf(other)];
  return one.why.en === other.why.en && a?.run === b?.run && a?.node !== undefined && b?.node !== undefined;
}

function stepBlocks(group: readonly [Step, ...Step[]], next: Step | undefined, speaker: Speaker): Block[] {
  const { say, wide, most, comma } = speaker;
  const [step] = group;
  const { verify } = step;
  const change = step.change && commandOf(step.change);
  const blocks: Block[] = [];
  const namesOf = (nodes: readonly string[]) => {
    const shown = nodes.slice(0, most.nodes).join(comma);
    return nodes.length > most.nodes ? say(words.moreNodes({ nodes: shown, count: nodes.length - most.nodes })) : shown;
  };
  const nodes = namesOf(group.flatMap((one) => (one.change && commandOf(one.change).node) ?? []));
  const verified = namesOf([...new Set(group.flatMap((one) => one.verify.node ?? []))]);
  if (step.precondition)
    blocks.push({ shape: "line", line: prose(say(words.precondition({ what: step.precondition }))) });
  if (change) blocks.push(commandBlock(change, { there: () => words.onNode({ node: nodes }) }, speaker));
  // one check after several steps that it covers, and none that only repeats its step
  if (!isSame(verify, next?.verify) && !(change && isSame(verify, change))) {
    const lead = { here: words.check(), there: () => words.checkOn({ node: verified }) };
    blocks.push(commandBlock(verify, lead, speaker));
  }
  if (wide && step.undo) blocks.push(undoBlock(step.undo, speaker));
  return blocks;
}

type Command = Step["verify"];

const isSame = (one: Command, other: Command | undefined) => one.run === other?.run && one.node === other.node;

function undoBlock(undo: NonNullable<Step["undo"]>, speaker: Speaker): Block {
  if ("en" in undo) return { shape: "line", line: prose(speaker.say(words.undoHow({ how: undo as Text }))) };
  const command = commandOf(undo as NonNullable<Step["change"]>);
  return commandBlock(command, { here: words.undo(), there: (node) => words.undoOn({ node }) }, speaker);
}
