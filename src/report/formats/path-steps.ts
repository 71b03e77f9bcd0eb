/** What happens at one place of a way, a line each. */
import type { Text } from "../../text.ts";
import type { PathPacket, PathStep } from "../path.ts";
import type { ReportEvidence } from "../report.ts";
import { type Line, line, type Quote, type Stop, type Tone } from "./document.ts";
import { pathWords as words } from "./path-words.ts";
import { type Speaker, whereOf } from "./speaker.ts";
import { clipped } from "./wrap.ts";

export const FAINT: Tone = "faint";

/** How much of a rule is shown in short. */
export const RULE_COLUMNS = 150;

type Around = {
  readonly isAnswer: boolean;
  /** Not wrapped by a tunnel. */
  readonly isInner: boolean;
  /** The packet with which it all began. */
  readonly asked: PathPacket | undefined;
};

export const stepOf = (label: string, words: Line, quotes: readonly Quote[] = []): Stop["steps"][number] => ({
  label,
  line: words,
  quotes,
});

/** What of a step is worth a line: in short, what changed the packet, decided over it, or sent it somewhere. */
export function stepsOf(step: PathStep, around: Around, speaker: Speaker): Stop["steps"][number][] {
  const { say, wide } = speaker;
  switch (step.did) {
    case "send": {
      const label = say(around.isAnswer ? words.answers() : words.sends());
      return [stepOf(label, line(say(flowWords(step.packet, say))))];
    }
    case "pass":
      return passSteps(step, around, speaker);
    case "balance": {
      const text = line(say(words.newDestination({ address: endWords(step.packet, "destination") })));
      const label = say(step.by === "cilium" ? words.cilium() : words.ipvs());
      return [stepOf(label, text, ruleQuotes(step.evidence, 1, speaker))];
    }
    case "admit": {
      const { endpoint, identity, direction } = step;
      const told = (direction === "egress" ? words.egressAllowed : words.ingressAllowed)({ endpoint, identity });
      return [stepOf(say(words.policy()), line(say(told)), ruleQuotes(step.evidence, wide ? 9 : 0, speaker))];
    }
    case "route":
      return around.isInner || wide ? [routeStep(step, speaker)] : [];
    case "resolve":
      return wide ? [stepOf(say(words.neighbour()), line(step.device), ruleQuotes(step.evidence, 9, speaker))] : [];
    case "encapsulate": {
      const quotes = wide ? ruleQuotes(step.evidence, 9, speaker) : [];
      return [stepOf(step.device, line(say(words.into({ to: step.to }))), quotes)];
    }
    case "decapsulate":
      return [stepOf(step.device, line(say(words.unwrapped())))];
    case "receive":
      return around.isAnswer ? [] : step.evidence.map((evidence) => stepOf(say(words.listens()), quotedLine(evidence)));
    default:
      return [];
  }
}

/** Short evidence, with its place behind it. */
const quotedLine = (evidence: ReportEvidence): Line => [
  { text: evidence.quote },
  { text: `  ${whereOf(evidence)}`, tone: FAINT },
];

function routeStep({ evidence, device }: Extract<PathStep, { did: "route" }>, speaker: Speaker): Stop["steps"][number] {
  const label = speaker.say(words.route());
  const [first] = evidence;
  if (!first) return stepOf(label, line(device));
  return stepOf(label, speaker.wide ? quotedLine(first) : line(first.quote));
}

function passSteps(
  { hook, before, packet, rules, met = [] }: Extract<PathStep, { did: "pass" }>,
  { isAnswer, isInner, asked }: Around,
  speaker: Speaker,
): Stop["steps"][number][] {
  const { say, wide } = speaker;
  const changes: Text[] = [];
  for (const side of ["destination", "source"] as const) {
    const now = endWords(packet, side);
    if (endWords(before, side) === now || packet[side] === undefined) continue;
    const wanted = asked && endWords(asked, side === "source" ? "destination" : "source");
    changes.push(CHANGED[side][isAnswer && now === wanted ? 1 : 0]({ address: now }));
  }
  // what connection tracking does to an answer, no rule of its way decides
  const told = isAnswer && changes.length > 0 ? [] : rules;
  if (wide && before.mark !== packet.mark)
    changes.push(words.newMark({ mark: `0x${(packet.mark ?? 0).toString(16)}` }));
  const all = met.map((rule) => ruleQuote(rule, speaker));
  const steps = wide && all.length > 0 ? [stepOf(hook, line(say(words.met({ count: all.length }))), all)] : [];
  const quotes = steps.length > 0 ? [] : ruleQuotes(told, wide ? 9 : 1, speaker);
  steps.push(...changes.map((change, index) => stepOf(hook, line(say(change)), index === 0 ? quotes : [])));
  const [decisive] = rules;
  const isWorthIt = wide || (isInner && !isAnswer && ["input", "forward", "output"].includes(hook));
  if (steps.length === 0 && isWorthIt && decisive && !isPolicy(decisive)) {
    const by = say(words.accepted({ chain: chainOf(decisive) }));
    const where = { text: `  ${whereOf(decisive)}`, tone: FAINT };
    steps.push(wide ? stepOf(hook, line(by), quotes) : stepOf(hook, [{ text: by }, where]));
  }
  return steps;
}

/** The end of a chain is hardly worth a line. */
const isPolicy = ({ quote }: ReportEvidence): boolean => /^\w+: :|: policy /.test(quote);

/** `filter: [12:720] -A FLANNEL-FWD …` is of `filter FLANNEL-FWD`; `ip kube-proxy forward: …` says it at its beginning. */
function chainOf({ quote }: ReportEvidence): string {
  const [, table = "", chain] = /^(\S+): .*?-A (\S+)/.exec(quote) ?? [];
  return chain === undefined ? (quote.split(": ")[0] ?? "") : `${table} ${chain}`;
}

const CHANGED = {
  destination: [words.newDestination, words.restoredDestination],
  source: [words.newSource, words.restored],
} as const;

function endWords(packet: PathPacket, side: "source" | "destination"): string {
  const address = packet[side] ?? "?";
  // the port of a client is as good as any other
  const port = packet[`${side}Port`];
  return port === undefined || port === CLIENT_PORT ? address : `${address}:${port}`;
}

const CLIENT_PORT = 40_000;

export function flowWords(packet: PathPacket, say: (text: Text) => string): Text {
  const source = packet.source === undefined ? say(words.somebody()) : endWords(packet, "source");
  const destination = endWords(packet, "destination");
  return words.flow({ source, destination: `${destination} ${packet.protocol}` });
}

/** A rule as it stands in its source; in short, without its middle. */
export const ruleQuote = ({ origin, quote }: ReportEvidence, { wide }: Speaker): Quote => ({
  words: wide ? quote : clipped(quote, RULE_COLUMNS),
  where: [whereOf({ origin, quote })],
});

export function ruleQuotes(evidence: readonly ReportEvidence[], most: number, speaker: Speaker): Quote[] {
  return evidence.slice(0, most).map((one) => ruleQuote(one, speaker));
}
