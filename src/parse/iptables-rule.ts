/**
 * The words of one iptables rule: what stands after `-A CHAIN` in iptables-save's output.
 *
 *   ! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp -m comment --comment "…" -m tcp --dport 443 -j KUBE-MARK-MASQ
 *
 * Rule sets have hundreds of thousands of rules but few different matches. So the hot path only finds where each match
 * and target ends, and looks its text up; texts that are new are read word by word, by the tables MATCHES and TARGETS.
 * An option that is in neither becomes `unknown`: nothing is dropped, nothing guessed.
 */
import { type Prefix, parsePrefix, prefixOf } from "../net/ip.ts";
import type { Condition, PortRange, Target } from "./iptables-save.ts";

export type RuleBody = { readonly conditions: readonly Condition[]; readonly target: Target };

/**
 * What files of several nodes share: rules by their text, and the jump to each chain under `:NAME`. Its keys are copies,
 * and what is read from a rule refers to its key, so that no file's text is kept alive.
 */
export type RuleCache = Map<string, RuleBody>;

export type RuleReader = {
  /** A new table begins: its chains are not known yet. */
  table(): void;
  /** A chain is declared; gives its name, or nothing if the table has one of that name already. */
  chain(text: string, start: number, end: number): string | undefined;
  /** The rule whose words are between `start` and `end`, or why it is none. */
  rule(text: string, start: number, end: number): RuleBody | string;
};

const SPACE = 32;
const BANG = 33;
const QUOTE = 34;
const DASH = 45;
const DOT = 46;
const SLASH = 47;
const BACKSLASH = 92;

const [OPTION_D, OPTION_F, OPTION_G, OPTION_I, OPTION_J, OPTION_M, OPTION_O, OPTION_P, OPTION_S] = [..."dfgijmops"].map(
  (letter) => letter.charCodeAt(0),
) as [number, number, number, number, number, number, number, number, number];
const isCoreOption = (letter: number): boolean =>
  letter === OPTION_M ||
  letter === OPTION_J ||
  letter === OPTION_G ||
  letter === OPTION_S ||
  letter === OPTION_D ||
  letter === OPTION_P ||
  letter === OPTION_I ||
  letter === OPTION_O ||
  letter === OPTION_F;

const OPEN_QUOTE = "a quotation mark that is not closed";
const NO_TARGET: Target = { does: "nothing", name: "" };
const NO_CONDITIONS: readonly Condition[] = [];

/** A copy that does not keep the longer text alive which it was cut from (V8's slices do). */
export const copy = (text: string): string => ` ${text}`.slice(1);

/** Whether `length` characters are the same at two places. From the end, where names that are alike differ. */
export function sameAt(text: string, a: number, b: number, length: number): boolean {
  for (let i = length - 1; i >= 0; i--) {
    if (text.charCodeAt(a + i) !== text.charCodeAt(b + i)) return false;
  }
  return true;
}

/** The end of the word that begins at `at`. */
function wordEnd(text: string, at: number, end: number): number {
  let stop = at;
  while (stop < end && text.charCodeAt(stop) !== SPACE) stop++;
  return stop;
}

/** The place of the mark that closes the quotation opened at `at`, or -1. */
function quoteEnd(text: string, at: number, end: number): number {
  for (let stop = at + 1; stop < end; stop++) {
    const code = text.charCodeAt(stop);
    if (code === QUOTE) return stop;
    if (code === BACKSLASH) stop++;
  }
  return -1;
}

/**
 * The end of a match's or target's options: the next core option (`-m`, `-j`, `-s` …), with the `!` before it, or the end
 * of the line. -1 if a quotation is not closed.
 */
function optionsEnd(text: string, at: number, end: number): number {
  for (let stop = at; stop < end; stop++) {
    const code = text.charCodeAt(stop);
    if (code === QUOTE) {
      stop = quoteEnd(text, stop, end);
      if (stop < 0) return -1;
    } else if (
      code === DASH &&
      text.charCodeAt(stop - 1) === SPACE &&
      isCoreOption(text.charCodeAt(stop + 1)) &&
      (stop + 2 >= end || text.charCodeAt(stop + 2) === SPACE)
    ) {
      const isNegated = stop - 3 >= at && text.charCodeAt(stop - 2) === BANG && text.charCodeAt(stop - 3) === SPACE;
      return isNegated ? stop - 2 : stop;
    }
  }
  return end;
}

