import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { timeOf } from "../../model/time.ts";
import type { OverlayDeviation, OverlayPath } from "../../model/tunnels/overlay.ts";
import { type Family, formatIp, formatPrefix, nthAddress } from "../../net/ip.ts";
import { sh, shellWord } from "../../shell.ts";
import { joinTexts, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "nodes" | "services" | "flannel" | "calico" | "kindnet" | "components" | "logs" | "forwarding" | "time"
>;

const say = texts("pod-network-entry-mismatch", {
  device: {
    en: "Node {node} has no overlay device {device}: its Pods do not reach those of other nodes",
    zh: "节点 {node} 缺少 Overlay 设备 {device}：其 Pod 与其他节点的 Pod 互不可达",
  },
  deviceDown: {
    en: "The overlay device {device} of node {node} is down: its Pods do not reach those of other nodes",
    zh: "节点 {node} 的 Overlay 设备 {device} 未启用：其 Pod 与其他节点的 Pod 互不可达",
  },
  missing: {
    en: "Node {node} has no {what} to the Pods of {peer} ({range})",
    zh: "节点 {node} 缺少通往 {peer} 上 Pod（{range}）的{what}",
  },
  wrong: {
    en: "Node {node} sends packets for the Pods of {peer} ({range}) elsewhere: wrong {what}",
    zh: "节点 {node} 发往 {peer} 上 Pod（{range}）的报文走错了路径：{what}错误",
  },
  route: { en: "route", zh: "路由" },
  neighbour: { en: "neighbour entry", zh: "邻居表项" },
  fdb: { en: "FDB entry", zh: "FDB 表项" },
  joining: { en: "nodes were joining the cluster", zh: "有节点正在加入集群" },
  notTold: {
    en: "what {peer} publishes does not tell netwhy how it is reached (backend {backend})",
    zh: "netwhy 无法根据 {peer} 发布的信息推算如何到达它（后端 {backend}）",
  },
  removeRoute: {
    en: "Remove the route, where it comes from as well (VPN client, script, DHCP)",
    zh: "删除该路由，并从其来源（VPN 客户端、脚本、DHCP）中一并去掉",
  },
  restart: {
    en: "Restart the agent on {node}: at its start it writes every entry anew",
    zh: "重启 {node} 上的组件：它启动时会重新写入全部表项",
  },
  nothing: { en: "Nothing: no packet of the Pods goes where it leads", zh: "无：没有 Pod 流量应走该路由" },
  interrupts: { en: "Nothing: existing entries stay while it restarts", zh: "无中断：重启期间已有表项保持不变" },
  prevent: {
    en: "Keep NetworkManager, systemd-networkd and scripts away from the overlay's devices and routes: flannel does not put back VXLAN routes that others remove",
    zh: "避免 NetworkManager、systemd-networkd 或脚本改动 Overlay 设备和路由：被他人删除的 VXLAN 路由，flannel 不会自行恢复",
  },
  preventStill: {
    en: "Alert when the agent of a node is not ready or complains: while it works, it puts back what is removed",
    zh: "对节点组件未就绪或报错告警：组件正常时会补回被删除的表项",
  },
});

/** What flanneld says once it has learned the nodes and written its entries (main.go, vxlan_network.go). */
const STARTED = /Node controller sync successful|Running backend|watching for new subnet leases/;

/**
 * Whether the agent of a node was seen at work after the peer had told how it is reached, so that what lacks now was
 * there once.
 */
function wasWritten(agents: readonly Component[], node: string, { peer }: OverlayPath, { logs }: Model): boolean {
  const agent = agents.flatMap(({ pods }) => pods).find((pod) => pod.node === node);
  const peerAgent = agents.flatMap(({ pods }) => pods).find((pod) => pod.node === peer.node.name);
  if (!agent?.ready) return false;
  const started = logs
    .said(agent, STARTED)
    .map(({ entry }) => timeOf(entry.last.at))
    .filter((at) => at !== undefined);
  const told = [peer.node.object?.metadata.creationTimestamp, peerAgent?.object.status?.startTime].map(timeOf);
  return started.length > 0 && told.every((at) => at === undefined || at < Math.max(...started));
}

/** Nodes tell of each other, and entries are written, one after the other. */
const SETTLING = 60_000;

const PLACE = { device: "links", route: "routes", neighbour: "neighbours", fdb: "fdb" } as const;
const NAMES = { device: say.fdb, route: say.route, neighbour: say.neighbour, fdb: say.fdb } as const;

const placeOf = (what: OverlayDeviation["what"]) => what.split("-")[0] as keyof typeof PLACE;

/** What is there in place of what should be, or where it is missing. */
function evidenceOf(
  node: string,
  { what, expected, found }: OverlayDeviation,
  { forwarding }: Model,
): readonly Evidence[] {
  const { origin } = forwarding.of(node)[PLACE[placeOf(what)]];
  if (what === "device-missing") return [quoteOf(origin, `no device ${expected.split(":")[0]}`)];
  // what packets meet in its place shows that the route itself is not there
  if (what === "route-missing") return [quoteOf(origin, `no route to ${expected.split(" ")[0]}`), ...found];
  return found.length > 0 ? found : [quoteOf(origin, `no ${expected}`)];
}

/** Routes of others that take a part of a node's range away: no agent removes them. */
function foreignRoutes({ peer, deviations }: OverlayPath): string[] {
  return deviations
    .filter(({ what }) => what === "route-wrong")
    .flatMap(({ found }) => found.map(({ quote }) => quote))
    .filter((route) => !route.split(" ").includes(formatPrefix(peer.range)));
}

const isOfDevice = ({ what }: OverlayDeviation): boolean => placeOf(what) === "device";

function titleOf(node: string, { peer, deviations }: OverlayPath) {
  const device = deviations.find(isOfDevice);
  if (device) {
    const args = { node, device: device.expected.split(":")[0]! };
    return device.what === "device-down" ? say.deviceDown(args) : say.device(args);
  }
  const wrong = deviations.filter(({ what }) => what.endsWith("wrong"));
  const words = (wrong.length > 0 ? wrong : deviations).map(({ what }) => NAMES[placeOf(what)]());
  const args = { node, peer: peer.node.name, range: formatPrefix(peer.range) };
  const what = joinTexts(words, { en: ", ", zh: "、" });
  return wrong.length > 0 ? say.wrong({ ...args, what }) : say.missing({ ...args, what });
}

type OnNode = {
  readonly agents: readonly Component[];
  readonly paths: readonly OverlayPath[];
  /** They look after their entries, and put back what others take away: Felix, and kindnet. */
  readonly tends: boolean;
};

function entriesOn(node: string, family: Family, { calico, flannel, kindnet, components }: Model): OnNode {
  if (family === 4 && calico.used)
    return { agents: components.byId("calico-node"), paths: calico.paths(node), tends: true };
  const agent = kindnet.agentOn(node);
  if (agent && !flannel.used) return { agents: [agent], paths: kindnet.paths(node, family), tends: true };
  return { agents: components.byId("flannel"), paths: flannel.paths(node, family), tends: false };
}

function* judgeNode({ name, ref, object }: NodeView, family: Family, model: Model): Iterable<Finding> {
  const whole = { name: "pod-network.entries", node: name, ...model.services.ofFamily(family) } as const;
  const proof = model.flannel.allRight(name, family);
  if (proof) {
    yield works(whole, proof);
    return;
  }
  const { agents, paths, tends } = entriesOn(name, family, model);
  const isJoining = (node: NodeView["object"]) =>
    (model.time.age(node?.metadata.creationTimestamp) ?? SETTLING) < SETTLING;
  const [deviating, joining] = [false, true].map((young) =>
    paths.filter(
      ({ state, peer }) => state === "deviating" && (isJoining(object) || isJoining(peer.node.object)) === young,
    ),
  ) as [OverlayPath[], OverlayPath[]];
  for (const { peer } of joining) yield cannotTell({ ...whole, peer: peer.node.name }, [], say.joining());
  const unseen = paths.filter(({ state }) => state === "unknown");
  if (unseen.length > 0) {
    const kinds = [...new Set(unseen.flatMap(({ missing }) => missing))];
    const { peer } = unseen[0]!;
    yield cannotTell(
      whole,
      kinds.map((kind) => ({ kind, place: { node: name } })),
      kinds.length === 0 ? say.notTold({ peer: peer.node.name, backend: peer.backend || "?" }) : undefined,
    );
  }
  const right = paths.filter(({ state }) => state === "right");
  // one statement for a node that is all right: there are as many paths as pairs of nodes
  if (right.length === paths.length && right[0]) yield works(whole, right[0].evidence());
  else for (const { peer, evidence } of right) yield works({ ...whole, peer: peer.node.name }, evidence());

  const hasNoDevice = deviating.filter(({ deviations }) => deviations.some(isOfDevice));
  for (const path of hasNoDevice.length > 0 ? hasNoDevice.slice(0, 1) : deviating) {
    const { peer, deviations, evidence } = path;
    yield fault({
      repair: ref,
      related: [...agents.map((agent) => agent.ref), peer.node.ref],
      nodes: [name],
      breaks: [hasNoDevice.length > 0 ? whole : { ...whole, peer: peer.node.name }],
      title: titleOf(name, path),
      evidence: [...deviations.flatMap((deviation) => evidenceOf(name, deviation, model)), ...evidence().slice(0, 1)],
      strength: "differing",
      lost: !tends && wasWritten(agents, name, path, model),
      facts: {
        target: formatIp(nthAddress(peer.range, 1)!),
        gateway: peer.gateway,
        ...(tends && { case: "tended" }),
        foreign: foreignRoutes(path),
      },
    });
  }
}

/** A node's route, neighbour or FDB entry for another node's Pods is missing or wrong. */
export const podNetworkEntryMismatch = defineCheck({
  id: "pod-network-entry-mismatch",
  reads: ["nodes", "services", "flannel", "calico", "kindnet", "components", "logs", "forwarding", "time"],

  *find(model) {
    for (const node of model.nodes.all)
      if (node.sampled) for (const family of [4, 6] as const) yield* judgeNode(node, family, model);
  },

  remedies({ nodes, related, facts }) {
    const agent = related.find(({ kind }) => kind === "DaemonSet");
    const [node] = nodes as [string];
    const { target, gateway } = facts as Record<string, string>;
    const foreign = facts.foreign as readonly string[];
    const verify = { run: sh`ip route get ${target!}; ip neigh show ${gateway!}; bridge fdb show`, node };
    if (foreign.length > 0) {
      const steps = foreign.map((route) => {
        const words = route.split(" ").map(shellWord).join(" ");
        return {
          why: say.removeRoute(),
          change: { run: `ip route del ${words}`, node },
          undo: { run: `ip route add ${words}`, node },
          verify,
        };
      });
      return [{ id: "rewrite-entries", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
    }
    const rewrite = {
      why: say.restart({ node }),
      change: agent
        ? ({ do: "restart", component: agent, node } as const)
        : { run: "systemctl restart k3s-agent || systemctl restart k3s", node },
      verify,
    };
    const prevent = [facts.case === "tended" ? say.preventStill() : say.prevent()];
    return [{ id: "rewrite-entries", risk: "low", interrupts: say.interrupts(), steps: [rewrite], prevent }];
  },

  manual: {
    title: {
      en: "A node's way to another node's Pods is missing or wrong",
      zh: "节点通往其他节点 Pod 的表项缺失或错误",
    },
    page: {
      en: `For every other node, an overlay keeps three things in the kernel: a route to its Pod range, a neighbour entry with the MAC of its tunnel device, and an FDB entry that says to which node frames for that MAC go (with host-gw only the route). netwhy derives them from what the nodes announce and compares.

**How it looks.** Pods of one node do not reach Pods of another, one way or both; everything within a node and to other nodes works. ClusterIPs fail sometimes: when the chosen back end is on the far side.

**How to read it.** All three missing: the agent never learned of the node. Only the route missing: somebody removed it, and flannel does not put VXLAN routes back. Wrong MAC or destination: the other node changed and this one missed it.

**When this is not the cause.** If the entries are right on both ends and packets still get lost, look at forwarding, packet filters and the network between the nodes.`,
      zh: `对每个其他节点，Overlay 在内核中维护三样东西：到其 Pod 网段的路由、带有其隧道设备 MAC 的邻居表项、说明该 MAC 的帧应发往哪个节点的 FDB 表项（host-gw 只有路由）。netwhy 根据各节点发布的信息推算应有的表项并与实际比较。

**现象。** 某节点的 Pod 访问不了另一节点的 Pod（单向或双向），节点内部以及与其他节点之间正常。访问 ClusterIP 时好时坏：选中的后端在另一侧时失败。

**如何解读。** 三样都缺：组件从未获知该节点。只缺路由：被他人删除，flannel 不会补回 VXLAN 路由。MAC 或目的地址错误：对端变更而本节点没有跟上。

**何时不是它。** 若两端表项都正确而报文仍丢失，应检查转发、包过滤以及节点之间的网络。`,
    },
  },
});
