/**
 * The objects of a list of the Kubernetes API, one after the other, from bytes that arrive in pieces and may be cut off.
 *
 * Format: `{"kind": …, "items": [{…}, …], …}`, RFC 8259. An object that is not whole yet is looked at again once as much
 * again has come, so that each byte is passed a few times at most.
 */

import { CUT_OFF } from "../parsed.ts";
import {
  asciiBytes,
  CLOSE_ARRAY,
  type Decode,
  endOfString,
  endOfValue,
  INCOMPLETE,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  skipBetween,
} from "./bytes.ts";

const LARGEST = 32 * 1024 * 1024;
const LONGEST_FRAME = 64 * 1024;
const ITEMS = asciiBytes("items");
const EMPTY = new Uint8Array(0);

export type ItemBytes = {
  /** The bytes are not to be changed afterwards. */
  write(piece: Uint8Array): void;
  /** What stands before the objects, once the first of them may begin. */
  readonly head: string | undefined;
  /** What stands before and behind the objects, and why it is not a whole list. */
  end(): { readonly head: string; readonly tail: string; readonly flaw?: string };
};

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

const isItems = (bytes: Uint8Array, from: number, to: number): boolean =>
  to - from === ITEMS.length && ITEMS.every((byte, index) => bytes[from + index] === byte);

/** @returns where the elements of the top object's `items` begin; INCOMPLETE; or undefined if there are none */
function startOfItems(bytes: Uint8Array): number | undefined {
  const end = bytes.length;
  let index = skipBetween(bytes, 0, end);
  if (index >= end) return INCOMPLETE;
  if (bytes[index++] !== OPEN_OBJECT) return undefined;
  for (;;) {
    index = skipBetween(bytes, index, end);
    if (index >= end) return INCOMPLETE;
    if (bytes[index] !== QUOTE) return undefined;
    const closing = endOfString(bytes, index, end);
    const value = closing === INCOMPLETE ? end : skipBetween(bytes, closing + 1, end);
    if (value >= end) return INCOMPLETE;
    if (bytes[value] === OPEN_ARRAY && isItems(bytes, index + 1, closing)) return value + 1;
    const after = endOfValue(bytes, value, end);
    if (after === INCOMPLETE) return INCOMPLETE;
    if (after <= value) return undefined;
    index = after;
  }
}

/**
 * @param take is shown each object where it begins. It returns where the next thing begins, or INCOMPLETE: then it is
 *     shown the same object again, with more bytes
 */
export function itemBytes(decode: Decode, take: (bytes: Uint8Array, at: number, end: number) => number): ItemBytes {
  let phase: "before" | "inside" | "after" | "never" = "before";
  let head = "";
  let flaw: string | undefined;
  /** What is not told of yet, and how much there must be of it to be looked at. */
  let pending: Uint8Array[] = [];
  let length = 0;
  let enough = 0;

  function keep(bytes: Uint8Array): void {
    pending = [bytes];
    length = bytes.length;
    enough = length * 2;
  }

  function inside(bytes: Uint8Array, from: number): void {
    const end = bytes.length;
    let index = from;
    for (;;) {
      index = skipBetween(bytes, index, end);
      if (index >= end || bytes[index] === CLOSE_ARRAY) {
        if (index < end) phase = "after";
        keep(bytes.subarray(index + 1));
        return;
      }
      const isObject = bytes[index] === OPEN_OBJECT;
      const after = isObject ? take(bytes, index, end) : endOfValue(bytes, index, end);
      if (after === INCOMPLETE && end - index < LARGEST) {
        keep(bytes.subarray(index));
        return;
      }
      if (!isObject || after <= index) {
        flaw = isObject ? "larger than any object of the API" : "expected an object";
        phase = "never";
        keep(EMPTY);
        return;
      }
      index = after;
    }
  }

  function look(): void {
    const bytes = joined(pending, length);
    const start = phase === "inside" ? 0 : startOfItems(bytes);
    if (start === INCOMPLETE && length < LARGEST) keep(bytes);
    else if (start === undefined || start === INCOMPLETE) {
      phase = "never";
      head = decode(bytes.subarray(0, LONGEST_FRAME));
      keep(EMPTY);
    } else {
      if (phase === "before") head = decode(bytes.subarray(0, start - 1));
      phase = "inside";
      inside(bytes, start);
    }
  }

  return {
    get head() {
      return phase === "inside" || phase === "after" ? head : undefined;
    },
    write(piece) {
      if (phase === "never" || (phase === "after" && length > LONGEST_FRAME)) return;
      pending.push(piece);
      length += piece.length;
      if (phase !== "after" && length >= enough) look();
    },
    end() {
      if (phase === "before" || phase === "inside") look();
      const rest = decode(joined(pending, length));
      if (phase === "after") return { head, tail: rest };
      if (phase === "never") return { head, tail: "", flaw: flaw ?? `not a list: ${head.slice(0, 200)}` };
      return { head: phase === "before" ? rest : head, tail: "", flaw: CUT_OFF };
    },
  };
}
