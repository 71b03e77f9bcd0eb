/** One line on a terminal that tells what is being read, how much of it came, and how long it has been; none in a pipe. */
import stringWidth from "string-width";
import type { Text } from "../text.ts";
import type { Surroundings } from "./surroundings.ts";

export type ProgressLine = {
  readonly show: (what: string, count?: number) => void;
  readonly clear: () => void;
};

const ERASE = "\r\u001b[2K";
/** Milliseconds between two drawings. */
const PAUSE = 100;

export function progressLine(title: Text, { lang, width, isWatched, err }: Surroundings): ProgressLine {
  if (!isWatched) return { show: () => {}, clear: () => {} };
  const start = performance.now();
  let now = { what: "", count: 0 };
  let drawnAt = Number.NEGATIVE_INFINITY;
  const draw = () => {
    const { what, count } = now;
    const seconds = Math.round((performance.now() - start) / 1000);
    const words = [title[lang], what, count > 0 ? count.toLocaleString("en") : "", `${seconds} s`];
    const line = words.filter((word) => word !== "").join(" · ");
    err(`${ERASE}${stringWidth(line) < width ? line : line.slice(0, Math.floor(width / 2))}`);
    drawnAt = performance.now();
  };
  // the seconds go on while nothing comes
  const timer = setInterval(draw, 1000);
  return {
    show(what, count = 0) {
      now = { what, count };
      if (performance.now() - drawnAt >= PAUSE) draw();
    },
    clear() {
      clearInterval(timer);
      err(ERASE);
    },
  };
}
