/** The words of the check network-policy-defective. */
import { texts } from "../../../text.ts";

export const say = texts("network-policy-defective", {
  noDns: {
    en: "{pods} may not ask cluster DNS: {policies} {count:lets|let} it send only elsewhere",
    zh: "{pods} 无法访问集群 DNS：{policies} 的出站规则遗漏了 53 端口",
  },
  closedDns: {
    en: "{policies} {count:keeps|keep} {clients} {clients:Pod|Pods} from asking cluster DNS, such as {first}",
    zh: "{policies} 使 {clients} 个 Pod 无法访问集群 DNS，例如 {first}",
  },
  mutedDns: {
    en: "{policies} {count:keeps|keep} CoreDNS from the API server ({address}): it learns of no Service that is new, and does not become ready once it restarts",
    zh: "{policies} 使 CoreDNS 无法访问 API Server（{address}）：它无法得知新的 Service，重启后也无法就绪",
  },
  noServices: {
    en: "{policy} lets {pods} send to addresses of Services ({blocks}), which their packets no longer bear when policies are applied",
    zh: "{policy} 放行 {pods} 访问 Service 地址（{blocks}），但策略生效时报文的目的地址已被换成 Pod 地址",
  },
  noSuchPort: {
    en: "{policy} lets {allowed} in to {pods}, which listen on {listening}",
    zh: "{policy} 放行到 {pods} 的 {allowed}，而它们监听的是 {listening}",
  },
  noSuchPeer: {
    en: "{policy} cuts off {pods}: it allows only peers that do not exist",
    zh: "{policy} 使 {pods} 被隔离：它只放行并不存在的对端",
  },
  deniesAll: {
    en: "{policies} {count:denies|deny} every caller of Service {service}",
    zh: "{policies} 拒绝了 Service {service} 的所有调用方",
  },
  somePods: { en: "{first} and others ({total} Pods)", zh: "{first} 等 {total} 个 Pod" },
  allowDns: {
    en: "Allow the Pods to send to cluster DNS, port 53 by UDP and TCP",
    zh: "放行这些 Pod 访问集群 DNS 的 53 端口（UDP 和 TCP）",
  },
  allowPods: {
    en: "Allow the Pods behind the Services, by their labels, instead of the Services' addresses",
    zh: "改为按标签放行 Service 背后的 Pod，而不是 Service 的地址",
  },
  correctPort: { en: "Allow the port on which the Pods listen", zh: "放行 Pod 实际监听的端口" },
  choosePort: {
    en: "Decide which of the ports on which the Pods listen is meant, and allow it",
    zh: "确定应放行 Pod 监听的哪个端口，并修正策略",
  },
  correctPeer: {
    en: "Decide who is meant: see which labels Pods and namespaces carry, then correct the selectors",
    zh: "确定应放行谁：查看 Pod 和命名空间的标签，然后修正选择器",
  },
  enforceByDefault: {
    en: "Set enable-policy to default in {config} (or write the policies that all Pods need, DNS first)",
    zh: "将 {config} 中的 enable-policy 改回 default（或为所有 Pod 补上所需的策略，首先是 DNS）",
  },
  restartAgents: { en: "Let Cilium's agents read it", zh: "让 Cilium 代理读取该配置" },
  allowClients: {
    en: "Let all Pods ask cluster DNS, port 53 by UDP and TCP",
    zh: "允许所有 Pod 访问集群 DNS 的 53 端口（UDP 和 TCP）",
  },
  allowServer: {
    en: "Let CoreDNS send to the API server and to its upstream servers",
    zh: "放行 CoreDNS 访问 API Server 及其上游 DNS 服务器",
  },
  allowCallers: {
    en: "Decide who may call {service}, and add an ingress rule for them (or remove the policy)",
    zh: "确定允许谁访问 {service}，并为其添加入站规则（或删除该策略）",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Review policies by what they allow, in CI: `netwhy diagnose` on a bundle of the staging cluster names policies whose ports and peers match nothing",
    zh: "在 CI 中按实际放行的内容审查策略：对预发集群的采集包运行 `netwhy diagnose`，会指出端口或对端匹配不到任何对象的策略",
  },
  preventDns: {
    en: "Where a policy denies a namespace all egress by default, let the same policy allow DNS",
    zh: "若某条策略默认拒绝整个命名空间的出站流量，应在同一条策略中放行 DNS",
  },
  unknownEnforcer: {
    en: "nothing shows whether anything enforces NetworkPolicies here",
    zh: "无法确定此集群是否有组件执行 NetworkPolicy",
  },
});
