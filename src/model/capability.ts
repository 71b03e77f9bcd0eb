/**
 * Capabilities: what something in the cluster can do for something else, as a name and a subject.
 *
 * They are the words in which faults, observations and needs are joined. A field that is missing means "all of them":
 * `service.rules` of node w1 stands for all Services, with `service` for one.
 */
import type { Family } from "../net/ip.ts";
import type { Template } from "../text.ts";
import { type Ref, ref } from "./ref.ts";

/** Names are for ever. */
export const CAPABILITIES = {
  "dns.resolve": { en: "name resolution", zh: "域名解析" },
  "dns.serve": { en: "cluster DNS answers", zh: "集群 DNS 应答" },
  "dns.admit": { en: "CoreDNS takes the clients' questions", zh: "CoreDNS 接受客户端的查询" },
  "dns.config": { en: "the configuration of CoreDNS is valid", zh: "CoreDNS 配置有效" },
  "dns.upstream": { en: "CoreDNS reaches its upstream servers", zh: "CoreDNS 能访问上游服务器" },
  "dns.client": { en: "Pods ask the right DNS server", zh: "Pod 使用正确的 DNS 服务器" },
  "service.reach": { en: "reaching the Service", zh: "访问 Service" },
  "service.endpoints": { en: "the Service has ready back ends", zh: "Service 有就绪的后端" },
  "service.backend": {
    en: "the back end that an EndpointSlice names is there",
    zh: "EndpointSlice 所列的后端确实存在",
  },
  "service.select": { en: "the Service selects Pods", zh: "Service 选中了 Pod" },
  "service.local": {
    en: "the node has a back end that the Service's traffic policy allows",
    zh: "节点上有该 Service 的流量策略所允许的后端",
  },
  "service.follow": { en: "EndpointSlices follow the Pods", zh: "EndpointSlice 随 Pod 更新" },
  "service.rules": { en: "the node's rules deliver the Service", zh: "节点规则正确转发该 Service" },
  "service.address": { en: "the Service has an address of its own", zh: "Service 拥有独立的地址" },
  "service.flows": {
    en: "flows to the Service that go on do so to its back ends",
    zh: "发往 Service 的持续流量仍到达其后端",
  },
  "service.pod-range": {
    en: "the service proxy knows which addresses are Pods'",
    zh: "服务代理知道哪些地址属于 Pod",
  },
  "service.masquerade": {
    en: "the node gives packets for Services its own address where answers need it",
    zh: "节点对需要的 Service 报文做源地址转换",
  },
  "pod.ready": { en: "the Pods are ready", zh: "Pod 就绪" },
  "pod.create": { en: "the control plane makes Pods that are missing", zh: "控制面会创建缺少的 Pod" },
  "pod.admit": { en: "new Pods are admitted", zh: "新建的 Pod 能通过准入" },
  "pod.schedule": { en: "nodes take the Pods", zh: "有节点可以运行这些 Pod" },
  "pod.mount": { en: "the volumes of Pods can be mounted", zh: "Pod 的卷能够挂载" },
  "pod.listen": { en: "the Pods listen on the target port", zh: "Pod 监听目标端口" },
  "pod.attach": { en: "Pods are connected to the network", zh: "Pod 已接入网络" },
  "pod.release": { en: "Pods give their network back when they end", zh: "Pod 结束时能释放网络" },
  "pod.labels": { en: "the CNI agent knows the labels of the Pods", zh: "CNI 代理获知了 Pod 的标签" },
  "pod.identity": { en: "the CNI agent has given the Pods their identities", zh: "CNI 代理已为 Pod 分配身份" },
  "pod.hairpin": { en: "Pods reach themselves through their own Service", zh: "Pod 能经由自己的 Service 访问自身" },
  "pod.reach": { en: "reaching Pods", zh: "访问 Pod" },
  "policy.allow": { en: "NetworkPolicies allow the traffic", zh: "NetworkPolicy 放行该流量" },
  "policy.rules": { en: "the node's rules for policies are as the policies are", zh: "节点的策略规则与策略一致" },
  "pod-network.entries": { en: "the node's routes to other nodes' Pods", zh: "节点通往其他节点 Pod 的路由表项" },
  "pod-network.gateway": {
    en: "the node has the address that its Pods have for a gateway",
    zh: "节点拥有其 Pod 的网关地址",
  },
  "service.health": {
    en: "load balancers learn that a node serves a Service",
    zh: "负载均衡器能得知节点可提供该 Service",
  },
  "pod.host-port": { en: "a Pod is reached at its port of the node", zh: "可经由节点端口（hostPort）访问 Pod" },
  "pod-network.backend": { en: "the nodes tell each other how they are reached", zh: "节点之间互相通告可达方式" },
  "pod-network.config": {
    en: "the Pod network's configuration holds the node's Pod range",
    zh: "Pod 网络的配置包含该节点的 Pod 网段",
  },
  "pod-network.ranges": { en: "Pod ranges that fit together", zh: "Pod 网段互不冲突" },
  "pod-network.address": {
    en: "the node's tunnel has an address of its own",
    zh: "节点的隧道地址不与他人重复",
  },
  "node.ip-forward": { en: "the node forwards packets between its devices", zh: "节点在网卡之间转发报文" },
  "node.forward": { en: "the node's filter lets packets of Pods pass", zh: "节点的过滤规则放行 Pod 的转发报文" },
  "node.let-out": {
    en: "the node's filter lets packets of Pods leave the Pod network",
    zh: "节点的过滤规则放行离开 Pod 网络的报文",
  },
  "node.masquerade": {
    en: "the node gives packets of Pods that leave the cluster its own address",
    zh: "节点为出集群的 Pod 报文做源地址转换",
  },
  "node.keep-source": {
    en: "the node leaves the addresses of packets to Pods as they are",
    zh: "节点不改写发往 Pod 的报文的源地址",
  },
  "node.keep-rules": {
    en: "the node keeps the rules that its agents have written",
    zh: "节点上各代理写入的规则未被清除",
  },
  "node.bridge": {
    en: "the node takes answers between its own Pods through the Service rules",
    zh: "节点上 Pod 之间的应答经过 Service 规则",
  },
  "node.tunnel": { en: "the node sends and receives encapsulated packets", zh: "节点收发封装报文" },
  "node.lead-to-api": { en: "the node lets its Pods reach the API server", zh: "节点放行本节点 Pod 访问 API Server" },
  "node.lead-to-upstream": {
    en: "the node lets CoreDNS reach its upstream servers",
    zh: "节点放行 CoreDNS 访问上游服务器",
  },
  "node.route": {
    en: "the node's policy routing leaves the Pods' packets to its routes",
    zh: "节点的策略路由不会误导 Pod 报文",
  },
  "node.admit": {
    en: "policies for the node itself let its connections pass",
    zh: "作用于节点自身的策略放行其连接",
  },
  "node.send-large": { en: "large packets of its Pods leave the node whole", zh: "本节点 Pod 的大报文能完整发出" },
  "node.take-large": { en: "large packets get to the node's Pods whole", zh: "大报文能完整到达本节点的 Pod" },
  "node.tell-size": {
    en: "the node tells senders of packets that are too large",
    zh: "报文过大时节点会告知发送方",
  },
  "node.track": { en: "the node has room for new connections", zh: "节点的连接跟踪表有空位" },
  "node.neighbours": { en: "the node has room for new neighbours", zh: "节点的邻居表有空位" },
  "cni.config": { en: "the node has a CNI configuration", zh: "节点有 CNI 配置" },
  "cni.choice": {
    en: "the container runtime takes the cluster's CNI configuration",
    zh: "容器运行时采用集群的 CNI 配置",
  },
  "node.up": { en: "the node works", zh: "节点正常" },
  "node.report": { en: "the node reports its state", zh: "节点上报状态" },
  "node.ready": { en: "the node counts as ready", zh: "节点处于就绪状态" },
  "node.login": { en: "the API server lets the node's kubelet in", zh: "API Server 接受节点 kubelet 的登录" },
  "node.join": { en: "the node gets the certificate that it joins with", zh: "节点能取得加入集群所需的证书" },
  "node.renew": { en: "the certificate of the node's kubelet is renewed", zh: "节点 kubelet 的证书能够续期" },
  "certificate.renew": {
    en: "requests of kubelets to renew their certificates are approved by themselves",
    zh: "kubelet 的证书续期申请会被自动批准",
  },
  "certificate.issue": {
    en: "kube-controller-manager approves and signs requests for certificates",
    zh: "kube-controller-manager 批准并签发证书申请",
  },
  "config.publish": {
    en: "namespaces are given kube-root-ca.crt, which their Pods mount",
    zh: "各命名空间都有其 Pod 要挂载的 kube-root-ca.crt",
  },
  "node.reach": { en: "reaching the node", zh: "访问节点" },
  "underlay.carry": {
    en: "the network between the nodes carries the Pods' packets",
    zh: "节点之间的网络能传送 Pod 报文",
  },
  "underlay.carry-large": {
    en: "the network between the nodes carries large packets",
    zh: "节点之间的网络能传送大报文",
  },
  "outside.reach": { en: "reaching the outside", zh: "访问集群外部" },
  "kubelet.answer": { en: "the API server reaches the node's kubelet", zh: "API Server 能访问节点的 kubelet" },
  "component.permit": { en: "the component may do its work", zh: "组件拥有所需权限" },
  "component.login": { en: "the component and the API server accept each other", zh: "组件与 API Server 互相信任" },
  "component.config": { en: "the component's configuration is there", zh: "组件的配置存在" },
  "component.run": { en: "the component runs", zh: "组件正常运行" },
  "component.learn": { en: "the component follows changes", zh: "组件能跟踪变化" },
  "component.restart": { en: "the component will work as configured once it restarts", zh: "组件重启后能按其配置工作" },
  "api.reach": { en: "the node reaches the API server", zh: "节点能访问 API Server" },
  "api.connect": { en: "the component gets through to the API server", zh: "组件能连上 API Server" },
  "api.remember": { en: "the API server knows what was written last", zh: "API Server 保有最新写入的数据" },
  "api.write": { en: "the API server writes what it is given", zh: "API Server 能够写入数据" },
  "api.extend": { en: "the API server reaches what serves an API for it", zh: "API Server 能访问代其提供 API 的程序" },
  "api.ask": {
    en: "the API server reaches the webhooks that it has to ask",
    zh: "API Server 能访问它必须询问的 webhook",
  },
  "api.serve": { en: "the API server answers", zh: "API Server 应答" },
} as const satisfies Record<string, Template>;

