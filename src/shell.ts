/** Command lines for a person to paste. Their names are from bundles, and bundles from strangers: each stays one word. */

/** What to type, and on which node; without one, wherever kubectl works. */
export type Command = { readonly run: string; readonly node?: string };

/** Quotes a word for a POSIX shell, if it needs it. */
export function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line: whatever is put into it is one word of it, or a part of one. */
export function sh(parts: TemplateStringsArray, ...words: readonly (string | number)[]): string {
  return String.raw({ raw: parts }, ...words.map((word) => shellWord(String(word))));
}
