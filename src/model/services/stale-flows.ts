/**
 * Flows of UDP to Services that a node's connection tracking still sends where no back end is any more.
 *
 * Rules translate the first packet of a flow; the entry that remembers it translates all others, and each of them keeps the
 * entry alive. A client that stays with one source port is never asked about again: its packets go on to the old back end, or
 * nowhere if rules did not know the Service yet. kube-proxy removes such entries (pkg/proxy/conntrack/cleanup.go: since 1.32
 * all that lead to no back end, earlier those of back ends that it saw leave).
 */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { canonicalIp, isOfFamily } from "../../net/ip.ts";
import type { ConntrackEntry } from "../../parse/conntrack/entries.ts";
import type { NodePlane } from "../forwarding/plane.ts";
import type { CaptureTime } from "../time.ts";
import type { ServicePort, Services } from "./services.ts";
import { unchangedFor } from "./settled.ts";

export type StaleFlow = {
  readonly port: ServicePort;
  /** Canonical addresses: who sends, what it asks, and who is sent its packets instead of a back end. */
  readonly client: string;
  readonly clientPort: number;
  readonly asked: string;
  readonly askedPort: number;
  readonly sentTo: string;
  readonly evidence: Evidence;
};

/** Seconds, at the kernel's default: of a flow that was answered for a while, and of others (nf_conntrack_proto_udp.c). */
const LIFE = {
  stream: { key: "net.netfilter.nf_conntrack_udp_timeout_stream", seconds: 120 },
  other: { key: "net.netfilter.nf_conntrack_udp_timeout", seconds: 30 },
} as const;

/** Ports that the kernel gives to clients that name none; net.ipv4.ip_local_port_range of a Pod is its own, at the default. */
const GIVEN_BY_KERNEL = { from: 32_768, to: 60_999 } as const;

/**
 * Milliseconds that back ends must have been gone for when the last packet came. The entries may have been read as long before
 * the time of the capture, which is its end.
 */
const SURELY = 120_000;

/** Milliseconds since the last packet of a flow, as its entry tells that lives so long from each packet on. */
function idleFor({ assured, secondsLeft }: ConntrackEntry, plane: NodePlane): number {
  const { key, seconds } = LIFE[assured ? "stream" : "other"];
  const set = Number(known(plane.sysctl(key))?.value);
  return Math.max(0, (set > 0 ? set : seconds) - secondsLeft) * 1000;
}

/**
 * The flows of a node to back ends that have been gone since before their last packet. A flow that no rule ever translated
 * counts only if its client will use the source port again, having chosen it itself.
 *
 * @returns undefined if the entries, or when back ends changed, were not seen
 */
export function staleFlows(plane: NodePlane, services: Services, time: CaptureTime): readonly StaleFlow[] | undefined {
  const { conntrack, localAddresses } = plane;
  if (!isWhole(conntrack) || !services.whole || !services.endpointsWhole) return undefined;
  const own = known(localAddresses) ?? new Set();
  const changed = new Map<ServicePort, number | undefined>();
  const unchanged = (port: ServicePort) => {
    if (!changed.has(port)) changed.set(port, unchangedFor(port, services, time));
    return changed.get(port);
  };
  const found: StaleFlow[] = [];
  for (const entry of conntrack.value) {
    if (entry.protocol !== "udp") continue;
    const { source, destination, sourcePort = 0, destinationPort = 0 } = entry.original;
    const asked = canonicalIp(destination) ?? destination;
    const port =
      services.byAddress(asked, destinationPort, "UDP") ??
      (own.has(asked) ? services.byNodePort(destinationPort, "UDP") : undefined);
    if (!port?.service.proxied) continue;
    const sentTo = canonicalIp(entry.reply.source) ?? entry.reply.source;
    const endpoints = services.endpoints(port, isOfFamily(asked, 6) ? 6 : 4);
    if (endpoints.length === 0 || endpoints.some(({ address }) => address === sentTo)) continue;
    const isChosen = sourcePort < GIVEN_BY_KERNEL.from || sourcePort > GIVEN_BY_KERNEL.to;
    if (sentTo === asked && (!isChosen || entry.replied)) continue;
    // one question and its answer: the next has another port
    if (entry.replied && !entry.assured && !isChosen) continue;
    const since = unchanged(port);
    if (since === undefined) return undefined;
    if (since - idleFor(entry, plane) <= SURELY) continue;
    found.push({
      port,
      client: canonicalIp(source) ?? source,
      clientPort: sourcePort,
      asked,
      askedPort: destinationPort,
      sentTo,
      evidence: quoteOf({ ...conntrack.origin, line: entry.line }, wordsOf(entry)),
    });
  }
  return found;
}

/** As `conntrack -L` prints it. */
function wordsOf({ secondsLeft, original, replied, reply }: ConntrackEntry): string {
  const tuple = ({ source, destination, sourcePort, destinationPort }: ConntrackEntry["original"]) =>
    `src=${source} dst=${destination} sport=${sourcePort} dport=${destinationPort}`;
  return `udp ${secondsLeft} ${tuple(original)} ${replied ? "" : "[UNREPLIED] "}${tuple(reply)}`;
}
