/** What could not be seen, in words: what it hides, why, and what would show it. */
import type { BlindSpot } from "../cause/explain.ts";
import type { Capture } from "../evidence/capture.ts";
import { catalogue } from "../evidence/catalogue.ts";
import { type Blindness, isCutOff, isWhole } from "../evidence/observed.ts";
import { CAPABILITIES } from "../model/capability.ts";
import { type Text, texts } from "../text.ts";
import { list, phrase } from "./phrases.ts";
import type { Report } from "./report.ts";
import { settleFor } from "./settle.ts";

const say = texts("blind-spots", {
  notCollected: { en: "it was not collected", zh: "未采集" },
  failed: { en: "it could not be had: {message}", zh: "采集失败：{message}" },
  forbidden: { en: "it may not be read: {message}", zh: "无权读取：{message}" },
  cutOff: { en: "it is cut off", zh: "内容被截断" },
  unreadable: { en: "it cannot be read: {message}", zh: "无法读取：{message}" },
  tooLarge: { en: "it is too large: {message}", zh: "体积过大：{message}" },
  whether: { en: "whether {what}", zh: "“{what}”是否成立" },
  inDoubt: { en: "{reason}; left in doubt: {what}", zh: "{reason}；因此无法确认：{what}" },
  partial: { en: "it is incomplete: {message}", zh: "不完整：{message}" },
  ofNodes: { en: "{what} ({nodes})", zh: "{what}({nodes})" },
});

const distinct = (parts: readonly Text[]) => [...new Map(parts.map((part) => [part.en, part])).values()];

export function whyBlind(why: Blindness): Text {
  switch (why.reason) {
    case "not-collected":
      return say.notCollected();
    case "failed":
      return say.failed({ message: why.message });
    case "forbidden":
      return say.forbidden({ message: why.message });
    case "cut-off":
      return say.cutOff();
    case "unreadable":
      return say.unreadable({ message: why.message });
    case "too-large":
      return say.tooLarge({ message: why.message });
  }
}

const MOST_REASONS = 3;

export function blindSpotOf(spot: BlindSpot, capture: Capture): Report["blindSpots"][number] {
  const missing = spot.missing.filter(({ kind, place }) => !isWhole(capture.get(kind, place ?? {})));
  const kinds = [...new Set(missing.map(({ kind }) => kind))];
  const places =
    missing.length > 0 ? missing.map(({ place }) => place?.node) : spot.capabilities.map(({ node }) => node);
  const nodes = [...new Set(places.flatMap((node) => node ?? []))].sort();
  const doubted = distinct(spot.capabilities.map(({ name }) => phrase(CAPABILITIES[name])));
  const what =
    kinds.length > 0 ? list(kinds.map((kind) => phrase(catalogue[kind].hides))) : say.whether({ what: list(doubted) });
  const reasons = missing.map(({ kind, place }) => {
    const observed = capture.get(kind, place ?? {});
    if (observed.state === "unknown") return whyBlind(observed.why);
    if (observed.state === "absent" || observed.gaps.length === 0) return say.notCollected();
    return isCutOff(observed) ? say.cutOff() : say.partial({ message: observed.gaps[0]!.what });
  });
  const reason =
    spot.because ?? (reasons.length > 0 ? list(distinct(reasons).slice(0, MOST_REASONS)) : say.notCollected());
  return {
    what: nodes.length > 0 ? say.ofNodes({ what, nodes: nodes }) : what,
    why: kinds.length > 0 && doubted.length > 0 ? say.inDoubt({ reason, what: list(doubted) }) : reason,
    matters: [...spot.roots, ...(spot.matters ? [...new Set(spot.capabilities.map(({ name }) => name))] : [])],
    settle: settleFor(missing),
  };
}
