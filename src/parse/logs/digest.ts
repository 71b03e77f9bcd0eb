/**
 * A log, condensed while it is read: one entry for lines that differ only in numbers, times and identifiers, and the
 * last lines as they stand.
 *
 * A container that has failed for a day says the same thing thousands of times. What a diagnosis needs of it is: what
 * was said, first and last when, how often, and how it ended.
 */
import { lineSplitter } from "../line-splitter.ts";
import type { Parsed, Reader } from "../parsed.ts";
import { CUT_OFF } from "../parsed.ts";
import { type LogLine, parseLogLine } from "./line.ts";

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

/** A copy that shares no memory with the text that it was cut from: a line that is kept must not keep a whole log. */
function freed<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** @param year the year of the capture, for log headers that lack it */
export function logDigestReader(year?: number): Reader<LogDigest> {
  const entries = new Map<string, { first: LogLine; last: LogLine; count: number }>();
  const tail: LogLine[] = [];
  let count = 0;
  let firstAt: string | undefined;
  let lastAt: string | undefined;

  function add(text: string): void {
    const line = parseLogLine(text, ++count, year);
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
    } else if (entries.size < MOST_ENTRIES) entries.set(freed(shape), { first: freed(line), last: line, count: 1 });
  }

  const splitter = lineSplitter(LONGEST_LINE, add);
  return {
    write: (piece) => splitter.write(piece),
    end(): Parsed<LogDigest> {
      const value = {
        lines: count,
        ...(firstAt !== undefined && { firstAt }),
        ...(lastAt !== undefined && { lastAt }),
        entries: [...entries.values()].map(({ first, last, count }) => ({ first, last: freed(last), count })),
        tail: freed(tail),
      };
      return { value, gaps: splitter.end() === "" ? [] : [{ line: count + 1, what: CUT_OFF }] };
    },
  };
}
