/**
 * The words of one iptables rule: what stands after `-A CHAIN` in iptables-save's output.
 *
 *   ! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp -m comment --comment "…" -m tcp --dport 443 -j KUBE-MARK-MASQ
 *
 * Rule sets have hundreds of thousands of rules but few different matches. So the hot path only finds where each match
 * and target ends, and looks its text up; texts that are new are read word by word, by the tables of match.ts
 * and target.ts. An option that is in neither becomes `unknown`: nothing is dropped, nothing guessed.
 */
import { type Prefix, parsePrefix, prefixOf } from "../../net/ip.ts";
import { readMatch, unknownMatch } from "./match.ts";
import type { Condition, Target } from "./save.ts";
import { readTarget } from "./target.ts";
import { parseMaskedPrefix, QUOTE, quoteEnd, SPACE, wordEnd } from "./words.ts";

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

const BANG = 33;
const DASH = 45;
const DOT = 46;
const SLASH = 47;

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
        const found = module === "" ? [unknownMatch("", options)] : cachedMatch(`${module} ${options}`);
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
        if (!prefix) scratch[count++] = unknownMatch("", `${not ? "! " : ""}${text.slice(option, stop)}`);
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
