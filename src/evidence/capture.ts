/**
 * A capture: all the evidence about one cluster at one time, read and parsed.
 *
 * The three ways to evidence (live, agents, bundle) all end here, and everything after is pure.
 */
import type { ApiList } from "../parse/api-list.ts";
import type { ManifestEntry } from "../parse/manifest.ts";
import type { Gap, Parsed } from "../parse/parsed.ts";
import { type Text, texts } from "../text.ts";
import { catalogue, type KindId, type ValueOf } from "./catalogue.ts";
import type { Kind, Place } from "./kind.ts";
import { absent, type Blindness, type Observed, present, unknown } from "./observed.ts";
import type { Origin } from "./origin.ts";
import { absentPath, keyOf, matchPath, type PathMatch, pathOf } from "./path.ts";
import { denialIn } from "./rights.ts";

export type Captured<T> = { readonly place: Place; readonly observed: Observed<T> };

/** What befell the evidence on its way here: a refused entry, a limit reached, a damaged archive. */
export type CaptureNote = { readonly path: string; readonly what: Text };

export interface Capture {
  /** One piece of evidence; unknown ("not collected") if it is not in the capture. */
  get<K extends KindId>(kind: K, place?: Place): Observed<ValueOf<K>>;
  /** All pieces of one kind that were collected, or tried, in the order of their paths. */
  all<K extends KindId>(kind: K): readonly Captured<ValueOf<K>>[];
  /** How many files it was made from that the catalogue knows. */
  readonly size: number;
  readonly notes: readonly CaptureNote[];
}

/** How a file ended: with how many bytes, and why early if it did not come whole. */
export type Ending = { readonly bytes: number; readonly cutOff?: string };

/** Where a source writes one file. */
export type Sink = {
  write(piece: string): void;
  end(ending: Ending): void;
};

export type Intake = {
  /** @returns undefined for a path that the catalogue does not know; its content need not be read */
  open(path: string): Sink | undefined;
  /** What a path would hold is not there: the API does not serve it, the node does not have it. */
  absent(path: string): void;
  note(path: string, what: Text): void;
  capture(): Capture;
};

type Entry = {
  readonly place: Place;
  readonly observed: Observed<unknown>;
  readonly path: string;
  readonly bytes: number;
};

function originOf(kind: KindId, place: Place, path: string): Origin {
  const { how } = catalogue[kind];
  const node = place.node === undefined ? {} : { node: place.node };
  if ("list" in how || "get" in how) return { kind: "api", path };
  if ("logs" in how || kind === "kubeletLog") return { kind: "log", path, ...node };
  if ("command" in how || "exec" in how) return { kind: "command", path, ...node };
  return { kind: kind === "probes" ? "probe" : "file", path, ...node };
}

/** What a file tells, once it has been read. */
function judge(kind: KindId, parsed: Parsed<unknown>, gaps: readonly Gap[], isEmpty: boolean, origin: Origin) {
  if (isEmpty && catalogue[kind].empty === "tells-nothing") {
    return unknown({ reason: "unreadable", message: "the file is empty" }, origin);
  }
  // the body of a refused call is no list: it shows no object, and proves the absence of none
  const shows = (parsed.value as Partial<ApiList<unknown>>).items?.length !== 0;
  if ("list" in catalogue[kind].how && !shows && gaps.length > 0) {
    return unknown({ reason: "unreadable", message: gaps[0]!.what }, origin);
  }
  return present(parsed.value, origin, gaps);
}

/** A file whose content is the reason why evidence could not be had. */
function openError({ kind, place }: PathMatch, path: string, done: (entry: Entry) => void): Sink {
  let message = "";
  return {
    write(piece) {
      if (message.length < 2000) message += piece;
    },
    end({ bytes }) {
      const words = message.trim().slice(0, 500);
      const denial = denialIn(words);
      const why: Blindness = denial
        ? { reason: "forbidden", message: words, denial }
        : { reason: "failed", message: words };
      done({ place, path, bytes, observed: unknown(why, originOf(kind, place, path)) });
    },
  };
}

/** Gives of equal values always the first: every node of a large cluster has an entry for each other one. */
type Once = (value: unknown) => unknown;

function once(): Once {
  const kept = new Map<string, unknown>();
  return (value) => {
    const text = JSON.stringify(value);
    const first = kept.get(text);
    if (first !== undefined) return first;
    kept.set(text, value);
    return value;
  };
}

