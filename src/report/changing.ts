/**
 * Causes that may be no more than a cluster caught in the middle of a change.
 *
 * Where a cause rests on state that differs from what an agent would write, the two sides were read some time apart: the
 * agent may have written in between. It counts once two readings, some seconds apart, both show it.
 */
import { isText, type Text, type TextArg, texts } from "../text.ts";
import type { Report } from "./report.ts";

const say = texts("changing", {
  note: {
    en: "seen in one of two readings only, so it is changing: {title}",
    zh: "两次读取中仅出现一次，说明状态正在变化：{title}",
  },
  summary: {
    en: "Cannot tell: the state was changing while it was read; ask again",
    zh: "无法判断：读取期间状态正在变化，请稍后重试",
  },
});

const mentions = (said: TextArg, id: string): boolean =>
  isText(said) && (said.id === id || Object.values(said.args).some((arg) => mentions(arg, id)));

/** The root causes that rest on a difference and nothing else. */
export function differing({ rootCauses }: Report): readonly string[] {
  return rootCauses.filter(({ because }) => mentions(because, "confidence/differing")).map(({ id }) => id);
}

/** A report without causes that were seen once: where they were all that there was, nothing can be told. */
export function withoutChanging(report: Report, ids: readonly string[]): Report {
  const taken = report.rootCauses.filter(({ id }) => ids.includes(id));
  if (taken.length === 0) return report;
  const rootCauses = report.rootCauses.filter((cause) => !taken.includes(cause));
  const notes: Text[] = [...report.notes, ...taken.map(({ title }) => say.note({ title }))];
  return rootCauses.length > 0
    ? { ...report, rootCauses, notes }
    : { ...report, rootCauses, notes, verdict: "unclear", doubt: "unseen", summary: say.summary() };
}
