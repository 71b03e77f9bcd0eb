/** What a diff says to a person: what concerns something broken first, then the rest, then what could not be compared. */
import { type Language, texts } from "../../text.ts";
import type { Diff } from "../diff.ts";
import { itemOf } from "./difference.ts";
import { type Block, line, prose } from "./document.ts";
import { markdownOf } from "./markdown.ts";
import { headline, listOf, section, speakerFor, timeOf } from "./speaker.ts";
import { drawBlocks, type RenderOptions } from "./terminal.ts";

const words = texts("diff-words", {
  same: { en: "SAME", zh: "无差异" },
  differs: { en: "DIFFERS", zh: "有差异" },
  old: { en: "old", zh: "旧" },
  new: { en: "new", zh: "新" },
  twoClusters: { en: "these are two different clusters", zh: "二者并非同一集群" },
  untimed: { en: "at an unknown time", zh: "时间未知" },
  concerns: { en: "Concerns: {title}", zh: "与此有关：{title}" },
  others: { en: "Otherwise too", zh: "其他差异" },
  uncompared: { en: "Not compared: only one of the two has it", zh: "未比较：只有一方有此证据" },
  ofNodes: { en: "{what} ({nodes})", zh: "{what}（{nodes}）" },
});

type Format = (diff: Diff, options: Omit<RenderOptions, "wide">) => string;

/** By the name that `-o` takes, as those of reports. */
export const DIFF_FORMATS = {
  text: (diff, { lang, ...canvas }) => drawBlocks(diffOutline(diff, { lang, wide: false }), canvas),
  wide: (diff, { lang, ...canvas }) => drawBlocks(diffOutline(diff, { lang, wide: true }), canvas),
  json: (diff) => `${JSON.stringify(diff, undefined, 2)}\n`,
  markdown: (diff, { lang }) => markdownOf(diffOutline(diff, { lang, wide: false })),
} satisfies Record<string, Format>;

export type DiffFormatName = keyof typeof DIFF_FORMATS;

/** Lines of a difference that fit on a page: of what concerns something broken, and of the rest. */
const MOST_LINES = { concerning: 8, other: 3 };

export function diffOutline(diff: Diff, { lang, wide }: { readonly lang: Language; readonly wide: boolean }): Block[] {
  const speaker = speakerFor(lang, wide);
  const { say } = speaker;
  const { differences, rootCauses, uncompared, summary } = diff;
  const isSame = differences.length === 0;
  const when = ({ name, capturedAt }: Diff["old"]) =>
    line([name, capturedAt === undefined ? say(words.untimed()) : timeOf(capturedAt)].filter(Boolean).join(" · "));
  const others = differences.filter(({ concerns }) => concerns.length === 0);
  return [
    headline(isSame ? "good" : "doubt", isSame ? "=" : "≠", say(isSame ? words.same() : words.differs()), say(summary)),
    {
      shape: "facts",
      items: [
        { label: say(words.old()), line: when(diff.old) },
        { label: say(words.new()), line: when(diff.new) },
        ...(diff.oneCluster ? [] : [{ label: "", line: prose(say(words.twoClusters()), "doubt") }]),
      ],
    },
    ...rootCauses.flatMap(({ id, title }) =>
      section(
        say(words.concerns({ title: say(title) })),
        listOf(
          differences
            .filter(({ concerns }) => concerns[0] === id)
            .map((difference) => itemOf(difference, MOST_LINES.concerning, speaker)),
        ),
      ),
    ),
    ...section(say(words.others()), listOf(others.map((difference) => itemOf(difference, MOST_LINES.other, speaker)))),
    ...section(
      say(words.uncompared()),
      listOf(
        uncompared.map(({ what, nodes }) => ({
          line: prose(nodes.length === 0 ? say(what) : say(words.ofNodes({ what: say(what), nodes: nodes }))),
        })),
      ),
    ),
  ];
}
