/** Files as no collector writes them: recorded ones in which something was replaced, renamed, taken out or garbled. */
import fc from "fast-check";

/** One thing that is done to one file. Numbers choose among what the file has. */
export type Mutation = {
  readonly file: number;
  /** The way down from the top of JSON: of each value one of its members; it ends early at the `stop`th level. */
  readonly way: readonly number[];
  readonly stop: number;
  readonly how: "replace" | "remove" | "nullify" | "rename" | "repeat" | "borrow" | "garble";
  /** JSON. */
  readonly value: string;
  readonly at: number;
  readonly length: number;
};

const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

/** Values that are of the wrong type, or of the right one and make no sense. */
const VALUES: readonly string[] = [
  ...["null", "true", "false", "0", "-1", "1.5", "65536", "4294967296", "-9007199254740993", "1e308", "1e999"],
  ...["[]", "[null]", "[[]]", "{}", '{"":""}', '{"__proto__":{"isWrong":true}}', '{"constructor":{"prototype":null}}'],
  ...[deep(20), deep(1000), `${'{"a":'.repeat(90)}1${"}".repeat(90)}`, `[${"0,".repeat(2000)}0]`],
];

/** Words that mean something somewhere, or to JavaScript. */
const WORDS: readonly string[] = [
  ...["", " ", "\n", "\u0000", "\ufffd", "\ud800", "None", "null", "*", "/", ":", "{name}", "{count:is|are}", "a|b"],
  ...[
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "../..",
    "$&",
    "$1",
    "\\",
    "(",
    "[a-",
    "x".repeat(70_000),
  ],
  ...["0", "-1", "65536", "1e9", "NaN", "0x7fffffff", "08"],
  ...["0.0.0.0", "0.0.0.0/0", "::", "::/0", "::ffff:10.96.0.1", "fd00::1/129", "255.255.255.255/32", "10.96.0.1/-1"],
  ...["10.0.0.0/31", "10.0.0.0/32", "fe80::1%eth0", "127.0.0.1", "224.0.0.1", "999.1.1.1", "[::1]:53", "10.96.0.10:"],
  ...["9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", "-271821-04-20T00:00:00Z", "2026-02-30T25:61:61Z", "tomorrow"],
  ...["UDP", "SCTP", "tcp", "ExternalName", "Local", "In", "Exists", "NotIn", "Gt", "False", "Unknown"],
  ...["system:serviceaccount:a:b", "kube-system", "kube-dns", "default", "kubernetes", "cp1", "w1", "a/b/c", "a:b"],
];

const JUNK = [
  "\n",
  "\n\n",
  "\r\n",
  " ",
  "\t",
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "-A ",
  "!",
  "%",
  "0",
  "\u0000",
  "\ufffd",
];

const value = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...VALUES) },
  { weight: 3, arbitrary: fc.constantFrom(...WORDS).map((word) => JSON.stringify(word)) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 2 }) },
);

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  file: fc.nat(),
  way: fc.array(fc.nat(), { minLength: 14, maxLength: 14 }),
  // most of what is worth changing stands some levels down
  stop: fc.integer({ min: 1, max: 14 }),
  how: fc.constantFrom(
    "replace",
    "replace",
    "remove",
    "remove",
    "nullify",
    "nullify",
    "rename",
    "repeat",
    "borrow",
    "garble",
  ),
  value,
  at: fc.nat(),
  length: fc.nat(60),
});

type Box = Record<string, unknown>;

/** Sets a member, also one that is called `__proto__`. */
function put(box: Box, key: string, member: unknown): void {
  Object.defineProperty(box, key, { value: member, enumerable: true, configurable: true, writable: true });
}

function renamed(box: Box, key: string, name: string): void {
  const member = box[key];
  delete box[key];
  put(box, name, member);
}

/** Takes a piece out of a text, doubles it, or puts junk in its place. */
export function garbled(
  text: string,
  { at, length, way: [kind = 0] }: Pick<Mutation, "at" | "length" | "way">,
): string {
  const start = at % (text.length + 1);
  const [before, piece, after] = [text.slice(0, start), text.slice(start, start + length), text.slice(start + length)];
  switch (kind % 4) {
    case 0:
      return before + after;
    case 1:
      return before + piece + piece + after;
    case 2:
      return before + JUNK[kind % JUNK.length]!.repeat(1 + (length % 3)) + after;
    default:
      return before;
  }
}

function changeIn(root: unknown, { way, stop, how, value, at, length }: Mutation): void {
  let box = root as Box;
  for (const [level, turn] of way.entries()) {
    const keys = Object.keys(box);
    const key = keys[turn % keys.length];
    if (key === undefined) return;
    const member = box[key];
    const isLeaf = typeof member !== "object" || member === null || Object.keys(member).length === 0;
    if (!isLeaf && level < stop - 1) {
      box = member as Box;
      continue;
    }
    if (how === "remove") delete box[key];
    else if (how === "nullify") box[key] = null;
    else if (how === "rename" && !Array.isArray(box)) renamed(box, key, String(JSON.parse(value)).slice(0, 100));
    else if (how === "repeat" && Array.isArray(box)) box.push(member);
    else if (how === "borrow") put(box, key, box[keys[at % keys.length]!]);
    else if (how === "garble" && typeof member === "string") put(box, key, garbled(member, { at, length, way }));
    else put(box, key, JSON.parse(value));
    return;
  }
}

/** The text with changes made to it: in JSON to single values, in other text, and now and then in JSON, to any part. */
export function mutated(path: string, text: string, changes: readonly Mutation[]): string {
  const isJson = path.endsWith(".json");
  const isLines = path.endsWith(".jsonl");
  const isOfText = ({ how, stop }: Mutation) => (!isJson && !isLines) || (how === "garble" && stop === 1);
  const inside = changes.filter((change) => !isOfText(change));
  const left = isJson ? changedJson(text, inside) : isLines ? changedLines(text, inside) : text;
  return changes.filter(isOfText).reduce(garbled, left);
}

function changedJson(text: string, changes: readonly Mutation[]): string {
  if (changes.length === 0) return text;
  const root: unknown = JSON.parse(text);
  for (const change of changes) changeIn(root, change);
  return JSON.stringify(root);
}

function changedLines(text: string, changes: readonly Mutation[]): string {
  const lines = text.trimEnd().split("\n");
  for (const change of changes) {
    const line = change.at % lines.length;
    const root: unknown = JSON.parse(lines[line]!);
    if (typeof root !== "object" || root === null) continue;
    changeIn(root, change);
    lines[line] = JSON.stringify(root);
  }
  return `${lines.join("\n")}\n`;
}

/** A field of the objects of a list: where it stands in those that have it. */
export type Field = { readonly name: string; readonly places: readonly { readonly box: Box; readonly key: string }[] };

/** Maps whose keys are data. */
const MAPS = /^(labels|annotations|data|matchLabels|selector|nodeSelector)$/;

/** The fields of objects, by their names: `spec.ports.*.nodePort`. */
export function fieldsOf(objects: readonly unknown[]): Field[] {
  const found = new Map<string, { box: Box; key: string }[]>();
  const visit = (box: Box, path: string, isData: boolean): void => {
    for (const key of Object.keys(box)) {
      const name = `${path}${Array.isArray(box) || isData ? "*" : key}`;
      const places = found.get(name) ?? [];
      found.set(name, places);
      places.push({ box, key });
      const member = box[key];
      if (typeof member === "object" && member !== null) visit(member as Box, `${name}.`, MAPS.test(key));
    }
  };
  for (const one of objects) visit(one as Box, "", false);
  return [...found].map(([name, places]) => ({ name, places }));
}
