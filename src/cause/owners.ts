/**
 * Which roots a failure belongs to.
 *
 * Needs say of each root that it must, may or cannot make the failure: *may* where it depends on which of several back ends,
 * servers or rules a packet meets. That the walk tells. What it ends at belongs to the root that names it, whatever the
 * needs say; and of those that only may have made it, those that are nearest to where its ways end are left, or none if its
 * ways meet nothing of theirs. Where the walk cannot tell, or was not possible, the needs alone decide.
 */
import type { Fault } from "../checks/check.ts";
import type { Evidence } from "../evidence/origin.ts";
import type { CapabilityName } from "../model/capability.ts";
import type { Observation } from "../model/observations.ts";
import type { Forecast, Forecasts } from "../trace/forecast.ts";
import type { EndName, Way } from "../trace/trace.ts";
import { type CapabilitySet, capabilitySet, denialOf, type Effect, type Reasoner } from "./effect.ts";
import type { Root } from "./roots.ts";

export type Owner = {
  readonly root: Root;
  readonly effect: Exclude<Effect, "none">;
  /** Of the root's faults and their consequences, the furthest from the root that it follows from. */
  readonly from: Fault;
};

export const faultsOf = ({ faults, consequences }: Root): readonly Fault[] => [
  ...faults,
  ...consequences.map(({ fault }) => fault),
];

/** State of nodes that the walk reads, and that does not come and go by itself. */
const WALKED: ReadonlySet<CapabilityName> = new Set([
  "service.rules",
  "service.masquerade",
  "policy.rules",
  "pod.hairpin",
  "pod-network.entries",
  "node.ip-forward",
  "node.forward",
  "node.masquerade",
  "node.keep-source",
  "node.keep-rules",
  "node.bridge",
  "node.tunnel",
  "node.lead-to-api",
  "node.lead-to-upstream",
  "node.route",
]);

/** Ends that are a whole node's, whatever packet meets them there. */
const OF_NODE: Partial<Record<EndName, CapabilityName>> = {
  "not-forwarded": "node.ip-forward",
  "table-full": "node.track",
};

const isOfState = ({ strength }: Fault): boolean => strength === "direct" || strength === "differing";

type Suspect = {
  readonly root: Root;
  /** The furthest from the root first. */
  readonly faults: readonly (readonly [Fault, CapabilitySet])[];
  readonly broken: CapabilitySet;
  /** What of it the walk does not see. */
  readonly unwalked: CapabilitySet;
};

function suspectOf(root: Root): Suspect {
  const faults = faultsOf(root);
  return {
    root,
    faults: faults.map((fault) => [fault, capabilitySet(fault.breaks)] as const).reverse(),
    broken: capabilitySet(faults.flatMap(({ breaks }) => breaks)),
    unwalked: capabilitySet(
      faults.flatMap((fault) => fault.breaks.filter(({ name }) => !(isOfState(fault) && WALKED.has(name)))),
    ),
  };
}

/** Finds the owners of failures among roots. */
export function ownersAmong(
  roots: readonly Root[],
  reasoner: Reasoner,
  forecasts: Forecasts,
): (failure: Observation) => readonly Owner[] {
  const suspects = roots.map(suspectOf);
  return (failure) => {
    const forecast = forecasts.of(failure);
    const doubtful = forecasts.doubtful(failure);
    const claims = suspects.flatMap((suspect) => claimOf(suspect, failure, reasoner, forecast, doubtful) ?? []);
    return settled(claims, forecast?.failing ?? []).map(({ suspect: { root }, effect, from }) => ({
      root,
      effect,
      from,
    }));
  };
}

type Claim = Omit<Owner, "root"> & { readonly suspect: Suspect };

