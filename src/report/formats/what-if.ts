/** What a what-if answer says to a person: what would break and why, what goes, what cannot be told. */
import { fewOf, type Language, texts } from "../../text.ts";
import type { Cause } from "../report.ts";
import type { WhatIf } from "../what-if.ts";
import { type Block, line, prose } from "./document.ts";
import { junitOf } from "./junit.ts";
import { markdownOf } from "./markdown.ts";
import { chainSection, fixSections, quoteBlocks } from "./outline-cause.ts";
import { sarifOf } from "./sarif.ts";
import { commandBlock, headline, listOf, refId, type Speaker, section, speakerFor, timeOf } from "./speaker.ts";
import { drawBlocks, type RenderOptions } from "./terminal.ts";
import { dumpYaml } from "./yaml.ts";

const words = texts("what-if-words", {
  breaks: { en: "BREAKS", zh: "会造成故障" },
  repairs: { en: "REPAIRS", zh: "会修复" },
  unclear: { en: "UNCLEAR", zh: "无法判断" },
  harmless: { en: "HARMLESS", zh: "无影响" },
  nothing: { en: "NOTHING", zh: "无变化" },
  wouldBreak: { en: "WOULD BREAK {index} OF {count}", zh: "会造成的故障 {index}/{count}" },
  wouldBreakOne: { en: "WOULD BREAK", zh: "会造成的故障" },
  because: { en: "For want of", zh: "因为失去" },
  felt: { en: "Felt", zh: "何时显现" },
  later: {
    en: "not at once: at the next restart or change",
    zh: "不会立即显现：下次重启或变更时发作",
  },
  atOnce: { en: "at once", zh: "立即" },
  taken: { en: "What goes", zh: "会被删除的对象" },
  takenCount: { en: "{count} {count:object|objects}", zh: "共 {count} 个" },
  others: {
    en: "{count} {count:object|objects} of no known use to the network: {names}",
    zh: "{count} 个未见与网络有关的对象：{names}",
  },
  withReason: { en: "{object}, which {reason}", zh: "{object}（{reason}）" },
  isCause: { en: "{object}: breaks the network, see above", zh: "{object}：会破坏网络，见上" },
  losesAll: { en: "{object}: {subject} keeps no permission of its own", zh: "{object}：{subject} 将失去全部自有权限" },
  losesSome: { en: "{object}: {subject} loses permissions", zh: "{object}：{subject} 将失去部分权限" },
  runs: { en: "{says}; {workloads} {count:runs|run} as it", zh: "{says}；以其身份运行的有 {workloads}" },
  atApiStart: {
    en: "{says}; the API server makes it again when it starts next",
    zh: "{says}；API Server 下次启动时会重建它",
  },
  byController: { en: "{object}: its controller makes it again at once", zh: "{object}：其控制器会立即重建" },
  immortal: { en: "{object}: the API server refuses to delete it", zh: "{object}：API Server 会拒绝删除" },
  plain: { en: "{object}", zh: "{object}" },
  notFound: { en: "Named, and not there", zh: "已指定但不存在" },
  repaired: { en: "What would be repaired", zh: "会被修复的故障" },
  remains: { en: "Broken with and without", zh: "无论如何都存在的故障" },
  cannotTell: { en: "What cannot be told", zh: "无法判断之处" },
  wayBack: { en: "The way back", zh: "回退方法" },
});

type Format = (answer: WhatIf, options: Omit<RenderOptions, "wide">) => string;

/** By the name that `-o` takes, as those of reports. */
export const WHAT_IF_FORMATS = {
  text: (answer, { lang, ...canvas }) => drawBlocks(whatIfOutline(answer, { lang, wide: false }), canvas),
  wide: (answer, { lang, ...canvas }) => drawBlocks(whatIfOutline(answer, { lang, wide: true }), canvas),
  json: (answer) => `${JSON.stringify(answer, undefined, 2)}\n`,
  yaml: (answer) => dumpYaml(answer),
  markdown: (answer, { lang }) => markdownOf(whatIfOutline(answer, { lang, wide: false })),
  // a change that is not made yet is to be refused, whether it would be felt at once or later
  sarif: ({ tool, breaks }, { lang }) =>
    sarifOf({ tool, causes: breaks.map((cause) => ({ ...cause, latent: false })), warnings: [] }, lang),
  junit: ({ breaks, summary, verdict }, { lang }) =>
    junitOf({ name: "what-if", causes: breaks, unclear: verdict === "unclear" ? summary : undefined }, lang),
} satisfies Record<string, Format>;

