/** Where a fact comes from: every fact that a report states points back to one. */
export type Origin = {
  readonly kind: "api" | "file" | "log" | "command" | "probe";
  /** The path in the bundle; for a command that was run live, the command. */
  readonly path: string;
  /** 1-based. */
  readonly line?: number;
  /** JSON pointer inside the file (RFC 6901). */
  readonly pointer?: string;
  /** RFC 3339. */
  readonly at?: string;
  readonly node?: string;
};

/** A fact as it stands in its source, to be quoted. */
export type Evidence = {
  readonly origin: Origin;
  /** The words of the source, never translated; long ones are cut with an ellipsis. */
  readonly quote: string;
  /** RFC 3339: when it was so, if known. */
  readonly at?: string;
};

const LONGEST_QUOTE = 400;

/** Blanks that are not single spaces between words. */
const IS_RAGGED = /\s\s|[^\S ]|^\s|\s$/;

export function quoteOf(origin: Origin, words: string, at?: string): Evidence {
  const line = IS_RAGGED.test(words) ? words.replace(/\s+/g, " ").trim() : words;
  // a cut may fall between the two halves of a character
  const quote = line.length > LONGEST_QUOTE ? `${line.slice(0, LONGEST_QUOTE).replace(/[\ud800-\udbff]$/, "")}…` : line;
  return at === undefined ? { origin, quote } : { origin, quote, at };
}