/** An IPv4 prefix as iptables-save prints it, without making strings of its parts; the rest is left to parsePrefix. */
function readPrefix(text: string, start: number, end: number): Prefix | undefined {
  let value = 0;
  let octet = -1;
  let dots = 0;
  let at = start;
  for (; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code >= 48 && code <= 57) {
      if (octet === 0 || octet > 25) break;
      octet = octet < 0 ? code - 48 : octet * 10 + code - 48;
    } else if (code === DOT && octet >= 0 && octet <= 255) {
      value = value * 256 + octet;
      octet = -1;
      dots++;
    } else break;
  }
  if (dots === 3 && octet >= 0 && octet <= 255) {
    value = value * 256 + octet;
    if (at === end) return { ip: { family: 4, value }, length: 32 };
    if (end - at <= 3 && text.charCodeAt(at) === SLASH) {
      const tens = end - at === 3 ? text.charCodeAt(at + 1) - 48 : 0;
      const ones = text.charCodeAt(end - 1) - 48;
      if (end - at >= 2 && tens >= 0 && tens <= 3 && ones >= 0 && ones <= 9 && tens * 10 + ones <= 32) {
        const length = tens * 10 + ones;
        return length === 32 ? { ip: { family: 4, value }, length } : prefixOf({ family: 4, value }, length);
      }
    }
  }
  const word = text.slice(start, end);
  return parsePrefix(word) ?? parseMaskedPrefix(word);
}

/** `10.0.0.0/255.0.0.0`, as versions before 1.4 printed. Masks that are no prefix stay unknown. */
function parseMaskedPrefix(word: string): Prefix | undefined {
  const slash = word.indexOf("/");
  if (slash < 0) return undefined;
  const mask = parsePrefix(word.slice(slash + 1));
  if (mask?.ip.family !== 4 || mask.length !== 32) return undefined;
  const host = 2 ** 32 - mask.ip.value;
  const bits = Math.log2(host);
  return Number.isInteger(bits) ? parsePrefix(`${word.slice(0, slash)}/${32 - bits}`) : undefined;
}

function prefixCondition(is: "source" | "destination", prefix: Prefix, not: boolean): Condition {
  return not ? { is, prefix, not: true } : { is, prefix };
}

