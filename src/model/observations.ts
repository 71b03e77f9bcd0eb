/**
 * What was seen to work and to fail, each with what it would have needed.
 *
 * Active tests come from probes.jsonl. Complaints of programs about the network come from their logs; they are heard,
 * not measured, so they only illustrate a cause that is known otherwise.
 */
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import { type Evidence, type Origin, quoteOf } from "../evidence/origin.ts";
import { canonicalIp, contains, parseIp } from "../net/ip.ts";
import type { LogEntry } from "../parse/logs/digest.ts";
import type { Probe } from "../parse/probes.ts";
import type { Capability } from "./capability.ts";
import type { Dns } from "./dns/dns.ts";
import { hostPortsOf } from "./host-ports.ts";
import { all, type Need, now, pair } from "./needs/need.ts";
import type { Needs } from "./needs/needs.ts";
import type { Client } from "./needs/ways.ts";
import type { Nodes } from "./nodes.ts";
import type { Pods, PodView } from "./pods.ts";
import type { Protocol, ServicePort, Services, ServiceView } from "./services/services.ts";
import { type CaptureTime, timeOf } from "./time.ts";

export type Observation = {
  readonly outcome: "ok" | "failed";
  /** How: measured by a test, or heard in a log. */
  readonly how: "measured" | "heard";
  readonly at?: string;
  readonly client: Client;
  /** What it shows, in the words that a user has for it. */
  readonly capability: Capability;
  readonly need: Need;
  readonly evidence: Evidence;
  readonly probe?: Probe;
  readonly target: ProbeTarget;
};

export type ProbeTarget =
  | { readonly is: "service"; readonly port: ServicePort }
  | { readonly is: "node-port"; readonly node: string; readonly port: ServicePort }
  | {
      readonly is: "pod";
      readonly pod: PodView;
      readonly port?: { readonly protocol: Protocol; readonly number: number };
    }
  | { readonly is: "host-port"; readonly node: string; readonly pod: PodView }
  | { readonly is: "pod-range"; readonly node: string }
  | { readonly is: "node"; readonly node: string }
  | {
      readonly is: "name";
      readonly name: string;
      readonly zone: "cluster" | "external";
      readonly server?: ServicePort;
      /** It asks the address that the kubelet gives to Pods, which is no Service's. */
      readonly asPod?: true;
    }
  | { readonly is: "outside" };

export interface Observations {
  readonly all: readonly Observation[];
  readonly failed: readonly Observation[];
  readonly worked: readonly Observation[];
  /** Failed probes to addresses of which nothing tells what they are. */
  readonly unmapped: readonly Probe[];
  /** Failed calls of a Service, measured or heard: somebody uses it, in vain. */
  failedOn(service: { readonly namespace: string; readonly name: string }): readonly Observation[];
  /** Whether any active test was made. */
  readonly tested: boolean;
}

/** Bytes; every link carries packets up to this (RFC 8200, section 5). */
const FULL_SIZE = 1280;

const FAILURES = /^(refused|rejected|timeout|unreachable|unresolved|servfail|nxdomain|too-big|tls|error)$/;

/** An answer of any kind shows that the network works: HTTP statuses count as ok. */
function outcomeOf({ result }: Probe): Observation["outcome"] {
  return FAILURES.test(result) ? "failed" : "ok";
}

type Address = { readonly address: string; readonly port?: number; readonly protocol: Protocol };

