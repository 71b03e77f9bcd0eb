/**
 * What a node counted of packets that its kernel threw away and no rule did. Counters are of all packets since boot: a number
 * tells that it happened, not to which packet; zero, that it never did.
 */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "./plane.ts";

/**
 * Of nstat (include/uapi/linux/snmp.h): a full queue of connections to be accepted, source validation, no memory or no route,
 * a socket's full buffer, fragments that did not come together, a checksum that is wrong: some kernels and devices send what is
 * masqueraded into a VXLAN so.
 */
const THROWN_AWAY = [
  "TcpExtListenOverflows",
  "TcpExtListenDrops",
  "TcpExtIPReversePathFilter",
  "TcpExtTCPBacklogDrop",
  "IpInDiscards",
  "IpOutDiscards",
  "IpOutNoRoutes",
  "IpExtInNoRoutes",
  "IpReasmFails",
  "UdpRcvbufErrors",
  "Ip6InDiscards",
  "Ip6OutDiscards",
  "Ip6InNoRoutes",
  "Ip6OutNoRoutes",
  "Ip6ReasmFails",
  "Udp6RcvbufErrors",
  "TcpInCsumErrors",
  "UdpInCsumErrors",
] as const;

/** Of `conntrack -S`: no room, a tuple that is taken already, an entry thrown out for another. */
const NOT_TRACKED = ["drop", "insert_failed", "early_drop"] as const;

/** How often the node threw a packet away for a reason; undefined if it did not tell. */
export function countOf({ networkCounters }: NodePlane, name: (typeof THROWN_AWAY)[number]): number | undefined {
  return isWhole(networkCounters) ? networkCounters.value.get(name)?.count : undefined;
}

/** Of devices: one that has no entry to which node a frame goes, a full queue, a cable that is out. */
function dropsOfDevices({ linkCounters }: NodePlane): readonly Evidence[] {
  return (known(linkCounters) ?? []).flatMap(({ name, received, sent }) => {
    const counts = [
      ["received, errors", received.errors],
      ["received, dropped", received.dropped],
      ["sent, errors", sent.errors],
      ["sent, dropped", sent.dropped],
      ["sent, no carrier", sent.noCarrier],
    ] as const;
    const words = counts.flatMap(([what, count]) => (count > 0 ? [`${what} ${count}`] : []));
    return words.length > 0 ? [quoteOf(linkCounters.origin, `${name}: ${words.join("; ")}`)] : [];
  });
}

/** The counters that are not zero. */
export function dropsCounted(plane: NodePlane): readonly Evidence[] {
  const { networkCounters, conntrackStats } = plane;
  const counters = known(networkCounters);
  const stats = known(conntrackStats);
  return [
    ...THROWN_AWAY.flatMap((name) => {
      const { count = 0, line } = counters?.get(name) ?? {};
      return count > 0 ? [quoteOf({ ...networkCounters.origin, ...(line && { line }) }, `${name} ${count}`)] : [];
    }),
    ...NOT_TRACKED.flatMap((name) => {
      const count = stats?.[name] ?? 0;
      return count > 0 ? [quoteOf(conntrackStats.origin, `conntrack ${name} ${count}`)] : [];
    }),
    ...dropsOfDevices(plane),
  ];
}
