/**
 * What becomes of packets from one end to the other: the ways of the walk by the back end that they lead to, what each
 * comes to, and the verdict over all of them.
 */
import type { Missing } from "../evidence/catalogue.ts";
import type { ClusterModel } from "../model/model.ts";
import type { Packet } from "../model/netfilter/packet.ts";
import type { Observation } from "../model/observations.ts";
import type { PodView } from "../model/pods.ts";
import type { ServicePort, ServiceView } from "../model/services/services.ts";
import { type Family, formatIp, formatSocket, type Ip, isOfFamily, parseIp } from "../net/ip.ts";
import { type Text, texts } from "../text.ts";
import type { Ends } from "./ends/ends.ts";
import { isSomebody, SOMEBODY, type Source } from "./ends/goal.ts";
import { serviceOf } from "./ends/port.ts";
import { openingPacket } from "./packet.ts";
import { type Lookup, lookupFirst } from "./resolve.ts";
import type { Namespace, Way } from "./trace.ts";
import { trafficNotes } from "./traffic-notes.ts";
import { type World, walk } from "./walk.ts";

const say = texts("path-answer", {
  noSuchPort: {
    en: "Service {service} has no port {port}/{protocol}: it has {ports}",
    zh: "Service {service} 没有端口 {port}/{protocol}，已有端口：{ports}",
  },
  neverChosen: {
    en: "Service {service} has a ready back end {address} on {node}, and no rule leads there",
    zh: "Service {service} 有就绪的后端 {address}（节点 {node}），但没有规则指向它",
  },
  stray: {
    en: "{address} is no back end of Service {service}: the rules that lead there are out of date",
    zh: "{address} 不是 Service {service} 的后端：指向它的规则已过期",
  },
  noBackEnds: { en: "Service {service} has no ready back end", zh: "Service {service} 没有就绪的后端" },
  notReady: { en: "Pod {pod} is not ready", zh: "Pod {pod} 未就绪" },
  clusterOnly: {
    en: "Service {service} has no address for the outside: it is of type {type}",
    zh: "Service {service} 没有面向集群外部的地址：类型为 {type}",
  },
  otherServer: {
    en: "The Pod asks {server}, which is not the cluster's DNS: that is at {addresses}",
    zh: "该 Pod 查询的 {server} 不是集群 DNS；集群 DNS 地址为 {addresses}",
  },
  nodesAsk: {
    en: "Nodes do not ask the cluster's DNS: Service {service} is taken by its address",
    zh: "节点不使用集群 DNS，此处直接使用 Service {service} 的地址",
  },
  everyNode: { en: "Taken through the NodePort {port} of every node", zh: "经由每个节点的 NodePort {port} 检查" },
  alias: { en: "Service {service} is another name for {name}", zh: "Service {service} 是 {name} 的别名" },
});

/** `sometimes`: some connections fail and others do not, or may not. `left`: answered or not by the world outside. */
export type Result = "answered" | "failed" | "sometimes" | "left" | "unclear";

export type BackEnd = {
  readonly address: string;
  readonly port?: number;
  readonly pod?: PodView;
  readonly node?: string;
  /** Of packets that may be sent to one of several addresses: the one they were sent to, if it is not this. */
  readonly via?: string;
  readonly result: Result;
  /** The most telling first. */
  readonly ways: readonly Way[];
};

export type Walked = { readonly backEnds: readonly BackEnd[]; readonly result: Result };

export type Answer = {
  readonly ends: Ends;
  readonly service?: ServiceView;
  /** If the name has to be resolved first: by which queries, and whether they get to the server and back. */
  readonly resolution?: { readonly lookup: Lookup; readonly server?: string; readonly walked?: Walked };
  readonly addresses: readonly string[];
  readonly walked: Walked;
  readonly result: Result;
  /** Tests in the evidence that ended otherwise than the walk: something that is not recorded matters. */
  readonly contradicting: readonly Observation[];
  readonly notes: readonly Text[];
  /** Tests of the same path in the evidence. */
  readonly tests: readonly Observation[];
  readonly missing: readonly Missing[];
};

export type AnswerOptions = {
  /** Bytes of the IP packets, sent with “do not fragment”. */
  readonly size?: number | undefined;
  /** All rules that packets meet are told. */
  readonly explain?: boolean;
};

