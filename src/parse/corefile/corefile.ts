/**
 * The Corefile: CoreDNS' configuration.
 *
 * Format (coredns.io/manual/configuration, caddyfile lexer): server blocks `ZONE[:PORT] … { directives }`; a directive
 * is a name with arguments and may have a block `{ … }` of properties; `#` begins a comment; words may be quoted;
 * `{$VAR}` and `{%VAR%}` are environment variables; `(name) { … }` defines a snippet that `import name` copies;
 * `import FILE` brings in other files.
 */

import type { Gap, Parser } from "../parsed.ts";
import { meantBy } from "./arguments.ts";
import { type Block, blocksOf } from "./blocks.ts";
import { complaintAbout, DIRECTIVES } from "./plugins.ts";
import { hasVariable, isOnLineOf, type Token } from "./tokens.ts";
import { type Key, parseKey } from "./zones.ts";

export type CorefileDirective = {
  readonly name: string;
  readonly args: readonly string[];
  readonly block: readonly CorefileDirective[];
  /** 1-based, in the Corefile. */
  readonly line: number;
};

/** What answers for zones on one port: a server block makes one for every scheme and port in its keys. */
export type CorefileServer = {
  /** E.g. ".", "cluster.local", "0.10.in-addr.arpa" for 10.0.0.0/16; lower case, without scheme and port. */
  readonly zones: readonly string[];
  readonly port: number;
  /** dns, tls, https, grpc … */
  readonly scheme: string;
  readonly directives: readonly CorefileDirective[];
  readonly line: number;
};

/** What CoreDNS would refuse to start with, in its order. Builds with plugins of their own know more directives. */
export type CorefileError = {
  readonly line: number;
  readonly what: "syntax" | "unknown-directive" | "bad-arguments" | "duplicate-zone";
  /** The word at fault: of a duplicate zone, the zone with its port. */
  readonly word: string;
  /** The directive or property that is written nearly the same. */
  readonly meant?: string;
};

export type Corefile = { readonly servers: readonly CorefileServer[]; readonly errors: readonly CorefileError[] };

const DEEPEST = 8;

/** Splits the words of directives: a name, the arguments on its line, and if that ends with `{` the lines up to `}`. */
function statementsOf(tokens: readonly Token[]): CorefileDirective[] {
  let at = 0;
  const isOnLine = () => at > 0 && at < tokens.length && isOnLineOf(tokens[at]!, tokens[at - 1]!);

  function readOne(depth: number): { readonly directive: CorefileDirective; readonly endsBlock: boolean } {
    const { text: name, line } = tokens[at++]!;
    const args: string[] = [];
    while (isOnLine() && tokens[at]!.text !== "{") args.push(tokens[at++]!.text);
    const hasBlock = isOnLine() && depth < DEEPEST;
    if (hasBlock) at++;
    // CoreDNS takes a brace behind words for one of them: `{ lameduck 5s }` on one line is an error
    return {
      directive: { name, args, block: hasBlock ? readBlock(depth + 1) : [], line },
      endsBlock: args.includes("}"),
    };
  }

  function readBlock(depth: number): CorefileDirective[] {
    const block: CorefileDirective[] = [];
    while (at < tokens.length && tokens[at]!.text !== "}") {
      const { directive, endsBlock } = readOne(depth);
      block.push(directive);
      if (endsBlock) return block;
    }
    at++;
    return block;
  }

  const statements: CorefileDirective[] = [];
  while (at < tokens.length) statements.push(readOne(0).directive);
  return statements;
}

/** A key of a block; `read` is undefined if CoreDNS refuses it, or if we cannot tell what it is. */
type BlockKey = { readonly word: Token; readonly hasVariable: boolean; readonly read: Key | undefined };
type Server = { readonly block: Block; readonly keys: readonly BlockKey[] };

/** Ranges stand for up to 128 zones each: nobody who is honest has so many. */
const MOST_ZONES = 10_000;

/** Reads the keys of all blocks that have any, until there are too many. */
function readKeys(blocks: readonly Block[], gaps: Gap[]): Server[] {
  let zones = 0;
  const readKey = (word: Token): BlockKey[] => {
    if (zones > MOST_ZONES) return [];
    const read = parseKey(word.text);
    const isVariable = hasVariable(word.text);
    zones += read?.zones.length ?? 0;
    if (isVariable) gaps.push({ line: word.line, what: `depends on CoreDNS' environment: ${word.text.slice(0, 100)}` });
    if (zones > MOST_ZONES) gaps.push({ line: word.line, what: "serves more zones than are read" });
    return [{ word, hasVariable: isVariable, read }];
  };
  return blocks.filter(({ keys }) => keys.length > 0).map((block) => ({ block, keys: block.keys.flatMap(readKey) }));
}

