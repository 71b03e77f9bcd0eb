import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { firstPacket } from "../../model/forwarding/packet-filter.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { ServiceView } from "../../model/services/services.ts";
import { isSettled } from "../../model/services/settled.ts";
import { formatIp, formatSocket, parseIp } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault, presumed, warning, works } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "nodes" | "forwarding" | "components" | "cilium" | "time">;

const say = texts("health-check-port-closed", {
  closed: {
    en: "Nobody listens on the health-check port {port} of Service {service} on {nodes}, where its back ends are: load balancers that ask there send nothing to {count:that node|those nodes}",
    zh: "Service {service} 的健康检查端口 {port} 在其后端所在的节点 {nodes} 上无人监听：按此端口检查的负载均衡器不会向这些节点转发流量",
  },
  blocked: {
    en: "Rules on {nodes}, where the back ends of Service {service} are, drop what comes to its health-check port {port}: load balancers that ask there send nothing to {count:that node|those nodes}",
    zh: "Service {service} 后端所在的节点 {nodes} 上有规则丢弃发往其健康检查端口 {port} 的报文：按此端口检查的负载均衡器不会向这些节点转发流量",
  },
  look: {
    en: "See who holds the port, and what kube-proxy says of it (“Failed to start healthcheck”)",
    zh: "查看端口被谁占用，以及 kube-proxy 日志中的说明（“Failed to start healthcheck”）",
  },
  restart: {
    en: "Restart kube-proxy there: it opens the port when it starts",
    zh: "重启该节点上的 kube-proxy：它启动时会打开该端口",
  },
  open: { en: "Accept what load balancers send to the port", zh: "放行负载均衡器发往该端口的报文" },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Let firewalls of nodes accept the whole range of node ports (30000–32767) from where load balancers ask",
    zh: "节点防火墙应对负载均衡器的来源放行整个节点端口范围（30000–32767）",
  },
});

/** Clouds ask the port; what announces addresses from inside the cluster (MetalLB, k3s) goes by EndpointSlices. */
const OF_CLOUD = /^(?!k3s:|kind:|k0s:|rke2:|docker:)[a-z][\w-]*:\/\//;

type Judged = {
  readonly node: NodeView;
  readonly is: "open" | "closed" | "blocked" | "unknown";
  readonly evidence: readonly Evidence[];
};

const CLIENT = { 4: parseIp("198.51.100.1")!, 6: parseIp("2001:db8::1")! } as const; // RFC 5737, RFC 3849

function judge(node: NodeView, port: number, { forwarding }: Model): Judged {
  const plane = forwarding.of(node.name);
  const { sockets, filter } = plane;
  const at = node.ips[4] ?? node.ips[6];
  if (!node.sampled || !at || !isWhole(sockets)) return { node, is: "unknown", evidence: [] };
  const own = formatIp(at);
  const listens = sockets.value.some(
    ({ protocol, address, port: on }) =>
      protocol === "tcp" && on === port && (/^(\*|::|0\.0\.0\.0)$/.test(address) || address === own),
  );
  if (!listens) {
    const words = `${node.name}: nothing listens on tcp ${formatSocket(own, port)}`;
    return { node, is: "closed", evidence: [quoteOf(sockets.origin, words)] };
  }
  if (filter.stateOf(at.family) !== "whole") return { node, is: "unknown", evidence: [] };
  const device = known(plane.links)?.find(({ addresses }) => addresses.some(({ local }) => local === own))?.name;
  const packet = firstPacket({
    ...{ protocol: "tcp", source: CLIENT[at.family], destination: at, port },
    inDevice: device ?? "eth0",
  });
  const ends = filter.through(["prerouting", "input"], packet);
  const drops = ends.filter(({ verdict }) => verdict.is === "drop" || verdict.is === "reject");
  const by = drops[0]?.rules.at(-1);
  if (drops.length === 0 && ends.every(({ verdict }) => verdict.is === "accept"))
    return { node, is: "open", evidence: [] };
  return by && drops.length === ends.length
    ? { node, is: "blocked", evidence: [filter.quote(by)] }
    : { node, is: "unknown", evidence: [] };
}

