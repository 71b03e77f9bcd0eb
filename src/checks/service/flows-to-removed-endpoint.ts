import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { type StaleFlow, staleFlows } from "../../model/services/stale-flows.ts";
import { formatSocket } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault, presumed } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "objects" | "nodes" | "pods" | "services" | "proxy" | "forwarding" | "components" | "time"
>;

const say = texts("flows-to-removed-endpoint", {
  gone: {
    en: "Node {node} sends packets of {client} for Service {service} on to {to}, which is no back end of it any more: its connection tracking remembers it",
    zh: "节点 {node} 把 {client} 发往 Service {service} 的报文仍转发到 {to}，而它已不是该 Service 的后端：连接跟踪表中残留旧条目",
  },
  untranslated: {
    en: "Node {node} sends packets of {client} for Service {service} nowhere: its connection tracking remembers the flow from before there were rules for it",
    zh: "节点 {node} 未转换 {client} 发往 Service {service} 的报文：连接跟踪表中残留规则写入之前的条目",
  },
  unknownSince: {
    en: "nothing tells when the back ends of a Service changed last",
    zh: "没有证据说明 Service 的后端最近一次变更的时间",
  },
  remove: {
    en: "Remove the entries: the next packet of each client is given a back end by the rules",
    zh: "删除这些条目：客户端的下一个报文会由规则重新选择后端",
  },
  nothing: { en: "Nothing: what the entries lead to does not answer", zh: "无：这些条目所指的地址并不应答" },
  prevent: {
    en: "Run kube-proxy 1.32 or newer, which removes every entry that leads to no back end; let UDP clients open a new socket when answers stay away",
    zh: "使用 1.32 及以上版本的 kube-proxy（会清除所有不再指向后端的条目）；让 UDP 客户端在收不到应答时重新打开套接字",
  },
});

const NAMED = 3;

function* judgeNode({ name, ref, sampled }: NodeView, model: Model): Iterable<Finding> {
  const { objects, forwarding, services, pods, proxy, time, components } = model;
  // IPVS chooses anew by a table of its own; who works without kube-proxy leaves netfilter out
  const mode = sampled ? proxy.mode(name) : undefined;
  if (mode === undefined || mode === "ipvs") return;
  const plane = forwarding.of(name);
  const flows = staleFlows(plane, services, time);
  if (!flows) {
    const isSeen = plane.conntrack.state === "present" && plane.conntrack.gaps.length === 0;
    const capability = { name: "service.flows", node: name } as const;
    yield isSeen
      ? presumed(capability, [], say.unknownSince())
      : presumed(capability, [{ kind: "conntrack", place: { node: name } }]);
    return;
  }
  for (const [port, mine] of Map.groupBy(flows, (flow) => flow.port)) {
    const senders = [...new Set(mine.map(({ client }) => client))];
    const clients = senders.map((address) => pods.byAddress(address));
    const [first] = mine as [StaleFlow];
    const args = {
      node: name,
      client: senders.slice(0, NAMED).map((address, index) => clients[index]?.key ?? address),
      service: port.key,
    };
    const backends = services.endpoints(port).map(({ address, port: number }) => formatSocket(address, number));
    yield fault({
      repair: ref,
      related: [
        port.service.ref,
        ...clients.flatMap((pod) => (pod ? [pod.ref] : [])),
        ...components.withDuty("service-proxy").map((one) => one.ref),
      ],
      nodes: [name],
      breaks: senders.map((_, index) => {
        const pod = clients[index];
        return { name: "service.flows", node: name, service: port.key, ...(pod && { pod: pod.key }) } as const;
      }),
      title: first.sentTo === first.asked ? say.untranslated(args) : say.gone({ ...args, to: first.sentTo }),
      evidence: [
        ...mine.slice(0, NAMED).map(({ evidence }) => evidence),
        ...services
          .slices(port.service)
          .slice(0, 1)
          .map((slice) =>
            objects.quote(
              "endpointslices",
              slice,
              `Service ${port.key}: back ends ${backends.slice(0, NAMED).join(", ")}, as they were before the last packet`,
            ),
          ),
      ],
      strength: "differing",
      // the rules are as they should be: it is what they were that goes on
      lost: true,
      facts: {
        asked: first.asked,
        port: first.askedPort,
        sentTo: [...new Set(mine.map(({ sentTo }) => sentTo))],
      },
    });
  }
}

/** A node's connection tracking sends a client's flow of UDP where no back end of the Service is any more. */
export const flowsToRemovedEndpoint = defineCheck({
  id: "flows-to-removed-endpoint",
  reads: ["objects", "nodes", "pods", "services", "proxy", "forwarding", "components", "time"],

  *find(model) {
    for (const node of model.nodes.all) yield* judgeNode(node, model);
  },

  remedies({ repair, facts }) {
    const node = repair.name;
    const asked = String(facts.asked);
    const number = String(facts.port);
    const steps = (facts.sentTo as readonly string[]).map((sentTo) => ({
      why: say.remove(),
      change: {
        run: sh`conntrack -D -p udp --orig-dst ${asked} --orig-port-dst ${number} --reply-src ${sentTo}`,
        node,
      },
      verify: { run: sh`conntrack -L -p udp --orig-dst ${asked} --orig-port-dst ${number}`, node },
    }));
    return [{ id: "remove-entries", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "Flows of UDP go on to a back end that is gone",
      zh: "UDP 流量仍发往已不存在的后端",
    },
    page: {
      en: `Rules for Services look at the first packet of a flow only; the connection tracking translates all others as it did the first. UDP has no end: while a client sends from the same source port, its entry lives on, also after the back end has gone, and also if the first packet came before there were rules and was not translated at all.

**How it looks.** One client of a Service over UDP fails for good, others on the same node do not: CoreDNS that forwards to a Service, a syslog sender, SIP, statsd. A test from the same Pod succeeds, because it has a new source port. A restart of the client heals it.

**How it comes about.** A back end was replaced while the client went on sending. kube-proxy removes such entries when it sees a back end leave; it does not after a restart (before 1.32), or if it could not run \`conntrack\`.

**When this is not the cause.** Entries whose last packet is older than the change are leftovers that nobody uses; netwhy does not count them. TCP ends by itself: a dead back end's connections time out, and new ones are given another.`,
      zh: `Service 规则只处理流的首个报文，其后的报文由连接跟踪按首个报文的方式转换。UDP 没有结束标志：只要客户端一直用同一源端口发送，条目就一直存在，即使后端已不在；若首个报文早于规则写入、根本没有转换，也是如此。

**现象。** Service 的某个 UDP 客户端持续失败，同节点的其他客户端正常：向 Service 转发的 CoreDNS、syslog 发送端、SIP、statsd。在同一 Pod 中测试却能成功，因为测试用了新的源端口。重启客户端即恢复。

**成因。** 客户端持续发送期间后端被替换。kube-proxy 看到后端离开时会清除这类条目；但在它重启之后（1.32 之前）或无法执行 \`conntrack\` 时不会。

**何时不是它。** 最后一个报文早于后端变更的条目只是无人使用的残留，netwhy 不计。TCP 会自行结束：发往已失效后端的连接超时后，新连接会选择其他后端。`,
    },
  },
});
