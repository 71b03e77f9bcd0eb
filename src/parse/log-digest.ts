/**
 * A log, condensed while it is read: one entry for lines that differ only in numbers, times and identifiers, and the
 * last lines as they stand.
 *
 * A container that has failed for a day says the same thing thousands of times. What a diagnosis needs of it is: what
 * was said, first and last when, how often, and how it ended.
 */
import { type LogLine, parseLogLine } from "./log-line.ts";
import type { Parsed, Reader } from "./parsed.ts";
import { CUT_OFF } from "./parsed.ts";

export type LogEntry = {
  readonly first: LogLine;
  readonly last: LogLine;
  readonly count: number;
};

export type LogDigest = {
  readonly lines: number;
  readonly firstAt?: string;
  readonly lastAt?: string;
  /** In the order of their first lines. */
  readonly entries: readonly LogEntry[];
  /** The last lines of the log, oldest first. */
  readonly tail: readonly LogLine[];
};

const TAIL = 40;
const MOST_ENTRIES = 4000;
const LONGEST_LINE = 4096;

/** What two lines have in common that say the same of the same subject: everything but numbers, ids and times. */
function shapeOf(message: string): string {
  return message
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|\b[0-9a-f]{32,}\b/g, "#")
    .replace(/:\d{4,5}->|\b\d+(\.\d+)?(ns|µs|us|ms|s|m|h)\b/g, "#")
    .replace(/\b\d{4,}\b|"?\d{4}-\d\d-\d\dT[\d:.]+Z?"?|\d\d:\d\d:\d\d(\.\d+)?/g, "#");
}

/** @param year the year of the capture, for log headers that lack it */
export function logDigestReader(year?: number): Reader<LogDigest> {
  const entries = new Map<string, { first: LogLine; last: LogLine; count: number }>();
  const tail: LogLine[] = [];
  let rest = "";
  let count = 0;
  let firstAt: string | undefined;
  let lastAt: string | undefined;

  function add(text: string): void {
    const line = parseLogLine(text.length > LONGEST_LINE ? text.slice(0, LONGEST_LINE) : text, ++count, year);
    if (line.at !== undefined) {
      firstAt ??= line.at;
      lastAt = line.at;
    }
    tail.push(line);
    if (tail.length > TAIL) tail.shift();
    const shape = shapeOf(line.message);
    const entry = entries.get(shape);
    if (entry) {
      entry.last = line;
      entry.count++;
    } else if (entries.size < MOST_ENTRIES) entries.set(shape, { first: line, last: line, count: 1 });
  }

  return {
    write(piece) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      for (const line of lines) add(line);
      if (rest.length > 1024 * 1024) rest = rest.slice(0, LONGEST_LINE);
    },
    end(): Parsed<LogDigest> {
      const value = {
        lines: count,
        ...(firstAt !== undefined && { firstAt }),
        ...(lastAt !== undefined && { lastAt }),
        entries: [...entries.values()],
        tail,
      };
      return { value, gaps: rest === "" ? [] : [{ line: count + 1, what: CUT_OFF }] };
    },
  };
}
