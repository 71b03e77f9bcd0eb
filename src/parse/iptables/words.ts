/** The words of a match or a target of an iptables rule, and what stands in them: numbers, marks, ports, prefixes. */
import { type Prefix, parsePrefix } from "../../net/ip.ts";
import type { PortRange } from "./save.ts";

export const SPACE = 32;
export const QUOTE = 34;
const BACKSLASH = 92;

/** The end of the word that begins at `at`. */
export function wordEnd(text: string, at: number, end: number): number {
  let stop = at;
  while (stop < end && text.charCodeAt(stop) !== SPACE) stop++;
  return stop;
}

/** The place of the mark that closes the quotation opened at `at`, or -1. */
export function quoteEnd(text: string, at: number, end: number): number {
  for (let stop = at + 1; stop < end; stop++) {
    const code = text.charCodeAt(stop);
    if (code === QUOTE) return stop;
    if (code === BACKSLASH) stop++;
  }
  return -1;
}

/** One option of a match or target with the words after it. */
export type Option = {
  readonly name: string;
  readonly not: boolean;
  /** As printed, with quotation marks. */
  readonly args: readonly string[];
  /** As printed, with its `!`. */
  readonly text: string;
};

/** Splits `name --option word "quoted word" ! --option` into its name and options; undefined if words stand elsewhere. */
export function splitOptions(text: string): { readonly name: string; readonly options?: readonly Option[] } {
  const nameEnd = wordEnd(text, 0, text.length);
  const name = text.slice(0, nameEnd);
  const options: Option[] = [];
  let args: string[] = [];
  let bang = -1;
  let start = -1;
  let at = nameEnd;
  while (at < text.length) {
    if (text.charCodeAt(at) === SPACE) {
      at++;
      continue;
    }
    const isQuoted = text.charCodeAt(at) === QUOTE;
    const stop = isQuoted ? quoteEnd(text, at, text.length) + 1 : wordEnd(text, at, text.length);
    if (stop === 0 || (stop < text.length && text.charCodeAt(stop) !== SPACE)) return { name };
    const word = text.slice(at, stop);
    if (word === "!" && text.startsWith(" --", stop)) bang = at;
    else if (word.startsWith("--")) {
      start = bang >= 0 ? bang : at;
      args = [];
      options.push({ name: word, not: bang >= 0, args, text: text.slice(start, stop) });
      bang = -1;
    } else {
      const option = options.pop();
      if (!option || (!isQuoted && word.includes('"'))) return { name };
      args.push(word);
      options.push({ ...option, text: text.slice(start, stop) });
    }
    at = stop;
  }
  return { name, options };
}

export const unquoted = (word: string): string =>
  word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word;

/** A number of at most 32 bits, in decimal or as 0x… */
export function parseU32(word: string | undefined): number | undefined {
  if (word === undefined || !/^(?:0x[0-9a-fA-F]{1,8}|\d{1,10})$/.test(word)) return undefined;
  const value = Number(word);
  return value <= 0xffffffff ? value : undefined;
}

export function parseMark(word: string | undefined): { readonly value: number; readonly mask?: number } | undefined {
  const [left, right, ...more] = word?.split("/") ?? [];
  const value = parseU32(left);
  if (value === undefined || more.length > 0) return undefined;
  if (right === undefined) return { value };
  const mask = parseU32(right);
  return mask === undefined ? undefined : { value, mask };
}

export function parsePort(word: string): number | undefined {
  const port = /^\d{1,5}$/.test(word) ? Number(word) : 65536;
  return port <= 65535 ? port : undefined;
}

/** `80`, `80:90`, `:1023`, `1024:`, and lists of them. */
export function parsePorts(word: string): readonly PortRange[] | undefined {
  const ranges: PortRange[] = [];
  for (const part of word.split(",")) {
    const [low, high, ...more] = part.split(":");
    const from = low === "" && high !== undefined ? 0 : parsePort(low!);
    const to = high === undefined ? from : high === "" ? 65535 : parsePort(high);
    if (from === undefined || to === undefined || more.length > 0) return undefined;
    ranges.push({ from, to });
  }
  return ranges;
}

/** The number of words after each option that a match or target knows; `!` where a `!` may stand before it. */
export type Known = Readonly<Record<string, 0 | 1 | "!0" | "!1">>;

/** The words by option; undefined if there is an option that is not known, or one twice. */
export function wordsByOption(options: readonly Option[], known: Known): ReadonlyMap<string, string> | undefined {
  const args = new Map<string, string>();
  for (const { name, args: words, not } of options) {
    const wanted = Object.hasOwn(known, name) ? known[name] : undefined;
    const isKnown = wanted === words.length || wanted === `!${words.length}`;
    if (!isKnown || (not && typeof wanted === "number") || args.has(name)) return undefined;
    args.set(name, words[0] ?? "");
  }
  return args;
}

/** `10.0.0.0/255.0.0.0`, as versions before 1.4 printed. Masks that are no prefix stay unknown. */
export function parseMaskedPrefix(word: string): Prefix | undefined {
  const slash = word.indexOf("/");
  if (slash < 0) return undefined;
  const mask = parsePrefix(word.slice(slash + 1));
  if (mask?.ip.family !== 4 || mask.length !== 32) return undefined;
  const host = 2 ** 32 - mask.ip.value;
  const bits = Math.log2(host);
  return Number.isInteger(bits) ? parsePrefix(`${word.slice(0, slash)}/${32 - bits}`) : undefined;
}
