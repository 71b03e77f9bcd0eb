import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { destinationOf } from "../../model/forwarding/route-table.ts";
import { formatRoute, lookupRoute } from "../../model/forwarding/routing.ts";
import { linkNamed, linkNumbered } from "../../model/forwarding/tables.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { ipOf, type PodView } from "../../model/pods.ts";
import { contains, type Family, type Ip } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import { sh, shellWord } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "pods" | "forwarding" | "podNamespaces">;

const say = texts("pod-route-captured", {
  elsewhere: {
    en: "Node {node} sends packets for {count} {count:Pod|Pods} of its own to {device} ({route}), and not to {bridge}, behind which {count:it is|they are}",
    zh: "节点 {node} 把发往本节点 {count} 个 Pod 的报文送到了 {device}（{route}），而这些 Pod 位于网桥 {bridge} 之后",
  },
  itself: {
    en: "Node {node} takes the address of {count} {count:Pod|Pods} of its own for its own ({route})",
    zh: "节点 {node} 把本节点 {count} 个 Pod 的地址当作自己的地址（{route}）",
  },
  refused: {
    en: "Node {node} has a route that throws away packets for {count} {count:Pod|Pods} of its own: {route}",
    zh: "节点 {node} 上有一条路由丢弃发往本节点 {count} 个 Pod 的报文：{route}",
  },
  move: {
    en: "Give the bridge a network that nothing else uses (Docker: `bip` and `default-address-pools` in /etc/docker/daemon.json), and restart what made it",
    zh: "为该网桥改用没有其他用途的网段（Docker：/etc/docker/daemon.json 中的 `bip` 和 `default-address-pools`），并重启创建它的程序",
  },
  remove: {
    en: "Remove it, and where it comes from as well: a VPN's server, a script, a network manager",
    zh: "将其删除，并从其来源一并去掉：VPN 服务端、脚本或网络管理程序",
  },
  nothing: { en: "What really uses that network through the device", zh: "确实经由该网卡访问该网段的流量" },
  prevent: {
    en: "Plan the networks of nodes, Pods, Services, Docker and VPNs together",
    zh: "统一规划节点、Pod、Service、Docker 和 VPN 的网段",
  },
});

/** A running Pod, and the bridge whose port the other end of its device is. */
type Bridged = { readonly pod: PodView; readonly port: Link; readonly bridge: Link };

function bridgedOn(node: NodeView, { pods, forwarding, podNamespaces }: Model): Bridged[] {
  const { links } = forwarding.of(node.name);
  return pods.onNode(node.name).flatMap((pod): Bridged[] => {
    if (pod.hostNetwork || pod.finished || pod.terminating) return [];
    const own = known(podNamespaces.of(pod).links)?.find(
      ({ addresses, peerIndex }) =>
        peerIndex !== undefined && addresses.some(({ local }) => pod.addresses.includes(local)),
    );
    const port = linkNumbered(links, own?.peerIndex);
    const bridge = linkNamed(links, port?.master);
    return port && bridge?.kind === "bridge" ? [{ pod, port, bridge }] : [];
  });
}

type Captured = Bridged & {
  readonly how: "elsewhere" | "itself" | "refused";
  readonly route: string;
  readonly device: string;
  readonly evidence: Evidence;
};

/** Whether a route leads to the bridge at all: without one nothing else has taken it. */
function isRouted(destination: Ip, { port, bridge }: Bridged, { routes }: NodePlane): boolean {
  return (known(routes) ?? []).some((route) => {
    const range = destinationOf(route);
    const leads = route.nextHops.some(({ device }) => device === bridge.name || device === port.name);
    return leads && route.type === "unicast" && range !== undefined && contains(range, destination);
  });
}

function capturedOf(bridged: Bridged, family: Family, node: NodeView, model: Model): Captured[] {
  const { pod, port, bridge } = bridged;
  const destination = ipOf(pod, family);
  const plane = model.forwarding.of(node.name);
  if (!destination || !isRouted(destination, bridged, plane)) return [];
  const found = lookupRoute(plane, { destination });
  if (found.end === "no-route" || found.end === "unknown") return [];
  const [device = ""] = found.route.nextHops.map((hop) => hop.device ?? "");
  const one = { pod, port, bridge, device, route: formatRoute(found.route), evidence: found.evidence };
  if (found.end === "local") return [{ ...one, how: "itself" }];
  if (found.end === "refused") return [{ ...one, how: "refused" }];
  const isRight = found.hops.some((hop) => hop.device === bridge.name || hop.device === port.name);
  return isRight ? [] : [{ ...one, how: "elsewhere" }];
}

