/**
 * Names of users, learnt first, then replaced: whole names and their words, so that `shop-web-7d4b9c-x2x4z` and `shop-web`
 * stay as alike as they were. Numbers and what Kubernetes appended stay.
 */
import type { Keyed } from "./pseudonym.ts";
import { characters, pseudonyms } from "./pseudonym.ts";
import { isKept, isOfVocabulary, isVocabulary, knownDomain } from "./words.ts";

/** Where a word stands: as a name, or anywhere in text, where a word of tools means what tools mean by it. */
export type Position = "name" | "text";

export interface Names {
  /** A name that a user chose. @param suffix what was appended to it, as `-7d4b9c-x2x4z` to that of a Pod */
  learn(name: string, suffix?: string): void;
  /** A name that whoever made a component chose; words of it that nobody else uses are learnt. */
  learnSystem(name: string): void;
  /** That a namespace holds something of that name: `shop/web`. */
  learnPair(namespace: string, name: string): void;
  isPair(namespace: string, name: string): boolean;
  /** A label of a DNS name, or any other run of letters, digits, `-` and `_`. */
  other(label: string, position: Position): string;
  /** A word that stands for a whole value, whatever it says. */
  whole(value: string): string;
}

/** What Kubernetes appends: a template's hash, random letters (apimachinery rand.SafeEncodeString), an ordinal. */
const APPENDED = /^(?:[bcdfghjklmnpqrstvwxz2456789]{4,10}|[0-9a-f]{8,10}|\d{1,10})$/;
const MOST_WORDS = 10;

export function names(keyed: Keyed): Names {
  const pseudonym = pseudonyms(keyed);
  /** Labels (without dots) that users chose. */
  const chosen = new Set<string>();
  const system = new Set<string>();
  /** Single words of them. */
  const chosenWords = new Set<string>();
  const suffixes = new Map<string, string>();
  const pairs = new Set<string>();
  const known = { name: new Map<string, string>(), text: new Map<string, string>() };

  const forget = () => {
    known.name.clear();
    known.text.clear();
  };

  function learn(name: string, suffix = ""): void {
    if (name === "" || isKept(name)) return;
    const labels = name.split(/[.:/@]/).filter((label) => label !== "" && !isKept(label));
    for (const [index, label] of labels.entries()) {
      const own = index === labels.length - 1 ? suffix : "";
      const stem = own !== "" && label.endsWith(own) ? label.slice(0, -own.length) : label;
      if (stem !== label) suffixes.set(label, own);
      // numbers alone say nothing
      for (const one of [label, stem]) if (/[a-z]/i.test(one)) chosen.add(one);
      for (const word of stem.split(/[-_]/)) if (isTelling(word)) chosenWords.add(word.toLowerCase());
    }
    forget();
  }

  const isTelling = (word: string): boolean =>
    /[a-z]/i.test(word) && !isVocabulary(word.toLowerCase()) && !APPENDED_ONLY.test(word);

  /** All words of a name that a user chose. */
  function renamed(label: string): string {
    const suffix = suffixes.get(label) ?? "";
    const stem = suffix === "" ? label : label.slice(0, -suffix.length);
    return (
      stem
        .split(/([-_])/)
        .map(renamedWord)
        .join("") + suffix
    );
  }

  /** `w1` → `bakelotiru1`: what is counted stays counted. */
  function renamedWord(word: string): string {
    if (word === "" || word === "-" || word === "_" || /^\d{1,3}$/.test(word)) return word;
    if (/^\d+$/.test(word)) return digits(word);
    const [, letters, number] = /^([a-z]+)(\d{0,3})$/i.exec(word) ?? [];
    if (letters === undefined) return cased(word, pseudonym(word.toLowerCase()));
    return cased(letters, pseudonym(letters.toLowerCase())) + number;
  }

  const digits = (word: string): string =>
    Array.from(keyed("digits", word).slice(0, word.length), (byte) => byte % 10).join("");

  /** As environment variables have it: `SHOP_WEB_SERVICE_HOST`. */
  const cased = (before: string, after: string): string =>
    before.length > 1 && before === before.toUpperCase() ? after.toUpperCase() : after;

  function fresh(label: string, position: Position): string {
    if (isChosen(label) && (position === "name" || !isOfVocabulary(label) || /[-_]/.test(label))) return renamed(label);
    const words = label.split(/([-_])/);
    let out = "";
    for (let at = 0; at < words.length; ) {
      const end = longestName(words, at);
      if (end > at) {
        const name = words.slice(at, end).join("");
        out += system.has(name) && !chosen.has(name) ? name : renamed(name);
        at = end;
        continue;
      }
      const word = words[at]!;
      const isUsers = chosenWords.has(word) || (isShouted(word) && chosenWords.has(word.toLowerCase()));
      out += isUsers ? renamedWord(word) : word;
      at++;
    }
    return out;
  }

  const isShouted = (word: string): boolean => /^[A-Z][A-Z0-9]*$/.test(word);
  const isChosen = (label: string): boolean => chosen.has(label) && !system.has(label);

  /** @returns where the longest name that begins at a word ends; the word itself if none does */
  function longestName(words: readonly string[], at: number): number {
    for (let end = Math.min(words.length, at + 2 * MOST_WORDS - 1); end > at; end -= 2) {
      // the whole was asked for before
      if (at === 0 && end === words.length) continue;
      const name = words.slice(at, end).join("");
      if (system.has(name)) {
        if (end - at > 1) return end;
        continue;
      }
      if (!chosen.has(name)) continue;
      if (end - at > 1 || !isVocabulary(name)) return end;
      // a Pod that is gone: `data-7d4b9c-x2x4z`
      if (at === 0 && words.slice(end).every((word) => word === "-" || APPENDED.test(word))) return end;
    }
    return at;
  }

  return {
    learn,
    learnSystem(name) {
      if (isKept(name) || knownDomain(name) !== undefined) return;
      for (const label of name.split(/[.:/@]/)) {
        if (isOfVocabulary(label)) system.add(label);
        else for (const word of label.split(/[-_]/)) if (isTelling(word) && !APPENDED.test(word)) chosenWords.add(word);
      }
      forget();
    },
    learnPair(namespace, name) {
      pairs.add(`${namespace}/${name}`);
    },
    isPair: (namespace, name) => pairs.has(`${namespace}/${name}`),
    other(label, position) {
      const memory = known[position];
      const before = memory.get(label);
      if (before !== undefined) return before;
      const after = fresh(label, position);
      if (memory.size < MOST_REMEMBERED) memory.set(label, after);
      return after;
    },
    whole: (value) => characters(keyed("value", value), 32, "hex"),
  };
}

const MOST_REMEMBERED = 500_000;
/** Hex and random letters with digits: nobody chose them. */
const APPENDED_ONLY = /^(?=.*\d)[bcdfghjklmnpqrstvwxz2456789]{5,10}$|^[0-9a-f]{8,}$/;
