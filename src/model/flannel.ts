/**
 * What flannel should have written on each node, and what is there.
 *
 * Source: flannel pkg/subnet/kube/{kube,annotations}.go (the annotations by which nodes tell each other how they are
 * reached), pkg/backend/vxlan/{vxlan,vxlan_network,device}.go (a route, a neighbour and an FDB entry for every other node),
 * pkg/backend/hostgw/hostgw.go (a route). The annotations are the input, so k3s' embedded flannel is understood as well.
 */
import type { Capture } from "../evidence/capture.ts";
import { isWhole, known, type Observed } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import {
  canonicalIp,
  type Family,
  formatIp,
  formatPrefix,
  type Ip,
  type Prefix,
  parseIp,
  parsePrefix,
  prefixOf,
} from "../net/ip.ts";
import type { FdbEntry } from "../parse/bridge-fdb.ts";
import type { Link } from "../parse/ip-addr.ts";
import type { Neighbour } from "../parse/ip-neigh.ts";
import type { Route } from "../parse/ip-route.ts";
import { parseJson } from "../parse/parsed.ts";
import type { SubnetEnv } from "../parse/subnet-env.ts";
import type { Components } from "./components/components.ts";
import type { Forwarding, NodePlane } from "./forwarding/plane.ts";
import { destinationOf } from "./forwarding/route-table.ts";
import { lookupRoute, quoteRoute } from "./forwarding/routing.ts";
import type { Nodes, NodeView } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import type { Ref } from "./ref.ts";

export type FlannelConfig = {
  /** What reads it. */
  readonly agent: Ref;
  /** net-conf.json, as it is. */
  readonly text: string;
  readonly networks: readonly Prefix[];
  readonly backend: string;
  readonly vni: number;
  /** UDP; 8472 unless configured (the kernel's default for VXLAN). */
  readonly port: number;
  readonly directRouting: boolean;
  readonly evidence: Evidence;
};

/** How a node tells the others that it is reached. */
export type FlannelPeer = {
  readonly node: NodeView;
  readonly family: Family;
  /** Its Pods' addresses of the family. */
  readonly range: Prefix;
  readonly backend: string;
  readonly publicIp: string;
  /** Of its VXLAN device; missing for other backends. */
  readonly mac?: string;
  readonly evidence: Evidence;
};

export type FlannelDeviation = {
  readonly what:
    | "device-missing"
    | "device-down"
    | "route-missing"
    | "route-wrong"
    | "neighbour-missing"
    | "neighbour-wrong"
    | "fdb-missing"
    | "fdb-wrong";
  /** What should be there, as `ip` and `bridge` would print it. */
  readonly expected: string;
  /** What is there instead. */
  readonly found: readonly Evidence[];
};

export type FlannelPath = {
  readonly peer: FlannelPeer;
  /** unknown: something of what would tell was not seen. */
  readonly state: "right" | "deviating" | "unknown";
  readonly deviations: readonly FlannelDeviation[];
  /** What demands it, and what proves it right. */
  evidence(): readonly Evidence[];
  /** Evidence that was missing. */
  readonly missing: readonly ("links" | "routes" | "neighbours" | "fdb")[];
};

export interface Flannel {
  /** Whether any node is in a flannel network. */
  readonly used: boolean;
  readonly config: FlannelConfig | undefined;
  readonly configMap: Ref | undefined;
  /** How a node is reached, without a family in the first that it has; undefined if it does not tell, or is in no flannel network. */
  peer(node: string, family?: Family): FlannelPeer | undefined;
  /** What flannel of a node tells its CNI plugin: its networks, and whether it masquerades what leaves them (--ip-masq). */
  subnetEnv(node: string): Observed<SubnetEnv>;
  /** From a node to every other one that tells how it is reached, in one family or in each in which both do. */
  paths(node: string, family?: Family): readonly FlannelPath[];
  /**
   * What demands and proves a node's first entry, if a quick look shows that all of a family are right; `paths` tells what is
   * wrong, and takes far longer: there are as many entries as pairs of nodes.
   */
  allRight(node: string, family: Family): readonly Evidence[] | undefined;
}

const FAMILIES = [4, 6] as const;
const PREFIX = "flannel.alpha.coreos.com/";

