/**
 * Draws a report for a terminal. Pure: whether there is a terminal, how wide, and in which language is told by the
 * caller.
 */
import pc from "picocolors";
import type { Language } from "../../text.ts";
import type { Report } from "../report.ts";
import { brokenCommand } from "./commands.ts";
import {
  type Block,
  type Branch,
  type CommandBlock,
  type Line,
  printable,
  printableLines,
  type Quote,
  type Stop,
  type Tone,
} from "./document.ts";
import { outlineOf } from "./outline.ts";
import { displayWidth, padded, wrapLine } from "./wrap.ts";

export type RenderOptions = {
  readonly lang: Language;
  /** Columns. */
  readonly width: number;
  readonly color: boolean;
  /** Everything, for the reader who wants to see all of it. */
  readonly wide: boolean;
};

export function renderTerminal(report: Report, { lang, width, color, wide }: RenderOptions): string {
  return drawBlocks(outlineOf(report, { lang, wide }), { width, color });
}

type Canvas = {
  readonly width: number;
  readonly color: boolean;
  readonly paint: (text: string, tone: Tone | undefined) => string;
};

/** Long lines are hard to read, however wide the window is; in a very narrow one, words would be torn apart. */
const WIDEST = 120;
const NARROWEST = 40;

export function drawBlocks(blocks: readonly Block[], { width, color }: Pick<RenderOptions, "width" | "color">): string {
  const canvas = { width: Math.min(WIDEST, Math.max(NARROWEST, width)), color, paint: painter(color) };
  const lines = blocks.flatMap((block, index) => {
    const before = blocks[index - 1];
    const belongs = before?.shape === "headline" && (block.shape === "facts" || block.shape === "line");
    return [
      ...(before && !belongs && block.shape !== "steps" ? [""] : []),
      ...draw(block, belongs ? "  " : "", canvas),
    ];
  });
  // two neighbours may both have asked for the empty line between them
  return `${lines
    .filter((text, index) => text !== "" || (index > 0 && lines[index - 1] !== ""))
    .join("\n")
    .trimEnd()}\n`;
}

function painter(color: boolean): Canvas["paint"] {
  const { bold, dim, cyan, red, green, yellow } = pc.createColors(color);
  const paints: Record<Tone, (text: string) => string> = {
    strong: bold,
    faint: dim,
    code: cyan,
    bad: red,
    good: green,
    doubt: yellow,
  };
  return (text, tone) => (tone === undefined || text === "" ? text : paints[tone](text));
}

/** A paragraph: `first` before its first line, `next` before the others; both may hold colours. */
function paragraph(words: Line, first: string, next: string, canvas: Canvas): string[] {
  const room = (prefix: string) => Math.max(12, canvas.width - displayWidth(plain(prefix)));
  // without colours, code keeps the marks that set it off from the words around it
  const mark = canvas.color || words.length < 2 ? "" : "`";
  const safe = words.map(({ text, tone }) => ({
    text: tone === "code" ? mark + printable(text) + mark : printable(text),
    tone,
  }));
  return wrapLine(safe, room(next), room(first)).map((spans, index) => {
    const text = spans.map((span) => canvas.paint(span.text, span.tone)).join("");
    return ((index === 0 ? first : next) + text).trimEnd();
  });
}

