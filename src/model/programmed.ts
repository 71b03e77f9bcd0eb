/**
 * What a node's rules make of connections to a Service: where packets came out, put in the words of the Service.
 */
import { isWhole, known as knownOf } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { type Family, formatIp, formatSocket, type Ip, parseIp } from "../net/ip.ts";
import { withoutBrackets } from "../parse/fields.ts";
import { firstPacket } from "./forwarding/packet-filter.ts";
import type { NodePlane } from "./forwarding/plane.ts";
import { lookupRoute } from "./forwarding/routing.ts";
import type { Outcome } from "./netfilter/evaluate.ts";
import type { Packet } from "./netfilter/packet.ts";
import type { Step } from "./netfilter/when.ts";
import { clusterIpOf, type ServicePort } from "./services/services.ts";

/** Where the client of a Service is, as a node's rules tell clients apart. */
export type Vantage = "pod" | "host" | "outside";

export type Programmed = {
  readonly vantage: Vantage;
  /** What is asked for: `itself` is the cluster IP, by a back end that is given its own connection. */
  readonly to: "cluster-ip" | "node-port" | "itself";
  /** Back ends, `address:port`, to which packets may be delivered, each with the rule that sends them there. */
  readonly delivered: ReadonlyMap<string, Evidence>;
  /** Of these the ones that packets are sent to by somebody else's rules, with those rules. */
  readonly divertedBy: ReadonlyMap<string, Step>;
  /** Packets are refused or dropped by these rules. */
  readonly refusedBy: readonly Step[];
  /** Packets pass with the Service's address unchanged: no rule knows it. */
  readonly untouched: boolean;
  /** Back ends that are sent packets with the client's address where kube-proxy would put in the node's own. */
  readonly unmasked: ReadonlyMap<string, Evidence>;
  /** Some packets are marked for masquerading. */
  readonly marked: boolean;
  /** IPVS has a server for it and is not asked: the node does not take the address for its own. */
  readonly unheld?: true;
};

export const PROTOCOLS = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

/** The bit by which kube-proxy marks what is to leave with the node's address (iptablesMasqueradeBit). */
const MASQUERADE = 0x4000;

/** Whether a rule is one of kube-proxy's. */
export const isKubeProxys = ({ chain, ruleset }: Step): boolean =>
  chain.startsWith("KUBE-") || ruleset.endsWith(" kube-proxy");

/** In nftables mode kube-proxy refuses what is for a cluster IP and no rule of a Service has translated. */
const isForUntranslated = ({ ruleset, chain }: Step): boolean =>
  ruleset.endsWith(" kube-proxy") && chain === "cluster-ips-check";

/** Of sets, or of the keys of maps. */
export function sameKeys(a: Pick<ReadonlySet<string>, "size" | "keys">, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a.keys()].every((item) => b.has(item));
}

/** What is not translated at its entry meets the rules that refuse Services without back ends. */
export function entering(
  packet: Packet,
  target: Ip,
  next: "forward" | "input",
  { filter }: NodePlane,
): readonly Outcome[] {
  return filter
    .at("prerouting", packet)
    .flatMap((end) =>
      end.verdict.is === "accept" && sameIp(end.packet.destination, target)
        ? filter.at(next, end.packet).map((later) => ({ ...later, met: [...end.met, ...later.met] }))
        : [end],
    );
}

/**
 * Whether a rule refuses a translated packet for the Service that it was sent to (conntrack's original destination): that
 * is about the Service, whatever its back end.
 */
export function isRefusedAsService({ verdict, rules }: Outcome): boolean {
  const conditions = rules.at(-1)?.rule?.conditions ?? [];
  return (
    (verdict.is === "drop" || verdict.is === "reject") &&
    conditions.some(
      (one) => (one.is === "original-address" || one.is === "original-port") && one.side === "destination",
    )
  );
}

/** Where Pods' packets are so refused on their way to back ends. Through which device they leave decides nothing of it. */
export function refusedAsService(ends: readonly Outcome[], { filter }: NodePlane): readonly Outcome[] {
  if (!filter.asksOriginal) return [];
  return ends
    .filter(({ verdict, packet }) => verdict.is === "accept" && packet.dnatted === true)
    .flatMap(({ packet }) => filter.at("forward", { ...packet, outDevice: "unknown" }))
    .filter((end) => isRefusedAsService(end) && !isGuess(end));
}

