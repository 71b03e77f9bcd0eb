/**
 * Expressions and statements of nftables rules, as `nft -j` prints them (libnftables-json(5)).
 *
 * Every object has one key, its kind, e.g. {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
 * "right": "10.0.0.1"}}. Kinds and fields that are not in these tables become `unknown`: nothing is dropped, nothing
 * guessed. The names of constants ("tcp", "established") are left as printed; what they stand for depends on what they are
 * compared with.
 */
import { type Fields, fitted, isObject } from "../fields.ts";

/** A constant as printed: an address, a name, a number; true and false for "exists" and "missing". */
export type NftLiteral = string | number | boolean;

/** What rules compute with: of the packet, of its connection, or constant. */
export type NftExpression =
  | NftLiteral
  /** A field of a header; `th` is the transport header, whatever its protocol. */
  | { readonly is: "payload"; readonly protocol: string; readonly field: string }
  | { readonly is: "meta"; readonly key: string }
  | { readonly is: "ct"; readonly key: string; readonly family?: string; readonly direction?: string }
  | { readonly is: "fib"; readonly result: string; readonly flags: readonly string[] }
  /** `inc` counts packets, `random` throws dice: offset, offset + 1, … offset + mod - 1 */
  | { readonly is: "numgen"; readonly mode: string; readonly mod: number; readonly offset: number }
  /** jhash of an expression, symhash of the connection */
  | { readonly is: "hash"; readonly mod: number; readonly offset: number; readonly text: string }
  | { readonly is: "concat"; readonly of: readonly NftExpression[] }
  /** Flags: any of them, or all of them; which of the two the operator says. */
  | { readonly is: "list"; readonly of: readonly NftExpression[] }
  | { readonly is: "prefix"; readonly address: NftLiteral; readonly length: number }
  | { readonly is: "range"; readonly from: NftLiteral; readonly to: NftLiteral }
  /** A set without a name. */
  | { readonly is: "set"; readonly elements: readonly NftElement[] }
  /** `@name`: a set or map of the table. */
  | { readonly is: "named"; readonly name: string }
  | { readonly is: "map"; readonly key: NftExpression; readonly data: NftExpression }
  | { readonly is: "binary"; readonly op: "&" | "|" | "^" | "<<" | ">>"; readonly of: readonly NftExpression[] }
  /** Of verdict maps only, as what an element maps to. */
  | NftVerdict
  /** Parts of packets and states of the system that we do not model: raw payload, rt, socket, osf, tcp option, exthdr … */
  | { readonly is: "unknown"; readonly name: string; readonly text: string };

/** The expressions of one kind. */
export type NftOf<K extends string> = Extract<NftExpression, { readonly is: K }>;

export type NftVerdict =
  | { readonly is: "accept" | "drop" | "continue" | "return" }
  | { readonly is: "jump" | "goto"; readonly chain: string };

export type NftElement = {
  readonly key: NftExpression;
  /** Of maps: what the key maps to. */
  readonly data?: NftExpression;
  readonly comment?: string;
  /** Seconds. */
  readonly timeout?: number;
  readonly expires?: number;
  /** It counts, limits …: the names of its statements other than counters. */
  readonly statements?: readonly string[];
};

/** One step of a rule, in the order in which the kernel takes them. A step that does not hold ends the rule. */
export type NftStatement =
  | {
      readonly does: "match";
      /** `in`: any of these flags; `!`: none of them. */
      readonly op: "==" | "!=" | "<" | ">" | "<=" | ">=" | "in" | "!";
      readonly left: NftExpression;
      readonly right: NftExpression;
    }
  | { readonly does: "verdict"; readonly verdict: NftVerdict }
  | { readonly does: "vmap"; readonly key: NftExpression; readonly data: NftExpression }
  | { readonly does: "counter"; readonly packets?: number; readonly bytes?: number; readonly name?: string }
  /** Sets a field of the packet, a meta value or one of the connection. */
  | { readonly does: "mangle"; readonly key: NftExpression; readonly value: NftExpression }
  /** Holds for some packets, by what came before: limit, quota, ct count. */
  | { readonly does: "limit"; readonly name: string; readonly text: string }
  | NftNat
  | { readonly does: "reject"; readonly type?: string; readonly with?: string }
  /** Adds to, updates or deletes from a set; with statements that may not hold (a limit per element). */
  | {
      readonly does: "set";
      readonly op: string;
      readonly set: string;
      readonly element: NftExpression;
      readonly data?: NftExpression;
      readonly statements: readonly string[];
    }
  | { readonly does: "notrack" }
  | { readonly does: "tproxy"; readonly family?: string; readonly address?: string; readonly port?: number }
  /** No effect on where this packet goes: log, dup, flow (offload), ct helper, ct timeout, secmark, last … */
  | { readonly does: "nothing"; readonly name: string; readonly text: string }
  /** It is decided on elsewhere: queue (user space), fwd (another device), synproxy. */
  | { readonly does: "elsewhere"; readonly name: string; readonly text: string }
  /** What iptables-nft leaves where nft has no words for it: older versions print neither type nor name. */
  | { readonly does: "xt"; readonly type?: string; readonly name?: string }
  | { readonly does: "unknown"; readonly name: string; readonly text: string };

