import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { destinationOf } from "../../model/forwarding/route-table.ts";
import { formatRoute, lookupRoute } from "../../model/forwarding/routing.ts";
import { linkNamed } from "../../model/forwarding/tables.ts";
import type { ClusterModel } from "../../model/model.ts";
import { pair } from "../../model/needs/need.ts";
import type { NodeView } from "../../model/nodes.ts";
import { clusterIpOf } from "../../model/services/services.ts";
import { contains, covers, type Family, formatPrefix, type Ip, type Prefix, parseIp } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import { shellWord } from "../../shell.ts";
import { fewOf, texts } from "../../text.ts";
import { defineCheck, type Finding, fault, warning } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "forwarding" | "services">;

const say = texts("node-route-captured", {
  bridge: {
    en: "Node {node} takes {count:node|nodes} {peers} for hosts on its bridge {device} ({range}): what it sends them does not leave by {uplink}",
    zh: "节点 {node} 把节点 {peers} 当作其网桥 {device}（{range}）上的主机：发给它们的报文没有从 {uplink} 发出",
  },
  tunnel: {
    en: "Node {node} sends packets for {count:node|nodes} {peers} into {device} ({range}) and not out of {uplink}",
    zh: "节点 {node} 把发往节点 {peers} 的报文送进了 {device}（{range}），而不是从 {uplink} 发出",
  },
  refused: {
    en: "A route of node {node} throws away what it sends to {count:node|nodes} {peers}: {route}",
    zh: "节点 {node} 上有一条路由丢弃发往节点 {peers} 的报文：{route}",
  },
  services: {
    en: "On node {node} {count} {count:Service has its|Services have their} address in the network of {device} ({range}): what no rule translates goes there, and the node's own calls leave with an address of {device}",
    zh: "节点 {node} 上有 {count} 个 Service 的地址落在 {device} 的网段（{range}）内：未经规则转换的报文会被送到那里，节点自身的访问会以 {device} 的地址发出",
  },
  move: {
    en: "Give the bridge a network that nothing else uses (Docker: `bip` and `default-address-pools` in /etc/docker/daemon.json), and restart what made it",
    zh: "为该网桥改用没有其他用途的网段（Docker：/etc/docker/daemon.json 中的 `bip` 和 `default-address-pools`），并重启创建它的程序",
  },
  remove: {
    en: "Remove the route, where it comes from as well: what the VPN's server pushes, a script, DHCP",
    zh: "删除该路由，并从其来源一并去掉：VPN 服务端下发的配置、脚本或 DHCP",
  },
  nothing: {
    en: "What really uses that network through the device",
    zh: "确实经由该网卡访问该网段的流量",
  },
  prevent: {
    en: "Plan the networks of nodes, Pods, Services, Docker and VPNs together; keep VPN clients off nodes, or have them take no routes (`route-nopull`, `AllowedIPs`)",
    zh: "统一规划节点、Pod、Service、Docker 和 VPN 的网段；节点上不要运行 VPN 客户端，或让其不接受下发的路由（`route-nopull`、`AllowedIPs`）",
  },
});

/** What no network of nodes is on: bridges of containers and virtual machines, and ends of VPNs. */
const ELSEWHERE: ReadonlySet<string> = new Set(["bridge", "tun", "tap", "ppp", "wireguard", "dummy", "gre", "sit"]);

/** These carry packets between nodes on purpose: agents encrypt so, and meshes of nodes. */
const OF_NODES = /^(?:wireguard\.cali|wg-v6\.cali|cilium_|flannel|kubespan|tailscale|nebula|zt)/;

type Captured = {
  readonly link: Link;
  readonly uplink: string;
  readonly range: Prefix;
  readonly route: string;
  readonly peers: readonly NodeView[];
  readonly evidence: readonly Evidence[];
};

/** The device with the address by which the others know the node. */
const uplinkOf = ({ addresses }: NodeView, links: readonly Link[]): Link | undefined =>
  links.find((link) => link.addresses.some(({ local }) => addresses.includes(local)));

type Stray = { readonly route: Route; readonly range: Prefix; readonly link: Link };

/** The node's routes of a family that lead neither to the nodes' network nor to Pods. */
function straysOf(node: NodeView, family: Family, uplink: Link, { forwarding }: Model): Stray[] {
  const { links, routes } = forwarding.of(node.name);
  return (known(routes) ?? []).flatMap((route): Stray[] => {
    const range = destinationOf(route);
    const link = linkNamed(links, route.nextHops[0]?.device);
    if (range?.ip.family !== family || range.length === 0 || route.type !== "unicast" || !link) return [];
    if (link === uplink || !ELSEWHERE.has(link.kind ?? "") || OF_NODES.test(link.name)) return [];
    // a Pod bridge, or one on which the node's own network device is
    if (node.podRanges.some((own) => covers(own, range)) || uplink.master === link.name) return [];
    return [{ route, range, link }];
  });
}

