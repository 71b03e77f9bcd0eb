/** Paths in a bundle: from a kind and a place to a path, and back. */
import { catalogue, type KindId } from "./catalogue.ts";
import type { Kind, Place } from "./kind.ts";

type Pattern = { readonly kind: KindId; readonly regex: RegExp; readonly fields: readonly (keyof Place)[] };

const KIND_IDS = Object.keys(catalogue) as KindId[];

const PATTERNS: readonly Pattern[] = KIND_IDS.map((kind) => {
  const fields: (keyof Place)[] = [];
  const source = catalogue[kind].path
    .replace(/[.]/g, "\\.")
    .replace(/json$/, (catalogue[kind] as Kind<unknown>).plain ? "(?:json|txt)" : "json")
    .replace(/\*/g, "[^/]+")
    .replace(/\{(\w+)\}/g, (_, field: keyof Place) => {
      fields.push(field);
      return "([^/]+)";
    });
  return { kind, fields, regex: new RegExp(`^${source}$`) };
  // the more fixed a path, the earlier it is tried: `x.previous.log` before `{container}.log`
}).sort((a, b) => catalogue[b.kind].path.length - catalogue[a.kind].path.length);

/** A template with the names of a place in its braces. */
export const filledWith = (place: Place, template: string): string =>
  template.replace(/\{(\w+)\}/g, (whole, field: keyof Place) => place[field] ?? whole);

/** The path of a kind of evidence at a place, as it stands in a bundle of ours. */
export function pathOf(kind: KindId, place: Place = {}): string {
  return filledWith(place, catalogue[kind].path).replace("*", "v1");
}

export type PathMatch = {
  readonly kind: KindId;
  readonly place: Place;
  /** The file is the reason why the evidence could not be had (`<name>.err`). */
  readonly isError: boolean;
  /** The objects stand a line each (`.jsonl` in place of `.json`). */
  readonly isLines: boolean;
};

/** @returns what a path of a bundle holds; undefined if the catalogue knows nothing of it. */
export function matchPath(path: string): PathMatch | undefined {
  const isError = path.endsWith(".err");
  const bare = isError ? path.slice(0, -".err".length) : path;
  for (const name of isError ? [bare, `${bare}.json`] : [bare]) {
    for (const { kind, regex, fields } of PATTERNS) {
      const isList = "list" in catalogue[kind].how;
      const isLines = isList && name.endsWith(".jsonl");
      const match = regex.exec(isLines ? name.slice(0, -1) : name);
      if (!match) continue;
      const place = Object.fromEntries(fields.map((field, index) => [field, match[index + 1]!])) as Place;
      return { kind, place, isError, isLines };
    }
  }
  return undefined;
}

const ABSENT = ".absent";

/** What a file speaks of that says that there is nothing: the API serves no such list, the node has no such thing. */
export const absentPath = (path: string): string | undefined =>
  path.endsWith(ABSENT) ? path.slice(0, -ABSENT.length) : undefined;

/** Whether the catalogue knows a path, or one of which a file says that there is nothing. */
export const isEvidence = (path: string): boolean => matchPath(absentPath(path) ?? path) !== undefined;

/** Evidence at equal keys is the same evidence, whatever the version in its API path. */
export function keyOf(kind: KindId, place: Place): string {
  return [kind, place.node, place.namespace, place.pod, place.container, place.file].join("\u0000");
}
