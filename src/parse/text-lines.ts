/** A file whose lines are read as they are: readyz.txt, os-release, output that only a person reads. */
import { type Parsed, splitLines } from "./parsed.ts";

export function parseTextLines(text: string): Parsed<readonly string[]> {
  const { lines, gaps } = splitLines(text);
  return { value: lines, gaps };
}