function claimOf(
  suspect: Suspect,
  { need, target }: Observation,
  reasoner: Reasoner,
  forecast: Forecast | undefined,
  doubtful: readonly Way[],
): Claim | undefined {
  const { faults, broken, unwalked } = suspect;
  const named = forecast && faults.find(([fault]) => forecast.failing.some((way) => isEnd(fault, way)));
  if (named) return { suspect, from: named[0], effect: forecast.says === "fails" ? "must" : "may" };
  const effect = reasoner.effect(need, broken);
  if (effect === "none") {
    const from = faults.find(([fault]) => doubtful.some((way) => way.end.is !== "answered" && isEnd(fault, way)))?.[0];
    return from && { suspect, from, effect: "may" };
  }
  // what a policy denies needs no fault that only may make it fail
  if (effect === "may" && denialOf(need) !== "none") return undefined;
  const affecting = (by: CapabilitySet): boolean => reasoner.effect(need, by) !== "none";
  const isSeen = effect === "may" && forecast !== undefined && !affecting(unwalked);
  // names are also resolved wrongly by servers that are reached
  const isPassed = forecast?.says === "works" && target.is !== "name";
  if (isSeen && (isPassed || (forecast.says !== "works" && !forecast.failing.some((way) => isMet(suspect, way)))))
    return undefined;
  const [from] = faults.find(([, breaks]) => affecting(breaks)) ?? faults.at(-1)!;
  return { suspect, effect, from };
}

/** Of those that only may have made a failure, those that are nearest to the end of one of its ways. */
function settled(claims: readonly Claim[], failing: readonly Way[]): readonly Claim[] {
  if (claims.length < 2 || failing.length === 0) return claims;
  const near = failing.map((way) => {
    const all = claims.map((claim) => nearness(claim, way));
    const best = Math.max(...all);
    return all.map((one) => one === best);
  });
  return claims.filter(({ effect }, i) => effect === "must" || near.some((isBest) => isBest[i]));
}

function nearness({ suspect, effect }: Claim, way: Way): number {
  const faults = suspect.faults.map(([fault]) => fault);
  if (faults.some((fault) => isEnd(fault, way))) return 3;
  if (effect === "must" || faults.some(({ evidence }) => isCited(evidence, sentBy(way)))) return 2;
  return 1;
}

const isCited = (evidence: readonly Evidence[], by: readonly Evidence[]): boolean =>
  evidence.some(({ origin, quote }) => by.some((one) => one.origin.path === origin.path && one.quote === quote));

/** Whether what a way ends at is what is wrong: what the fault cites, or the node as a whole. */
function isEnd({ evidence, breaks }: Fault, { end }: Way): boolean {
  const ofNode = OF_NODE[end.is];
  return (
    isCited(evidence, end.evidence) ||
    (ofNode !== undefined && breaks.some(({ name, node }) => name === ofNode && node === end.at?.node))
  );
}

/** The rules, routes and entries that sent the packets where they ended. */
const sentBy = ({ steps }: Way): readonly Evidence[] =>
  steps.flatMap((step) => (step.did === "pass" ? step.rules : "evidence" in step ? step.evidence : []));

const nodesOf = ({ nodes, repair }: Fault): readonly string[] =>
  repair.kind === "Node" ? [...nodes, repair.name] : nodes;

/** Whether a way passes the nodes of a root, or ends on one of them; a root that tells no nodes may be anywhere. */
function isMet({ faults }: Suspect, { steps, end }: Way): boolean {
  const nodes = new Set(faults.flatMap(([fault]) => nodesOf(fault)));
  if (nodes.size === 0 || !end.at || nodes.has(end.at.node)) return true;
  return steps.some((step) => "at" in step && nodes.has(step.at.node));
}

/** Whether a way ends at what is wrong with a root itself: on its node, or with its evidence. */
export const endsAt = ({ faults }: Root, { end }: Way): boolean =>
  faults.some(
    ({ repair, evidence }) =>
      (repair.kind === "Node" && repair.name === end.at?.node) || isCited(evidence, end.evidence),
  );