function openEvidence(
  { kind, place, isLines }: PathMatch,
  path: string,
  keep: Once,
  done: (entry: Entry) => void,
): Sink {
  const { open, openLines, repeats } = catalogue[kind] as Kind<unknown>;
  const reader = isLines && openLines ? openLines() : open();
  const origin = originOf(kind, place, path);
  let isEmpty = true;
  let crash: string | undefined;
  // a parser must not throw; if one does, its file is unreadable and the rest of the capture still counts
  const guarded = <T>(step: () => T): T | undefined => {
    if (crash !== undefined) return undefined;
    try {
      return step();
    } catch (error) {
      crash = (error as Error).message;
      return undefined;
    }
  };
  return {
    write(piece) {
      if (piece !== "") isEmpty = false;
      guarded(() => reader.write(piece));
    },
    end({ bytes, cutOff }) {
      const parsed = guarded(() => {
        const read = reader.end();
        return repeats ? { ...read, value: (read.value as readonly unknown[]).map(keep) } : read;
      });
      const observed = parsed
        ? judge(kind, parsed, cutOff === undefined ? parsed.gaps : [...parsed.gaps, { what: cutOff }], isEmpty, origin)
        : unknown({ reason: "unreadable", message: crash! }, origin);
      done({ place, path, bytes, observed });
    },
  };
}

const say = texts("capture", {
  more: { en: "{count} more {count:remark|remarks} of this kind", zh: "另有 {count} 条类似说明" },
});

const MOST_NOTES = 1000;

const openAbsence = (told: () => void): Sink => ({ write() {}, end: told });

/** Takes evidence in, file by file, and parses each while it arrives. */
export function createIntake(): Intake {
  const entries = new Map<string, Entry>();
  const failures = new Map<string, Entry>();
  const notes: CaptureNote[] = [];
  const keep = once();
  let dropped = 0;
  return {
    open(path) {
      const bare = absentPath(path);
      if (bare !== undefined) {
        return matchPath(bare) && openAbsence(() => this.absent(bare));
      }
      const match = matchPath(path);
      if (!match) return undefined;
      const key = keyOf(match.kind, match.place);
      return match.isError
        ? openError(match, path, (entry) => failures.set(key, entry))
        : openEvidence(match, path, keep, (entry) => entries.set(key, entry));
    },
    absent(path) {
      const match = matchPath(path);
      if (!match) return;
      const { kind, place } = match;
      const observed = absent(originOf(kind, place, path));
      entries.set(keyOf(kind, place), { place, path, bytes: 0, observed });
    },
    note(path, what) {
      if (notes.length < MOST_NOTES) notes.push({ path, what });
      else dropped++;
    },
    capture() {
      // evidence that did arrive outranks the remark that something went wrong with it
      for (const [key, failure] of failures) if (!entries.has(key)) entries.set(key, failure);
      checkAgainstManifest(entries);
      return captureOf(entries, dropped === 0 ? notes : [...notes, { path: "", what: say.more({ count: dropped }) }]);
    },
  };
}

/** The manifest tells what the files should be: one that came shorter is incomplete, whatever its format can show. */
function checkAgainstManifest(entries: Map<string, Entry>): void {
  const manifest = entries.get(keyOf("manifest", {}))?.observed;
  if (manifest?.state !== "present") return;
  const promised = new Map((manifest.value as readonly ManifestEntry[]).map((entry) => [entry.path, entry]));
  for (const [key, entry] of entries) {
    const promise = promised.get(entry.path);
    if (!promise || entry.observed.state !== "present") continue;
    const flaw = flawOf(promise, entry.bytes);
    if (flaw === undefined) continue;
    const { value, origin, gaps } = entry.observed;
    entries.set(key, { ...entry, observed: present(value, origin, [...gaps, { what: flaw }]) });
  }
}

function flawOf(promise: ManifestEntry, bytes: number): string | undefined {
  if (promise.complete === false) return "the collector could not take all of it";
  if (promise.bytes !== undefined && promise.bytes !== bytes) {
    return `the manifest promises ${promise.bytes} bytes, ${bytes} are here`;
  }
  return undefined;
}

function captureOf(entries: ReadonlyMap<string, Entry>, notes: readonly CaptureNote[]): Capture {
  const byKind = new Map<KindId, Entry[]>();
  for (const [key, entry] of entries) {
    const kind = key.slice(0, key.indexOf("\u0000")) as KindId;
    const list = byKind.get(kind);
    if (list) list.push(entry);
    else byKind.set(kind, [entry]);
  }
  for (const list of byKind.values()) list.sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    get<K extends KindId>(kind: K, place: Place = {}) {
      const entry = entries.get(keyOf(kind, place));
      if (entry) return entry.observed as Observed<ValueOf<K>>;
      return unknown({ reason: "not-collected" }, originOf(kind, place, pathOf(kind, place)));
    },
    all: <K extends KindId>(kind: K) => (byKind.get(kind) ?? []) as unknown as readonly Captured<ValueOf<K>>[],
    size: entries.size,
    notes,
  };
}
