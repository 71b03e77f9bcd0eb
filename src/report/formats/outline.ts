/**
 * What a report says to a person, in which order: the cause first, then the proof, what follows from it, the fix, and
 * what could not be seen. Drawn from the report alone; terminal.ts and markdown.ts draw it.
 */
import type { Language, Text } from "../../text.ts";
import type { Effect, Report, ReportEvidence } from "../report.ts";
import { condensed } from "./chain.ts";
import { applied } from "./commands.ts";
import { itemOf } from "./difference.ts";
import { type Block, line, prose } from "./document.ts";
import { causeBlocks, triggerFacts } from "./outline-cause.ts";
import {
  branchesOf,
  commandBlock,
  headline,
  listOf,
  quotesOf,
  type Speaker,
  section,
  speakerFor,
  timeOf,
} from "./speaker.ts";
import { words } from "./words.ts";

type BlindSpot = Report["blindSpots"][number];

export type OutlineOptions = {
  readonly lang: Language;
  /** Everything: all quotes in full, how to undo, related objects, all gaps, all checks. */
  readonly wide: boolean;
};

export function outlineOf(report: Report, { lang, wide }: OutlineOptions): Block[] {
  const speaker = speakerFor(lang, wide);
  return [
    ...verdictOf(report, speaker),
    ...report.rootCauses.flatMap((cause, index) => causeBlocks(cause, index, report, speaker)),
    ...changeSection(report, speaker),
    ...effectSection(report.unexplained, speaker),
    ...disagreementSection(report, speaker),
    ...deniedSection(report, speaker),
    ...section(speaker.say(words.warnings()), titlesOf(report.warnings, speaker), speaker.say(words.warningsNote())),
    ...section(speaker.say(words.history()), titlesOf(report.history, speaker)),
    ...blindSection(report, speaker),
    ...rightSection(report, speaker),
    ...crashSection(report, speaker),
    ...noteSection(report, speaker),
    ...checkSection(report, speaker),
    ...(report.verdict === "healthy" ? [] : basis(report, speaker)),
    ...readOn(report, speaker),
  ];
}

/** The answer, on the first line. One cause is its own headline. */
function verdictOf(report: Report, speaker: Speaker): Block[] {
  const { verdict, doubt, rootCauses, summary, triggers } = report;
  const { say } = speaker;
  if (verdict === "healthy")
    return [headline("good", "✓", say(words.healthy()), say(summary)), ...basis(report, speaker)];
  if (verdict === "unclear") {
    const label = doubt === "unseen" ? words.nothingFound() : words.unclear();
    return [headline("doubt", "?", say(label), say(summary))];
  }
  if (rootCauses.length < 2) return [];
  const common = triggers.filter(({ roots }) => roots.length > 1);
  return [
    headline("bad", "✗", say(words.rootCauses({ count: rootCauses.length })), ""),
    { shape: "steps", items: rootCauses.map(({ title }) => ({ line: prose(say(title)), blocks: [] })) },
    ...(common.length === 0
      ? []
      : [{ shape: "facts", items: common.flatMap((one) => triggerFacts(one, speaker)) } as const]),
  ];
}

/** Lines of one difference that fit on a page. */
const MOST_LINES = 6;

function changeSection({ changes }: Report, speaker: Speaker): Block[] {
  const { say } = speaker;
  if (!changes) return [];
  const { since, differences } = changes;
  const title = since === undefined ? words.changed() : words.changedSince({ at: timeOf(since) });
  const none: Block[] = [{ shape: "line", line: prose(say(words.unchanged()), "faint") }];
  const items = differences.map((difference) => itemOf(difference, MOST_LINES, speaker));
  return section(say(title), items.length > 0 ? listOf(items) : none);
}

function effectSection(effects: readonly Effect[], speaker: Speaker): Block[] {
  const branches = branchesOf(condensed(effects, speaker.most.symptoms), speaker);
  return section(speaker.say(words.unexplained()), branches.length > 0 ? [{ shape: "tree", branches }] : []);
}

function disagreementSection({ disagreements }: Report, speaker: Speaker): Block[] {
  const { say, most, wide } = speaker;
  const items = disagreements.map(({ says, evidence }) => ({
    line: prose(say(says)),
    quotes: quotesOf(evidence, wide ? 99 : 2, most.linkQuoteColumns, speaker),
  }));
  return section(say(words.disagreements()), [...listOf(items), ...captureBlocks(disagreements, speaker)]);
}

/** The captures of one test: both ends of it tell more than one end of two. */
function captureBlocks(disagreements: Report["disagreements"], speaker: Speaker): Block[] {
  const settle = disagreements.find((one) => one.settle.length > 0)?.settle ?? [];
  if (settle.length === 0) return [];
  return [
    { shape: "line", line: prose(speaker.say(words.capture())) },
    ...settle.map((how) => commandBlock(how, { there: (node) => words.onNode({ node }) }, speaker)),
  ];
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
function titlesOf(
  findings: readonly { title: Text; evidence: readonly ReportEvidence[] }[],
  speaker: Speaker,
): Block[] {
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
    blocks.push({ shape: "line", line: prose(say(words.otherBlindSpots({ count: others.length })), "faint") });
  }
  return section(say(words.blindSpots()), blocks, mattering.length > 0 ? say(words.matters()) : undefined);
}

function blindBlocks({ why, settle }: BlindSpot, speaker: Speaker): Block[] {
  const commands = settle
    .slice(0, speaker.most.commands)
    .map((how) => commandBlock(how, { here: words.settle(), there: (node) => words.settleOn({ node }) }, speaker));
  return [{ shape: "line", line: prose(speaker.say(why), "faint") }, ...commands];
}

function rightSection({ rights }: Report, speaker: Speaker): Block[] {
  const { say } = speaker;
  if (!rights) return [];
  const items = rights.missing.map(({ right, hides }) => {
    const what = "url" in right ? right.url : right.group === "" ? right.resource : `${right.resource}.${right.group}`;
    const where =
      "url" in right || right.namespace === undefined ? "" : say(words.inNamespace({ name: right.namespace }));
    return { line: prose(say(words.right({ what: `\`${right.verb} ${what}\`${where}`, hides }))) };
  });
  return section(say(words.rights()), [
    ...listOf(items),
    commandBlock({ run: applied(rights.grant) }, { here: words.grant(), there: () => words.grant() }, speaker),
  ]);
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
    sampledNodes === nodes
      ? words.nodes({ count: nodes })
      : words.nodesSampled({ count: nodes, sampled: sampledNodes }),
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
