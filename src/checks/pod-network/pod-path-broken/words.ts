/** The words of the check pod-path-broken. */
import { texts } from "../../../text.ts";

export const say = texts("pod-path-broken", {
  device: {
    en: "A device on the way to the Pods of node {node} is down or missing: {what}",
    zh: "通往节点 {node} 上 Pod 的网卡未启用或缺失：{what}",
  },
  hairpin: {
    en: "Pods of node {node} do not reach themselves through their own Service: {what}",
    zh: "节点 {node} 上的 Pod 无法经由自己的 Service 访问自身：{what}",
  },
  bridge: {
    en: "The bridge of node {node} does not pass packets between its Pods: {what}",
    zh: "节点 {node} 的网桥不转发其 Pod 之间的报文：{what}",
  },
  source: {
    en: "Node {node} throws away packets of Pods because of where they come in: {what}",
    zh: "节点 {node} 因报文入口不符而丢弃 Pod 报文：{what}",
  },
  gateway: {
    en: "Pods of node {node} do not get out of it: {what}",
    zh: "节点 {node} 上的 Pod 无法发出报文：{what}",
  },
  answer: {
    en: "On node {node}, answers of Pods to Pods of the same node bypass the Service rules: {key} is 0",
    zh: "节点 {node} 上同节点 Pod 之间的应答绕过了 Service 规则：{key} 为 0",
  },
  unloaded: {
    en: "On node {node}, answers of Pods to Pods of the same node bypass the Service rules: the module br_netfilter is not loaded",
    zh: "节点 {node} 上同节点 Pod 之间的应答绕过了 Service 规则：未加载 br_netfilter 模块",
  },
  masquerade: {
    en: "Node {node} does not give packets for Services its own address where answers need it: {what}",
    zh: "节点 {node} 未对需要的 Service 报文做源地址转换：{what}",
  },
  rewrite: {
    en: "Restart kube-proxy on {node}: it writes the jump from POSTROUTING and its chain anew",
    zh: "重启 {node} 上的 kube-proxy：它会重写 POSTROUTING 的跳转及其链",
  },
  restartBy: { en: "Restarting kube-proxy interrupts nothing", zh: "重启 kube-proxy 不影响业务" },
  setUp: { en: "Bring the device up, or let the CNI make it anew", zh: "启用该网卡，或让 CNI 重新创建" },
  allowHairpin: {
    en: "Allow hairpin on the bridge's ports, and hairpinMode in the CNI configuration for Pods to come",
    zh: "在网桥端口上开启 hairpin，并在 CNI 配置中设置 hairpinMode 以覆盖后续 Pod",
  },
  address: {
    en: "Give the bridge the address that the node's Pods have for a gateway",
    zh: "为网桥配置本节点 Pod 所用的网关地址",
  },
  removeRule: {
    en: "Remove the rule, or let through before it what nodes and Pods ask their neighbours (ICMPv6 types 133 to 136)",
    zh: "删除该规则，或在其之前放行节点与 Pod 的邻居发现报文（ICMPv6 类型 133 至 136）",
  },
  renew: {
    en: "Delete the Pod, so that the CNI makes it anew with the routes of the others",
    zh: "删除该 Pod，由 CNI 重建并配置与其他 Pod 相同的路由",
  },
  separate: { en: "Take the isolation off the bridge's ports", zh: "取消网桥端口的隔离" },
  loosen: {
    en: "Let the source check accept every known source (2) or switch it off (0): the larger of “all” and the device counts",
    zh: "将源地址校验放宽为宽松模式（2）或关闭（0）：以 all 与该网卡两者中的较大值为准",
  },
  load: {
    en: "Load the module, now and at every boot (/etc/modules-load.d): bridged packets then pass the rules of iptables",
    zh: "立即加载该模块，并写入 /etc/modules-load.d 使其开机加载：之后桥接报文会经过 iptables 规则",
  },
  filterBridged: {
    en: "Let bridged packets pass the rules of iptables (module br_netfilter)",
    zh: "让桥接报文经过 iptables 规则（模块 br_netfilter）",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep network managers of the distribution away from the CNI's devices, and set kernel parameters in /etc/sysctl.d",
    zh: "不要让发行版的网络管理程序接管 CNI 的网卡，并在 /etc/sysctl.d 中固定内核参数",
  },
});
