/** When the evidence was taken, and how old things were then. All times are milliseconds since 1970 (UTC). */
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";

export interface CaptureTime {
  /** The end of the capture; undefined if nothing tells. */
  readonly now: number | undefined;
  /** RFC 3339 of `now`. */
  readonly nowText: string | undefined;
  /** How long before the capture something happened, in milliseconds; undefined if unknown. */
  age(at: string | null | undefined): number | undefined;
}

/** @returns milliseconds since 1970 of an RFC 3339 time, or undefined */
export function timeOf(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

export function captureTime(capture: Capture): CaptureTime {
  const cluster = known(capture.get("cluster"));
  let now = timeOf(cluster?.endedAt ?? cluster?.capturedAt ?? cluster?.startedAt);
  if (now === undefined) {
    // the newest thing that anything in the capture says is the closest we know
    for (const { observed } of capture.all("containerLog")) {
      const last = timeOf(known(observed)?.lastAt);
      if (last !== undefined && (now === undefined || last > now)) now = last;
    }
  }
  const at = now;
  return {
    now: at,
    nowText: at === undefined ? undefined : new Date(at).toISOString(),
    age(text) {
      const time = timeOf(text);
      return time === undefined || at === undefined ? undefined : at - time;
    },
  };
}

/** The same, of evidence that was read before the end of the capture. @param at milliseconds; undefined if it is not known */
export function earlierOf(time: CaptureTime, at: number | undefined): CaptureTime {
  if (at === undefined || time.now === undefined || at >= time.now) return time;
  return {
    now: at,
    nowText: new Date(at).toISOString(),
    age(text) {
      const then = timeOf(text);
      return then === undefined ? undefined : at - then;
    },
  };
}
