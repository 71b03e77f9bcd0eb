/**
 * Where things of a JSON text begin and end, while it is still bytes.
 *
 * Brackets are counted and strings minded; whether it is JSON is for JSON.parse to judge. Bytes of UTF-8 beyond ASCII stand
 * only inside strings, and none of them looks like a quote.
 */

export const QUOTE = 34;
export const COMMA = 44;
export const COLON = 58;
export const OPEN_ARRAY = 91;
export const BACKSLASH = 92;
export const CLOSE_ARRAY = 93;
export const OPEN_OBJECT = 123;
export const CLOSE_OBJECT = 125;

/** The bytes end before the thing does. */
export const INCOMPLETE = -1;

/** What a byte means outside of strings. */
const OTHER = 0;
const BETWEEN = 1;
const STRING = 2;
const OPENING = 3;
const MEANING = new Uint8Array(256);
for (const byte of [COMMA, COLON, 32, 9, 10, 13]) MEANING[byte] = BETWEEN;
MEANING[QUOTE] = STRING;
MEANING[OPEN_OBJECT] = OPENING;
MEANING[OPEN_ARRAY] = OPENING;
MEANING[CLOSE_OBJECT] = OPENING + 1;
MEANING[CLOSE_ARRAY] = OPENING + 1;

/** How bytes become text: the one thing that is not the same everywhere. */
export type Decode = (bytes: Uint8Array) => string;

export const asciiBytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** Passes commas, colons and blanks. @returns at most `end` */
export function skipBetween(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  while (index < end && MEANING[bytes[index]!] === BETWEEN) index++;
  return index;
}

/** @param at the opening quote. @returns where the closing quote stands, or INCOMPLETE */
export function endOfString(bytes: Uint8Array, at: number, end: number): number {
  let index = at + 1;
  while (index < end) {
    const byte = bytes[index]!;
    if (byte === QUOTE) return index;
    index += byte === BACKSLASH ? 2 : 1;
  }
  return INCOMPLETE;
}

/**
 * Passes a value.
 *
 * @param at its first byte
 * @returns where the next thing begins: behind `at` unless no value begins there; or INCOMPLETE
 */
export function endOfValue(bytes: Uint8Array, at: number, end: number): number {
  const first = MEANING[bytes[at]!]!;
  if (first === STRING) {
    const close = endOfString(bytes, at, end);
    return close === INCOMPLETE ? INCOMPLETE : close + 1;
  }
  let index = at;
  if (first !== OPENING) {
    while (index < end && MEANING[bytes[index]!] === OTHER) index++;
    return index < end ? index : INCOMPLETE;
  }
  let depth = 0;
  while (index < end) {
    const meaning = MEANING[bytes[index++]!]!;
    if (meaning < STRING) continue;
    if (meaning === STRING) {
      index = endOfString(bytes, index - 1, end) + 1;
      if (index === 0) return INCOMPLETE;
    } else if (meaning === OPENING) depth++;
    else if (--depth === 0) return index;
  }
  return INCOMPLETE;
}
