/** The words of the check service-without-endpoints. */
import { texts } from "../../../text.ts";

export const say = texts("service-without-endpoints", {
  noMatch: {
    en: "Service {service} selects no Pod: none in its namespace carries {selector}",
    zh: "Service {service} 没有选中任何 Pod：其命名空间内没有 Pod 带有标签 {selector}",
  },
  noMatchMeant: {
    en: "Service {service} selects no Pod: it wants {selector}, the Pods of {workload} carry {labels}",
    zh: "Service {service} 没有选中任何 Pod：它要求 {selector}，而 {workload} 的 Pod 带有 {labels}",
  },
  notReady: {
    en: "Service {service} has no ready back end: no Pod of {workload} is ready ({reason})",
    zh: "Service {service} 没有就绪的后端：{workload} 的 Pod 均未就绪（{reason}）",
  },
  scaledToZero: {
    en: "Service {service} has no back end: {workload} is scaled to zero",
    zh: "Service {service} 没有后端：{workload} 的副本数为 0",
  },
  noPods: {
    en: "Service {service} has no back end: {workload} asks for {count} {count:Pod|Pods} and has none",
    zh: "Service {service} 没有后端：{workload} 期望 {count} 个 Pod，实际一个都没有",
  },
  notWritten: {
    en: "Service {service} has {count} ready {count:Pod|Pods} that its EndpointSlices do not name",
    zh: "Service {service} 有 {count} 个就绪的 Pod 未写入其 EndpointSlice",
  },
  changing: { en: "its Pods were coming or going", zh: "其 Pod 正在变化" },
  probeFails: { en: "readiness probe fails", zh: "就绪探针失败" },
  probesClosedPort: {
    en: "readiness probe asks port {port}, on which nothing listens",
    zh: "就绪探针访问端口 {port}，而该端口无人监听",
  },
  gateFails: { en: "readiness gate {gate} is not met", zh: "就绪门控 {gate} 未满足" },
  ended: { en: "terminated", zh: "已退出" },
  deleting: { en: "being deleted", zh: "正在删除" },
  unready: { en: "not ready", zh: "未就绪" },
  correctSelector: {
    en: "Let the selector select the Pods of {workload} again",
    zh: "让选择器重新选中 {workload} 的 Pod",
  },
  seeLabels: {
    en: "See which labels the Pods carry, then correct the selector of the Service, or the labels of the Pods",
    zh: "查看 Pod 实际的标签，然后修正 Service 的选择器或 Pod 的标签",
  },
  scaleUp: {
    en: "Scale the workload up again, to as many Pods as it had",
    zh: "恢复工作负载的副本数",
  },
  correctProbe: {
    en: "Let the probe ask a port on which the Pods listen ({listening}), or the program listen on {port}",
    zh: "让探针访问 Pod 实际监听的端口（{listening}），或让程序监听 {port}",
  },
  lookAtPods: {
    en: "See why the Pods are not ready: what the probe was answered, what the program says",
    zh: "查看 Pod 未就绪的原因：探针得到的响应，以及程序日志",
  },
  lookAtWorkload: {
    en: "See why no Pod is made: quota, admission webhook, a Pod template that is refused",
    zh: "查看 Pod 未被创建的原因：配额、准入 Webhook、Pod 模板被拒绝",
  },
  lookAtController: {
    en: "See whether kube-controller-manager, which writes EndpointSlices, holds and renews its lease",
    zh: "检查写入 EndpointSlice 的 kube-controller-manager 是否持有租约并在续租",
  },
  restartController: {
    en: "Restart it where it hangs; kubelet starts it again",
    zh: "在其卡住的节点上重启它，kubelet 会重新拉起",
  },
  nothing: { en: "Nothing", zh: "无" },
  controllers: {
    en: "Controllers for some seconds; traffic goes on",
    zh: "控制器中断数秒，流量不受影响",
  },
  attaches: {
    en: "The Service gets other back ends: check first which Pods the new selector selects",
    zh: "Service 的后端会改变：先核对新选择器会选中哪些 Pod",
  },
  preventEmpty: {
    en: "Alert on Services that had back ends and have none (kube_endpoint_address with ready=true)",
    zh: "对曾有后端而现在没有的 Service 设置告警（kube_endpoint_address 且 ready=true）",
  },
  preventSelector: {
    en: "Make selector and Pod labels from one source (Helm helper, kustomize labels), and compare them in CI",
    zh: "选择器与 Pod 标签由同一份配置生成（Helm helper、kustomize labels），并在 CI 中核对",
  },
});
