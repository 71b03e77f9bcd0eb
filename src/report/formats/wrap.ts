/**
 * Breaks lines to a width in terminal columns.
 *
 * Latin text breaks at spaces. Chinese and Japanese break between any two characters, but a line does not begin with
 * closing punctuation nor end with an opening bracket (the core of W3C's clreq). A word that is wider than a whole line
 * is broken, after a character such as `/` if it has one.
 */
import stringWidth from "string-width";
import type { Line, Span, Tone } from "./document.ts";

/** Columns that a text takes on a terminal. */
export function displayWidth(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text);
}

type Glyph = { readonly text: string; readonly width: number; readonly tone: Tone | undefined };
/** What is not broken: a word, or one ideograph with the punctuation that belongs to it. */
type Piece = { glyphs: Glyph[]; width: number; isSpace: boolean };

// \u escapes: the full-width forms look like ASCII in many fonts
const CLOSING = new Set([
  ..."\uff0c\u3002\u3001\uff1b\uff1a\uff1f\uff01\uff09\u3011\u300d\u300f\u300b\u3009\uff5d\uff3d\uff05\u201d\u2019\u2026,.;:?!)]}%",
]);
const OPENING = new Set([..."\uff08\u3010\u300c\u300e\u300a\u3008\uff5b\uff3b\u201c\u2018([{"]);
const BREAKABLE_AFTER = new Set([..."/,=:;&|-_.@"]);

let segmenter: Intl.Segmenter | undefined;

function glyphsOf(line: Line): Glyph[] {
  segmenter ??= new Intl.Segmenter();
  const glyphs: Glyph[] = [];
  for (const { text, tone } of line) {
    for (const { segment } of segmenter.segment(text))
      glyphs.push({ text: segment, width: displayWidth(segment), tone });
  }
  return glyphs;
}

const isSpace = (glyph: Glyph) => glyph.text === " ";
/** Ideographs, kana and the like, between any two of which a line may end. */
const isIdeograph = (glyph: Glyph) => glyph.width === 2;

function piecesOf(glyphs: readonly Glyph[]): Piece[] {
  const pieces: Piece[] = [];
  let last: Glyph | undefined;
  for (const glyph of glyphs) {
    const piece = pieces.at(-1);
    if (piece && last && staysWith(piece, last, glyph)) {
      piece.glyphs.push(glyph);
      piece.width += glyph.width;
    } else {
      pieces.push({ glyphs: [glyph], width: glyph.width, isSpace: isSpace(glyph) });
    }
    last = glyph;
  }
  return pieces;
}

/** Whether no line may end between the last glyph of a piece and the next one. */
function staysWith(piece: Piece, before: Glyph, after: Glyph): boolean {
  if (isSpace(before) || isSpace(after)) return isSpace(before) && isSpace(after);
  if (CLOSING.has(after.text) || OPENING.has(before.text)) return true;
  if (isIdeograph(before) || isIdeograph(after)) return false;
  // punctuation that closes Chinese words is a place to break even if Latin ones follow at once
  return !(CLOSING.has(before.text) && piece.glyphs.some(isIdeograph));
}

/** Pieces of a word that is wider than a line. */
function choppedTo(width: number, { glyphs }: Piece): Piece[] {
  const pieces: Piece[] = [];
  let current: Glyph[] = [];
  let taken = 0;
  for (const glyph of glyphs) {
    if (taken + glyph.width > width && current.length > 0) {
      // the last good place to break, unless that would leave more than half of the line empty
      const at = current.findLastIndex(({ text }) => BREAKABLE_AFTER.has(text)) + 1;
      const cut = at > current.length / 2 ? at : current.length;
      pieces.push(pieceOf(current.slice(0, cut)));
      current = current.slice(cut);
      taken = current.reduce((sum, { width: columns }) => sum + columns, 0);
    }
    current.push(glyph);
    taken += glyph.width;
  }
  if (current.length > 0) pieces.push(pieceOf(current));
  return pieces;
}

function pieceOf(glyphs: Glyph[]): Piece {
  return { glyphs, width: glyphs.reduce((sum, { width }) => sum + width, 0), isSpace: false };
}

function joined(glyphs: readonly Glyph[]): Line {
  const spans: { text: string; tone: Tone | undefined }[] = [];
  for (const { text, tone } of glyphs) {
    const span = spans.at(-1);
    if (span && span.tone === tone) span.text += text;
    else spans.push({ text, tone });
  }
  return spans as Span[];
}

/**
 * @param width at least 2
 * @param first columns that the first line has, where that is fewer
 * @returns one or more lines, none wider than that
 */
export function wrapLine(line: Line, width: number, first: number = width): Line[] {
  const lines: Line[] = [];
  let current: Glyph[] = [];
  let taken = 0;
  let space: Piece | undefined;
  const room = () => (lines.length === 0 ? first : width);
  const finish = () => {
    lines.push(joined(current));
    current = [];
    taken = 0;
    space = undefined;
  };
  const put = (piece: Piece) => {
    const isOver = () => taken + (space?.width ?? 0) + piece.width > room();
    // a first line that is short may stay empty: the word that does not fit there fits on the next
    if (isOver() && (taken > 0 || room() < width)) finish();
    if (space && taken > 0) {
      current.push(...space.glyphs);
      taken += space.width;
    }
    current.push(...piece.glyphs);
    taken += piece.width;
    space = undefined;
  };
  for (const piece of piecesOf(glyphsOf(line))) {
    if (piece.isSpace) space = piece;
    else if (piece.width <= width) put(piece);
    else for (const part of choppedTo(width, piece)) put(part);
  }
  if (current.length > 0 || lines.length === 0) finish();
  return lines;
}

/** Shortens a text to about `columns`, from its middle: what comes last in an error often matters most. */
export function clipped(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  const glyphs = glyphsOf([{ text }]);
  const room = columns - 3;
  const take = (from: readonly Glyph[], budget: number) => {
    let taken = 0;
    const end = from.findIndex(({ width }) => {
      taken += width;
      return taken > budget;
    });
    return from.slice(0, end < 0 ? from.length : end);
  };
  const tail = Math.floor(room * 0.4);
  const words = (part: readonly Glyph[]) => part.map((glyph) => glyph.text).join("");
  const start = words(take(glyphs, room - tail)).trimEnd();
  const end = words(take([...glyphs].reverse(), tail).reverse()).trimStart();
  return `${start} … ${end}`;
}

/** Fills up with spaces to a width in columns. */
export function padded(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - displayWidth(text)));
}
