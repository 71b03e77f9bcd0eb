/**
 * What makes a table of objects: its columns, and the cells of one.
 *
 * Source of all that is printed: kubernetes, pkg/printers/internalversion/printers.go, 1.33, compared with what
 * kube-apiserver 1.33.13 answered for the same objects (testing/semantics/tables.json.zst).
 */

/** meta/v1, TableColumnDefinition. Columns of a priority above 0 are printed by `-o wide` only. */
export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
};

export type Cell = string | number | boolean | null;

export type Printer<T = Readonly<Record<string, unknown>>> = {
  readonly columns: readonly Column[];
  /** @param now in milliseconds: ages are told as of then */
  readonly cells: (object: T, now: number) => readonly Cell[];
};

const TYPES: Readonly<Record<string, string>> = { "#": "integer", "?": "boolean", "@": "date" };

/**
 * Columns as a line: `Name, Desired#, Suspend?, Created At@, Images^`. `#`, `?` and `@` tell of numbers, booleans and
 * dates, `^` of columns that `-o wide` adds.
 */
export function columns(line: string): readonly Column[] {
  return line.split(", ").map((word) => {
    const [, name = "", type = "", wide] = /^(.*?)([#?@]?)(\^?)$/.exec(word)!;
    return {
      name,
      type: TYPES[type] ?? "string",
      format: name === "Name" || name === "Attacher" ? "name" : "",
      description: "",
      priority: wide === "^" ? 1 : 0,
    };
  });
}

export function printer<T>(line: string, cells: Printer<T>["cells"]): Printer {
  // what objects look like is for their printers to know; tableOf() guards against those that look otherwise
  return { columns: columns(line), cells: cells as unknown as Printer["cells"] };
}

export type Maybe<T> = T | null | undefined;
export type Dict = Maybe<Readonly<Record<string, string>>>;

export type Metadata = {
  readonly name: string;
  readonly namespace?: Maybe<string>;
  readonly creationTimestamp?: Maybe<string>;
  readonly deletionTimestamp?: Maybe<string>;
  readonly labels?: Dict;
  readonly annotations?: Dict;
  readonly ownerReferences?: Maybe<
    readonly {
      readonly kind: string;
      readonly apiVersion: string;
      readonly name: string;
      readonly controller?: Maybe<boolean>;
    }[]
  >;
};

export const NONE = "<none>";
export const UNKNOWN = "<unknown>";
export const UNSET = "<unset>";

/** How long ago a time was, in one or two units (apimachinery, pkg/util/duration). */
export function ago(time: Maybe<string>, now: number): string {
  const at = Date.parse(time ?? "");
  return Number.isNaN(at) ? UNKNOWN : duration(now - at);
}

/** @param ms milliseconds */
export function duration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return two(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 192) return two(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  return days < 2920 ? two(Math.trunc(days / 365), "y", days % 365, "d") : `${Math.trunc(days / 365)}y`;
}

const two = (large: number, unit: string, small: number, smaller: string): string =>
  small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smaller}`;

export const age = ({ creationTimestamp }: Metadata, now: number): string => ago(creationTimestamp, now);

/** Words with commas between them, or `<none>`. */
export function listed(words: readonly string[], otherwise = NONE): string {
  return words.length === 0 ? otherwise : words.join(",");
}

/** Labels as a selector has them, in the order of their keys. */
export function labelText(labels: Dict): string {
  const keys = Object.keys(labels ?? {}).sort();
  return listed(keys.map((key) => `${key}=${labels![key]}`));
}

export type Selector = Maybe<{
  readonly matchLabels?: Dict;
  readonly matchExpressions?: Maybe<
    readonly { readonly key: string; readonly operator: string; readonly values?: Maybe<readonly string[]> }[]
  >;
}>;

/** A label selector (apimachinery, meta/v1, FormatLabelSelector): requirements in the order of their keys. */
export function selectorText(selector: Selector, otherwise = NONE): string {
  const equal = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => [key, `${key}=${value}`] as const);
  const others = (selector?.matchExpressions ?? []).map(({ key, operator, values }) => {
    const set = `(${[...(values ?? [])].sort().join(",")})`;
    const text = { In: `${key} in ${set}`, NotIn: `${key} notin ${set}`, Exists: key, DoesNotExist: `!${key}` }[
      operator
    ];
    return [key, text ?? "<error>"] as const;
  });
  const parts = [...equal, ...others].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return listed(
    parts.map(([, text]) => text),
    otherwise,
  );
}
