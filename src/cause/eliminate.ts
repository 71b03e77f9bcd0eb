/**
 * Elimination: failures that no fault accounts for, where everything that they need was seen to work but for one thing
 * that nothing can observe: the network between the nodes, or the world outside. What may be so concluded, and what it
 * means, is told by the checks that conclude by elimination.
 */
import { type Concluding, type ConcludingBy, concludingBy, type Ends, type Fault } from "../checks/check.ts";
import type { Evidence } from "../evidence/origin.ts";
import { type Capability, type CapabilityName, capabilityId } from "../model/capability.ts";
import type { ModelParts } from "../model/model.ts";
import { type Need, pair } from "../model/needs/need.ts";
import type { Observation } from "../model/observations.ts";
import { ref } from "../model/ref.ts";
import type { Tunnels } from "../model/tunnels/tunnels.ts";
import type { Forecasts } from "../trace/forecast.ts";
import type { CapabilitySet } from "./effect.ts";

type Inferring = ConcludingBy<"elimination">;

/** What of a need is not known to work; alternatives that are known to work settle an "any". */
function doubts(need: Need, working: CapabilitySet): Capability[] {
  switch (need.is) {
    case "capability":
      return working.holds(need.of) ? [] : [need.of];
    case "all":
      return need.of.flatMap((part) => doubts(part, working));
    case "any":
      return need.of.flatMap((part) => doubts(part, working));
    case "perhaps":
      return doubts(need.of, working);
    default:
      return [];
  }
}

type Suspect = { readonly capability: Capability; readonly failures: readonly Observation[] };

/** Whether it fails or works with its packets; a name is also resolved wrongly by servers that are reached. */
const isOfPackets = ({ target }: Observation): boolean => target.is !== "name";
const targetOf = ({ failure }: { readonly failure: Observation }): string => failure.probe?.target ?? "";

/**
 * What each failure leaves of unobservable things, if it leaves one kind of them and nothing else. Those that leave one
 * thing say which it is; those that leave several (a Service with back ends on many nodes) belong to one that is suspected
 * already, or else to the only one that they all have in common.
 */
function suspectsOf(
  failures: readonly Observation[],
  working: CapabilitySet,
  unobservable: ReadonlySet<CapabilityName>,
  forecasts: Forecasts,
): Suspect[] {
  const opened = failures.map((failure) => {
    const all = doubts(failure.need, working);
    // where the walk finds that the packets pass, nothing is in doubt but what it cannot see
    const isSeen = isOfPackets(failure) && forecasts.of(failure)?.says === "works";
    const left = isSeen ? all.filter(({ name }) => unobservable.has(name)) : all;
    return { failure, isSeen, open: new Map(left.map((capability) => [capabilityId(capability), capability])) };
  });
  // what does not answer to those beside it either has a reason of its own
  const silent = new Set(opened.filter(({ isSeen, open }) => isSeen && open.size === 0).map(targetOf));
  const left = opened.filter(({ failure, isSeen, open }) => {
    const names = new Set([...open.values()].map(({ name }) => name));
    const isOneKind = names.size === 1 && [...names].every((name) => unobservable.has(name));
    return isOneKind && !(isSeen && silent.has(targetOf({ failure })));
  });
  const suspects = new Map<string, { capability: Capability; failures: Observation[] }>();
  const blame = (id: string, capability: Capability, failure: Observation) => {
    const suspect = suspects.get(id);
    if (suspect) suspect.failures.push(failure);
    else suspects.set(id, { capability, failures: [failure] });
  };
  for (const { failure, open } of left) if (open.size === 1) blame(...[...open][0]!, failure);
  const unclear = left.filter(({ open }) => ![...open.keys()].some((id) => suspects.has(id)));
  const common = [...(unclear[0]?.open ?? [])].filter(([id]) => unclear.every(({ open }) => open.has(id)));
  if (common.length === 1) for (const { failure } of unclear) blame(...common[0]!, failure);
  return [...suspects.values()];
}

/** Between whom, and the pairs of nodes or the one node that it is made of. */
type Loss = { readonly ends: Ends; readonly suspects: readonly Suspect[] };

const nodesOf = (suspects: readonly Suspect[]): string[] => [
  ...new Set(suspects.flatMap(({ capability: { node, peer } }) => [node, peer].filter((name) => name !== undefined))),
];

/**
 * The fewest ends that explain all failing pairs and no working one: all of the nodes, if every one of them fails with
 * several others and with none it works; a node, if it fails with several others and works with none; else the pair.
 */