/** Makes a reader for the rules of one text. */
export function ruleReader(shared?: RuleCache): RuleReader {
  const protocols = new Map<string, Condition>();
  const devices = new Map<string, Condition>();
  const matches = new Map<string, readonly Condition[]>();
  const targets = new Map<string, Target>();
  let jumps = new Map<string, Target>();
  // Rules that follow each other often have the same comment, as those of one KUBE-SEP chain do: where the last one was.
  let lastStart = -1;
  let lastLength = 0;
  let lastComment: Condition = { is: "comment", comment: "" };

  // The conditions of the rule at hand; the array is used again and again, each rule keeps a copy of its exact length.
  const scratch: Condition[] = [];
  let count = 0;

  /** Reads `-m comment --comment` from its value on. @returns the place after it, -1 if it is not closed */
  const readComment = (text: string, at: number, end: number): number => {
    const isQuoted = text.charCodeAt(at) === QUOTE;
    const start = isQuoted ? at + 1 : at;
    let stop = isQuoted ? text.indexOf('"', start) : wordEnd(text, at, end);
    if (stop < 0 || stop > end) return -1;
    if (lastStart < 0 || stop - start !== lastLength || !sameAt(text, lastStart, start, lastLength)) {
      lastStart = start;
      lastLength = stop - start;
      let comment = text.slice(start, stop);
      if (comment.includes("\\")) {
        lastStart = -1;
        if (isQuoted) stop = quoteEnd(text, at, end);
        if (stop < 0) return -1;
        if (isQuoted) comment = text.slice(start, stop).replace(/\\(.)/g, "$1");
      }
      lastComment = { is: "comment", comment };
    }
    scratch[count++] = lastComment;
    if (!isQuoted) return stop;
    return stop + 1 < end && text.charCodeAt(stop + 1) !== SPACE ? -1 : stop + 1;
  };

  const cachedMatch = (key: string): readonly Condition[] => {
    let found = matches.get(key);
    if (!found) {
      found = readMatch(key);
      matches.set(key, found);
    }
    return found;
  };

  const cachedTarget = (key: string): Target => {
    let found = jumps.get(key) ?? targets.get(key);
    if (!found) {
      found = readTarget(key);
      targets.set(key, found);
    }
    return found;
  };

  const cached = (cache: Map<string, Condition>, key: string, make: () => Condition): Condition => {
    let found = cache.get(key);
    if (!found) {
      found = make();
      cache.set(key, found);
    }
    return found;
  };

  const readProtocol = (word: string, not: boolean): void => {
    const protocol = word.toLowerCase();
    if ((protocol === "all" || protocol === "0") && !not) return;
    scratch[count++] = cached(protocols, not ? `!${word}` : word, () =>
      not ? { is: "protocol", protocol, not: true } : { is: "protocol", protocol },
    );
  };

  const readDevice = (is: "in" | "out", device: string, not: boolean): void => {
    scratch[count++] = cached(devices, `${is}${not ? "!" : " "}${device}`, () =>
      not ? { is, device, not: true } : { is, device },
    );
  };

  const readBody = (text: string, start: number, end: number): RuleBody | string => {
    if (shared) lastStart = -1;
    let target: Target | undefined;
    let module = "";
    let not = false;
    let at = start;
    count = 0;
    while (at < end) {
      const code = text.charCodeAt(at);
      if (code === SPACE) {
        at++;
        continue;
      }
      if (code === BANG && !not && (at + 1 === end || text.charCodeAt(at + 1) === SPACE)) {
        not = true;
        at += 2;
        continue;
      }
      const letter = text.charCodeAt(at + 1);
      const isOption =
        code === DASH && isCoreOption(letter) && (at + 2 === end || text.charCodeAt(at + 2) === SPACE) && at + 1 < end;
      if (!isOption) {
        // An option apart from its match, as it may be written by hand: `-m tcp -p tcp --dport 80`.
        if (code !== DASH || letter !== DASH) return "a word that belongs to no option";
        const stop = optionsEnd(text, at, end);
        if (stop < 0) return OPEN_QUOTE;
        const options = `${not ? "! " : ""}${text.slice(at, stop).trim()}`;
        if (options.endsWith(" !")) return "a ! with nothing after it";
        const found = module === "" ? [unknown("", options)] : cachedMatch(`${module} ${options}`);
        for (const condition of found) scratch[count++] = condition;
        not = false;
        at = stop;
        continue;
      }
      const option = at;
      if (letter === OPTION_F) {
        scratch[count++] = not ? { is: "fragment", not: true } : { is: "fragment" };
        not = false;
        at += 2;
        continue;
      }
      at += 3;
      while (at < end && text.charCodeAt(at) === SPACE) at++;
      if (at >= end) return "an option without value";

      if (letter === OPTION_M || letter === OPTION_J || letter === OPTION_G) {
        if (not) return "a ! before -m, -j or -g";
        if (letter === OPTION_M && text.startsWith("comment --comment ", at)) {
          at = readComment(text, at + 18, end);
          if (at < 0) return OPEN_QUOTE;
          module = "comment";
          continue;
        }
        const stop = optionsEnd(text, at, end);
        if (stop < 0) return OPEN_QUOTE;
        let last = stop;
        while (text.charCodeAt(last - 1) === SPACE) last--;
        if (last <= at) return "an option without value";
        if (text.charCodeAt(last - 1) === BANG && text.charCodeAt(last - 2) === SPACE)
          return "a ! with nothing after it";
        if (letter === OPTION_M) {
          const key = text.slice(at, last);
          if (key === "comment --comment") return "an option without value";
          const found = cachedMatch(key);
          for (let i = 0; i < found.length; i++) scratch[count++] = found[i]!;
          const nameEnd = key.indexOf(" ");
          module = nameEnd < 0 ? key : key.slice(0, nameEnd);
        } else if (target) {
          return "two targets";
        } else if (letter === OPTION_G) {
          const name = text.slice(at, last);
          if (jumps.has(name)) target = { does: "goto", chain: name };
          else target = { does: "unknown", name: "", text: `-g ${name}` };
        } else if (text.startsWith("DNAT --to-destination ", at) && wordEnd(text, at + 22, last) === last) {
          target = { does: "dnat", to: text.slice(at + 22, last) };
        } else {
          target = cachedTarget(text.slice(at, last));
        }
        at = stop;
        continue;
      }

      const stop = wordEnd(text, at, end);
      if (letter === OPTION_S || letter === OPTION_D) {
        const prefix = readPrefix(text, at, stop);
        if (!prefix) scratch[count++] = unknown("", `${not ? "! " : ""}${text.slice(option, stop)}`);
        else scratch[count++] = prefixCondition(letter === OPTION_S ? "source" : "destination", prefix, not);
      } else if (letter === OPTION_P) readProtocol(text.slice(at, stop), not);
      else readDevice(letter === OPTION_I ? "in" : "out", text.slice(at, stop), not);
      not = false;
      at = stop;
    }
    if (not) return "a ! with nothing after it";
    const conditions = count === 0 ? NO_CONDITIONS : scratch.slice(0, count);
    return { conditions, target: target ?? NO_TARGET };
  };

  const table = (): void => {
    jumps = new Map();
  };

  if (!shared) {
    const chain = (text: string, start: number, end: number): string | undefined => {
      const name = text.slice(start, end);
      if (jumps.has(name)) return undefined;
      jumps.set(name, { does: "jump", chain: name });
      return name;
    };
    return { table, chain, rule: readBody };
  }

  const chain = (text: string, start: number, end: number): string | undefined => {
    const key = text.slice(start - 1, end);
    let found = shared.get(key);
    if (!found) {
      const own = copy(key);
      found = { conditions: NO_CONDITIONS, target: { does: "jump", chain: own.slice(1) } };
      shared.set(own, found);
    }
    const jump = found.target as { readonly chain: string };
    if (jumps.has(jump.chain)) return undefined;
    jumps.set(jump.chain, found.target);
    return jump.chain;
  };
  const rule = (text: string, start: number, end: number): RuleBody | string => {
    const key = text.slice(start, end);
    const known = shared.get(key);
    if (known) {
      // Another file may have a chain that this one has not.
      const { target } = known;
      if ((target.does !== "jump" && target.does !== "goto") || jumps.has(target.chain)) return known;
      return readBody(key, 0, key.length);
    }
    const own = copy(key);
    const body = readBody(own, 0, own.length);
    if (typeof body !== "string" && body.target.does !== "unknown") shared.set(own, body);
    return body;
  };
  return { table, chain, rule };
}