function* judgeService(service: ServiceView, port: number, model: Model): Iterable<Finding> {
  const { services, nodes, components, time } = model;
  const key = `${service.namespace}/${service.name}`;
  if (!services.endpointsWhole || !service.ports.every((one) => isSettled(one, services, time))) return;
  const serving = nodes.all.filter(({ name }) =>
    service.ports.some((one) => (services.expected(one, name).local ?? []).some(({ ready }) => ready)),
  );
  const judged = serving.map((node) => judge(node, port, model));
  const capabilityOf = ({ name }: NodeView) => ({ name: "service.health", node: name, service: key }) as const;
  for (const { node, is, evidence } of judged) {
    if (is === "open") yield works(capabilityOf(node), evidence);
    if (is === "unknown") yield presumed(capabilityOf(node), [{ kind: "sockets", place: { node: node.name } }]);
  }
  const isAsked =
    service.object.spec.loadBalancerClass === undefined &&
    nodes.all.some(({ object }) => OF_CLOUD.test(object?.spec?.providerID ?? ""));
  for (const is of ["closed", "blocked"] as const) {
    const hit = judged.filter((one) => one.is === is);
    if (hit.length === 0) continue;
    const on = hit.map(({ node }) => node.name);
    const title = say[is]({ service: key, port, nodes: on, count: on.length });
    const evidence = [
      services.quote(service, `Service ${key}: externalTrafficPolicy Local, healthCheckNodePort ${port}`),
      ...hit.slice(0, 3).flatMap((one) => one.evidence),
    ];
    // others still take what comes; and who asks the port is not known of every load balancer
    if (!isAsked || hit.length < serving.length) {
      yield warning(service.ref, title, evidence);
      continue;
    }
    yield fault({
      repair: service.ref,
      related: components.withDuty("service-proxy").map(({ ref }) => ref),
      nodes: on,
      breaks: hit.map(({ node }) => capabilityOf(node)),
      title,
      evidence,
      strength: "differing",
      facts: { case: is, port },
    });
  }
}

/** The port at which load balancers ask whether a node has back ends of a Service does not answer. */
export const healthCheckPortClosed = defineCheck({
  id: "health-check-port-closed",
  reads: ["services", "nodes", "forwarding", "components", "cilium", "time"],

  *find(model) {
    const { cilium } = model;
    // its agent answers at such ports itself, if it is told to
    if (cilium.runs && !/^(false|disabled)$/i.test(cilium.setting("kube-proxy-replacement") ?? "")) return;
    for (const service of model.services.all) {
      const { type, healthCheckNodePort: port } = service.object.spec;
      const isExposed = type === "LoadBalancer" && service.proxied && service.policy.externalLocal;
      if (isExposed && port && hasAddress(service)) yield* judgeService(service, port, model);
    }
  },

  remedies({ nodes: [node = ""], related: [proxy], facts }) {
    const port = String(facts.port);
    const verify = { run: sh`curl -s -o /dev/null -w ${"%{http_code}"} http://localhost:${port}/`, node };
    const look = { why: say.look(), change: { run: sh`ss -ltnp sport = :${port}`, node }, verify };
    const restart = proxy ? [{ why: say.restart(), change: { do: "restart", component: proxy } as const, verify }] : [];
    const rule = sh`INPUT -p tcp --dport ${port} -j ACCEPT`;
    const open = {
      why: say.open(),
      change: { run: `iptables -I ${rule}`, node },
      undo: { run: `iptables -D ${rule}`, node },
      verify,
    };
    return [
      {
        id: "answer-health-checks",
        risk: "low",
        interrupts: say.nothing(),
        steps: facts.case === "blocked" ? [open] : [look, ...restart],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "Load balancers get no answer at a Service's health-check port", zh: "Service 的健康检查端口不应答" },
    page: {
      en: `With \`externalTrafficPolicy: Local\` a Service of type LoadBalancer gets a port of all nodes (healthCheckNodePort) at which kube-proxy says whether the node has ready back ends: 200 if it has, 503 if not. The load balancer of a cloud asks there, and sends only to nodes that say 200.

**How it looks.** The load balancer shows all targets as unhealthy and answers with errors or not at all, while the Service works by its ClusterIP and its node port.

**How it comes about.** Another process holds the port, and kube-proxy logged that it could not start its health check; a firewall on the nodes accepts the node port and not this one.

**When this is not the cause.** Nodes without a ready back end are to be left out. What announces addresses from inside the cluster (MetalLB, ServiceLB of k3s) does not ask the port: then, and where some nodes still answer, it is a warning.`,
      zh: `\`externalTrafficPolicy: Local\` 的 LoadBalancer 型 Service 会在所有节点上得到一个端口（healthCheckNodePort），由 kube-proxy 应答本节点是否有就绪的后端：有则 200，无则 503。云厂商的负载均衡器检查该端口，只向返回 200 的节点转发。

**现象。** 负载均衡器显示所有后端不健康，访问报错或无应答；而经由 ClusterIP 和节点端口访问该 Service 正常。

**成因。** 端口被其他进程占用，kube-proxy 日志中有健康检查启动失败的记录；或节点防火墙只放行了节点端口而没有放行该端口。

**何时不是它。** 没有就绪后端的节点本就应被避开。在集群内部通告地址的组件（MetalLB、k3s 的 ServiceLB）不检查该端口：此时，或仍有节点应答时，只作为警告。`,
    },
  },
});

/** Only what was given an address is asked for. */
const hasAddress = ({ object: { status } }: ServiceView): boolean => (status?.loadBalancer?.ingress ?? []).length > 0;
