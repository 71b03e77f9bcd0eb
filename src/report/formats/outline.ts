/**
 * What a report says to a person, in which order: the cause first, then the proof, what follows from it, the fix, and
 * what could not be seen. Drawn from the report alone; terminal.ts and markdown.ts draw it.
 */
import type { Language, Text } from "../../text.ts";
import type { Cause, Effect, Report, ReportEvidence } from "../report.ts";
import { condensed, type Link } from "./chain.ts";
import { type Command, commandOf, verifyOf, wordedCommand } from "./commands.ts";
import { type Block, type Branch, type CommandBlock, type Item, type Line, line, type Quote, prose } from "./document.ts";
import { words } from "./words.ts";
import { clipped } from "./wrap.ts";

export type OutlineOptions = {
  readonly lang: Language;
  /** Everything: all quotes in full, how to undo, related objects, all gaps, all checks. */
  readonly wide: boolean;
};

type Ref = Cause["object"];
type Remedy = Cause["remedies"][number];
type Step = Remedy["steps"][number];
type BlindSpot = Report["blindSpots"][number];

/** How much of it fits on a page that a tired person reads. */
const MOST = { causeQuotes: 3, symptoms: 4, named: 4, nodes: 4, commands: 2, quoteColumns: 320, linkColumns: 240, linkQuoteColumns: 160 };
const ALL = { causeQuotes: 99, symptoms: 999, named: 999, nodes: 999, commands: 99, quoteColumns: 1e6, linkColumns: 1e6, linkQuoteColumns: 1e6 };

type Speaker = {
  readonly say: (text: Text) => string;
  readonly most: typeof MOST;
  readonly wide: boolean;
  /** Between names in a row. */
  readonly comma: string;
  /** What was quoted already: no line of evidence is shown twice. */
  readonly quoted: Set<string>;
};

export function outlineOf(report: Report, { lang, wide }: OutlineOptions): Block[] {
  const speaker: Speaker = {
    say: (text) => text[lang],
    most: wide ? ALL : MOST,
    wide,
    comma: lang === "zh" ? "\u3001" : ", ",
    quoted: new Set(),
  };
  return [
    ...verdictOf(report, speaker),
    ...report.rootCauses.flatMap((cause, index) => causeBlocks(cause, index, report, speaker)),
    ...effectSection(report.unexplained, speaker),
    ...deniedSection(report, speaker),
    ...section(speaker.say(words.warnings()), titlesOf(report.warnings, speaker), speaker.say(words.warningsNote())),
    ...section(speaker.say(words.history()), titlesOf(report.history, speaker)),
    ...blindSection(report, speaker),
    ...crashSection(report, speaker),
    ...noteSection(report, speaker),
    ...checkSection(report, speaker),
    ...(report.verdict === "healthy" ? [] : basis(report, speaker)),
    ...readOn(report, speaker),
  ];
}

const refId = ({ kind, namespace, name }: Ref) => [kind, namespace, name].filter((part) => part !== undefined).join("/");

/** The answer, on the first line. One cause is its own headline. */
function verdictOf(report: Report, speaker: Speaker): Block[] {
  const { verdict, rootCauses, summary } = report;
  const { say } = speaker;
  if (verdict === "healthy") return [headline("good", "✓", say(words.healthy()), say(summary)), ...basis(report, speaker)];
  if (verdict === "unclear") return [headline("doubt", "?", say(words.unclear()), say(summary))];
  if (rootCauses.length < 2) return [];
  return [
    headline("bad", "✗", say(words.rootCauses({ count: rootCauses.length })), ""),
    { shape: "steps", items: rootCauses.map(({ title }) => ({ line: prose(say(title)), blocks: [] })) },
  ];
}

function headline(tone: "good" | "doubt" | "bad", mark: string, label: string, text: string): Block {
  return { shape: "headline", tone, mark, label, line: prose(text, "strong") };
}

function causeBlocks(cause: Cause, index: number, report: Report, speaker: Speaker): Block[] {
  const { say } = speaker;
  const count = report.rootCauses.length;
  const number = { index: index + 1, count };
  const one = cause.latent ? words.latentCause() : words.rootCause();
  const many = cause.latent ? words.latentCauseOf(number) : words.rootCauseOf(number);
  return [
    headline(cause.latent ? "doubt" : "bad", cause.latent ? "!" : "✗", say(count === 1 ? one : many), say(cause.title)),
    { shape: "facts", items: factsOf(cause, report, speaker) },
    ...section(say(words.evidence()), quoteBlocks(cause.evidence, speaker)),
    ...chainSection(cause, speaker),
    ...ruledOutSection(cause, speaker),
    ...fixSections(cause, speaker),
  ];
}