/** These can work for one packet and fail for the next: one success does not prove them. */
export const PARTIAL: ReadonlySet<string> = new Set<keyof typeof CAPABILITIES>([
  "service.rules",
  "service.flows",
  "service.endpoints",
  "dns.serve",
  "dns.upstream",
  "pod.listen",
  "pod.ready",
  "node.track",
  "node.neighbours",
  "policy.rules",
  "node.admit",
]);

export type CapabilityName = keyof typeof CAPABILITIES;

/** Of what a component does, the part that learns of one thing. `start` is what it takes to get ready. */
export type Work = "services" | "nodes" | "pods" | "policies" | "names" | "endpoints" | "start";

export type Capability = {
  readonly name: CapabilityName;
  readonly node?: string;
  /** The other node, of a pair. */
  readonly peer?: string;
  /** `namespace/name`, or `namespace/name:port` for one port. */
  readonly service?: string;
  /** Of a Service's back ends one: the address that an EndpointSlice names. */
  readonly address?: string;
  /** `namespace/name` */
  readonly pod?: string;
  /** refId of a NetworkPolicy. */
  readonly policy?: string;
  /** refId of what the component runs as. */
  readonly component?: string;
  readonly work?: Work;
  readonly zone?: "cluster" | "external";
  /** Where on the node connections begin: its rules can fare differently with each. */
  readonly from?: "pod" | "host" | "outside";
  /** In clusters with Services of both address families, the one in question. */
  readonly family?: Family;
};

