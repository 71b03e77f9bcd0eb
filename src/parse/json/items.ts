/**
 * The objects in a JSON array, one after the other, from a text that arrives in pieces and may be cut off.
 *
 * Format: RFC 8259. Two shapes are read: a list of the Kubernetes API, `{"kind": …, "items": [{…}, …], …}`, and a bare
 * array, `[{…}, …]`, as `ip -j` and `bridge -j` print. Objects are found by counting brackets outside strings and parsed
 * one at a time, so that a list of any length needs the memory of one object, and the objects before a cut still count.
 * Objects that are deeper or larger than any real one, and what is no object, are skipped and handed back as gaps.
 */
import { CUT_OFF, type Gap, parseJson } from "../parsed.ts";

const DEEPEST = 100;
const LARGEST = 32 * 1024 * 1024;
const LONGEST_HEAD = 64 * 1024;
const LONGEST_KEY = 100;
/** Of what is no object. */
const MOST_GAPS = 1000;

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const isBlank = (code: number) => code === 32 || (code >= 9 && code <= 13);
const isOpening = (code: number) => code === 123 || code === 91;
const isClosing = (code: number) => code === 125 || code === 93;

export type ItemSplitter = {
  write(piece: string): void;
  /**
   * Ends the text. `head` is what stands before the array: kind and metadata of a list, or the whole of what is none.
   * `tail` is what stands behind it.
   */
  end(): { readonly gaps: readonly Gap[]; readonly head: string; readonly tail: string };
};

/**
 * @param arrayKey the key of the array in the top object; undefined for a bare array
 * @param onItem is given each object, its index, and its text as it stands there, in order
 */
export function itemSplitter(
  arrayKey: string | undefined,
  onItem: (item: unknown, index: number, text: string) => void,
): ItemSplitter {
  const gaps: Gap[] = [];
  const splitter = itemTexts(arrayKey, (text, index, pointer) => {
    const item = parseJson(text);
    if (item.ok) onItem(item.value, index, text);
    else gaps.push({ pointer, what: item.why });
  });
  return {
    write: splitter.write,
    end() {
      const end = splitter.end();
      return { ...end, gaps: [...gaps, ...end.gaps] };
    },
  };
}

/** The same, with each object as the text that it is. */
export function itemTexts(
  arrayKey: string | undefined,
  onItem: (text: string, index: number, pointer: string) => void,
): ItemSplitter {
  const arrayDepth = arrayKey === undefined ? 1 : 2;
  const gaps: Gap[] = [];
  let head = "";
  let tail = "";
  let phase: "before" | "inside" | "after" = "before";
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  /** The last string in the top object, by which the array is known. */
  let key = "";
  /** The object that is being read, as far as it came in earlier pieces; undefined between objects. */
  let parts: string[] | undefined;
  let length = 0;
  let count = 0;
  let isTooMuch = false;
  /** A number, a string, true, false or null stands where an object should. */
  let isScalar = false;

  const pointer = () => `${arrayKey === undefined ? "" : `/${arrayKey}`}/${count}`;

  function keep(text: string): void {
    length += text.length;
    if (length > LARGEST) isTooMuch = true;
    if (isTooMuch) parts = [];
    else parts!.push(text);
  }

  function endItem(rest: string): void {
    keep(rest);
    if (isTooMuch) gaps.push({ pointer: pointer(), what: "deeper or larger than any object of the API" });
    else onItem(parts!.join(""), count, pointer());
    count++;
    parts = undefined;
    length = 0;
    isTooMuch = false;
  }

  function endScalar(): void {
    if (!isScalar) return;
    if (gaps.length < MOST_GAPS) gaps.push({ pointer: pointer(), what: "expected an object" });
    count++;
    isScalar = false;
  }

  /** Inside an object, where nearly all characters are. @returns the place of the bracket that closes it, or the end */
  function skim(piece: string, start: number): number {
    const bottom = arrayDepth + 1;
    let at = start;
    let level = depth;
    let quoted = inString;
    let escaped = isEscaped;
    for (; at < piece.length; at++) {
      const code = piece.charCodeAt(at);
      if (quoted) {
        if (escaped) escaped = false;
        else if (code === BACKSLASH) escaped = true;
        else if (code === QUOTE) quoted = false;
      } else if (code === QUOTE) quoted = true;
      else if (isOpening(code)) {
        level++;
        if (level > arrayDepth + DEEPEST) isTooMuch = true;
      } else if (isClosing(code)) {
        if (level === bottom) break;
        level--;
      }
    }
    depth = level;
    inString = quoted;
    isEscaped = escaped;
    return at;
  }

  /** @returns where the object that is not complete yet begins in the piece */
  function scan(piece: string): number {
    let itemStart = 0;
    for (let at = 0; at < piece.length; at++) {
      if (phase === "inside" && depth > arrayDepth) {
        at = skim(piece, at);
        if (at === piece.length) break;
      }
      const code = piece.charCodeAt(at);
      if (inString) {
        if (isEscaped) isEscaped = false;
        else if (code === BACKSLASH) isEscaped = true;
        else if (code === QUOTE) inString = false;
        else if (phase === "before" && depth === 1 && key.length < LONGEST_KEY) key += piece[at];
      } else if (code === QUOTE) {
        inString = true;
        if (phase === "before" && depth === 1) key = "";
        else if (phase === "inside" && depth === arrayDepth) isScalar = true;
      } else if (isOpening(code)) {
        depth++;
        if (phase === "before" && code === 91 && depth === arrayDepth && (arrayKey ?? key) === key) {
          head = (head + piece.slice(0, at)).slice(0, LONGEST_HEAD);
          phase = "inside";
        } else if (phase === "inside" && depth === arrayDepth + 1) {
          itemStart = at;
          parts = [];
        } else if (depth > arrayDepth + DEEPEST) isTooMuch = true;
      } else if (isClosing(code)) {
        if (phase === "inside" && depth === arrayDepth) endScalar();
        depth--;
        if (phase === "inside" && depth === arrayDepth) endItem(piece.slice(itemStart, at + 1));
        else if (phase === "inside" && depth < arrayDepth) {
          phase = "after";
          tail = piece.slice(at + 1, at + 1 + LONGEST_HEAD);
        }
      } else if (depth === arrayDepth && phase === "inside") {
        if (code === COMMA) endScalar();
        else if (!isBlank(code)) isScalar = true;
      }
    }
    return itemStart;
  }

  return {
    write(piece) {
      if (phase === "after") tail = (tail + piece).slice(0, LONGEST_HEAD);
      const itemStart = scan(piece);
      if (parts) keep(piece.slice(itemStart));
      if (phase === "before" && head.length < LONGEST_HEAD) head = (head + piece).slice(0, LONGEST_HEAD);
    },
    end() {
      if (depth > 0 || inString || (phase === "before" && head.trim() === ""))
        gaps.push({ pointer: pointer(), what: CUT_OFF });
      else if (phase === "before") gaps.push({ pointer: "", what: `not a list: ${head.slice(0, 200)}` });
      return { gaps, head, tail };
    },
  };
}
