/** Exit codes: the verdict, or what kept us from one. They are for ever. */
import type { DiagnosisErrorCode } from "../errors.ts";
import type { Report } from "../report/report.ts";

export const EXIT = { healthy: 0, faulty: 1, unclear: 2, usage: 3, noEvidence: 4, internal: 5 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** @param strict warnings count as faults */
export function exitCodeOf({ verdict, warnings }: Report, { strict }: { readonly strict: boolean }): ExitCode {
  if (verdict === "healthy" && strict && warnings.length > 0) return EXIT.faulty;
  return EXIT[verdict];
}

export const ERROR_EXIT: Record<DiagnosisErrorCode, ExitCode> = {
  usage: EXIT.usage,
  "unknown-name": EXIT.usage,
  "no-evidence": EXIT.noEvidence,
  "unreadable-evidence": EXIT.noEvidence,
};
