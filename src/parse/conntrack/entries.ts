/**
 * `conntrack -L`: the entries of the connection-tracking table.
 *
 * Format (conntrack-tools, src/conntrack.c, libnetfilter_conntrack's default output):
 *   tcp      6 97 TIME_WAIT src=A dst=B sport=1 dport=2 [UNREPLIED] src=B dst=A sport=2 dport=1 [ASSURED] mark=0 use=1
 * protocol name and number, seconds left, state (TCP, SCTP, DCCP only), original tuple, [UNREPLIED], reply tuple,
 * flags. ICMP tuples have type=, code=, id= in place of ports. With accounting, packets= and bytes= follow each tuple.
 */
import { CUT_OFF, type Gap, type Parser } from "../parsed.ts";

export type ConntrackTuple = {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
};

export type ConntrackEntry = {
  readonly line: number;
  /** tcp, udp, icmp …; the number of a protocol whose name conntrack does not know. */
  readonly protocol: string;
  /** Infinity for a flow that is offloaded: it does not run out. */
  readonly secondsLeft: number;
  readonly state?: string;
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
  readonly replied: boolean;
  readonly assured: boolean;
  readonly mark?: number;
};

const NEWLINE = 10;
const SPACE = 32;
const EQUALS = 61;

/** A word of the text; `value` is where its value begins, after `=`, or 0. It is empty at the end of a line. */
type Word = { start: number; value: number; end: number };

/**
 * Moves to the next word of the line. A table has a hundred thousand lines: they are read in place, without splitting
 * them.
 */
function advance(text: string, word: Word): void {
  let at = word.end;
  while (text.charCodeAt(at) === SPACE) at++;
  word.start = at;
  word.value = 0;
  for (let code = text.charCodeAt(at); code !== SPACE && code !== NEWLINE; code = text.charCodeAt(++at)) {
    if (code === EQUALS && word.value === 0) word.value = at + 1;
  }
  word.end = at;
}

const wordAt = (text: string, { start, end }: Word) => text.slice(start, end);
const valueAt = (text: string, { value, end }: Word) => text.slice(value, end);
const isKey = (text: string, word: Word, key: string) =>
  word.value === word.start + key.length + 1 && text.startsWith(key, word.start);

/** The decimal number that stands there, or -1. */
function numberAt(text: string, start: number, end: number): number {
  if (end <= start || end - start > 15) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Tuple = Mutable<ConntrackTuple>;
type Head = { readonly protocol: string; readonly secondsLeft: number; readonly state: string | undefined };

/**
 * Reads `tcp 6 97 TIME_WAIT`, with `ipv4 2` before it in /proc/net/nf_conntrack and with `-o extended`, up to the first
 * tuple. Entries that are offloaded to a flow table have neither time-out nor state (kernel: ctnetlink_dump_info).
 */
function readHead(text: string, word: Word): Head | undefined {
  if (text.startsWith("ipv", word.start) && wordAt(text, word).length === 4) {
    advance(text, word);
    advance(text, word);
  }
  const name = wordAt(text, word);
  advance(text, word);
  const number = numberAt(text, word.start, word.end);
  advance(text, word);
  const protocol = name === "unknown" ? String(number) : name;
  if (name === "" || number < 0) return undefined;
  if (word.value > 0) return { protocol, secondsLeft: Number.POSITIVE_INFINITY, state: undefined };
  const secondsLeft = numberAt(text, word.start, word.end);
  advance(text, word);
  if (secondsLeft < 0) return undefined;
  if (word.value > 0) return { protocol, secondsLeft, state: undefined };
  const state = wordAt(text, word);
  advance(text, word);
  return { protocol, secondsLeft, state };
}

const endsTuple = (text: string, word: Word) => isKey(text, word, "src") || isKey(text, word, "mark");

/**
 * Reads `src=… dst=… sport=… dport=…`, and whatever else is said of this direction, up to the next part of the line.
 */
function readTuple(text: string, word: Word): Tuple | undefined {
  if (!isKey(text, word, "src")) return undefined;
  const source = valueAt(text, word);
  advance(text, word);
  if (!isKey(text, word, "dst")) return undefined;
  const tuple: Tuple = { source, destination: valueAt(text, word) };
  for (advance(text, word); word.value > 0 && !endsTuple(text, word); advance(text, word)) {
    const isSource = isKey(text, word, "sport");
    if (!isSource && !isKey(text, word, "dport")) continue;
    const port = numberAt(text, word.value, word.end);
    if (port < 0 || port > 65535) return undefined;
    if (isSource) tuple.sourcePort = port;
    else tuple.destinationPort = port;
  }
  return tuple;
}

/** Reads what follows the tuples: flags in brackets, mark, zone, secctx, use … */
function readRest(text: string, word: Word): { readonly assured: boolean; readonly mark: number | undefined } {
  let assured = false;
  let mark: number | undefined;
  for (; word.end > word.start; advance(text, word)) {
    if (isKey(text, word, "mark")) mark = numberAt(text, word.value, word.end);
    else if (text.startsWith("[ASSURED]", word.start)) assured = true;
  }
  return { assured, mark };
}

/** Reads the line that begins at `start` and ends with a newline. */
function readEntry(text: string, start: number, line: number): ConntrackEntry | undefined {
  const word = { start, value: 0, end: start };
  advance(text, word);
  const head = readHead(text, word);
  const original = head && readTuple(text, word);
  if (!original) return undefined;
  const replied = !text.startsWith("[UNREPLIED]", word.start);
  if (!replied) advance(text, word);
  const reply = readTuple(text, word);
  if (!reply) return undefined;
  const { assured, mark } = readRest(text, word);
  if (mark === -1) return undefined;
  const { protocol, secondsLeft, state } = head;
  const entry: Mutable<ConntrackEntry> = { line, protocol, secondsLeft, original, reply, replied, assured };
  if (state !== undefined) entry.state = state;
  if (mark !== undefined) entry.mark = mark;
  return entry;
}

/** What conntrack says at the end, to stderr. */
const isSummary = (line: string) => line.startsWith("conntrack v");

export const parseConntrack: Parser<readonly ConntrackEntry[]> = (text) => {
  const value: ConntrackEntry[] = [];
  const gaps: Gap[] = [];
  let line = 1;
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    const entry = readEntry(text, start, line);
    const content = entry ? "" : text.slice(start, end);
    if (entry) value.push(entry);
    else if (content !== "" && !isSummary(content)) gaps.push({ line, what: `is no entry: ${content.slice(0, 100)}` });
    start = end + 1;
    line++;
  }
  if (start < text.length) gaps.push({ line, what: CUT_OFF });
  return { value, gaps };
};
