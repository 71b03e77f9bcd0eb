/**
 * What every parser returns: the value as far as the text can be read, and the parts that cannot, handed back.
 * Parsers never throw and never guess.
 */

/** A part of the input that could not be read: where it is and what is wrong with it. */
export type Gap = { readonly line?: number; readonly pointer?: string; readonly what: string };

export type Parsed<T> = { readonly value: T; readonly gaps: readonly Gap[] };
export type Parser<T> = (text: string) => Parsed<T>;

/** A parser for texts too large to hold: it is given the text piece by piece. */
export interface Reader<T> {
  write(piece: string): void;
  end(): Parsed<T>;
}

export const CUT_OFF = "cut off here";

/** No tool prints so much of one thing; a text that is held whole must have an end. Characters. */
const LARGEST_TEXT = 256 * 1024 * 1024;

/** A reader that gathers the whole text for a parser. */
export function whole<T>(parse: Parser<T>, largest = LARGEST_TEXT): Reader<T> {
  const pieces: string[] = [];
  let length = 0;
  return {
    write(piece) {
      if (length <= largest) pieces.push(piece);
      length += piece.length;
    },
    end() {
      if (length <= largest) return parse(pieces.join(""));
      const { value, gaps } = parse(pieces.join("").slice(0, largest));
      return { value, gaps: [...gaps, { what: `larger than ${largest} characters: the rest was not read` }] };
    },
  };
}

/**
 * The lines of a text whose tool ends every line with a newline. A last line without one was cut off on its way: what
 * is left of it may be a shorter number or name than what was written, so it is not given.
 */
export function splitLines(text: string): { readonly lines: readonly string[]; readonly gaps: Gap[] } {
  if (text === "") return { lines: [], gaps: [] };
  const lines = text.split("\n");
  const rest = lines.pop()!;
  return { lines, gaps: rest === "" ? [] : [{ line: lines.length + 1, what: CUT_OFF }] };
}

/** JSON.parse that answers instead of throwing. */
export function parseJson(
  text: string,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly why: string } {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    return { ok: false, why: (error as Error).message };
  }
}