// ---------------------------------------------------------------------------------------------------------------------
// Matches and targets, word by word.

/** One option of a match or target with the words after it. */
type Option = {
  readonly name: string;
  readonly not: boolean;
  /** As printed, with quotation marks. */
  readonly args: readonly string[];
  /** As printed, with its `!`. */
  readonly text: string;
};

function unknown(match: string, text: string): Condition {
  return { is: "unknown", match, text };
}

/** Splits `name --option word "quoted word" ! --option` into its name and options; undefined if words stand elsewhere. */
function splitOptions(text: string): { readonly name: string; readonly options?: readonly Option[] } {
  const nameEnd = wordEnd(text, 0, text.length);
  const name = text.slice(0, nameEnd);
  const options: Option[] = [];
  let args: string[] = [];
  let bang = -1;
  let start = -1;
  let at = nameEnd;
  while (at < text.length) {
    if (text.charCodeAt(at) === SPACE) {
      at++;
      continue;
    }
    const isQuoted = text.charCodeAt(at) === QUOTE;
    const stop = isQuoted ? quoteEnd(text, at, text.length) + 1 : wordEnd(text, at, text.length);
    if (stop === 0 || (stop < text.length && text.charCodeAt(stop) !== SPACE)) return { name };
    const word = text.slice(at, stop);
    if (word === "!" && text.startsWith(" --", stop)) bang = at;
    else if (word.startsWith("--")) {
      start = bang >= 0 ? bang : at;
      args = [];
      options.push({ name: word, not: bang >= 0, args, text: text.slice(start, stop) });
      bang = -1;
    } else {
      const option = options.pop();
      if (!option || (!isQuoted && word.includes('"'))) return { name };
      args.push(word);
      options.push({ ...option, text: text.slice(start, stop) });
    }
    at = stop;
  }
  return { name, options };
}

const unquoted = (word: string): string => (word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word);

const negated = <const T extends object>(condition: T, not: boolean): T & { readonly not?: true } =>
  not ? { ...condition, not: true } : condition;

/** A number of at most 32 bits, in decimal or as 0x… */
function parseU32(word: string | undefined): number | undefined {
  if (word === undefined || !/^(?:0x[0-9a-fA-F]{1,8}|\d{1,10})$/.test(word)) return undefined;
  const value = Number(word);
  return value <= 0xffffffff ? value : undefined;
}

function parseMark(word: string | undefined): { readonly value: number; readonly mask?: number } | undefined {
  const [left, right, ...more] = word?.split("/") ?? [];
  const value = parseU32(left);
  if (value === undefined || more.length > 0) return undefined;
  if (right === undefined) return { value };
  const mask = parseU32(right);
  return mask === undefined ? undefined : { value, mask };
}

function parsePort(word: string): number | undefined {
  const port = /^\d{1,5}$/.test(word) ? Number(word) : 65536;
  return port <= 65535 ? port : undefined;
}

/** `80`, `80:90`, `:1023`, `1024:`, and lists of them. */
function parsePorts(word: string): readonly PortRange[] | undefined {
  const ranges: PortRange[] = [];
  for (const part of word.split(",")) {
    const [low, high, ...more] = part.split(":");
    const from = low === "" && high !== undefined ? 0 : parsePort(low!);
    const to = high === undefined ? from : high === "" ? 65535 : parsePort(high);
    if (from === undefined || to === undefined || more.length > 0) return undefined;
    ranges.push({ from, to });
  }
  return ranges;
}

