/** Draws our own short Markdown (manual pages, stories) for a terminal: headings, paragraphs, lists, `code`, **strong**. */
import { type Block, line, manualProse } from "../report/formats/document.ts";

function blockOf(paragraph: string): Block[] {
  if (paragraph.startsWith("```")) {
    const run = paragraph.split("\n").slice(1, -1).join("\n");
    return run.split("\n").map((each): Block => ({ shape: "command", run: each }));
  }
  const lines = paragraph.split("\n");
  const heading = /^#+ (.*)$/.exec(lines[0]!);
  if (heading)
    return [
      { shape: "line", line: line(heading[1]!, "strong") },
      ...(lines.length > 1 ? blockOf(lines.slice(1).join("\n")) : []),
    ];
  if (lines.every((each) => /^([-*] | {2})/.test(each))) {
    const items = paragraph.split(/\n(?=[-*] )/).map((item) => ({ line: manualProse(unwrapped(item.slice(2))) }));
    return [{ shape: "list", items }];
  }
  return [{ shape: "line", line: manualProse(unwrapped(paragraph)) }];
}

/** One line of a paragraph's several; Chinese ones join without a space. */
function unwrapped(text: string): string {
  return text
    .replace(/([\u3000-\u9fff\uff00-\uffef])\n\s*(?=[\u3000-\u9fff\uff00-\uffef])/g, "$1")
    .replace(/\s*\n\s*/g, " ");
}

export function manualBlocks(markdown: string): Block[] {
  return markdown
    .trim()
    .split(/\n{2,}/)
    .flatMap(blockOf);
}
