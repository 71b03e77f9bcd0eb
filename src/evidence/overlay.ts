/** A capture with some of its evidence replaced, as if it had been gathered so. */
import type { Capture, Captured } from "./capture.ts";
import type { KindId, ValueOf } from "./catalogue.ts";
import type { Place } from "./kind.ts";
import type { Observed } from "./observed.ts";
import { keyOf } from "./path.ts";

export type Replacement = { readonly kind: KindId; readonly place: Place; readonly observed: Observed<unknown> };

/** What an overlay is made of: one that is laid over another keeps nothing of it but what still shows. */
const made = new WeakMap<Capture, { readonly base: Capture; readonly byKey: ReadonlyMap<string, Replacement> }>();

export function overlay(over: Capture, replacements: Iterable<Replacement>): Capture {
  const below = made.get(over);
  const capture = below?.base ?? over;
  const byKey = new Map(below?.byKey);
  for (const replacement of replacements) byKey.set(keyOf(replacement.kind, replacement.place), replacement);
  let byKind: Map<KindId, Replacement[]> | undefined;
  const result: Capture = {
    get<K extends KindId>(kind: K, place: Place = {}) {
      const replaced = byKey.get(keyOf(kind, place));
      return replaced ? (replaced.observed as Observed<ValueOf<K>>) : capture.get(kind, place);
    },
    all<K extends KindId>(kind: K) {
      byKind ??= Map.groupBy(byKey.values(), (replacement) => replacement.kind);
      const kept = capture.all(kind).filter(({ place }) => !byKey.has(keyOf(kind, place)));
      const added = byKind.get(kind) ?? [];
      return [...kept, ...added.map(({ place, observed }) => ({ place, observed }) as Captured<ValueOf<K>>)];
    },
    size: capture.size,
    notes: capture.notes,
  };
  made.set(result, { base: capture, byKey });
  return result;
}
