/**
 * The explanation of everything that was found and observed: which faults are roots, what follows from each, what was
 * meant, what nothing explains, and what could not be seen.
 *
 * docs/reasoning.md tells the same in words, with worked examples.
 */
import type { CannotTell, Concluding, Fault, Missing, Outcome, Past, Warning } from "../checks/check.ts";
import type { Evidence } from "../evidence/origin.ts";
import { type Capability, type CapabilityName, capabilityId } from "../model/capability.ts";
import type { ModelParts } from "../model/model.ts";
import type { Nodes } from "../model/nodes.ts";
import type { Observation } from "../model/observations.ts";
import type { Denying } from "../model/policies/views.ts";
import { refId } from "../model/ref.ts";
import { timeOf } from "../model/time.ts";
import { type Text, texts } from "../text.ts";
import { type Forecast, type Forecasts, NO_FORECASTS, type Sighting } from "../trace/forecast.ts";
import { blockedFaults } from "./blocked.ts";
import { type Confidence, confidenceOf } from "./confidence.ts";
import { type CapabilitySet, capabilitySet, denialOf, namedIn, provenBy, type Reasoner, reasonerOf } from "./effect.ts";
import { inferredFaults } from "./eliminate.ts";
import type { Foretold } from "./foretold.ts";
import { endsAt, faultsOf, type Owner, ownersAmong } from "./owners.ts";
import { type Root, rootsOf, strengthRank } from "./roots.ts";

export type Owned = Omit<Owner, "root"> & { readonly observation: Observation };

export type ExplainedRoot = Root & {
  readonly owned: readonly Owned[];
  /** Successes where it should have failed. */
  readonly refutedBy: readonly Observation[];
  readonly latent: boolean;
  /** What it will lead to, where nothing was seen to fail for it. */
  readonly foretold: readonly Foretold[];
  readonly confidence: Confidence;
  readonly because: Text;
  readonly since?: string;
};

const say = texts("explain", {
  undecided: {
    en: "a rule on the way of failed tests, of which nothing tells which packets it meets, may be what drops them: {rule}",
    zh: "失败的探测途经一条无法判断匹配哪些报文的规则，可能正是它丢弃了这些报文：{rule}",
  },
});

export type MeantDenial = { readonly policies: readonly Denying[]; readonly observations: readonly Observation[] };

export type BlindSpot = {
  readonly missing: readonly Missing[];
  readonly because?: Text;
  readonly capabilities: readonly Capability[];
  readonly roots: readonly string[];
  /** It hides something that Services, DNS or the Pod network need. */
  readonly matters: boolean;
};

/** A test and the walk of its packets do not agree: something is not seen, or was otherwise when it was tested. */
export type Disagreement = {
  readonly observation: Observation;
  readonly forecast: Forecast;
  readonly sighting?: Sighting;
};

export type RuledOut = { readonly fault: Fault; readonly by: Observation };

export type Explanation = {
  readonly roots: readonly ExplainedRoot[];
  readonly unexplained: readonly Observation[];
  readonly meant: readonly MeantDenial[];
  /** State that differs from what is expected of it, while tests show that it works: the expectation is in doubt. */
  readonly contradicted: readonly ExplainedRoot[];
  readonly warnings: readonly Warning[];
  readonly history: readonly Past[];
  readonly blindSpots: readonly BlindSpot[];
  readonly ruledOut: readonly RuledOut[];
  readonly disagreements: readonly Disagreement[];
};

type Parts = Pick<ModelParts, "needs" | "observations" | "nodes" | "tunnels" | "time" | "components" | "policies">;

/** Losing these harms nothing until something changes or restarts. */
const ONLY_FOLLOWS: ReadonlySet<CapabilityName> = new Set([
  "component.permit",
  "component.login",
  "component.config",
  "component.learn",
  "component.run",
  "component.restart",
  "service.follow",
  "service.pod-range",
  "pod-network.config",
  "pod-network.backend",
  "pod.create",
  "cni.choice",
  "pod.admit",
  "api.ask",
  "api.write",
]);

/** So many failures that nothing explains are enough to see what would explain them. */
const MOST_ASKED = 20;

const ofKind = <O extends Outcome["outcome"]>(outcomes: readonly Outcome[], kind: O) =>
  outcomes.filter((outcome): outcome is Extract<Outcome, { outcome: O }> => outcome.outcome === kind);

export type Reasoning = {
  /** What may be concluded, by elimination or from the walk, and in the name of which check. */
  readonly conclusions?: readonly Concluding[];
  readonly forecasts?: Forecasts;
  /** What broken capabilities lead to where nothing has failed yet. */
  readonly foretell?: Foretell;
};

