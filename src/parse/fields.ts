/**
 * Reads values whose types nobody has checked: the fields of JSON and YAML objects, and numbers in text.
 *
 * A field that is missing or null is absent; a field of another type than expected makes its object unreadable, and
 * what is wrong with it is said in words, for a gap.
 */
import { itemSplitter } from "./json/items.ts";
import { CUT_OFF, type Gap, type Parsed } from "./parsed.ts";

export type Fields = Readonly<Record<string, unknown>>;

type Kinds = {
  string: string;
  /** JSON.parse reads 1e999 as Infinity: only numbers that are exact count as integers */
  integer: number;
  boolean: boolean;
  object: Fields;
  objects: readonly Fields[];
  strings: readonly string[];
};
type Kind = keyof Kinds;
type Spec = Readonly<Record<string, Kind | `${Kind}?`>>;
type KindOf<S> = S extends `${infer K extends Kind}?` ? K : S extends Kind ? S : never;

/** What `fitted` gives for a spec: a kind with a question mark may be absent. */
export type Fitted<S extends Spec> = {
  readonly [K in keyof S as S[K] extends Kind ? K : never]: Kinds[KindOf<S[K]>];
} & { readonly [K in keyof S as S[K] extends Kind ? never : K]: Kinds[KindOf<S[K]>] | undefined };

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const CHECKS: { readonly [K in Kind]: (value: unknown) => boolean } = {
  string: (value) => typeof value === "string",
  integer: (value) => Number.isSafeInteger(value),
  boolean: (value) => typeof value === "boolean",
  object: isObject,
  objects: (value) => Array.isArray(value) && value.every(isObject),
  strings: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
};

/** @returns the fields that `spec` names, or what is wrong with them, e.g. `dst: expected string` */
export function fitted<S extends Spec>(object: Fields, spec: S): Fitted<S> | string {
  const fitted: Record<string, unknown> = {};
  for (const key in spec) {
    const wanted: string = spec[key]!;
    const isOptional = wanted.endsWith("?");
    const kind = (isOptional ? wanted.slice(0, -1) : wanted) as Kind;
    const value = Object.hasOwn(object, key) ? object[key] : undefined;
    if (value === undefined || value === null) {
      if (!isOptional) return `${key}: expected ${kind}, is missing`;
    } else if (CHECKS[kind](value)) fitted[key] = value;
    else return `${key}: expected ${kind}`;
  }
  return fitted as Fitted<S>;
}

/** Like `fitted`, for a configuration: a field that does not fit is a gap, and the others are kept. */
export function fitEach<S extends Spec>(object: Fields, spec: S, gaps: Gap[], pointer = ""): Partial<Fitted<S>> {
  const kept: Record<string, unknown> = {};
  for (const key in spec) {
    const one = fitted(object, { [key]: spec[key]! });
    if (typeof one === "string") gaps.push({ pointer: `${pointer}/${key}`, what: one.slice(key.length + 2) });
    else Object.assign(kept, one);
  }
  return kept as Partial<Fitted<S>>;
}

/**
 * Reads each object of a JSON array, as `ip -j` and `bridge -j` print it. These tools also print `[]` when there is
 * nothing, so an empty text is a cut-off one; and `{}` for entries that they filtered (a fault of theirs), which is no
 * entry.
 * @param read gives the value, or what is wrong with the object; `note` keeps the object and gives a part of it back
 */
export function readObjects<T extends object>(
  text: string,
  read: (item: Fields, note: (gap: Gap) => void, index: number) => T | string,
): Parsed<readonly T[]> {
  const value: T[] = [];
  const gaps: Gap[] = [];
  const splitter = itemSplitter(undefined, (item, index) => {
    const at = `/${index}`;
    if (!isObject(item)) gaps.push({ pointer: at, what: "expected an object" });
    else if (Object.keys(item).length > 0) {
      const result = read(item, (gap) => gaps.push({ ...gap, pointer: at + (gap.pointer ?? "") }), index);
      if (typeof result === "string") gaps.push({ pointer: at, what: result });
      else value.push(result);
    }
  });
  if (text === "") return { value, gaps: [{ pointer: "", what: CUT_OFF }] };
  // the blank is a head: without any, itemSplitter takes a whole array for an empty text
  splitter.write(` ${text}`);
  return { value, gaps: [...gaps, ...splitter.end().gaps] };
}

type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The object without the keys whose value is undefined, as optional fields are to be. */
export function compact<T extends object>(object: T): Compact<T> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(object)) if (value !== undefined) kept[key] = value;
  return kept as Compact<T>;
}

/** The value of decimal digits, and nothing else: no sign, no blank, nothing that a double cannot hold. */
export function wholeNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A port with 0, which stands for any or none. */
function portNumber(text: string): number | undefined {
  const port = wholeNumber(text);
  return port !== undefined && port <= 65535 ? port : undefined;
}

/** Splits `10.0.0.1:80` and `[fd00::1]:80` at the last colon. */
export function splitPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const colon = text.lastIndexOf(":");
  const port = portNumber(text.slice(colon + 1));
  return colon < 0 || port === undefined ? undefined : { host: text.slice(0, colon), port };
}

/** Without the brackets that IPv6 addresses wear before a port. */
export function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}

/** A link-layer address of six bytes in lower case; tunnels have IP addresses in its place, and those are none. */
export function macOf(text: string | undefined): string | undefined {
  const mac = text?.toLowerCase();
  return mac !== undefined && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) ? mac : undefined;
}
