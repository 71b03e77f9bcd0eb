/** What leaves it open whether a flow is dropped: rules of which nothing recorded tells whether its packets meet them. */
import type { Missing } from "../../../evidence/catalogue.ts";
import type { PacketFilter } from "../../../model/forwarding/packet-filter.ts";
import type { Outcome } from "../../../model/netfilter/evaluate.ts";
import type { Step } from "../../../model/netfilter/when.ts";
import { POLICY_CHAINS } from "../../../model/vital-flows.ts";
import { type Text, texts } from "../../../text.ts";

const say = texts("packet-filter-drop/doubts", {
  drops: {
    en: "nothing recorded tells which packets meet the rule {rule}",
    zh: "采集到的内容无法判断哪些报文匹配规则 {rule}",
  },
  before: {
    en: "nothing recorded tells which packets meet the rule {rule}, and others are dropped ({drop})",
    zh: "采集到的内容无法判断哪些报文匹配规则 {rule}，不匹配者会被丢弃（{drop}）",
  },
});

export type InDoubt = {
  readonly because: Text;
  readonly missing: readonly Missing[];
  /** Nothing speaks for it: the rule has met no packet so far, or is made to let through what is usual. */
  readonly isUnlikely: boolean;
};

/** What a rule has counted is another number on each node, and each time. */
const wordsOf = (step: Step, filter: PacketFilter): string => filter.quote(step).quote.replace(/\[\d+:\d+\] ?/, "");

/** @param ends those of one flow, of which some are drops and some are not */
export function inDoubtOf(ends: readonly Outcome[], node: string, filter: PacketFilter): InDoubt | undefined {
  for (const { verdict, rules, reasons } of ends) {
    const by = rules.at(-1);
    if ((verdict.is !== "drop" && verdict.is !== "reject") || !by) continue;
    if (rules.some(({ chain }) => POLICY_CHAINS.test(chain))) return undefined;
    const open = reasons.flatMap((reason) => (reason.about === "rule" ? [reason] : []));
    const doubted = open.find(({ step }) => step === by) ?? open.at(-1);
    if (!doubted) continue;
    const { step, holds, doubts } = doubted;
    const isSets = doubts.some(({ condition }) => condition.is === "set");
    const rule = wordsOf(step, filter);
    return {
      because: holds && step === by ? say.drops({ rule }) : say.before({ rule, drop: wordsOf(by, filter) }),
      missing: isSets ? [{ kind: "ipset", place: { node } }] : [],
      isUnlikely: doubts.every(({ doubt }) => doubt === "history") || filter.countOf(by) === 0,
    };
  }
  return undefined;
}
