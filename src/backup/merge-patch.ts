/** The merge patch (RFC 7386) that makes one value of another. */
import { isFields } from "./restorable.ts";

type Fields = Readonly<Record<string, unknown>>;

/** @returns undefined if they are equal already */
export function mergePatchBetween(from: Fields, to: Fields): Fields | undefined {
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  const patch = keys.flatMap((key): [string, unknown][] => {
    const [was, is] = [from[key], to[key]];
    if (is === undefined) return [[key, null]];
    if (isFields(was) && isFields(is)) {
      const inner = mergePatchBetween(was, is);
      return inner ? [[key, inner]] : [];
    }
    return isEqual(was, is) ? [] : [[key, is]];
  });
  return patch.length === 0 ? undefined : Object.fromEntries(patch);
}

function isEqual(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, at) => isEqual(item, b[at]));
  if (isFields(a) && isFields(b)) return mergePatchBetween(a, b) === undefined;
  return a === b;
}
