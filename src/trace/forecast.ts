/**
 * What the walk says of active tests, for the reasoning: whether they would work, and where captures or conntrack last saw
 * packets of those that did not although they should, with what those nodes counted of packets that they threw away.
 */
import { isWhole, known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { countOf, dropsCounted } from "../model/forwarding/drop-counters.ts";
import type { NodePlane } from "../model/forwarding/plane.ts";
import type { ClusterModel } from "../model/model.ts";
import type { Packet } from "../model/netfilter/packet.ts";
import type { Observation } from "../model/observations.ts";
import { formatIp } from "../net/ip.ts";
import type { ConntrackEntry } from "../parse/conntrack/entries.ts";
import { capturedOn } from "./captured.ts";
import { predict } from "./probe.ts";
import type { Way } from "./trace.ts";
import type { World } from "./walk.ts";

export type Forecast = {
  /** `depends`: some of its ways work and some do not, and chance chooses. */
  readonly says: "works" | "fails" | "depends";
  readonly ways: readonly Way[];
  readonly failing: readonly Way[];
};

/** Where packets were last seen that should have been answered. */
export type Sighting =
  /** The one node saw them, the other never did. */
  | { readonly is: "lost-between"; readonly from: string; readonly to: string; readonly evidence: readonly Evidence[] }
  /** The far node saw the answer, the near one did not. */
  | { readonly is: "answer-lost"; readonly from: string; readonly to: string; readonly evidence: readonly Evidence[] }
  /** They came to the node of whom they are for, and nothing answered there. */
  | { readonly is: "unanswered"; readonly at: string; readonly evidence: readonly Evidence[] };

export interface Forecasts {
  /** undefined if it is not a test whose packets can be walked, or what becomes of them rests on something unseen. */
  of(observation: Observation): Forecast | undefined;
  /** The ways of a test of which that cannot be told for rules that its packets may meet or not, if for nothing else. */
  doubtful(observation: Observation): readonly Way[];
  /** What packet captures of both ends, or their connection tracking, show of a test that should work; undefined if it does not tell. */
  sighting(observation: Observation): Sighting | undefined;
}

export const NO_FORECASTS: Forecasts = { of: () => undefined, doubtful: () => [], sighting: () => undefined };

const MOST_COUNTERS = 3;

/** So many tests are walked: bundles with more have them many times over. */
const MOST_WALKED = 5000;

type Model = World & Pick<ClusterModel, "dns" | "packetCaptures">;

export function forecastsOf(model: Model): Forecasts {
  const made = new Map<Observation, readonly Way[]>();
  function waysOf(observation: Observation): readonly Way[] {
    const known = made.get(observation);
    if (known || made.size >= MOST_WALKED) return known ?? [];
    const ways = walked(observation, model);
    made.set(observation, ways);
    return ways;
  }
  function of(observation: Observation): Forecast | undefined {
    const ways = waysOf(observation);
    return ways.length === 0 || ways.some(isGuessed) ? undefined : forecastOf(ways);
  }
  return {
    of,
    doubtful(observation) {
      const ways = waysOf(observation);
      return ways.some(isGuessed) && ways.every((way) => !isGuessed(way) || way.doubts !== undefined) ? ways : [];
    },
    sighting(observation) {
      const forecast = of(observation);
      const found = forecast?.says === "works" ? sightingOf(forecast.ways, model) : undefined;
      if (!found) return undefined;
      // what no rule did may have been counted where they were last seen, or where they should have come
      const places = found.is === "unanswered" ? [found.at] : [found.from, found.to];
      const counted = places.flatMap((node) => dropsCounted(model.forwarding.of(node)).slice(0, MOST_COUNTERS));
      return { ...found, evidence: [...found.evidence, ...counted] };
    },
  };
}

/** What was captured on purpose tells of each way; tables of connections, which are kept for long, only of one. */
function sightingOf(ways: readonly Way[], model: Model): Sighting | undefined {
  for (const way of ways) {
    const captured = capturedOn(way, model.packetCaptures);
    if (captured) return captured;
  }
  return ways.length === 1 ? trackedOn(ways[0]!, model) : undefined;
}

const isGuessed = ({ certainty }: Way): boolean => certainty === "guessed";

/** The ways of a test's packets; none if it is no test that can be walked, or something on its way was not seen. */
function walked({ probe }: Observation, model: World & Pick<ClusterModel, "dns">): readonly Way[] {
  const prediction = probe && predict(probe, model);
  if (!prediction || prediction.missing.length > 0 || prediction.because.length > 0) return [];
  const { ways } = prediction.trace;
  return ways.some((way) => isUncounted(way, model)) ? [] : ways;
}

function forecastOf(ways: readonly Way[]): Forecast {
  const failing = ways.filter(({ end }) => end.is !== "answered");
  const says = failing.length === 0 ? "works" : failing.length === ways.length ? "fails" : "depends";
  return { says, ways, failing };
}

/** The node would have counted the packets that the walk sees thrown away there, and has counted none since it was booted. */
function isUncounted({ end }: Way, { forwarding }: World): boolean {
  if (end.is !== "not-accepted" || !end.at || !end.evidence[0]?.quote.startsWith("rp_filter ")) return false;
  return countOf(forwarding.of(end.at.node), "TcpExtIPReversePathFilter") === 0;
}

/** The packet as each node on the way saw it first. */
function enteredNodes({ steps, answer }: Way): readonly (readonly [string, Packet])[] {
  const first = new Map<string, Packet>();
  for (const step of steps.slice(0, answer)) {
    // encapsulated packets are other packets
    if (step.did === "encapsulate" || step.did === "carry") continue;
    if (!("packet" in step) || first.has(step.at.node)) continue;
    first.set(step.at.node, step.did === "send" ? step.packet : step.before);
  }
  return [...first];
}

function entriesOf({ conntrack }: NodePlane, packet: Packet): readonly ConntrackEntry[] {
  const { source, destination, destinationPort, protocol } = packet;
  if (source === "unknown" || destination === "unknown") return [];
  const [from, to] = [formatIp(source), formatIp(destination)];
  return (known(conntrack) ?? []).filter(
    ({ original, protocol: name }) =>
      original.source === from &&
      original.destination === to &&
      name === protocol &&
      (original.destinationPort === undefined || original.destinationPort === destinationPort),
  );
}

function quote({ conntrack }: NodePlane, { protocol, original, replied, line }: ConntrackEntry): Evidence {
  const ports = original.destinationPort === undefined ? "" : ` dport=${original.destinationPort}`;
  return quoteOf(
    { ...conntrack.origin, line },
    `${protocol} src=${original.source} dst=${original.destination}${ports}${replied ? "" : " [UNREPLIED]"}`,
  );
}

function trackedOn(way: Way, { forwarding }: World): Sighting | undefined {
  const nodes = enteredNodes(way);
  const seen = nodes.map(([node, packet]) => {
    const plane = forwarding.of(node);
    return { node, plane, entries: entriesOf(plane, packet) };
  });
  const [near, ...others] = seen;
  const far = others.at(-1);
  const unanswered = near?.entries.filter(({ replied }) => !replied) ?? [];
  if (!near || !unanswered[0]) return undefined;
  const left = quote(near.plane, unanswered[0]);
  if (!far) return { is: "unanswered", at: near.node, evidence: [left] };
  const [arrived] = far.entries;
  if (arrived) {
    const evidence = [left, quote(far.plane, arrived)];
    return arrived.replied
      ? { is: "answer-lost", from: far.node, to: near.node, evidence }
      : { is: "unanswered", at: far.node, evidence };
  }
  // of a table that is cut off or empty, what is missing may be just this; and one packet may have run out meanwhile
  const table = far.plane.conntrack;
  if (!isWhole(table) || table.value.length === 0 || unanswered.length < 2) return undefined;
  return { is: "lost-between", from: near.node, to: far.node, evidence: [left] };
}
