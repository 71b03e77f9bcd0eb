/**
 * YAML in one form: equal values are equal texts, on every machine and with every version of any library, so that a text
 * can be known by its digest.
 *
 * Fields are sorted, but for those by which a person knows an object. Whatever some reader of YAML (1.1, as Kubernetes'
 * own, or 1.2) could take for something else than a string is quoted as JSON does, which is YAML too; texts of several
 * lines stay lines.
 */

const FIRST: readonly string[] = ["apiVersion", "kind", "metadata", "name", "namespace"];

function inOrder([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  const [x, y] = [FIRST.indexOf(a), FIRST.indexOf(b)];
  if (x !== y) return x < 0 ? 1 : y < 0 ? -1 : x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Words that are no strings in YAML 1.1 or 1.2. */
const NO_STRING = /^(?:y|n|yes|no|on|off|true|false|null)$/i;
/** Begins like a word or a path and has nothing in it that means something. */
const PLAIN = /^[A-Za-z/][\w./@-]*(?::[\w./@-]+)*$/;
/** What YAML wants escaped, and JSON does not always. */
const UNPRINTABLE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/;

const isPlain = (text: string): boolean => PLAIN.test(text) && !NO_STRING.test(text);

/** A string on one line. */
function quoted(text: string): string {
  if (isPlain(text)) return text;
  const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(text).replace(new RegExp(UNPRINTABLE, "g"), code);
}

/** A string of several lines as a literal block, its lines behind `indent`; undefined if it cannot be one. */
function block(text: string, indent: string): string | undefined {
  const isEnded = text.endsWith("\n");
  const lines = (isEnded ? text.slice(0, -1) : text).split("\n");
  if (!text.includes("\n") || UNPRINTABLE.test(text)) return undefined;
  // these need marks of their own, and nobody sees them
  if (/^\s|^$/.test(lines[0]!) || lines.at(-1) === "" || lines.some((line) => /\s$/.test(line))) return undefined;
  return [isEnded ? "|" : "|-", ...lines.map((line) => (line === "" ? "" : indent + line))].join("\n");
}

function scalar(value: unknown, indent: string): string {
  if (typeof value === "string") return block(value, indent) ?? quoted(value);
  return JSON.stringify(value) ?? "null";
}

const isEmpty = (value: object): boolean => Object.keys(value).length === 0;

function write(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      if (typeof item !== "object" || item === null || isEmpty(item)) return [`${indent}- ${inline(item, indent)}`];
      const [first = "", ...rest] = write(item, `${indent}  `);
      return [`${indent}- ${first.slice(indent.length + 2)}`, ...rest];
    });
  }
  return Object.entries(value as object)
    .filter(([, part]) => part !== undefined)
    .sort(inOrder)
    .flatMap(([key, part]) => {
      if (typeof part !== "object" || part === null || isEmpty(part))
        return [`${indent}${quoted(key)}: ${inline(part, indent)}`];
      // as kubectl does, lists stand under their field without an indent
      return [`${indent}${quoted(key)}:`, ...write(part, Array.isArray(part) ? indent : `${indent}  `)];
    });
}

function inline(value: unknown, indent: string): string {
  if (Array.isArray(value)) return "[]";
  if (typeof value === "object" && value !== null) return "{}";
  return scalar(value, `${indent}  `);
}

/** One object as a document, its last line ended. */
export const canonicalYaml = (object: object): string => `${write(object, "").join("\n")}\n`;