function serversOf({ block, keys }: Server): CorefileServer[] {
  const directives = block.directives.flatMap((tokens) => statementsOf(tokens).slice(0, 1));
  const servers = new Map<string, CorefileServer & { zones: string[] }>();
  for (const { read, hasVariable } of keys) {
    if (!read) continue;
    const { scheme, port, zones } = read;
    const server = servers.get(`${scheme}:${port}`) ?? { zones: [], port, scheme, directives, line: block.line };
    for (const zone of zones) server.zones.push(hasVariable ? zone : zone.toLowerCase());
    servers.set(`${scheme}:${port}`, server);
  }
  return [...servers.values()];
}

/** CoreDNS stops at the first; this many are looked at more closely. */
const MOST_MEANT = 100;

function unknownDirectives(blocks: readonly Block[]): CorefileError[] {
  const names = blocks.flatMap((block) => block.directives.map(([name]) => name!));
  // what an import of a file brings is not known
  const isKnown = (word: string) => word === "import" || DIRECTIVES.includes(word) || hasVariable(word);
  return names
    .filter(({ text }) => !isKnown(text))
    .map(({ text: word, line }, index) =>
      withMeant({ line, what: "unknown-directive", word }, index < MOST_MEANT ? meantBy(word, DIRECTIVES) : undefined),
    );
}

function withMeant(error: CorefileError, meant: string | undefined): CorefileError {
  return meant === undefined ? error : { ...error, meant };
}

function badKeys({ keys }: Server): CorefileError[] {
  const bad = keys.filter(({ read, hasVariable }) => !read && !hasVariable);
  return bad.map(({ word }) => ({ line: word.line, what: "syntax", word: word.text }));
}

/** All that stands in a block under one name is set up together. */
function badArguments({ block, keys }: Server, name: string): CorefileError[] {
  const tokens = block.directives.filter(([first]) => first!.text === name).flat();
  if (tokens.length === 0) return [];
  const zones = keys.flatMap(({ read, word }) => read?.zones ?? [word.text]);
  const complaint = complaintAbout(name, statementsOf(tokens), zones);
  if (!complaint) return [];
  const { line, word, meant } = complaint;
  return [withMeant({ line, what: "bad-arguments", word }, meant)];
}

const MOST_LISTENERS = 100;

/** Where a block listens: "" is every address. None where that cannot be told, or where views share a zone. */
function listenersOf(block: Block): readonly string[] {
  const named = (name: string) => block.directives.filter(([first]) => first!.text === name);
  if (named("view").length > 0 || named("import").length > 0) return [];
  const binds = named("bind");
  if (binds.length === 0) return [""];
  const words = binds.flatMap((tokens) => tokens.slice(1).map(({ text }) => text));
  const isUnclear = words.length > MOST_LISTENERS || words.some((word) => word === "{" || hasVariable(word));
  return isUnclear ? [] : words;
}

/**
 * A zone may be served once on a port: once on all addresses, or once on each that is bound. Zones that differ in case
 * are passed over, for versions do not agree on them.
 */
function duplicateZones(servers: readonly Server[]): CorefileError[] {
  const seen = new Map<string, Set<string>>();
  const errors: CorefileError[] = [];

  function serve(word: string, line: number, listeners: readonly string[]): void {
    const others = seen.get(word) ?? new Set();
    const overlaps = listeners.some((one) => one === "" || others.has("") || others.has(one));
    if (others.size > 0 && overlaps) errors.push({ line, what: "duplicate-zone", word });
    for (const listener of listeners) others.add(listener);
    seen.set(word, others);
  }

  for (const { block, keys } of servers) {
    const listeners = listenersOf(block);
    for (const { word, hasVariable, read } of keys) {
      if (!read || hasVariable) continue;
      const scheme = read.scheme === "dns" ? "" : `${read.scheme}://`;
      for (const zone of read.zones) serve(`${scheme}${zone}:${read.port}`, word.line, listeners);
    }
  }
  return errors;
}

/** Its text comes whole out of an API object, and need not end with a newline. */
export const parseCorefile: Parser<Corefile> = (text) => {
  if (text.trim() === "") return { value: { servers: [], errors: [] }, gaps: [{ what: "empty" }] };
  const { blocks, error, gaps: unread } = blocksOf(text);
  const gaps = [...unread];
  const servers = readKeys(blocks, gaps);
  const whole = servers.filter(({ block }) => !block.stops);
  const errors: CorefileError[] = [
    ...unknownDirectives(blocks),
    ...(error ? [{ line: error.line, what: "syntax" as const, word: error.text }] : []),
    ...servers.flatMap(badKeys),
    ...DIRECTIVES.flatMap((name) => whole.flatMap((server) => badArguments(server, name))),
    ...duplicateZones(whole),
  ];
  return { value: { servers: servers.flatMap(serversOf), errors }, gaps };
};
