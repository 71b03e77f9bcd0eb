/** A change, and any other command of a report, as what a person types: exactly, and safe to paste into a shell. */
import { COLLECTION_STYLE, type Document, dump, SCALAR_STYLE, visit } from "js-yaml";
import { kubectlName } from "../../model/ref.ts";
import { type Command, shellWord } from "../../shell.ts";
import type { Cause } from "../report.ts";

type StepChange = NonNullable<Cause["remedies"][number]["steps"][number]["change"]>;
type Change = Exclude<StepChange, { run: string }>;
type Ref = Cause["object"];

/** Lists of words on one line, texts of several lines as texts: as people write manifests. */
function asPeopleWrite(documents: Document[]): void {
  visit(documents, (node) => {
    if (node.kind === "sequence" && node.items.every(({ kind }) => kind === "scalar"))
      node.style = COLLECTION_STYLE.FLOW;
    if (node.kind === "scalar" && node.value.includes("\n")) node.style = SCALAR_STYLE.LITERAL_BLOCK;
  });
}

/** The object as YAML; strings are quoted, so that no reader of YAML takes `on` or `1e3` for something else. */
export function manifestYaml(object: Readonly<Record<string, unknown>>): string {
  const style = { forceQuotes: true, quoteStyle: "double", seqNoIndent: true, lineWidth: -1, noRefs: true } as const;
  return dump(object, { ...style, transform: asPeopleWrite }).trimEnd();
}

/** A command that reads objects from what follows it. */
function hereDocument(command: string, ...objects: readonly Readonly<Record<string, unknown>>[]): string {
  const yaml = objects.map(manifestYaml).join("\n---\n");
  const lines = new Set(yaml.split("\n"));
  let end = "EOF";
  while (lines.has(end)) end += "_";
  return `${command} <<'${end}'\n${yaml}\n${end}`;
}

/** What is longer is read more easily as YAML. */
const LONG = 160;

/** Pods of a workload on one node: the workload's name, then what its controller appends. */
const POD_SUFFIX: Readonly<Record<string, string>> = {
  DaemonSet: "-[a-z0-9]{5}",
  Deployment: "-[a-z0-9]+-[a-z0-9]{5}",
  StatefulSet: "-[0-9]+",
  ReplicaSet: "-[a-z0-9]{5}",
};

function restarted(component: Ref, node: string | undefined): string {
  const { kind, name, namespace = "default" } = component;
  if (kind === "Pod") return `kubectl delete ${kubectlName(component)}`;
  if (node === undefined) return `kubectl rollout restart ${kubectlName(component)}`;
  const pods = shellWord(`^pod/${name.replace(/[.\\+*?[\](){}^$|]/g, "\\$&")}${POD_SUFFIX[kind] ?? "-.*"}$`);
  const where = `-n ${shellWord(namespace)}`;
  const field = shellWord(`spec.nodeName=${node}`);
  return `kubectl get pods ${where} --field-selector ${field} -o name | grep -E ${pods} | xargs kubectl delete ${where}`;
}

/** Makes objects, or makes them what is said here. */
export const applied = (objects: readonly Readonly<Record<string, unknown>>[]): string =>
  hereDocument("kubectl apply -f -", ...objects);

function changed(change: Change): Command {
  switch (change.do) {
    case "apply":
      return { run: hereDocument("kubectl apply -f -", change.object) };
    case "patch": {
      const command = `kubectl patch ${kubectlName(change.target)} --type=merge`;
      const json = JSON.stringify(change.patch);
      if (json.length <= LONG) return { run: `${command} -p ${shellWord(json)}` };
      return { run: hereDocument(`${command} --patch-file=/dev/stdin`, change.patch) };
    }
    case "delete":
      return { run: `kubectl delete ${kubectlName(change.target)}` };
    case "scale":
      return { run: `kubectl scale ${kubectlName(change.target)} --replicas=${change.replicas}` };
    case "restart":
      return { run: restarted(change.component, change.node) };
    case "sysctl": {
      const { node, key, value } = change;
      const file = shellWord(`/etc/sysctl.d/99-${key.replaceAll("/", ".")}.conf`);
      return {
        node,
        run: `sysctl -w ${shellWord(`${key}=${value}`)} && echo ${shellWord(`${key} = ${value}`)} > ${file}`,
      };
    }
  }
}

/** What a person types to make a change. */
export function commandOf(change: StepChange): Command {
  if (!("run" in change)) return changed(change as Change);
  const { run, node } = change as { run: string; node?: string | undefined };
  return node === undefined ? { run } : { run, node };
}

/**
 * Breaks a long command the shell's way: after `;`, and with ` \` at the end of the line before `|` and `&&` if there are
 * any, else between words, an option staying with its value.
 *
 * @returns lines, most of them within `width`: what is inside quotes or a substitution is never broken
 */
export function brokenCommand(run: string, width: number): string[] {
  if (run.includes("\n") || run.length <= width) return run.split("\n");
  const lines: string[] = [];
  for (const stage of stagesOf(shellWords(run))) {
    let current = "";
    for (const unit of unitsOf(stage)) {
      const isFirst = current === "" && (lines.at(-1)?.endsWith(";") ?? true);
      const indent = isFirst ? "" : "  ";
      if (current !== "" && current.length + 1 + unit.length <= width - 2) {
        current += ` ${unit}`;
      } else {
        if (current !== "") lines.push(current);
        current = indent + unit;
      }
    }
    lines.push(current);
  }
  return lines.map((text, index) => (index < lines.length - 1 && !text.endsWith(";") ? `${text} \\` : text));
}

/** The commands of a pipeline or a sequence, each with the operator before it. */
function stagesOf(words: readonly string[]): string[][] {
  const stages: string[][] = [[]];
  for (const word of words) {
    if (word === "|" || word === "&&" || word === "||" || stages.at(-1)!.at(-1)?.endsWith(";")) stages.push([word]);
    else stages.at(-1)!.push(word);
  }
  return stages;
}

/** Words that belong on one line: an operator with its command, an option or a redirection with its value. */
function unitsOf(words: readonly string[]): string[] {
  const units: string[] = [];
  let isOpen = false;
  for (const word of words) {
    if (isOpen && !word.startsWith("-")) units.push(`${units.pop()} ${word}`);
    else units.push(word);
    isOpen = /^(-[^=]*|[|&<>]+)$/.test(word);
  }
  return units;
}

/** The words of a command line, with their quotes; a `$( … )` is one word. */
function shellWords(run: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote: string | undefined;
  let depth = 0;
  for (let index = 0; index < run.length; index++) {
    const char = run[index]!;
    if (char === "\\" && quote !== "'") {
      word += char + (run[++index] ?? "");
      continue;
    }
    if (quote) quote = char === quote ? undefined : quote;
    else if (char === "'" || char === '"') quote = char;
    else if (char === "(") depth++;
    else if (char === ")") depth--;
    if (char === " " && !quote && depth <= 0) {
      if (word !== "") words.push(word);
      word = "";
    } else {
      word += char;
    }
  }
  if (word !== "") words.push(word);
  return words;
}
