import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { lookupRoute } from "../../model/forwarding/routing.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { clusterIpOf, type ServicePort } from "../../model/services/services.ts";
import { type Family, parseIp } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { openingPacket } from "../../trace/packet.ts";
import { WORLD, walk } from "../../trace/walk.ts";
import { defineCheck, type Finding, fault, inFamily, warning } from "../check.ts";

type Model = Pick<ClusterModel, (typeof WORLD)[number]>;

const say = texts("default-route-wrong", {
  missing: {
    en: "Node {node} has no default route: its own processes have no route to any Service, and nothing outside its networks is reached from it",
    zh: "节点 {node} 没有默认路由：节点自身的进程没有通往任何 Service 的路由，也无法访问其所在网段之外的地址",
  },
  dead: {
    en: "The gateway of node {node}, {gateway}, does not answer on {device}: nothing outside its networks is reached from it",
    zh: "节点 {node} 的网关 {gateway} 在 {device} 上没有应答：无法从该节点访问其所在网段之外的地址",
  },
  lacking: {
    en: "Node {node} has no default route, other nodes do: what it and its Pods send out of the cluster has no route",
    zh: "节点 {node} 没有默认路由，而其他节点有：该节点及其 Pod 发往集群外部的报文没有路由",
  },
  differing: {
    en: "Node {node} sends what leaves the cluster to the gateway {gateway}, the other nodes of its network to {usual}",
    zh: "节点 {node} 将出集群的报文发往网关 {gateway}，而同网段的其他节点都发往 {usual}",
  },
  add: {
    en: "Put the default route back; then see what should have set it (DHCP, netplan, NetworkManager), or it is gone with the next restart of the network",
    zh: "恢复默认路由；并检查本应设置它的程序（DHCP、netplan、NetworkManager），否则下次重启网络后又会丢失",
  },
  replace: {
    en: "Use the gateway that the other nodes use, if it is meant for this one as well; correct it where it is set (DHCP, netplan, NetworkManager)",
    zh: "如果其他节点所用的网关也适用于本节点，则改用它；并在设置之处修正（DHCP、netplan、NetworkManager）",
  },
  look: {
    en: "See what route the node should have and what sets it (DHCP, netplan, NetworkManager)",
    zh: "查看节点应有的路由以及由谁设置（DHCP、netplan、NetworkManager）",
  },
  nothing: { en: "Nothing", zh: "无" },
  preventDead: {
    en: "Test the way out from every node, and tell those who look after the gateway",
    zh: "在每个节点上监控出站连通性，并通知网关的维护者",
  },
  prevent: {
    en: "Where nodes are meant to have no gateway, give them a route for the Services' range to some device, so that the kernel lets processes open connections before kube-proxy's rules translate them",
    zh: "如果节点按设计没有网关，请为 Service 网段添加一条指向任意网卡的路由：内核先查路由，之后 kube-proxy 的规则才做转换",
  },
});

/** Addresses of nobody (RFC 5737, RFC 3849). */
const OUTSIDE = { 4: parseIp("198.51.100.1")!, 6: parseIp("2001:db8::1")! } as const;

type Gateway = { readonly gateway: string; readonly device: string; readonly evidence: Evidence };

/** The only gateway by which a node sends what leaves the cluster; undefined if there are several, or not only gateways. */
function gatewayOf(node: NodeView, family: Family, { forwarding }: Model): Gateway | undefined {
  const lookup = lookupRoute(forwarding.of(node.name), { destination: OUTSIDE[family] });
  if (lookup.end !== "via" || lookup.hops.length !== 1) return undefined;
  const [{ gateway, device } = {}] = lookup.hops;
  return gateway === undefined || device === undefined ? undefined : { gateway, device, evidence: lookup.evidence };
}

/** What all others use, if it is on a network of the node as well. */
function usualGateway(node: NodeView, family: Family, model: Model): Gateway | undefined {
  const isBeside = (address: string): boolean => {
    const destination = parseIp(address);
    const lookup = destination && lookupRoute(model.forwarding.of(node.name), { destination });
    return lookup?.end === "via" && lookup.hops.every((hop) => hop.gateway === undefined);
  };
  const others = model.nodes.all.flatMap((other) =>
    other !== node && other.sampled ? (gatewayOf(other, family, model) ?? []) : [],
  );
  const [first] = others;
  const agree = first && others.every(({ gateway }) => gateway === first.gateway);
  return agree && isBeside(first.gateway) ? first : undefined;
}

/** Services that the node's own processes have no route to, whichever: a route is looked up before any rule translates. */
function unrouted(node: NodeView, ports: readonly ServicePort[], family: Family, model: Model): Evidence | undefined {
  const port = ports[0];
  const destination = port && parseIp(clusterIpOf(port.service, family) ?? "");
  if (!destination) return undefined;
  const protocol = port.protocol === "UDP" ? "udp" : port.protocol === "SCTP" ? "sctp" : "tcp";
  const packet = openingPacket(protocol, undefined, destination, port.port);
  const { ways } = walk({ from: { node: node.name }, packet }, model);
  const lost = ways.every(({ end, certainty }) => end.is === "no-route" && certainty !== "guessed");
  return lost ? ways[0]?.end.evidence[0] : undefined;
}

