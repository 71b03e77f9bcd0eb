/**
 * What we know of one fact.
 *
 * "It is not there" and "we could not look" lead to opposite advice, so they are different values, by type, from the
 * source to the report. A value that was read only in part (a list cut off, a line that makes no sense) is present with
 * gaps: it proves what it shows and never what it lacks.
 */
import { CUT_OFF, type Gap } from "../parse/parsed.ts";
import type { Origin } from "./origin.ts";
import type { Denial } from "./rights.ts";

export type Observed<T> = Present<T> | Absent | Unknown;

export type Present<T> = {
  readonly state: "present";
  readonly value: T;
  /** What of it could not be read. Empty: the value is whole, and what it lacks is absent. */
  readonly gaps: readonly Gap[];
  readonly origin: Origin;
};
export type Absent = { readonly state: "absent"; readonly origin: Origin };
export type Unknown = { readonly state: "unknown"; readonly why: Blindness; readonly origin: Origin };

export type Blindness =
  /** nobody asked for it, or it was lost on the way here */
  | { readonly reason: "not-collected" }
  /** it was asked for and could not be had; `message` is what the tool or the API answered */
  | { readonly reason: "failed"; readonly message: string }
  /** who asked for it may not have it */
  | { readonly reason: "forbidden"; readonly message: string; readonly denial: Denial }
  /** the part that would tell is cut off */
  | { readonly reason: "cut-off" }
  /** it is there and makes no sense */
  | { readonly reason: "unreadable"; readonly message: string }
  /** it is larger than we read */
  | { readonly reason: "too-large"; readonly message: string };

export function present<T>(value: T, origin: Origin, gaps: readonly Gap[] = []): Present<T> {
  return { state: "present", value, gaps, origin };
}

export function absent(origin: Origin): Absent {
  return { state: "absent", origin };
}

export function unknown(why: Blindness, origin: Origin): Unknown {
  return { state: "unknown", why, origin };
}

/** The value as far as it is known: undefined when absent or unknown. For proving presence only. */
export function known<T>(observed: Observed<T>): T | undefined {
  return observed.state === "present" ? observed.value : undefined;
}

/** Whether what the value lacks is really absent. */
export function isWhole<T>(observed: Observed<T>): observed is Present<T> {
  return observed.state === "present" && observed.gaps.length === 0;
}

/** Whether it lacks nothing but what came after some point. */
export function isCutOff({ gaps }: Present<unknown>): boolean {
  return gaps.length > 0 && gaps.every(({ what }) => what === CUT_OFF);
}

/**
 * Looks for one part inside an observed whole: present if `find` finds it; otherwise absent if the whole was read
 * completely, else unknown.
 */
export function partOf<T, P>(whole: Observed<T>, find: (value: T) => P | undefined): Observed<P> {
  if (whole.state !== "present") return whole;
  const part = find(whole.value);
  if (part !== undefined) return present(part, whole.origin);
  return whole.gaps.length === 0 ? absent(whole.origin) : unknown({ reason: "cut-off" }, whole.origin);
}