function section(title: string, blocks: readonly Block[], note?: string): Block[] {
  return blocks.length === 0 ? [] : [{ shape: "section", title, note, blocks }];
}

function listOf(items: readonly Item[]): Block[] {
  return items.length === 0 ? [] : [{ shape: "list", items }];
}

const CONFIDENCE = { certain: words.certain(), likely: words.likely(), possible: words.possible() };

function factsOf(cause: Cause, report: Report, speaker: Speaker) {
  const { say, wide, comma } = speaker;
  const confidence = CONFIDENCE[cause.confidence];
  const facts: { label: string; line: Line }[] = [{ label: say(words.object()), line: line(objectOf(cause, speaker), "strong") }];
  const add = (label: Text, text: string) => facts.push({ label: say(label), line: prose(text) });
  if (cause.latent) add(words.latentNow(), say(words.latentMeans()));
  const because = cause.because;
  add(words.confidence(), say(say(because) === "" ? confidence : words.because({ confidence, because })));
  if (cause.since !== undefined) add(words.since(), say(sinceOf(cause.since, report.cluster.capturedAt)));
  for (const trigger of report.triggers.filter(({ roots }) => roots.includes(cause.id))) {
    add(words.trigger(), say(trigger.by === undefined ? trigger.what : words.triggerBy({ what: trigger.what, by: trigger.by })));
  }
  const others = cause.alternatives.flatMap((id) => report.rootCauses.find((other) => other.id === id)?.title ?? []);
  for (const other of others) add(words.alternatives(), say(other));
  if (wide && cause.related.length > 0) add(words.related(), cause.related.map(refId).join(comma));
  return facts;
}

function objectOf({ object, nodes = [] }: Cause, { say, most, comma }: Speaker): string {
  const named = refId(object);
  if (nodes.length === 0 || object.kind === "Node") return named;
  const shown = nodes.slice(0, most.nodes).join(comma);
  const more = nodes.length - most.nodes;
  const where = more > 0 ? say(words.moreNodes({ nodes: shown, count: more, total: nodes.length })) : shown;
  return say(words.onNodes({ object: named, nodes: where }));
}

/** `2026-11-21 03:16:06 UTC`; what is no time in UTC stays as it is. */
function timeOf(at: string): string {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/.exec(at);
  return match ? `${match[1]} ${match[2]} UTC` : at;
}

function sinceOf(since: string, capturedAt: string | undefined): Text {
  const at = timeOf(since);
  const seconds = capturedAt === undefined ? Number.NaN : Math.round((Date.parse(capturedAt) - Date.parse(since)) / 1000);
  return seconds >= 0 ? words.sinceBefore({ at, ago: spanOf(seconds) }) : { id: "verbatim", args: {}, en: at, zh: at };
}

function spanOf(seconds: number): Text {
  if (seconds < 90) return words.seconds({ count: seconds });
  if (seconds < 120 * 60) return words.minutes({ count: Math.round(seconds / 60) });
  if (seconds < 48 * 3600) return words.hours({ count: Math.round(seconds / 3600) });
  return words.days({ count: Math.round(seconds / 86400) });
}

/** `path:line`, or `path#pointer` for an object in a list. */
function whereOf({ origin: { path, line: number, pointer } }: ReportEvidence): string {
  if (number !== undefined) return `${path}:${number}`;
  return pointer === undefined ? path : `${path}#${pointer}`;
}

/** Evidence as quotes: the same words in several places are one quote; what was shown before is left out. */
function quotesOf(evidence: readonly ReportEvidence[], most: number, columns: number, { quoted }: Speaker): Quote[] {
  const places = new Map<string, string[]>();
  for (const item of evidence) {
    if (item.quote.trim() === "") continue;
    const where = places.get(item.quote);
    if (!where) places.set(item.quote, [whereOf(item)]);
    else if (!where.includes(whereOf(item))) where.push(whereOf(item));
  }
  const fresh = [...places].filter(([quote]) => !quoted.has(quote)).slice(0, most);
  for (const [quote] of fresh) quoted.add(quote);
  return fresh.map(([quote, where]) => ({ words: clipped(quote, columns), where: where.slice(0, 3) }));
}

function quoteBlocks(evidence: readonly ReportEvidence[], speaker: Speaker): Block[] {
  const quotes = quotesOf(evidence, speaker.most.causeQuotes, speaker.most.quoteColumns, speaker);
  return quotes.length > 0 ? [{ shape: "quotes", quotes }] : [];
}

