/** Remedies as data: what to do about a fault, how risky it is, how to take it back and how to see that it worked. */
import type { Change } from "../model/changes/change.ts";
import type { DnsForward } from "../model/dns/dns.ts";
import { kubectlName, type Ref } from "../model/ref.ts";
import type { Command } from "../shell.ts";
import type { Text } from "../text.ts";

export type Step = {
  readonly why: Text;
  /** Missing where a person must decide, or act outside the cluster. */
  readonly change?: Change | Command;
  /** What must hold before it is done. */
  readonly precondition?: Text;
  /** How to take it back; missing where nothing is changed. */
  readonly undo?: Change | Command | Text;
  /** The command that shows that it worked. */
  readonly verify: Command;
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

export function isCommand(change: Change | Command): change is Command {
  return "run" in change;
}

/** Shows that the Pods of a workload are as it says, and ready; of a Pod, that it is ready. */
export function rolledOut(workload: Ref): Command {
  const name = kubectlName(workload);
  const run =
    workload.kind === "Pod"
      ? `kubectl wait --for=condition=Ready --timeout=2m ${name}`
      : `kubectl rollout status ${name}`;
  return { run };
}

type LineOfText = { readonly config: Ref; readonly key: string; readonly text: string; readonly line: number };

/** Changes one line of a text that a ConfigMap holds, or takes it back. */
export function lineChanged({ config, key, text, line }: LineOfText, words: (before: string) => string) {
  const lines = text.split("\n");
  const after = lines.with(line - 1, words(lines[line - 1] ?? "")).join("\n");
  const holding = (value: string) => ({ do: "patch", target: config, patch: { data: { [key]: value } } }) as const;
  return { change: holding(after), undo: holding(text) };
}

/** Lets CoreDNS forward to the servers that its nodes ask. */
export function forwardedToNodes(config: Ref, { line, to, server }: DnsForward) {
  const text = server.map?.data?.Corefile ?? "";
  return lineChanged({ config, key: "Corefile", text, line }, (before) =>
    before.replace(to.join(" "), "/etc/resolv.conf"),
  );
}
