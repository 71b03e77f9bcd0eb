/** Makes the path of an answer: plain data. What each way comes to in words is in `path-sentences.ts`. */
import { captureCommands } from "../checks/capture-commands.ts";
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import type { Packet } from "../model/netfilter/packet.ts";
import { type Ref, ref } from "../model/ref.ts";
import { formatIp } from "../net/ip.ts";
import type { Answer, BackEnd, Result } from "../trace/answer.ts";
import type { Answer as DnsAnswer } from "../trace/dns-answer.ts";
import type { Source } from "../trace/ends/goal.ts";
import type { Sighting } from "../trace/forecast.ts";
import type { End, Namespace, Step, Way } from "../trace/trace.ts";
import type { Path, PathBackEnd, PathPacket, PathPlace, PathStep, PathWay } from "./path.ts";
import { sentenceOf, summaryOf } from "./path-sentences.ts";
import { settleFor } from "./settle.ts";
import { sightingText } from "./sightings.ts";

export type PathInput = {
  readonly answer: Answer;
  /** What packet captures show of its packets. */
  readonly sightings?: readonly Sighting[];
  readonly typed: { readonly from: string; readonly to: string };
  readonly capture: Capture;
  readonly version: string;
  readonly size?: number | undefined;
};

const VERDICTS = {
  answered: "reaches",
  failed: "fails",
  sometimes: "sometimes",
  left: "leaves",
  unclear: "unclear",
} as const satisfies Record<Result, Path["verdict"]>;

export function buildPath({ answer, sightings = [], typed, capture, version, size }: PathInput): Path {
  const { ends, resolution, walked, result, notes, tests } = answer;
  const file = known(capture.get("cluster", {}));
  const kubernetes = known(capture.get("version", {}))?.gitVersion ?? file?.kubernetesVersion;
  return {
    schema: "netwhy.path/v1",
    tool: { version },
    cluster: {
      name: file?.name ?? "",
      ...(kubernetes !== undefined && { version: kubernetes }),
      ...(file?.capturedAt !== undefined && { capturedAt: file.capturedAt }),
    },
    from: fromOf(ends.from, typed.from),
    to: toOf(answer, typed.to),
    protocol: ends.protocol,
    ...(ends.port !== undefined && { port: ends.port }),
    ...(size !== undefined && { size }),
    verdict: VERDICTS[result],
    summary: summaryOf(answer, typed),
    notes: [...notes],
    ...(resolution && { resolution: resolutionOf(resolution) }),
    backEnds: walked.backEnds.map(backEndOf),
    tests: tests.map(({ outcome, evidence }) => ({ outcome, evidence })),
    captured: sightings.map((sighting) => ({ says: sightingText(sighting), evidence: [...sighting.evidence] })),
    captures: capturesFor(answer, sightings),
  };
}

/** Where the walk cannot tell, or tests in the evidence ended otherwise, and nothing was captured yet. */
function capturesFor({ result, contradicting, walked }: Answer, sightings: readonly Sighting[]) {
  const isInDoubt = result === "unclear" || contradicting.length > 0;
  return isInDoubt && sightings.length === 0 ? captureCommands(walked.backEnds.flatMap(({ ways }) => ways)) : [];
}

function fromOf(from: Source, typed: string): Path["from"] {
  if ("outside" in from) return { typed, kind: "outside", addresses: [formatIp(from.outside)] };
  const { node, pod } = from;
  if (!pod) return { typed, kind: "node", object: ref("Node", node), node, addresses: [] };
  return { typed, kind: "pod", object: pod.ref, node, addresses: [...pod.addresses] };
}

function toOf({ ends: { to }, service, addresses }: Answer, typed: string): Path["to"] {
  const base = { typed, addresses: [...addresses] };
  switch (to.is) {
    case "pod":
      return { ...base, kind: "pod", object: to.pod.ref, ...(to.pod.node !== undefined && { node: to.pod.node }) };
    case "node":
      return { ...base, kind: "node", object: ref("Node", to.node), node: to.node };
    default:
      return { ...base, kind: to.is, ...(service && { object: service.ref }) };
  }
}