export const sameIp = (a: Ip | "unknown", b: Ip) => a !== "unknown" && a.family === b.family && a.value === b.value;

/** An end that rests on something that was not seen; that packets are spread over back ends is no such thing. */
const isGuess = ({ reasons }: Outcome) =>
  reasons.some((reason) => reason.about !== "rule" || reason.doubts.some(({ doubt }) => doubt === "unknown"));

/** Where from and where to; `masks` if kube-proxy would give these packets the node's own address. */
type WayIn = Pick<Programmed, "vantage" | "to"> & { readonly masks?: boolean };

const isMarked = ({ mark }: Packet): boolean => (mark & MASQUERADE) !== 0;

/** Whether a translated packet leaves with an address of the node, or is marked for that. */
function isMasked(packet: Packet, plane: NodePlane): boolean {
  const { destination, source } = packet;
  if (isMarked(packet) || destination === "unknown" || source === "unknown") return true;
  const route = lookupRoute(plane, { destination });
  const device = route.end === "via" ? route.hops[0]?.device : undefined;
  const links = knownOf(plane.links);
  if (device === undefined || !links) return true;
  const held = links.find(({ name }) => name === device)?.addresses ?? [];
  if (held.some(({ local }) => local === formatIp(source))) return true;
  const { inDevice: _, ...own } = packet;
  const ends = plane.filter.at("postrouting", { ...own, outDevice: device });
  return !ends.some(({ verdict, packet: last }) => verdict.is === "accept" && last.source === source);
}

export function programmedBy(
  { masks, ...way }: WayIn,
  ends: readonly Outcome[],
  target: Ip,
  plane: NodePlane,
  refused: readonly Outcome[] = [],
): Programmed | undefined {
  if (ends.some(isGuess)) return undefined;
  const delivered = new Map<string, Evidence>();
  const unmasked = new Map<string, Evidence>();
  const divertedBy = new Map<string, Step>();
  const refusedBy: Step[] = refused.flatMap(({ rules }) => rules.slice(-1));
  let untouched = false;
  for (const { verdict, packet, rules, met } of ends) {
    const decisive = rules.at(-1);
    // what is not tracked is not translated either
    const untracking = packet.ctState === "untracked" && met.findLast(({ rule }) => rule?.target.does === "notrack");
    const isRefused = verdict.is === "drop" || verdict.is === "reject";
    // what is refused after its translation is refused as a packet to the back end: no business of the proxy
    if (packet.destination !== "unknown" && !sameIp(packet.destination, target)) {
      const sending = rules.findLast(({ rule }) => rule?.target.does === "dnat") ?? decisive;
      const backEnd = formatSocket(formatIp(packet.destination), packet.destinationPort ?? "");
      if (sending && (isRefused || verdict.is === "accept")) delivered.set(backEnd, plane.filter.quote(sending));
      if (sending && !isKubeProxys(sending)) divertedBy.set(backEnd, sending);
      if (sending && masks === true && verdict.is === "accept" && !isMasked(packet, plane))
        unmasked.set(backEnd, plane.filter.quote(sending));
    } else if (isRefused && decisive && !isForUntranslated(decisive)) refusedBy.push(decisive);
    else if (isRefused && decisive) untouched = true;
    else if (verdict.is === "accept" && untracking) refusedBy.push(untracking);
    else if (verdict.is === "accept" && packet.destination !== "unknown") untouched = true;
  }
  const marked = ends.some(({ packet }) => isMarked(packet));
  return { ...way, delivered, divertedBy, refusedBy, untouched, unmasked, marked };
}

/** Whose connections a node's rules are asked about. */
export type Clients = {
  /** An address of a Pod of the node. */
  readonly pod?: Ip | undefined;
  /** The node's own. */
  readonly own?: Ip | undefined;
  /** At which of its addresses it is to serve node ports. */
  readonly nodePortAt?: Ip | undefined;
};

/**
 * IPVS: real servers that take new connections (weight above zero), unless the filter table refuses them before. What comes
 * from Pods it sees only if the node has the address; what the node itself sends, always (ip_vs_core.c: NF_INET_LOCAL_IN and
 * NF_INET_LOCAL_OUT).
 */