type OneOption = (option: Option) => Condition | undefined;
type WholeMatch = (options: readonly Option[]) => readonly (Condition | undefined)[] | undefined;

/** An option with exactly one word after it. */
const one =
  (read: (word: string, not: boolean) => Condition | undefined): OneOption =>
  ({ args, not }) =>
    args.length === 1 ? read(args[0]!, not) : undefined;

/** A match whose options are conditions of their own. */
const each = (readers: Readonly<Record<string, OneOption>>): WholeMatch => {
  const byName = new Map(Object.entries(readers));
  return (options) => options.map((option) => byName.get(option.name)?.(option));
};

/** The number of words after each option that a match or target knows; `!` where a `!` may stand before it. */
type Known = Readonly<Record<string, 0 | 1 | "!0" | "!1">>;

/** The words by option; undefined if there is an option that is not known, or one twice. */
function wordsByOption(options: readonly Option[], known: Known): ReadonlyMap<string, string> | undefined {
  const args = new Map<string, string>();
  for (const { name, args: words, not } of options) {
    const wanted = Object.hasOwn(known, name) ? known[name] : undefined;
    const isKnown = wanted === words.length || wanted === `!${words.length}`;
    if (!isKnown || (not && typeof wanted === "number") || args.has(name)) return undefined;
    args.set(name, words[0] ?? "");
  }
  return args;
}

/** A match whose options only together make one condition. */
const together =
  (known: Known, read: (args: ReadonlyMap<string, string>, not: boolean) => Condition | undefined): WholeMatch =>
  (options) => {
    const args = wordsByOption(options, known);
    const isNegated = options.some((option) => option.not);
    const condition = args && read(args, isNegated);
    return condition && [condition];
  };

const ports = (is: "source-port" | "destination-port" | "any-port", via?: "multiport"): OneOption =>
  one((word, not) => {
    const ranges = via || !word.includes(",") ? parsePorts(word) : undefined;
    if (!ranges) return undefined;
    return negated(via && ranges.length === 1 ? { is, ports: ranges, via } : { is, ports: ranges }, not);
  });

const PORTS = { "--sport": ports("source-port"), "--dport": ports("destination-port") };
const SYN_FLAGS = ["FIN", "SYN", "RST", "ACK"];
const flags = (word: string): readonly string[] => (word === "NONE" ? [] : word.split(","));
const icmpType: OneOption = one((type, not) => negated({ is: "icmp-type", type }, not));
const ctState = (via?: "state"): OneOption =>
  one((word, not) => {
    const states = word.split(",");
    return negated(via ? { is: "conntrack-state", states, via } : { is: "conntrack-state", states }, not);
  });
const mark = (is: "mark" | "connmark"): OneOption =>
  one((word, not) => {
    const read = parseMark(word);
    return read && negated({ is, value: read.value, mask: read.mask ?? 0xffffffff }, not);
  });
const originalAddress = (side: "source" | "destination"): OneOption =>
  one((word, not) => {
    const prefix = parsePrefix(word) ?? parseMaskedPrefix(word);
    return prefix && negated({ is: "original-address", side, prefix }, not);
  });
const originalPort = (side: "source" | "destination"): OneOption =>
  one((word, not) => {
    const ranges = word.includes(",") ? undefined : parsePorts(word);
    return ranges && negated({ is: "original-port", side, ports: ranges }, not);
  });
const owner: OneOption = ({ name, args, not }) => negated({ is: "owner", options: [name, ...args].join(" ") }, not);

const addressTypes: WholeMatch = (options) => {
  const limits = options.filter(({ name }) => name.startsWith("--limit-iface-"));
  const types = options.filter(({ name }) => name === "--src-type" || name === "--dst-type");
  if (types.length === 0 || limits.length > 1 || types.length + limits.length !== options.length) return undefined;
  if (types.some(({ args }) => args.length !== 1) || limits.some(({ args, not }) => args.length > 0 || not))
    return undefined;
  const limit = limits[0]?.name;
  if (limit !== undefined && limit !== "--limit-iface-in" && limit !== "--limit-iface-out") return undefined;
  return types.map(({ name, args, not }) => {
    const side = name === "--src-type" ? ("source" as const) : ("destination" as const);
    const condition = { is: "address-type" as const, side, type: args[0]! };
    if (limit === undefined) return negated(condition, not);
    return negated(
      { ...condition, limitIface: limit === "--limit-iface-in" ? ("in" as const) : ("out" as const) },
      not,
    );
  });
};

