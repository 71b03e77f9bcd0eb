/**
 * The body of one list call, taken apart while it arrives: each object becomes a line, as a bundle's `.jsonl` has them.
 *
 * Lists of any length come in pages or as a watch; what is kept of them is the same lines either way.
 */
import { itemTexts } from "../parse/json-items.ts";
import { CUT_OFF, parseJson } from "../parse/parsed.ts";

export type ListPage = {
  /** How many objects it had. */
  readonly count: number;
  /** Where the next page begins; undefined if this was the last one. */
  readonly next?: string;
  /** How many objects come after this page, if the server says so. */
  readonly remaining?: number;
  /** Why it is not whole. */
  readonly flaw?: string;
};

export type ListPageReader = { write(piece: string): void; end(): ListPage };

/** @param onLine is given each object, without its newline */
export function listPage(onLine: (line: string) => void): ListPageReader {
  let count = 0;
  const splitter = itemTexts("items", (text) => {
    count++;
    // a newline in JSON stands between tokens only
    onLine(text.includes("\n") ? text.replaceAll(/[\r\n]+/g, " ") : text);
  });
  return {
    write: (piece) => splitter.write(piece),
    end() {
      const { gaps, head, tail } = splitter.end();
      const frame = parseJson(count === 0 && tail === "" ? head : `${head}[]${tail}`);
      const list = (frame.ok ? frame.value : undefined) as Frame | undefined;
      const next = list?.metadata?.continue;
      const remaining = list?.metadata?.remainingItemCount;
      const isEmpty = count === 0 && typeof list?.kind === "string" && list.kind.endsWith("List") && !list.items;
      const flaw = isEmpty ? undefined : flawOf(gaps[0]?.what, list);
      return {
        count,
        ...(typeof next === "string" && next !== "" && { next }),
        ...(typeof remaining === "number" && { remaining }),
        ...(flaw !== undefined && { flaw }),
      };
    },
  };
}

type Frame = {
  kind?: unknown;
  items?: unknown;
  metadata?: { continue?: unknown; remainingItemCount?: unknown };
};

const flawOf = (gap: string | undefined, list: Frame | undefined): string | undefined =>
  gap ?? (list === undefined ? CUT_OFF : undefined);

/** One line of a watch, as far as it matters for a list. */
export type WatchEvent =
  | { readonly type: "object"; readonly line: string }
  /** All objects that there were at the start have come. */
  | { readonly type: "end" }
  | { readonly type: "error"; readonly status?: number; readonly message: string }
  | { readonly type: "other" };

const ADDED = '{"type":"ADDED","object":';
/** https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** Reads a line of a watch that was asked to begin with all objects (WatchList, KEP-3157). */
export function watchEvent(line: string): WatchEvent {
  // nearly all lines: the object is cut out without being parsed
  if (line.startsWith(ADDED) && line.endsWith("}")) return { type: "object", line: line.slice(ADDED.length, -1) };
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
