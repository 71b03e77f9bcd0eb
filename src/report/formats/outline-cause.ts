/** What is said of one root cause: what it is, the proof, what follows from it, and the fix. */
import type { Text } from "../../text.ts";
import type { Cause, Report, ReportEvidence } from "../report.ts";
import { condensed } from "./chain.ts";
import { commandOf, verifyOf } from "./commands.ts";
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
  return [
    headline(cause.latent ? "doubt" : "bad", cause.latent ? "!" : "✗", say(count === 1 ? one : many), say(cause.title)),
    { shape: "facts", items: factsOf(cause, report, speaker) },
    ...section(say(words.evidence()), quoteBlocks(cause.evidence, speaker)),
    ...chainSection(cause, speaker),
    ...ruledOutSection(cause, speaker),
    ...fixSections(cause, speaker),
  ];
}

const CONFIDENCE = { certain: words.certain(), likely: words.likely(), possible: words.possible() };

function factsOf(cause: Cause, report: Report, speaker: Speaker) {
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
  for (const trigger of report.triggers.filter(({ roots }) => roots.includes(cause.id))) {
    add(
      words.trigger(),
      say(trigger.by === undefined ? trigger.what : words.triggerBy({ what: trigger.what, by: trigger.by })),
    );
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

function quoteBlocks(evidence: readonly ReportEvidence[], speaker: Speaker): Block[] {
  const quotes = quotesOf(evidence, speaker.most.causeQuotes, speaker.most.quoteColumns, speaker);
  return quotes.length > 0 ? [{ shape: "quotes", quotes }] : [];
}

function chainSection({ explains }: Cause, speaker: Speaker): Block[] {
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
  const items = steps.map((step, index) => ({
    line: prose(say(step.why)),
    blocks: stepBlocks(step, steps[index + 1], speaker),
  }));
  const prevention = listOf(prevent.map((text) => ({ line: prose(say(text)) })));
  return [{ shape: "facts", items: facts }, { shape: "steps", items }, ...section(say(words.prevent()), prevention)];
}

function stepBlocks(step: Step, next: Step | undefined, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const change = commandOf(step.change);
  const verify = verifyOf(step);
  const blocks: Block[] = [];
  if (step.precondition)
    blocks.push({ shape: "line", line: prose(say(words.precondition({ what: step.precondition }))) });
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
