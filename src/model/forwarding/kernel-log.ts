/** What the kernel of a node said, and how long ago. */
import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "./plane.ts";

export type KernelSaying = {
  readonly message: string;
  /** Seconds before the capture; undefined if the line or the node does not tell the time since boot. */
  readonly age: number | undefined;
  readonly evidence: Evidence;
};

/** The lines of a node's kernel log that match, the oldest first. */
export function kernelSaid({ kernelLog, uptime }: NodePlane, pattern: RegExp): readonly KernelSaying[] {
  const up = known(uptime);
  return (known(kernelLog) ?? [])
    .filter(({ message }) => pattern.test(message))
    .map(({ line, sinceBoot, message }) => ({
      message,
      age: up === undefined || sinceBoot === undefined ? undefined : Math.max(0, up - sinceBoot),
      evidence: quoteOf({ ...kernelLog.origin, line }, `[${sinceBoot ?? "?"}] ${message}`),
    }));
}
