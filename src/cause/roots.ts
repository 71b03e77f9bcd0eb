/**
 * From faults to roots: which fault follows from which, and which from none.
 */
import type { Fault, Strength } from "../checks/check.ts";
import { capabilityId } from "../model/capability.ts";
import type { Needs } from "../model/needs.ts";
import { type Ref, refId } from "../model/ref.ts";
import { capabilitySet, type Reasoner } from "./effect.ts";

/** Faults with one object and one check are one fault with many lines of evidence. */
export type Root = {
  readonly id: string;
  readonly faults: readonly Fault[];
  /** What follows from it: other faults, in the order of the chain. */
  readonly consequences: readonly Fault[];
};

const STRENGTHS: readonly Strength[] = ["direct", "differing", "heard", "inferred"];
export const strengthRank = (strength: Strength): number => STRENGTHS.indexOf(strength);

export function rootIdOf(check: string, object: Ref): string {
  return `${check}/${refId(object)}`;
}

/** Whether `effect` comes about because of `cause`. */
function follows(effect: Fault, cause: Fault, needs: Needs, reasoner: Reasoner): boolean {
  if (effect === cause || rootIdOf(effect.check, effect.repair) === rootIdOf(cause.check, cause.repair)) return false;
  const broken = capabilitySet(cause.breaks);
  const ask = effect.lost ? reasoner.effectNow : reasoner.effect;
  return effect.breaks.some((capability) => ask(needs.of(capability), broken) !== "none");
}

export function rootsOf(faults: readonly Fault[], needs: Needs, reasoner: Reasoner): readonly Root[] {
  const causesOf = new Map(
    faults.map((effect) => [effect, faults.filter((cause) => follows(effect, cause, needs, reasoner))]),
  );
  const groups = withoutCycles(faults, causesOf);
  const effectsOf = (start: readonly Fault[]): Fault[] => {
    const reached: Fault[] = [];
    const queue = [...start];
    while (queue.length > 0) {
      const cause = queue.shift()!;
      for (const fault of faults) {
        if (start.includes(fault) || reached.includes(fault) || !groups.get(fault)!.includes(cause)) continue;
        reached.push(fault);
        queue.push(fault);
      }
    }
    return reached;
  };
  const byId = new Map<string, Fault[]>();
  for (const fault of faults) {
    if (groups.get(fault)!.length > 0) continue;
    const id = rootIdOf(fault.check, fault.repair);
    const same = byId.get(id);
    if (same) same.push(fault);
    else byId.set(id, [fault]);
  }
  return [...byId].map(([id, same]) => ({ id, faults: same, consequences: effectsOf(same) }));
}

/**
 * In a circle of causes the member with the strongest evidence of its own is where it begins; with equal evidence, the
 * first by name, so that a circle without beginning is still told.
 */
function withoutCycles(
  faults: readonly Fault[],
  causesOf: ReadonlyMap<Fault, readonly Fault[]>,
): Map<Fault, readonly Fault[]> {
  const causes = new Map(causesOf);
  const reaches = (from: Fault, to: Fault, seen = new Set<Fault>()): boolean =>
    causes.get(from)!.some((cause) => {
      if (cause === to) return true;
      if (seen.has(cause)) return false;
      seen.add(cause);
      return reaches(cause, to, seen);
    });
  const order = [...faults].sort(
    (a, b) => strengthRank(a.strength) - strengthRank(b.strength) || (faultId(a) < faultId(b) ? -1 : 1),
  );
  for (const fault of order) {
    if (!reaches(fault, fault)) continue;
    causes.set(
      fault,
      causes.get(fault)!.filter((cause) => !reaches(cause, fault)),
    );
  }
  return causes;
}

export function faultId(fault: Fault): string {
  return [rootIdOf(fault.check, fault.repair), ...fault.breaks.map(capabilityId)].join(" ");
}
