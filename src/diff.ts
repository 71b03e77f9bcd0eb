/** The third pipeline: from two captures to what is otherwise, and what of it concerns something broken. Pure. */
import { compare } from "./compare/compare.ts";
import { diagnose } from "./diagnose.ts";
import type { Capture } from "./evidence/capture.ts";
import { buildDiff } from "./report/build-diff.ts";
import type { Diff } from "./report/diff.ts";
import type { Report } from "./report/report.ts";

/** The report of the newer capture with what is otherwise in it than in the older one, as far as it concerns a cause. */
export function withBaseline(report: Report, old: Capture, now: Capture): Report {
  const diff = buildDiff({ old, now, comparison: compare(old, now), report });
  const { capturedAt } = diff.old;
  const differences = diff.differences.filter(({ concerns }) => concerns.length > 0);
  return { ...report, changes: { ...(capturedAt !== undefined && { since: capturedAt }), differences } };
}

export function diffBetween(old: Capture, now: Capture): Diff {
  return buildDiff({ old, now, comparison: compare(old, now), report: diagnose(now) });
}
