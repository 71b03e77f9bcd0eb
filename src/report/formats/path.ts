/**
 * What a path says to a person, in which order: the verdict, the two ends, how the name was resolved, what becomes of each
 * back end, and the ways that tell most, from place to place. Drawn from the path alone.
 */
import type { Language } from "../../text.ts";
import type { Path } from "../path.ts";
import { type Block, line, type Marked, prose } from "./document.ts";
import { markdownOf } from "./markdown.ts";
import { RULE_COLUMNS } from "./path-steps.ts";
import { backEndSection, resolutionSection } from "./path-targets.ts";
import { waySections } from "./path-ways.ts";
import { pathWords as words } from "./path-words.ts";
import { commandBlock, headline, refId, type Speaker, section, speakerFor, timeOf, whereOf } from "./speaker.ts";
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

const VERDICTS = {
  reaches: ["good", "✓", words.reaches()],
  fails: ["bad", "✗", words.fails()],
  sometimes: ["bad", "✗", words.sometimes()],
  leaves: ["doubt", "→", words.leaves()],
  unclear: ["doubt", "?", words.unclear()],
} as const;

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
    ...capturedSection(path, speaker),
    ...settleSection(path, speaker),
    basis(path, speaker),
  ];
}

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

function capturedSection({ captured = [] }: Path, speaker: Speaker): Block[] {
  const { say } = speaker;
  const items = captured.map(({ says, evidence }): Marked => {
    const places = evidence.map(whereOf).join(", ");
    return { mark: "·", tone: "doubt", line: [{ text: `${say(says)}  ` }, { text: places, tone: "faint" }] };
  });
  return section(say(words.captured()), items.length > 0 ? [{ shape: "marks", items }] : []);
}

/** What to run while it fails: nothing that is recorded tells. */
function captureBlocks({ captures = [] }: Path, speaker: Speaker): Block[] {
  if (captures.length === 0) return [];
  const where = { here: words.capture(), there: (on: string) => words.captureOn({ node: on }) };
  const commands = captures.map(({ run, node }) =>
    commandBlock({ run, ...(node !== undefined && { node }) }, where, speaker),
  );
  return [...commands, { shape: "line", line: prose(speaker.say(words.readCaptures())) }];
}

function settleSection(path: Path, speaker: Speaker): Block[] {
  const { backEnds, resolution, verdict } = path;
  const capturing = captureBlocks(path, speaker);
  if (verdict !== "unclear" && !speaker.wide) return section(speaker.say(words.settle()), capturing);
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
  return section(speaker.say(words.settle()), [...blocks, ...capturing]);
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
