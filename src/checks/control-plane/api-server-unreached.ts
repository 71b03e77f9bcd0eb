import type { Capability } from "../../model/capability.ts";
import type { Component } from "../../model/components/components.ts";
import type { Saying } from "../../model/logs.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { PodView } from "../../model/pods.ts";
import { refId } from "../../model/ref.ts";
import type { ServicePort } from "../../model/services/services.ts";
import { timeOf } from "../../model/time.ts";
import { canonicalIp, formatSocket } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "components" | "nodes" | "services" | "logs" | "observations">;

const say = texts("api-server-unreached", {
  unreached: {
    en: "{who} on {node} {count:does|do} not reach the API server at {address}: {words}",
    zh: "节点 {node} 上的 {who} 无法访问 API Server（{address}）：{words}",
  },
  ask: {
    en: "Ask the API server from the node, and see which way the node takes to it",
    zh: "在该节点上访问 API Server，并查看节点通往它的路由",
  },
  openWay: {
    en: "Open the way: the load balancer in front of the API servers, or its proxy on the node (nginx-proxy, haproxy, kube-vip); the firewalls and routes between the node and them. Where the connection is refused, start what should listen there",
    zh: "恢复这条路径：API Server 前的负载均衡或节点上的代理（nginx-proxy、haproxy、kube-vip），以及节点与它们之间的防火墙和路由；若连接被拒绝，启动本应在那里监听的程序",
  },
  openRules: {
    en: "See why the node does not deliver the Service default/kubernetes: kube-proxy, or Cilium in its place, has not written its rules there, or the way from the node to an API server is not open",
    zh: "查明该节点为何不能转发 Service default/kubernetes：kube-proxy（或替代它的 Cilium）没有在该节点写入规则，或节点到 API Server 的路径不通",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: 'Alert on nodes whose agents do not reach the API server: rate(rest_client_requests_total{open}code="<error>"{close}) of kube-proxy and of the kubelet, and the age of kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    zh: '对访问不到 API Server 的节点设置告警：kube-proxy 和 kubelet 的 rate(rest_client_requests_total{open}code="<error>"{close})，以及 kubeproxy_sync_proxy_rules_last_timestamp_seconds 的滞后时间',
  },
});

/**
 * How client-go says that a request came to nothing (net/url Error, net OpError): by its path, what it asked is an API server. Go
 * before 1.14 did not quote the URL.
 */
