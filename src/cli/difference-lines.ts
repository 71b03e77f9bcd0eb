/** Differences of objects as lines: what a role permits no longer, whom a binding names now. */
import type { ObjectDifference } from "../backup/differences.ts";
import type { Gain } from "../backup/grants.ts";
import { refId } from "../model/ref.ts";
import { line, printable } from "../report/formats/document.ts";
import { wrapLine } from "../report/formats/wrap.ts";
import { type Language, type Text, texts, verbatim } from "../text.ts";

const say = texts("difference-lines", {
  added: { en: "+ {object}", zh: "+ {object}" },
  removed: { en: "- {object}", zh: "- {object}" },
  changed: { en: "~ {object}", zh: "~ {object}" },
  gained: { en: "+ may {what}", zh: "+ 允许 {what}" },
  lost: { en: "- may {what}", zh: "- 允许 {what}" },
  bound: { en: "+ to {who}", zh: "+ 授予 {who}" },
  unbound: { en: "- to {who}", zh: "- 授予 {who}" },
  roleRef: { en: "roleRef: {before} → {after}", zh: "roleRef：{before} → {after}" },
  more: { en: "{count} more", zh: "另有 {count} 处" },
  moreItems: { en: "{items}, {count} more", zh: "{items}，另有 {count} 项" },
  asGained: { en: "what {object} permits now, as above", zh: "{object} 新增的权限（见上）" },
  asLost: { en: "what {object} permits no longer, as above", zh: "{object} 失去的权限（见上）" },
  everywhere: { en: "{subject}:", zh: "{subject}：" },
  inNamespace: { en: "{subject} in {namespace}:", zh: "{subject}（命名空间 {namespace}）：" },
});

/** Lines of one object; a role that was rewritten has hundreds. */
const MOST_LINES = 12;
const LONGEST = 160;

const cut = (words: string): string => {
  const line = printable(words.replaceAll("\n", "⏎"));
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
};

/** Permissions in one line, `list, watch: nodes, pods`: whole words, and how many more there are. */
function cutList(permissions: string): Text {
  const [head = "", ...items] = printable(permissions).split(/(?<=: )|, (?=[^:]*$)/);
  let shown = items.length;
  while (shown > 1 && (head + items.slice(0, shown).join(", ")).length > LONGEST) shown--;
  const words = verbatim(cut(head + items.slice(0, shown).join(", ")));
  return shown === items.length ? words : say.moreItems({ items: words, count: items.length - shown });
}

function partsOf({ change, gained, lost, bound, unbound, roleRef, fields }: ObjectDifference): (Text | string)[] {
  return [
    ...gained.map((what) => say.gained({ what: cutList(what) })),
    ...lost.map((what) => say.lost({ what: cutList(what) })),
    ...(roleRef ? [say.roleRef({ before: cut(roleRef.before), after: cut(roleRef.after) })] : []),
    ...bound.map((who) => say.bound({ who: cut(who) })),
    ...unbound.map((who) => say.unbound({ who: cut(who) })),
    ...(change === "changed"
      ? fields.flatMap(({ path, before, after }) => [
          ...(before === undefined ? [] : [cut(`- ${path}: ${before}`)]),
          ...(after === undefined ? [] : [cut(`+ ${path}: ${after}`)]),
        ])
      : []),
  ];
}

/** The object, and behind an indent what is otherwise in it. */
export function differenceLines(difference: ObjectDifference, lang: Language): string[] {
  const parts = partsOf(difference);
  const shown = parts.slice(0, MOST_LINES).map((part) => (typeof part === "string" ? part : part[lang]));
  const rest = parts.length - shown.length;
  return [
    say[difference.change]({ object: cut(refId(difference.object)) })[lang],
    ...[...shown, ...(rest > 0 ? [say.more({ count: rest })[lang]] : [])].map((line) => `    ${line}`),
  ];
}

/**
 * Who may do what that they may not now: everybody once, with all of it behind an indent.
 *
 * @param told objects of which the same was said before: what comes of them whole is named and not listed again
 */
export function gainLines(
  gains: readonly Gain[],
  lang: Language,
  told: readonly ObjectDifference[] = [],
  way: "gained" | "lost" = "gained",
): string[] {
  const asAbove = way === "gained" ? say.asGained : say.asLost;
  const lines = gains.flatMap(({ subject, namespace, may }) => {
    const who = cut(subject);
    const sources = told.filter(({ [way]: same }) => same.length > 0 && same.every((what) => may.includes(what)));
    const others = may.filter((what) => !sources.some(({ [way]: same }) => same.includes(what)));
    return [
      (namespace === undefined ? say.everywhere({ subject: who }) : say.inNamespace({ subject: who, namespace }))[lang],
      ...sources.map(({ object }) => `    ${asAbove({ object: cut(refId(object)) })[lang]}`),
      ...others.map((what) => `    ${cutList(what)[lang]}`),
    ].map((line) => `    ${line}`);
  });
  const rest = lines.length - 3 * MOST_LINES;
  return rest > 0 ? [...lines.slice(0, 3 * MOST_LINES), `    ${say.more({ count: rest })[lang]}`] : lines;
}

/** Breaks what is wider than the terminal, and keeps its indent. */
export function fitted(text: string, width: number): string {
  const [indent = ""] = /^ */.exec(text) ?? [];
  const hanging = `${indent}  `;
  const [first = [], ...rest] = wrapLine(
    line(text.slice(indent.length)),
    Math.max(20, width - hanging.length),
    Math.max(20, width - indent.length),
  );
  const plain = (spans: typeof first) => spans.map((span) => span.text).join("");
  return [`${indent}${plain(first)}`, ...rest.map((spans) => `${hanging}${plain(spans)}`)].join("\n");
}
