/**
 * A page as shapes: what stands between what is said (outline.ts) and how it is drawn (terminal.ts, markdown.ts).
 *
 * Every word of a page is already in the reader's language here; a drawing adds no words of its own.
 */
export type Tone = "strong" | "faint" | "code" | "bad" | "good" | "doubt";
export type Span = { readonly text: string; readonly tone?: Tone | undefined };
export type Line = readonly Span[];

/** What a source said, as it said it, and the places where it did. */
export type Quote = { readonly words: string; readonly where: readonly string[] };

/** One thing of several that are said, with what proves it. */
export type Item = { readonly line: Line; readonly quotes?: readonly Quote[] | undefined };

export type Branch = { readonly line: Line; readonly quotes: readonly Quote[]; readonly branches: readonly Branch[] };

export type Marked = Item & { readonly mark: string; readonly tone?: Tone | undefined };

/** A place on a way, and what happens there. `mark` is one character; a tone tells a good one from a bad one. */
export type Stop = {
  readonly mark: string;
  readonly tone?: Tone | undefined;
  readonly line: Line;
  readonly steps: readonly { readonly label: string; readonly line: Line; readonly quotes: readonly Quote[] }[];
};

/** A command to copy: where (if not on the reader's own machine), and exactly what. */
export type CommandBlock = { readonly shape: "command"; readonly lead?: string | undefined; readonly run: string };

export type Block =
  /** What the reader came for. `mark` is one character that says it without colours. */
  | {
      readonly shape: "headline";
      readonly tone: Tone;
      readonly mark: string;
      readonly label: string;
      readonly line: Line;
    }
  | { readonly shape: "line"; readonly line: Line }
  | { readonly shape: "facts"; readonly items: readonly { readonly label: string; readonly line: Line }[] }
  | {
      readonly shape: "section";
      readonly title: string;
      readonly note?: string | undefined;
      readonly blocks: readonly Block[];
    }
  | { readonly shape: "quotes"; readonly quotes: readonly Quote[] }
  | { readonly shape: "tree"; readonly branches: readonly Branch[] }
  | { readonly shape: "steps"; readonly items: readonly { readonly line: Line; readonly blocks: readonly Block[] }[] }
  | { readonly shape: "list"; readonly items: readonly Item[] }
  /** The same with a mark of its own for each, which says without colours how it is. */
  | { readonly shape: "marks"; readonly items: readonly Marked[] }
  | { readonly shape: "trail"; readonly stops: readonly Stop[] }
  | CommandBlock;

/** A line of plain words, or of words in one tone. */
export function line(text: string, tone?: Tone): Line {
  return [tone === undefined ? { text } : { text, tone }];
}

const CODE = /`([^`]+)`/g;

/** A sentence in which `backticks` mark code, as our texts do. */
export function prose(text: string, tone?: Tone): Line {
  return marked(text, CODE, tone);
}

const CODE_OR_STRONG = /`([^`]+)`|\*\*([^*]+)\*\*/g;

/** A sentence of a manual page: `code` and **strong**. */
export function manualProse(text: string): Line {
  return marked(text, CODE_OR_STRONG);
}

function marked(text: string, marks: RegExp, tone?: Tone): Line {
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(marks)) {
    if (match.index > end) spans.push({ text: text.slice(end, match.index), tone });
    const [whole, code, strong] = match;
    spans.push(code === undefined ? { text: strong!, tone: "strong" } : { text: code, tone: "code" });
    end = match.index + whole.length;
  }
  if (end < text.length) spans.push({ text: text.slice(end), tone });
  return spans;
}

// what steers a terminal, or turns the direction of reading, must not come from the evidence: it is shown instead
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

function visible(char: string): string {
  const code = char.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
}

/** One line of text that is safe to print: no line ends, no tabs, nothing that steers a terminal. */
export function printable(text: string): string {
  return text.replace(/\s*[\t\n]\s*/g, " ").replace(STEERING, visible);
}

/** Several lines that are safe to print. */
export function printableLines(text: string): string[] {
  return text.split("\n").map((part) => part.replace(/\t/g, "  ").replace(STEERING, visible));
}