/** Whether what a node sends to an address surely goes out of a device. */
function leadsInto({ name }: Link, destination: Ip, plane: NodePlane): boolean {
  const lookup = lookupRoute(plane, { destination });
  return lookup.end === "via" && lookup.hops.every(({ device }) => device === name);
}

/** @param inside the nodes in a range: many nodes have the same */
function* capturedBy(
  node: NodeView,
  family: Family,
  inside: (range: Prefix) => readonly NodeView[],
  model: Model,
): Iterable<Captured> {
  const plane = model.forwarding.of(node.name);
  const uplink = uplinkOf(node, known(plane.links) ?? []);
  if (!uplink) return;
  for (const { route, range, link } of straysOf(node, family, uplink, model)) {
    const peers = inside(range).filter((one) => {
      const ip = one.ips[family];
      return one !== node && ip !== undefined && leadsInto(link, ip, plane);
    });
    if (peers.length === 0) continue;
    const words = formatRoute(route);
    const held = uplink.addresses.map(({ local, prefixLength }) => `${local}/${prefixLength}`).join(" ");
    yield {
      ...{ link, uplink: uplink.name, range, route: words, peers },
      evidence: [
        quoteOf(plane.routes.origin, words),
        quoteOf(plane.links.origin, `${link.name}: ${link.kind}; ${uplink.name}: ${held}`),
      ],
    };
  }
}

/** Bits: what is shorter stands for a default route (0.0.0.0/1 of a VPN that takes all). */
const OF_A_NETWORK = 8;

/** Bridges and VPNs in whose networks Services have their addresses: kube-proxy's rules come first, and spare most of the harm. */
function* servicesTaken(node: NodeView, family: Family, model: Model): Iterable<Finding> {
  const plane = model.forwarding.of(node.name);
  const uplink = uplinkOf(node, known(plane.links) ?? []);
  if (!uplink) return;
  for (const { route, range, link } of straysOf(node, family, uplink, model)) {
    if (link.kind === "dummy" || range.length < OF_A_NETWORK) continue;
    const taken = model.services.all.filter((service) => {
      const ip = service.proxied ? parseIp(clusterIpOf(service, family) ?? "") : undefined;
      return ip !== undefined && contains(range, ip) && leadsInto(link, ip, plane);
    });
    if (taken.length === 0) continue;
    const args = { node: node.name, count: taken.length, device: link.name, range: formatPrefix(range) };
    const evidence = quoteOf(plane.routes.origin, formatRoute(route));
    yield warning(
      node.ref,
      say.services(args),
      [evidence],
      taken.map(({ ref }) => ref),
    );
  }
}

/** Other nodes that a node's routes refuse to send to: blackhole, unreachable, prohibit. */
function* refusedBy(node: NodeView, { nodes, forwarding }: Model): Iterable<Finding> {
  const plane = forwarding.of(node.name);
  const types = new Set((known(plane.routes) ?? []).map(({ type }) => type));
  if (!["blackhole", "unreachable", "prohibit"].some((type) => types.has(type))) return;
  const refused = nodes.all.flatMap((peer) =>
    Object.values(peer.ips).flatMap((destination) => {
      const lookup = peer !== node && destination ? lookupRoute(plane, { destination }) : undefined;
      return lookup?.end === "refused" ? [{ peer, lookup, route: formatRoute(lookup.route) }] : [];
    }),
  );
  for (const [route, group] of Map.groupBy(refused, (one) => one.route)) {
    const names = group.map(({ peer }) => peer.name);
    yield fault({
      repair: node.ref,
      related: group.map(({ peer }) => peer.ref),
      nodes: [node.name],
      breaks: reaching(node.name, names),
      title: say.refused({ node: node.name, count: names.length, peers: fewOf(names, NAMED), route }),
      evidence: group.slice(0, 1).map(({ lookup }) => lookup.evidence),
      strength: "direct",
      facts: { kind: "", route },
    });
  }
}

/** What a node lacks that does not get to others. */
const reaching = (node: string, peers: readonly string[]): Capability[] =>
  peers.flatMap((peer) => [
    { name: "node.reach", ...pair(node, peer) } as const,
    { name: "underlay.carry", ...pair(node, peer) } as const,
  ]);

const NAMED = 3;

