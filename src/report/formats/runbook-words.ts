/** The labels of an incident's record. */
import { texts } from "../../text.ts";

export const runbookWords = texts("runbook", {
  title: { en: "Network incident: {objects}", zh: "Kubernetes 集群网络故障排查记录：{objects}" },
  titleHealthy: { en: "Network check: no fault found", zh: "Kubernetes 集群网络检查记录：未发现故障" },
  titleUnclear: { en: "Network incident: cause not yet known", zh: "Kubernetes 集群网络故障排查记录：根因未明" },
  cluster: { en: "Cluster", zh: "集群" },
  evidenceOf: { en: "Evidence of", zh: "证据采集时间" },
  impact: { en: "Impact", zh: "影响范围" },
  impactTests: {
    en: "{failed} of {made} {made:test|tests} failed; {count} {count:symptom|symptoms} on record",
    zh: "{made} 项探测中 {failed} 项失败；记录到 {count} 种现象",
  },
  impactMeant: {
    en: "{failed} of {made} {made:test|tests} failed, some of them because NetworkPolicies deny it on purpose; {count} {count:symptom|symptoms} on record",
    zh: "{made} 项探测中 {failed} 项失败，其中部分是 NetworkPolicy 有意拒绝；记录到 {count} 种现象",
  },
  impactUntested: {
    en: "not measured: the evidence holds no active tests; {count} {count:symptom|symptoms} on record",
    zh: "未度量：证据中没有主动探测；记录到 {count} 种现象",
  },
  writtenBy: { en: "Written by", zh: "生成工具" },
  from: { en: "netwhy {version}, from the evidence alone", zh: "netwhy {version}，仅依据证据生成" },

  symptoms: { en: "Symptoms", zh: "问题现象" },
  noSymptoms: {
    en: "Nothing that users feel is on record yet: the fault waits for the next change or restart.",
    zh: "尚无用户可感知的现象：故障将在下次变更或重启时显现。",
  },
  timeline: { en: "Time line", zh: "时间线" },
  firstTrace: { en: "{object}: the oldest trace of the fault", zh: "{object}：最早的故障痕迹" },
  captured: { en: "the evidence was taken", zh: "采集证据" },

  howFound: { en: "How it was found", zh: "排查过程" },
  howFoundNote: {
    en: "From what users see back to the cause; every step can be repeated.",
    zh: "从用户可见的现象逐步追溯到根因，每一步均可重做。",
  },
  step: { en: "{index}. {title}", zh: "{index}. {title}" },
  whatFails: { en: "What fails, and from where", zh: "确认故障现象" },
  backAlong: { en: "Back along the chain", zh: "沿链路回溯" },
  backAlongOf: { en: "Back along the chain to {object}", zh: "沿链路回溯至 {object}" },
  confirm: { en: "The cause itself", zh: "确认根因" },
  confirmOf: { en: "The cause itself: {object}", zh: "确认根因：{object}" },
  showsOn: { en: "On {node}:", zh: "在节点 {node} 上：" },
  result: { en: "Result:", zh: "结果：" },
  page: { en: "What to look for in general: `netwhy explain {check}`", zh: "通用排查方法：`netwhy explain {check}`" },
  notIt: { en: "What it is not", zh: "已排除的可能" },
  worked: {
    en: "{count} {count:test|tests} worked all the while: the network is not down as a whole.",
    zh: "另有 {count} 项探测一直正常：并非全网中断。",
  },
  clearChecks: {
    en: "{count} {count:check|checks} of the layer {layer} found nothing: {ids}",
    zh: "{layer} 层的 {count} 项检查未发现问题：{ids}",
  },
  unseen: {
    en: "Not known: {what} ({why})",
    zh: "未知：{what}（{why}）",
  },

  rootCause: { en: "Root cause", zh: "根本原因" },
  chain: { en: "Chain of effects", zh: "影响链路" },
  fix: { en: "Fix", zh: "解决方案" },
  fixOf: { en: "{object}", zh: "{object}" },
  option: { en: "Option {index}", zh: "方案 {index}" },
  verification: { en: "Verification", zh: "验证修复" },
  repaired: { en: "The repair is in place:", zh: "确认修复已生效：" },
  failedBefore: { en: "What failed before, works:", zh: "重做此前失败的探测，应全部成功：" },
  askAgain: {
    en: "Everything else, too: `netwhy diagnose` says healthy (exit code 0):",
    zh: "整体复查：`netwhy diagnose` 应报告健康（退出码 0）：",
  },
  prevention: { en: "Prevention", zh: "预防措施" },
  alsoSeen: { en: "Seen in passing", zh: "附带发现" },
});
