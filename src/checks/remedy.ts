/** Remedies as data: what to do about a fault, how risky it is, how to take it back and how to see that it worked. */
import type { Change } from "../model/change.ts";
import type { Text } from "../text.ts";

/** A command for a person (or, later, an agent) to run; on a node where `node` is named. */
export type NodeCommand = { readonly run: string; readonly node?: string };

export type Step = {
  readonly why: Text;
  readonly change: Change | NodeCommand;
  /** What must hold before it is done. */
  readonly precondition?: Text;
  /** How to take it back. */
  readonly undo: Change | NodeCommand | Text;
  /** The command that shows that it worked. */
  readonly verify: string;
};

export type Remedy = {
  readonly id: string;
  readonly risk: "none" | "low" | "medium" | "high";
  /** What stops working while it is done. */
  readonly interrupts: Text;
  /** Where restored objects come from. */
  readonly source?: "helm" | "bootstrap" | "backup" | "baseline";
  readonly steps: readonly Step[];
  /** How to keep it from happening again. */
  readonly prevent: readonly Text[];
  /** Known errors of common runbooks that this advice avoids (X1–X25). */
  readonly errata?: readonly string[];
};

export function isNodeCommand(change: Change | NodeCommand): change is NodeCommand {
  return "run" in change;
}
