/**
 * What Calico should have written on each node, and what is there.
 *
 * Source: Calico felix/calc/{l3_route_resolver,vxlan_resolver}.go (a route to every block of another node, by the mode of the
 * pool in which it lies; a tunnel endpoint for every node that tells its address and its tunnel's), felix/dataplane/linux/
 * vxlan_mgr.go (routes, neighbour and FDB entries on vxlan.calico), libcalico-go/lib/ipam (blocks and their affinity);
 * confd/etc/calico/confd/templates/bird.cfg.template (every node is a peer of every other; a block's next hop is its node,
 * over tunl0 with IPIP).
 */
import { known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import {
  canonicalIp,
  contains,
  covers,
  formatPrefix,
  type Ip,
  type Prefix,
  parseIp,
  parsePrefix,
} from "../../net/ip.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import type { FelixConfiguration, IpamBlock, IpPool } from "../../parse/objects.ts";
import { parseCalicoSelector } from "../../parse/selectors/calico.ts";
import type { Components } from "../components/components.ts";
import type { Forwarding } from "../forwarding/plane.ts";
import { destinationOf } from "../forwarding/route-table.ts";
import { quoteRoute } from "../forwarding/routing.ts";
import type { Nodes, NodeView } from "../nodes.ts";
import type { Objects } from "../objects.ts";
import { calicoRef, type Ref, refId } from "../ref.ts";
import {
  directPath,
  type Entries,
  entriesOf,
  judged,
  type OverlayPath,
  type OverlayPeer,
  tunnelPath,
} from "../tunnels/overlay.ts";

export type CalicoPool = {
  readonly ref: Ref;
  readonly prefix: Prefix;
  readonly object: IpPool;
  /** New Pods get addresses from it. */
  readonly serves: boolean;
  /** Whether Pods of a node get addresses from it; undefined if its selector cannot be read. */
  selects(node: NodeView): boolean | undefined;
  quote(words: string): Evidence;
};

export type CalicoBlock = {
  readonly prefix: Prefix;
  /** The node that gives out its addresses; undefined if it is nobody's. */
  readonly node: string | undefined;
  readonly object: IpamBlock;
  quote(words: string): Evidence;
};

/** What Felix is told: by the environment of its agent, by the FelixConfiguration of its node, or by that of all. */
export type FelixSetting<T> = {
  readonly value: T;
  /** The DaemonSet, or the FelixConfiguration. */
  readonly ref: Ref;
  readonly evidence: Evidence;
};

type FelixSettings = NonNullable<FelixConfiguration["spec"]>;
type FelixKey = keyof FelixSettings;

const asNumber = (text: string): number | undefined => (/^\d+$/.test(text) ? Number(text) : undefined);
/** Felix takes these words, in any case (felix/config/param_types.go). */
const asFlag = (text: string): boolean | undefined =>
  /^(true|1|yes|y|t)$/i.test(text) ? true : /^(false|0|no|n|f)$/i.test(text) ? false : undefined;

/** How an environment variable says what a FelixConfiguration says as a value. */
const READ_AS: { readonly [K in FelixKey]-?: (text: string) => FelixSettings[K] } = {
  bpfEnabled: asFlag,
  vxlanEnabled: asFlag,
  vxlanPort: asNumber,
  vxlanVNI: asNumber,
  programClusterRoutes: (text) => text,
  interfacePrefix: (text) => text,
  defaultEndpointToHostAction: (text) => text,
};

export interface Calico {
  /** Whether it connects the Pods, or is meant to. */
  readonly used: boolean;
  readonly pools: readonly CalicoPool[];
  /** Whether these are all: the kind is served, and its list was had whole. */
  readonly poolsWhole: boolean;
  readonly blocks: readonly CalicoBlock[];
  /** Whether packets between nodes go through its VXLAN. */
  readonly tunnels: boolean;
  /** `calico_backend` of its ConfigMap: bird (BGP), vxlan or none; undefined if that is not known. */
  readonly backend: string | undefined;
  /** The pool in which an address lies; of a disabled one nobody gives out any more. */
  poolOf(ip: Ip): CalicoPool | undefined;
  blockOf(ip: Ip): CalicoBlock | undefined;
  /** undefined: not said, or said by an environment variable whose value is somewhere else. */
  setting<K extends FelixKey>(node: string, key: K): FelixSetting<NonNullable<FelixSettings[K]>> | undefined;
  /** To which UDP port a node's tunnel sends, and on which it listens. */
  tunnelPort(node: string): number;
  /** The address under which a node tells the others that it is reached. */
  announced(node: NodeView): CalicoAddress | undefined;
  /**
   * Of a pool, what swallows answers to nodes: their tunnels' addresses lie in a block of another node, for want of one of their
   * own. That node has a blackhole route for the block, and Felix writes routes out of it to borrowed addresses of Pods only.
   */
  borrowedTunnels(pool: CalicoPool): readonly Evidence[];
  /**
   * From a node to every block of another one: what Felix writes, or BIRD where the nodes were seen to tell each other of a
   * pool's blocks. (What routers outside tell nodes, or routes by such, is not expected.)
   */
  paths(node: string): readonly OverlayPath[];
}

export const CALICO_TUNNEL = "vxlan.calico";
const PORT = 4789;
const ANNOTATION = "projectcalico.org/";
/** The daemon that tells nodes of each other's blocks by BGP, and how its routes say so: by name, or where iproute2 has none. */
const BIRD = "bird";
const isByBird = ({ protocol }: Route): boolean => protocol === BIRD || protocol === "12";

export type CalicoAddress = { readonly address: string; readonly segment: Prefix };

/** `192.168.50.11/24`, as calico-node found it out when it started. */
function addressOf({ object }: NodeView): CalicoAddress | undefined {
  const text = object?.metadata.annotations?.[`${ANNOTATION}IPv4Address`] ?? "";
  const address = canonicalIp(text.split("/")[0] ?? "");
  const segment = parsePrefix(text);
  return address === undefined || !segment ? undefined : { address, segment };
}

type Parts = {
  readonly objects: Objects;
  readonly nodes: Nodes;
  readonly components: Components;
  readonly forwarding: Forwarding;
};

export function calicoOf({ objects, nodes, components, forwarding }: Parts): Calico {
  const agents = components.byId("calico-node");
  const pools = objects.all("ippools").flatMap((object): CalicoPool[] => {
    const prefix = parsePrefix(object.spec.cidr);
    if (!prefix) return [];
    const { disabled, allowedUses, nodeSelector } = object.spec;
    const selector = parseCalicoSelector(nodeSelector ?? "");
    return [
      {
        ref: calicoRef("IPPool", object.metadata.name),
        prefix,
        object,
        serves: !disabled && (!allowedUses?.length || allowedUses.includes("Workload")),
        selects: ({ labels }) => selector?.(labels),
        quote: (words) => objects.quote("ippools", object, words),
      },
    ];
  });
  const blocks = objects.all("ipamblocks").flatMap((object): CalicoBlock[] => {
    const prefix = parsePrefix(object.spec.cidr);
    if (!prefix || object.spec.deleted) return [];
    const node = /^host:(.+)$/.exec(object.spec.affinity ?? "")?.[1];
    return [{ prefix, node, object, quote: (words) => objects.quote("ipamblocks", object, words) }];
  });
  const poolOf = (ip: Ip) => pools.find(({ prefix }) => contains(prefix, ip));
  const configMaps = objects.all("configmaps");

  /** The environment that the agent of a node was started with; of one that is not there, that it would be. */
  function environmentOf(node: string, variable: string) {
    for (const agent of agents) {
      const pod = agent.pods.find((one) => one.node === node);
      const spec = pod?.object.spec ?? agent.spec;
      const found = spec?.containers.flatMap(({ env }) => env ?? []).find(({ name }) => name === variable);
      if (!found) continue;
      const from = found.valueFrom?.configMapKeyRef;
      const map = configMaps.find(
        ({ metadata }) => metadata.name === from?.name && metadata.namespace === agent.ref.namespace,
      );
      const text = found.value ?? map?.data?.[from?.key ?? ""];
      const words = `${variable}=${text}`;
      const evidence = pod
        ? objects.quote("pods", pod.object, `${pod.key}: ${words}`)
        : agent.workload && objects.quote("daemonsets", agent.workload, `${refId(agent.ref)}: ${words}`);
      return { text, ref: agent.ref, evidence };
    }
    return undefined;
  }

  const setting: Calico["setting"] = (node, key) => {
    const told = environmentOf(node, `FELIX_${key.toUpperCase()}`);
    if (told) {
      const value = told.text === undefined ? undefined : READ_AS[key](told.text);
      return value === undefined || !told.evidence
        ? undefined
        : { value: value as never, ref: told.ref, evidence: told.evidence };
    }
    for (const name of [`node.${node}`, "default"]) {
      const object = objects.all("felixconfigurations").find(({ metadata }) => metadata.name === name);
      const value = object?.spec?.[key];
      if (!object || value === null || value === undefined) continue;
      const evidence = objects.quote("felixconfigurations", object, `FelixConfiguration ${name}: ${key}: ${value}`);
      return { value, ref: calicoRef("FelixConfiguration", name), evidence };
    }
    return undefined;
  };

  const owned = Map.groupBy(blocks, ({ node }) => node);
  const lengths = new Set(blocks.map(({ prefix }) => prefix.length));
  const ownerOf = new Map(blocks.map(({ prefix, node }) => [formatPrefix(prefix), node]));

  /** Pools of which some node has learned another's block from that node. */
  function learnedByBird(): ReadonlySet<CalicoPool> {
    const learned = nodes.all.flatMap(({ name }) =>
      (known(forwarding.of(name).routes) ?? []).flatMap((route) => {
        const prefix = isByBird(route) ? destinationOf(route) : undefined;
        const owner = prefix && ownerOf.get(formatPrefix(prefix));
        const told = owner === undefined || owner === name ? undefined : nodes.get(owner);
        const address = told && addressOf(told)?.address;
        const isFromOwner = address !== undefined && route.nextHops.some(({ gateway }) => gateway === address);
        return prefix && isFromOwner ? (poolOf(prefix.ip) ?? []) : [];
      }),
    );
    return new Set(learned);
  }
  let meshed: ReadonlySet<CalicoPool> | undefined;

  const tunnelAddressOf = ({ object }: NodeView) => object?.metadata.annotations?.[`${ANNOTATION}IPv4VXLANTunnelAddr`];

  function borrowersOf({ prefix, node: owner, quote }: CalicoBlock): readonly Evidence[] {
    if (owner === undefined) return [];
    const plane = forwarding.of(owner);
    const routes = known(plane.routes) ?? [];
    const swallowing = routes.find((route) => route.type === "blackhole" && route.destination === formatPrefix(prefix));
    const borrowers = nodes.all.flatMap((node) => {
      const address = tunnelAddressOf(node) ?? "";
      const ip = parseIp(address);
      const isLed = routes.some(({ destination }) => destination === `${address}/32`);
      return node.name === owner || !ip || !contains(prefix, ip) || isLed ? [] : [`${node.name} ${address}`];
    });
    return swallowing && borrowers.length > 0
      ? [
          quoteRoute(plane, swallowing),
          quote(`${formatPrefix(prefix)} is of ${owner}; tunnel addresses in it: ${borrowers.join(", ")}`),
        ]
      : [];
  }

  function peersOf(node: NodeView): OverlayPeer[] {
    const address = addressOf(node);
    const gateway = tunnelAddressOf(node);
    const mac = known(forwarding.of(node.name).links)?.find(({ name }) => name === CALICO_TUNNEL)?.mac;
    return (owned.get(node.name) ?? []).flatMap((block): OverlayPeer[] => {
      const pool = poolOf(block.prefix.ip);
      if (!address || !pool || block.prefix.ip.family !== 4) return [];
      if (!isTunnelled(pool)) {
        meshed ??= learnedByBird();
        if (!meshed.has(pool)) return [];
        const told = `${formatPrefix(block.prefix)} is of ${node.name}, which announces ${address.address}`;
        const evidence = block.quote(told);
        return [
          {
            node,
            family: 4,
            range: block.prefix,
            backend: BIRD,
            publicIp: address.address,
            gateway: address.address,
            evidence,
          },
        ];
      }
      const words = `${formatPrefix(block.prefix)} is of ${node.name}, which announces ${address.address} and the tunnel address ${gateway ?? "(none)"}`;
      return [
        {
          node,
          family: 4,
          range: block.prefix,
          backend: pool.object.spec.vxlanMode ?? "",
          publicIp: address.address,
          gateway: gateway ?? "",
          ...(mac !== undefined && { mac }),
          evidence: block.quote(words),
        },
      ];
    });
  }

  function pathTo(peer: OverlayPeer, self: NodeView, entries: Entries): OverlayPath | undefined {
    const peerIp = parseIp(peer.publicIp);
    const segment = addressOf(self)?.segment;
    if (peer.backend === BIRD) {
      // by which router a node of another segment is reached is none of Calico's business, unless it tunnels
      const isBeside = peerIp !== undefined && segment !== undefined && contains(segment, peerIp);
      return isBeside || isByIpip(poolOf(peer.range.ip)) ? directPath(peer, entries) : undefined;
    }
    if (!segment || !peerIp || peer.gateway === "") return judged(peer, [], [], [], true);
    if (peer.backend === "CrossSubnet" && contains(segment, peerIp)) return directPath(peer, entries);
    return tunnelPath(peer, entries, CALICO_TUNNEL);
  }

  return {
    used: agents.length > 0,
    pools,
    poolsWhole: objects.isWhole("ippools"),
    blocks,
    tunnels: agents.length > 0 && blocks.some(({ prefix }) => isTunnelled(poolOf(prefix.ip))),
    backend: configMaps.find(({ metadata }) =>
      agents.some((agent) => isConfigOf(agent, metadata.name, metadata.namespace)),
    )?.data?.calico_backend,
    poolOf,
    blockOf: (ip) => blocks.find(({ prefix }) => contains(prefix, ip)),
    setting,
    tunnelPort: (node) => setting(node, "vxlanPort")?.value ?? PORT,
    announced: addressOf,
    borrowedTunnels: ({ prefix }) => blocks.filter((block) => covers(prefix, block.prefix)).flatMap(borrowersOf),
    paths(name) {
      const self = nodes.get(name);
      if (!self || agents.length === 0) return [];
      const entries = withoutBorrowed(entriesOf(forwarding.of(name), CALICO_TUNNEL, lengths, 4));
      return nodes.all
        .filter((node) => node.name !== name)
        .flatMap(peersOf)
        .flatMap((peer) => pathTo(peer, self, entries) ?? []);
    },
  };
}

const isByIpip = (pool: CalicoPool | undefined): boolean =>
  ["Always", "CrossSubnet"].includes(pool?.object.spec.ipipMode ?? "");
const isTunnelled = (pool: CalicoPool | undefined): boolean =>
  ["Always", "CrossSubnet"].includes(pool?.object.spec.vxlanMode ?? "");

const isConfigOf = (
  { definition, ref: agent }: ReturnType<Components["byId"]>[number],
  name: string,
  at?: string | null,
) => name === definition.marker?.configMap && at === agent.namespace;

/** A node may give Pods single addresses out of another's block: routes to those are Calico's own. */
function withoutBorrowed(entries: Entries): Entries {
  const isBorrowed = (route: Route) =>
    destinationOf(route)?.length === 32 &&
    (isByBird(route) || route.nextHops.some(({ device }) => device === CALICO_TUNNEL || device?.startsWith("cali")));
  return {
    ...entries,
    routes: new Map([...entries.routes].map(([range, routes]) => [range, routes.filter((one) => !isBorrowed(one))])),
  };
}
