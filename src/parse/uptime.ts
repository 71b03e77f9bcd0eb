/** `cat /proc/uptime`: seconds since boot, and seconds that the processors were idle in (proc(5)), on one line. */
import { type Parser, splitLines } from "./parsed.ts";

/** Seconds since the node was booted; NaN where it could not be read. */
export const parseUptime: Parser<number> = (text) => {
  const { lines, gaps } = splitLines(text);
  const [, seconds] = /^(\d{1,12}(?:\.\d{1,4})?) \d{1,14}(?:\.\d{1,4})?$/.exec(lines[0] ?? "") ?? [];
  if (seconds === undefined && gaps.length === 0) gaps.push({ line: 1, what: "expected two numbers of seconds" });
  return { value: gaps.length > 0 ? Number.NaN : Number(seconds), gaps };
};
