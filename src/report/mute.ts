/** Takes out of a report what its reader does not want to hear of, and judges what is left. */
import { type Text, texts } from "../text.ts";
import type { Cause, Report } from "./report.ts";

const say = texts("mute", {
  nothingElse: { en: "No root cause found but those that are ignored", zh: "除已忽略的问题外，未发现根因" },
  others: {
    en: "{count} {count:root cause|root causes} beside those that are ignored. First: {title}",
    zh: "除已忽略的问题外，共 {count} 个根因。首要：{title}",
  },
  ignored: { en: "ignored as asked: {id}", zh: "按要求忽略：{id}" },
});

/** @param ids of checks, or of root causes: `<check>/<kind>/<namespace>/<name>` */
export function muted(report: Report, ids: readonly string[]): Report {
  const isMuted = ({ id, check }: Cause) => ids.includes(id) || ids.includes(check);
  const rootCauses = report.rootCauses.filter((cause) => !isMuted(cause));
  const warnings = report.warnings.filter((cause) => !isMuted(cause));
  const taken = [...report.rootCauses, ...report.warnings].filter(isMuted);
  if (taken.length === 0) return report;
  const verdict = rootCauses.length > 0 ? "faulty" : verdictWithoutCauses(report);
  const { doubt: _, ...rest } = report;
  const doubt = verdict === "unclear" ? { doubt: doubtOf(report.unexplained) } : {};
  const notes = [...report.notes, ...taken.map(({ id }) => say.ignored({ id }))];
  return { ...rest, ...doubt, rootCauses, warnings, verdict, summary: summaryOf(report, rootCauses, verdict), notes };
}

/** Why a report is unclear. */
export const doubtOf = (unexplained: Report["unexplained"]): Report["doubt"] =>
  unexplained.length > 0 ? "failing" : "unseen";

/** What the report would say had there been no root cause: the failures that an ignored one explains stay explained. */
function verdictWithoutCauses({ unexplained, blindSpots, checks }: Report): Report["verdict"] {
  const isBlind = blindSpots.some(({ matters }) => matters.length > 0);
  const hasCrashed = checks.some(({ outcome }) => outcome === "crashed");
  return unexplained.length > 0 || isBlind || hasCrashed ? "unclear" : "healthy";
}

function summaryOf(report: Report, left: readonly Cause[], verdict: Report["verdict"]): Text {
  if (left.length === report.rootCauses.length) return report.summary;
  const [first] = left;
  if (first) return say.others({ count: left.length, title: first.title });
  return verdict === "unclear" && report.verdict === "unclear" ? report.summary : say.nothingElse();
}
