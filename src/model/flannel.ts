/**
 * What flannel should have written on each node, and what is there.
 *
 * Source: flannel pkg/subnet/kube/{kube,annotations}.go (the annotations by which nodes tell each other how they are
 * reached), pkg/backend/vxlan/{vxlan,vxlan_network,device}.go (a route, a neighbour and an FDB entry for every other node),
 * pkg/backend/hostgw/hostgw.go (a route). The annotations are the input, so k3s' embedded flannel is understood as well.
 */
import { isWhole, known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { contains, covers, formatIp, formatPrefix, type Prefix, parseIp, parsePrefix } from "../net/ip.ts";
import { parseJson } from "../parse/parsed.ts";
import type { Components } from "./components/components.ts";
import type { Forwarding, NodePlane } from "./forwarding/plane.ts";
import { destinationOf, lookupRoute, quoteRoute } from "./forwarding/routing.ts";
import type { Nodes, NodeView } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import type { Ref } from "./ref.ts";

export type FlannelConfig = {
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
  /** What proves it right, or the input that demands it. */
  readonly evidence: readonly Evidence[];
  /** Evidence that was missing. */
  readonly missing: readonly ("links" | "routes" | "neighbours" | "fdb")[];
};

export interface Flannel {
  /** Whether any node is in a flannel network. */
  readonly used: boolean;
  readonly config: FlannelConfig | undefined;
  readonly configMap: Ref | undefined;
  /** How a node is reached; undefined if it does not tell, or is in no flannel network. */
  peer(node: string): FlannelPeer | undefined;
  /** From a node to every other one that tells how it is reached. */
  paths(node: string): readonly FlannelPath[];
}

const PREFIX = "flannel.alpha.coreos.com/";

function configOf(objects: Objects, components: Components): { config: FlannelConfig; map: Ref } | undefined {
  for (const component of components.byId("flannel")) {
    const names = (component.spec?.volumes ?? []).map(({ configMap }) => configMap?.name);
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

function peerOf(node: NodeView, objects: Objects): FlannelPeer | undefined {
  const { object } = node;
  const annotations = object?.metadata.annotations ?? {};
  const range = node.podRanges.find(({ ip }) => ip.family === 4);
  const publicIp = annotations[`${PREFIX}public-ip`];
  if (!object || !range || publicIp === undefined || annotations[`${PREFIX}kube-subnet-manager`] !== "true")
    return undefined;
  const data = parseJson(annotations[`${PREFIX}backend-data`] ?? "null");
  const mac =
    data.ok && typeof data.value === "object" && data.value !== null
      ? (data.value as Record<string, unknown>).VtepMAC
      : undefined;
  const backend = annotations[`${PREFIX}backend-type`] ?? "";
  return {
    node,
    range,
    backend,
    publicIp,
    ...(typeof mac === "string" && { mac: mac.toLowerCase() }),
    evidence: objects.quote(
      "nodes",
      object,
      `Node ${node.name}: podCIDR ${formatPrefix(range)}, ${PREFIX}public-ip ${publicIp}, ${PREFIX}backend-data ${annotations[`${PREFIX}backend-data`]}`,
    ),
  };
}

export function flannelOf(objects: Objects, nodes: Nodes, components: Components, forwarding: Forwarding): Flannel {
  const found = configOf(objects, components);
  const peers = nodes.all.map((node) => peerOf(node, objects)).filter((peer) => peer !== undefined);
  const byName = new Map(peers.map((peer) => [peer.node.name, peer]));
  return {
    used: peers.length > 0,
    config: found?.config,
    configMap: found?.map,
    peer: (node) => byName.get(node),
    paths(name) {
      const self = byName.get(name);
      if (!self) return [];
      const plane = forwarding.of(name);
      return peers
        .filter((peer) => peer.node.name !== name && peer.backend === self.backend)
        .map((peer) => pathTo(peer, plane, found?.config));
    },
  };
}

function pathTo(peer: FlannelPeer, plane: NodePlane, config: FlannelConfig | undefined): FlannelPath {
  if (peer.backend === "host-gw") return directPath(peer, plane);
  if (peer.backend !== "vxlan")
    return { peer, state: "unknown", deviations: [], evidence: [peer.evidence], missing: [] };
  // with DirectRouting, peers on the same segment are routed to without the tunnel
  if (config?.directRouting && onSameSegment(peer, plane)) return directPath(peer, plane);
  return tunnelPath(peer, plane, `flannel.${config?.vni ?? 1}`);
}

function onSameSegment(peer: FlannelPeer, plane: NodePlane): boolean {
  const ip = parseIp(peer.publicIp);
  const lookup = ip && lookupRoute(plane, { destination: ip });
  return lookup?.end === "via" && lookup.hops.every(({ gateway }) => gateway === undefined);
}

/** Judges what leads to a peer's range: the route to it, and any more specific route that takes a part of it away. */
function judgeRoute(
  peer: FlannelPeer,
  plane: NodePlane,
  expected: string,
  isRight: (gateway: string | undefined, device: string | undefined) => boolean,
): { deviations: FlannelDeviation[]; evidence: Evidence[]; unseen: boolean } {
  const routes = known(plane.routes) ?? [];
  const inRange = routes.filter((route) => {
    const prefix = destinationOf(route);
    return (
      prefix !== undefined && covers(peer.range, prefix) && route.type !== "broadcast" && route.type !== "multicast"
    );
  });
  const right = inRange.filter(
    (route) =>
      destinationOf(route)!.length === peer.range.length &&
      route.nextHops.some(({ gateway, device }) => isRight(gateway, device)),
  );
  const wrong = inRange.filter((route) => !right.includes(route));
  if (wrong.length > 0) {
    const found = wrong.map((route) => quoteRoute(plane, route));
    return { deviations: [{ what: "route-wrong", expected, found }], evidence: [], unseen: false };
  }
  if (right.length > 0)
    return { deviations: [], evidence: right.map((route) => quoteRoute(plane, route)), unseen: false };
  if (!isWhole(plane.routes)) return { deviations: [], evidence: [], unseen: true };
  const lookup = lookupRoute(plane, {
    destination: { ...peer.range.ip, value: peer.range.ip.value } as typeof peer.range.ip,
  });
  const instead = lookup.end === "via" || lookup.end === "refused" ? [lookup.evidence] : [];
  return { deviations: [{ what: "route-missing", expected, found: instead }], evidence: [], unseen: false };
}

function directPath(peer: FlannelPeer, plane: NodePlane): FlannelPath {
  const expected = `${formatPrefix(peer.range)} via ${peer.publicIp}`;
  const { deviations, evidence, unseen } = judgeRoute(peer, plane, expected, (gateway) => gateway === peer.publicIp);
  return {
    peer,
    state: deviations.length > 0 ? "deviating" : unseen ? "unknown" : "right",
    deviations,
    evidence: [peer.evidence, ...evidence],
    missing: unseen ? ["routes"] : [],
  };
}

function tunnelPath(peer: FlannelPeer, plane: NodePlane, device: string): FlannelPath {
  const gateway = formatIp(peer.range.ip);
  const missing: ("links" | "routes" | "neighbours" | "fdb")[] = [];
  const evidence: Evidence[] = [peer.evidence];
  const deviations: FlannelDeviation[] = [];

  const link = known(plane.links)?.find(({ name }) => name === device);
  if (!link && isWhole(plane.links))
    deviations.push({ what: "device-missing", expected: `${device}: VXLAN device`, found: [] });
  if (!link && !isWhole(plane.links)) missing.push("links");

  const route = judgeRoute(
    peer,
    plane,
    `${formatPrefix(peer.range)} via ${gateway} dev ${device} onlink`,
    (via, dev) => via === gateway && dev === device,
  );
  deviations.push(...route.deviations);
  evidence.push(...route.evidence);
  if (route.unseen) missing.push("routes");

  const neighbours = (known(plane.neighbours) ?? []).filter(
    (entry) => entry.address === gateway && entry.device === device,
  );
  const neighbour = neighbours[0];
  const neighbourText = `${gateway} dev ${device} lladdr ${peer.mac} PERMANENT`;
  const quoteNeighbour = () =>
    quoteOf(
      plane.neighbours.origin,
      `${gateway} dev ${device} ${neighbour?.mac ? `lladdr ${neighbour.mac} ` : ""}${neighbour?.states.join(" ") ?? ""}`,
    );
  if (neighbour && neighbour.mac === peer.mac) evidence.push(quoteNeighbour());
  else if (neighbour) deviations.push({ what: "neighbour-wrong", expected: neighbourText, found: [quoteNeighbour()] });
  else if (isWhole(plane.neighbours))
    deviations.push({ what: "neighbour-missing", expected: neighbourText, found: [] });
  else missing.push("neighbours");

  const entries = (known(plane.fdb) ?? []).filter(
    (entry) => entry.mac === peer.mac && entry.device === device && entry.destination !== undefined,
  );
  const fdbText = `${peer.mac} dev ${device} dst ${peer.publicIp} self permanent`;
  const quoteFdb = (entry: (typeof entries)[number]) =>
    quoteOf(
      plane.fdb.origin,
      `${entry.mac} dev ${entry.device} dst ${entry.destination} ${entry.flags.join(" ")} ${entry.state}`,
    );
  const rightEntry = entries.find(({ destination }) => destination === peer.publicIp);
  if (rightEntry) evidence.push(quoteFdb(rightEntry));
  else if (entries.length > 0) deviations.push({ what: "fdb-wrong", expected: fdbText, found: entries.map(quoteFdb) });
  else if (isWhole(plane.fdb)) deviations.push({ what: "fdb-missing", expected: fdbText, found: [] });
  else missing.push("fdb");

  // without the MAC of the peer's device, only the route can be judged
  const judged =
    peer.mac === undefined
      ? deviations.filter(({ what }) => what.startsWith("route") || what === "device-missing")
      : deviations;
  const state = judged.length > 0 ? "deviating" : missing.length > 0 || peer.mac === undefined ? "unknown" : "right";
  return { peer, state, deviations: judged, evidence, missing };
}

/** Whether an address lies in the range of a peer. */
export function isInRange(peer: FlannelPeer, address: string): boolean {
  const ip = parseIp(address);
  return ip !== undefined && contains(peer.range, ip);
}
