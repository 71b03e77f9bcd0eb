/**
 * Trouble with the run itself (no such bundle, wrong usage), as opposed to trouble in the cluster, which is data.
 * Thrown where it is known, printed once, in cli/.
 */
export type DiagnosisErrorCode = "usage" | "no-evidence" | "unreadable-evidence" | "unknown-name";

export class DiagnosisError extends Error {
  readonly code: DiagnosisErrorCode;
  /** What to try. */
  readonly hint: string;

  constructor(code: DiagnosisErrorCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "DiagnosisError";
    this.code = code;
    this.hint = hint;
  }
}