type Foretell = (broken: readonly Capability[]) => readonly Foretold[];

export function explain(
  outcomes: readonly Outcome[],
  model: Parts,
  { conclusions = [], forecasts = NO_FORECASTS, foretell = () => [] }: Reasoning = {},
): Explanation {
  const { needs, observations, nodes } = model;
  const found = ofKind(outcomes, "fault");
  const measured = observations.all.filter(({ how }) => how === "measured");
  const failures = measured.filter(({ outcome }) => outcome === "failed");
  const successes = measured.filter(({ outcome }) => outcome === "ok");

  const broken = capabilitySet(found.flatMap(({ breaks }) => breaks));
  const seenWorking = ofKind(outcomes, "works").map(({ capability }) => capability);
  const proven = successes.flatMap(({ need }) => provenBy(need));
  const working = capabilitySet([...seenWorking, ...proven].filter((capability) => !broken.holds(capability)));
  const reasoner = reasonerOf(needs, working);
  const exercised = capabilitySet(successes.flatMap(({ need }) => namedIn(need)));

  const { kept, ruledOut } = refute(found, successes, needs);
  const sampled = nodes.all.filter((node) => node.sampled).map(({ name }) => name);
  const first = rootsOf(kept, needs, reasoner, sampled);
  const owners = ownersAmong(first, reasoner, forecasts);
  const leftOver = failures.filter((failure) => denialOf(failure.need) === "none" && owners(failure).length === 0);
  const { faults: blocked, left } = blockedFaults(leftOver, conclusions, forecasts, { successes, working });
  const inferred = [...blocked, ...inferredFaults(left, working, conclusions, model, forecasts)];
  const roots = inferred.length === 0 ? first : rootsOf([...kept, ...inferred], needs, reasoner, sampled);

  const cannotTell = ofKind(outcomes, "cannot-tell").filter(({ capability }) => !working.holds(capability));
  const ownedBy = shares(observations.failed, ownersAmong(roots, reasoner, forecasts));
  const all = roots
    .map((root) =>
      explainRoot(root, ownedBy.get(root) ?? [], successes, reasoner, cannotTell, model, forecasts, foretell),
    )
    .sort(byRank);
  const contradicted = all.filter(isContradicted);
  const explained = all.filter((root) => !isContradicted(root));
  const isOwned = (failure: Observation) =>
    explained.some(({ owned }) => owned.some(({ observation }) => observation === failure));
  const meant = meantDenials(
    failures.filter((failure) => denialOf(failure.need) !== "none" && !mustFail(explained, failure)),
  );
  const meantOnes = new Set(meant.flatMap(({ observations: denied }) => denied));
  const unexplained = failures.filter((failure) => !isOwned(failure) && !meantOnes.has(failure));
  // what was not seen, and would explain what nothing seen does
  const mayExplain = (capability: Capability) =>
    unexplained.slice(0, MOST_ASKED).some(({ need }) => reasoner.effect(need, capabilitySet([capability])) !== "none");
  return {
    roots: explained,
    unexplained,
    meant,
    contradicted,
    warnings: ofKind(outcomes, "warning").filter((one) => !explained.some((root) => isToldBy(root, one))),
    history: ofKind(outcomes, "past"),
    blindSpots: [
      ...blindSpotsOf(cannotTell, explained, broken, exercised, mayExplain),
      ...undecidedSpots(unexplained, forecasts),
      ...unmappedSpot(observations.unmapped.length),
      ...unseenNodesSpot(nodes, exercised),
    ],
    ruledOut,
    disagreements: disagreementsOf(successes, unexplained, forecasts),
  };
}

/** A root tells of the same object by the same line: that it is a hazard as well is no news. */
function isToldBy({ faults }: ExplainedRoot, { repair, evidence }: Warning): boolean {
  const id = refId(repair);
  const lines = new Set(evidence.map(lineOf));
  return faults.some(
    (one) =>
      [one.repair, ...one.related].some((object) => refId(object) === id) &&
      one.evidence.some((quoted) => lines.has(lineOf(quoted))),
  );
}

const lineOf = ({ origin, quote }: Evidence): string => [origin.path, origin.line ?? quote].join("\n");

function disagreementsOf(
  successes: readonly Observation[],
  unexplained: readonly Observation[],
  forecasts: Forecasts,
): readonly Disagreement[] {
  return [
    ...unexplained.map((observation) => ({ observation, against: "works" })),
    ...successes.map((observation) => ({ observation, against: "fails" })),
  ].flatMap(({ observation, against }) => {
    const forecast = forecasts.of(observation);
    if (forecast?.says !== against) return [];
    const sighting = forecasts.sighting(observation);
    return [{ observation, forecast, ...(sighting && { sighting }) }];
  });
}

