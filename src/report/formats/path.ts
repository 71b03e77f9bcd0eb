/**
 * What a path says to a person, in which order: the verdict, the two ends, how the name was resolved, what becomes of each
 * back end, and the ways that tell most, from place to place. Drawn from the path alone.
 */
import type { Language, Text } from "../../text.ts";
import type { Path, PathBackEnd, PathPacket, PathPlace, PathStep, PathWay } from "../path.ts";
import type { ReportEvidence } from "../report.ts";
import { type Block, type Line, line, type Marked, prose, type Quote, type Stop, type Tone } from "./document.ts";
import { markdownOf } from "./markdown.ts";
import { pathWords as words } from "./path-words.ts";
import {
  commandBlock,
  headline,
  quotesOf,
  refId,
  type Speaker,
  section,
  speakerFor,
  timeOf,
  whereOf,
} from "./speaker.ts";
import { drawBlocks, type RenderOptions } from "./terminal.ts";
import { words as reportWords } from "./words.ts";
import { clipped } from "./wrap.ts";

type Format = (path: Path, options: Omit<RenderOptions, "wide">) => string;

/** By the name that `-o` takes, as those of reports. */
export const PATH_FORMATS = {
  text: (path, { lang, ...canvas }) => drawBlocks(pathOutline(path, { lang, wide: false }), canvas),
  wide: (path, { lang, ...canvas }) => drawBlocks(pathOutline(path, { lang, wide: true }), canvas),
  json: (path) => `${JSON.stringify(path, undefined, 2)}\n`,
  markdown: (path, { lang }) => markdownOf(pathOutline(path, { lang, wide: false })),
} satisfies Record<string, Format>;

export type PathFormatName = keyof typeof PATH_FORMATS;

/** How many ways are drawn on a page that a tired person reads, and how much of a rule. */
const MOST_WAYS = 1;
const MOST_BACK_ENDS = 8;
const RULE_COLUMNS = 150;

const VERDICTS = {
  reaches: ["good", "✓", words.reaches()],
  fails: ["bad", "✗", words.fails()],
  sometimes: ["bad", "✗", words.sometimes()],
  leaves: ["doubt", "→", words.leaves()],
  unclear: ["doubt", "?", words.unclear()],
} as const;

const MARKS: Readonly<Record<PathBackEnd["result"], readonly [Tone, string]>> = {
  answered: ["good", "✓"],
  failed: ["bad", "✗"],
  sometimes: ["bad", "✗"],
  left: ["doubt", "→"],
  unclear: ["doubt", "?"],
};

export function pathOutline(path: Path, { lang, wide }: { readonly lang: Language; readonly wide: boolean }): Block[] {
  const speaker = speakerFor(lang, wide);
  const [tone, mark, label] = VERDICTS[path.verdict];
  return [
    headline(tone, mark, speaker.say(label), speaker.say(path.summary)),
    { shape: "facts", items: factsOf(path, speaker) },
    ...resolutionSection(path, speaker),
    ...backEndSection(path, speaker),
    ...waySections(path, speaker),
    ...testSection(path, speaker),
    ...settleSection(path, speaker),
    basis(path, speaker),
  ];
}

// ---- the ends

function factsOf(path: Path, { say, comma }: Speaker) {
  const { from, to, port, protocol, size, notes } = path;
  const named = ({ typed, object, node, kind, addresses }: Path["from"]): string => {
    if (kind === "outside") return say(words.outside({ address: addresses[0] ?? "" }));
    if (kind === "address" && !object) return addresses.join(comma);
    const what = object ? refId(object) : typed;
    const on = node !== undefined && object?.kind !== "Node" ? say(words.on({ what, node })) : what;
    return addresses.length > 0 ? say(words.at({ what: on, address: addresses.join(comma) })) : on;
  };
  const flow = port === undefined ? protocol : `${port}/${protocol}`;
  return [
    { label: say(words.from()), line: line(named(from)) },
    { label: say(words.to()), line: line(`${named(to)} · ${flow}`) },
    ...(size === undefined ? [] : [{ label: "", line: line(say(words.size({ size }))) }]),
    ...notes.map((note) => ({ label: say(words.note()), line: prose(say(note), "doubt") })),
  ];
}