const set: WholeMatch = (options) => {
  const [first, ...rest] = options;
  if (first?.name !== "--match-set" || first.args.length !== 2) return undefined;
  const words = first.args[1]!.split(",");
  if (words.some((word) => word !== "src" && word !== "dst")) return undefined;
  const sides = words.map((word) => (word === "src" ? ("source" as const) : ("destination" as const)));
  const condition = negated({ is: "set" as const, name: first.args[0]!, sides }, first.not);
  const [last] = rest;
  if (rest.length === 1 && last!.name === "--return-nomatch" && !last!.not && last!.args.length === 0) {
    return [{ ...condition, returnNomatch: true }];
  }
  return [condition, ...rest.map(() => undefined)];
};

const statistic = together({ "--mode": 1, "--probability": "!1", "--every": "!1", "--packet": 1 }, (args, not) => {
  if (args.get("--mode") === "random" && args.size === 2) {
    const probability = Number(args.get("--probability"));
    return probability >= 0 && probability <= 1 ? negated({ is: "random", probability }, not) : undefined;
  }
  const every = parseU32(args.get("--every"));
  const packet = parseU32(args.get("--packet") ?? "0");
  if (args.get("--mode") !== "nth" || args.has("--probability") || !every || packet === undefined) return undefined;
  return negated({ is: "every-nth", every, packet }, not);
});

const limit = together({ "--limit": 1, "--limit-burst": 1 }, (args) => {
  const rate = args.get("--limit");
  const burst = parseU32(args.get("--limit-burst") ?? "5");
  if (rate === undefined || burst === undefined) return undefined;
  return args.has("--limit-burst") ? { is: "limit", rate, burst } : { is: "limit", rate };
});

const RECENT_ACTIONS = { "--set": "set", "--rcheck": "check", "--update": "update", "--remove": "remove" } as const;

const recent: WholeMatch = (options) => {
  // The list's name is printed without quotation marks even where it has spaces (libxt_recent.c).
  const joined = options.map((option) =>
    option.name === "--name" && option.args.length > 1 ? { ...option, args: [option.args.join(" ")] } : option,
  );
  return together(
    {
      ...({
        "--set": "!0",
        "--rcheck": "!0",
        "--update": "!0",
        "--remove": "!0",
        "--seconds": 1,
        "--reap": 0,
      } as const),
      ...({ "--hitcount": 1, "--rttl": 0, "--name": 1, "--mask": 1, "--rsource": 0, "--rdest": 0 } as const),
    },
    (args, not) => {
      const actions = Object.entries(RECENT_ACTIONS).filter(([name]) => args.has(name));
      const seconds = parseU32(args.get("--seconds"));
      const hits = parseU32(args.get("--hitcount"));
      if (actions.length !== 1 || (args.has("--rsource") && args.has("--rdest"))) return undefined;
      if ((args.has("--seconds") && seconds === undefined) || (args.has("--hitcount") && hits === undefined))
        return undefined;
      return {
        is: "recent",
        list: args.get("--name") ?? "DEFAULT",
        action: actions[0]![1],
        ...(seconds === undefined ? {} : { seconds }),
        ...(args.has("--reap") ? { reap: true as const } : {}),
        ...(hits === undefined ? {} : { hits }),
        ...(args.has("--rttl") ? { ttl: true as const } : {}),
        ...(args.has("--mask") ? { mask: args.get("--mask")! } : {}),
        ...(args.has("--rsource") ? { side: "source" as const } : {}),
        ...(args.has("--rdest") ? { side: "destination" as const } : {}),
        ...(not ? { not: true as const } : {}),
      };
    },
  )(joined);
};

const RPFILTER_OPTIONS = ["--loose", "--validmark", "--accept-local"];

const rpfilter: WholeMatch = (options) => {
  const names = options.map(({ name }) => name);
  const isKnown = options.every(({ args, not }) => args.length === 0 && !not);
  const asked = RPFILTER_OPTIONS.filter((name) => names.includes(name));
  const not = names.includes("--invert");
  if (!isKnown || asked.length + (not ? 1 : 0) !== names.length) return undefined;
  return [negated({ is: "rpfilter", options: asked.map((name) => name.slice(2)) }, not)];
};

const socket: WholeMatch = (options) => {
  const names = options.map(({ name }) => name);
  const isKnown = options.every(
    ({ name, args, not }) => /^--(transparent|nowildcard)$/.test(name) && !not && args.length === 0,
  );
  if (!isKnown || !names.includes("--transparent")) return undefined;
  return [{ is: "socket", options: names.map((name) => name.slice(2)) }];
};