/** What only differs, harms nothing that was tested, and would have made tests fail that succeeded. */
const isContradicted = ({ faults, owned, refutedBy }: ExplainedRoot): boolean =>
  faults.every(({ strength }) => strength === "differing") &&
  owned.every(({ observation }) => observation.how === "heard") &&
  refutedBy.length > 0;

const mustFail = (roots: readonly ExplainedRoot[], failure: Observation) =>
  roots.some(({ owned }) => owned.some(({ observation, effect }) => observation === failure && effect === "must"));

/** What each root owns of the failures. */
function shares(
  failures: readonly Observation[],
  owners: (failure: Observation) => readonly Owner[],
): ReadonlyMap<Root, readonly Owned[]> {
  const byRoot = new Map<Root, Owned[]>();
  for (const observation of failures)
    for (const { root, ...share } of owners(observation)) {
      const list = byRoot.get(root);
      if (list) list.push({ observation, ...share });
      else byRoot.set(root, [{ observation, ...share }]);
    }
  return byRoot;
}

/** What is only heard falls before a success that it would have made impossible; what is seen directly is a fact. */
function refute(faults: readonly Fault[], successes: readonly Observation[], needs: Parts["needs"]) {
  const kept: Fault[] = [];
  const ruledOut: RuledOut[] = [];
  for (const fault of faults) {
    const broken = capabilitySet(fault.breaks);
    const success =
      strengthRank(fault.strength) < strengthRank("heard")
        ? undefined
        : successes.find(({ need }) => reasonerOf(needs, capabilitySet([])).effect(need, broken) === "must");
    if (success) ruledOut.push({ fault, by: success });
    else kept.push(fault);
  }
  return { kept, ruledOut };
}

function explainRoot(
  root: Root,
  owned: readonly Owned[],
  successes: readonly Observation[],
  reasoner: Reasoner,
  cannotTell: readonly CannotTell[],
  { needs }: Parts,
  forecasts: Forecasts,
  foretell: Foretell,
): ExplainedRoot {
  const all = faultsOf(root);
  const plain = reasonerOf(needs, capabilitySet([]));
  // what was found to follow stands for itself: it may hold for some packets only
  const own = capabilitySet(root.faults.flatMap(({ breaks }) => breaks));
  const refutedBy = successes.filter(({ need }) => plain.effect(need, own) === "must");
  // where tests were made, complaints in logs about what the tests show to work are of another time
  const isFelt = owned.some(({ observation }) => observation.how === "measured" || successes.length === 0);
  const latent = !isFelt && all.every(({ breaks }) => breaks.every(({ name }) => ONLY_FOLLOWS.has(name)));
  const unseenBelow = cannotTell.filter(({ capability }) =>
    root.faults.some((fault) =>
      fault.breaks.some((part) => reasoner.effect(needs.of(part), capabilitySet([capability])) !== "none"),
    ),
  );
  const since = earliest(all.map((fault) => fault.since));
  const confidence = confidenceOf({
    root,
    owned,
    refutedBy,
    unseenBelow,
    agreed: owned.filter(({ observation }) => forecasts.of(observation)?.failing.some((way) => endsAt(root, way)))
      .length,
  });
  return {
    ...root,
    owned: latent ? [] : owned,
    refutedBy,
    latent,
    // what was felt needs no foretelling, and what tests refute is not foretold
    foretold:
      (latent || owned.length === 0) && refutedBy.length === 0 ? foretell(all.flatMap(({ breaks }) => breaks)) : [],
    ...confidence,
    ...(since !== undefined && { since }),
  };
}

function earliest(times: readonly (string | undefined)[]): string | undefined {
  const known = times.filter((at) => at !== undefined);
  return known.sort((a, b) => (timeOf(a) ?? 0) - (timeOf(b) ?? 0))[0];
}

const CONFIDENCES: readonly Confidence[] = ["certain", "likely", "possible"];

/** Present before latent; strength of evidence; symptoms owned; depth of what follows; name. */
function byRank(a: ExplainedRoot, b: ExplainedRoot): number {
  const strength = ({ faults }: ExplainedRoot) => Math.min(...faults.map((fault) => strengthRank(fault.strength)));
  return (
    Number(a.latent) - Number(b.latent) ||
    CONFIDENCES.indexOf(a.confidence) - CONFIDENCES.indexOf(b.confidence) ||
    strength(a) - strength(b) ||
    b.owned.length - a.owned.length ||
    b.consequences.length - a.consequences.length ||
    (a.id < b.id ? -1 : 1)
  );
}