type Model = World & Pick<ClusterModel, "dns" | "objects" | "observations">;
type Target = { readonly address: Ip; readonly port?: number };

/** The answer to whether, and how, packets get from one end to the other. */
export function answerOf(ends: Ends, model: Model, options: AnswerOptions = {}): Answer {
  const { from, to } = ends;
  const service = serviceOf(to, from, model);
  const aim = targetsOf(ends, service, model);
  const resolution = aim.lookup && resolutionOf(aim.lookup, from, model, options);
  const walked = walkAll(ends, aim.targets, model, options);
  const result = resultWith(resolution, aim, walked);
  const tests = testsOf(ends, aim, model);
  const contradicting = contradictionsOf(result, walked, tests);
  const rulesKnown = walked.backEnds.every(({ result }) => result !== "unclear");
  return {
    ends,
    ...(service && { service }),
    ...(resolution && { resolution }),
    addresses: aim.targets.map(({ address }) => formatIp(address)),
    walked,
    result: contradicting.length > 0 ? "unclear" : result,
    contradicting,
    notes: [
      ...aim.notes,
      ...serverNotes(ends, aim.lookup, model),
      ...(result === "answered" || result === "left" ? [] : notesOfTraffic(ends, aim, model)),
      ...(service ? serviceNotes(service, ends, rulesKnown ? walked : undefined, model) : podNotes(ends)),
    ],
    tests,
    missing: aim.missing,
  };
}

// ---- where packets are sent to

type Aim = {
  readonly targets: readonly Target[];
  readonly notes: readonly Text[];
  readonly lookup?: Lookup;
  readonly missing: readonly Missing[];
};

function targetsOf({ from, to, port, families }: Ends, service: ServiceView | undefined, model: Model): Aim {
  const at = (texts: readonly string[], number = port): readonly Target[] =>
    texts.flatMap((text) => {
      const address = parseIp(text);
      return address ? { address, ...(number !== undefined && { port: number }) } : [];
    });
  const aim = (targets: readonly Target[], ...notes: readonly Text[]): Aim => ({ targets, notes, missing: [] });
  switch (to.is) {
    case "address":
      return aim([{ address: to.address, ...(port !== undefined && { port }) }]);
    case "pod":
      return aim(at(ofOneFamily(to.pod.addresses, families)));
    case "node":
      return aim(at(ofOneFamily(model.nodes.get(to.node)?.addresses ?? [], families).slice(0, 1)));
    case "name":
      return byName(to.name, from, families, at, model);
    case "service": {
      const chosen = service ?? to.service;
      if ("outside" in from) return fromOutside(chosen, port, families, at, model);
      if (chosen.kind === "ExternalName") {
        const name = chosen.object.spec.externalName ?? "";
        const found = byName(name, from, families, at, model);
        return { ...found, notes: [say.alias({ service: keyOf(chosen), name }), ...found.notes] };
      }
      const notes = from.pod ? [] : [say.nodesAsk({ service: keyOf(chosen) })];
      if (chosen.kind === "ClusterIP") return aim(at(ofOneFamily(chosen.clusterIps, families).slice(0, 1)), ...notes);
      const ready = chosen.ports
        .flatMap((one) => chosen.families.flatMap((family) => model.services.endpoints(one, family)))
        .filter((one) => one.ready);
      return aim(at(ofOneFamily([...new Set(ready.map(({ address }) => address))], families)), ...notes);
    }
  }
}