function lossesOf(suspects: readonly Suspect[], working: CapabilitySet, nodes: readonly string[]): Loss[] {
  const name = suspects[0]?.capability.name;
  if (name === undefined) return [];
  if (suspects.every(({ capability }) => capability.peer === undefined))
    return suspects.map((suspect) => ({ ends: { are: "one", nodes: nodesOf([suspect]) }, suspects: [suspect] }));
  const touching = (node: string, among: readonly Suspect[]) =>
    among.filter(({ capability }) => capability.node === node || capability.peer === node);
  const isCutOff = (node: string) =>
    nodes.every((other) => other === node || !working.holds({ name, ...pair(node, other) }));
  const hit = nodesOf(suspects);
  if (hit.every((node) => isCutOff(node) && touching(node, suspects).length > 1))
    return [{ ends: { are: "all", nodes: hit }, suspects }];
  const losses: Loss[] = [];
  let rest = [...suspects];
  const byHits = (a: string, b: string) => touching(b, suspects).length - touching(a, suspects).length;
  for (const node of hit.filter(isCutOff).sort(byHits)) {
    const mine = touching(node, rest);
    if (mine.length < 2) continue;
    losses.push({ ends: { are: "one-to-all", nodes: [node] }, suspects: mine });
    rest = rest.filter((suspect) => !mine.includes(suspect));
  }
  return [
    ...losses,
    ...rest.map((suspect): Loss => ({ ends: { are: "pair", nodes: nodesOf([suspect]) }, suspects: [suspect] })),
  ];
}

/**
 * What a pair's own tables show of its packets, encapsulated or as they are: seen where they were sent and not where they
 * should arrive.
 */
function traceOf({ capability, failures }: Suspect, { tunnels, forecasts }: Sights): readonly Evidence[] | "arrived" {
  const { name, node, peer } = capability;
  if (node === undefined || peer === undefined) return [];
  if (name === "underlay.carry") {
    const ways = [tunnels.flows(node, peer), tunnels.flows(peer, node)];
    if (ways.every(({ state }) => state === "arrived")) return "arrived";
    const lost = ways.flatMap((way) => (way.state === "lost" ? way.evidence : []));
    if (lost.length > 0) return lost;
  }
  const sightings = failures.flatMap((failure) => forecasts.sighting(failure) ?? []);
  const between = sightings.filter(
    (one) => one.is !== "unanswered" && [one.from, one.to].includes(node) && [one.from, one.to].includes(peer),
  );
  return sightings.length > 0 && between.length === 0 ? "arrived" : between.flatMap(({ evidence }) => evidence);
}

type Sights = { readonly tunnels: Tunnels; readonly forecasts: Forecasts };

export function inferredFaults(
  failures: readonly Observation[],
  working: CapabilitySet,
  conclusions: readonly Concluding[],
  { nodes, tunnels }: Pick<ModelParts, "nodes" | "tunnels">,
  forecasts: Forecasts,
): readonly Fault[] {
  const inferences = concludingBy(conclusions, "elimination");
  const names = nodes.all.map(({ name }) => name);
  const sights = { tunnels, forecasts };
  const unobservable = new Set(inferences.map(({ of }) => of));
  const suspects = suspectsOf(failures, working, unobservable, forecasts).filter(
    (suspect) => traceOf(suspect, sights) !== "arrived",
  );
  return inferences.flatMap(({ check, of, title }) =>
    lossesOf(
      suspects.filter(({ capability }) => capability.name === of),
      working,
      names,
    ).map((loss) => faultOf(loss, { check, title, names, sights })),
  );
}

function faultOf(
  { ends, suspects }: Loss,
  { check, title, names, sights }: Pick<Inferring, "check" | "title"> & { names: readonly string[]; sights: Sights },
): Fault {
  const [first] = suspects as [Suspect, ...Suspect[]];
  const [node, ...others] = ends.nodes;
  const traces = suspects.flatMap((suspect) => {
    const trace = traceOf(suspect, sights);
    return trace === "arrived" ? [] : trace;
  });
  const failures = [...new Set(suspects.flatMap((suspect) => suspect.failures))];
  const { name } = first.capability;
  // of a node that reaches no other, the pairs that were not tested fail as well
  const breaks =
    ends.are === "one-to-all"
      ? names.filter((other) => other !== node).map((other) => ({ name, ...pair(node!, other) }))
      : suspects.map(({ capability }) => capability);
  return {
    outcome: "fault",
    check,
    repair: node === undefined || ends.are === "all" ? ref("Cluster", "cluster") : ref("Node", node),
    related: (ends.are === "all" ? ends.nodes : others).map((other) => ref("Node", other)),
    nodes: ends.nodes,
    breaks,
    title: title(ends),
    evidence: [...traces.slice(0, 4), ...failures.slice(0, 3).map(({ evidence }) => evidence)],
    strength: traces.length > 0 ? "traced" : "inferred",
    lost: false,
    facts: { ends: ends.are },
  };
}
