/** What a check of permissions says to a person: what lacks something first, each with what follows and who repairs it. */
import { type Language, texts } from "../../text.ts";
import type { RbacCheck } from "../rbac-check.ts";
import { type Block, line, prose, type Tone } from "./document.ts";
import { markdownOf } from "./markdown.ts";
import { headline, listOf, section, speakerFor } from "./speaker.ts";
import { drawBlocks, type RenderOptions } from "./terminal.ts";

const words = texts("rbac-check-words", {
  healthy: { en: "GRANTED", zh: "权限齐全" },
  faulty: { en: "LACKING", zh: "缺少权限" },
  unclear: { en: "UNCLEAR", zh: "无法判断" },
  account: { en: "ServiceAccount", zh: "ServiceAccount" },
  compared: { en: "Compared with", zh: "对照基线" },
  exact: { en: "the baseline {variants}, which {release} is of", zh: "基线 {variants}（适用于 {release}）" },
  described: { en: "{variants}, which describes it", zh: "描述该组件的 {variants}" },
  between: {
    en: "what {variants} have in common: {release} lies between them",
    zh: "{variants} 的共同部分：{release} 介于其间",
  },
  guessed: {
    en: "what all known releases have in common ({variants}): {release} is none of them",
    zh: "所有已知版本的共同部分（{variants}）：{release} 不在其中",
  },
  someRelease: { en: "its release", zh: "该版本" },
  lacks: { en: "it may not {what}", zh: "无权 {what}" },
  more: { en: "{count} more", zh: "另有 {count} 项" },
  madeByServer: { en: "kube-apiserver makes it again when it starts", zh: "kube-apiserver 启动时会重新创建" },
  madeByOperator: { en: "its operator makes it again", zh: "其 Operator 会重新创建" },
  madeByNobody: { en: "nothing makes it again by itself", zh: "不会自动恢复" },
  wider: { en: "wider than it needs: {role} also allows {what}", zh: "超出所需：{role} 还允许 {what}" },
  missing: { en: "it cannot be told without: {lists}", zh: "缺少以下证据，无法判断：{lists}" },
  forbidden: { en: "it is refused for want of permission (403)", zh: "因缺少权限被拒绝（403）" },
  unauthorized: {
    en: "its token is not accepted (401): that is no matter of permissions",
    zh: "令牌未被接受（401）：与权限无关",
  },
  next: {
    en: "`netwhy rbac recover` prints what is missing, for `kubectl apply -f -`; `netwhy diagnose` tells what has come of it",
    zh: "`netwhy rbac recover` 输出缺失对象的清单，可接 `kubectl apply -f -`；`netwhy diagnose` 说明已造成的影响",
  },
  complete: { en: "Nothing is lacking", zh: "权限齐全的组件" },
});

type Format = (check: RbacCheck, options: Omit<RenderOptions, "wide">) => string;

/** By the name that `-o` takes, as those of reports. */
export const RBAC_CHECK_FORMATS = {
  text: (check, { lang, ...canvas }) => drawBlocks(rbacCheckOutline(check, { lang, wide: false }), canvas),
  wide: (check, { lang, ...canvas }) => drawBlocks(rbacCheckOutline(check, { lang, wide: true }), canvas),
  json: (check) => `${JSON.stringify(check, undefined, 2)}\n`,
  markdown: (check, { lang }) => markdownOf(rbacCheckOutline(check, { lang, wide: false })),
} satisfies Record<string, Format>;

export type RbacCheckFormatName = keyof typeof RBAC_CHECK_FORMATS;

const MOST_LINES = 4;
const TONES: Readonly<Record<RbacCheck["verdict"], readonly ["good" | "bad" | "doubt", string]>> = {
  healthy: ["good", "✓"],
  faulty: ["bad", "✗"],
  unclear: ["doubt", "?"],
};

type Component = RbacCheck["components"][number];

export function rbacCheckOutline(
  { verdict, summary, components }: RbacCheck,
  { lang, wide }: { readonly lang: Language; readonly wide: boolean },
): Block[] {
  const { say } = speakerFor(lang, wide);
  const between = { en: ", ", zh: "、" }[lang];
  const some = (all: readonly string[]) =>
    wide || all.length <= MOST_LINES
      ? all.join(between)
      : [...all.slice(0, MOST_LINES - 1), say(words.more({ count: all.length - MOST_LINES + 1 }))].join(between);

  function comparedWith({ fit, comparedWith: variants, release }: Component): string {
    const args = { variants: some(variants), release: release ?? words.someRelease() };
    if (fit === "exact") return say(words.exact(args));
    if (fit === "described") return say(words.described(args));
    return say(fit === "between" ? words.between(args) : words.guessed(args));
  }

  function flawItem({ severity, says, lacks, consequences, madeAgainBy }: Component["flaws"][number]) {
    const made = {
      "kube-apiserver": words.madeByServer(),
      operator: words.madeByOperator(),
      nobody: words.madeByNobody(),
    }[madeAgainBy];
    const follows = consequences.slice(0, wide ? consequences.length : 2).map((one) => say(one));
    const parts = [
      say(says),
      ...follows,
      ...(lacks.length > 0 ? [say(words.lacks({ what: some(lacks) }))] : []),
      say(made),
    ];
    return {
      mark: severity === "fault" ? "✗" : "!",
      tone: (severity === "fault" ? "bad" : "doubt") as Tone,
      line: prose(parts.join({ en: "; ", zh: "；" }[lang])),
    };
  }

  function blocksOf(component: Component): Block[] {
    const { account, flaws, wider, missing, refused } = component;
    const notes = [
      ...(missing.length > 0 ? [say(words.missing({ lists: missing.join(between) }))] : []),
      ...wider.map(({ role, allows }) => say(words.wider({ role: `${role.kind}/${role.name}`, what: some(allows) }))),
    ];
    const told = [
      ...(refused.forbidden ? [{ line: prose(say(words.forbidden())), quotes: quoted(refused.forbidden) }] : []),
      ...(refused.unauthorized
        ? [{ line: prose(say(words.unauthorized())), quotes: quoted(refused.unauthorized) }]
        : []),
    ];
    return [
      {
        shape: "facts",
        items: [
          ...(account === undefined ? [] : [{ label: say(words.account()), line: line(account) }]),
          { label: say(words.compared()), line: line(comparedWith(component)) },
        ],
      },
      ...(flaws.length > 0 ? [{ shape: "marks" as const, items: flaws.map(flawItem) }] : []),
      ...listOf([...told, ...notes.map((note) => ({ line: prose(note) }))]),
    ];
  }

  const isWorthTelling = ({ flaws, wider, missing, refused }: Component) =>
    flaws.length + wider.length + missing.length > 0 ||
    refused.forbidden !== undefined ||
    refused.unauthorized !== undefined;
  const [tone, mark] = TONES[verdict];
  const quiet = components.filter((component) => !isWorthTelling(component));
  return [
    headline(tone, mark, say(words[verdict]()), say(summary)),
    ...components.filter(isWorthTelling).flatMap((component) => section(component.name, blocksOf(component))),
    ...(verdict === "faulty" ? [{ shape: "line" as const, line: prose(say(words.next()), "faint") }] : []),
    ...section(
      say(words.complete()),
      quiet.length === 0
        ? []
        : [{ shape: "facts", items: quiet.map((one) => ({ label: one.name, line: line(comparedWith(one)) })) }],
    ),
  ];
}

const quoted = ({ quote, origin }: NonNullable<Component["refused"]["forbidden"]>) => [
  { words: quote, where: [origin.line === undefined ? origin.path : `${origin.path}:${origin.line}`] },
];
