/**
 * A sentence that a user reads, in English and in Chinese.
 *
 * Sentences are written as templates beside the code that needs them. `{name}` is replaced by an argument and
 * `{count:node|nodes}` by the form that fits the number `count`; the argument names are checked by the compiler, and so
 * is that neither language is missing. What a machine printed (log lines, names, commands) is an argument: it is never
 * translated.
 */
export type Text = {
  /** Names the sentence for ever, e.g. `component-access-denied/role-missing`. */
  readonly id: string;
  readonly args: TextArgs;
  readonly en: string;
  readonly zh: string;
};

/** A list is set with the commas of the language; that {@link fewOf} left some of it out shows at its end. */
export type TextArg = string | number | Text | readonly (string | number | Text)[];
export type TextArgs = { readonly [name: string]: TextArg };
export type Language = "en" | "zh";

/** The two wordings of one sentence, as its author writes them. */
export type Template<En extends string = string> = { readonly en: En; readonly zh: string };

type PlaceholderName<S extends string> = S extends `${infer Name}:${string}` ? Name : S;
type Placeholders<S extends string> = S extends `${string}{${infer Inner}}${infer Rest}`
  ? PlaceholderName<Inner> | Placeholders<Rest>
  : never;

type ArgsOf<S extends string> = [Placeholders<S>] extends [never]
  ? []
  : [args: { readonly [Name in Placeholders<S>]: TextArg }];

/** What `texts()` makes of templates: for each, a function from its arguments to the sentence. */
export type Phrases<T> = {
  readonly [K in keyof T]: T[K] extends { readonly en: infer En extends string }
    ? (...args: ArgsOf<En>) => Text
    : never;
};

type Checked<T> = {
  readonly [K in keyof T]: T[K] extends { readonly en: infer En extends string; readonly zh: infer Zh extends string }
    ? [Placeholders<Zh>] extends [Placeholders<En>]
      ? { readonly en: En; readonly zh: Zh }
      : { readonly en: En; readonly zh: "names an argument that the English sentence does not have" }
    : Template;
};

const HAN_AT_END = /\p{Script=Han}$/u;
const HAN_AT_START = /^\p{Script=Han}/u;
const LATIN_AT_START = /^[A-Za-z0-9]/;
const LATIN_AT_END = /[A-Za-z0-9]$/;

/** Chinese sets a space between its own characters and Latin ones; templates cannot know what an argument begins with. */
function spaced(before: string, after: string): string {
  const isMixed =
    (HAN_AT_END.test(before) && LATIN_AT_START.test(after)) || (LATIN_AT_END.test(before) && HAN_AT_START.test(after));
  return isMixed ? `${before} ${after}` : before + after;
}

export const isText = (value: TextArg | undefined): value is Text => typeof value === "object" && !Array.isArray(value);

const said = (value: TextArg, language: Language): string => (isText(value) ? value[language] : String(value));

const MORE = "…";

function listed(items: readonly TextArg[], language: Language): string {
  const isCut = items.at(-1) === MORE;
  const words = (isCut ? items.slice(0, -1) : items).map((item) => said(item, language));
  return words.join(language === "en" ? ", " : "、") + (isCut ? ` ${MORE}` : "");
}

/** The first `most` of a list, and whether there are more, for a sentence. */
export const fewOf = <T extends string | number | Text>(items: readonly T[], most: number): readonly (T | string)[] =>
  items.length > most ? [...items.slice(0, most), MORE] : items;

const PLACEHOLDER = /\{([A-Za-z][A-Za-z0-9]*)(?::([^|{}]*)\|([^{}]*))?\}/g;

function argument([whole, name, one, many]: RegExpExecArray, args: TextArgs, language: Language): string {
  const value = Object.hasOwn(args, name!) ? args[name!] : undefined;
  if (value === undefined) return whole;
  if (one !== undefined && many !== undefined) return Number(value) === 1 ? one : many;
  return Array.isArray(value) ? listed(value as readonly TextArg[], language) : said(value, language);
}

function fill(template: string, args: TextArgs, language: Language): string {
  const pieces: string[] = [];
  let end = 0;
  for (const match of template.matchAll(PLACEHOLDER)) {
    pieces.push(template.slice(end, match.index), argument(match, args, language));
    end = match.index + match[0].length;
  }
  pieces.push(template.slice(end));
  return language === "en" ? pieces.join("") : pieces.reduce(spaced);
}

/**
 * Makes the phrases of one module from their templates.
 *
 * @param scope first half of every id: a check's id or a module's name
 */
export function texts<const T extends Record<string, Template>>(scope: string, templates: T & Checked<T>): Phrases<T> {
  const phrases: Record<string, (args?: TextArgs) => Text> = {};
  for (const [key, template] of Object.entries<Template>(templates)) {
    const id = `${scope}/${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    phrases[key] = (args = {}) => ({ id, args, en: fill(template.en, args, "en"), zh: fill(template.zh, args, "zh") });
  }
  return phrases as Phrases<T>;
}

/** Words that read the same in both languages: a name, a number, something a machine printed. */
export function verbatim(words: string): Text {
  return { id: "verbatim", args: { words }, en: words, zh: words };
}

/** Joins sentences or parts of one: English with `en`, Chinese with `zh` between them. */
export function joinTexts(parts: readonly Text[], between: { readonly en: string; readonly zh: string }): Text {
  if (parts.length === 1) return parts[0]!;
  return {
    id: "list",
    args: Object.fromEntries(parts.map((part, index) => [String(index), part])),
    en: parts.map((part) => part.en).join(between.en),
    zh: parts.map((part) => part.zh).join(between.zh),
  };
}
