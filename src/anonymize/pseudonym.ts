/** What stands for something, chosen by a key: the same for the same, and not to be turned back without the key. */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";

const CONSONANTS = "bdfgklmnprstvz";
const VOWELS = "aeiou";

/** 32 bytes that only the key and the text determine. */
export type Keyed = (purpose: string, text: string) => Uint8Array;

export function keyedBy(key: Uint8Array): Keyed {
  return (purpose, text) => hmac(sha256, key, utf8ToBytes(`${purpose}\u0000${text}`));
}

/** Words that can be said, for words; two words never get the same one. */
export function pseudonyms(keyed: Keyed): (word: string) => string {
  const given = new Map<string, string>();
  const taken = new Set<string>();
  return (word) => {
    const before = given.get(word);
    if (before !== undefined) return before;
    const bytes = keyed("word", word);
    let syllables = 4;
    let name = spoken(bytes, syllables);
    while (taken.has(name) && syllables < 16) name = spoken(bytes, ++syllables);
    given.set(word, name);
    taken.add(name);
    return name;
  };
}

function spoken(bytes: Uint8Array, syllables: number): string {
  let out = "";
  for (let i = 0; i < syllables; i++) {
    out += CONSONANTS[bytes[2 * i]! % CONSONANTS.length]! + VOWELS[bytes[2 * i + 1]! % VOWELS.length]!;
  }
  return out;
}

const HEX = "0123456789abcdef";
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** As many characters of an alphabet as wanted, at most 32. */
export function characters(bytes: Uint8Array, length: number, alphabet: "hex" | "base32"): string {
  const letters = alphabet === "hex" ? HEX : BASE32;
  return Array.from({ length }, (_, i) => letters[bytes[i]! % letters.length]).join("");
}