/** Matches whose options each are a condition, or all of them one. */
const MATCHES: ReadonlyMap<string, WholeMatch> = new Map(
  Object.entries({
    tcp: each({
      ...PORTS,
      "--tcp-flags": ({ args, not }) => {
        const [mask, compare] = args;
        if (mask === undefined || compare === undefined || args.length !== 2) return undefined;
        return negated({ is: "tcp-flags", mask: flags(mask), set: flags(compare) }, not);
      },
      "--syn": ({ args, not }) =>
        args.length === 0 ? negated({ is: "tcp-flags", mask: SYN_FLAGS, set: ["SYN"] }, not) : undefined,
    }),
    udp: each(PORTS),
    udplite: each(PORTS),
    sctp: each(PORTS),
    dccp: each(PORTS),
    icmp: each({ "--icmp-type": icmpType }),
    icmp6: each({ "--icmpv6-type": icmpType }),
    multiport: each({
      "--sports": ports("source-port", "multiport"),
      "--dports": ports("destination-port", "multiport"),
      "--ports": ports("any-port", "multiport"),
    }),
    comment: each({
      "--comment": one((comment, not) => (not ? undefined : { is: "comment", comment: unquoted(comment) })),
    }),
    conntrack: each({
      "--ctstate": ctState(),
      "--ctorigsrc": originalAddress("source"),
      "--ctorigdst": originalAddress("destination"),
      "--ctorigsrcport": originalPort("source"),
      "--ctorigdstport": originalPort("destination"),
    }),
    state: each({ "--state": ctState("state") }),
    mark: each({ "--mark": mark("mark") }),
    connmark: each({ "--mark": mark("connmark") }),
    addrtype: addressTypes,
    set,
    statistic,
    limit,
    recent,
    rpfilter,
    socket,
    physdev: each({
      "--physdev-in": one((device, not) => negated({ is: "physdev", in: device }, not)),
      "--physdev-out": one((device, not) => negated({ is: "physdev", out: device }, not)),
      "--physdev-is-bridged": ({ args, not }) =>
        args.length === 0 ? negated({ is: "physdev", bridged: true }, not) : undefined,
    }),
    owner: each({
      "--uid-owner": owner,
      "--gid-owner": owner,
      "--socket-exists": owner,
      "--suppl-groups": owner,
    }),
    nfacct: each({ "--nfacct-name": one((name, not) => (not ? undefined : { is: "counter", name: unquoted(name) })) }),
  } satisfies Record<string, WholeMatch>),
);

/** Matches that may stand without any option and then hold for every packet. */
const BARE = new Set(["tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmp6", "conntrack"]);

/** Reads `tcp --dport 80`: the conditions of one `-m`. */
function readMatch(text: string): readonly Condition[] {
  const { name, options } = splitOptions(text);
  const whole = [unknown(name, text.slice(name.length).trim())];
  if (!options) return whole;
  if (options.length === 0 && BARE.has(name)) return [{ is: "bare", match: name }];
  const conditions = MATCHES.get(name)?.(options);
  if (!conditions || conditions.length === 0 || conditions.every((condition) => condition === undefined)) return whole;
  return conditions.map((condition, index) => {
    const known: Condition = condition ?? unknown(name, options[index]!.text);
    return index === 0 ? known : { ...known, sameMatch: true };
  });
}

type ReadTarget = (options: ReadonlyMap<string, string>) => Target | undefined;

/** A target whose options have no or one word each; undefined if there is one that we do not know. */
const withOptions =
  (known: Known, read: ReadTarget) =>
  (options: readonly Option[]): Target | undefined => {
    const args = wordsByOption(options, known);
    return args && read(args);
  };

const plain = (target: Target) => withOptions({}, () => target);

const randomness = (args: ReadonlyMap<string, string>) => ({
  ...(args.has("--random") || args.has("--random-fully") ? { random: true as const } : {}),
  ...(args.has("--random-fully") ? { fully: true as const } : {}),
  ...(args.has("--persistent") ? { persistent: true as const } : {}),
});

const translation = (does: "dnat" | "snat" | "redirect", option: string) =>
  withOptions({ [option]: 1, "--random": 0, "--random-fully": 0, "--persistent": 0 }, (args) => {
    const to = args.get(option) ?? (does === "redirect" ? "" : undefined);
    return to === undefined ? undefined : { does, to, ...randomness(args) };
  });

