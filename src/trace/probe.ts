/**
 * What an active test would have found, by the walk: the measure of how well the model knows the cluster.
 *
 * A test is `ok` if anything answered, `refused` if it was told so at once, `silent` if nothing (useful) came back. What
 * leaves the cluster, and what servers outside answer, cannot be foretold.
 */
import type { Missing } from "../evidence/catalogue.ts";
import { known } from "../evidence/observed.ts";
import type { ClusterModel } from "../model/model.ts";
import type { Packet } from "../model/netfilter/packet.ts";
import { formatSocket, parseIp } from "../net/ip.ts";
import { splitPort, withoutBrackets } from "../parse/fields.ts";
import type { Probe } from "../parse/probes.ts";
import { openingPacket } from "./packet.ts";
import { walkStream } from "./stream.ts";
import type { End, Namespace, Trace, Way } from "./trace.ts";
import { type World, walk } from "./walk.ts";

export type Result = "ok" | "refused" | "silent";

export type Prediction = {
  /** The results that are possible; none if it cannot be told. */
  readonly results: ReadonlySet<Result>;
  readonly trace: Trace;
  /** Why it cannot be told, or not wholly. */
  readonly missing: readonly Missing[];
  readonly because: readonly string[];
};

/** Bytes; every link carries packets up to this (RFC 8200, section 5). */
const FULL_SIZE = 1280;

type Model = World & Pick<ClusterModel, "dns">;

export function resultOf({ result }: Probe): Result {
  if (result === "refused" || result === "rejected") return "refused";
  return /^(timeout|unreachable|error|too-big|unresolved|servfail)$/.test(result) ? "silent" : "ok";
}

/** Where a test goes, and with what; undefined for names, and for what is no address. */
function flowOf(probe: Probe, { pods, dns }: Model): { packet: Packet; from: Namespace } | undefined {
  const { from, test, target } = probe;
  const [namespace = "", name = ""] = (from.pod ?? "").split("/");
  const pod = from.network === "pod" ? pods.get(namespace, name) : undefined;
  if (from.network === "pod" && !pod) return undefined;
  const told = pod && known(dns.resolverOf(pod))?.nameservers[0];
  const asked =
    test === "dns" ? `${formatSocket(probe.server ?? told ?? dns.services[0]?.clusterIps[0] ?? "", 53)}` : target;
  const [, scheme, place = ""] = /^(?:(https?):\/\/)?([^/]*)/.exec(asked) ?? [];
  // of an IPv6 address without brackets no port is told
  const socket = parseIp(place) ? undefined : splitPort(place);
  const destination = parseIp(withoutBrackets(socket?.host ?? place));
  if (!destination) return undefined;
  const port = socket?.port ?? (scheme === "https" ? 443 : 80);
  const own = pod?.addresses.map(parseIp).find((ip) => ip?.family === destination.family);
  return {
    from: { node: from.node, ...(pod && { pod }) },
    packet: openingPacket(
      test === "icmp" ? "icmp" : test === "udp" || test === "dns" ? "udp" : "tcp",
      own,
      destination,
      port,
    ),
  };
}

/** What a client sees of an end; undefined if it cannot be told. */
export function seenAs({ is, with: how }: End, protocol: Packet["protocol"]): readonly Result[] | undefined {
  switch (is) {
    case "insufficient":
      return undefined;
    case "answered":
      return ["ok"];
    case "refused":
      return protocol === "tcp" ? ["refused"] : ["refused", "silent"];
    case "rejected":
      // connect() gives ECONNREFUSED for a reset and for “port unreachable”, other codes are unreachable or not permitted
      return /port-unreach|tcp-reset/.test(how ?? "")
        ? protocol === "tcp"
          ? ["refused"]
          : ["refused", "silent"]
        : ["silent"];
    case "left-cluster":
      // the world outside answers as it likes
      return undefined;
    case "lost":
    case "no-route":
    case "unreachable":
      // a gateway outside may say so, or not
      return ["silent", "refused"];
    default:
      return ["silent"];
  }
}

/** @returns undefined if the test is none that can be walked */
export function predict(probe: Probe, model: Model): Prediction | undefined {
  const flow = flowOf(probe, model);
  if (!flow) return undefined;
  const { size = 0 } = probe;
  const isStream = flow.packet.protocol === "tcp" && size > FULL_SIZE;
  const trace = isStream ? walkStream(flow, model) : walk({ ...flow, ...(probe.test === "icmp" && { size }) }, model);
  const results = new Set<Result>();
  const missing: Missing[] = [];
  const because = new Set<string>();
  for (const { end } of trace.ways) {
    const seen = seenAs(end, flow.packet.protocol);
    for (const one of seen ?? []) results.add(one);
    if (seen) continue;
    missing.push(...(end.missing ?? []));
    because.add(end.because ?? end.is);
  }
  if (probe.test === "dns" && results.has("ok") && !isOfCluster(probe.target, model)) {
    results.clear();
    because.add("what servers upstream answer");
  }
  return {
    results: because.size + missing.length > 0 && results.size === 0 ? new Set() : results,
    trace,
    missing,
    because: [...because],
  };
}

const isOfCluster = (target: string, { dns }: Model): boolean => {
  const name = target.replace(/\.$/, "");
  return name.endsWith(`.${dns.domain}`) || !name.includes(".");
};

/** Whether a prediction was right; undefined if it could not tell. */
export function isRight({ results, missing, because }: Prediction, probe: Probe): boolean | undefined {
  // curl says “could not connect” of refusals as of silence
  const isVague = probe.result === "error" && probe.test === "http";
  if (results.has(resultOf(probe)) || (isVague && results.has("refused"))) return true;
  return results.size === 0 || missing.length + because.length > 0 ? undefined : false;
}

/** The way that tells most of a trace: one that fails for sure, else any that fails, else the first. */
export function tellingWay({ ways }: Trace): Way | undefined {
  const failing = ways.filter(({ end }) => end.is !== "answered");
  return failing.find(({ certainty }) => certainty !== "guessed") ?? failing[0] ?? ways[0];
}
