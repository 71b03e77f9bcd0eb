/**
 * The body of one list call, taken apart while it arrives: each object becomes a line, as a bundle's `.jsonl` has them.
 *
 * Lists of any length come in pages or as a watch; what is kept of them is the same lines either way.
 */

import { asciiBytes, CLOSE_OBJECT, type Decode, INCOMPLETE } from "../parse/json/bytes.ts";
import { itemBytes } from "../parse/json/item-bytes.ts";
import { type Projection, projector } from "../parse/json/projection.ts";
import { CUT_OFF, parseJson } from "../parse/parsed.ts";

export type ListPage = Onward & {
  /** How many objects it had. */
  readonly count: number;
  /** Why it is not whole. */
  readonly flaw?: string;
};

/** What follows a page. */
type Onward = {
  /** Where the next page begins; undefined if this was the last one. */
  readonly next?: string;
  /** How many objects come after this page, if the server says so. */
  readonly remaining?: number;
};

export type ListPageReader = {
  write(piece: Uint8Array): void;
  /** What is known of it before its end: an API server writes a list's metadata before its objects. */
  readonly onward: Onward | undefined;
  end(): ListPage;
};

/** A newline in JSON stands between tokens only. */
const onOneLine = (text: string): string => (text.includes("\n") ? text.replaceAll(/[\r\n]+/g, " ") : text);

/** How bytes become text, and what of each object is wanted. */
export type Reading = { readonly decode: Decode; readonly projection?: Projection };

/** @param onLine is given each object, without its newline */
export function listPage({ decode, projection = "whole" }: Reading, onLine: (line: string) => void): ListPageReader {
  let count = 0;
  const { take, kept } = projector(projection);
  const splitter = itemBytes(decode, (bytes, at, end) => {
    const after = take(bytes, at, end);
    if (after === INCOMPLETE) return INCOMPLETE;
    count++;
    onLine(onOneLine(decode(kept())));
    return after;
  });
  let onward: Onward | undefined;
  return {
    write: (piece) => splitter.write(piece),
    get onward() {
      if (onward || splitter.head === undefined) return onward;
      onward = onwardIn(frameOf(`${splitter.head}[]}`));
      return onward;
    },
    end() {
      const { flaw: cut, head, tail } = splitter.end();
      const list = frameOf(count === 0 && tail === "" ? head : `${head}[]${tail}`);
      const isEmpty = count === 0 && typeof list?.kind === "string" && list.kind.endsWith("List") && !list.items;
      const flaw = isEmpty ? undefined : (cut ?? (list === undefined ? CUT_OFF : undefined));
      return { count, ...onwardIn(list), ...(flaw !== undefined && { flaw }) };
    },
  };
}

type Frame = {
  kind?: unknown;
  items?: unknown;
  metadata?: { continue?: unknown; remainingItemCount?: unknown };
};

function frameOf(text: string): Frame | undefined {
  const parsed = parseJson(text);
  return parsed.ok ? (parsed.value as Frame) : undefined;
}

function onwardIn(list: Frame | undefined): Onward {
  const next = list?.metadata?.continue;
  const remaining = list?.metadata?.remainingItemCount;
  return {
    ...(typeof next === "string" && next !== "" && { next }),
    ...(typeof remaining === "number" && { remaining }),
  };
}

/** One line of a watch, as far as it matters for a list. */
export type WatchEvent =
  | { readonly type: "object"; readonly line: string }
  /** All objects that there were at the start have come. */
  | { readonly type: "end" }
  | { readonly type: "error"; readonly status?: number; readonly message: string }
  | { readonly type: "other" };

const ADDED = '{"type":"ADDED","object":';
const ADDED_BYTES = asciiBytes(ADDED);
/** https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** Reads lines, without their newlines, of a watch that was asked to begin with all objects (WatchList, KEP-3157). */
export function watchEvents({ decode, projection = "whole" }: Reading): (bytes: Uint8Array) => WatchEvent {
  const { take, kept } = projector(projection);
  return (bytes) => {
    // nearly all lines: the object is cut out without being parsed
    const isAdded = ADDED_BYTES.every((byte, index) => bytes[index] === byte) && bytes.at(-1) === CLOSE_OBJECT;
    if (isAdded && projection === "whole") {
      return { type: "object", line: decode(bytes.subarray(ADDED.length, -1)) };
    }
    if (isAdded && take(bytes, ADDED.length, bytes.length) === bytes.length - 1) {
      return { type: "object", line: decode(kept()) };
    }
    return otherEvent(decode(bytes));
  };
}

function otherEvent(line: string): WatchEvent {
  const parsed = parseJson(line);
  if (!parsed.ok) return { type: "error", message: parsed.why };
  const { type, object } = parsed.value as {
    type?: string;
    object?: { code?: number; message?: string; metadata?: { annotations?: Record<string, string> } };
  };
  if (type === "ADDED") return { type: "object", line: JSON.stringify(object) };
  if (type === "BOOKMARK" && object?.metadata?.annotations?.[INITIAL_EVENTS_END] === "true") return { type: "end" };
  if (type !== "ERROR") return { type: "other" };
  return {
    type: "error",
    message: object?.message ?? "the watch failed",
    ...(object?.code !== undefined && { status: object.code }),
  };
}