const FIELDS = [
  "node",
  "peer",
  "component",
  "work",
  "service",
  "address",
  "pod",
  "policy",
  "zone",
  "from",
  "family",
] as const;

/** Equal for equal capabilities. */
export function capabilityId(capability: Capability): string {
  return [capability.name, ...FIELDS.map((field) => capability[field] ?? "")].join("|");
}

/** Whether `wide` is about everything that `narrow` is about. */
export function covers(wide: Capability, narrow: Capability): boolean {
  if (wide.name !== narrow.name) return false;
  return FIELDS.every((field) => {
    const value = wide[field];
    if (value === undefined || value === narrow[field]) return true;
    // a Service stands for all its ports
    return field === "service" && narrow.service?.startsWith(`${value}:`) === true;
  });
}

/** The object that a reader would look at. */
export function subjectOf(capability: Capability): Ref {
  const { pod, service, policy, component, node } = capability;
  if (pod !== undefined) return namespaced("Pod", pod);
  if (service !== undefined) return namespaced("Service", service.split(":")[0]!);
  if (policy !== undefined) return parseRefId(policy);
  if (component !== undefined) return parseRefId(component);
  if (node !== undefined) return ref("Node", node);
  return ref("Cluster", "cluster");
}

function namespaced(kind: string, key: string): Ref {
  const slash = key.indexOf("/");
  return slash < 0 ? ref(kind, key) : ref(kind, key.slice(slash + 1), key.slice(0, slash));
}

function parseRefId(id: string): Ref {
  const [kind, second, third] = id.split("/");
  return third === undefined ? ref(kind!, second!) : ref(kind!, third, second!);
}
