/** The lines of a text that arrives in pieces. Of a line without end only the beginning is kept. */

export type LineSplitter = {
  write(piece: string): void;
  /** @returns what stands after the last line feed */
  end(): string;
};

/**
 * @param onLine is given each line that has its line feed, without it
 * @param longest characters; of a longer line, as many
 */
export function lineSplitter(longest: number, onLine: (line: string) => void): LineSplitter {
  let parts: string[] = [];
  let length = 0;
  const keep = (text: string) => {
    if (length < longest) parts.push(text);
    length += text.length;
  };
  const takeAll = (): string => {
    const line = parts.length === 1 ? parts[0]! : parts.join("");
    parts = [];
    length = 0;
    return line.length > longest ? line.slice(0, longest) : line;
  };
  return {
    write(piece) {
      let start = 0;
      for (let end = piece.indexOf("\n"); end >= 0; end = piece.indexOf("\n", start)) {
        keep(piece.slice(start, end));
        start = end + 1;
        onLine(takeAll());
      }
      if (start < piece.length) keep(piece.slice(start));
    },
    end: takeAll,
  };
}