export type WhatIfFormatName = keyof typeof WHAT_IF_FORMATS;

const VERDICTS = {
  breaks: ["bad", "✗", words.breaks()],
  unclear: ["doubt", "?", words.unclear()],
  repairs: ["good", "✓", words.repairs()],
  harmless: ["good", "✓", words.harmless()],
  nothing: ["good", "✓", words.nothing()],
} as const;

/** Objects without any known use that are named on a page. */
const MOST_OTHERS = 8;

export function whatIfOutline(
  answer: WhatIf,
  { lang, wide }: { readonly lang: Language; readonly wide: boolean },
): Block[] {
  const speaker = speakerFor(lang, wide);
  const { say } = speaker;
  const [tone, mark, label] = VERDICTS[answer.verdict];
  const { breaks, repairs, remains, notFound, unclear } = answer;
  return [
    headline(tone, mark, say(label), say(answer.summary)),
    ...breaks.flatMap((cause, index) => breakBlocks(cause, index, breaks.length, speaker)),
    ...takenSection(answer, speaker),
    ...section(say(words.notFound()), listOf(notFound.map((one) => ({ line: line(refId(one)) })))),
    ...section(say(words.repaired()), listOf(repairs.map(({ title }) => ({ line: prose(say(title)) })))),
    ...section(say(words.remains()), listOf(remains.map(({ title }) => ({ line: prose(say(title)) })))),
    ...section(
      say(words.cannotTell()),
      unclear.flatMap(({ what, settle }): Block[] => [
        { shape: "line", line: prose(say(what)) },
        ...settle.slice(0, 1).map((command) => commandBlock(command, { there: () => what }, speaker)),
      ]),
    ),
    ...basis(answer),
  ];
}

function basis({ cluster: { name, version, capturedAt } }: WhatIf): Block[] {
  const parts = [name, version, capturedAt && timeOf(capturedAt)].filter(Boolean);
  return parts.length === 0 ? [] : [{ shape: "line", line: line(parts.join(" · "), "faint") }];
}

function breakBlocks(cause: Cause, index: number, count: number, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const label = count === 1 ? words.wouldBreakOne() : words.wouldBreak({ index: index + 1, count });
  return [
    headline("bad", "✗", say(label), say(cause.title)),
    {
      shape: "facts",
      items: [
        { label: say(words.because()), line: line(refId(cause.object), "strong") },
        { label: say(words.felt()), line: prose(say(cause.latent ? words.later() : words.atOnce())) },
      ],
    },
    ...chainSection(cause, speaker),
    ...(wide
      ? [...quoteBlocks(cause.evidence, speaker), ...section(say(words.wayBack()), fixSections(cause, speaker))]
      : []),
  ];
}

type Taken = WhatIf["taken"][number];

function takenSection({ taken }: WhatIf, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  if (taken.length === 0) return [];
  const isTold = ({ roots, loses, returns }: Taken) => roots.length > 0 || loses.length > 0 || returns === "immortal";
  const told = wide ? taken : taken.filter(isTold);
  const others = wide ? [] : taken.filter((one) => !isTold(one));
  const names = others.map(({ object }) => refId(object));
  const items = [
    ...[...told].sort((a, b) => b.roots.length - a.roots.length).flatMap((one) => sentencesOf(one, speaker)),
    ...(others.length > 0 ? [say(words.others({ count: others.length, names: fewOf(names, MOST_OTHERS) }))] : []),
  ];
  return section(
    say(words.taken()),
    listOf(items.map((text) => ({ line: prose(text) }))),
    say(words.takenCount({ count: taken.length })),
  );
}

function sentencesOf({ object, says, returns, loses, roots }: Taken, { say, comma }: Speaker): string[] {
  const named = says ? say(words.withReason({ object: refId(object), reason: says })) : refId(object);
  if (returns === "immortal") return [say(words.immortal({ object: named }))];
  if (returns === "by-controller") return [say(words.byController({ object: named }))];
  const sentences = loses.map(({ subject, all, runs }) => {
    const text = say((all ? words.losesAll : words.losesSome)({ object: named, subject: refId(subject) }));
    if (runs.length === 0) return text;
    return say(words.runs({ says: text, workloads: runs.map(refId).join(comma), count: runs.length }));
  });
  if (sentences.length === 0) sentences.push(say((roots.length > 0 ? words.isCause : words.plain)({ object: named })));
  return returns === undefined ? sentences : sentences.map((text) => say(words.atApiStart({ says: text })));
}
