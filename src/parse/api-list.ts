/**
 * The body of a list call to the Kubernetes API, or its objects a line each (`.jsonl`).
 *
 * Format: {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "…"}, "items": [ … ]}. Objects are
 * projected by a schema of objects.ts while they are read; one that does not fit is a gap of the list.
 */
import type { z } from "zod";
import { itemSplitter } from "./json/items.ts";
import { sharing } from "./json/sharing.ts";
import { lineSplitter } from "./line-splitter.ts";
import { CUT_OFF, type Gap, parseJson, type Reader } from "./parsed.ts";

export type ApiList<T> = {
  readonly items: readonly T[];
  /** Where each item stands in its file: its index among all objects there, readable or not. */
  readonly indices: readonly number[];
  readonly resourceVersion?: string;
};

export type ItemSchema<T> = z.ZodType<T>;

/** Says in words that a reader understands what of an object does not fit, e.g. `spec.ports: expected array, is missing`. */
function misfit(error: z.ZodError): string {
  const { path, message } = error.issues[0]!;
  const words = message.replace(/^Invalid input: /, "").replace(/, received undefined$/, ", is missing");
  return `${path.join(".") || "object"}: ${words}`;
}

/** Collects objects that fit a schema, and as gaps those that do not. */
function collector<T>(schema: ItemSchema<T>) {
  const items: T[] = [];
  const indices: number[] = [];
  const gaps: Gap[] = [];
  const share = sharing();
  const add = (item: unknown, index: number, gap: Omit<Gap, "what">) => {
    const fit = schema.safeParse(item);
    if (fit.success) {
      items.push(share(fit.data));
      indices.push(index);
    } else gaps.push({ ...gap, what: misfit(fit.error) });
  };
  return { items, indices, gaps, add };
}

/** Reads the body of a list call. */
export function apiListReader<T>(schema: ItemSchema<T>): Reader<ApiList<T>> {
  const { items, indices, gaps, add } = collector(schema);
  const splitter = itemSplitter("items", (item, index) => add(item, index, { pointer: `/items/${index}` }));
  return {
    write: (piece) => splitter.write(piece),
    end() {
      const { head, gaps: cuts } = splitter.end();
      // {"kind": "PodList", …, "items": null} is an empty list
      const empty = cuts.length === 1 && items.length === 0 && isEmptyList(head);
      const resourceVersion = /"resourceVersion"\s*:\s*"([^"]*)"/.exec(head)?.[1];
      const value = { items, indices, ...(resourceVersion !== undefined && { resourceVersion }) };
      return { value, gaps: empty ? gaps : [...gaps, ...cuts] };
    },
  };
}

function isEmptyList(head: string): boolean {
  const parsed = parseJson(head);
  if (!parsed.ok || typeof parsed.value !== "object" || parsed.value === null) return false;
  const { kind, items } = parsed.value as { kind?: unknown; items?: unknown };
  return typeof kind === "string" && kind.endsWith("List") && (items === null || items === undefined);
}

/** Characters. etcd takes no more than 1.5 MiB of an object. */
const LARGEST_OBJECT = 4 * 1024 * 1024;

/** Reads objects that stand a line each. */
export function jsonLinesReader<T>(schema: ItemSchema<T>): Reader<ApiList<T>> {
  const { items, indices, gaps, add } = collector(schema);
  let line = 0;
  const splitter = lineSplitter(LARGEST_OBJECT, (text) => {
    line++;
    if (text.trim() === "") return;
    const parsed = parseJson(text);
    if (parsed.ok) add(parsed.value, line - 1, { line });
    else gaps.push({ line, what: text.length < LARGEST_OBJECT ? parsed.why : "larger than any object of the API" });
  });
  return {
    write: (piece) => splitter.write(piece),
    end() {
      if (splitter.end().trim() !== "") gaps.push({ line: line + 1, what: CUT_OFF });
      return { value: { items, indices }, gaps };
    },
  };
}
