/** The words of the check service-rules-mismatch. */
import { texts } from "../../../text.ts";

export const say = texts("service-rules-mismatch", {
  nothingOfFamily: {
    en: "Node {node} has no IPv{family} rules for Services: connections to any IPv{family} ClusterIP leave it untranslated",
    zh: "节点 {node} 没有任何 IPv{family} 的 Service 规则：访问 IPv{family} ClusterIP 的连接未经转换就离开节点",
  },
  nothing: {
    en: "Node {node} has no rules for Services: connections to any ClusterIP leave it untranslated",
    zh: "节点 {node} 没有任何 Service 规则：访问 ClusterIP 的连接未经转换就离开节点",
  },
  notEntered: {
    en: "On node {node}, packets {from} bypass the Service rules: nothing in {chain} leads to {next}",
    zh: "节点 {node} 上{from}的报文绕过了 Service 规则：{chain} 链没有跳转到 {next}",
  },
  missing: {
    en: "Node {node} has no rule for Service {service}, which has {count} ready back {count:end|ends}",
    zh: "节点 {node} 没有 Service {service} 的规则，而它有 {count} 个就绪的后端",
  },
  unheldAll: {
    en: "No device of node {node} holds the addresses of Services (kube-ipvs0): what Pods send to any ClusterIP bypasses IPVS and leaves the node",
    zh: "节点 {node} 上没有设备持有 Service 的地址（kube-ipvs0）：Pod 发往任何 ClusterIP 的报文都绕过 IPVS，直接离开节点",
  },
  unheld: {
    en: "No device of node {node} holds {address} of Service {service} (kube-ipvs0): what Pods send there bypasses IPVS and leaves the node",
    zh: "节点 {node} 上没有设备持有 Service {service} 的地址 {address}（kube-ipvs0）：Pod 发往该地址的报文绕过 IPVS，直接离开节点",
  },
  noNodePorts: {
    en: "Node {node} serves no node ports: IPVS has no virtual server for any of them",
    zh: "节点 {node} 不提供任何 NodePort：IPVS 中没有对应的虚拟服务",
  },
  refused: {
    en: "Node {node} refuses Service {service} as if it had no back end, while it has {count}",
    zh: "节点 {node} 将 Service {service} 视为没有后端而拒绝，实际有 {count} 个后端",
  },
  foreign: {
    en: "A foreign rule on node {node} keeps packets from Service {service} ({table} {chain})",
    zh: "节点 {node} 上有一条外来规则阻断了到 Service {service} 的报文（{table} 表 {chain} 链）",
  },
  diverted: {
    en: "A foreign rule on node {node} sends packets for Service {service} to {extra}, which is not among its back ends ({table} {chain})",
    zh: "节点 {node} 上有一条外来规则把到 Service {service} 的报文送往 {extra}，而其不在该 Service 的后端之列（{table} 表 {chain} 链）",
  },
  stale: {
    en: "Node {node} sends Service {service} to {extra}, which {count:is|are} not among its back ends",
    zh: "节点 {node} 把 Service {service} 转发到 {extra}，而其不在该 Service 的后端之列",
  },
  lacking: {
    en: "Node {node} leaves out back ends of Service {service}: {missing}",
    zh: "节点 {node} 转发 Service {service} 时缺少后端 {missing}",
  },
  partly: {
    en: "Node {node} leaves some connections to Service {service} untranslated",
    zh: "节点 {node} 对到 Service {service} 的部分连接不做转换",
  },
  undropped: {
    en: "Node {node} has no back end of Service {service}, and no rule that drops its packets as it should: {what}",
    zh: "节点 {node} 没有 Service {service} 的本地后端，也缺少应丢弃其报文的规则：{what}",
  },
  toNodePort: { en: "its node port answers as if closed", zh: "其 NodePort 表现为未监听" },
  toClusterIp: { en: "those to its ClusterIP leave the node", zh: "发往其 ClusterIP 的报文离开节点" },
  unmasked: {
    en: "Node {node} does not give packets {from} for Service {service} its own address: no rule marks them for masquerading",
    zh: "节点 {node} 未对{from}到 Service {service} 的报文做源地址转换：没有规则标记它们",
  },
  hairpin: {
    en: "Node {node} does not give its own address to what back ends of Service {service} send to themselves through it (hairpin)",
    zh: "节点 {node} 未对 Service {service} 的后端经由该 Service 访问自身的报文做源地址转换（hairpin）",
  },
  unmarked: {
    en: "Node {node} gives no packets for Services its own address: nothing marks them for masquerading",
    zh: "节点 {node} 未对任何 Service 报文做源地址转换：没有规则标记它们",
  },
  more: { en: "{first} and {count} more", zh: "{first}（另有 {count} 个）" },
  fromPods: { en: "of Pods", zh: "来自 Pod " },
  fromNode: { en: "of the node itself", zh: "节点自身" },
  fromOutside: { en: "from outside", zh: "来自外部" },
  changing: {
    en: "back ends were changing ({services})",
    zh: "有后端正在变化（{services}）",
  },
  unclear: { en: "rules that could not be understood decide", zh: "结果取决于无法解析的规则" },
  restart: {
    en: "Restart kube-proxy on {node}: it writes all rules anew",
    zh: "重启 {node} 上的 kube-proxy：它会重写全部规则",
  },
  removeRule: {
    en: "Remove the rule, and from where it comes as well (firewall service, script), or it returns",
    zh: "删除该规则，并从其来源（防火墙服务、脚本）中一并去掉，否则会再次出现",
  },
  interrupts: {
    en: "Nothing: the rules stay while kube-proxy restarts",
    zh: "无中断：kube-proxy 重启期间规则保持不变",
  },
  nothingElse: { en: "Nothing", zh: "无" },
  preventFlush: {
    en: "Keep `iptables -F`, iptables-restore and firewall reloads off the nodes: kube-proxy writes again only what changes, and everything only about once an hour",
    zh: "不要在节点上执行 `iptables -F`、iptables-restore 或重载防火墙：kube-proxy 平时只重写有变化的部分，约每小时才全量写一次",
  },
  preventAlert: {
    en: "Probe a ClusterIP from every node, and alert on kubeproxy_sync_proxy_rules_last_timestamp_seconds: a healthy Pod of kube-proxy proves nothing about its rules",
    zh: "从每个节点探测一个 ClusterIP，并对 kubeproxy_sync_proxy_rules_last_timestamp_seconds 设置告警：kube-proxy 的 Pod 健康不代表规则正确",
  },
  preventForeign: {
    en: "Let one owner write packet filters on the nodes; a rule for a ClusterIP belongs into a NetworkPolicy",
    zh: "节点上的包过滤规则应只有一个管理者；针对 ClusterIP 的限制应使用 NetworkPolicy",
  },
});
