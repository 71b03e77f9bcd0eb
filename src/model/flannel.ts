/**
 * What flannel should have written on each node, and what is there.
 *
 * Source: flannel pkg/subnet/kube/{kube,annotations}.go (the annotations by which nodes tell each other how they are
 * reached), pkg/backend/vxlan/{vxlan,vxlan_network,device}.go (a route, a neighbour and an FDB entry for every other node),
 * pkg/backend/hostgw/hostgw.go (a route). The annotations are the input, so k3s' embedded flannel is understood as well.
 */
import type { Capture } from "../evidence/capture.ts";
import { isWhole, known, type Observed } from "../evidence/observed.ts";
import type { Evidence } from "../evidence/origin.ts";
import { canonicalIp, type Family, formatIp, formatPrefix, type Prefix, parsePrefix, prefixOf } from "../net/ip.ts";
import type { FdbEntry } from "../parse/iproute2/bridge-fdb.ts";
import type { Neighbour } from "../parse/iproute2/neigh.ts";
import type { Route } from "../parse/iproute2/route.ts";
import { parseJson } from "../parse/parsed.ts";
import type { SubnetEnv } from "../parse/subnet-env.ts";
import type { Components } from "./components/components.ts";
import type { Forwarding, NodePlane } from "./forwarding/plane.ts";
import { destinationOf } from "./forwarding/route-table.ts";
import { quoteRoute } from "./forwarding/routing.ts";
import type { Nodes, NodeView } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import type { Ref } from "./ref.ts";
import {
  directPath,
  type Entries,
  entriesOf,
  judged,
  type OverlayPath,
  type OverlayPeer,
  onSameSegment,
  tunnelPath,
} from "./tunnels/overlay.ts";

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