const placeOf = ({ node, pod }: Namespace): PathPlace => ({ node, ...(pod && { pod: pod.key }) });

function packetOf({ protocol, source, sourcePort, destination, destinationPort, mark }: Packet): PathPacket {
  return {
    protocol,
    ...(source !== "unknown" && { source: formatIp(source) }),
    ...(typeof sourcePort === "number" && { sourcePort }),
    ...(destination !== "unknown" && { destination: formatIp(destination) }),
    ...(typeof destinationPort === "number" && { destinationPort }),
    ...(mark !== 0 && { mark }),
  };
}

function stepOf(step: Step): PathStep {
  switch (step.did) {
    case "send":
      return { did: "send", at: placeOf(step.at), packet: packetOf(step.packet) };
    case "pass": {
      const { at, hook, before, packet, rules, met } = step;
      return {
        did: "pass",
        at: placeOf(at),
        hook,
        before: packetOf(before),
        packet: packetOf(packet),
        rules: [...rules],
        ...(met && { met: [...met] }),
      };
    }
    case "balance": {
      const { by, at, before, packet, evidence } = step;
      return {
        did: "balance",
        by,
        at: placeOf(at),
        before: packetOf(before),
        packet: packetOf(packet),
        evidence: [...evidence],
      };
    }
    case "cross":
      return { did: "cross", from: placeOf(step.from), to: placeOf(step.to), device: step.device };
    case "carry":
      return step;
    case "decapsulate":
      return { ...step, at: placeOf(step.at) };
    default:
      return { ...step, at: placeOf(step.at), evidence: [...step.evidence] };
  }
}

function wayOf(way: Way): PathWay {
  const { steps, answer, end, certainty, doubts = [] } = way;
  return {
    steps: steps.map(stepOf),
    ...(answer !== undefined && { answer }),
    certainty,
    doubts: [...doubts],
    end: endOf(way, end),
  };
}

const endOf = (way: Way, { is, at, hook, evidence, met, missing = [] }: End): PathWay["end"] => ({
  is,
  says: sentenceOf(way),
  ...(at && { at: placeOf(at) }),
  ...(hook && { hook }),
  evidence: [...evidence],
  ...(met && { met: [...met] }),
  settle: settleFor(missing),
});

function backEndOf({ address, port, pod, node, via, result, ways }: BackEnd): PathBackEnd {
  const object: Ref | undefined = pod?.ref ?? (node === undefined ? undefined : ref("Node", node));
  return {
    address,
    ...(port !== undefined && { port }),
    ...(object && { object }),
    ...(node !== undefined && { node }),
    ...(via !== undefined && { via }),
    result,
    ways: ways.map(wayOf),
  };
}

function resolutionOf({ lookup, server, walked }: NonNullable<Answer["resolution"]>): Path["resolution"] {
  const { name, resolver, queries, result, missing } = lookup;
  return {
    name,
    servers: [...(resolver?.servers ?? [])],
    ...(resolver && { ndots: resolver.ndots }),
    evidence: [...(resolver?.evidence ?? [])],
    queries: queries.map((query) => ({ name: query.name, answer: dnsAnswerOf(query.answer) })),
    answer: dnsAnswerOf(result),
    settle: settleFor([...missing, ...(result.is === "unknown" ? result.missing : [])]),
    ...(server !== undefined &&
      walked && {
        server: { address: server, result: walked.result, backEnds: walked.backEnds.map(backEndOf) },
      }),
  };
}

function dnsAnswerOf(answer: DnsAnswer): NonNullable<Path["resolution"]>["answer"] {
  switch (answer.is) {
    case "addresses":
      return {
        is: "addresses",
        addresses: [...answer.addresses],
        ...(answer.service && { service: answer.service.ref }),
      };
    case "alias":
      return { is: "alias", to: answer.to, service: answer.service.ref };
    case "outside":
      return { is: "outside", servers: [...answer.servers] };
    case "unknown":
      return { is: "unknown", ...(answer.because !== undefined && { because: answer.because }) };
    default:
      return { is: answer.is };
  }
}
