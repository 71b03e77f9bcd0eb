import type { ClusterModel } from "../../model/model.ts";
import type { Observation } from "../../model/observations.ts";
import { kubectlName, type Ref, refId } from "../../model/ref.ts";
import type { ServiceEndpoint, ServicePort, ServiceView } from "../../model/services/services.ts";
import { isSettled } from "../../model/services/settled.ts";
import { shellWord } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, warning, works } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "nodes" | "pods" | "objects" | "dns" | "observations" | "time">;

const say = texts("service-without-local-endpoints", {
  internal: {
    en: "Service {service} is called on {nodes}, where it has no back end, and delivers to no other node (internalTrafficPolicy Local)",
    zh: "Service {service} 在节点 {nodes} 上被访问，该处没有后端，而其 internalTrafficPolicy 为 Local，不会转发到其他节点",
  },
  external: {
    en: "Service {service} is called from outside on {nodes}, where it has no back end, and delivers to no other node (externalTrafficPolicy Local)",
    zh: "Service {service} 从外部经节点 {nodes} 被访问，该处没有后端，而其 externalTrafficPolicy 为 Local，不会转发到其他节点",
  },
  dropped: {
    en: "Service {service} is offered at {address}, an address of node {node}, which has no back end of it and drops what comes from outside (externalTrafficPolicy Local); back ends are on {others}",
    zh: "Service {service} 对外提供的地址 {address} 属于节点 {node}，该节点上没有其后端，因 externalTrafficPolicy 为 Local，外部流量会被丢弃；后端位于 {others}",
  },
  deliver: { en: "Let the Service deliver to back ends of all nodes", zh: "让该 Service 转发到所有节点上的后端" },
  losesAddress: {
    en: "Back ends see the node's address instead of the caller's",
    zh: "后端看到的源地址将变为节点地址，而非调用方地址",
  },
  nothing: { en: "Nothing", zh: "无" },
  spread: {
    en: "If the policy is meant, run a Pod of it on every node where it is called (a DaemonSet)",
    zh: "若确需该策略，应在每个会访问它的节点上运行其 Pod（DaemonSet）",
  },
});

type Kind = "internal" | "external";

/** A port that was called on a node, and by which way. */
type Call = { readonly port: ServicePort; readonly node: string; readonly kind: Kind };

function callOf({ target, client }: Observation, { dns }: Model): Call | undefined {
  const within = (port: ServicePort | undefined): Call | undefined =>
    port && { port, node: client.node, kind: "internal" };
  switch (target.is) {
    case "service":
      return within(target.port);
    case "name":
      return within(target.server ?? dns.services.flatMap(({ ports }) => ports).find(({ port }) => port === 53));
    case "node-port":
      // a node's own calls of its port are delivered anywhere
      return client.node === target.node ? undefined : { port: target.port, node: target.node, kind: "external" };
    default:
      return undefined;
  }
}

const isLocal = ({ policy, proxied }: ServiceView, kind: Kind): boolean =>
  proxied && (kind === "internal" ? policy.internalLocal : policy.externalLocal && policy.external);

const keyOf = ({ namespace, name }: ServiceView) => `${namespace}/${name}`;

/** The back ends that it has elsewhere, if it has none on the node. */
function elsewhere(port: ServicePort, node: string, { services }: Model): readonly ServiceEndpoint[] {
  const { local = [] } = services.expected(port, node);
  return local.length > 0 ? [] : services.endpoints(port).filter(({ ready }) => ready);
}

type InVain = { readonly call: Call; readonly observation: Observation };

/** Calls that failed on nodes without a back end, and that never came through there. */
function callsInVain(service: ServiceView, kind: Kind, model: Model): InVain[] {
  const { failed, worked } = model.observations;
  const here = (call: Call | undefined): call is Call => call?.port.service === service && call.kind === kind;
  const answered = new Set(
    worked
      .map((one) => callOf(one, model))
      .filter(here)
      .map(({ node }) => node),
  );
  return failed.flatMap((observation): InVain[] => {
    const call = callOf(observation, model);
    if (!here(call) || answered.has(call.node)) return [];
    return elsewhere(call.port, call.node, model).length > 0 ? [{ call, observation }] : [];
  });
}

const distinct = (refs: readonly Ref[]): Ref[] => [...new Map(refs.map((one) => [refId(one), one])).values()];