/** A bridge or a VPN on a node takes what it sends to other nodes. */
export const nodeRouteCaptured = defineCheck({
  id: "node-route-captured",
  reads: ["nodes", "forwarding", "services"],

  *find(model): Iterable<Finding> {
    const { nodes } = model;
    const memo = new Map<string, readonly NodeView[]>();
    const inside = (range: Prefix) => {
      const key = formatPrefix(range);
      const found =
        memo.get(key) ?? nodes.all.filter(({ ips }) => Object.values(ips).some((ip) => ip && contains(range, ip)));
      memo.set(key, found);
      return found;
    };
    const all = nodes.all.flatMap((node) =>
      ([4, 6] as const).flatMap((family) =>
        node.sampled ? [...capturedBy(node, family, inside, model)].map((captured) => ({ node, captured })) : [],
      ),
    );
    for (const node of nodes.all)
      if (node.sampled) {
        yield* refusedBy(node, model);
        for (const family of [4, 6] as const) yield* servicesTaken(node, family, model);
      }
    for (const { node, captured } of all) {
      const { link, uplink, range, peers, route, evidence } = captured;
      // where most nodes do so, it is the way that is meant
      if (all.filter((one) => one.captured.link.name === link.name).length * 2 > nodes.all.length) continue;
      const names = peers.map(({ name }) => name);
      const args = {
        ...{ node: node.name, device: link.name, uplink, range: formatPrefix(range), count: names.length },
        peers: fewOf(names, NAMED),
      };
      yield fault({
        repair: node.ref,
        related: peers.map(({ ref }) => ref),
        nodes: [node.name],
        breaks: reaching(node.name, names),
        title: link.kind === "bridge" ? say.bridge(args) : say.tunnel(args),
        evidence,
        strength: "direct",
        facts: { kind: link.kind ?? "", route },
      });
    }
  },

  remedies({ repair, related, facts }) {
    const node = repair.name;
    const words = String(facts.route).split(" ").map(shellWord).join(" ");
    const [peer] = related;
    const verify = {
      run: `ip route get "$(getent ahostsv4 ${shellWord(peer?.name ?? "")} | awk 'NR == 1 { print $1 }')"`,
      node,
    };
    const remove = {
      why: say.remove(),
      change: { run: `ip route del ${words}`, node },
      undo: { run: `ip route add ${words}`, node },
      verify,
    };
    const move = { why: say.move(), verify };
    const steps = facts.kind === "bridge" ? [move] : [remove];
    return [{ id: "free-network", risk: "medium", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "A bridge or a VPN on a node takes what it sends to other nodes",
      zh: "节点上的网桥或 VPN 截走了发往其他节点的报文",
    },
    page: {
      en: `A node has a route to a network in which other nodes have their addresses, and it does not lead out of the node's own network device: Docker, Podman or libvirt made a bridge whose network is a part of the nodes' network, or a VPN client was told to take it.

**How it looks.** One node does not reach some others, by ping neither, and so nothing that Pods send each other through tunnels arrives; nodes outside the captured range are well. If the API server's node is in it, the node becomes NotReady.

**How it comes about.** Docker's default networks (172.17.0.0/16 and on, 192.168.0.0/20 and on) overlap the data centre's. A VPN pushes routes for the whole of 10.0.0.0/8 or 192.168.0.0/16; a longer prefix, or a smaller metric, wins over the node's own route.

**When this is not the cause.** Networks that overlap while no node has an address in the part that is taken do no harm, and are not named. Routes to Pods of other nodes that others take away have a page of their own (pod-network-entry-mismatch). Meshes of nodes (WireGuard of Calico, Cilium and flannel, KubeSpan, Tailscale) are meant so. A network in which Services have their addresses is only warned of: rules translate those before any route is asked, but for what the node sends itself, whose own address is chosen by that route.`,
      zh: `节点上存在一条路由，其网段包含其他节点的地址，却不从节点自身的网卡发出：Docker、Podman 或 libvirt 创建的网桥使用了节点网络中的一段，或 VPN 客户端接收了这样的路由。

**现象。** 该节点访问不到某些节点，ping 也不通，因此 Pod 之间经隧道的报文也无法到达；不在该网段内的节点正常。若 API Server 所在节点在其中，该节点会变为 NotReady。

**成因。** Docker 的默认网段（172.17.0.0/16 起、192.168.0.0/20 起）与机房网络重叠；VPN 下发了整个 10.0.0.0/8 或 192.168.0.0/16 的路由。前缀更长或 metric 更小的路由优先于节点自身的路由。

**何时不是它。** 网段重叠但没有节点的地址落在被截走的部分，则无害，不会列出。通往其他节点 Pod 的路由被截走另有页面（pod-network-entry-mismatch）。节点间的加密网络（Calico、Cilium、flannel 的 WireGuard，KubeSpan，Tailscale）是有意为之。Service 的地址落在其中的网段仅作警告：规则在查路由之前就会转换这些地址，只有节点自身发出的报文会按该路由选择源地址。`,
    },
  },
});
