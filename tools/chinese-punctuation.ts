/**
 * Gives Chinese sentences the full-width punctuation that Chinese readers expect: in the `zh` texts of TypeScript files
 * and in Chinese Markdown. Keyboards, editors and language models often leave the ASCII forms there.
 *
 *   node tools/chinese-punctuation.ts           writes them
 *   node tools/chinese-punctuation.ts --check   exits with 1 if any file is not as it would be written
 *   … FILE …                                    only these
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const HAN = "\\u3000-\\u303f\\u3400-\\u9fff\\uff00-\\uffef";
const FULL: Readonly<Record<string, string>> = {
  ",": "\uff0c",
  ";": "\uff1b",
  ":": "\uff1a",
  "?": "\uff1f",
  "!": "\uff01",
};

/** What is not prose: placeholders, code, links. `\`` is how a template literal writes a backtick. */
const OPAQUE = /\{[A-Za-z][^{}]*\}|\\`[^`]*\\`|`[^`]*`|\]\([^)\s]+\)|<!--.*?-->|https?:\/\/[^\s)]+/g;

const BRACKETS = /\(([^()]+)\)/g;
const MARK = new RegExp(
  `(?<=[${HAN}\\u0000\\u201d\\u2019\\uff09*])[,;:?!](?=[${HAN}\\u0000\\u201c]|$) ?|(?<=[${HAN}])[,;:?!] ?|[,;:] ?(?=[${HAN}])`,
  "g",
);
const hasHan = new RegExp(`[${HAN}]`);

/** One Chinese text, with its code and placeholders left alone. */
export function punctuated(text: string): string {
  if (!hasHan.test(text)) return text;
  const kept: string[] = [];
  const masked = text.replace(OPAQUE, (opaque) => {
    kept.push(opaque);
    return "\u0000";
  });
  const bracketed = masked.replace(BRACKETS, (whole, inner: string, offset: number) => {
    const before = masked[offset - 1] ?? "";
    const around = before + (masked[offset + whole.length] ?? "") + inner;
    return hasHan.test(around) || before === "\u0000" ? `\uff08${inner}\uff09` : whole;
  });
  const marked = bracketed.replace(MARK, (mark, offset: number) => {
    const before = bracketed[offset - 1] ?? "";
    const after = bracketed[offset + mark.length] ?? "";
    // between two placeholders it may be `host:port`
    if (before === "\u0000" && after === "\u0000") return mark;
    return FULL[mark[0]!]!;
  });
  let index = 0;
  return marked.replaceAll("\u0000", () => kept[index++]!);
}

const ZH_TEXT = /(\bzh:\s*)("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`)/g;

export function inTypeScript(source: string): string {
  return source.replace(
    ZH_TEXT,
    (_, key: string, literal: string) => key + literal[0] + punctuated(literal.slice(1, -1)) + literal[0],
  );
}

function inMarkdown(source: string): string {
  const parts = source.split(/(^```[\s\S]*?^```$)/m);
  return parts.map((part) => (part.startsWith("```") ? part : part.split("\n").map(punctuated).join("\n"))).join("");
}

function run(args: readonly string[]): void {
  const isCheck = args.includes("--check");
  const named = args.filter((arg) => !arg.startsWith("--"));
  const files =
    named.length > 0
      ? named
      : globSync(["src/**/*.ts", "scenarios/*/*.zh.md", "README.zh-CN.md", "docs/**/*.zh*.md"], { cwd: ROOT }).map(
          (file) => ROOT + file,
        );
  const changed = files.filter((file) => {
    const source = readFileSync(file, "utf8");
    const better = file.endsWith(".ts") ? inTypeScript(source) : inMarkdown(source);
    if (better === source) return false;
    if (!isCheck) writeFileSync(file, better);
    return true;
  });
  if (changed.length > 0) process.stdout.write(`${changed.map((file) => file.replace(ROOT, "")).join("\n")}\n`);
  if (isCheck && changed.length > 0) {
    process.stderr.write("Chinese texts with ASCII punctuation: run node tools/chinese-punctuation.ts\n");
    process.exitCode = 1;
  }
}

if (import.meta.main) run(process.argv.slice(2));