// ---- name resolution

type Resolution = NonNullable<Path["resolution"]>;

function resolutionSection({ resolution }: Path, speaker: Speaker): Block[] {
  if (!resolution) return [];
  const { say, comma, wide } = speaker;
  const { servers, ndots, queries, server, evidence } = resolution;
  const note =
    servers.length > 0 ? say(words.asksFor({ servers: servers.join(comma), ndots: ndots ?? "?" })) : undefined;
  const vain = queries.filter(({ answer }) => answer.is === "nxdomain");
  const isShort = !wide && vain.length > 0 && vain.length < queries.length;
  const shown = isShort ? queries.filter((query) => !vain.includes(query)) : queries;
  const items: Marked[] = (wide ? shown : mergedOutside(shown, comma)).map((query): Marked => {
    const [tone, mark] = QUERY_MARKS[query.answer.is];
    return { mark, tone, line: line(say(queryWords(query, comma))) };
  });
  if (isShort) {
    const names = vain.map(({ name }) => name).join(comma);
    items.unshift({ mark: "·", tone: "faint", line: line(say(words.nxdomains({ names })), "faint") });
  }
  if (server?.result === "answered" && !wide) {
    const { address, backEnds } = server;
    const text = words.serverAnswers({ address, count: backEnds.length });
    items.push({ mark: "✓", tone: "good", line: line(say(text)) });
  } else if (server) {
    items.push(
      ...server.backEnds.map((backEnd) => backEndItem(backEnd, speaker, words.server({ address: server.address }))),
    );
  }
  return section(
    say(words.resolution()),
    [
      ...(wide
        ? [{ shape: "quotes" as const, quotes: quotesOf(evidence, 9, speaker.most.quoteColumns, speaker) }]
        : []),
      { shape: "marks", items },
    ],
    note,
  );
}

/** What servers outside are asked, one after the other, is one line. */
function mergedOutside(queries: Resolution["queries"], comma: string): Resolution["queries"] {
  const outside = queries.filter(({ answer }) => answer.is === "outside");
  const [first] = outside;
  if (!first) return queries;
  const merged = { name: outside.map(({ name }) => name).join(comma), answer: first.answer };
  return queries.flatMap((query) => (query === first ? merged : outside.includes(query) ? [] : query));
}

const QUERY_MARKS: Readonly<Record<Resolution["answer"]["is"], readonly [Tone, string]>> = {
  addresses: ["good", "✓"],
  alias: ["good", "✓"],
  "no-data": ["faint", "·"],
  nxdomain: ["bad", "✗"],
  refused: ["bad", "✗"],
  outside: ["doubt", "→"],
  unknown: ["doubt", "?"],
};

function queryWords({ name, answer }: Resolution["queries"][number], comma: string): Text {
  const { addresses = [], servers = [], to = "", service, because } = answer;
  const list = addresses.join(comma);
  switch (answer.is) {
    case "addresses":
      return service
        ? words.answeredOf({ name, addresses: list, service: refId(service) })
        : words.answered({ name, addresses: list });
    case "alias":
      return words.alias({ name, to, service: service ? refId(service) : "" });
    case "no-data":
      return words.noData({ name });
    case "nxdomain":
      return words.nxdomain({ name });
    case "refused":
      return words.refused({ name });
    case "outside":
      return words.asked({ name, servers: servers.join(comma) });
    case "unknown":
      return because === undefined ? words.unknown({ name }) : words.unknownWhy({ name, because });
  }
}

// ---- back ends