/** The address and port that a probe speaks to; undefined for names. */
function addressOf({ test, target }: Probe): Address | undefined {
  if (test === "icmp") {
    const address = canonicalIp(target);
    return address === undefined ? undefined : { address, protocol: "TCP" };
  }
  const match = /^(?:(https?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^:/?#]+)(?::(\d+))?/.exec(target);
  const address = canonicalIp(match?.[2]?.replace(/^\[|\]$/g, "") ?? "");
  if (!match || address === undefined) return undefined;
  const port = match[3] ? Number(match[3]) : match[1] === "https" ? 443 : match[1] === "http" ? 80 : undefined;
  return { address, protocol: test === "udp" ? "UDP" : "TCP", ...(port !== undefined && { port }) };
}

/** Of the address that a probe speaks to, or of the server that it asks. */
function familyOf(probe: Probe): Pick<Client, "family"> {
  const ip = parseIp((probe.test === "dns" ? probe.server : addressOf(probe)?.address) ?? "");
  return ip ? { family: ip.family } : {};
}

type Parts = {
  readonly time: CaptureTime;
  readonly nodes: Nodes;
  readonly pods: Pods;
  readonly services: Services;
  readonly dns: Dns;
  readonly needs: Needs;
};

function targetOf(probe: Probe, { nodes, pods, services, dns }: Parts): ProbeTarget | undefined {
  if (probe.test === "dns") {
    const name = probe.target.replace(/\.$/, "");
    const isCluster = name.endsWith(`.${dns.domain}`) || !name.includes(".");
    const asked = canonicalIp(probe.server ?? "") ?? "";
    const server = services.byAddress(asked, 53, "UDP");
    const isGiven = !server && dns.clusterDnsOf(probe.from.node)?.addresses.includes(asked) === true;
    return {
      ...{ is: "name", name, zone: isCluster ? "cluster" : "external" },
      ...(server && { server }),
      ...(isGiven && { asPod: true }),
    };
  }
  const at = addressOf(probe);
  if (!at) return undefined;
  const { address, port, protocol } = at;
  const service = port === undefined ? undefined : services.byAddress(address, port, protocol);
  if (service) return { is: "service", port: service };
  const pod = pods.byAddress(address);
  if (pod)
    return { is: "pod", pod, ...(port !== undefined && probe.test !== "icmp" && { port: { protocol, number: port } }) };
  const node = nodes.byAddress(address);
  const ip = parseIp(address);
  if (node) {
    const nodePort = port === undefined ? undefined : services.byNodePort(port, protocol);
    if (nodePort) return { is: "node-port", node: node.name, port: nodePort };
    const hosted = hostPortsOf(node.name, ip!.family, pods).find(
      (one) => one.port === port && one.protocol === protocol,
    );
    if (hosted) return { is: "host-port", node: node.name, pod: hosted.pod };
    // a node that refuses was reached; and without all Services, any port may be one of theirs
    const isAboutPort = port !== undefined && (probe.result === "refused" || !services.whole);
    return isAboutPort && outcomeOf(probe) === "failed" ? undefined : { is: "node", node: node.name };
  }
  const owner = ip && nodes.all.find(({ podRanges }) => podRanges.some((range) => contains(range, ip)));
  if (owner) return { is: "pod-range", node: owner.name };
  // only who knows all that is inside knows what is outside
  return services.whole && pods.whole && nodes.whole ? { is: "outside" } : undefined;
}

/** A failure that is the right answer: a name that does not exist, a Service that is not there. */
function isRightAnswer(probe: Probe, target: ProbeTarget, parts: Parts): boolean {
  if (target.is !== "name" || probe.result !== "nxdomain") return false;
  if (target.zone === "external") return true;
  return parts.services.whole && serviceNamed(target.name, parts) === undefined;
}

/** The Service of which a name of the cluster is the name. */
function serviceNamed(name: string, { services, dns }: Parts): ServiceView | undefined {
  const [service = "", namespace = ""] = name.slice(0, -dns.domain.length - 1).split(".");
  return services.get(namespace, service);
}

function needOf(target: ProbeTarget, client: Client, parts: Parts): Need {
  const { needs } = parts;
  switch (target.is) {
    case "service":
      return needs.reachService(client, target.port);
    case "node-port":
      return needs.reachNodePort(client, target.node, target.port);
    case "host-port":
      return needs.reachHostPort(client, target.node, target.pod);
    case "pod":
      return needs.reachPod(client, target.pod, target.port);
    case "pod-range":
      return needs.reachPodRange(client, target.node);
    case "node":
      return needs.reachNode(client, target.node);
    case "name": {
      const asked = needs.resolve(client, target.zone, target.server ?? (target.asPod && "as-pod"));
      const alias = serviceNamed(target.name, parts);
      // of other Services, DNS gives the address whatever becomes of it
      return alias?.kind === "ExternalName"
        ? all(asked, now({ name: "service.address", service: `${alias.namespace}/${alias.name}` }))
        : asked;
    }
    case "outside":
      return needs.reachOutside(client);
  }
}

function capabilityOf(target: ProbeTarget, client: Client): Capability {
  switch (target.is) {
    case "service":
    case "node-port":
      return { name: "service.reach", node: client.node, service: target.port.key };
    case "pod":
      return { name: "pod.reach", ...between(client.node, target.pod.node ?? client.node) };
    case "host-port":
    case "pod-range":
      return { name: "pod.reach", ...between(client.node, target.node) };
    case "node":
      return { name: "node.reach", ...between(client.node, target.node) };
    case "name":
      return { name: "dns.resolve", node: client.node, zone: target.zone };
    case "outside":
      return { name: "outside.reach", node: client.node };
  }
}

const between = (a: string, b: string) => (a === b ? { node: a } : pair(a, b));

function formatProbe({ from, test, target, server, result, size }: Probe): string {
  const source = from.network === "host" ? `node ${from.node}` : `pod ${from.pod ?? ""} on ${from.node}`;
  const where = server === undefined ? target : `${target} @${server}`;
  return `${source}: ${test} ${where}${size === undefined ? "" : ` (${size} bytes)`}: ${result}`;
}

/** What programs write when they cannot resolve a name or connect (glibc, musl, Go, curl, Java, Node.js, Python). */
const COMPLAINTS: readonly RegExp[] = [
  /Could not resolve host: (?<name>[\w.-]+)/,
  /lookup (?<name>[\w.-]+) on [\d.]+:53: .*(i\/o timeout|server misbehaving|connection refused)/,
  // tried at the beginnings of words alone: at every letter of a long word it would take the square of its length
  /(?<![\w.-])(?<name>[\w.-]+): Temporary failure in name resolution/,
  /bad address '(?<name>[\w.-]+)'/,
  /getaddrinfo (EAI_AGAIN|ENOTFOUND) (?<name>[\w.-]+)/,
  /UnknownHostException: (?<name>[\w.-]+)/,
  /dial (?:tcp|udp) (?<host>[\d.]+):(?<port>\d+): (?:i\/o timeout|connect: )/,
  /connect to (?<host>[\w.-]+) port (?<port>\d+)/,
  /connect E(?:CONNREFUSED|TIMEDOUT|HOSTUNREACH) (?<host>[\d.]+):(?<port>\d+)/,
  /(?:Connection refused|timed out).*?\/(?<host>[\d.]+):(?<port>\d+)/,
  /ConnectionPool\(host='(?<host>[\w.-]+)', port=(?<port>\d+)\).*(refused|timed out|Max retries)/,
];

/** A call that came to nothing, in the words of curl, wget, Go, Python, Java and Node.js. */
const CAME_TO_NOTHING =
  /timed out|i\/o timeout|timeout (?:was )?exceeded|timeout of \d+ ?ms exceeded|Connect(?:ion)? ?Timeout(?:Error|Exception| to|:)|deadline exceeded|connection refused|connection reset|network is unreachable|host is unreachable|no route to host|failed to connect|(?:cannot|can't|could ?n[o']t|unable to) connect|E(?:TIMEDOUT|CONNREFUSED|HOSTUNREACH|NETUNREACH)\b/i;
const URL = /\b(?<scheme>https?):\/\/(?<host>[\w.-]+)(?::(?<port>\d+))?/;
const HOST_AND_PORT = /(?<![\w.-])(?:to|host) (?<host>[\w.-]+):(?<port>\d+)/;
const RESOLVING = /Resolving timed out/;

type Words = Readonly<Record<string, string | undefined>>;

/** What a line tells of a call by its URL: the tool's own words need not name the host again. */
function callIn(message: string): Words | undefined {
  if (!CAME_TO_NOTHING.test(message)) return undefined;
  const found = URL.exec(message)?.groups ?? HOST_AND_PORT.exec(message)?.groups;
  if (!found) return undefined;
  const { scheme, host, port = scheme === "https" ? "443" : "80" } = found;
  return RESOLVING.test(message) ? { name: host } : { host, port };
}

/** Old trouble is over: a complaint counts if it is younger than three of its own intervals, at least five minutes. */
export function isCurrent(entry: LogEntry, time: CaptureTime): boolean {
  const age = time.age(entry.last.at);
  if (age === undefined) return false;
  const first = timeOf(entry.first.at);
  const last = timeOf(entry.last.at);
  const interval =
    first !== undefined && last !== undefined && entry.count > 1 ? (last - first) / (entry.count - 1) : 0;
  return age < Math.max(3 * interval, 5 * 60_000);
}

/** It was being said up to the end: what says something over and over does not stop for longer than its own pauses. */
export function isOngoing(entry: LogEntry, time: CaptureTime): boolean {
  const age = time.age(entry.last.at);
  const [first, last] = [timeOf(entry.first.at), timeOf(entry.last.at)];
  if (age === undefined || first === undefined || last === undefined) return false;
  const pause = entry.count > 2 ? (last - first) / (entry.count - 1) : 0;
  return age < Math.max(3 * pause, 60_000);
}

function complaintOf(entry: LogEntry, client: Client, origin: Origin, parts: Parts): Observation | undefined {
  const { message } = entry.last;
  const groups: Words | undefined =
    COMPLAINTS.map((pattern) => pattern.exec(message)?.groups).find((found) => found) ?? callIn(message);
  if (!groups) return undefined;
  const { name, host, port } = groups;
  const target = host === undefined ? nameTarget(name, parts) : hostTarget(host, Number(port), client, parts);
  return (
    target && {
      outcome: "failed",
      how: "heard",
      ...(entry.last.at !== undefined && { at: entry.last.at }),
      client,
      target,
      capability: capabilityOf(target, client),
      need: needOf(target, client, parts),
      evidence: quoteOf({ ...origin, line: entry.last.line }, entry.last.message, entry.last.at),
    }
  );
}

function nameTarget(name: string | undefined, { dns, services }: Parts): ProbeTarget | undefined {
  if (name === undefined) return undefined;
  const isCluster =
    !name.includes(".") ||
    name.endsWith(dns.domain) ||
    services.all.some((service) => name.startsWith(`${service.name}.${service.namespace}`));
  return { is: "name", name, zone: isCluster ? "cluster" : "external" };
}

/** A Service by the name that a Pod calls it by, a Service's or a Pod's address. */
function hostTarget(host: string, number: number, { pod }: Client, { services, pods }: Parts): ProbeTarget | undefined {
  const [service, namespace = pod?.namespace] = host.split(".");
  const called = services.get(namespace ?? "", service ?? "")?.ports.find(({ port }) => port === number);
  const port = called ?? services.byAddress(host, number, "TCP");
  if (port) return { is: "service", port };
  const target = pods.byAddress(host);
  return target && { is: "pod", pod: target, port: { protocol: "TCP", number } };
}

function heard(capture: Capture, parts: Parts): Observation[] {
  return capture.all("containerLog").flatMap(({ place, observed }) => {
    const pod = parts.pods.get(place.namespace ?? "", place.pod ?? "");
    const digest = known(observed);
    if (!digest || pod?.node === undefined) return [];
    const client: Client = { node: pod.node, network: pod.hostNetwork ? "host" : "pod", pod, podKey: pod.key };
    return digest.entries
      .filter((entry) => isCurrent(entry, parts.time))
      .map((entry) => complaintOf(entry, client, observed.origin, parts))
      .filter((complaint) => complaint !== undefined);
  });
}

export function observationsOf(capture: Capture, parts: Parts): Observations {
  const probes = capture.get("probes");
  const unmapped: Probe[] = [];
  const measured: Observation[] = [];
  for (const probe of known(probes) ?? []) {
    const [namespace, name] = (probe.from.pod ?? "").split("/");
    const pod = parts.pods.get(namespace ?? "", name ?? "");
    const client: Client = {
      node: probe.from.node,
      network: probe.from.network,
      ...(pod && { pod }),
      ...(probe.from.pod !== undefined && { podKey: probe.from.pod }),
      ...familyOf(probe),
      ...((probe.size ?? 0) > FULL_SIZE && { large: probe.test === "icmp" ? "packet" : "stream" }),
    };
    const target = targetOf(probe, parts);
    if (!target) {
      if (outcomeOf(probe) === "failed") unmapped.push(probe);
      continue;
    }
    // which server a host asks without being told is its own affair
    if (target.is === "name" && client.network === "host" && probe.server === undefined) continue;
    const failed = outcomeOf(probe) === "failed" && !isRightAnswer(probe, target, parts);
    measured.push({
      outcome: failed ? "failed" : "ok",
      how: "measured",
      ...(probe.at !== undefined && { at: probe.at }),
      client,
      target,
      capability: capabilityOf(target, client),
      need: needOf(target, client, parts),
      evidence: quoteOf({ ...probes.origin, line: probe.line }, formatProbe(probe), probe.at),
      probe,
    });
  }
  const all = [...measured, ...heard(capture, parts)];
  const failed = all.filter(({ outcome }) => outcome === "failed");
  return {
    all,
    failed,
    worked: all.filter(({ outcome }) => outcome === "ok"),
    unmapped,
    failedOn: ({ namespace, name }) =>
      failed.filter(({ target }) => {
        const service = target.is === "service" || target.is === "node-port" ? target.port.service : undefined;
        return service?.namespace === namespace && service.name === name;
      }),
    tested: measured.length > 0,
  };
}