function branchOf({ effect, links, rest }: Link, speaker: Speaker): Branch {
  const { say, most, wide } = speaker;
  const says = say(effect.says);
  const predicted = effect.state === "predicted" ? ` ${say(words.predicted())}` : "";
  // a sentence that already holds the quote needs it not a second time
  const unsaid = effect.evidence.filter(({ quote }) => !says.includes(quote));
  return {
    line: prose(clipped(says, most.linkColumns) + predicted),
    quotes: quotesOf(unsaid, wide ? 99 : 1, most.linkQuoteColumns, speaker),
    branches: branchesOf({ links, rest }, speaker),
  };
}

function branchesOf({ links, rest }: { links: readonly Link[]; rest: readonly Effect[] }, speaker: Speaker): Branch[] {
  const branches = links.map((link) => branchOf(link, speaker));
  if (rest.length > 0) branches.push({ line: line(restOf(rest, speaker), "faint"), quotes: [], branches: [] });
  return branches;
}

/** Symptoms in a row, by what they are about: `Service/shop/db (3 of 4)`. */
function restOf(rest: readonly Effect[], { say, most, comma }: Speaker): string {
  const names = rest.slice(0, most.named).map(({ of, says, subject }) => {
    const { what } = says.args;
    const name = typeof what === "object" ? say(what) : refId(subject);
    return of === undefined ? name : say(words.ratio({ what: name, failed: of[0], total: of[1] }));
  });
  const dots = rest.length > names.length ? " …" : "";
  return say(words.more({ count: rest.length, names: names.join(comma) + dots }));
}

function chainSection({ explains }: Cause, speaker: Speaker): Block[] {
  const branches = branchesOf(condensed(explains, speaker.most.symptoms), speaker);
  return section(speaker.say(words.chain()), branches.length > 0 ? [{ shape: "tree", branches }] : []);
}