/** `before`: what it is part of, if that is not clear. */
function backEndItem(backEnd: PathBackEnd, speaker: Speaker, before?: Text): Marked {
  const { say } = speaker;
  const { address, port, object, node, via, result, ways } = backEnd;
  const [tone, mark] = MARKS[result];
  const target = port === undefined ? address : `${address}:${port}`;
  const what = object && object.kind !== "Node" ? refId(object) : node;
  const on = what !== undefined && node !== undefined && what !== node ? say(words.on({ what, node })) : what;
  const worst = ways[0];
  const isTold = result !== "answered" && worst !== undefined;
  const colon = say(words.colon());
  const why = worst && result === "sometimes" ? words.sometimesOne({ why: worst.end.says }) : worst?.end.says;
  return {
    mark,
    tone,
    line: [
      ...(before ? [{ text: `${say(before)} → ` }] : []),
      { text: target, tone: "strong" },
      ...(on === undefined ? [] : [{ text: `  ${on}` }]),
      ...(via === undefined ? [] : [{ text: `  ${say(words.via({ via }))}`, tone: "faint" as const }]),
      ...(isTold && why ? [{ text: colon }, { text: say(why), tone }] : []),
    ],
  };
}

function backEndSection({ backEnds, to }: Path, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const [only] = backEnds;
  const isItself = backEnds.length === 1 && only !== undefined && to.addresses.includes(only.address);
  if (backEnds.length === 0 || (isItself && !wide)) return [];
  const shown = wide ? backEnds : backEnds.slice(0, MOST_BACK_ENDS);
  const items = shown.map((backEnd) => backEndItem(backEnd, speaker));
  const rest = backEnds.length - shown.length;
  if (rest > 0) items.push({ mark: "…", tone: "faint", line: line(say(words.moreBackEnds({ count: rest })), "faint") });
  return section(say(words.backEnds()), [{ shape: "marks", items }]);
}

// ---- ways

type Drawn = { readonly title: Text; readonly way: PathWay };

/** The ways that tell most: of the query if that fails, and of each kind of failure one; else one that is answered. */
function waysToDraw({ backEnds, resolution, verdict }: Path, wide: boolean): { drawn: readonly Drawn[]; rest: number } {
  const query = (resolution?.server?.backEnds ?? []).flatMap(({ address, ways }) =>
    ways.map((way): Drawn => ({ title: words.wayDns({ address: `${address}:53` }), way })),
  );
  const own = backEnds.flatMap(({ address, port, object, via, ways }) =>
    ways.map((way): Drawn => {
      const plain = port === undefined ? address : `${address}:${port}`;
      const target = via === undefined ? plain : words.targetVia({ target: plain, via });
      return {
        title: object ? words.wayTo({ address: target, what: refId(object) }) : words.way({ address: target }),
        way,
      };
    }),
  );
  const all = [...query, ...own];
  if (wide) return { drawn: all, rest: 0 };
  const isBad = ({ way: { end } }: Drawn): boolean => end.is !== "answered";
  const kinds = Map.groupBy(
    verdict === "reaches" ? own : (resolution?.server?.result === "failed" ? all : [...own, ...query]).filter(isBad),
    ({ way: { end, answer } }) => `${end.is} ${end.at?.node} ${end.at?.pod} ${end.hook} ${answer !== undefined}`,
  );
  const telling = [...kinds.values()].map(([first]) => first!);
  const drawn = (telling.length > 0 ? telling : own).slice(0, MOST_WAYS);
  return { drawn, rest: all.length - drawn.length };
}

function waySections(path: Path, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const { drawn, rest } = waysToDraw(path, wide);
  const blocks = drawn.flatMap(({ title, way }) => {
    const note = way.certainty === "guessed" ? say(words.guessed()) : undefined;
    return section(say(title), [{ shape: "trail", stops: stopsOf(way, speaker) }], note);
  });
  if (rest === 0 || drawn.length === 0) return blocks;
  return [...blocks, { shape: "line", line: prose(say(words.moreWays({ count: rest })), "faint") }];
}

const FAINT: Tone = "faint";

