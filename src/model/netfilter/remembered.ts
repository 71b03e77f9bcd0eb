/**
 * Outcomes of hooks, kept: many packets differ only in what no rule asks for.
 *
 * Connections to a thousand Services by way of one back end are the same to rules that do not look at where a connection was
 * sent first. Whether they look is seen while they are evaluated, so that nothing has to be known of them before.
 */
import type { Outcome } from "./outcome.ts";
import { isAlike, type Packet } from "./packet.ts";
import type { Hook } from "./ruleset.ts";

type Towards = ReadonlySet<string> | undefined;
type Evaluate = (name: Hook, packet: Packet, towards?: Towards) => readonly Outcome[];
type Kept = {
  readonly name: Hook;
  readonly packet: Packet;
  readonly towards: Towards;
  readonly outcomes: readonly Outcome[];
};
type Key = number | bigint | "unknown";

const OUTCOMES_KEPT = 10_000;
/** Those between two addresses are looked through one by one. */
const MOST_BETWEEN = 64;

/** What hooks do, evaluated once for all packets that are alike. */
export function remembered(evaluate: Evaluate): Evaluate {
  /** By destination, then by source. */
  const kept = new Map<Key, Map<Key, Kept[]>>();
  let count = 0;
  const listOf = ({ source, destination }: Packet): Kept[] => {
    const from = source === "unknown" ? source : source.value;
    const to = destination === "unknown" ? destination : destination.value;
    let bySource = kept.get(to);
    if (!bySource) {
      bySource = new Map();
      kept.set(to, bySource);
    }
    let list = bySource.get(from);
    if (!list) {
      list = [];
      bySource.set(from, list);
    }
    return list;
  };
  return (name, packet, towards) => {
    const { original, translation } = packet;
    // what connection tracking then changes is of each connection
    if (translation && name !== "forward") return evaluate(name, packet, towards);
    const list = listOf(packet);
    for (const one of list)
      if (one.name === name && one.towards === towards && isAlike(one.packet, packet))
        return one.outcomes.map((outcome) => withHistory(outcome, packet));
    let isAsked = false;
    const watched = original && {
      get source() {
        isAsked = true;
        return original.source;
      },
      get destination() {
        isAsked = true;
        return original.destination;
      },
    };
    const found = evaluate(name, watched ? { ...packet, original: watched } : packet, towards);
    const outcomes = watched ? found.map((outcome) => withHistory(outcome, packet)) : found;
    if (isAsked) return outcomes;
    if (count >= OUTCOMES_KEPT || list.length >= MOST_BETWEEN) {
      kept.clear();
      count = 0;
    } else {
      list.push({ name, packet, towards, outcomes });
      count++;
    }
    return outcomes;
  };
}

/** The outcome of a packet that is alike: hooks leave as it is what a packet already has of these. */
function withHistory(outcome: Outcome, { original, translation }: Packet): Outcome {
  const { packet } = outcome;
  const first = original ?? packet.original;
  if (first === packet.original && translation === packet.translation) return outcome;
  return { ...outcome, packet: { ...packet, original: first, translation } };
}
