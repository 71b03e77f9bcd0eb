import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { NodePortPlace } from "../../model/proxy.ts";
import { kubectlName, refId } from "../../model/ref.ts";
import { contains, type Family, isOfFamily, parseIp, parsePrefix } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";
import { rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "nodes" | "services" | "proxy" | "forwarding" | "components">;

const say = texts("node-port-addresses-wrong", {
  nowhere: {
    en: "{config} has kube-proxy serve NodePorts at {ranges} only (nodePortAddresses), and no node has an address there: {count} {count:Service is|Services are} not reached at {count:its|their} NodePorts",
    zh: "{config} 让 kube-proxy 只在 {ranges} 上提供 NodePort（nodePortAddresses），但没有节点拥有该范围内的地址：{count} 个 Service 无法经由 NodePort 访问",
  },
  correct: {
    en: "Name the range of the nodes' addresses there, or nothing: then NodePorts are served at all of them",
    zh: "将其改为节点地址所在的网段，或留空：留空时在节点的所有地址上提供 NodePort",
  },
  restart: {
    en: "Restart kube-proxy: it reads its configuration when it starts",
    zh: "重启 kube-proxy：它只在启动时读取配置",
  },
  interrupts: { en: "Nothing: rules stay until they are written anew", zh: "无：规则在重新写入之前保持不变" },
  prevent: {
    en: "After nodes got other addresses, compare nodePortAddresses with them; kube-proxy only logs that it found none",
    zh: "节点更换地址后，核对 nodePortAddresses；kube-proxy 找不到匹配的地址时只会写日志",
  },
});

const holds = ({ ranges }: NodePortPlace, address: string): boolean => {
  const ip = parseIp(address);
  return ip !== undefined && ranges.some((text) => contains(parsePrefix(text) ?? { ip, length: 0 }, ip));
};

/** Nodes of one kube-proxy that serve node ports nowhere; none if any node has an address for them, on purpose maybe. */
function* judgeFamily(family: Family, { nodes, services, proxy, forwarding, components }: Model): Iterable<Finding> {
  const exposed = services.all.filter(
    ({ proxied, families, ports }) =>
      proxied && families.includes(family) && ports.some(({ nodePort }) => nodePort !== undefined),
  );
  if (exposed.length === 0) return;
  const told = nodes.all.flatMap((node): { node: NodeView; place: NodePortPlace }[] => {
    const isSeen = node.sampled && known(forwarding.of(node.name).localAddresses) !== undefined;
    const place = isSeen && node.ips[family] ? proxy.nodePorts(node.name, family) : undefined;
    return place ? [{ node, place }] : [];
  });
  for (const group of Map.groupBy(told, ({ place }) => refId(place.config)).values()) {
    const [{ place }] = group as [(typeof group)[number], ...typeof group];
    const isServed =
      group.some((one) => one.place.address) ||
      nodes.all.some(({ addresses }) => addresses.some((address) => holds(place, address)));
    if (isServed) continue;
    yield fault({
      repair: place.config,
      related: components.byId("kube-proxy").map(({ ref }) => ref),
      nodes: group.map(({ node }) => node.name),
      breaks: group.map(
        ({ node }) =>
          ({ name: "service.rules", node: node.name, from: "outside", ...services.ofFamily(family) }) as const,
      ),
      title: say.nowhere({ config: refId(place.config), ranges: place.ranges.join(", "), count: exposed.length }),
      evidence: [
        place.evidence,
        ...group.slice(0, 2).map(({ node }) => {
          const { localAddresses } = forwarding.of(node.name);
          const own = [...(known(localAddresses) ?? [])].filter((address) => isOfFamily(address, family));
          return quoteOf(localAddresses.origin, `${node.name}: ${own.join(" ")}`);
        }),
      ],
      strength: "direct",
    });
  }
}

/** kube-proxy is told to serve node ports at addresses that no node has. */
export const nodePortAddressesWrong = defineCheck({
  id: "node-port-addresses-wrong",
  reads: ["nodes", "services", "proxy", "forwarding", "components"],

  *find(model) {
    for (const family of [4, 6] as const) yield* judgeFamily(family, model);
  },

  remedies({ repair, related: [proxy] }) {
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const correct = {
      why: say.correct(),
      change: edit,
      undo: edit,
      verify: { run: `kubectl get ${kubectlName(repair)} -o yaml | grep nodePortAddresses` },
    };
    const restart = proxy && {
      why: say.restart(),
      change: { do: "restart", component: proxy } as const,
      verify: rolledOut(proxy),
    };
    return [
      {
        id: "correct-ranges",
        risk: "low",
        interrupts: say.interrupts(),
        steps: [correct, ...(restart ? [restart] : [])],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "NodePorts are served at no node's address", zh: "NodePort 没有在任何节点地址上提供" },
    page: {
      en: `With nodePortAddresses kube-proxy is told the ranges of those of a node's addresses at which it serves NodePorts. A node that has no address there serves none.

**How it looks.** Every NodePort is refused at once on every node, the same Services work by their ClusterIP; load balancers that send to NodePorts find no healthy target. The rules of Services are all there, and nothing leads to KUBE-NODEPORTS.

**How it comes about.** The ConfigMap of another cluster, nodes that were given other addresses, a range for IPv4 where Services are of IPv6. kube-proxy logs that it found no address and goes on.

**When this is not the cause.** Nodes without an address in the range while others have one are mostly meant so: only those others serve NodePorts. Where nodePortAddresses is empty, firewalls and traffic policies are next.`,
      zh: `nodePortAddresses 告诉 kube-proxy 在节点的哪些地址上提供 NodePort。没有该范围内地址的节点不提供 NodePort。

**现象。** 所有节点上的 NodePort 都被立即拒绝，而同一 Service 经由 ClusterIP 正常；转发到 NodePort 的负载均衡器找不到健康的后端。Service 规则齐全，但没有规则通向 KUBE-NODEPORTS。

**成因。** 使用了其他集群的 ConfigMap、节点更换了地址，或 Service 为 IPv6 而只配置了 IPv4 网段。kube-proxy 找不到地址时只写日志，然后继续运行。

**何时不是它。** 如果部分节点有该范围内的地址、部分没有，多半是有意为之：只有前者提供 NodePort。若 nodePortAddresses 为空，应检查防火墙和流量策略。`,
    },
  },
});