/** What a node sends to Pods of its own goes elsewhere than to the bridge behind which they are. */
export const podRouteCaptured = defineCheck({
  id: "pod-route-captured",
  reads: ["nodes", "pods", "forwarding", "podNamespaces"],

  *find(model): Iterable<Finding> {
    for (const node of model.nodes.all) {
      if (!node.sampled) continue;
      const all = bridgedOn(node, model);
      const { links } = model.forwarding.of(node.name);
      for (const family of model.pods.familiesOn(node)) {
        const captured = all.flatMap((one) => capturedOf(one, family, node, model));
        for (const group of Map.groupBy(captured, ({ route }) => route).values()) {
          const { how, device, bridge, port, pod, route, evidence } = group[0]!;
          const kind = linkNamed(links, device)?.kind ?? "";
          yield fault({
            repair: node.ref,
            related: group.map((one) => one.pod.ref),
            nodes: [node.name],
            breaks:
              group.length === all.length
                ? [{ name: "pod.attach", node: node.name }]
                : group.map((one) => ({ name: "pod.attach", node: node.name, pod: one.pod.key })),
            title: say[how]({ node: node.name, count: group.length, device, route, bridge: bridge.name }),
            evidence: [
              evidence,
              quoteOf(links.origin, `${pod.key} (${pod.addresses.join(", ")}): ${port.name} master ${bridge.name}`),
            ],
            strength: "direct",
            // no agent makes such routes
            lost: true,
            facts: { case: kind === "bridge" && how === "elsewhere" ? "bridge" : "route", route, family },
          });
        }
      }
    }
  },

  remedies({ repair, related, facts }, { pods }) {
    const node = repair.name;
    const words = String(facts.route).split(" ").map(shellWord).join(" ");
    const ip = facts.family === 6 ? "ip -6" : "ip";
    const [first] = related;
    const address = pods.get(first?.namespace ?? "", first?.name ?? "")?.addresses[0] ?? "";
    const verify = { run: sh`ip route get ${address}`, node };
    const step =
      facts.case === "bridge"
        ? { why: say.move(), verify }
        : {
            why: say.remove(),
            change: { run: `${ip} route del ${words}`, node },
            undo: { run: `${ip} route add ${words}`, node },
            verify,
          };
    return [{ id: "free-network", risk: "medium", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A node's routes lead past its own Pods", zh: "节点的路由绕开了本节点的 Pod" },
    page: {
      en: `A Pod's network device ends at a bridge of its node, and the node's route to the Pod's address does not lead to that bridge: another bridge or a VPN has the same network, somebody added a route, or the node holds the address itself.

**How it looks.** Pods of the node reach each other through the bridge. Everything else fails: the kubelet's probes, so that Pods become unready, and all that comes from or goes to other nodes and the outside, as answers take the wrong way.

**How it comes about.** Docker, Podman or libvirt made a bridge whose network overlaps the Pod network; a VPN was given a route that is longer than the Pods'; a second installation of a CNI left its bridge (cni0 beside docker0, kube-bridge, weave).

**When this is not the cause.** A network that overlaps without being the nearest route to any Pod takes nothing. Routes to Pods of other nodes have a page of their own (pod-network-entry-mismatch).`,
      zh: `Pod 的网卡另一端接在节点的某个网桥上，而节点上通往该 Pod 地址的路由并不指向该网桥：另一个网桥或 VPN 使用了相同网段，有人添加了路由，或节点自身占用了该地址。

**现象。** 同节点 Pod 之间经网桥仍能互通，其余全部失败：kubelet 探针失败使 Pod 变为未就绪，与其他节点及集群外的往来因应答走错路而不通。

**成因。** Docker、Podman 或 libvirt 创建的网桥与 Pod 网段重叠；VPN 下发了比 Pod 路由前缀更长的路由；先后安装过另一个 CNI 而残留其网桥（cni0 之外还有 docker0、kube-bridge、weave）。

**何时不是它。** 网段重叠但不是任何 Pod 的最优路由，则不受影响。通往其他节点 Pod 的路由另有页面（pod-network-entry-mismatch）。`,
    },
  },
});
