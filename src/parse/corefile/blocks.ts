/**
 * Server blocks of a Corefile: the parser of coredns/caddy (caddyfile/parse.go), with its peculiarities.
 *
 * `ZONE … { DIRECTIVE … }`. The braces of a single block may be left out; a directive's own `{` may stand on the next
 * line; nothing checks what stands between blocks, so that a `}` too many is a zone. Snippets `(name) { … }` are put in
 * place of `import name`.
 */

import type { Gap } from "../parsed.ts";
import { beginsLine, isOnLineOf, type Token, tokensOf } from "./tokens.ts";

export type Block = {
  /** None for a block without zones, which CoreDNS reads and forgets. */
  readonly keys: readonly Token[];
  /** The words of each directive, its name first. */
  readonly directives: readonly (readonly Token[])[];
  readonly line: number;
  /** CoreDNS stops inside it: its last directive is not read to the end. */
  readonly stops?: true;
};

type Blocks = {
  readonly blocks: readonly Block[];
  /** Where CoreDNS stops reading, and at which word. */
  readonly error?: Token;
  readonly gaps: readonly Gap[];
};

/** CoreDNS gives up at 10000 imports; nobody who is honest needs this many. */
const MOST_IMPORTS = 1000;
const MOST_IMPORTED = 50_000;

/** Ends the reading: where CoreDNS ends it too, or undefined where only we do. */
type Stop = { readonly stop: Token | undefined };
const stopAt = (token: Token): Stop => ({ stop: token });

export function blocksOf(text: string): Blocks {
  let tokens = tokensOf(text);
  let cursor = -1;
  let imports = 0;
  let imported = 0;
  const snippets = new Map<string, readonly Token[]>();
  const blocks: Block[] = [];
  const gaps: Gap[] = [];

  const value = () => tokens[cursor]?.text ?? "";
  const token = () => tokens[cursor] ?? { text: "", line: tokens.at(-1)?.line ?? 1 };
  const isNewLine = () => cursor < tokens.length && (cursor < 1 || beginsLine(tokens[cursor]!, tokens[cursor - 1]));
  const next = () => {
    if (cursor >= tokens.length - 1) return false;
    cursor++;
    return true;
  };

  /**
   * Puts what `import` names in its place, and leaves the cursor there. Files are out of reach: their import is passed
   * over.
   */
  function expandImport(): Stop | Token | undefined {
    const start = cursor;
    const at = token();
    const name = tokens[start + 1];
    if (!name || !isOnLineOf(name, at) || name.text === "") return stopAt(at);
    const after = tokens[start + 2];
    if (after && isOnLineOf(after, name)) return stopAt(after);
    const snippet = snippets.get(name.text);
    if (++imports > MOST_IMPORTS || imported + (snippet?.length ?? 0) > MOST_IMPORTED) {
      gaps.push({ line: at.line, what: "imports more than is read" });
      return { stop: undefined };
    }
    imported += snippet?.length ?? 0;
    if (!snippet) gaps.push({ line: at.line, what: `what ${name.text.slice(0, 100)} holds is not known` });
    tokens = [...tokens.slice(0, start), ...(snippet ?? []), ...tokens.slice(start + 2)];
    return snippet ? undefined : name;
  }

  function readKeys(keys: Token[]): Stop | "end" | undefined {
    let expectsAnother = false;
    for (;;) {
      const key = value();
      if (key === "import" && isNewLine()) {
        const expanded = expandImport();
        if (expanded && "stop" in expanded) return expanded;
        continue;
      }
      if (key === "{") return expectsAnother ? stopAt(token()) : undefined;
      if (key !== "") {
        expectsAnother = key.endsWith(",");
        const name = expectsAnother ? key.slice(0, -1) : key;
        keys.push({ text: name, line: token().line });
      }
      if (!next()) return expectsAnother ? stopAt(token()) : "end";
      if (!expectsAnother && isNewLine()) return undefined;
    }
  }

  function readSnippet(name: string): Stop | undefined {
    if (snippets.has(name) || value() !== "{") return stopAt(token());
    const body: Token[] = [];
    for (let depth = 1; next(); ) {
      if (value() === "}" && --depth === 0) {
        snippets.set(name, body);
        return importsItself(body, name);
      }
      if (value() === "{") depth++;
      body.push(token());
    }
    return stopAt(token());
  }

  function importsItself(body: readonly Token[], name: string): Stop | undefined {
    const at = body.findIndex(
      (word, i) => word.text === "import" && body[i + 1]?.text === name && beginsLine(word, body[i - 1]),
    );
    return at < 0 ? undefined : stopAt(body[at]!);
  }

  /** Reads a directive up to the end of its line or of its block into `words`, which hold its name. */
  function readDirective(words: Token[]): Stop | undefined {
    let depth = 0;
    while (next()) {
      if (value() === "{") depth++;
      else if (isNewLine() && depth === 0) {
        cursor--;
        return undefined;
      } else if (value() === "}" && --depth < 0) return stopAt(token());
      else if (value() === "import" && isNewLine()) {
        const expanded = expandImport();
        if (expanded && "stop" in expanded) return expanded;
        cursor--;
        continue;
      }
      words.push(token());
    }
    return depth > 0 ? stopAt(words[0]!) : undefined;
  }

  function readDirectives(directives: (readonly Token[])[]): Stop | undefined {
    while (next() && value() !== "}") {
      const at = token();
      if (at.text === "import") {
        const expanded = expandImport();
        if (expanded && "stop" in expanded) return expanded;
        if (expanded) directives.push([at, expanded]);
        cursor--;
        continue;
      }
      const words = [at];
      directives.push(words);
      const stopped = readDirective(words);
      if (stopped) return stopped;
    }
    return undefined;
  }

  /** Reads the braces and what is in them, or without braces all that follows. */
  function readContents(directives: (readonly Token[])[]): Stop | undefined {
    const opening = token();
    const hasBrace = opening.text === "{";
    if (!hasBrace) cursor--;
    const stopped = readDirectives(directives);
    // a brace that closes the last directive is taken for that of the block
    return stopped ?? (hasBrace && value() !== "}" ? stopAt(opening) : undefined);
  }

  function readBlock(): Stop | undefined {
    const keys: Token[] = [];
    const directives: (readonly Token[])[] = [];
    const line = token().line;
    const ended = readKeys(keys);
    if (typeof ended === "object") return ended;
    const name = keys[0]?.text ?? "";
    const isSnippet = keys.length === 1 && name.startsWith("(") && name.endsWith(")");
    if (isSnippet && ended === undefined) return readSnippet(name.slice(1, -1));
    const stopped = ended === "end" ? undefined : readContents(directives);
    blocks.push(stopped ? { keys, directives, line, stops: true } : { keys, directives, line });
    return stopped;
  }

  while (next()) {
    const stopped = readBlock();
    if (stopped) return stopped.stop ? { blocks, error: stopped.stop, gaps } : { blocks, gaps };
  }
  return { blocks, gaps };
}
