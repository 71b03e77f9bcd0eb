import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { destinationOf } from "../../model/forwarding/route-table.ts";
import { formatRoute, lookupRoute } from "../../model/forwarding/routing.ts";
import type { ClusterModel } from "../../model/model.ts";
import { pair } from "../../model/needs.ts";
import type { NodeView } from "../../model/nodes.ts";
import { contains, covers, type Family, formatPrefix, type Prefix } from "../../net/ip.ts";
import type { Link } from "../../parse/ip-addr.ts";
import { shellWord } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "forwarding">;

const say = texts("node-route-captured", {
  bridge: {
    en: "Node {node} takes {count:node|nodes} {peers} for hosts on its bridge {device} ({range}): what it sends them does not leave by {uplink}",
    zh: "节点 {node} 把节点 {peers} 当作其网桥 {device}（{range}）上的主机：发给它们的报文没有从 {uplink} 发出",
  },
  tunnel: {
    en: "Node {node} sends packets for {count:node|nodes} {peers} into {device} ({range}) and not out of {uplink}",
    zh: "节点 {node} 把发往节点 {peers} 的报文送进了 {device}（{range}），而不是从 {uplink} 发出",
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

/** @param inside the nodes in a range: many nodes have the same */
function* capturedBy(
  node: NodeView,
  family: Family,
  inside: (range: Prefix) => readonly NodeView[],
  { forwarding }: Model,
): Iterable<Captured> {
  const plane = forwarding.of(node.name);
  const links = known(plane.links) ?? [];
  const uplink = uplinkOf(node, links);
  if (!uplink) return;
  for (const route of known(plane.routes) ?? []) {
    const range = destinationOf(route);
    const link = links.find(({ name }) => name === route.nextHops[0]?.device);
    if (range?.ip.family !== family || range.length === 0 || route.type !== "unicast" || !link) continue;
    if (link === uplink || !ELSEWHERE.has(link.kind ?? "") || OF_NODES.test(link.name)) continue;
    // a Pod bridge, or one on which the node's own network device is
    if (node.podRanges.some((own) => covers(own, range)) || uplink.master === link.name) continue;
    const taken = (one: NodeView): boolean => {
      const ip = one.ips[family];
      const lookup = ip && lookupRoute(plane, { destination: ip });
      return lookup?.end === "via" && lookup.hops.every(({ device }) => device === link.name);
    };
    const peers = inside(range).filter((one) => one !== node && taken(one));
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

const NAMED = 3;

/** A bridge or a VPN on a node takes what it sends to other nodes. */
export const nodeRouteCaptured = defineCheck({
  id: "node-route-captured",
  reads: ["nodes", "forwarding"],

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
    for (const { node, captured } of all) {
      const { link, uplink, range, peers, route, evidence } = captured;
      // where most nodes do so, it is the way that is meant
      if (all.filter((one) => one.captured.link.name === link.name).length * 2 > nodes.all.length) continue;
      const names = peers.map(({ name }) => name);
      const args = {
        ...{ node: node.name, device: link.name, uplink, range: formatPrefix(range), count: names.length },
        peers: names.length > NAMED ? `${names.slice(0, NAMED).join(", ")} …` : names.join(", "),
      };
      yield fault({
        repair: node.ref,
        related: peers.map(({ ref }) => ref),
        nodes: [node.name],
        breaks: names.flatMap((peer) => [
          { name: "node.reach", ...pair(node.name, peer) } as const,
          { name: "underlay.carry", ...pair(node.name, peer) } as const,
        ]),
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

**When this is not the cause.** Networks that overlap while no node has an address in the part that is taken do no harm, and are not named. Routes to Pods of other nodes that others take away have a page of their own (pod-network-entry-mismatch). Meshes of nodes (WireGuard of Calico, Cilium and flannel, KubeSpan, Tailscale) are meant so.`,
      zh: `节点上存在一条路由，其网段包含其他节点的地址，却不从节点自身的网卡发出：Docker、Podman 或 libvirt 创建的网桥使用了节点网络中的一段，或 VPN 客户端接收了这样的路由。

**现象。** 该节点访问不到某些节点，ping 也不通，因此 Pod 之间经隧道的报文也无法到达；不在该网段内的节点正常。若 API Server 所在节点在其中，该节点会变为 NotReady。

**成因。** Docker 的默认网段（172.17.0.0/16 起、192.168.0.0/20 起）与机房网络重叠；VPN 下发了整个 10.0.0.0/8 或 192.168.0.0/16 的路由。前缀更长或 metric 更小的路由优先于节点自身的路由。

**何时不是它。** 网段重叠但没有节点的地址落在被截走的部分，则无害，不会列出。通往其他节点 Pod 的路由被截走另有页面（pod-network-entry-mismatch）。节点间的加密网络（Calico、Cilium、flannel 的 WireGuard，KubeSpan，Tailscale）是有意为之。`,
    },
  },
});