const CAME_TO_NOTHING =
  /\b(?:Get|Post|Put|Patch|Delete) \\*"?https:\/\/(?<host>\[[0-9a-fA-F:]+\]|[^\s:/"\\]+)(?::(?<port>\d+))?\/(?:api|apis|version|healthz|livez|readyz)\b[^\s"\\]*\\*"?: .*?(?<words>i\/o timeout|connection refused|no route to host|network is unreachable|connection timed out|TLS handshake timeout|context deadline exceeded|connection reset by peer|http2: client connection lost|operation not permitted)/;

/** As long as an API server may take to start anew. */
const PATIENCE = 60_000;

type Heard = {
  readonly who: string;
  readonly saying: Saying;
  readonly address: string;
  readonly words: string;
  readonly breaks: Capability;
  readonly byService: boolean;
};

/** Of the API server's Service that its address is, if it is one's. */
function apiPort(host: string, port: number, { services }: Model): ServicePort | undefined {
  const [api] = services.get("default", "kubernetes")?.ports ?? [];
  return api && api.port === port && api.service.clusterIps.includes(host) ? api : undefined;
}

/** Addresses at which there may be an API server: of a wrong one, another check tells. */
function mayBeRight(host: string, { services, nodes }: Model): boolean {
  const ip = canonicalIp(host);
  // names are load balancers', and 127.0.0.1 is the node's own proxy
  if (ip === undefined || ip === "::1" || ip.startsWith("127.")) return true;
  const [api] = services.get("default", "kubernetes")?.ports ?? [];
  const isEndpoint = api !== undefined && services.endpoints(api).some(({ address }) => address === ip);
  return isEndpoint || nodes.byAddress(ip) !== undefined || (api?.service.clusterIps.includes(ip) ?? false);
}

/** What of these sayings goes on: for longer than a restart takes, or in each of several runs. */
function goingOn(sayings: readonly Saying[], restarts: number): Saying | undefined {
  const mine = sayings.filter(({ ongoing, current }) => ongoing || (current && restarts > 1));
  const first = Math.min(...mine.map(({ entry }) => timeOf(entry.first.at) ?? Number.POSITIVE_INFINITY));
  const last = mine.toSorted((a, b) => (timeOf(a.entry.last.at) ?? 0) - (timeOf(b.entry.last.at) ?? 0)).at(-1);
  const lasts = (timeOf(last?.entry.last.at) ?? 0) - first;
  return last && (lasts >= PATIENCE || restarts > 1) ? last : undefined;
}

const restartsOf = ({ ready, object }: PodView): number =>
  ready ? 0 : Math.max(0, ...(object.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount));

/** Somebody who sends as this one does was answered by the API server's Service. */
const isAnswered = (port: ServicePort, node: string, network: "pod" | "host", { observations }: Model): boolean =>
  observations.worked.some(
    ({ target, client }) =>
      target.is === "service" &&
      target.port.service === port.service &&
      client.node === node &&
      client.network === network,
  );

function heardFrom(saying: Saying | undefined, who: string, model: Model) {
  const found = saying && CAME_TO_NOTHING.exec(saying.entry.last.message)?.groups;
  if (!saying || !found) return undefined;
  const host = (found.host ?? "").replace(/^\[|\]$/g, "");
  const port = Number(found.port ?? "443");
  if (!mayBeRight(host, model)) return undefined;
  return {
    ...{ who, saying, words: found.words ?? "", address: formatSocket(host, port) },
    service: apiPort(canonicalIp(host) ?? host, port, model),
  };
}

function* ofComponent(component: Component, node: string, model: Model): Iterable<Heard> {
  for (const pod of component.pods) {
    if (pod.node !== node || pod.terminating || pod.finished) continue;
    const said = goingOn(model.logs.said(pod, CAME_TO_NOTHING), restartsOf(pod));
    const heard = heardFrom(said, component.definition.name, model);
    if (!heard) continue;
    const { service, ...rest } = heard;
    if (service && isAnswered(service, node, pod.hostNetwork ? "host" : "pod", model)) continue;
    const at = { name: "api.connect", node, component: refId(component.ref) } as const;
    const breaks = service ? { ...at, service: service.key, ...(!pod.hostNetwork && { pod: pod.key }) } : at;
    yield { ...rest, breaks, byService: service !== undefined };
  }
}

function* heardOn({ name: node }: NodeView, model: Model): Iterable<Heard> {
  const kubelet = heardFrom(goingOn(model.logs.kubeletSaid(node, CAME_TO_NOTHING), 0), "kubelet", model);
  if (kubelet) yield { ...kubelet, breaks: { name: "api.reach", node }, byService: false };
  for (const component of model.components.all) yield* ofComponent(component, node, model);
}

/** Agents on a node do not get through to the API server, and say so. */
export const apiServerUnreached = defineCheck({
  id: "api-server-unreached",
  reads: ["components", "nodes", "services", "logs", "observations"],

  *find(model) {
    const servers = model.components.byId("kube-apiserver").flatMap(({ pods }) => pods);
    // where none of them runs, that is what there is to tell
    if (servers.length > 0 && !servers.some(({ ready }) => ready)) return;
    for (const node of model.nodes.all) {
      const heard = [...heardOn(node, model)];
      const [first] = heard;
      if (!first) continue;
      const who = [...new Set(heard.map((one) => one.who))];
      const since = heard.map(({ saying }) => saying.entry.first.at ?? "").sort()[0];
      yield fault({
        repair: node.ref,
        related: model.components.all
          .map(({ ref }) => ref)
          .filter((ref) => heard.some(({ breaks }) => breaks.component === refId(ref))),
        nodes: [node.name],
        breaks: heard.map(({ breaks }) => breaks),
        title: say.unreached({ who, node: node.name, count: who.length, address: first.address, words: first.words }),
        evidence: heard.slice(0, 3).map(({ saying }) => saying.evidence),
        strength: "heard",
        since: since || undefined,
        facts: { address: first.address, case: first.byService ? "service" : "direct" },
      });
    }
  },

  remedies({ nodes: [node = ""], facts }) {
    const address = String(facts.address);
    const host = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    const verify = { run: sh`curl -sk --max-time 5 ${`https://${address}/livez`}`, node };
    const look = {
      why: say.ask(),
      change: { run: `${verify.run}; ${sh`ip route get ${host}`}`, node },
      verify,
    };
    const open = { why: facts.case === "service" ? say.openRules() : say.openWay(), verify };
    return [
      {
        ...{ id: "open-the-way", risk: "low", interrupts: say.nothing() },
        steps: [look, open],
        prevent: [say.prevent({ open: "{", close: "}" })],
      },
    ];
  },

  manual: {
    title: { en: "Agents on a node do not reach the API server", zh: "节点上的组件无法访问 API Server" },
    page: {
      en: `kube-proxy, the CNI's agent or the kubelet of a node asks the API server and gets no answer, for longer than an API server takes to restart.

**How it looks.** Their Pods are Running. What they wrote stays, and nothing new comes: on this node alone Services go to back ends that are gone, or are refused ("has no endpoints") although they have some; Pods of new nodes are not reached; a restart leaves the node without rules or its agent in a crash loop. Logs repeat \`Failed to watch … dial tcp 192.0.2.10:6443: i/o timeout\`. If the kubelet does not get through either, the node becomes NotReady.

**How it comes about.** A firewall or a route between the node and the control plane; a load balancer in front of the API servers that does not answer, or the proxy for it on the node (nginx-proxy of kubespray, haproxy); a large packet that is lost (\`TLS handshake timeout\`). Who asks by the cluster IP (10.96.0.1) depends on the rules of Services on the node, which somebody else writes: kube-proxy must not ask so, and Cilium in kube-proxy's place neither (k8sServiceHost).

**When this is not the cause.** \`Unauthorized\` and \`x509\` are about who asks (component-login-refused), \`forbidden\` about permissions. An address at which there is no API server is api-server-address-wrong. If rules or firewalls that netwhy sees explain it, those stand above this.`,
      zh: `某节点的 kube-proxy、CNI 组件或 kubelet 访问 API Server 得不到应答，持续时间已超过 API Server 重启所需。

**现象。** 这些 Pod 都是 Running。已写入的配置仍在，但不再更新：仅在该节点上，Service 转发到已不存在的后端，或明明有后端却被拒绝（“has no endpoints”）；新节点的 Pod 无法访问；一旦重启，节点上就没有规则，或组件反复崩溃。日志不断出现 \`Failed to watch … dial tcp 192.0.2.10:6443: i/o timeout\`。若 kubelet 也访问不到，节点会变为 NotReady。

**成因。** 节点与控制面之间的防火墙或路由；API Server 前的负载均衡，或节点上的代理（kubespray 的 nginx-proxy、haproxy）没有应答；大报文丢失（\`TLS handshake timeout\`）。经 ClusterIP（10.96.0.1）访问的组件依赖该节点上由其他组件写入的 Service 规则：kube-proxy 不能这样访问，替代 kube-proxy 的 Cilium 也不能（k8sServiceHost）。

**何时不是它。** \`Unauthorized\` 和 \`x509\` 是身份问题（component-login-refused），\`forbidden\` 是权限问题。地址处没有 API Server 的，见 api-server-address-wrong。若能看到造成它的规则或防火墙，则根因是它们。`,
    },
  },
});
