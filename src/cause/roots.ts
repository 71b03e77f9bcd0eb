/**
 * From faults to roots: which fault follows from which, and which from none.
 */
import type { Fault, Strength } from "../checks/check.ts";
import type { Evidence } from "../evidence/origin.ts";
import { capabilityId } from "../model/capability.ts";
import type { Need } from "../model/needs/need.ts";
import type { Needs } from "../model/needs/needs.ts";
import { type Ref, refId } from "../model/ref.ts";
import { capabilityIndex, type Reasoner } from "./effect.ts";

/** Faults with one object and one check are one fault with many lines of evidence. */
export type Root = {
  readonly id: string;
  readonly faults: readonly Fault[];
  /** What follows from it: other faults, causes before effects. */
  readonly consequences: readonly Consequence[];
};

/** A fault that follows from another: of all that it follows from, the one that is furthest from the root. */
export type Consequence = { readonly fault: Fault; readonly from: Fault };

const STRENGTHS: readonly Strength[] = ["direct", "traced", "differing", "heard", "inferred"];
export const strengthRank = (strength: Strength): number => STRENGTHS.indexOf(strength);

export function rootIdOf(check: string, object: Ref): string {
  return `${check}/${refId(object)}`;
}

const idOf = ({ check, repair }: Fault): string => rootIdOf(check, repair);

/** Something on a node that faults of it cite. */
const factOf = ({ repair }: Fault, { origin, quote }: Evidence): string =>
  [refId(repair), origin.path, origin.line ?? origin.pointer ?? "", quote].join(" ");

type Causes = ReadonlyMap<Fault, ReadonlySet<Fault>>;

/**
 * For each fault those from which it follows: faults that break something that its own broken capabilities need, and those
 * of the same node whose first evidence it cites. What was lost although its agent could learn does not follow from the agent's not learning.
 */
function causesOf(faults: readonly Fault[], needs: Needs, reasoner: Reasoner): Causes {
  const breaking = capabilityIndex(
    faults.flatMap((fault) => fault.breaks.map((capability) => [capability, fault] as const)),
  );
  const memo = new Map<string, readonly Fault[]>();
  const below = (need: Need | undefined, key: string, following: boolean): readonly Fault[] => {
    const known = memo.get(key);
    if (known) return known;
    const found = reasoner
      .foundations(need, following)
      .flatMap((capability) => [...breaking.covering(capability), ...breaking.within(capability)]);
    memo.set(key, found);
    return found;
  };
  // what one fault of a node is first, another of the node may cite: it is wrong for the same thing, or for what comes of it
  const naming = Map.groupBy(
    faults.filter(({ repair, evidence }) => repair.kind === "Node" && evidence[0]?.origin.kind === "command"),
    (fault) => factOf(fault, fault.evidence[0]!),
  );
  return new Map(
    faults.map((effect) => {
      const causes = [
        ...effect.breaks.flatMap((capability) =>
          below(needs.of(capability), `${capabilityId(capability)} ${effect.lost}`, !effect.lost),
        ),
        ...(effect.repair.kind === "Node"
          ? effect.evidence.flatMap((one) => naming.get(factOf(effect, one)) ?? [])
          : []),
      ];
      return [effect, new Set(causes.filter((cause) => cause !== effect && idOf(cause) !== idOf(effect)))];
    }),
  );
}

/** Tarjan's strongly connected components: sets of faults each of which follows from each other one. */
function circles(faults: readonly Fault[], causes: Causes): Fault[][] {
  const index = new Map<Fault, number>();
  const low = new Map<Fault, number>();
  const stack: Fault[] = [];
  const onStack = new Set<Fault>();
  const found: Fault[][] = [];
  const visit = (fault: Fault): void => {
    index.set(fault, index.size);
    low.set(fault, index.get(fault)!);
    stack.push(fault);
    onStack.add(fault);
    for (const cause of causes.get(fault) ?? []) {
      if (!index.has(cause)) {
        visit(cause);
        low.set(fault, Math.min(low.get(fault)!, low.get(cause)!));
      } else if (onStack.has(cause)) low.set(fault, Math.min(low.get(fault)!, index.get(cause)!));
    }
    if (low.get(fault) !== index.get(fault)) return;
    const members: Fault[] = [];
    for (let member = stack.pop()!; ; member = stack.pop()!) {
      onStack.delete(member);
      members.push(member);
      if (member === fault) break;
    }
    if (members.length > 1) found.push(members);
  };
  for (const fault of faults) if (!index.has(fault)) visit(fault);
  return found;
}

