/** Draws a report as Markdown (CommonMark, as GitHub, GitLab and most ticket systems take it). */
import type { Report } from "../report.ts";
import {
  type Block,
  type Branch,
  type Item,
  type Line,
  printable,
  printableLines,
  type Quote,
  type Span,
} from "./document.ts";
import { outlineOf } from "./outline.ts";
import type { RenderOptions } from "./terminal.ts";

export function renderMarkdown(report: Report, { lang, wide }: Pick<RenderOptions, "lang" | "wide">): string {
  return markdownOf(outlineOf(report, { lang, wide }));
}

/** @param level of the headings of what stands highest: 1 for a page of its own */
export function markdownOf(blocks: readonly Block[], level = 3): string {
  const lines = blocks.flatMap((block) => [...draw(block, level), ""]);
  // neighbours may both have asked for the empty line between them
  return `${lines
    .filter((text, index) => text !== "" || lines[index - 1] !== "")
    .join("\n")
    .trim()}\n`;
}

/** Words of the evidence that Markdown would take for its own. */
function escaped(text: string): string {
  return escapedInline(text).replace(/^(\s*)([#+-]|\d+[.)])(?=\s)/, "$1\\$2");
}

/** The same where no line begins, as in a heading: there `1.` makes no list. */
function escapedInline(text: string): string {
  return printable(text)
    .replace(/[\\`*_[\]<>|~]/g, "\\$&")
    .replace(/&(?=#?\w+;)/g, "&amp;");
}

/** Code between more backticks than it holds. */
function code(text: string): string {
  const words = printable(text);
  const longest = Math.max(0, ...[...words.matchAll(/`+/g)].map(([run]) => run.length));
  const marks = "`".repeat(longest + 1);
  const gap = words.startsWith("`") || words.endsWith("`") ? " " : "";
  return `${marks}${gap}${words}${gap}${marks}`;
}

function span({ text, tone }: Span): string {
  if (tone === "code") return code(text);
  return tone === "strong" ? `**${escaped(text)}**` : escaped(text);
}

const inline = (line: Line) => line.map(span).join("");

function fenced(run: string, language: string): string[] {
  const lines = printableLines(run);
  const longest = Math.max(2, ...lines.map((text) => /^\s*(`+)/.exec(text)?.[1]?.length ?? 0));
  const fence = "`".repeat(longest + 1);
  return [fence + language, ...lines, fence];
}

const indented = (lines: readonly string[], by: string) => lines.map((text) => (text === "" ? "" : by + text));

function draw(block: Block, level: number): string[] {
  switch (block.shape) {
    case "headline":
      return [
        `## ${block.mark} ${escaped(block.label)}${block.line.length > 0 ? " — " : ""}${block.line.map(plainSpan).join("")}`,
      ];
    case "line":
      return [inline(block.line)];
    case "facts":
      return [...block.items.map(({ label, line }) => `- **${escaped(label)}** — ${inline(line)}`), ""];
    case "section": {
      const note = block.note === undefined ? "" : ` · ${escaped(block.note)}`;
      return [
        `${"#".repeat(level)} ${escapedInline(block.title)}${note}`,
        "",
        ...block.blocks.flatMap((inner) => [...draw(inner, level + 1), ""]),
      ];
    }
    case "quotes":
      return block.quotes.flatMap(({ words, where }) => [...fenced(words, "text"), "", where.map(code).join(" "), ""]);
    case "tree":
      return block.branches.flatMap(drawBranch);
    case "list":
      return block.items.flatMap(drawItem);
    case "marks":
      return block.items.flatMap(({ mark, line, quotes }) =>
        drawItem({ line: [{ text: `${mark} ` }, ...line], quotes }),
      );
    case "trail":
      return block.stops.flatMap(({ mark, line, steps }) => [
        `- ${mark} **${line.map(plainSpan).join("")}**`,
        ...indented(
          steps.flatMap((step) => drawItem({ line: [{ text: `${step.label}: ` }, ...step.line], quotes: step.quotes })),
          "  ",
        ),
      ]);
    case "steps":
      return block.items.flatMap(({ line, blocks }, index) => {
        const number = `${index + 1}. `;
        const inner = blocks.flatMap((each) => [...draw(each, level), ""]);
        return [
          number + inline(line),
          ...(inner.length > 0 ? [""] : []),
          ...indented(inner, " ".repeat(number.length)),
        ];
      });
    case "command":
      return [...(block.lead === undefined ? [] : [escaped(block.lead), ""]), ...fenced(block.run, "sh")];
  }
}

/** A heading is strong already. */
function plainSpan({ text, tone }: Span): string {
  return tone === "code" ? code(text) : escaped(text);
}

function drawQuote({ words, where }: Quote): string {
  return `  - ${code(words)} (${where.map(code).join(", ")})`;
}

function drawItem({ line, quotes = [] }: Item): string[] {
  return [`- ${inline(line)}`, ...quotes.map(drawQuote)];
}

function drawBranch({ line, quotes, branches }: Branch): string[] {
  return [...drawItem({ line, quotes }), ...indented(branches.flatMap(drawBranch), "  ")];
}