function configOf(objects: Objects, components: Components): { config: FlannelConfig; map: Ref } | undefined {
  for (const component of components.byId("flannel")) {
    // of a DaemonSet that is gone, its configuration tells
    const { marker } = component.definition;
    const names = component.leftBehind
      ? [marker?.configMap]
      : (component.spec?.volumes ?? []).map(({ configMap }) => configMap?.name);
    for (const map of objects.all("configmaps")) {
      if (map.metadata.namespace !== component.ref.namespace || !names.includes(map.metadata.name)) continue;
      const text = map.data?.["net-conf.json"];
      const json = text === undefined ? undefined : parseJson(text);
      if (!json?.ok || typeof json.value !== "object" || json.value === null) continue;
      const value = json.value as Record<string, unknown>;
      const backend = (typeof value.Backend === "object" && value.Backend !== null ? value.Backend : {}) as Record<
        string,
        unknown
      >;
      const networks = [value.Network, value.IPv6Network].map((network) =>
        typeof network === "string" ? parsePrefix(network) : undefined,
      );
      return {
        map: { kind: "ConfigMap", namespace: map.metadata.namespace ?? "", name: map.metadata.name },
        config: {
          agent: component.ref,
          text: text ?? "",
          networks: networks.filter((network) => network !== undefined),
          backend: typeof backend.Type === "string" ? backend.Type.toLowerCase() : "vxlan",
          vni: typeof backend.VNI === "number" ? backend.VNI : 1,
          port: typeof backend.Port === "number" && backend.Port > 0 ? backend.Port : 8472,
          directRouting: backend.DirectRouting === true,
          evidence: objects.quote("configmaps", map, `net-conf.json: ${text}`),
        },
      };
    }
  }
  return undefined;
}

/** The annotations by which a node tells how it is reached (annotations.go). */
const ANNOTATIONS = {
  4: { publicIp: `${PREFIX}public-ip`, data: `${PREFIX}backend-data` },
  6: { publicIp: `${PREFIX}public-ipv6`, data: `${PREFIX}backend-v6-data` },
} as const;