/**
 * In a circle of causes the member with the strongest evidence of its own is where it begins; of equal ones the first by
 * name, so that a circle without beginning is still told.
 */
function withoutCircles(faults: readonly Fault[], causes: Causes): Causes {
  const open = new Map(causes);
  const order = (a: Fault, b: Fault) =>
    strengthRank(a.strength) - strengthRank(b.strength) || (idOf(a) < idOf(b) ? -1 : 1);
  for (let members = circles(faults, open); members.length > 0; members = circles(faults, open)) {
    for (const circle of members) {
      const first = [...circle].sort(order)[0]!;
      const inside = new Set(circle);
      open.set(first, new Set([...open.get(first)!].filter((cause) => !inside.has(cause))));
    }
  }
  return open;
}

export function rootsOf(
  faults: readonly Fault[],
  needs: Needs,
  reasoner: Reasoner,
  nodes: readonly string[] = [],
): readonly Root[] {
  const causes = withoutCircles(faults, causesOf(faults, needs, reasoner));
  const effects = new Map<Fault, Fault[]>();
  for (const [effect, set] of causes) {
    for (const cause of set) {
      const list = effects.get(cause);
      if (list) list.push(effect);
      else effects.set(cause, [effect]);
    }
  }
  const byId = Map.groupBy(
    faults.filter((fault) => causes.get(fault)!.size === 0),
    idOf,
  );
  const roots = [...byId].map(([id, same]) => ({
    id,
    faults: same,
    consequences: consequencesOf(same, causes, effects),
  }));
  return acrossNodes(roots, nodes);
}

function consequencesOf(
  start: readonly Fault[],
  causes: Causes,
  effects: ReadonlyMap<Fault, readonly Fault[]>,
): Consequence[] {
  const reached = new Set<Fault>(start);
  for (const fault of reached) for (const effect of effects.get(fault) ?? []) reached.add(effect);
  // causes have no circles any more: a fault is as deep as the longest way that leads to it
  const depths = new Map<Fault, number>(start.map((fault) => [fault, 0]));
  const within = (fault: Fault) => [...causes.get(fault)!].filter((cause) => reached.has(cause));
  const depthOf = (fault: Fault): number => {
    const known = depths.get(fault);
    if (known !== undefined) return known;
    const depth = 1 + Math.max(...within(fault).map(depthOf));
    depths.set(fault, depth);
    return depth;
  };
  return [...reached]
    .slice(start.length)
    .sort((a, b) => depthOf(a) - depthOf(b))
    .map((fault) => ({ fault, from: within(fault).reduce((a, b) => (depthOf(b) > depthOf(a) ? b : a)) }));
}

/** The same fault on all nodes is one root with a list of nodes. */
function acrossNodes(roots: readonly Root[], nodes: readonly string[]): readonly Root[] {
  const ofNodes = roots.filter(({ faults }) => faults[0]!.repair.kind === "Node");
  const merged = new Map<Root, Root>();
  for (const group of Map.groupBy(ofNodes, ({ faults }) => faults[0]!.check).values()) {
    const hit = new Set(group.map(({ faults }) => faults[0]!.repair.name));
    if (group.length < 2 || !nodes.every((node) => hit.has(node))) continue;
    const [first] = group as [Root, ...Root[]];
    const one = {
      id: first.id,
      faults: group.flatMap(({ faults }) => faults),
      consequences: [
        ...new Map(
          group.flatMap(({ consequences }) => consequences).map((consequence) => [consequence.fault, consequence]),
        ).values(),
      ],
    };
    for (const root of group) merged.set(root, one);
  }
  return [...new Set(roots.map((root) => merged.get(root) ?? root))];
}