export type NftNat = {
  readonly does: "dnat" | "snat" | "masquerade" | "redirect";
  readonly family?: string;
  readonly address?: NftExpression;
  readonly port?: NftExpression;
  /** random, fully-random, persistent, netmap */
  readonly flags: readonly string[];
};

/** Equal parts of rules are one object: a rule set says `meta l4proto` a hundred thousand times. */
export type NftReader = {
  text(word: string): string;
  expression(value: unknown): NftExpression;
  statement(value: unknown): NftStatement;
  element(value: unknown, isMap: boolean): NftElement;
};

const DEEPEST = 16;
const BINARY: ReadonlySet<string> = new Set(["&", "|", "^", "<<", ">>"]);
const OPERATORS: ReadonlySet<string> = new Set(["==", "!=", "<", ">", "<=", ">=", "in", "!"]);
const NO_FLAGS: readonly string[] = [];

const isLiteral = (value: unknown): value is NftLiteral =>
  typeof value === "string" || (typeof value === "number" && Number.isFinite(value)) || typeof value === "boolean";

/** The text of what we do not read, not without end. */
const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "";
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
};

/** The one key of an object, and its value. */
function only(value: unknown): readonly [key: string, value: unknown] | undefined {
  if (!isObject(value)) return undefined;
  const keys = Object.keys(value);
  return keys.length === 1 ? [keys[0]!, value[keys[0]!]] : undefined;
}

/** A word or a list of words, as flags are printed. */
function words(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return NO_FLAGS;
  if (typeof value === "string") return [value];
  return Array.isArray(value) && value.every((word) => typeof word === "string") ? value : undefined;
}

