/**
 * What `ip` and `bridge` print without `-j`: lines of words, and what belongs to a line indented below it. It is read into
 * the objects that `-j` prints, so that both forms are read by the same code: what the plain form does not say, such an
 * object lacks.
 */
import { type Fields, readObjects, wholeNumber } from "../fields.ts";
import { type Gap, type Parsed, splitLines } from "../parsed.ts";

/** A line with the indented lines below it, trimmed. */
export type Block = { readonly head: string; readonly below: readonly string[] };

/** @returns the object that `-j` prints of the same thing, or what is wrong with the block */
export type PlainItem = (block: Block) => Fields | string;

function blocksOf(
  lines: readonly string[],
): { readonly line: number; readonly head: string; readonly below: string[] }[] {
  const blocks: { line: number; head: string; below: string[] }[] = [];
  lines.forEach((content, index) => {
    const trimmed = content.trim();
    const last = blocks.at(-1);
    if (trimmed === "") return;
    if (/^\s/.test(content) && last) last.below.push(trimmed);
    else blocks.push({ line: index + 1, head: trimmed, below: [] });
  });
  return blocks;
}

/**
 * Reads either form: an array of JSON, or lines of words.
 * @param plain reads a block of the plain form
 * @param read as of `readObjects`
 */
export function readPrinted<T extends object>(
  text: string,
  plain: PlainItem,
  read: (item: Fields, note: (gap: Gap) => void) => T | string,
): Parsed<readonly T[]> {
  if (/^\s*(\[|$)/.test(text)) return readObjects(text, read);
  const { lines, gaps } = splitLines(text);
  const value: T[] = [];
  for (const { line, ...block } of blocksOf(lines)) {
    const item = plain(block);
    const result = typeof item === "string" ? item : read(item, ({ what }) => gaps.push({ line, what }));
    if (typeof result === "string") gaps.push({ line, what: result });
    else value.push(result);
  }
  return { value, gaps };
}

/** How the words of a line are read: a word with the key of `-j` for the word after it, or with none. */
export type Words = {
  readonly strings: Readonly<Record<string, string>>;
  readonly numbers?: Readonly<Record<string, string>>;
  /** Words that stand alone, gathered under `flags`. */
  readonly flags?: readonly string[];
  /** Words whose next word says nothing that is read. */
  readonly passed?: readonly string[];
};

/** A word that `words` does not know, at its place among the others. @returns where to go on, or undefined if it is not known */
export type Otherwise = (words: readonly string[], at: number, item: Record<string, unknown>) => number | undefined;

/** @returns what the words say, or which of them is not known */
export function itemOf(
  words: readonly string[],
  { strings, numbers = {}, flags = [], passed = [] }: Words,
  otherwise: Otherwise = () => undefined,
): Record<string, unknown> | string {
  const item: Record<string, unknown> = {};
  const raised: string[] = [];
  let at = 0;
  while (at < words.length) {
    const word = words[at]!;
    const next = words[at + 1];
    const other = otherwise(words, at, item);
    if (other !== undefined) at = other;
    else if (flags.includes(word)) {
      raised.push(word);
      at++;
    } else if (next === undefined) return `${word}: is not known, or lacks its value`;
    else {
      if (Object.hasOwn(strings, word)) item[strings[word]!] = next;
      else if (Object.hasOwn(numbers, word)) item[numbers[word]!] = wholeNumber(next) ?? next;
      else if (!passed.includes(word)) return `${word}: is not known`;
      at += 2;
    }
  }
  if (raised.length > 0) item.flags = raised;
  return item;
}

export const wordsOf = (line: string): readonly string[] => line.trim().split(/\s+/);

/** The word after another. */
export function wordAfter(words: readonly string[], word: string): string | undefined {
  const at = words.indexOf(word);
  return at < 0 ? undefined : words[at + 1];
}

export function numberAfter(words: readonly string[], word: string): number | undefined {
  const digits = wordAfter(words, word);
  return digits === undefined ? undefined : wholeNumber(digits);
}

export type Device = {
  readonly index: number;
  readonly name: string;
  /** What stands behind the `@`: a device of the same namespace, `if` and an index of another, or NONE. */
  readonly lower: string | undefined;
  readonly flags: readonly string[];
  readonly rest: string;
};

/** `5: veth3c830f7d@if2: <BROADCAST,UP,LOWER_UP> mtu 1450 …` */
export function deviceIn(head: string): Device | undefined {
  const [, index = "", name, lower, flags = "", rest = ""] =
    /^(\d{1,10}): ([^\s@]+)(?:@(\S+))?: <([^>\s]*)>(?: (.*))?$/.exec(head) ?? [];
  return name === undefined
    ? undefined
    : { index: Number(index), name, lower, flags: flags === "" ? [] : flags.split(","), rest };
}