function meantDenials(failures: readonly Observation[]): MeantDenial[] {
  const groups = new Map<string, { policies: readonly Denying[]; observations: Observation[] }>();
  for (const failure of failures) {
    const policies = denyingPolicies(failure);
    const key = policies
      .map(({ ref }) => refId(ref))
      .sort()
      .join(" ");
    const group = groups.get(key);
    if (group) group.observations.push(failure);
    else groups.set(key, { policies, observations: [failure] });
  }
  return [...groups.values()];
}

function denyingPolicies({ need }: Observation): readonly Denying[] {
  const found = new Set<Denying>();
  const visit = (part: Observation["need"]): void => {
    if (part.is === "denied") for (const policy of part.by) found.add(policy);
    else if (part.is === "all" || part.is === "any") part.of.forEach(visit);
    else if (part.is === "perhaps") visit(part.of);
  };
  visit(need);
  return [...found];
}

/** Tests that failed towards addresses of which nothing tells what they are. */
/** Rules on the way of failures that nothing explains, of which it cannot be told whether they stop these packets. */
function undecidedSpots(unexplained: readonly Observation[], forecasts: Forecasts): BlindSpot[] {
  const spots = unexplained.flatMap((failure) =>
    forecasts.doubtful(failure).flatMap(({ end: { is, at, evidence } }) => {
      const [rule] = evidence;
      if (is === "answered" || !at || !rule) return [];
      const capabilities = [{ name: "node.forward", node: at.node } as const];
      const because = say.undecided({ rule: rule.quote });
      return [[because.en, { missing: [], because, capabilities, roots: [], matters: true }] as const];
    }),
  );
  return [...new Map(spots).values()];
}

function unmappedSpot(count: number): BlindSpot[] {
  const missing = (["pods", "services", "nodes"] as const).map((kind) => ({ kind }));
  return count === 0 ? [] : [{ missing, capabilities: [], roots: [], matters: true }];
}

/** So many nodes are named of those that nobody looked into. */
const MOST_UNSEEN = 10;

/** Nobody looked into any node. (Of many nodes some are looked into, and stand for the others.) */
function unseenNodesSpot({ all }: Nodes, exercised: CapabilitySet): BlindSpot[] {
  if (all.some(({ sampled }) => sampled)) return [];
  const names = ["pod-network.entries", "node.forward", "service.rules"] as const;
  const capabilities = all
    .slice(0, MOST_UNSEEN)
    .flatMap(({ name: node }) => names.map((name): Capability => ({ name, node })))
    .filter((capability) => !exercised.holds(capability) && !exercised.touches(capability));
  const nodes = [...new Set(capabilities.map(({ node = "" }) => node))];
  const missing = nodes.flatMap((node) =>
    (["routes", "iptables"] as const).map((kind): Missing => ({ kind, place: { node } })),
  );
  return missing.length === 0 ? [] : [{ missing, capabilities, roots: [], matters: true }];
}

/** One blind spot for everything that one kind of evidence would have told. */
function blindSpotsOf(
  cannotTell: readonly CannotTell[],
  roots: readonly ExplainedRoot[],
  broken: CapabilitySet,
  exercised: CapabilitySet,
  mayExplain: (capability: Capability) => boolean,
): BlindSpot[] {
  const groups = new Map<
    string,
    { missing: Map<string, Missing>; because?: Text; capabilities: Map<string, Capability>; matters: boolean }
  >();
  for (const { capability, missing, because, presumed } of cannotTell) {
    if (broken.holds(capability)) continue;
    const kinds = new Set(missing.map(({ kind }) => kind));
    const key = `${[...kinds].sort().join(" ")} ${because?.en ?? ""} ${presumed ?? false}`;
    const group = groups.get(key) ?? {
      missing: new Map(),
      capabilities: new Map(),
      matters: false,
      ...(because && { because }),
    };
    groups.set(key, group);
    for (const piece of missing) group.missing.set(JSON.stringify(piece), piece);
    group.capabilities.set(capabilityId(capability), capability);
    // what tests passed through was seen to work at least for them
    group.matters ||=
      mayExplain(capability) ||
      (!presumed &&
        !ONLY_FOLLOWS.has(capability.name) &&
        !exercised.holds(capability) &&
        !exercised.touches(capability));
  }
  return [...groups.values()].map(({ missing, because, capabilities, matters }) => {
    const names = [...capabilities.values()];
    const touched = roots.filter(({ faults }) =>
      faults.some(({ breaks }) =>
        breaks.some((part) =>
          names.some(
            ({ node, component }) =>
              (node !== undefined && node === part.node) || (component !== undefined && component === part.component),
          ),
        ),
      ),
    );
    return {
      missing: [...missing.values()],
      ...(because && { because }),
      capabilities: names,
      roots: touched.map(({ id }) => id),
      matters,
    };
  });
}