/** xt_MARK.c: all forms of the option are one operation, which the kernel stores and iptables-save prints as --set-xmark. */
function readMarkTarget(
  args: ReadonlyMap<string, string>,
): { readonly value: number; readonly mask: number } | undefined {
  if (args.size !== 1) return undefined;
  const [[option, word]] = [...args] as [[string, string]];
  const given = parseMark(word);
  if (!given) return undefined;
  const { value, mask = 0xffffffff } = given;
  switch (option) {
    case "--set-xmark":
      return { value, mask };
    case "--set-mark":
      return { value, mask: (mask | value) >>> 0 };
    case "--or-mark":
      return { value, mask: value };
    case "--xor-mark":
      return { value, mask: 0 };
    default:
      return { value: 0, mask: ~value >>> 0 };
  }
}

const MARK_OPTIONS = { "--set-xmark": 1, "--set-mark": 1, "--or-mark": 1, "--xor-mark": 1, "--and-mark": 1 } as const;

const connmark: ReadTarget = (args) => {
  const isSave = args.has("--save-mark");
  if (!isSave && !args.has("--restore-mark")) {
    const read = readMarkTarget(args);
    return read && { does: "connmark", operation: "set", ...read };
  }
  const both = parseU32(args.get("--mask") ?? "0xffffffff");
  const mask = args.has("--ctmask") ? parseU32(args.get("--ctmask")) : both;
  const packetMask = args.has("--nfmask") ? parseU32(args.get("--nfmask")) : both;
  const hasOthers = Object.keys(MARK_OPTIONS).some((option) => args.has(option));
  if (mask === undefined || packetMask === undefined || hasOthers || (isSave && args.has("--restore-mark")))
    return undefined;
  const operation = isSave ? "save" : "restore";
  return { does: "connmark", operation, mask, ...(packetMask === mask ? {} : { packetMask }) };
};

const TARGETS: ReadonlyMap<string, (options: readonly Option[]) => Target | undefined> = new Map(
  Object.entries({
    ACCEPT: plain({ does: "accept" }),
    DROP: plain({ does: "drop" }),
    RETURN: plain({ does: "return" }),
    NOTRACK: plain({ does: "notrack", via: "NOTRACK" }),
    CT: withOptions({ "--notrack": 0 }, (args) => (args.size === 1 ? { does: "notrack" } : undefined)),
    REJECT: withOptions({ "--reject-with": 1 }, (args) => ({
      does: "reject",
      with: args.get("--reject-with") ?? "icmp-port-unreachable",
    })),
    DNAT: translation("dnat", "--to-destination"),
    SNAT: translation("snat", "--to-source"),
    REDIRECT: translation("redirect", "--to-ports"),
    MASQUERADE: withOptions({ "--to-ports": 1, "--random": 0, "--random-fully": 0 }, (args) => ({
      does: "masquerade",
      ...randomness(args),
      ...(args.has("--to-ports") ? { ports: args.get("--to-ports")! } : {}),
    })),
    MARK: withOptions(MARK_OPTIONS, (args) => {
      const read = readMarkTarget(args);
      return read && { does: "set-mark", ...read };
    }),
    CONNMARK: withOptions(
      { ...MARK_OPTIONS, "--save-mark": 0, "--restore-mark": 0, "--nfmask": 1, "--ctmask": 1, "--mask": 1 },
      connmark,
    ),
    TPROXY: withOptions({ "--on-port": 1, "--on-ip": 1, "--tproxy-mark": 1 }, (args) => {
      const port = parsePort(args.get("--on-port") ?? "");
      const given = parseMark(args.get("--tproxy-mark") ?? "0/0");
      if (port === undefined || !given) return undefined;
      const { value, mask = 0xffffffff } = given;
      return { does: "tproxy", port, address: args.get("--on-ip") ?? "0.0.0.0", value, mask };
    }),
  } satisfies Record<string, (options: readonly Option[]) => Target | undefined>),
);

/** Targets after which the packet goes on as it was, whatever their options. */
const WITHOUT_EFFECT = new Set(
  "AUDIT CHECKSUM CLASSIFY DSCP ECN HL IDLETIMER LED LOG NFLOG RATEEST SET TCPMSS TCPOPTSTRIP TEE TOS TRACE TTL ULOG".split(
    " ",
  ),
);

/** Reads `DNAT --to-destination 10.0.0.1:80`: what stands after `-j`, if it is no chain of the table. */
function readTarget(text: string): Target {
  const { name, options } = splitOptions(text);
  const words = text.slice(name.length).trim();
  if (WITHOUT_EFFECT.has(name)) {
    return words === "" ? { does: "nothing", name } : { does: "nothing", name, text: words };
  }
  return (options && TARGETS.get(name)?.(options)) ?? { does: "unknown", name, text: words };
}
