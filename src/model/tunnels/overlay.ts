/**
 * What leads from a node to the Pods of another in an overlay of routes: a route, and with VXLAN a neighbour and an FDB entry
 * for the other node's tunnel device. flannel and Calico write the same, from other inputs.
 */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { type Family, formatPrefix, type Ip, type Prefix, parseIp, prefixOf } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { FdbEntry } from "../../parse/iproute2/bridge-fdb.ts";
import type { Neighbour } from "../../parse/iproute2/neigh.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import type { NodePlane } from "../forwarding/plane.ts";
import { destinationOf } from "../forwarding/route-table.ts";
import { lookupRoute, quoteRoute } from "../forwarding/routing.ts";
import type { NodeView } from "../nodes.ts";

export type OverlayDeviation = {
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

export type OverlayPath = {
  readonly peer: OverlayPeer;
  /** unknown: something of what would tell was not seen. */
  readonly state: "right" | "deviating" | "unknown";
  readonly deviations: readonly OverlayDeviation[];
  /** What demands it, and what proves it right. */
  evidence(): readonly Evidence[];
  /** Evidence that was missing. */
  readonly missing: readonly ("links" | "routes" | "neighbours" | "fdb")[];
};

/** How a node tells the others that its Pods are reached. */
export type OverlayPeer = {
  readonly node: NodeView;
  readonly family: Family;
  /** Its Pods' addresses of the family: with Calico one of its blocks. */
  readonly range: Prefix;
  readonly backend: string;
  readonly publicIp: string;
  /** To which tunnels route: the address of its tunnel's device. */
  readonly gateway: string;
  /** Of its VXLAN device; missing for other backends. */
  readonly mac?: string;
  readonly evidence: Evidence;
};

/** A node's entries, filed so that each is found by what it leads to: there are as many as nodes, on every node. */
export type Entries = {
  readonly plane: NodePlane;
  /** By the Pod range in which they lie. */
  readonly routes: ReadonlyMap<string, readonly Route[]>;
  readonly neighbours: ReadonlyMap<string, readonly Neighbour[]>;
  readonly fdb: ReadonlyMap<string, readonly FdbEntry[]>;
  readonly tunnel: Link | undefined;
};

/** @param rangeLengths those of the peers' ranges */
export function entriesOf(
  plane: NodePlane,
  device: string,
  rangeLengths: ReadonlySet<number>,
  family: Family,
): Entries {
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

type Missing = OverlayPath["missing"][number];

export function judged(
  peer: OverlayPeer,
  deviations: readonly OverlayDeviation[],
  missing: readonly Missing[],
  proofs: readonly (() => Evidence)[],
  isUnknown = missing.length > 0,
): OverlayPath {
  const state = deviations.length > 0 ? "deviating" : isUnknown ? "unknown" : "right";
  return { peer, state, deviations, missing, evidence: () => [peer.evidence, ...proofs.map((quote) => quote())] };
}

/** Whether a peer is reached without a router in between. */
export function onSameSegment(peer: OverlayPeer, plane: NodePlane): boolean {
  const ip = parseIp(peer.publicIp);
  const lookup = ip && lookupRoute(plane, { destination: ip });
  return lookup?.end === "via" && lookup.hops.every(({ gateway }) => gateway === undefined);
}

/** Judges what leads to a peer's range: the route to it, and any more specific route that takes a part of it away. */
function judgeRoute(
  peer: OverlayPeer,
  { plane, routes }: Entries,
  expected: string,
  isRight: (gateway: string | undefined, device: string | undefined) => boolean,
): { deviation?: OverlayDeviation; proof?: () => Evidence } {
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

/** By a route to the peer itself. */
export function directPath(peer: OverlayPeer, entries: Entries): OverlayPath {
  const expected = `${formatPrefix(peer.range)} via ${peer.publicIp}`;
  const { deviation, proof } = judgeRoute(peer, entries, expected, (gateway) => gateway === peer.publicIp);
  return judged(peer, deviation ? [deviation] : [], deviation || proof ? [] : ["routes"], proof ? [proof] : []);
}

/** By a VXLAN device. */
export function tunnelPath(peer: OverlayPeer, entries: Entries, device: string): OverlayPath {
  const { plane, tunnel } = entries;
  const { gateway } = peer;
  const missing: Missing[] = [];
  const proofs: (() => Evidence)[] = [];
  const deviations: OverlayDeviation[] = [];

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
