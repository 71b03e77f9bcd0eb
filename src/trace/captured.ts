/**
 * Where packet captures of both ends last saw packets that were not answered.
 *
 * A capture shows what it has. That something was not there it shows only if it is whole, was made by netwhy's own filter,
 * and ran while the packets were under way.
 */
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import type { CaptureOn, PacketCaptures } from "../model/packet-captures.ts";
import { formatIp, formatSocket } from "../net/ip.ts";
import type { CapturedPacket } from "../parse/packet-capture.ts";
import type { Sighting } from "./forecast.ts";
import { type Tap, tapsOf } from "./taps.ts";
import type { Way } from "./trace.ts";

/** One packet may be lost by chance. */
const FEWEST = 2;
/** Clocks of nodes differ, and an answer takes its time. Seconds. */
const MARGIN = 3;

/** The packets of one client's port, and what came back to it. */
type Flow = { readonly sent: CapturedPacket[]; readonly answers: CapturedPacket[] };
type Flows = ReadonlyMap<string, Flow>;
type Seen = { readonly tap: Tap; readonly capture: CaptureOn; readonly flows: Flows };

/** @returns undefined if the captures do not tell, or there are none */
export function capturedOn(way: Way, captures: PacketCaptures): Sighting | undefined {
  const taps = tapsOf(way);
  const [near, far] = taps.map((tap) => captures.on(tap.node, tap.device).map((capture) => seenBy(tap, capture)));
  if (!near) return undefined;
  if (!far) return first(taps.length === 1 ? near : [], unansweredAt);
  return first(near, (left) => first(far, (come) => between(left, come))) ?? first(far, unansweredAt);
}

function first<T>(all: readonly T[], judge: (one: T) => Sighting | undefined): Sighting | undefined {
  for (const one of all) {
    const found = judge(one);
    if (found) return found;
  }
  return undefined;
}

function seenBy(tap: Tap, capture: CaptureOn): Seen {
  const { packet } = tap;
  const [source, destination] = [packet.source, packet.destination].map((ip) =>
    ip === undefined || ip === "unknown" ? undefined : formatIp(ip),
  );
  const flows = new Map<string, Flow>();
  for (const one of capture.packets) {
    if (one.protocol !== packet.protocol) continue;
    const isSent = one.source === source && one.destination === destination && one.echo !== "reply";
    const isAnswer = one.source === destination && one.destination === source && one.echo !== "request";
    if (!isSent && !isAnswer) continue;
    const [clientPort, port] = isSent ? [one.sourcePort, one.destinationPort] : [one.destinationPort, one.sourcePort];
    if (port !== packet.destinationPort) continue;
    const key = `${clientPort ?? one.id}`;
    const flow = flows.get(key) ?? { sent: [], answers: [] };
    flows.set(key, flow);
    (isSent ? flow.sent : flow.answers).push(one);
  }
  return { tap, capture, flows };
}

const provesAbsence = ({ tap, capture }: Seen): boolean => capture.isWhole && capture.filter === tap.filter;

const wasRunning = ({ capture: { from, until } }: Seen, packets: readonly CapturedPacket[]): boolean =>
  packets.every(
    ({ at }) =>
      at !== undefined && from !== undefined && until !== undefined && at >= from + MARGIN && at <= until - MARGIN,
  );

/** The flows of which packets were sent, none was answered there, and an answer would have been seen. */
function silentFlows(seen: Seen): readonly (readonly [string, Flow])[] {
  if (!provesAbsence(seen)) return [];
  return [...seen.flows].filter(
    ([, { sent, answers }]) => sent.length > 0 && answers.length === 0 && wasRunning(seen, sent),
  );
}

const countSent = (flows: readonly (readonly [string, Flow])[]): number =>
  flows.reduce((sum, [, { sent }]) => sum + sent.length, 0);

function unansweredAt(seen: Seen): Sighting | undefined {
  const silent = silentFlows(seen);
  if (countSent(silent) < FEWEST) return undefined;
  return { is: "unanswered", at: seen.tap.node, evidence: [quote(seen, silent[0]![1].sent[0]!)] };
}

/** What became of the packets that left one end unanswered, if it was the same of all. */
function between(left: Seen, come: Seen): Sighting | undefined {
  // translated on their way, packets cannot be told from others
  if (left.tap.filter !== come.tap.filter) return undefined;
  const fates = new Map<Sighting["is"], (readonly [string, Flow])[]>();
  for (const one of silentFlows(left)) {
    const fate = fateOf(one, left, come);
    if (fate) fates.set(fate, [...(fates.get(fate) ?? []), one]);
  }
  const [[fate, silent] = []] = fates;
  if (fates.size !== 1 || !fate || !silent || countSent(silent) < FEWEST) return undefined;
  const [key, { sent }] = silent[0]!;
  const [from, to] = [left.tap.node, come.tap.node];
  const sending = quote(left, sent[0]!);
  const there = come.flows.get(key);
  switch (fate) {
    case "lost-between":
      return { is: fate, from, to, evidence: [sending, nothing(come)] };
    case "answer-lost":
      return { is: fate, from: to, to: from, evidence: [sending, quote(come, there!.answers[0]!)] };
    case "unanswered":
      return { is: fate, at: to, evidence: [sending, quote(come, there!.sent[0]!)] };
  }
}

function fateOf([key, { sent }]: readonly [string, Flow], left: Seen, come: Seen): Sighting["is"] | undefined {
  const there = come.flows.get(key);
  if (there && there.answers.length > 0) return wasRunning(left, there.answers) ? "answer-lost" : undefined;
  if (!provesAbsence(come) || !wasRunning(come, sent)) return undefined;
  return there ? "unanswered" : "lost-between";
}

function quote({ capture: { origin } }: Seen, packet: CapturedPacket): Evidence {
  const { line, protocol, source, destination, sourcePort, destinationPort } = packet;
  const end = (address: string, port: number | undefined) =>
    port === undefined ? address : formatSocket(address, port);
  return quoteOf({ ...origin, line }, `${protocol} ${end(source, sourcePort)} > ${end(destination, destinationPort)}`);
}

function nothing({ tap, capture: { origin, line } }: Seen): Evidence {
  return quoteOf({ ...origin, line }, `node=${tap.node} device=${tap.device} filter=${tap.filter}`);
}
