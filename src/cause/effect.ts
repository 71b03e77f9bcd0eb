/**
 * What follows from something being broken: whether a need must fail, may fail, or is not affected.
 */
import { type Capability, capabilityId, covers, PARTIAL } from "../model/capability.ts";
import type { Need, Needs } from "../model/needs.ts";

export type Effect = "none" | "may" | "must";

/** A set of capabilities, in which one stands for all that it covers. */
export type CapabilitySet = {
  /** Whether some member covers this capability wholly. */
  holds(capability: Capability): boolean;
  /** Whether some member is a part of this capability. */
  touches(capability: Capability): boolean;
};

export function capabilitySet(members: readonly Capability[]): CapabilitySet {
  const byName = new Map<string, Capability[]>();
  const seen = new Set<string>();
  for (const member of members) {
    const id = capabilityId(member);
    if (seen.has(id)) continue;
    seen.add(id);
    const list = byName.get(member.name);
    if (list) list.push(member);
    else byName.set(member.name, [member]);
  }
  const named = (capability: Capability) => byName.get(capability.name) ?? [];
  return {
    holds: (capability) => named(capability).some((member) => covers(member, capability)),
    touches: (capability) => named(capability).some((member) => covers(capability, member)),
  };
}

export type Reasoner = {
  /** How a need fares if exactly these capabilities are broken. */
  effect(need: Need | undefined, broken: CapabilitySet): Effect;
  /** The same for what keeps an agent's work right, leaving out what only following changes needs. */
  effectNow(need: Need | undefined, broken: CapabilitySet): Effect;
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

/**
 * @param working what was seen to work: it does not fail for want of anything below it
 */
export function reasonerOf(needs: Needs, working: CapabilitySet): Reasoner {
  function walk(need: Need | undefined, broken: CapabilitySet, follow: boolean, path: ReadonlySet<string>): Effect {
    if (!need) return "none";
    switch (need.is) {
      case "all":
        return worst(need.of.map((part) => walk(part, broken, follow, path)));
      case "any":
        return best(need.of.map((part) => walk(part, broken, follow, path)));
      case "perhaps":
        return walk(need.of, broken, follow, path) === "none" ? "none" : "may";
      case "to-follow-change":
        return follow && ofCapability(need.of, broken, follow, path) !== "none" ? "may" : "none";
      case "denied": {
        const policies = need.by.map(({ ref: { namespace, name } }) => `NetworkPolicy/${namespace}/${name}`);
        return policies.some((policy) => broken.holds({ name: "policy.allow", policy })) ? "must" : "none";
      }
      case "capability":
        return ofCapability(need.of, broken, follow, path);
    }
  }

  function ofCapability(
    capability: Capability,
    broken: CapabilitySet,
    follow: boolean,
    path: ReadonlySet<string>,
  ): Effect {
    if (broken.holds(capability)) return "must";
    if (broken.touches(capability)) return "may";
    if (working.holds(capability)) return "none";
    const id = capabilityId(capability);
    // needs can go in circles (CNI → ClusterIP → kube-proxy → API): what is being asked already adds nothing
    if (path.has(id)) return "none";
    return walk(needs.of(capability), broken, follow, new Set([...path, id]));
  }

  return {
    effect: (need, broken) => walk(need, broken, true, new Set()),
    effectNow: (need, broken) => walk(need, broken, false, new Set()),
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