type Open = { key: string; stop: { mark: string; tone?: Tone; line: Line; steps: Stop["steps"][number][] } };

const keyOf = ({ node, pod }: PathPlace): string => `${node} ${pod ?? ""}`;

/** The steps of a way by the places where they happen. */
function stopsOf(way: PathWay, speaker: Speaker): Stop[] {
  const { say } = speaker;
  const { steps, answer = steps.length } = way;
  const stops: Open[] = [];
  const at = (place: PathPlace, by?: string): Open["stop"] => {
    const last = stops.at(-1);
    if (last?.key === keyOf(place)) return last.stop;
    const name: Line = line(say(placeWords(place)), "strong");
    const device =
      by === undefined ? [] : [{ text: ` ${say(words.byDevice({ device: by }))}`, tone: "faint" as const }];
    const stop: Open["stop"] = { mark: "●", line: [...name, ...device], steps: [] };
    stops.push({ key: keyOf(place), stop });
    return stop;
  };
  const [first] = steps;
  const asked = first?.did === "send" ? first.packet : first?.did === "pass" ? first.before : undefined;
  if (first?.did !== "send") {
    const sends = asked ? [stepOf(say(words.sends()), line(say(flowWords(asked, say))))] : [];
    stops.push({ key: "", stop: { mark: "●", line: line(say(words.outsideStop()), "strong"), steps: sends } });
  }
  let depth = 0;
  steps.forEach((step, index) => {
    if (step.did === "cross") {
      at(step.to, step.device);
      return;
    }
    if (step.did === "carry") {
      const text = say(words.toNode({ device: step.device, node: step.to }));
      at({ node: step.from }).steps.push(stepOf(say(words.carried()), line(text)));
      return;
    }
    if (step.did === "decapsulate") depth--;
    const stop = at(step.at);
    stop.steps.push(...stepsOf(step, { isAnswer: index >= answer, isInner: depth === 0, asked }, speaker));
    if (step.did === "encapsulate") depth++;
  });
  finish(way, stops, at, speaker);
  return stops.map(({ stop }) => stop);
}

const placeWords = ({ node, pod }: PathPlace): Text =>
  pod === undefined ? words.node({ node }) : words.on({ what: words.pod({ pod }), node });

/** How it ended, at the place where it did. */
function finish(
  { end, doubts }: PathWay,
  stops: Open[],
  at: (place: PathPlace) => Open["stop"],
  speaker: Speaker,
): void {
  const { say, wide } = speaker;
  if (end.is === "answered") {
    // whoever is outside has no stop of its own yet
    if (!end.at) stops.push({ key: "", stop: { mark: "", line: line(say(words.outsideStop()), "strong"), steps: [] } });
    const last = stops.at(-1)!.stop;
    last.mark = "✓";
    last.tone = "good";
    last.line = [...last.line, { text: ` ${say(words.done())}`, tone: "good" }];
    return;
  }
  const stop = end.at ? at(end.at) : { mark: "", line: [], steps: [] as Stop["steps"][number][] };
  const tone: Tone = end.is === "insufficient" || end.is === "left-cluster" ? "doubt" : "bad";
  stop.mark = end.is === "insufficient" ? "?" : end.is === "left-cluster" ? "→" : "✗";
  stop.tone = tone;
  if (!end.at) stops.push({ key: "", stop: { ...stop, line: line(say(words.outsideStop()), "strong") } });
  const met = wide ? (end.met ?? []).map((rule) => ruleQuote(rule, speaker)) : [];
  if (met.length > 0) stop.steps.push(stepOf(end.hook ?? "", line(say(words.met({ count: met.length }))), met));
  // what the sentence says already needs no quote, only its place
  const says = say(end.says);
  const told = end.evidence
    .filter(({ quote }) => says.includes(quote))
    .map((one) => ({ text: `  ${whereOf(one)}`, tone: FAINT }));
  const untold = end.evidence.filter(({ quote }) => !says.includes(quote));
  const label = end.hook ?? say(words.ends());
  stop.steps.push(stepOf(label, [{ text: says, tone }, ...told], ruleQuotes(untold, wide ? 9 : 1, speaker)));
  const doubted = doubts.slice(0, wide ? 99 : 2);
  stop.steps.push(...doubted.map((rule) => stepOf(say(words.doubt()), [], [ruleQuote(rule, speaker)])));
}

