/** What a restore would do, before anything is done: which objects, in which order, and what they would grant. */
import type { ManifestObject } from "../model/changes/change.ts";
import { refId } from "../model/ref.ts";
import type { Snapshot } from "./archive.ts";
import { differenceOf, type ObjectDifference, presentIn, provesAbsence } from "./differences.ts";
import { type Gain, gainsBetween } from "./grants.ts";
import { KINDS, refOf } from "./kinds.ts";

export type RestoreStep = {
  readonly object: ManifestObject;
  /**
   * - *create*: it is not there;
   * - *update*: it is otherwise than it was;
   * - *replace*: its roleRef is another, which the API lets nobody change: it is deleted and made anew;
   * - *apply*: whether it is there could not be seen.
   */
  readonly action: "create" | "update" | "replace" | "apply";
  /** What the cluster has, if it has it. */
  readonly present?: ManifestObject;
  readonly difference?: ObjectDifference;
  /** It is there, and would grant more than it does. */
  readonly widens: boolean;
};

export type RestorePlan = {
  /** In the order in which they are done. */
  readonly steps: readonly RestoreStep[];
  /** Chosen, and as they were. */
  readonly same: number;
  /** What somebody may do afterwards that they may not now. */
  readonly gains: readonly Gain[];
};

/** @param chosen objects of the backup; what is not among them, and what the backup does not know, is left alone */
export function restorePlan(chosen: readonly ManifestObject[], now: Snapshot): RestorePlan {
  const present = presentIn(now);
  const steps = [...chosen].sort(inOrder).flatMap((object): RestoreStep[] => {
    const self = refOf(object);
    const there = present.get(refId(self));
    if (!there) {
      const action = provesAbsence(now, self) ? "create" : "apply";
      return [{ object, action, widens: false }];
    }
    const difference = differenceOf(there, object);
    if (!difference) return [];
    const { roleRef, gained, bound } = difference;
    const widens = roleRef !== undefined || gained.length > 0 || bound.length > 0;
    return [{ object, action: roleRef ? "replace" : "update", present: there, difference, widens }];
  });
  const after = new Map(present);
  for (const { object } of steps) after.set(refId(refOf(object)), object);
  return { steps, same: chosen.length - steps.length, gains: gainsBetween([...present.values()], [...after.values()]) };
}

function inOrder(a: ManifestObject, b: ManifestObject): number {
  const rank = ({ kind }: ManifestObject) => KINDS.findIndex((each) => each.kind === kind);
  const [x, y] = [refId(refOf(a)), refId(refOf(b))];
  return rank(a) - rank(b) || (x < y ? -1 : 1);
}
