/** The ways that tell most, from place to place. */
import type { Text } from "../../text.ts";
import type { Path, PathPlace, PathWay } from "../path.ts";
import { type Block, type Line, line, prose, type Stop, type Tone } from "./document.ts";
import { FAINT, flowWords, ruleQuote, ruleQuotes, stepOf, stepsOf } from "./path-steps.ts";
import { pathWords as words } from "./path-words.ts";
import { refId, type Speaker, section, whereOf } from "./speaker.ts";

/** How many ways are drawn on a page that a tired person reads. */
const MOST_WAYS = 1;

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

export function waySections(path: Path, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const { drawn, rest } = waysToDraw(path, wide);
  const blocks = drawn.flatMap(({ title, way }) => {
    const note = way.certainty === "guessed" ? say(words.guessed()) : undefined;
    return section(say(title), [{ shape: "trail", stops: stopsOf(way, speaker) }], note);
  });
  if (rest === 0 || drawn.length === 0) return blocks;
  return [...blocks, { shape: "line", line: prose(say(words.moreWays({ count: rest })), "faint") }];
}

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
  stop.steps.push(
    ...doubted.map((rule) => stepOf(say(words.doubt()), line(say(words.doubted())), [ruleQuote(rule, speaker)])),
  );
}