type Around = {
  readonly isAnswer: boolean;
  /** Not wrapped by a tunnel. */
  readonly isInner: boolean;
  /** The packet with which it all began. */
  readonly asked: PathPacket | undefined;
};

const stepOf = (label: string, words: Line, quotes: readonly Quote[] = []): Stop["steps"][number] => ({
  label,
  line: words,
  quotes,
});

/** What of a step is worth a line: in short, what changed the packet, decided over it, or sent it somewhere. */
function stepsOf(step: PathStep, around: Around, speaker: Speaker): Stop["steps"][number][] {
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
      return [stepOf(say(words.balance()), text, ruleQuotes(step.evidence, 1, speaker))];
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

function flowWords(packet: PathPacket, say: (text: Text) => string): Text {
  const source = packet.source === undefined ? say(words.somebody()) : endWords(packet, "source");
  const destination = endWords(packet, "destination");
  return words.flow({ source, destination: `${destination} ${packet.protocol}` });
}

/** A rule as it stands in its source; in short, without its middle. */
const ruleQuote = ({ origin, quote }: ReportEvidence, { wide }: Speaker): Quote => ({
  words: wide ? quote : clipped(quote, RULE_COLUMNS),
  where: [whereOf({ origin, quote })],
});

function ruleQuotes(evidence: readonly ReportEvidence[], most: number, speaker: Speaker): Quote[] {
  return evidence.slice(0, most).map((one) => ruleQuote(one, speaker));
}

// ---- what else

function testSection({ tests }: Path, speaker: Speaker): Block[] {
  const { say, most, wide } = speaker;
  const items = tests.slice(0, wide ? 99 : most.symptoms).map(({ outcome, evidence }): Marked => {
    const isOk = outcome === "ok";
    return {
      mark: isOk ? "✓" : "✗",
      tone: isOk ? "good" : "bad",
      line: [{ text: `${clipped(evidence.quote, RULE_COLUMNS)}  ` }, { text: whereOf(evidence), tone: "faint" }],
    };
  });
  return section(say(words.tests()), items.length > 0 ? [{ shape: "marks", items }] : []);
}

function settleSection({ backEnds, resolution, verdict }: Path, speaker: Speaker): Block[] {
  if (verdict !== "unclear" && !speaker.wide) return [];
  const ways = [...backEnds, ...(resolution?.server?.backEnds ?? [])].flatMap((one) => one.ways);
  const commands = [...(resolution?.settle ?? []), ...ways.flatMap(({ end }) => end.settle)];
  const distinct = [...new Map(commands.map((one) => [JSON.stringify(one), one])).values()];
  const blocks = distinct
    .slice(0, speaker.most.commands + 1)
    .map(({ run, node }) =>
      commandBlock(
        { run, ...(node !== undefined && { node }) },
        { here: words.settleHere(), there: (on) => words.settleOn({ node: on }) },
        speaker,
      ),
    );
  return section(speaker.say(words.settle()), blocks);
}

/** What it was told from, in one line. */
function basis({ cluster: { name, version, capturedAt } }: Path, { say }: Speaker): Block {
  const parts = [
    name === "" ? say(reportWords.someCluster()) : say(reportWords.cluster({ name })),
    ...(version === undefined ? [] : [`Kubernetes ${version}`]),
    ...(capturedAt === undefined ? [] : [say(reportWords.capturedAt({ at: timeOf(capturedAt) }))]),
  ];
  return { shape: "line", line: line(parts.join(" · "), "faint") };
}
