/**
 * Trouble with the run itself (no such bundle, wrong usage), as opposed to trouble in the cluster, which is data.
 * Thrown where it is known, printed once, in cli/.
 */
import type { Text } from "./text.ts";

export type DiagnosisErrorCode = "usage" | "no-evidence" | "unreadable-evidence" | "unknown-name";

export class DiagnosisError extends Error {
  readonly code: DiagnosisErrorCode;
  /** What happened, to what. */
  readonly says: Text;
  /** What to try. */
  readonly hint: Text;

  constructor(code: DiagnosisErrorCode, says: Text, hint: Text, cause?: unknown) {
    super(says.en, cause === undefined ? undefined : { cause });
    this.name = "DiagnosisError";
    this.code = code;
    this.says = says;
    this.hint = hint;
  }
}