function* judge(service: ServiceView, kind: Kind, model: Model): Iterable<Finding> {
  const { services, pods, nodes } = model;
  if (!services.endpointsWhole) {
    yield cannotTell({ name: "service.local", service: keyOf(service) }, [{ kind: "endpointslices" }]);
    return;
  }
  for (const port of service.ports) {
    for (const { name } of nodes.all) {
      const { local = [] } = services.expected(port, name);
      if (local.length > 0)
        yield works({ name: "service.local", node: name, service: port.key }, [
          services.quote(service, `Service ${keyOf(service)}: ${kind}TrafficPolicy Local; ${name}: ${listed(local)}`),
        ]);
    }
  }
  const inVain = callsInVain(service, kind, model);
  const [first] = inVain;
  if (!first) return;
  const others = elsewhere(first.call.port, first.call.node, model);
  const slice = others[0]!.slice;
  const servers = others.map(({ pod }) => (pod ? pods.get(pod.namespace, pod.name) : undefined));
  const callers = inVain.map(({ observation }) => observation.client.pod);
  const owners = [...servers, ...callers].flatMap((pod) => (pod ? (pod.owner ?? pod.ref) : []));
  const broken = new Map(inVain.map(({ call }) => [`${call.node} ${call.port.key}`, call]));
  const on = [...new Set(inVain.map(({ call }) => call.node))].sort();
  yield fault({
    repair: service.ref,
    related: distinct(owners),
    nodes: on,
    breaks: [...broken.values()].map(({ node, port }) => ({ name: "service.local", node, service: port.key })),
    title: say[kind]({ service: keyOf(service), nodes: on }),
    evidence: [
      services.quote(service, `Service ${keyOf(service)}: ${kind}TrafficPolicy Local`),
      model.objects.quote("endpointslices", slice, `EndpointSlice ${slice.metadata.name}: ${listed(others)}`),
      ...inVain.slice(0, 3).map(({ observation }) => observation.evidence),
    ],
    strength: "direct",
    facts: { kind },
  });
}

const listed = (endpoints: readonly ServiceEndpoint[]): string =>
  endpoints
    .slice(0, 5)
    .map(({ address, port, node }) => `${address}:${port}${node === undefined ? "" : ` on ${node}`}`)
    .join(", ");

/** Where clients outside are sent to a node's own address, no load balancer leaves that node out. */
function* offeredInVain(service: ServiceView, { services, nodes, time }: Model): Iterable<Finding> {
  const [port] = service.ports;
  if (!port || !services.endpointsWhole || !isSettled(port, services, time)) return;
  for (const address of new Set([...service.externalIps, ...service.loadBalancerIps])) {
    const node = nodes.byAddress(address);
    const others = node && services.endpoints(port).filter(({ ready }) => ready);
    if (!others?.length || (services.expected(port, node!.name).local ?? []).length > 0) continue;
    const names = [...new Set(others.flatMap((one) => one.node ?? []))].sort();
    const args = { service: keyOf(service), address, node: node!.name, others: names };
    yield warning(service.ref, say.dropped(args), [
      services.quote(service, `Service ${keyOf(service)}: externalTrafficPolicy Local, ${address}`),
    ]);
  }
}

/** A Service whose traffic policy keeps to the caller's node is called where it has no back end. */
export const serviceWithoutLocalEndpoints = defineCheck({
  id: "service-without-local-endpoints",
  reads: ["services", "nodes", "pods", "objects", "dns", "observations", "time"],

  *find(model) {
    const { services } = model;
    if (!services.whole) yield cannotTell({ name: "service.local" }, [{ kind: "services" }]);
    for (const service of services.all) {
      for (const kind of ["internal", "external"] as const)
        if (isLocal(service, kind)) yield* judge(service, kind, model);
      if (isLocal(service, "external")) yield* offeredInVain(service, model);
    }
  },

  remedies({ repair, facts }) {
    const field = `${facts.kind}TrafficPolicy`;
    const policy = (value: string) => ({ do: "patch", target: repair, patch: { spec: { [field]: value } } }) as const;
    return [
      {
        id: "deliver-to-all-nodes",
        risk: "low",
        interrupts: facts.kind === "external" ? say.losesAddress() : say.nothing(),
        steps: [
          {
            why: say.deliver(),
            change: policy("Cluster"),
            undo: policy("Local"),
            verify: { run: `kubectl get ${kubectlName(repair)} -o ${shellWord(`jsonpath={.spec.${field}}`)}` },
          },
        ],
        prevent: [say.spread()],
      },
    ];
  },

  manual: {
    title: { en: "A Service is called where it has no local back end", zh: "Service 在没有本地后端的节点上被访问" },
    page: {
      en: `\`internalTrafficPolicy: Local\` lets a Service deliver only to Pods of the node on which the caller runs; \`externalTrafficPolicy: Local\` does so for calls from outside, by node port or load balancer. On a node without such a Pod, packets are dropped, although the Service has ready back ends elsewhere.

**How it looks.** Callers on some nodes wait and time out, on others all is well; it changes when Pods are moved. \`kubectl get endpointslices\` shows ready back ends. kube-proxy writes "has no local endpoints" into the comment of the rule that drops.

**When this is not the cause.** The policy is a choice: it is a fault only where somebody calls in vain, in a test or in a log. A load balancer leaves nodes without a back end out by their health check; a node port of such a node that nobody uses is right to be silent.`,
      zh: `\`internalTrafficPolicy: Local\` 使 Service 只转发到调用方所在节点上的 Pod；\`externalTrafficPolicy: Local\` 对来自外部、经节点端口或负载均衡器的访问同样如此。节点上没有这样的 Pod 时，即使 Service 在别处有就绪的后端，报文也会被丢弃。

**现象。** 部分节点上的调用方一直等待直至超时，其他节点正常；Pod 迁移后受影响的节点随之变化。\`kubectl get endpointslices\` 显示有就绪的后端。kube-proxy 在丢弃规则的注释中写有 “has no local endpoints”。

**何时不是它。** 该策略是一种选择：只有测试或日志表明有人访问失败时才算故障。负载均衡器会通过健康检查避开没有后端的节点；无人使用的节点端口不应答是正常的。`,
    },
  },
});