const keyOf = ({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`;

/** Those of the first of the families that there are any of. */
function ofOneFamily(addresses: readonly string[], families: readonly Family[]): readonly string[] {
  const groups = families.map((family) => addresses.filter((address) => isOfFamily(address, family)));
  return groups.find(({ length }) => length > 0) ?? [];
}

function byName(
  name: string,
  from: Source,
  families: readonly Family[],
  at: (texts: readonly string[]) => readonly Target[],
  model: Model,
): Aim {
  if ("outside" in from) return { targets: [], notes: [], missing: [] };
  const found = lookupFirst(name, from, families, model);
  const { result } = found;
  const targets = result.is === "addresses" ? at(result.addresses) : [];
  return { targets, notes: [], lookup: found, missing: result.is === "unknown" ? result.missing : [] };
}

function fromOutside(
  service: ServiceView,
  port: number | undefined,
  families: readonly Family[],
  at: (texts: readonly string[], port?: number) => readonly Target[],
  { nodes }: Model,
): Aim {
  const nodePort = service.ports.find((one) => one.port === port)?.nodePort;
  // a node port is served in the families of the Service's cluster IPs
  const served = families.filter((family) => service.families.includes(family));
  const own = [...service.loadBalancerIps, ...service.externalIps];
  if (nodePort !== undefined) {
    const addresses = nodes.all.flatMap((node) => ofOneFamily(node.addresses, served).slice(0, 1));
    return { targets: at(addresses, nodePort), notes: [say.everyNode({ port: nodePort })], missing: [] };
  }
  if (own.length > 0) return { targets: at(ofOneFamily(own, families)), notes: [], missing: [] };
  const type = service.object.spec.type ?? "ClusterIP";
  return { targets: [], notes: [say.clusterOnly({ service: keyOf(service), type })], missing: [] };
}

// ---- walking

/** A Pod on the host network sends as its node does. */
const placeOf = (from: Source): Namespace | "outside" =>
  "outside" in from ? "outside" : from.pod?.hostNetwork ? { node: from.node } : from;

function sourceAddress(from: Source, family: Family): Ip | undefined {
  if ("outside" in from) return isSomebody(from.outside) ? SOMEBODY[family] : from.outside;
  if (!from.pod || from.pod.hostNetwork) return undefined;
  return from.pod.addresses.map(parseIp).find((ip) => ip?.family === family);
}

function walkAll(
  ends: Ends,
  targets: readonly Target[],
  model: Model,
  { size, explain = false }: AnswerOptions,
): Walked {
  const ways = targets.flatMap(({ address, port }) => {
    const packet = openingPacket(ends.protocol, sourceAddress(ends.from, address.family), address, port);
    const sending = { from: placeOf(ends.from), packet, explain, ...(size !== undefined && { size }) };
    // of several addresses any may be taken
    const some = targets.length > 1 ? chosen : (way: Way) => way;
    const via =
      targets.length > 1 ? (port === undefined ? formatIp(address) : formatSocket(formatIp(address), port)) : undefined;
    return walk(sending, model).ways.map((way) => {
      const last = lastPacket(way, packet);
      return { way: some(way), last, via: endOf(last) === endOf(packet) ? undefined : via };
    });
  });
  const groups = Map.groupBy(ways, ({ last, via }) => `${via ?? ""} ${endOf(last)}`);
  const backEnds = [...groups.values()].map((group): BackEnd => {
    const { last, via } = group[0]!;
    const all = group.map(({ way }) => way);
    return { ...backEndOf(last, all, model), ...(via !== undefined && { via }) };
  });
  return { backEnds: backEnds.toSorted(byResult), result: overall(backEnds) };
}

const chosen = (way: Way): Way => (way.certainty === "certain" ? { ...way, certainty: "chosen" } : way);

/** The packet as it came to, or would have come to, its back end: not that of a tunnel around it. */
function lastPacket({ steps, answer }: Way, sent: Packet): Packet {
  let packet = sent;
  let depth = 0;
  for (const step of steps.slice(0, answer)) {
    if (step.did === "encapsulate") depth++;
    else if (step.did === "decapsulate") depth--;
    else if (depth === 0 && (step.did === "pass" || step.did === "balance")) packet = step.packet;
  }
  return packet;
}

const textOf = (address: Packet["destination"]): string => (address === "unknown" ? "?" : formatIp(address));
const endOf = ({ destination, destinationPort }: Packet): string => `${textOf(destination)} ${destinationPort ?? ""}`;

function backEndOf({ destination, destinationPort }: Packet, ways: readonly Way[], { pods, nodes }: Model): BackEnd {
  const address = textOf(destination);
  const pod = pods.byAddress(address);
  const node = pod?.node ?? nodes.byAddress(address)?.name;
  return {
    address,
    ...(typeof destinationPort === "number" && { port: destinationPort }),
    ...(pod && { pod }),
    ...(node !== undefined && { node }),
    result: resultOf(ways),
    ways: ways.toSorted((a, b) => weightOf(a) - weightOf(b)),
  };
}

/** What one way comes to. */
export function outcomeOf({ end }: Way): "answered" | "failed" | "left" | "unclear" {
  if (end.is === "answered") return "answered";
  if (end.is === "left-cluster") return "left";
  return end.is === "insufficient" ? "unclear" : "failed";
}

const weightOf = (way: Way): number =>
  ({ failed: 0, unclear: 2, left: 4, answered: 6 })[outcomeOf(way)] + (way.certainty === "guessed" ? 1 : 0);

function resultOf(ways: readonly Way[]): Result {
  const [first, ...others] = [...new Set(ways.map(outcomeOf))];
  if (first !== undefined && others.length === 0) return first;
  const fails = ways.some((way) => outcomeOf(way) === "failed" && way.certainty !== "guessed");
  return fails ? "sometimes" : "unclear";
}

const RANK: readonly Result[] = ["failed", "sometimes", "unclear", "left", "answered"];
const byResult = (a: BackEnd, b: BackEnd): number => RANK.indexOf(a.result) - RANK.indexOf(b.result);

/** Connections go to one of the back ends, nobody knows to which. */
function overall(backEnds: readonly BackEnd[]): Result {
  return resultOf(backEnds.flatMap(({ ways }) => ways));
}

// ---- name resolution

function resolutionOf(found: Lookup, from: Source, model: Model, options: AnswerOptions): Answer["resolution"] {
  const [server] = found.resolver?.servers ?? [];
  const address = server === undefined ? undefined : parseIp(server);
  if (!address || "outside" in from) return { lookup: found };
  const ends: Ends = { from, to: { is: "address", address }, protocol: "udp", families: [address.family], port: 53 };
  const walked = walkAll(ends, [{ address, port: 53 }], model, { explain: options.explain ?? false });
  return { lookup: found, server: server!, walked };
}

function resultWith(resolution: Answer["resolution"], { targets, lookup: found }: Aim, walked: Walked): Result {
  const asked = resolution?.walked?.result ?? "answered";
  if (asked === "failed") return "failed";
  if (targets.length === 0) {
    if (!found) return "failed";
    return found.result.is === "outside" || found.result.is === "unknown" ? "unclear" : "failed";
  }
  if (walked.result === "failed") return "failed";
  if (asked === "sometimes" || walked.result === "sometimes") return "sometimes";
  // servers outside are asked, and whether they answer is not recorded
  return asked === "unclear" || (asked === "left" && walked.result === "answered") ? "unclear" : walked.result;
}

// ---- what else there is to say

const MOST_NOTES = 4;

/** Of many addresses, the node ports of all nodes, each can end otherwise. */
function notesOfTraffic(ends: Ends, { targets }: Aim, model: Model): readonly Text[] {
  return targets
    .flatMap(({ address, port }) => {
      const at = { ...ends, ...(port !== undefined && { port }) };
      return trafficNotes(address, sourceAddress(ends.from, address.family), at, model);
    })
    .slice(0, MOST_NOTES);
}

function serviceNotes(service: ServiceView, ends: Ends, walked: Walked | undefined, model: Model): readonly Text[] {
  const { services } = model;
  const { protocol, port } = ends;
  const named = keyOf(service);
  if (protocol === "icmp" || service.kind === "ExternalName") return [];
  const ofProtocol = service.ports.filter((one) => one.protocol.toLowerCase() === protocol);
  const own = ofProtocol.find((one) => one.port === port);
  if (!own && service.kind === "Headless") return [];
  if (!own) {
    const ports = service.ports.map(
      (one) => `${one.name ? `${one.name} ` : ""}${one.port}/${one.protocol.toLowerCase()}`,
    );
    return [say.noSuchPort({ service: named, port: port ?? "", protocol, ports: ports })];
  }
  if (!services.endpointsWhole) return [];
  if (!service.families.some((family) => services.endpoints(own, family).some(({ ready }) => ready)))
    return [say.noBackEnds({ service: named })];
  return walked ? differences(service, own, ends, walked, model) : [];
}

/** What the rules lead to, against what the API demands of this node. */
function differences(
  service: ServiceView,
  port: ServicePort,
  { from }: Ends,
  walked: Walked,
  { services, nodes }: Model,
): readonly Text[] {
  if ("outside" in from || service.kind !== "ClusterIP") return [];
  // packets that end before any rule sees them tell nothing of the rules
  const ways = walked.backEnds.flatMap((one) => one.ways);
  if (!ways.some(({ steps }) => steps.some(({ did }) => did === "pass" || did === "balance" || did === "route")))
    return [];
  const named = keyOf(service);
  const family = walked.backEnds[0]?.address.includes(":") ? 6 : 4;
  const { cluster, local } = services.expected(port, from.node, family);
  const expected = (service.policy.internalLocal ? local : cluster) ?? [];
  const reached = new Set(walked.backEnds.map((one) => formatSocket(one.address, one.port ?? "")));
  const all = new Set(services.endpoints(port, family).map((one) => formatSocket(one.address, one.port)));
  const missed = expected.filter((one) => !reached.has(formatSocket(one.address, one.port)));
  const stray = walked.backEnds.filter(
    (one) => !all.has(formatSocket(one.address, one.port ?? "")) && !service.clusterIps.includes(one.address),
  );
  return [
    ...missed.map((one) =>
      say.neverChosen({
        service: named,
        address: formatSocket(one.address, one.port),
        node: one.node ?? nodes.byAddress(one.address)?.name ?? "?",
      }),
    ),
    ...stray.map((one) => say.stray({ service: named, address: formatSocket(one.address, one.port ?? "") })),
  ].slice(0, MOST_NOTES);
}

/** A Pod that is meant to ask the cluster's DNS asks somebody else. */
function serverNotes({ from }: Ends, found: Lookup | undefined, { dns }: Model): readonly Text[] {
  const [server] = found?.resolver?.servers ?? [];
  if (found?.asks !== "others" || server === undefined || "outside" in from || !from.pod || from.pod.hostNetwork)
    return [];
  const policy = from.pod.object.spec.dnsPolicy ?? "ClusterFirst";
  const addresses = dns.services.flatMap(({ clusterIps }) => clusterIps);
  if (!policy.startsWith("ClusterFirst") || addresses.length === 0) return [];
  return [say.otherServer({ server, addresses: addresses })];
}

const podNotes = ({ to }: Ends): readonly Text[] =>
  to.is === "pod" && !to.pod.ready ? [say.notReady({ pod: to.pod.key })] : [];

/** A test that failed where all should be answered, or was answered where nothing should. */
function contradictionsOf(result: Result, walked: Walked, tests: readonly Observation[]): readonly Observation[] {
  if (result === "answered") return tests.filter(({ outcome }) => outcome === "failed");
  if (walked.result !== "failed") return [];
  return tests.filter(({ outcome, probe }) => outcome === "ok" && probe?.test !== "dns");
}

/** Tests of the same sender to the same address and port, and of the same name. */
function testsOf(
  { from, port, protocol }: Ends,
  { targets, lookup: found }: Aim,
  { observations }: Model,
): readonly Observation[] {
  if ("outside" in from) return [];
  const addresses = new Set(targets.map(({ address }) => formatIp(address)));
  const names = new Set(found ? [found.name, ...found.queries.map(({ name }) => name)] : []);
  return observations.all.filter(({ probe }) => {
    if (!probe || probe.from.node !== from.node) return false;
    if (from.pod && !from.pod.hostNetwork ? probe.from.pod !== from.pod.key : probe.from.network !== "host")
      return false;
    const { test, target } = probe;
    if (test === "dns") return probe.server === undefined && names.has(target.replace(/\.$/, ""));
    const match = /^(?:(https?):\/\/)?(\[[^\]]+\]|[^:/]+)(?::(\d+))?/.exec(target);
    const host = match?.[2]?.replace(/[[\]]/g, "") ?? "";
    const number = match?.[3] ?? { http: "80", https: "443" }[match?.[1] ?? ""];
    const isMine = addresses.has(host) || names.has(host);
    const over = test === "http" ? "tcp" : test;
    return isMine && over === protocol && (protocol === "icmp" || Number(number) === port);
  });
}
