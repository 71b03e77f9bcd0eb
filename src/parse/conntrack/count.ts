/**
 * Two lines, as `cat /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max` prints: the
 * number of entries in the connection-tracking table, and how many it may hold (kernel doc:
 * networking/nf_conntrack-sysctl).
 */
import { wholeNumber } from "../fields.ts";
import { type Parser, splitLines } from "../parsed.ts";

/** NaN where a number could not be read. */
export type ConntrackCount = { readonly count: number; readonly max: number };

export const parseConntrackCount: Parser<ConntrackCount> = (text) => {
  const { lines, gaps } = splitLines(text);
  const numbers = lines.slice(0, 2).map(wholeNumber);
  numbers.forEach((number, index) => {
    if (number === undefined) gaps.push({ line: index + 1, what: "expected a number" });
  });
  if (lines.length !== 2 && gaps.length === 0) {
    gaps.push({ what: text === "" ? "empty" : `expected two lines, found ${lines.length}` });
  }
  const [count = Number.NaN, max = Number.NaN] = numbers;
  return { value: { count, max }, gaps };
};