function effectSection(effects: readonly Effect[], speaker: Speaker): Block[] {
  const branches = branchesOf(condensed(effects, speaker.most.symptoms), speaker);
  return section(speaker.say(words.unexplained()), branches.length > 0 ? [{ shape: "tree", branches }] : []);
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

function fixSections({ remedies }: Cause, speaker: Speaker): Block[] {
  const { say } = speaker;
  if (remedies.length === 0) return section(say(words.fix()), [{ shape: "line", line: line(say(words.noRemedy())) }]);
  return remedies.flatMap((remedy, index) => {
    const title = remedies.length === 1 ? words.fix() : words.fixNumbered({ index: index + 1 });
    return section(say(title), remedyBlocks(remedy, speaker));
  });
}

function remedyBlocks(remedy: Remedy, speaker: Speaker): Block[] {
  const { say } = speaker;
  const { risk, interrupts, source, steps, prevent } = remedy;
  const facts = [
    { label: say(words.risk()), line: line(say(RISK[risk])) },
    { label: say(words.interrupts()), line: prose(say(interrupts)) },
    ...(source === undefined ? [] : [{ label: say(words.source()), line: line(say(SOURCE[source])) }]),
  ];
  const items = steps.map((step, index) => ({ line: prose(say(step.why)), blocks: stepBlocks(step, steps[index + 1], speaker) }));
  const prevention = listOf(prevent.map((text) => ({ line: prose(say(text)) })));
  return [
    { shape: "facts", items: facts },
    { shape: "steps", items },
    ...section(say(words.prevent()), prevention),
  ];
}

function commandBlock({ run, node }: Command, lead: { here?: Text; there: (node: string) => Text }, { say }: Speaker): CommandBlock {
  const text = node === undefined ? lead.here : lead.there(node);
  return { shape: "command", run, ...(text && { lead: say(text) }) };
}

function stepBlocks(step: Step, next: Step | undefined, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const change = commandOf(step.change);
  const verify = verifyOf(step);
  const blocks: Block[] = [];
  if (step.precondition) blocks.push({ shape: "line", line: prose(say(words.precondition({ what: step.precondition }))) });
  blocks.push(commandBlock(change, { there: (node) => words.onNode({ node }) }, speaker));
  // one check after several steps that it covers, and none that only repeats its step
  if (verify.run !== next?.verify && verify.run !== change.run) {
    blocks.push(commandBlock(verify, { here: words.check(), there: (node) => words.checkOn({ node }) }, speaker));
  }
  if (wide) blocks.push(undoBlock(step, speaker));
  return blocks;
}

function undoBlock({ undo }: Step, speaker: Speaker): Block {
  if ("en" in undo) return { shape: "line", line: prose(speaker.say(words.undoHow({ how: undo as Text }))) };
  const command = commandOf(undo as Step["change"]);
  return commandBlock(command, { here: words.undo(), there: (node) => words.undoOn({ node }) }, speaker);
}

function deniedSection({ meantDenials }: Report, speaker: Speaker): Block[] {
  const { say, most, wide } = speaker;
  const items = meantDenials.map(({ says, evidence }) => ({
    line: prose(say(says)),
    quotes: quotesOf(evidence, wide ? 99 : 1, most.linkQuoteColumns, speaker),
  }));
  return section(say(words.meantDenials()), listOf(items));
}

/** Warnings and what is over are titles; their proof is for who asks for it. */
function titlesOf(findings: readonly { title: Text; evidence: readonly ReportEvidence[] }[], speaker: Speaker): Block[] {
  const { say, most, wide } = speaker;
  const items = findings.map(({ title, evidence }) => ({
    line: prose(say(title)),
    quotes: wide ? quotesOf(evidence, 99, most.linkQuoteColumns, speaker) : [],
  }));
  return listOf(items);
}

function blindSection({ blindSpots }: Report, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const mattering = blindSpots.filter(({ matters }) => matters.length > 0);
  const others = blindSpots.filter(({ matters }) => matters.length === 0);
  const items = [...mattering, ...(wide ? others : [])].map((spot) => ({
    line: prose(say(spot.what)),
    blocks: blindBlocks(spot, speaker),
  }));
  const blocks: Block[] = items.length > 0 ? [{ shape: "steps", items }] : [];
  if (!wide && others.length > 0) {
    blocks.push({ shape: "line", line: line(say(words.otherBlindSpots({ count: others.length })), "faint") });
  }
  return section(say(words.blindSpots()), blocks, mattering.length > 0 ? say(words.matters()) : undefined);
}

function blindBlocks({ why, settle }: BlindSpot, speaker: Speaker): Block[] {
  const commands = settle.slice(0, speaker.most.commands).map((how) =>
    commandBlock(wordedCommand(how), { here: words.settle(), there: (node) => words.settleOn({ node }) }, speaker),
  );
  return [{ shape: "line", line: prose(speaker.say(why), "faint") }, ...commands];
}

function crashSection({ checks }: Report, speaker: Speaker): Block[] {
  const crashed = checks.filter(({ outcome }) => outcome === "crashed");
  const items = crashed.map(({ id, message = "" }) => ({
    line: line(`${id}: ${speaker.wide ? message : message.split("\n")[0]}`),
  }));
  return section(speaker.say(words.crashed()), listOf(items));
}

function noteSection({ notes }: Report, { say }: Speaker): Block[] {
  return section(say(words.notes()), listOf(notes.map((note) => ({ line: line(say(note)) }))));
}

const OUTCOME = {
  found: words.outcomeFound(),
  clear: words.outcomeClear(),
  "cannot-tell": words.outcomeCannotTell(),
  "not-applicable": words.outcomeNotApplicable(),
  crashed: words.outcomeCrashed(),
};

function checkSection({ checks }: Report, { say, wide }: Speaker): Block[] {
  if (!wide) return [];
  const items = checks.map(({ id, outcome, ms }) => ({
    line: line(say(words.checkRun({ id, outcome: OUTCOME[outcome], ms }))),
  }));
  return section(say(words.checks()), listOf(items));
}

/** What it all was judged from, in one line. */
function basis({ cluster, tests, checks }: Report, { say }: Speaker): Block[] {
  const { name, version, capturedAt, nodes, sampledNodes, skewMs = 0 } = cluster;
  const crashed = checks.filter(({ outcome }) => outcome === "crashed").length;
  const parts = [
    name === "" ? words.someCluster() : words.cluster({ name }),
    ...(version === undefined ? [] : [`Kubernetes ${version}`]),
    sampledNodes === nodes ? words.nodes({ count: nodes }) : words.nodesSampled({ count: nodes, sampled: sampledNodes }),
    ...(capturedAt === undefined ? [] : [words.capturedAt({ at: timeOf(capturedAt) })]),
    ...(Math.abs(skewMs) >= 2000 ? [words.skew({ seconds: Math.round(skewMs / 1000) })] : []),
    tests.made > 0 ? words.tests(tests) : words.noTests(),
    words.checksRan({ count: checks.length }),
    ...(crashed > 0 ? [words.checksCrashed({ count: crashed })] : []),
  ];
  const text = parts.map((part) => (typeof part === "string" ? part : say(part))).join(" · ");
  return [{ shape: "line", line: line(text, "faint") }];
}

function readOn({ rootCauses }: Report, { say, wide, comma }: Speaker): Block[] {
  if (rootCauses.length === 0 || wide) return [];
  const checks = [...new Set(rootCauses.map(({ check }) => check))];
  const pages = checks.map((check) => `\`netwhy explain ${check}\``).join(comma);
  return [{ shape: "line", line: prose(say(words.readOn({ pages })), "faint") }];
}
