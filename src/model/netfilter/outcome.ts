/**
 * What can become of a packet, and how it came to that: the answer of `traverse` and `hook`.
 *
 * While they work an outcome is an `Ending`: a packet somewhere, the way it took, and under which assumptions. Endings
 * with the same effect are one outcome.
 */
import type { Packet } from "./packet.ts";
import type { Translation } from "./translation.ts";
import { type Assumption, assumptions, either, type Step, type When } from "./when.ts";

export type Verdict =
  /** This table's chains at this hook are done with the packet; the next table sees it. */
  | { readonly is: "accept" }
  | { readonly is: "drop" }
  | { readonly is: "reject"; readonly with: string }
  /** Of chains of type nat. The packet is not changed yet: `hook` does that. */
  | { readonly is: "translate"; readonly to: Translation }
  /** To a local socket if there is one, else dropped. */
  | { readonly is: "tproxy"; readonly port: number; readonly address: string }
  /** The end of a user chain, or RETURN: the caller goes on. */
  | { readonly is: "through" }
  /** The evidence does not tell what happens. */
  | { readonly is: "insufficient"; readonly why: Insufficiency };

export type Insufficiency =
  /** a rule that we could not read, or a target that we do not know */
  | "unknown-target"
  /** a jump to a chain that is not there */
  | "missing-chain"
  /** rules that were cut off */
  | "cut-off"
  /** chains that call each other in a circle, or too deep */
  | "loop"
  /** more possibilities than we follow */
  | "too-many";

export type Outcome = {
  readonly verdict: Verdict;
  /** The packet with the marks and state that the rules gave it. */
  readonly packet: Packet;
  readonly certainty: "certain" | "depends";
  /** If it depends: the assumptions that lead here. If all are choices, the outcome does happen to some packets. */
  readonly reasons: readonly Assumption[];
  /** The jumps and, last, the rule (or policy) that decided; of `hook`, for each chain that was called. */
  readonly rules: readonly Step[];
  /**
   * All rules that the packet met, in order: also those that marked or logged it, and calls that came back. Where several
   * ways lead to the same outcome, those of one of them.
   */
  readonly met: readonly Step[];
};

type Doubted = Extract<Assumption, { about: "rule" }>["doubts"][number];

const restsOn = ({ certainty, reasons }: Outcome, isFine: (doubted: Doubted) => boolean): boolean =>
  certainty === "certain" || reasons.every((reason) => reason.about === "rule" && reason.doubts.every(isFine));

/** Whether an outcome happens to some packets for sure: all that it depends on is chance, as the choice of a back end. */
export const isChosen = (outcome: Outcome): boolean => restsOn(outcome, ({ doubt }) => doubt === "choice");

/** The same, or it depends on whether the client was here before (session affinity): to some clients it happens. */
export const isOfSome = (outcome: Outcome): boolean =>
  restsOn(outcome, ({ doubt, condition }) => doubt === "choice" || condition.is === "recent");

/** A list that grows at its end and is shared by what comes after. */
export type Trail<T> = undefined | { readonly last: T; readonly before: Trail<T> };

export function listed<T>(trail: Trail<T>): readonly T[] {
  const list: T[] = [];
  for (let at = trail; at; at = at.before) list.push(at.last);
  return list.reverse();
}

/** A packet on its way. */
export type State = {
  readonly packet: Packet;
  readonly when: When;
  /** What decided at earlier chains. */
  readonly decided: Trail<Step>;
  readonly met: Trail<Step>;
};

/** Where a way ends. */
export type Ending = State & { readonly verdict: Verdict };

export const startOf = (packet: Packet): State => ({ packet, when: undefined, decided: undefined, met: undefined });

/** Of a packet that is gone only matters on its way to which back end it was. */
const whither = ({ dnatted, destination, destinationPort }: Packet): string =>
  dnatted && destination !== "unknown" ? `${destination.value} ${destinationPort}` : "";

/** After a drop it does not matter any more which marks the packet had. */
function effectKey({ verdict, packet }: Ending): string {
  switch (verdict.is) {
    case "drop":
      return `drop ${whither(packet)}`;
    case "reject":
      return `reject ${verdict.with} ${whither(packet)}`;
    case "insufficient":
      return `insufficient ${verdict.why}`;
    case "translate": {
      const { does, addresses, ports, random } = verdict.to;
      const range = addresses ? `${addresses.from.value}-${addresses.to.value}` : "";
      return `${does} ${range} ${ports?.from}-${ports?.to} ${random}`;
    }
    case "tproxy":
      return `tproxy ${verdict.port} ${verdict.address}`;
    default:
      return verdict.is;
  }
}

/** Whether the packet goes on, so that it matters what it is like. */
const isGone = ({ verdict }: Ending): boolean =>
  verdict.is === "drop" || verdict.is === "reject" || verdict.is === "insufficient";

/** One ending for each effect; the way there is that of the first. Equal packets of one evaluation are one object. */
export function distinct(endings: readonly Ending[]): readonly Ending[] {
  if (endings.length < 2) return endings;
  const all: Ending[] = [];
  const accepted = new Map<Packet, number>();
  const others = new Map<Packet | undefined, Map<string, number>>();
  for (const ending of endings) {
    const { packet, verdict } = ending;
    let at: number | undefined;
    if (verdict.is === "accept") {
      at = accepted.get(packet);
      if (at === undefined) accepted.set(packet, all.length);
    } else {
      const gone = isGone(ending) ? undefined : packet;
      let same = others.get(gone);
      if (!same) {
        same = new Map();
        others.set(gone, same);
      }
      const key = effectKey(ending);
      at = same.get(key);
      if (at === undefined) same.set(key, all.length);
    }
    if (at === undefined) all.push(ending);
    else all[at] = { ...all[at]!, when: either(all[at]!.when, ending.when) };
  }
  return all;
}

/**
 * If all possibilities were followed, a single effect is certain whatever was assumed on the way.
 *
 * @param isNarrowed some were not
 */
export function outcomesOf(endings: readonly Ending[], isNarrowed = false): readonly Outcome[] {
  const different = distinct(endings);
  const isCertain = different.length === 1 && !isNarrowed;
  return different.map(({ verdict, packet, when, decided, met }) => ({
    verdict,
    packet,
    certainty: isCertain ? "certain" : "depends",
    reasons: isCertain ? [] : assumptions(when),
    rules: listed(decided),
    met: listed(met),
  }));
}
