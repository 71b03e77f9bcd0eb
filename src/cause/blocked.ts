/**
 * Failed tests that no fault accounts for, where the walk of the same packets ends before its goal: what ends it is then
 * the fault, whatever it is. Checks know what is usual and find what deviates from it, tested or not; this finds what
 * nobody thought of, but only where a test shows that it hurts.
 */
import { type Concluding, type ConcludingBy, concludingBy, type Fault } from "../checks/check.ts";
import { capabilityId } from "../model/capability.ts";
import type { Observation } from "../model/observations.ts";
import { areOfPolicy } from "../model/policies/rules.ts";
import { ref } from "../model/ref.ts";
import type { Forecasts } from "../trace/forecast.ts";
import type { End } from "../trace/trace.ts";

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

type Stop = { readonly end: End & Required<Pick<End, "at">>; readonly failures: Set<Observation> };

/** @returns what ends the packets of failures, and the failures of which it cannot be told */
export function blockedFaults(
  failures: readonly Observation[],
  conclusions: readonly Concluding[],
  forecasts: Forecasts,
): { readonly faults: readonly Fault[]; readonly left: readonly Observation[] } {
  const blockings = concludingBy(conclusions, "walk");
  if (blockings.length === 0) return { faults: [], left: failures };
  const left: Observation[] = [];
  const stops = new Map<string, Stop>();
  for (const failure of failures) {
    const ends = (forecasts.of(failure)?.failing ?? []).map(({ end }) => end);
    // one end that says nothing of its place, and it is not known what there is to repair
    if (ends.length === 0 || !ends.every(isPlace)) {
      left.push(failure);
      continue;
    }
    for (const end of ends) {
      if (!isPlace(end)) continue;
      const key = `${end.is} ${end.at.node} ${end.at.pod?.key ?? ""} ${end.evidence[0]!.quote}`;
      const stop = stops.get(key) ?? { end, failures: new Set() };
      stop.failures.add(failure);
      stops.set(key, stop);
    }
  }
  const faults = blockings.flatMap(({ check, title }) =>
    [...stops.values()].map((stop) => faultOf(stop, check, title)),
  );
  return { faults, left };
}

function faultOf({ end, failures }: Stop, check: string, title: ConcludingBy<"walk">["title"]): Fault {
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
    evidence: [...end.evidence.slice(0, 3), ...tests.slice(0, 3).map(({ evidence }) => evidence)],
    strength: "direct",
    lost: false,
    facts: { end: end.is, from: fromOf(first), to },
  };
}

/** As `netwhy path` takes it. */
const fromOf = (test: Observation | undefined): string => test?.client.podKey ?? test?.client.node ?? "";
