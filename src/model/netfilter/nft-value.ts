/** Values of which something may not be known: bits, or which of several they are. */
import type { Doubt } from "./condition.ts";
import type { Known } from "./nft-constants.ts";
import type { Bits } from "./packet.ts";

export type Unsure = {
  readonly doubt: Doubt;
  /** It is one of these. */
  readonly among?: readonly Known[];
  /** Some bits of the number are known. */
  readonly bits?: Bits;
};

/** Undefined: there is no such value (the packet has no ports, no connection …), and the rule ends. */
export type Value = Known | Unsure;

export const UNKNOWN: Unsure = { doubt: "unknown" };

const RANK: Readonly<Record<Doubt, number>> = { choice: 0, history: 1, unknown: 2 };

export function worst(doubts: readonly Doubt[]): Doubt {
  return doubts.reduce<Doubt>((a, b) => (RANK[a] > RANK[b] ? a : b), "choice");
}

/** Whether a value can be one that a test holds for. `part`: the constant, if there is one, for numbers known in part. */
export function mayBe({ among, bits }: Unsure, test: (candidate: Known) => boolean, part?: object): boolean {
  if (among) return among.some(test);
  if (!bits || !part || !("value" in part) || typeof part.value !== "number") return true;
  return ((bits.value ^ part.value) & ~bits.unknown) === 0;
}

export const ofBits = ({ value, unknown }: Bits): Value =>
  unknown === 0 ? value : { doubt: "unknown", bits: { value, unknown } };

/** What is known of a number, bit by bit. */
export function bitsOf(value: Value): Bits | undefined {
  if (typeof value === "number") return { value, unknown: 0 };
  return typeof value === "object" ? (value.bits ?? { value: 0, unknown: 0xffffffff }) : undefined;
}
