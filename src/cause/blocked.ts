/**
 * Failed tests that no fault accounts for, where the walk of the same packets ends before its goal: what ends it is then
 * the fault, whatever it is. Checks know what is usual and find what deviates from it, tested or not; this finds what
 * nobody thought of, but only where a test shows that it hurts.
 */
import { type Concluding, type ConcludingBy, concludingBy, type Fault } from "../checks/check.ts";
import type { Evidence } from "../evidence/origin.ts";
import { capabilityId } from "../model/capability.ts";
import { pair } from "../model/needs/need.ts";
import type { Observation } from "../model/observations.ts";
import { areOfPolicy } from "../model/policies/rules.ts";
import { ref } from "../model/ref.ts";
import type { Forecasts } from "../trace/forecast.ts";
import { resultOf, seenAs } from "../trace/probe.ts";
import type { End, Way } from "../trace/trace.ts";
import type { CapabilitySet } from "./effect.ts";

/** A rule of kube-proxy's: a Service without back ends, or rules that are stale, of which the Service rules' check tells. */
const OF_SERVICE =
  / -A KUBE-(?:SERVICES|EXTERNAL-SERVICES|NODEPORTS|PROXY-FIREWALL|FW-|SV[CL]-|EXT-|XLB-)|^ip6? kube-proxy /;

const isPlace = (end: End): end is End & Required<Pick<End, "at">> =>
  end.at !== undefined &&
  end.evidence.length > 0 &&
  end.is !== "left-cluster" &&
  end.is !== "denied" &&
  !OF_SERVICE.test(end.evidence[0]!.quote) &&
  !areOfPolicy(end.evidence);

type Place = End & Required<Pick<End, "at">>;

/** `doubts`: the rules of which only the failures tell that packets meet them, or that they do not. */
type Stop = { readonly end: Place; readonly failures: Set<Observation>; readonly doubts: readonly Evidence[] };

const placeOf = ({ is, at, evidence }: Place): string => `${is} ${at.node} ${at.pod?.key ?? ""} ${evidence[0]!.quote}`;

type Seen = { readonly successes: readonly Observation[]; readonly working: CapabilitySet };

/** @returns what ends the packets of failures, and the failures of which it cannot be told */
export function blockedFaults(
  failures: readonly Observation[],
  conclusions: readonly Concluding[],
  forecasts: Forecasts,
  seen: Seen,
): { readonly faults: readonly Fault[]; readonly left: readonly Observation[] } {
  const blockings = concludingBy(conclusions, "walk");
  if (blockings.length === 0) return { faults: [], left: failures };
  const left: Observation[] = [];
  const stops = new Map<string, Stop>();
  const passed = new Set(
    seen.successes.flatMap((success) =>
      forecasts.doubtful(success).flatMap(({ end }) => (isPlace(end) ? placeOf(end) : [])),
    ),
  );
  for (const failure of failures) {
    const ways = forecasts.of(failure)?.failing ?? decidedBy(failure, forecasts, passed, seen.working);
    const ends = ways.map(({ end }) => end);
    // one end that says nothing of its place, and it is not known what there is to repair
    if (ends.length === 0 || !ends.every(isPlace)) {
      left.push(failure);
      continue;
    }
    for (const { end, certainty, doubts = [] } of ways) {
      if (!isPlace(end)) continue;
      const key = placeOf(end);
      const stop = stops.get(key) ?? { end, failures: new Set(), doubts: certainty === "guessed" ? doubts : [] };
      stop.failures.add(failure);
      stops.set(key, stop);
    }
  }
  const faults = blockings.flatMap(({ check, title }) =>
    [...stops.values()].map((stop) => faultOf(stop, check, title)),
  );
  return { faults, left };
}

/**
 * Of a test that a rule may drop or not, and whose packets pass else: that it failed decides, where that rule did drop
 * packets, no test came through that would have met it as well, and the network between the nodes is known to carry.
 */
function decidedBy(
  failure: Observation,
  forecasts: Forecasts,
  passed: ReadonlySet<string>,
  working: CapabilitySet,
): readonly Way[] {
  const { probe } = failure;
  const ways = forecasts.doubtful(failure);
  const failing = ways.filter(({ end }) => end.is !== "answered");
  const [first] = failing;
  if (!probe || !first || failing.length === ways.length || !isPlace(first.end)) return [];
  const { end } = first;
  const place = placeOf(end);
  const isOne = failing.every((way) => isPlace(way.end) && placeOf(way.end) === place);
  const isSeenSo = seenAs(end, probe.test === "icmp" ? "icmp" : probe.test === "udp" ? "udp" : "tcp")?.includes(
    resultOf(probe),
  );
  if (!isOne || !isSeenSo || end.counted !== true || passed.has(place)) return [];
  const isCarried = ways.every(({ steps }) =>
    steps.every(
      (step) => step.did !== "carry" || working.holds({ name: "underlay.carry", ...pair(step.from, step.to) }),
    ),
  );
  return isCarried ? [first] : [];
}

function faultOf({ end, failures, doubts }: Stop, check: string, title: ConcludingBy<"walk">["title"]): Fault {
  const tests = [...failures];
  const { node, pod } = end.at;
  const [first] = tests;
  const to = first?.probe?.target ?? "";
  const broken = new Map(tests.map(({ capability }) => [capabilityId(capability), capability]));
  return {
    outcome: "fault",
    check,
    repair: pod?.ref ?? ref("Node", node),
    related: [],
    nodes: [node],
    breaks: [...broken.values()],
    title: title({ end: end.is, node, to, what: end.evidence[0]!.quote, ...(pod && { pod: pod.key }) }),
    evidence: [
      ...new Set([
        ...end.evidence.slice(0, 3),
        ...doubts.slice(0, 3),
        ...tests.slice(0, 3).map(({ evidence }) => evidence),
      ]),
    ],
    strength: doubts.length > 0 ? "inferred" : "direct",
    lost: false,
    facts: { end: end.is, from: fromOf(first), to },
  };
}

/** As `netwhy path` takes it. */
const fromOf = (test: Observation | undefined): string => test?.client.podKey ?? test?.client.node ?? "";
