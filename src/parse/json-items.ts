/**
 * The objects in a JSON array, one after the other, from a text that arrives in pieces and may be cut off.
 *
 * Format: RFC 8259. Two shapes are read: a list of the Kubernetes API, `{"kind": …, "items": [{…}, …], …}`, and a bare
 * array, `[{…}, …]`, as `ip -j` and `bridge -j` print. Objects are found by counting brackets outside strings and parsed
 * one at a time, so that a list of any length needs the memory of one object, and the objects before a cut still count.
 * Objects that are deeper or larger than any real one are skipped and handed back as gaps.
 */
import { CUT_OFF, type Gap, parseJson } from "./parsed.ts";

const DEEPEST = 100;
const LARGEST = 32 * 1024 * 1024;
const LONGEST_HEAD = 64 * 1024;

const QUOTE = 34;
const BACKSLASH = 92;
const isOpening = (code: number) => code === 123 || code === 91;
const isClosing = (code: number) => code === 125 || code === 93;

export type ItemSplitter = {
  write(piece: string): void;
  /** Ends the text. `head` is what stands before the array: kind and metadata of a list, or the whole of what is none. */
  end(): { readonly gaps: readonly Gap[]; readonly head: string };
};

/**
 * @param arrayKey the key of the array in the top object; undefined for a bare array
 * @param onItem is given each object and its index, in order
 */
export function itemSplitter(
  arrayKey: string | undefined,
  onItem: (item: unknown, index: number) => void,
): ItemSplitter {
  const arrayDepth = arrayKey === undefined ? 1 : 2;
  const gaps: Gap[] = [];
  let head = "";
  let phase: "before" | "inside" | "after" = "before";
  let buffer = "";
  let next = 0;
  let depth = 0;
  let inString = false;
  let stringStart = 0;
  let lastString = "";
  let itemStart = -1;
  let count = 0;
  let tooMuch = false;
  let overflow = false;

  const pointer = () => `${arrayKey === undefined ? "" : `/${arrayKey}`}/${count}`;

  function endItem(end: number): void {
    const item = tooMuch ? undefined : parseJson(buffer.slice(itemStart, end));
    if (!item) gaps.push({ pointer: pointer(), what: "deeper or larger than any object of the API" });
    else if (item.ok) onItem(item.value, count);
    else gaps.push({ pointer: pointer(), what: item.why });
    count++;
    itemStart = -1;
    tooMuch = false;
  }

  function scan(): void {
    for (; next < buffer.length; next++) {
      const code = buffer.charCodeAt(next);
      if (inString) {
        if (code === BACKSLASH) next++;
        else if (code === QUOTE) {
          inString = false;
          if (phase === "before" && depth === 1) lastString = buffer.slice(stringStart, next);
        }
      } else if (code === QUOTE) {
        inString = true;
        stringStart = next + 1;
      } else if (isOpening(code)) {
        depth++;
        if (phase === "before" && code === 91 && depth === arrayDepth && (arrayKey ?? lastString) === lastString) {
          head = buffer.slice(0, next).slice(0, LONGEST_HEAD);
          phase = "inside";
        } else if (phase === "inside" && depth === arrayDepth + 1) itemStart = next;
        else if (depth > arrayDepth + DEEPEST) tooMuch = true;
      } else if (isClosing(code)) {
        depth--;
        if (phase === "inside" && depth === arrayDepth) endItem(next + 1);
        else if (phase === "inside" && depth < arrayDepth) phase = "after";
      }
    }
  }

  /** Forgets what has been read, but for the object that is not complete yet. */
  function shrink(): void {
    if (phase === "before") {
      if (buffer.length > LARGEST) overflow = true;
      return;
    }
    const keepFrom = itemStart < 0 || phase === "after" ? buffer.length : itemStart;
    buffer = buffer.slice(keepFrom);
    next -= keepFrom;
    if (itemStart >= 0) itemStart = 0;
    if (buffer.length > LARGEST) {
      tooMuch = true;
      next -= buffer.length;
      buffer = "";
      next = Math.max(next, 0);
    }
  }

  return {
    write(piece) {
      if (overflow) return;
      buffer += piece;
      scan();
      shrink();
    },
    end() {
      if (phase === "before") head = buffer.slice(0, LONGEST_HEAD);
      if (overflow || depth > 0 || inString || (phase === "before" && head.trim() === ""))
        gaps.push({ pointer: pointer(), what: CUT_OFF });
      else if (phase === "before") gaps.push({ pointer: "", what: `not a list: ${head.slice(0, 200)}` });
      return { gaps, head };
    },
  };
}