/** The VXLAN device of a family (vxlan.go). */
export const tunnelDevice = (vni: number, family: Family): string =>
  family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`;

function peerOf(node: NodeView, family: Family, objects: Objects): FlannelPeer | undefined {
  const { object } = node;
  const annotations = object?.metadata.annotations ?? {};
  const names = ANNOTATIONS[family];
  const range = node.podRanges.find(({ ip }) => ip.family === family);
  const publicIp = canonicalIp(annotations[names.publicIp] ?? "");
  if (!object || !range || publicIp === undefined || annotations[`${PREFIX}kube-subnet-manager`] !== "true")
    return undefined;
  const data = parseJson(annotations[names.data] ?? "null");
  const mac =
    data.ok && typeof data.value === "object" && data.value !== null
      ? (data.value as Record<string, unknown>).VtepMAC
      : undefined;
  const backend = annotations[`${PREFIX}backend-type`] ?? "";
  return {
    node,
    family,
    range,
    backend,
    publicIp,
    ...(typeof mac === "string" && { mac: mac.toLowerCase() }),
    evidence: objects.quote(
      "nodes",
      object,
      `Node ${node.name}: podCIDR ${formatPrefix(range)}, ${names.publicIp} ${publicIp}, ${names.data} ${annotations[names.data]}`,
    ),
  };
}

/** A node's entries, filed so that each is found by what it leads to: there are as many as nodes, on every node. */
type Entries = {
  readonly plane: NodePlane;
  /** By the Pod range in which they lie. */
  readonly routes: ReadonlyMap<string, readonly Route[]>;
  readonly neighbours: ReadonlyMap<string, readonly Neighbour[]>;
  readonly fdb: ReadonlyMap<string, readonly FdbEntry[]>;
  readonly tunnel: Link | undefined;
};

function entriesOf(plane: NodePlane, device: string, rangeLengths: ReadonlySet<number>, family: Family): Entries {
  const routes = new Map<string, Route[]>();
  for (const route of known(plane.routes) ?? []) {
    const prefix = destinationOf(route);
    if (prefix?.ip.family !== family || route.type === "broadcast" || route.type === "multicast") continue;
    for (const length of rangeLengths) {
      if (prefix.length < length) continue;
      const key = formatPrefix(prefixOf(prefix.ip, length));
      const list = routes.get(key);
      if (list) list.push(route);
      else routes.set(key, [route]);
    }
  }
  const onDevice = <T extends { readonly device: string }>(entries: readonly T[] | undefined) =>
    (entries ?? []).filter((entry) => entry.device === device);
  return {
    plane,
    routes,
    neighbours: Map.groupBy(onDevice(known(plane.neighbours)), ({ address }) => address),
    fdb: Map.groupBy(
      onDevice(known(plane.fdb)).filter(({ destination }) => destination !== undefined),
      ({ mac }) => mac,
    ),
    tunnel: known(plane.links)?.find(({ name }) => name === device),
  };
}

type Parts = {
  readonly capture: Capture;
  readonly objects: Objects;
  readonly nodes: Nodes;
  readonly components: Components;
  readonly forwarding: Forwarding;
};

export function flannelOf({ capture, objects, nodes, components, forwarding }: Parts): Flannel {
  const found = configOf(objects, components);
  const networks = FAMILIES.map((family) => {
    const peers = nodes.all.map((node) => peerOf(node, family, objects)).filter((peer) => peer !== undefined);
    return {
      family,
      peers,
      byName: new Map(peers.map((peer) => [peer.node.name, peer])),
      rangeLengths: new Set(peers.map(({ range }) => range.length)),
      device: tunnelDevice(found?.config.vni ?? 1, family),
      whereabouts: found?.config.directRouting ? undefined : whereaboutsOf(peers),
    };
  });
  return {
    allRight(name, family) {
      const { byName, device, whereabouts, rangeLengths, peers } = networks.find((one) => one.family === family)!;
      const self = byName.get(name);
      if (!self || !whereabouts || peers.length < 2) return undefined;
      const plane = forwarding.of(name);
      if (!hasAll(plane, device, whereabouts, self, rangeLengths)) return undefined;
      const first = peers.find((peer) => peer !== self)!;
      const text = formatPrefix(first.range);
      const route = (known(plane.routes) ?? []).find(({ destination }) => destination === text)!;
      return [first.evidence, quoteRoute(plane, route)];
    },
    used: networks.some(({ peers }) => peers.length > 0),
    config: found?.config,
    configMap: found?.map,
    peer: (node, family) =>
      networks
        .filter((network) => family === undefined || network.family === family)
        .map(({ byName }) => byName.get(node))
        .find((peer) => peer !== undefined),
    subnetEnv: (node) => capture.get("subnetEnv", { node }),
    paths: (name, only) =>
      networks.flatMap(({ family, peers, byName, rangeLengths, device }) => {
        if (only !== undefined && only !== family) return [];
        const self = byName.get(name);
        if (!self) return [];
        const entries = entriesOf(forwarding.of(name), device, rangeLengths, family);
        return peers
          .filter((peer) => peer.node.name !== name && peer.backend === self.backend)
          .map((peer) => pathTo(peer, entries, device, found?.config));
      }),
  };
}

/** Whom each route, neighbour and FDB entry of a VXLAN leads to. */
type Whereabouts = {
  readonly peers: readonly FlannelPeer[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  readonly macs: readonly string[];
  readonly publicIps: readonly string[];
  readonly byRange: ReadonlyMap<string, number>;
  readonly byGateway: ReadonlyMap<string, number>;
  readonly byMac: ReadonlyMap<string, number>;
};

/** Strings in one piece: those that were put together are ropes to V8, which are compared far more slowly. */
const flat = (texts: readonly string[]): readonly string[] => JSON.parse(JSON.stringify(texts)) as string[];

/** @returns undefined if not all of them are in one VXLAN, each with a range and a MAC of its own */
function whereaboutsOf(peers: readonly FlannelPeer[]): Whereabouts | undefined {
  const gateways = flat(peers.map(({ range }) => formatIp(range.ip)));
  const indexed = (keys: readonly string[]) => new Map(keys.map((key, index) => [key, index]));
  const ranges = flat(peers.map(({ range }) => formatPrefix(range)));
  const macs = flat(peers.map(({ mac }) => mac ?? ""));
  const publicIps = flat(peers.map(({ publicIp }) => publicIp));
  const byRange = indexed(ranges);
  const byMac = indexed(macs);
  const isOne = peers.every(({ backend, mac }) => backend === "vxlan" && mac !== undefined);
  if (!isOne || byRange.size < peers.length || byMac.size < peers.length) return undefined;
  return { peers, ranges, gateways, macs, publicIps, byRange, byGateway: indexed(gateways), byMac };
}

/**
 * Whether a node has exactly the entries that lead to all others: each kind of them is gone through once. Entries mostly come
 * in one order, so the next peer is tried before it is looked for. Plain loops: there are as many entries as pairs of nodes.
 */
function hasAll(
  plane: NodePlane,
  device: string,
  whereabouts: Whereabouts,
  self: FlannelPeer,
  rangeLengths: ReadonlySet<number>,
): boolean {
  const { links, routes, neighbours, fdb } = plane;
  if (!isWhole(links) || !isWhole(routes) || !isWhole(neighbours) || !isWhole(fdb)) return false;
  if (!links.value.find(({ name }) => name === device)?.flags.includes("UP")) return false;
  const own = whereabouts.peers.indexOf(self);
  return (
    hasAllRoutes(routes.value, device, whereabouts, own, rangeLengths) &&
    hasAllNeighbours(neighbours.value, device, whereabouts, own) &&
    hasAllForwarding(fdb.value, device, whereabouts, own)
  );
}

function hasAllRoutes(
  routes: readonly Route[],
  device: string,
  { ranges, gateways, byRange }: Whereabouts,
  own: number,
  rangeLengths: ReadonlySet<number>,
): boolean {
  const seen = new Uint8Array(ranges.length);
  let next = 0;
  let left = ranges.length - 1;
  for (const route of routes) {
    const { destination, nextHops } = route;
    let index: number | undefined = next;
    if (ranges[index] !== destination && ranges[++index] !== destination) index = byRange.get(destination);
    if (index === undefined) {
      if (isInside(route, byRange, rangeLengths, own)) return false;
      continue;
    }
    next = index + 1;
    if (index === own) continue;
    const hop = nextHops[0];
    if (hop?.device !== device || hop.gateway !== gateways[index] || nextHops.length !== 1) return false;
    if (route.type !== "unicast" || seen[index] === 1) return false;
    seen[index] = 1;
    left--;
  }
  return left === 0;
}

function hasAllNeighbours(
  neighbours: readonly Neighbour[],
  device: string,
  { gateways, macs, byGateway }: Whereabouts,
  own: number,
): boolean {
  const seen = new Uint8Array(gateways.length);
  let next = 0;
  let left = gateways.length - 1;
  for (const { device: name, address, mac } of neighbours) {
    if (name !== device) continue;
    let index: number | undefined = next;
    if (gateways[index] !== address && gateways[++index] !== address) index = byGateway.get(address);
    if (index === undefined) continue;
    next = index + 1;
    if (index === own) continue;
    if (mac !== macs[index] || seen[index] === 1) return false;
    seen[index] = 1;
    left--;
  }
  return left === 0;
}

function hasAllForwarding(
  fdb: readonly FdbEntry[],
  device: string,
  { publicIps, macs, byMac }: Whereabouts,
  own: number,
): boolean {
  const seen = new Uint8Array(macs.length);
  let next = 0;
  let left = macs.length - 1;
  for (const { device: name, mac, destination } of fdb) {
    if (name !== device || destination === undefined) continue;
    let index: number | undefined = next;
    if (macs[index] !== mac && macs[++index] !== mac) index = byMac.get(mac);
    if (index === undefined) continue;
    next = index + 1;
    if (index === own) continue;
    if (destination !== publicIps[index] || seen[index] === 1) return false;
    seen[index] = 1;
    left--;
  }
  return left === 0;
}

/** A route to a part of another node's range takes that part away. */
function isInside(
  route: Route,
  byRange: ReadonlyMap<string, number>,
  lengths: ReadonlySet<number>,
  own: number,
): boolean {
  const prefix = destinationOf(route);
  if (!prefix || route.type === "broadcast" || route.type === "multicast") return false;
  return [...lengths].some((length) => {
    const index = prefix.length < length ? undefined : byRange.get(formatPrefix(prefixOf(prefix.ip, length)));
    return index !== undefined && index !== own;
  });
}

type Missing = FlannelPath["missing"][number];

function pathTo(peer: FlannelPeer, entries: Entries, device: string, config: FlannelConfig | undefined): FlannelPath {
  if (peer.backend === "host-gw") return directPath(peer, entries);
  if (peer.backend !== "vxlan") return judged(peer, [], [], [], true);
  // with DirectRouting, peers on the same segment are routed to without the tunnel
  if (config?.directRouting && onSameSegment(peer, entries.plane)) return directPath(peer, entries);
  return tunnelPath(peer, entries, device);
}

function judged(
  peer: FlannelPeer,
  deviations: readonly FlannelDeviation[],
  missing: readonly Missing[],
  proofs: readonly (() => Evidence)[],
  isUnknown = missing.length > 0,
): FlannelPath {
  const state = deviations.length > 0 ? "deviating" : isUnknown ? "unknown" : "right";
  return { peer, state, deviations, missing, evidence: () => [peer.evidence, ...proofs.map((quote) => quote())] };
}

function onSameSegment(peer: FlannelPeer, plane: NodePlane): boolean {
  const ip = parseIp(peer.publicIp);
  const lookup = ip && lookupRoute(plane, { destination: ip });
  return lookup?.end === "via" && lookup.hops.every(({ gateway }) => gateway === undefined);
}

/** Judges what leads to a peer's range: the route to it, and any more specific route that takes a part of it away. */
function judgeRoute(
  peer: FlannelPeer,
  { plane, routes }: Entries,
  expected: string,
  isRight: (gateway: string | undefined, device: string | undefined) => boolean,
): { deviation?: FlannelDeviation; proof?: () => Evidence } {
  const inRange = routes.get(formatPrefix(peer.range)) ?? [];
  const right = inRange.find(
    (route) =>
      destinationOf(route)!.length === peer.range.length &&
      route.nextHops.some(({ gateway, device }) => isRight(gateway, device)),
  );
  const wrong = inRange.filter((route) => route !== right);
  if (wrong.length > 0) {
    return { deviation: { what: "route-wrong", expected, found: wrong.map((route) => quoteRoute(plane, route)) } };
  }
  if (right) return { proof: () => quoteRoute(plane, right) };
  if (!isWhole(plane.routes)) return {};
  const lookup = lookupRoute(plane, { destination: peer.range.ip as Ip });
  const instead = lookup.end === "via" || lookup.end === "refused" ? [lookup.evidence] : [];
  return { deviation: { what: "route-missing", expected, found: instead } };
}

function directPath(peer: FlannelPeer, entries: Entries): FlannelPath {
  const expected = `${formatPrefix(peer.range)} via ${peer.publicIp}`;
  const { deviation, proof } = judgeRoute(peer, entries, expected, (gateway) => gateway === peer.publicIp);
  return judged(peer, deviation ? [deviation] : [], deviation || proof ? [] : ["routes"], proof ? [proof] : []);
}

function tunnelPath(peer: FlannelPeer, entries: Entries, device: string): FlannelPath {
  const { plane, tunnel } = entries;
  const gateway = formatIp(peer.range.ip);
  const missing: Missing[] = [];
  const proofs: (() => Evidence)[] = [];
  const deviations: FlannelDeviation[] = [];

  if (!tunnel && isWhole(plane.links)) {
    deviations.push({ what: "device-missing", expected: `${device}: VXLAN device`, found: [] });
  } else if (!tunnel) missing.push("links");
  // the kernel takes away what leads over a device that goes down
  else if (!tunnel.flags.includes("UP")) {
    const found = [quoteOf(plane.links.origin, `${device}: <${tunnel.flags.join(",")}>`)];
    deviations.push({ what: "device-down", expected: `${device}: UP`, found });
  }

  const expectedRoute = `${formatPrefix(peer.range)} via ${gateway} dev ${device} onlink`;
  const route = judgeRoute(peer, entries, expectedRoute, (via, dev) => via === gateway && dev === device);
  if (route.deviation) deviations.push(route.deviation);
  else if (route.proof) proofs.push(route.proof);
  else missing.push("routes");

  // without the MAC of the peer's device, only the route can be judged
  if (peer.mac === undefined) return judged(peer, deviations, missing, proofs, true);

  const neighbour = entries.neighbours.get(gateway)?.[0];
  const neighbourText = `${gateway} dev ${device} lladdr ${peer.mac} PERMANENT`;
  const quoteNeighbour = () => {
    const mac = neighbour?.mac ? `lladdr ${neighbour.mac} ` : "";
    return quoteOf(plane.neighbours.origin, `${gateway} dev ${device} ${mac}${neighbour?.states.join(" ") ?? ""}`);
  };
  if (neighbour && neighbour.mac === peer.mac) proofs.push(quoteNeighbour);
  else if (neighbour) deviations.push({ what: "neighbour-wrong", expected: neighbourText, found: [quoteNeighbour()] });
  else if (isWhole(plane.neighbours))
    deviations.push({ what: "neighbour-missing", expected: neighbourText, found: [] });
  else missing.push("neighbours");

  const known = entries.fdb.get(peer.mac) ?? [];
  const fdbText = `${peer.mac} dev ${device} dst ${peer.publicIp} self permanent`;
  const quoteFdb = ({ mac, destination, flags, state }: FdbEntry) =>
    quoteOf(plane.fdb.origin, `${mac} dev ${device} dst ${destination} ${flags.join(" ")} ${state}`);
  const right = known.find(({ destination }) => destination === peer.publicIp);
  if (right) proofs.push(() => quoteFdb(right));
  else if (known.length > 0) deviations.push({ what: "fdb-wrong", expected: fdbText, found: known.map(quoteFdb) });
  else if (isWhole(plane.fdb)) deviations.push({ what: "fdb-missing", expected: fdbText, found: [] });
  else missing.push("fdb");

  return judged(peer, deviations, missing, proofs);
}