export function ipvsProgrammed(
  port: ServicePort,
  plane: NodePlane,
  family: Family,
  { pod, own, nodePortAt }: Clients,
): readonly Programmed[] | undefined {
  const address = parseIp(clusterIpOf(port.service, family) ?? "");
  const served = address && ipvsServed(port, { address, number: port.port }, plane);
  if (!address || !served) return undefined;
  const flow = { protocol: PROTOCOLS[port.protocol], destination: address, port: port.port };
  const isFiltered = plane.filter.stateOf(family) === "whole";
  const hasAddress = isHeld(formatIp(address), plane);
  const found: Programmed[] = [];
  if (own && isFiltered) {
    // the kernel takes the address itself as source, as for any that the node holds
    const ends = plane.filter.at("output", firstPacket({ ...flow, source: hasAddress ? address : own }));
    found.push(refused(masqueraded(served, ends, plane), ends));
  } else found.push(served);
  // what a Pod sends to an address that the node has not is forwarded
  if (!served.untouched && !hasAddress)
    found.push({ ...served, vantage: "pod", delivered: new Map(), untouched: true, unheld: true });
  else if (pod && isFiltered) {
    const packet = firstPacket({ ...flow, source: pod, inDevice: "cni0" });
    found.push(refused({ ...served, vantage: "pod" }, entering(packet, address, "input", plane)));
  }
  const nodePort =
    nodePortAt && port.nodePort !== undefined
      ? ipvsServed(port, { address: nodePortAt, number: port.nodePort }, plane)
      : undefined;
  return nodePort ? [...found, { ...nodePort, vantage: "outside", to: "node-port" }] : found;
}

/** The same, with the back ends that are sent packets with a source that nobody can answer. */
function masqueraded(programmed: Programmed, ends: readonly Outcome[], plane: NodePlane): Programmed {
  if (ends.some(isGuess)) return programmed;
  const unmasked = [...programmed.delivered].filter(([target]) => {
    const destination = parseIp(withoutBrackets(target.slice(0, target.lastIndexOf(":"))));
    return destination && ends.every(({ packet }) => !isMasked({ ...packet, destination, dnatted: true }, plane));
  });
  return { ...programmed, unmasked: new Map(unmasked), marked: ends.some(({ packet }) => isMarked(packet)) };
}

/** The same, unless rules surely refuse these packets before IPVS sees them. */
function refused(programmed: Programmed, ends: readonly Outcome[]): Programmed {
  const isSo = ends.every((end) => (end.verdict.is === "drop" || end.verdict.is === "reject") && !isGuess(end));
  if (ends.length === 0 || !isSo) return programmed;
  return { ...programmed, delivered: new Map(), refusedBy: ends.flatMap(({ rules }) => rules.slice(-1)) };
}

function ipvsServed(
  { protocol }: ServicePort,
  { address, number }: { readonly address: Ip; readonly number: number },
  { ipvs }: NodePlane,
): Programmed | undefined {
  if (ipvs.state !== "present") return undefined;
  const at = formatIp(address);
  const server = ipvs.value.find((one) => one.address === at && one.port === number && one.protocol === protocol);
  // of a table that is cut off, the last server may lack its real servers
  const isCut = ipvs.gaps.length > 0 && (!server || server === ipvs.value.at(-1));
  if (isCut) return undefined;
  const usable = (server?.realServers ?? []).filter(({ weight }) => weight > 0);
  const quoted = usable.map((real) => {
    const target = formatSocket(real.address, real.port);
    return [target, quoteOf({ ...ipvs.origin, line: real.line }, `-> ${target} weight ${real.weight}`)] as const;
  });
  return {
    vantage: "host",
    to: "cluster-ip",
    unmasked: new Map(),
    divertedBy: new Map(),
    marked: false,
    delivered: new Map(quoted),
    refusedBy: [],
    untouched: !server,
  };
}

/** Whether the node takes an address for its own, as far as its devices and routes were seen. */
function isHeld(address: string, plane: NodePlane): boolean {
  const destination = parseIp(address);
  if (!destination || !isWhole(plane.localAddresses) || knownOf(plane.localAddresses)?.has(address)) return true;
  return lookupRoute(plane, { destination }).end !== "via";
}