export interface Flannel {
  /** Whether any node is in a flannel network. */
  readonly used: boolean;
  readonly config: FlannelConfig | undefined;
  readonly configMap: Ref | undefined;
  /** How a node is reached, without a family in the first that it has; undefined if it does not tell, or is in no flannel network. */
  peer(node: string, family?: Family): OverlayPeer | undefined;
  /** What flannel of a node tells its CNI plugin: its networks, and whether it masquerades what leaves them (--ip-masq). */
  subnetEnv(node: string): Observed<SubnetEnv>;
  /** From a node to every other one that tells how it is reached, in one family or in each in which both do. */
  paths(node: string, family?: Family): readonly OverlayPath[];
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

function peerOf(node: NodeView, family: Family, objects: Objects): OverlayPeer | undefined {
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
    gateway: formatIp(range.ip),
    ...(typeof mac === "string" && { mac: mac.toLowerCase() }),
    evidence: objects.quote(
      "nodes",
      object,
      `Node ${node.name}: podCIDR ${formatPrefix(range)}, ${names.publicIp} ${publicIp}, ${names.data} ${annotations[names.data]}`,
    ),
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
    const device = tunnelDevice(found?.config.vni ?? 1, family);
    return {
      family,
      peers,
      byName: new Map(peers.map((peer) => [peer.node.name, peer])),
      rangeLengths: new Set(peers.map(({ range }) => range.length)),
      device,
      whereabouts: found?.config.directRouting ? undefined : whereaboutsOf(peers, device),
    };
  });
  return {
    allRight(name, family) {
      const { byName, device, whereabouts, peers } = networks.find((one) => one.family === family)!;
      const self = byName.get(name);
      if (!self || !whereabouts || peers.length < 2) return undefined;
      const plane = forwarding.of(name);
      if (!hasAll(plane, device, whereabouts, self)) return undefined;
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

/** What leads to each peer of a VXLAN, by the peer's place in the list. */
type Whereabouts = {
  readonly peers: readonly OverlayPeer[];
  readonly places: ReadonlyMap<OverlayPeer, number>;
  readonly routes: Leads<Route>;
  readonly neighbours: Leads<Neighbour>;
  readonly fdb: Leads<FdbEntry>;
};

/** Entries of one kind. */
type Leads<T> = {
  /** Of each peer an entry that was right: a capture keeps equal ones of several nodes once, so most are just these. */
  readonly right: (T | undefined)[];
  /** Of each peer whose entry came next on the node before; last the first one. Kernels have an order of their own. */
  readonly following: Int32Array;
  /** To whom an entry on the node of peer `own` leads: a place; the same below zero (`~`) if wrongly; undefined: to none. */
  readonly judge: (entry: T, own: number) => number | undefined;
};

/** @returns undefined if not all of them are in one VXLAN, each with a range and a MAC of its own */
function whereaboutsOf(peers: readonly OverlayPeer[], device: string): Whereabouts | undefined {
  if (!peers.every(({ backend, mac }) => backend === "vxlan" && mac !== undefined)) return undefined;
  const indexed = (keys: readonly string[]) => new Map(keys.map((key, index) => [key, index]));
  const gateways = peers.map(({ range }) => formatIp(range.ip));
  const byRange = indexed(peers.map(({ range }) => formatPrefix(range)));
  const byGateway = indexed(gateways);
  const byMac = indexed(peers.map(({ mac }) => mac!));
  if (byRange.size < peers.length || byMac.size < peers.length) return undefined;
  const lengths = [...new Set(peers.map(({ range }) => range.length))];
  const leads = <T>(judge: Leads<T>["judge"]): Leads<T> => ({
    right: new Array<undefined>(peers.length + 1).fill(undefined),
    following: new Int32Array(peers.length + 1),
    judge,
  });
  const placed = (index: number | undefined, isRight: (index: number) => boolean) =>
    index === undefined || isRight(index) ? index : ~index;
  return {
    peers,
    places: new Map(peers.map((peer, index) => [peer, index])),
    routes: leads((route, own) => {
      const { type, destination, nextHops } = route;
      const [hop, ...others] = nextHops;
      const index = byRange.get(destination) ?? placeWithin(route, byRange, lengths, own);
      return placed(
        index,
        (at) =>
          byRange.has(destination) &&
          type === "unicast" &&
          others.length === 0 &&
          hop?.device === device &&
          hop.gateway === gateways[at],
      );
    }),
    neighbours: leads((neighbour) =>
      neighbour.device === device
        ? placed(byGateway.get(neighbour.address), (at) => neighbour.mac === peers[at]!.mac)
        : undefined,
    ),
    fdb: leads(({ device: name, mac, destination }) =>
      name === device && destination !== undefined
        ? placed(byMac.get(mac), (at) => destination === peers[at]!.publicIp)
        : undefined,
    ),
  };
}

/** Whether a node has exactly the entries that lead to all others: each kind of them is gone through once. */
function hasAll(plane: NodePlane, device: string, whereabouts: Whereabouts, self: OverlayPeer): boolean {
  const { links, routes, neighbours, fdb } = plane;
  if (!isWhole(links) || !isWhole(routes) || !isWhole(neighbours) || !isWhole(fdb)) return false;
  if (!links.value.find(({ name }) => name === device)?.flags.includes("UP")) return false;
  const own = whereabouts.places.get(self)!;
  return (
    leadToAll(routes.value, whereabouts.routes, own) &&
    leadToAll(neighbours.value, whereabouts.neighbours, own) &&
    leadToAll(fdb.value, whereabouts.fdb, own)
  );
}

/**
 * Whether of these entries one leads to each peer but `own`, and none leads there wrongly. There are as many as pairs of
 * nodes: one is judged only if it is not what the node before had there, its own entry aside.
 */
function leadToAll<T>(entries: readonly T[], { right, following, judge }: Leads<T>, own: number): boolean {
  const peers = right.length - 1;
  const seen = new Uint8Array(peers);
  let left = peers - 1;
  let last = peers;
  for (const entry of entries) {
    let place = following[last]!;
    if (right[place] !== entry) place = following[place]!;
    if (right[place] !== entry) {
      const led = judge(entry, own);
      if (led === undefined) continue;
      place = led < 0 ? ~led : led;
      if (led >= 0) right[place] = entry;
      else if (place !== own) return false;
      following[last] = place;
    }
    last = place;
    if (place === own) continue;
    if (seen[place] === 1) return false;
    seen[place] = 1;
    left--;
  }
  return left === 0;
}

/** The first other peer of whose range a route takes a part away. */
function placeWithin(
  route: Route,
  byRange: ReadonlyMap<string, number>,
  lengths: readonly number[],
  own: number,
): number | undefined {
  const prefix = destinationOf(route);
  if (!prefix || route.type === "broadcast" || route.type === "multicast") return undefined;
  return lengths
    .map((length) => (prefix.length < length ? undefined : byRange.get(formatPrefix(prefixOf(prefix.ip, length)))))
    .find((index) => index !== undefined && index !== own);
}

function pathTo(peer: OverlayPeer, entries: Entries, device: string, config: FlannelConfig | undefined): OverlayPath {
  if (peer.backend === "host-gw") return directPath(peer, entries);
  if (peer.backend !== "vxlan") return judged(peer, [], [], [], true);
  // with DirectRouting, peers on the same segment are routed to without the tunnel
  if (config?.directRouting && onSameSegment(peer, entries.plane)) return directPath(peer, entries);
  return tunnelPath(peer, entries, device);
}
