/** The chain under a cause, made short enough to be read: every fault, the worst symptoms, the others summed up. */
import { isText } from "../../text.ts";
import type { Effect } from "../report.ts";

export type Link = {
  readonly effect: Effect;
  /** The same on other nodes, or of other objects: what is said of `effect` holds for them too. */
  readonly peers: readonly Effect[];
  readonly links: readonly Link[];
  /** Symptoms beside `links` that are only counted and named. */
  readonly rest: readonly Effect[];
};

const RANK = { broken: 0, impaired: 1, predicted: 2 } as const;

/** What users see first: wholly broken before partly, then by the number of tests that failed. */
function byWeight(a: Effect, b: Effect): number {
  return RANK[a.state] - RANK[b.state] || (b.of?.[0] ?? 0) - (a.of?.[0] ?? 0);
}

/** Which sentence an effect is said in, whatever it is said of. */
function sentenceOf({ says }: Effect): string {
  const { title } = says.args;
  return isText(title) ? title.id : says.id;
}

/** The same said twice in a row, of different nodes, is one link: the one does not lead to the other. */
function linkOf(effect: Effect, most: number): Link {
  const peers: Effect[] = [];
  let { causes } = effect;
  for (;;) {
    const [next, ...others] = causes;
    if (!next || others.length > 0 || next.capability !== effect.capability) break;
    if (sentenceOf(next) !== sentenceOf(effect)) break;
    peers.push(next);
    causes = next.causes;
  }
  return { effect, peers, ...condensed(causes, most) };
}

/**
 * @param most symptoms to keep under one parent; faults, and whatever leads on, are all kept
 */
export function condensed(effects: readonly Effect[], most: number): { links: Link[]; rest: Effect[] } {
  const isLink = ({ is, causes }: Effect) => is === "fault" || causes.length > 0;
  const chain = effects.filter(isLink);
  const symptoms = effects.filter((effect) => !isLink(effect)).sort(byWeight);
  // a rest of one takes the line that it would save
  const kept = symptoms.length <= most + 1 ? symptoms : symptoms.slice(0, most);
  return { links: [...chain, ...kept].map((effect) => linkOf(effect, most)), rest: symptoms.slice(kept.length) };
}