/** Without the colours that we ourselves put in. */
function plain(text: string): string {
  return text.replace(/\u001b\[\d+m/g, "");
}

function draw(block: Block, indent: string, canvas: Canvas): string[] {
  switch (block.shape) {
    case "headline": {
      const { tone, mark, label, line } = block;
      const badge = `${canvas.paint(canvas.paint(`${mark} ${label}`, tone), "strong")}`;
      return paragraph(line, line.length > 0 ? `${indent}${badge}  ` : `${indent}${badge}`, `${indent}  `, canvas);
    }
    case "line":
      return paragraph(block.line, indent, indent, canvas);
    case "facts":
      return drawFacts(block.items, indent, canvas);
    case "section":
      return drawSection(block, indent, canvas);
    case "quotes":
      return block.quotes.flatMap((quote) => drawQuote(quote, `${indent}${canvas.paint("┃", "faint")} `, "", canvas));
    case "tree":
      return drawBranches(block.branches, indent, canvas);
    case "list":
      return block.items.flatMap(({ line, quotes = [] }) => [
        ...paragraph(line, `${indent}• `, `${indent}  `, canvas),
        ...quotes.flatMap((quote) => drawQuote(quote, `${indent}  `, "> ", canvas)),
      ]);
    case "marks":
      return block.items.flatMap(({ mark, tone, line, quotes = [] }) => [
        ...paragraph(line, `${indent}${canvas.paint(mark, tone)} `, `${indent}  `, canvas),
        ...quotes.flatMap((quote) => drawQuote(quote, `${indent}  `, "> ", canvas)),
      ]);
    case "trail":
      return drawTrail(block.stops, indent, canvas);
    case "steps":
      return block.items.flatMap((item, index) => drawStep(item, index, indent, canvas));
    case "command":
      return drawCommand(block, indent, canvas);
  }
}

function drawSection({ title, note, blocks }: Extract<Block, { shape: "section" }>, indent: string, canvas: Canvas) {
  const heading: Line = [
    { text: title, tone: "strong" },
    ...(note === undefined ? [] : [{ text: ` · ${note}`, tone: "faint" as const }]),
  ];
  const inner = blocks.flatMap((each, index) => {
    const hasAir = each.shape === "section" || (each.shape === "steps" && index > 0);
    return [...(hasAir ? [""] : []), ...draw(each, `${indent}  `, canvas)];
  });
  return [...paragraph(heading, indent, `${indent}  `, canvas), ...inner];
}

function drawFacts(items: readonly { label: string; line: Line }[], indent: string, canvas: Canvas): string[] {
  const column = Math.max(...items.map(({ label }) => displayWidth(label)));
  return items.flatMap(({ label, line }) => {
    const first = `${indent}${canvas.paint(padded(label, column), "faint")}  `;
    return paragraph(line, first, `${indent}${" ".repeat(column + 2)}`, canvas);
  });
}

function drawStep(
  { line, blocks }: { line: Line; blocks: readonly Block[] },
  index: number,
  indent: string,
  canvas: Canvas,
) {
  const number = `${index + 1}. `;
  const inner = `${indent}${" ".repeat(number.length)}`;
  // steps with commands need air around them, plain ones read as a list
  const air = blocks.length > 0 && index > 0 ? [""] : [];
  return [
    ...air,
    ...paragraph(line, indent + number, inner, canvas),
    ...blocks.flatMap((each) => draw(each, inner, canvas)),
  ];
}

/** What a source said, and where: behind it if there is room, else below. */
function drawQuote({ words, where }: Quote, indent: string, mark: string, canvas: Canvas): string[] {
  const next = indent + " ".repeat(mark.length);
  const source = where.join("  ");
  const fits = displayWidth(plain(next) + words + source) + 2 <= canvas.width;
  if (fits) return paragraph([{ text: `${words}  ` }, { text: source, tone: "faint" }], indent + mark, next, canvas);
  return [
    ...paragraph([{ text: words }], indent + mark, next, canvas),
    ...paragraph([{ text: source, tone: "faint" }], `${next}  `, `${next}  `, canvas),
  ];
}

function drawBranches(branches: readonly Branch[], indent: string, canvas: Canvas): string[] {
  return branches.flatMap(({ line, quotes, branches: below }, index) => {
    const isLast = index === branches.length - 1;
    const inner = `${indent}${isLast ? "   " : "│  "}`;
    const hanging = inner + (below.length > 0 ? "│  " : "   ");
    return [
      ...paragraph(line, `${indent}${isLast ? "└─ " : "├─ "}`, hanging, canvas),
      ...quotes.flatMap((quote) => drawQuote(quote, hanging, "> ", canvas)),
      ...drawBranches(below, inner, canvas),
    ];
  });
}

/** Labels of the steps of a way stand in a column, as far as they are short. */
const WIDEST_LABEL = 12;

function drawTrail(stops: readonly Stop[], indent: string, canvas: Canvas): string[] {
  const column = Math.min(
    WIDEST_LABEL,
    Math.max(0, ...stops.flatMap(({ steps }) => steps.map(({ label }) => displayWidth(label)))),
  );
  return stops.flatMap(({ mark, tone, line, steps }, index) => {
    const rail = index === stops.length - 1 ? "  " : `${canvas.paint("│", "faint")} `;
    const hanging = `${indent}${rail}${" ".repeat(column + 2)}`;
    return [
      ...paragraph(line, `${indent}${canvas.paint(mark, tone ?? "strong")} `, `${indent}${rail}`, canvas),
      ...steps.flatMap((step) => [
        ...paragraph(
          step.line,
          `${indent}${rail}${canvas.paint(padded(step.label, column), "faint")}  `,
          hanging,
          canvas,
        ),
        ...step.quotes.flatMap((quote) => drawQuote(quote, hanging, "> ", canvas)),
      ]),
    ];
  });
}

/**
 * One line is indented, which no shell minds, and broken the shell's way. Several lines are a here-document: they
 * begin in the first column, or the shell would not find its end.
 */
function drawCommand({ lead, run }: CommandBlock, indent: string, canvas: Canvas): string[] {
  const paint = (text: string) => canvas.paint(text, "code");
  const title = lead === undefined ? [] : [`${indent}${canvas.paint(lead, "faint")}`];
  const [first = "", ...more] = printableLines(run);
  if (more.length > 0) return [...title, "", ...[first, ...more].map(paint), ""];
  const inner = `${indent}  `;
  return [...title, ...brokenCommand(first, canvas.width - inner.length).map((text) => inner + paint(text))];
}