export function nftReader(): NftReader {
  const texts = new Map<string, string>();
  const text = (word: string): string => {
    const known = texts.get(word);
    if (known !== undefined) return known;
    texts.set(word, word);
    return word;
  };
  const shared = new Map<string, NftExpression>();
  const share = (key: string, make: () => NftExpression): NftExpression => {
    let known = shared.get(key);
    if (known === undefined) {
      known = make();
      shared.set(key, known);
    }
    return known;
  };
  const verdicts = new Map<string, NftVerdict>();
  const verdictOf = (kind: string, value: unknown): NftVerdict | undefined => {
    if (kind === "accept" || kind === "drop" || kind === "continue" || kind === "return") {
      if (value !== null) return undefined;
      const known = verdicts.get(kind);
      if (known) return known;
      const made = { is: kind } as const;
      verdicts.set(kind, made);
      return made;
    }
    if (kind !== "jump" && kind !== "goto") return undefined;
    const target = isObject(value) ? value.target : undefined;
    if (typeof target !== "string") return undefined;
    const key = `${kind} ${target}`;
    const known = verdicts.get(key);
    if (known) return known;
    const made = { is: kind, chain: text(target) } as const;
    verdicts.set(key, made);
    return made;
  };
  const statements = new Map<NftVerdict, NftStatement>();
  const verdictStatement = (verdict: NftVerdict): NftStatement => {
    let known = statements.get(verdict);
    if (!known) {
      known = { does: "verdict", verdict };
      statements.set(verdict, known);
    }
    return known;
  };
  /** Matches with a short constant, by what they compare and how: `meta l4proto == tcp`. */
  const matches = new Map<NftExpression, Map<string, NftStatement>>();

  function expression(value: unknown, depth = 0): NftExpression {
    if (typeof value === "string")
      return value.startsWith("@")
        ? share(`@${value}`, () => ({ is: "named", name: text(value.slice(1)) }))
        : text(value);
    if (isLiteral(value)) return value;
    if (depth > DEEPEST) return { is: "unknown", name: "", text: "too deep" };
    if (Array.isArray(value)) return { is: "list", of: value.map((one) => expression(one, depth + 1)) };
    const found = only(value);
    const read = found && composed(found[0], found[1], depth + 1);
    return read ?? { is: "unknown", name: found?.[0] ?? "", text: shown(value) };
  }

  function composed(kind: string, value: unknown, depth: number): NftExpression | undefined {
    if (kind === "concat" || BINARY.has(kind)) {
      if (!Array.isArray(value) || value.length < 2) return undefined;
      const of = value.map((one) => expression(one, depth));
      return kind === "concat" ? { is: "concat", of } : { is: "binary", op: kind as "&", of };
    }
    if (kind === "set")
      return Array.isArray(value)
        ? { is: "set", elements: value.map((one) => element(one, Array.isArray(one), depth)) }
        : undefined;
    if (kind === "range") {
      if (!Array.isArray(value) || value.length !== 2) return undefined;
      const [from, to] = value as unknown[];
      return isLiteral(from) && isLiteral(to) ? { is: "range", from, to } : undefined;
    }
    const verdict = verdictOf(kind, value);
    if (verdict) return verdict;
    if (!isObject(value)) return undefined;
    return fielded(kind, value, depth);
  }

  function fielded(kind: string, value: Fields, depth: number): NftExpression | undefined {
    switch (kind) {
      case "payload": {
        const read = fitted(value, { protocol: "string", field: "string" });
        if (typeof read === "string") return undefined;
        const { protocol, field } = read;
        return share(`payload ${protocol} ${field}`, () => ({ is: "payload", protocol, field }));
      }
      case "meta": {
        const read = fitted(value, { key: "string" });
        return typeof read === "string" ? undefined : share(`meta ${read.key}`, () => ({ is: "meta", key: read.key }));
      }
      case "ct": {
        const read = fitted(value, { key: "string", family: "string?", dir: "string?" });
        if (typeof read === "string") return undefined;
        const { key, family, dir } = read;
        return share(`ct ${key} ${family} ${dir}`, () => ({
          is: "ct",
          key,
          ...(family !== undefined && { family }),
          ...(dir !== undefined && { direction: dir }),
        }));
      }
      case "fib": {
        const flags = words(value.flags);
        const { result } = value;
        if (typeof result !== "string" || !flags) return undefined;
        return share(`fib ${result} ${flags}`, () => ({ is: "fib", result, flags }));
      }
      case "numgen": {
        const read = fitted(value, { mode: "string", mod: "integer", offset: "integer?" });
        if (typeof read === "string" || read.mod < 1) return undefined;
        return { is: "numgen", mode: read.mode, mod: read.mod, offset: read.offset ?? 0 };
      }
      case "jhash":
      case "symhash": {
        const read = fitted(value, { mod: "integer", offset: "integer?" });
        if (typeof read === "string" || read.mod < 1) return undefined;
        return { is: "hash", mod: read.mod, offset: read.offset ?? 0, text: shown({ [kind]: value }) };
      }
      case "prefix": {
        const { addr, len } = value;
        return isLiteral(addr) && Number.isSafeInteger(len)
          ? { is: "prefix", address: addr, length: len as number }
          : undefined;
      }
      case "map": {
        if (!("key" in value && "data" in value)) return undefined;
        return { is: "map", key: expression(value.key, depth), data: expression(value.data, depth) };
      }
      case "elem":
        // A constant with a comment of its own, as in a set without a name.
        return "val" in value && Object.keys(value).length === 1 ? expression(value.val, depth) : undefined;
      default:
        return undefined;
    }
  }

  /** `key`, `[key, data]`, and either inside `{"elem": {"val": …}}` with what else the element has. */
  function element(value: unknown, isMap: boolean, depth = 0): NftElement {
    if (isMap && Array.isArray(value) && value.length === 2)
      return { ...element(value[0], false, depth), data: expression(value[1], depth + 1) };
    const found = only(value);
    if (found?.[0] !== "elem" || !isObject(found[1])) return { key: expression(value, depth + 1) };
    const { val, comment, timeout, expires, counter, ...others } = found[1];
    const names = Object.keys(others);
    return {
      key: expression(val, depth + 1),
      ...(typeof comment === "string" && { comment }),
      ...(Number.isSafeInteger(timeout) && { timeout: timeout as number }),
      ...(Number.isSafeInteger(expires) && { expires: expires as number }),
      ...(names.length > 0 && { statements: names }),
    };
  }

  function match(value: unknown): NftStatement | undefined {
    if (!isObject(value)) return undefined;
    const { op, left, right } = value;
    if (typeof op !== "string" || !OPERATORS.has(op) || left === undefined || right === undefined) return undefined;
    const compared = expression(left);
    const made = (): NftStatement => ({ does: "match", op: op as "==", left: compared, right: expression(right) });
    if (typeof compared !== "object" || !isLiteral(right) || !shared.has(keyOf(compared))) return made();
    let mine = matches.get(compared);
    if (!mine) {
      mine = new Map();
      matches.set(compared, mine);
    }
    const key = `${op} ${typeof right} ${right}`;
    let known = mine.get(key);
    if (!known) {
      known = made();
      mine.set(key, known);
    }
    return known;
  }

  function nat(does: NftNat["does"], value: unknown): NftStatement | undefined {
    if (value === null) return { does, flags: NO_FLAGS };
    if (!isObject(value)) return undefined;
    const { family, addr, port, flags, type_flags: _, ...others } = value;
    const read = words(flags);
    if (!read || Object.keys(others).length > 0 || (family !== undefined && typeof family !== "string"))
      return undefined;
    return {
      does,
      ...(family !== undefined && { family }),
      ...(addr !== undefined && { address: expression(addr) }),
      ...(port !== undefined && { port: expression(port) }),
      flags: read,
    };
  }

  function statement(value: unknown): NftStatement {
    const found = only(value);
    // A version that had no words for the statement in JSON printed it as text (`add @map { … }`).
    if (!found) return { does: "unknown", name: "", text: typeof value === "string" ? value : shown(value) };
    const [kind, content] = found;
    return known(kind, content) ?? { does: "unknown", name: text(kind), text: shown(value) };
  }

  function known(kind: string, value: unknown): NftStatement | undefined {
    const verdict = verdictOf(kind, value);
    if (verdict) return verdictStatement(verdict);
    switch (kind) {
      case "match":
        return match(value);
      case "vmap":
        return isObject(value) && value.key !== undefined && value.data !== undefined
          ? { does: "vmap", key: expression(value.key), data: expression(value.data) }
          : undefined;
      case "counter": {
        if (typeof value === "string") return { does: "counter", name: value };
        const read = isObject(value) ? fitted(value, { packets: "integer?", bytes: "integer?" }) : undefined;
        if (typeof read !== "object") return { does: "counter" };
        const { packets, bytes } = read;
        return { does: "counter", ...(packets !== undefined && { packets }), ...(bytes !== undefined && { bytes }) };
      }
      case "mangle":
        return isObject(value) && value.key !== undefined && value.value !== undefined
          ? { does: "mangle", key: expression(value.key), value: expression(value.value) }
          : undefined;
      case "limit":
      case "quota":
      case "ct count":
        return { does: "limit", name: kind, text: shown({ [kind]: value }) };
      case "dnat":
      case "snat":
      case "masquerade":
      case "redirect":
        return nat(kind, value);
      case "reject": {
        if (value === null) return { does: "reject" };
        const read = isObject(value) ? fitted(value, { type: "string?", expr: "string?" }) : undefined;
        if (typeof read !== "object") return undefined;
        return {
          does: "reject",
          ...(read.type !== undefined && { type: read.type }),
          ...(read.expr !== undefined && { with: read.expr }),
        };
      }
      case "set":
      case "map":
        return updated(value);
      case "notrack":
        return { does: "notrack" };
      case "tproxy": {
        const read = isObject(value) ? fitted(value, { family: "string?", addr: "string?", port: "integer?" }) : "";
        if (typeof read === "string") return undefined;
        return {
          does: "tproxy",
          ...(read.family !== undefined && { family: read.family }),
          ...(read.addr !== undefined && { address: read.addr }),
          ...(read.port !== undefined && { port: read.port }),
        };
      }
      case "xt": {
        const read = isObject(value) ? fitted(value, { type: "string?", name: "string?" }) : {};
        if (typeof read === "string") return undefined;
        return { does: "xt", ...read };
      }
      default:
        if (NOTHING.has(kind)) return { does: "nothing", name: kind, text: shown({ [kind]: value }) };
        return ELSEWHERE.has(kind) ? { does: "elsewhere", name: kind, text: shown({ [kind]: value }) } : undefined;
    }
  }

  function updated(value: unknown): NftStatement | undefined {
    if (!isObject(value)) return undefined;
    const { op, elem, data, stmt } = value;
    const set = typeof value.set === "string" ? value.set : value.map;
    if (typeof op !== "string" || typeof set !== "string" || elem === undefined) return undefined;
    const names = Array.isArray(stmt) ? stmt.map((one) => only(one)?.[0] ?? "") : stmt === undefined ? [] : [""];
    // `{"elem": {"val": …, "timeout": …}}`
    const { key, ...rest } = element(elem, false);
    return {
      does: "set",
      op,
      set: text(set.replace(/^@/, "")),
      element: key,
      ...(data !== undefined && { data: expression(data) }),
      statements: [...names, ...(rest.statements ?? [])].filter((name) => name !== "counter" && name !== "last"),
    };
  }

  return { text, expression, statement, element };
}

/** The key under which an expression is shared, if it is of a kind that is. */
function keyOf(of: NftExpression): string {
  if (typeof of !== "object") return "";
  if (of.is === "payload") return `payload ${of.protocol} ${of.field}`;
  if (of.is === "meta") return `meta ${of.key}`;
  if (of.is === "ct") return `ct ${of.key} ${of.family} ${of.direction}`;
  return of.is === "fib" ? `fib ${of.result} ${of.flags}` : "";
}

const NOTHING = new Set([
  ...["log", "dup", "flow", "secmark", "last", "ct helper", "ct timeout", "ct expectation", "reset", "comment"],
]);
const ELSEWHERE = new Set(["queue", "fwd", "synproxy"]);