function* judgeNode(node: NodeView, family: Family, ports: readonly ServicePort[], model: Model): Iterable<Finding> {
  const { name, ref } = node;
  const { routes, neighbours } = model.forwarding.of(name);
  const ofFamily = model.services.ofFamily(family);
  // what is on its own networks it reaches
  const outside = { name: "outside.reach", node: name, zone: "external" } as const;
  if (!isWhole(routes)) return;
  const lookup = lookupRoute(model.forwarding.of(name), { destination: OUTSIDE[family] });
  const usual = usualGateway(node, family, model);
  const common = { repair: ref, nodes: [name] };
  const help = usual ? { gateway: usual.gateway, device: usual.device } : {};
  if (lookup.end === "no-route") {
    const none = quoteOf(routes.origin, "no default route");
    const evidence = unrouted(node, ports, family, model);
    if (evidence)
      yield fault({
        ...common,
        breaks: [{ name: "service.rules", node: name, from: "host", ...ofFamily }, outside],
        title: inFamily(say.missing({ node: name }), ofFamily),
        evidence: [evidence, none],
        strength: "direct",
        lost: true,
        facts: { case: "missing", family, ...help },
      });
    else if (usual && family === 4) yield warning(ref, say.lacking({ node: name }), [none, usual.evidence]);
    return;
  }
  const own = gatewayOf(node, family, model);
  if (!own || family === 6) return;
  const { gateway, device } = own;
  const entry = known(neighbours)?.find((one) => one.address === gateway && one.device === device);
  if (entry?.states.includes("FAILED") && gateway !== usual?.gateway)
    yield fault({
      ...common,
      breaks: [outside],
      title: say.dead({ node: name, gateway, device }),
      evidence: [own.evidence, quoteOf(neighbours.origin, `${gateway} dev ${device} FAILED`)],
      strength: "direct",
      facts: { case: "dead", family, before: gateway, ...help },
    });
  else if (usual && gateway !== usual.gateway)
    yield warning(ref, say.differing({ node: name, gateway, usual: usual.gateway }), [own.evidence, usual.evidence]);
}

/** A node's default route is missing, or leads to a gateway that is none. */
export const defaultRouteWrong = defineCheck({
  id: "default-route-wrong",
  reads: WORLD,

  *find(model) {
    const proxied = model.services.all.filter((service) => service.proxied);
    for (const node of model.nodes.all) {
      if (!node.sampled) continue;
      for (const family of [4, 6] as const) {
        if (!node.ips[family]) continue;
        const ports = proxied
          .filter(({ families }) => families.includes(family))
          .flatMap((service) => service.ports)
          .filter((port) => model.services.expected(port, node.name, family).any);
        yield* judgeNode(node, family, ports, model);
      }
    }
  },

  remedies({ nodes, facts }) {
    const node = nodes[0]!;
    const { gateway, device, before, family } = facts as Readonly<Record<string, string | number | undefined>>;
    const ip = family === 6 ? "ip -6" : "ip";
    const verify = { run: `${ip} route show default`, node };
    const to = (via: string) => sh`via ${via} dev ${String(device)}`;
    const look = {
      why: say.look(),
      change: { run: `${ip} route; networkctl status 2>/dev/null | head`, node },
      verify,
    };
    const steps =
      typeof gateway !== "string" || device === undefined
        ? [look]
        : typeof before === "string"
          ? [
              {
                why: say.replace(),
                change: { run: `${ip} route replace default ${to(gateway)}`, node },
                undo: { run: `${ip} route replace default ${to(before)}`, node },
                verify,
              },
            ]
          : [
              {
                why: say.add(),
                change: { run: `${ip} route add default ${to(gateway)}`, node },
                undo: { run: `${ip} route del default ${to(gateway)}`, node },
                verify,
              },
            ];
    return [
      {
        id: "set-route",
        risk: "medium",
        interrupts: say.nothing(),
        steps,
        prevent: [facts.case === "dead" ? say.preventDead() : say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "A node's default route is missing or wrong", zh: "节点的默认路由缺失或错误" },
    page: {
      en: `Before a process on a node may send to a ClusterIP, the kernel looks for a route to it, and only then kube-proxy's rules (iptables, nftables) translate the address. ClusterIPs are on no device, so the default route is what the kernel finds. Without one the call fails at once, although the translated address would be reached.

**How it looks.** Programs on the node's own network (the CNI's agent, ingress controllers, kubelet's webhooks) fail with \`network is unreachable\`, Pods on the same node reach Services; neither gets out of the cluster. With a gateway that does not answer, Services work and the outside does not: \`No route to host\` after three seconds.

**How it comes about.** A lease of DHCP that ended, an interface that was brought up again by hand, a cloud image with two network cards, a wrong gateway in netplan or NetworkManager, a VPN that took the route and gave none back.

**When this is not the cause.** Nodes of closed networks have no default route on purpose; with a route for the Services' range, in IPVS mode or with Cilium in kube-proxy's place, Services work without. netwhy walks a packet of the node before it says so.`,
      zh: `节点上的进程访问 ClusterIP 时，内核先查找通往该地址的路由，之后 kube-proxy 的规则（iptables、nftables）才转换地址。ClusterIP 不在任何网卡上，内核能找到的只有默认路由。没有默认路由，调用会立即失败，尽管转换后的地址是可达的。

**现象。** 节点网络上的程序（CNI 代理、Ingress 控制器、kubelet 的 webhook 调用）报 \`network is unreachable\`，而同节点的 Pod 可以访问 Service；两者都无法访问集群外部。若网关不应答，Service 正常而外部不通：约三秒后报 \`No route to host\`。

**成因。** DHCP 租约到期、手工重启网卡、双网卡的云镜像、netplan 或 NetworkManager 中网关写错、VPN 改走路由后没有恢复。

**何时不是它。** 封闭网络中的节点可能本来就没有默认路由；若有 Service 网段的路由、使用 IPVS 模式或由 Cilium 代替 kube-proxy，Service 不受影响。netwhy 会先让节点的报文走一遍再下结论。`,
    },
  },
});
