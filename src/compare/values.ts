/** What differs between two values of JSON, field by field. The order of lists does not count. */

export type FieldChange = { readonly path: string; readonly before?: string; readonly after?: string };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Go writes an empty slice, an empty map and nothing at all in turn. */
const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (Array.isArray(value) && value.length === 0) ||
  (isObject(value) && Object.keys(value).length === 0);

/** The same text for equal values, whatever the order of fields and of lists. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).sort().join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "null";
  const fields = Object.keys(value)
    .filter((key) => !isNothing(value[key]))
    .sort();
  return `{${fields.map((key) => `${key}:${canonical(value[key])}`).join(",")}}`;
}

const shown = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** By what the elements of a list are told apart, if all have it and no two the same. */
function keyOf(lists: readonly (readonly unknown[])[]): string | undefined {
  return ["name", "key", "type", "port"].find((field) =>
    lists.every((list) => {
      const keys = list.map((item) => (isObject(item) ? item[field] : undefined));
      return (
        keys.every((key) => typeof key === "string" || typeof key === "number") && new Set(keys).size === keys.length
      );
    }),
  );
}

const step = (path: string, key: string): string =>
  /^[\w-]+$/.test(key) ? (path === "" ? key : `${path}.${key}`) : `${path}["${key}"]`;

export function changesBetween(before: unknown, after: unknown, path = ""): FieldChange[] {
  if (canonical(before) === canonical(after) || (isNothing(before) && isNothing(after))) return [];
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].sort().flatMap((key) => changesBetween(before[key], after[key], step(path, key)));
  }
  if (Array.isArray(before) && Array.isArray(after)) return listChanges(before, after, path);
  if (typeof before === "string" && typeof after === "string" && /\n/.test(before + after)) {
    return lineChanges(before.split("\n"), after.split("\n"), path);
  }
  return [
    { path, ...(!isNothing(before) && { before: shown(before) }), ...(!isNothing(after) && { after: shown(after) }) },
  ];
}

function listChanges(before: readonly unknown[], after: readonly unknown[], path: string): FieldChange[] {
  const key = keyOf([before, after]);
  if (key === undefined) return lineChanges(before.map(readable), after.map(readable), path);
  const byKey = (list: readonly unknown[]) =>
    new Map(list.map((item) => [String((item as Record<string, unknown>)[key]), item]));
  const [old, now] = [byKey(before), byKey(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) =>
    changesBetween(old.get(name), now.get(name), `${path}[${name}]`),
  );
}

/** Elements that are equal but for the order of their own lists read the same. */
const readable = (item: unknown): string => (typeof item === "string" ? item : canonical(item));

/** Lines that went and lines that came, each as often as it did; where they stood does not count. */
export function lineChanges(before: readonly string[], after: readonly string[], path: string): FieldChange[] {
  const left = new Map<string, number>();
  for (const line of after) left.set(line, (left.get(line) ?? 0) + 1);
  const gone: FieldChange[] = [];
  for (const line of before) {
    const count = left.get(line) ?? 0;
    if (count > 0) left.set(line, count - 1);
    else if (line.trim() !== "") gone.push({ path, before: line });
  }
  const came: FieldChange[] = [];
  for (const line of after) {
    const count = left.get(line) ?? 0;
    if (count === 0) continue;
    left.set(line, count - 1);
    if (line.trim() !== "") came.push({ path, after: line });
  }
  return [...gone, ...came];
}
