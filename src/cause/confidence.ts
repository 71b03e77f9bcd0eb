/**
 * How sure a root cause is: one of three words, and why.
 *
 * *certain* needs something that was seen (not only heard or inferred), nothing unseen below it, and no observation
 * against it. Each thing that was not seen, and successes where it should have failed, take a word away.
 */
import type { CannotTell } from "../checks/check.ts";
import type { Observation } from "../model/observations.ts";
import { joinTexts, type Text, texts, verbatim } from "../text.ts";
import type { Effect } from "./effect.ts";
import { type Root, strengthRank } from "./roots.ts";

export type Confidence = "certain" | "likely" | "possible";

const say = texts("confidence", {
  direct: { en: "seen directly", zh: "直接观测到" },
  differing: { en: "the state differs from what its agent would write", zh: "实际状态与组件应写入的状态不一致" },
  traced: {
    en: "packets were seen to leave one end and not to arrive at the other",
    zh: "观测到报文离开一端而未到达另一端",
  },
  heard: { en: "known from logs only", zh: "仅由日志得知" },
  inferred: { en: "everything else that the failures need was seen to work", zh: "故障所依赖的其他环节均已确认正常" },
  explains: {
    en: "it accounts for {count} failed {count:test|tests}",
    zh: "可解释 {count} 项失败的探测",
  },
  agrees: {
    en: "the packets of {count} of them end there, walked through the nodes' rules and routes",
    zh: "按节点的规则与路由逐跳推演，其中 {count} 项的报文正是止于此处",
  },
  unseen: {
    en: "{count} {count:thing|things} below it {count:was|were} not seen",
    zh: "其下有 {count} 个环节未能观测",
  },
  against: {
    en: "{count} {count:test|tests} succeeded where {count:it|they} should have failed",
    zh: "有 {count} 项探测本应失败却成功",
  },
});

export function confidenceOf({
  root,
  owned,
  refutedBy,
  unseenBelow,
  agreed,
}: {
  readonly root: Root;
  readonly owned: readonly { readonly observation: Observation; readonly effect: Effect }[];
  readonly refutedBy: readonly Observation[];
  readonly unseenBelow: readonly CannotTell[];
  /** Of the failed tests those whose walk ends at it. */
  readonly agreed: number;
}): { readonly confidence: Confidence; readonly because: Text } {
  const strongest = [...root.faults].sort((a, b) => strengthRank(a.strength) - strengthRank(b.strength))[0]!.strength;
  const failed = owned.filter(({ observation }) => observation.how === "measured").length;
  const doubts =
    (strengthRank(strongest) >= strengthRank("heard") && agreed === 0 ? 1 : 0) +
    Math.min(unseenBelow.length, 2) +
    (refutedBy.length > 0 ? 1 : 0);
  const reasons = [
    say[strongest](),
    ...(failed > 0 ? [say.explains({ count: failed })] : []),
    ...(agreed > 0 ? [say.agrees({ count: agreed })] : []),
    ...(unseenBelow.length > 0 ? [say.unseen({ count: unseenBelow.length })] : []),
    ...(refutedBy.length > 0 ? [say.against({ count: refutedBy.length })] : []),
  ];
  return {
    confidence: doubts === 0 ? "certain" : doubts === 1 ? "likely" : "possible",
    because: reasons.length === 0 ? verbatim("") : joinTexts(reasons, { en: "; ", zh: "；" }),
  };
}
