/**
 * Under which assumptions a packet gets somewhere. Where rules cannot be decided the way forks; where the ways meet again
 * with the packet unchanged, the assumptions drop out.
 */
import type { Doubt } from "./condition.ts";
import type { Packet } from "./packet.ts";
import type { Condition, Rule } from "./rule.ts";
import type { RulesetChain } from "./ruleset.ts";

/** A place in a rule set, for evidence: a rule, or a chain itself (its policy, its end) where `rule` is absent. */
export type Step = {
  readonly ruleset: string;
  readonly table: string;
  readonly chain: string;
  /** In what iptables-save printed; of nftables the number of the item in nft's JSON. */
  readonly line: number;
  readonly rule?: Rule;
};

export type Assumption =
  /** Whether the packet meets the rule; `doubts` are the conditions that cannot be decided. */
  | {
      readonly about: "rule";
      readonly step: Step;
      readonly holds: boolean;
      readonly doubts: readonly { readonly condition: Condition; readonly doubt: Doubt }[];
    }
  /** Whether the packet goes on after a target that we do not know, or after the end of rules that were cut off. */
  | { readonly about: "effect"; readonly step: Step; readonly holds: boolean }
  /** Whether the chain of one rule set comes before that of the other (equal priorities: who registered first). */
  | { readonly about: "order"; readonly first: string; readonly second: string; readonly holds: boolean }
  /** Whether the program that a rule hands packets to accepts it, as policies say; `packet` is what it is shown. */
  | { readonly about: "judgement"; readonly step: Step; readonly packet: Packet; readonly holds: boolean }
  /** Whether the packet is the first of its connection, so that the nat chains are asked. */
  | { readonly about: "connection"; readonly holds: boolean };

/** What was asked of the packet, so that the same question is answered the same way further on. */
export type Question = { readonly key: string; readonly wanted: boolean };

/** One assumption and its opposite are of the same fork. */
export type Fork = {
  readonly questions: readonly Question[];
  readonly assume: (holds: boolean) => Assumption;
  /** Both happen, by design: `--mode random`. */
  readonly isChoice?: boolean;
};

/** Always; or an assumption after others; or any of several. */
export type When =
  | undefined
  | { readonly fork: Fork; readonly holds: boolean; readonly before: When; readonly length: number }
  /** `isPartial`: there are more ways here, of which nothing is known. */
  | { readonly either: readonly NonNullable<When>[]; readonly length: number; readonly isPartial: boolean };

const MOST_ALTERNATIVES = 8;

export const also = (before: When, fork: Fork, holds: boolean): NonNullable<When> => ({
  fork,
  holds,
  before,
  length: (before?.length ?? 0) + 1,
});

/** Under the one or the other. */
export function either(a: When, b: When): When {
  if (!a || !b || a === b) return a && b;
  if ("fork" in a && "fork" in b && a.fork === b.fork && a.before === b.before)
    return a.holds === b.holds ? a : a.before;
  const isPartial = [a, b].some((one) => "either" in one && one.isPartial);
  const alternatives = [...("either" in a ? a.either : [a]), ...("either" in b ? b.either : [b])];
  for (const [i, left] of isPartial ? [] : alternatives.entries()) {
    for (const right of alternatives.slice(i + 1)) {
      if (!("fork" in left && "fork" in right) || left.fork !== right.fork || left.before !== right.before) continue;
      const rest = alternatives.filter((one) => one !== left && one !== right);
      const met = left.holds === right.holds ? left : left.before;
      return rest.reduce<When>((all, one) => either(all, one), met);
    }
  }
  const all = [...new Set(alternatives)].sort((x, y) => x.length - y.length);
  if (all.length === 1 && !isPartial) return all[0];
  const kept = all.slice(0, MOST_ALTERNATIVES);
  return { either: kept, length: all[0]!.length, isPartial: isPartial || kept.length < all.length };
}

/** What all ways here agree on; `ask` answers for one assumption, or undefined to look further back. */
function lookBack<T>(
  when: When,
  ask: (fork: Fork, holds: boolean) => T | undefined,
  seen = new Map<When, T | undefined>(),
): T | undefined {
  for (let at = when; at; at = at.before) {
    if ("either" in at) {
      if (at.isPartial) return undefined;
      if (!seen.has(at)) {
        const [first, ...others] = at.either.map((one) => lookBack(one, ask, seen));
        seen.set(at, others.every((answer) => answer === first) ? first : undefined);
      }
      return seen.get(at);
    }
    const answer = ask(at.fork, at.holds);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** What was already assumed about a question on the way; undefined if nothing. */
export function assumed(when: When, key: string): boolean | undefined {
  return lookBack(when, ({ questions }, holds) => {
    const question = questions.find((one) => one.key === key);
    // Of several questions only all together were assumed not to hold.
    return question && (holds || questions.length === 1) ? question.wanted === holds : undefined;
  });
}

/** Whether it was assumed that not all of these hold. */
export function refuted(when: When, questions: readonly Question[]): boolean {
  const isAsked = (one: Question): boolean =>
    questions.some(({ key, wanted }) => key === one.key && wanted === one.wanted);
  return (
    lookBack(when, (fork, holds) =>
      !holds && fork.questions.length > 0 && fork.questions.every(isAsked) ? true : undefined,
    ) ?? false
  );
}

/**
 * The shortest way there, first assumption first. That a rule was passed over by chance is left out, except where it is the
 * last thing that decided: of a thousand back ends each would else have the list of all before it.
 */
export function assumptions(when: When): readonly Assumption[] {
  const list: Assumption[] = [];
  for (let at = when; at; ) {
    if ("either" in at) {
      at = at.either[0];
      continue;
    }
    if (at.holds || !at.fork.isChoice || list.length === 0) list.push(at.fork.assume(at.holds));
    at = at.before;
  }
  return list.reverse();
}

const steps = new WeakMap<RulesetChain, Map<Rule | undefined, Step>>();

/** The place of a rule, or of a chain itself: always the same object, so that what is made of it can be kept. */
export function stepOf(chain: RulesetChain, rule?: Rule): Step {
  let ofChain = steps.get(chain);
  if (!ofChain) {
    ofChain = new Map();
    steps.set(chain, ofChain);
  }
  const known = ofChain.get(rule);
  if (known) return known;
  const { ruleset, table, name, line } = chain;
  const step: Step = { ruleset, table, chain: name, line: rule?.line ?? line, ...(rule && { rule }) };
  ofChain.set(rule, step);
  return step;
}
