/**
 * The arguments of Corefile directives as Go programs read them: numbers, durations, addresses; how many of which.
 *
 * Everything here answers what is refused, and lets pass what it does not know: words with variables, overlong ones.
 */
import { hasVariable } from "./tokens.ts";

/** Answers whether a word is refused for what it is. */
type Refuses = (word: string) => boolean;
/** Finds the argument that is refused; `LACKS` stands for one that is not there. */
export type Arguments = (words: readonly string[]) => string | undefined;
export const LACKS = "";

export const integer: Refuses = (word) => !/^[+-]?\d+$/.test(word);
export const atLeast =
  (least: number): Refuses =>
  (word) =>
    integer(word) || Number(word) < least;
export const between =
  (least: number, most: number): Refuses =>
  (word) =>
    atLeast(least)(word) || Number(word) > most;
export const unsigned: Refuses = (word) => !/^\d+$/.test(word) || Number(word) >= 2 ** 32;
export const oneOf =
  (...words: readonly string[]): Refuses =>
  (word) =>
    !words.includes(word);
export const anything: Refuses = () => false;
/** Go's net.SplitHostPort: the port may be a name, and empty. */
const hostPort: Refuses = (word) => !/^(\[[^[\]]*\]|[^:[\]]*):[^:[\]]*$/.test(word);

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

const LONGEST_DURATION = 64;

/** Go's time.ParseDuration, in seconds; NaN, which nothing refuses, for what is too long to be looked at. */
export function seconds(word: string): number | undefined {
  if (word.length > LONGEST_DURATION) return Number.NaN;
  const [, sign, rest = ""] = /^([+-]?)(.*)$/s.exec(word)!;
  if (rest === "0") return 0;
  const parts = [...rest.matchAll(PART)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== rest) return undefined;
  const sum = parts.reduce((total, part) => total + Number(part[1]) * UNITS[part[2]!]!, 0);
  return sign === "-" ? -sum : sum;
}
export const duration: Refuses = (word) => seconds(word) === undefined;
export const durationUpTo =
  (most: number, least = 0): Refuses =>
  (word) => {
    const value = seconds(word);
    return value === undefined || value < least || value > most;
  };
export const positive: Refuses = (word) => (seconds(word) ?? 0) <= 0;

/**
 * Between `least` and `most` words; the kinds are those of the first, the second, … and the last is that of all further
 * ones.
 */
export function words(least: number, most: number, ...kinds: readonly Refuses[]): Arguments {
  return (given) => {
    if (given.length < least) return LACKS;
    if (given.length > most) return given[most];
    return given.find((word, index) => !hasVariable(word) && (kinds[index] ?? kinds.at(-1) ?? anything)(word));
  };
}
export const ANY = Number.POSITIVE_INFINITY;
export const none = words(0, 0);
export const one = (kind: Refuses) => words(1, 1, kind);
/** For what reads its first word and does not look at others. */
export const first = (kind: Refuses) => words(1, ANY, kind, anything);
export const optionalAddress = words(0, 1, hostPort);

export const capacity = words(1, ANY, integer, atLeast(1), atLeast(0), anything);
export const percentage: Refuses = (word) => !/^[+-]?\d+%$/.test(word) || between(10, 90)(word.slice(0, -1));
export const RCODE: Refuses = (word) => !/^[a-z]{3,10}$/i.test(word);

const LONGEST_NAME = 40;

/** How many letters must be put in, taken out, changed or swapped with the next to make one word of the other. */
function distance(a: string, b: string): number {
  let before: readonly number[] = [];
  let above: readonly number[] = [];
  let row: number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    before = above;
    above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const change = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, above[j]! + 1, row[j - 1]! + 1, isSwap ? before[j - 2]! + 1 : change));
    }
  }
  return row[b.length]!;
}

/** The known name that is at most two letters off, and less than half of its letters. */
export function meantBy(word: string, known: readonly string[]): string | undefined {
  if (word.length > LONGEST_NAME) return undefined;
  const near = known
    .filter((name) => Math.abs(name.length - word.length) <= 2)
    .map((name) => ({ name, off: distance(word, name) }))
    .filter(({ name, off }) => off <= 2 && off * 2 < name.length)
    .sort((a, b) => a.off - b.off);
  return near[0]?.name;
}
