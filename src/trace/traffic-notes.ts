/** What a Service itself demands that ends the packets of its callers: traffic policies, and whom it is for. */
import type { ClusterModel } from "../model/model.ts";
import type { Protocol, ServicePort } from "../model/services/services.ts";
import { contains, formatIp, type Ip, parsePrefix } from "../net/ip.ts";
import { joinTexts, type Text, texts, verbatim } from "../text.ts";
import type { Ends } from "./ends/ends.ts";

const say = texts("path-traffic", {
  externalLocal: {
    en: "Service {service} has externalTrafficPolicy Local and no ready back end on {node}, which drops its packets on purpose; it has on {others}",
    zh: "Service {service} 的 externalTrafficPolicy 为 Local，而 {node} 上没有就绪的后端，因此按设计丢弃；有后端的节点：{others}",
  },
  internalLocal: {
    en: "Service {service} has internalTrafficPolicy Local and no ready back end on {node}; it has on {others}",
    zh: "Service {service} 的 internalTrafficPolicy 为 Local，而 {node} 上没有就绪的后端；有后端的节点：{others}",
  },
  ranges: {
    en: "Service {service} takes what comes to {address} from {ranges} only (loadBalancerSourceRanges), and {source} is not among them",
    zh: "Service {service} 只接受来自 {ranges} 的客户端访问 {address}（loadBalancerSourceRanges），{source} 不在其中",
  },
});

type Model = Pick<ClusterModel, "services" | "nodes">;

/** A port of a Service as packets are sent to it: by which of its addresses, and the node that they come to. */
type Sent = { readonly port: ServicePort; readonly by: "cluster" | "external"; readonly node?: string };

const PROTOCOLS: Readonly<Record<string, Protocol>> = { tcp: "TCP", udp: "UDP", sctp: "SCTP" };

function sentTo(address: Ip, { from, port, protocol }: Ends, { services, nodes }: Model): Sent | undefined {
  const name = PROTOCOLS[protocol];
  if (name === undefined || port === undefined) return undefined;
  const text = formatIp(address);
  const node = nodes.byAddress(text)?.name;
  if (node !== undefined) {
    const exposed = services.byNodePort(port, name);
    return exposed && { port: exposed, by: "external", node };
  }
  const served = services.byAddress(text, port, name);
  if (!served) return undefined;
  const here = "outside" in from ? {} : { node: from.node };
  return { port: served, by: served.service.clusterIps.includes(text) ? "cluster" : "external", ...here };
}

/**
 * @param address of those that packets are sent to, one at which they end
 * @param source undefined: somebody outside
 */
export function trafficNotes(address: Ip, source: Ip | undefined, ends: Ends, model: Model): readonly Text[] {
  const sent = sentTo(address, ends, model);
  if (!sent) return [];
  const { port, by, node } = sent;
  const { service } = port;
  const named = `${service.namespace}/${service.name}`;
  // what begins on the node itself is not bound to it
  const isInside = !("outside" in ends.from) && ends.from.node === node;
  const isLocal = by === "cluster" ? service.policy.internalLocal : service.policy.externalLocal && !isInside;
  const choice = isLocal && node !== undefined ? model.services.expected(port, node, address.family) : undefined;
  const others = model.services
    .endpoints(port, address.family)
    .flatMap((endpoint) => (endpoint.ready ? (endpoint.node ?? []) : []));
  const ranges = (service.object.spec.loadBalancerSourceRanges ?? []).flatMap((text) => parsePrefix(text ?? "") ?? []);
  const isBarred =
    source !== undefined &&
    ranges.length > 0 &&
    service.loadBalancerIps.includes(formatIp(address)) &&
    !ranges.some((range) => contains(range, source));
  const elsewhere = joinTexts([...new Set(others)].sort().map(verbatim), { en: ", ", zh: "、" });
  const words = { service: named, node: node ?? "", others: elsewhere };
  return [
    ...(choice?.any && (choice.local ?? []).length === 0 && others.length > 0
      ? [by === "cluster" ? say.internalLocal(words) : say.externalLocal(words)]
      : []),
    ...(isBarred
      ? [
          say.ranges({
            service: named,
            address: formatIp(address),
            ranges: (service.object.spec.loadBalancerSourceRanges ?? []).join(", "),
            source: formatIp(source),
          }),
        ]
      : []),
  ];
}
