/**
 * What follows from something being broken: whether a need must fail, may fail, or is not affected.
 */
import { type Capability, capabilityId, covers, PARTIAL } from "../model/capability.ts";
import type { Need } from "../model/needs/need.ts";
import type { Needs } from "../model/needs/needs.ts";
import { refId } from "../model/ref.ts";

export type Effect = "none" | "may" | "must";

/** Things filed under the capabilities that they are about; a capability without node is about all nodes. */
export type CapabilityIndex<T> = {
  /** What is filed under capabilities that cover this one wholly. */
  covering(capability: Capability): readonly T[];
  /** What is filed under parts of this capability, or under itself. */
  within(capability: Capability): readonly T[];
};

export function capabilityIndex<T>(entries: Iterable<readonly [Capability, T]>): CapabilityIndex<T> {
  const byName = new Map<string, (readonly [Capability, T])[]>();
  const byNode = new Map<string, (readonly [Capability, T])[]>();
  const nodeKey = ({ name, node }: Capability, of = node) => `${name}|${of ?? ""}`;
  const put = (map: Map<string, (readonly [Capability, T])[]>, key: string, entry: readonly [Capability, T]) => {
    const list = map.get(key);
    if (list) list.push(entry);
    else map.set(key, [entry]);
  };
  for (const entry of entries) {
    put(byName, entry[0].name, entry);
    put(byNode, nodeKey(entry[0]), entry);
  }
  const matching = (
    lists: readonly (readonly (readonly [Capability, T])[] | undefined)[],
    fits: (member: Capability) => boolean,
  ) => lists.flatMap((list) => (list ?? []).filter(([member]) => fits(member)).map(([, value]) => value));
  return {
    covering: (capability) =>
      matching(
        capability.node === undefined
          ? [byNode.get(nodeKey(capability))]
          : [byNode.get(nodeKey(capability)), byNode.get(nodeKey(capability, ""))],
        (member) => covers(member, capability),
      ),
    within: (capability) =>
      matching(
        [capability.node === undefined ? byName.get(capability.name) : byNode.get(nodeKey(capability))],
        (member) => covers(capability, member),
      ),
  };
}

/** A set of capabilities, in which one stands for all that it covers. */
export type CapabilitySet = {
  /** Whether some member covers this capability wholly. */
  holds(capability: Capability): boolean;
  /** Whether some member is a part of this capability. */
  touches(capability: Capability): boolean;
};

export function capabilitySet(members: readonly Capability[]): CapabilitySet {
  const distinct = new Map(members.map((member) => [capabilityId(member), member]));
  const index = capabilityIndex([...distinct.values()].map((member) => [member, member] as const));
  return {
    holds: (capability) => index.covering(capability).length > 0,
    touches: (capability) => index.within(capability).length > 0,
  };
}

export type Reasoner = {
  /** How a need fares if exactly these capabilities are broken. */
  effect(need: Need | undefined, broken: CapabilitySet): Effect;
  /**
   * Everything that a need rests on, as far down as it goes: what would affect it if it were broken.
   *
   * @param following also what only following changes needs
   */
  foundations(need: Need | undefined, following: boolean): readonly Capability[];
};

const worst = (effects: readonly Effect[]): Effect =>
  effects.includes("must") ? "must" : effects.includes("may") ? "may" : "none";

/** Any of several: it must fail if all must, and may fail if one does (a packet goes to one back end of many). */
const best = (effects: readonly Effect[]): Effect =>
  effects.length > 0 && effects.every((effect) => effect === "must")
    ? "must"
    : effects.some((effect) => effect !== "none")
      ? "may"
      : "none";

/** Under which name a policy's denial is broken: the denial is what should not be. */
/** The policies that deny it, as capabilities. */
export const denials = (need: Extract<Need, { is: "denied" }>): Capability[] =>
  need.by.map(({ ref }) => ({ name: "policy.allow", policy: refId(ref) }));

/**
 * @param working what was seen to work: it does not fail for want of anything below it
 */
export function reasonerOf(needs: Needs, working: CapabilitySet): Reasoner {
  function walk(need: Need | undefined, broken: CapabilitySet, path: ReadonlySet<string>): Effect {
    if (!need) return "none";
    switch (need.is) {
      case "all":
        return worst(need.of.map((part) => walk(part, broken, path)));
      case "any":
        return best(need.of.map((part) => walk(part, broken, path)));
      case "perhaps":
        return walk(need.of, broken, path) === "none" ? "none" : "may";
      case "to-follow-change":
        return ofCapability(need.of, broken, path) === "none" ? "none" : "may";
      case "denied":
        return denials(need).some((denial) => broken.holds(denial)) ? "must" : "none";
      case "capability":
        return ofCapability(need.of, broken, path);
    }
  }

  function ofCapability(capability: Capability, broken: CapabilitySet, path: ReadonlySet<string>): Effect {
    if (broken.holds(capability)) return "must";
    if (broken.touches(capability)) return "may";
    if (working.holds(capability)) return "none";
    const id = capabilityId(capability);
    // needs can go in circles (CNI → ClusterIP → kube-proxy → API): what is being asked already adds nothing
    if (path.has(id)) return "none";
    return walk(needs.of(capability), broken, new Set([...path, id]));
  }

  function collect(need: Need | undefined, following: boolean, into: Map<string, Capability>): void {
    if (!need) return;
    switch (need.is) {
      case "all":
      case "any":
        for (const part of need.of) collect(part, following, into);
        return;
      case "perhaps":
        collect(need.of, following, into);
        return;
      case "to-follow-change":
        if (following) collectCapability(need.of, following, into);
        return;
      case "denied":
        for (const denial of denials(need)) into.set(capabilityId(denial), denial);
        return;
      case "capability":
        collectCapability(need.of, following, into);
    }
  }

  function collectCapability(capability: Capability, following: boolean, into: Map<string, Capability>): void {
    const id = capabilityId(capability);
    if (into.has(id)) return;
    into.set(id, capability);
    if (!working.holds(capability)) collect(needs.of(capability), following, into);
  }

  return {
    effect: (need, broken) => walk(need, broken, new Set()),
    foundations(need, following) {
      const found = new Map<string, Capability>();
      collect(need, following, found);
      return [...found.values()];
    },
  };
}

/** The capabilities that a success proves: those that every way through the need passes. */
export function provenBy(need: Need): readonly Capability[] {
  switch (need.is) {
    case "capability":
      return PARTIAL.has(need.of.name) ? [] : [need.of];
    case "all":
      return need.of.flatMap(provenBy);
    default:
      return [];
  }
}

/** Every capability that a need names, in whatever way. */
export function namedIn(need: Need): readonly Capability[] {
  switch (need.is) {
    case "capability":
    case "to-follow-change":
      return [need.of];
    case "all":
    case "any":
      return need.of.flatMap(namedIn);
    case "perhaps":
      return namedIn(need.of);
    case "denied":
      return [];
  }
}

/** Whether a policy that is meant so denies it: surely, in part, or not. */
export function denialOf(need: Need): Effect {
  switch (need.is) {
    case "denied":
      return "must";
    case "all":
      return worst(need.of.map(denialOf));
    case "any":
      return best(need.of.map(denialOf));
    case "perhaps":
      return denialOf(need.of) === "none" ? "none" : "may";
    default:
      return "none";
  }
}
