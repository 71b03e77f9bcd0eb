/**
 * Objects as the bytes that a list is written from.
 *
 * Texts are copied once, one after the other with a comma between them, into large pieces of memory. A list of all
 * objects is then a few writes of a megabyte, whatever their number, and a selected list copies only what it must.
 */

const SLAB = 1024 * 1024;

/** Packs texts. `add` gives the bytes of a text, which stay where they are. */
export function slabs(size = SLAB): { add(text: string): Uint8Array } {
  let slab = Buffer.alloc(0);
  let end = 0;
  return {
    add(text) {
      // no character takes more than three bytes of UTF-8 for one unit of UTF-16
      if (slab.length - end < text.length * 3 + 1) {
        const needed = Buffer.byteLength(text);
        if (slab.length - end < needed + 1) {
          // whatever else is in the memory that Node shares out must not go with it
          slab = Buffer.allocUnsafeSlow(Math.max(size, needed));
          end = 0;
        }
      }
      if (end > 0) slab[end++] = COMMA;
      const start = end;
      end += slab.write(text, start);
      return slab.subarray(start, end);
    },
  };
}

const COMMA = 44;
const COMMA_BYTES = Uint8Array.of(COMMA);
/** Pieces are gathered up to this size; larger ones are written as they are. */
const CHUNK = 256 * 1024;

/** Whether `next` stands behind `piece` in the same slab, with nothing but a comma between them. */
function isNext(piece: Uint8Array, next: Uint8Array): boolean {
  return piece.buffer === next.buffer && next.byteOffset === piece.byteOffset + piece.byteLength + 1;
}

/** The elements of a JSON array with commas between them. */
export function* joined(elements: Iterable<Uint8Array>): Generator<Uint8Array> {
  let run: Uint8Array | undefined;
  for (const element of elements) {
    if (run && isNext(run, element)) {
      run = new Uint8Array(run.buffer, run.byteOffset, run.byteLength + 1 + element.byteLength);
      continue;
    }
    if (run) {
      yield run;
      yield COMMA_BYTES;
    }
    run = element;
  }
  if (run) yield run;
}

/** The same bytes in pieces that are worth a write each. */
export function* gathered(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    if (bytes > 0 && bytes + piece.byteLength > CHUNK) {
      yield Buffer.concat(small);
      small = [];
      bytes = 0;
    }
    if (piece.byteLength >= CHUNK) yield piece;
    else {
      small.push(piece);
      bytes += piece.byteLength;
    }
  }
  if (bytes > 0) yield Buffer.concat(small);
}
