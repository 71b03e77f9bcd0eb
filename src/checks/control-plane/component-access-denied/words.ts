/** The words of the check component-access-denied. */
import { texts } from "../../../text.ts";

export const say = texts("component-access-denied", {
  roleMissing: {
    en: "{component} has lost its permissions: {role} does not exist; {consequence}",
    zh: "{component} 丢失权限：{role} 不存在；{consequence}",
  },
  bindingMissing: {
    en: "{component} has lost its permissions: no binding gives {role} to {account}; {consequence}",
    zh: "{component} 丢失权限：没有任何绑定把 {role} 授予 {account}；{consequence}",
  },
  roleGoneAndRePointed: {
    en: "{component} has lost its permissions: {role} does not exist, and {binding} refers to {other}; {consequence}",
    zh: "{component} 丢失权限：{role} 不存在，{binding} 引用的是 {other}；{consequence}",
  },
  bothMissing: {
    en: "{component} has lost its permissions: neither {role} nor a binding for {account} exists; {consequence}",
    zh: "{component} 丢失权限：{role} 不存在，也没有绑定指向 {account}；{consequence}",
  },
  subjectWrong: {
    en: "{component} has lost its permissions: {binding} does not name {account}; {consequence}",
    zh: "{component} 丢失权限：{binding} 的 subjects 不含 {account}；{consequence}",
  },
  roleRefWrong: {
    en: "{component} has lost its permissions: {binding} does not refer to {role}; {consequence}",
    zh: "{component} 丢失权限：{binding} 引用的不是 {role}；{consequence}",
  },
  ruleMissing: {
    en: "{component} may not {verbs} {resources}: no rule of {role} allows it; {consequence}",
    zh: "{component} 无权对 {resources} 执行 {verbs}：{role} 中没有相应规则；{consequence}",
  },
  ruleMisspelt: {
    en: "{component} may not {verbs} {resources}: {role} has a rule for it that does not count, because {because}; {consequence}",
    zh: "{component} 无权对 {resources} 执行 {verbs}：{role} 中的相应规则不起作用，因为{because}；{consequence}",
  },
  bindingNarrow: {
    en: "{component} has lost its permissions: {narrow} gives {role} to {account} in one namespace, and no ClusterRoleBinding in all; {consequence}",
    zh: "{component} 丢失权限：{narrow} 只在一个命名空间内把 {role} 授予 {account}，没有 ClusterRoleBinding 在整个集群授予；{consequence}",
  },
  accountMissing: {
    en: "{component} has no identity: its ServiceAccount {account} does not exist",
    zh: "{component} 没有身份：其 ServiceAccount {account} 不存在",
  },
  tokenMissing: {
    en: "{component}'s next Pods get no token: {object} says automountServiceAccountToken: false; without one they are nobody to the API server (401), and do not start",
    zh: "{component} 的新 Pod 拿不到令牌：{object} 设置了 automountServiceAccountToken: false；没有令牌，API Server 不认其身份（401），Pod 无法启动",
  },
  restoreToken: {
    en: "Let its Pods have the token of their ServiceAccount",
    zh: "恢复为其 Pod 挂载 ServiceAccount 令牌",
  },
  otherAccountMissing: {
    en: "{component} works by ServiceAccount {account} as well, which does not exist: {consequence}",
    zh: "{component} 还依赖 ServiceAccount {account}，而它不存在：{consequence}",
  },
  objectMissing: {
    en: "{object} does not exist, which {maker} makes: {consequence}",
    zh: "由 {maker} 创建的 {object} 不存在：{consequence}",
  },
  objectLacksRules: {
    en: "{object} does not allow to {verbs} {resources}, as {maker} makes it: {consequence}",
    zh: "{object} 与 {maker} 创建的不同，不允许对 {resources} 执行 {verbs}：{consequence}",
  },
  objectLacksSubject: {
    en: "{object} does not name {account}, as {maker} makes it: {consequence}",
    zh: "{object} 与 {maker} 创建的不同，subjects 不含 {account}：{consequence}",
  },
  madeAgain: {
    en: "Restore it as kube-apiserver does whenever it starts",
    zh: "按 kube-apiserver 每次启动时的做法恢复该对象",
  },
  heard: {
    en: "{component} is refused by the API server for want of permission ({object})",
    zh: "{component} 因缺少权限被 API Server 拒绝（{object}）",
  },
  refused: {
    en: "The API server refuses {component} on {nodes} (403): it may not {verbs} {resources}",
    zh: "API Server 拒绝了 {nodes} 上 {component} 的请求（403）：无权对 {resources} 执行 {verbs}",
  },
  unauthorized: {
    en: "The API server does not accept the token of {component} (401): that is no matter of permissions but of the token, which has expired or belongs to an account that was made anew; a restart of its Pods brings another",
    zh: "API Server 不接受 {component} 的令牌（401）：这与权限无关，而是令牌已过期，或属于已被重建的账号；重启其 Pod 即可换用新令牌",
  },
  wasDenied: {
    en: "{component} had been refused by the API server; it has its permissions again",
    zh: "{component} 曾被 API Server 拒绝，现已恢复权限",
  },
  restoreRole: {
    en: "Restore the role with the rules that {component} ships with",
    zh: "按 {component} 自带的规则恢复该角色",
  },
  addRules: {
    en: "Give the role back the rules that it lacks; the others stay as they are",
    zh: "为该角色补回缺少的规则，其余规则不变",
  },
  labelPart: {
    en: "{role} collects its rules from ClusterRoles with the labels {labels}, and {part}, which has those that it lacks, bears them no more: label it again",
    zh: "{role} 从带标签 {labels} 的 ClusterRole 聚合规则，而包含所缺规则的 {part} 已没有该标签：重新加上",
  },
  addPart: {
    en: "{role} collects its rules from ClusterRoles with the labels {labels}, and what is written into it by hand is overwritten: give it a part with the rules that it lacks",
    zh: "{role} 的规则聚合自带有标签 {labels} 的 ClusterRole，直接修改会被控制器覆盖：请新建一个带该标签的 ClusterRole 补回缺少的规则",
  },
  restoreBinding: {
    en: "Bind the role to {account} again",
    zh: "重新把角色绑定到 {account}",
  },
  correctSubject: {
    en: "Let the binding name {account}",
    zh: "让该绑定的 subjects 包含 {account}",
  },
  removeBinding: {
    en: "Delete the binding: what it refers to cannot be changed",
    zh: "删除该绑定：roleRef 创建后不可修改",
  },
  restoreAccount: { en: "Make the ServiceAccount again", zh: "重建该 ServiceAccount" },
  fromHelm: {
    en: "Restore it from Helm's own record of release {release}, which is still in the cluster; nothing else of it is touched",
    zh: "从集群中仍保存的 Helm Release {release} 记录恢复该对象，其他对象不受影响",
  },
  fromRecord: {
    en: "Restore {object} as Helm's record of {chart} has it (release {release}, revision {revision}), marks of the release included: what was changed by hand since is not in it",
    zh: "按 Helm 记录（{chart}，Release {release}，版本 {revision}）恢复 {object}，含 Release 归属标记；不含此后的手工修改",
  },
  fromManifest: {
    en: "Restore the RBAC objects of {component} {version} from its manifest; everything else in it is left alone",
    zh: "从 {component} {version} 的清单中恢复 RBAC 对象，清单中的其他对象不受影响",
  },
  restart: {
    en: "Restart what waits in its back-off; where {component} still runs it recovers by itself within a minute",
    zh: "重启仍在退避等待的 Pod；正在运行的 {component} 会在一分钟内自行恢复",
  },
  identities: {
    en: "See that no Pod keeps the identity reserved:init: agents that may read again give Pods made since their own within a minute or two; delete those that keep it, and they are made anew",
    zh: "确认没有 Pod 停留在 reserved:init：恢复权限后，agent 会在一两分钟内为此后新建的 Pod 分配身份；仍停留的 Pod 请删除重建",
  },
  restartAll: {
    en: "Restart {component}: its Pods hold tokens of an account that is gone",
    zh: "重启 {component}：其 Pod 持有的令牌属于已不存在的账号",
  },
  indeed: {
    en: "`kubectl get` shows that {object} is missing: here it was only heard of",
    zh: "用 `kubectl get` 确认 {object} 确实缺失：目前仅由日志得知",
  },
  interrupts: {
    en: "Nothing: what is programmed stays in the kernel",
    zh: "无中断：已写入内核的配置保持不变",
  },
  preventAdmission: {
    en: "Let the API server refuse it: `netwhy guard render` writes a ValidatingAdmissionPolicy for {objects} and all else that the network works by",
    zh: "由 API Server 直接拒绝：`netwhy guard render` 为 {objects} 及网络依赖的其他对象生成 ValidatingAdmissionPolicy",
  },
  preventBackup: {
    en: "Keep a copy: `netwhy rbac backup -o DIR/ --keep 30` by cron; before every delete by label, ask `netwhy what-if --delete TYPES -l LABELS` what it would break",
    zh: "定期备份：由 cron 执行 `netwhy rbac backup -o 目录/ --keep 30`；按标签删除前，先用 `netwhy what-if --delete 类型 -l 标签` 查看会造成什么故障",
  },
  preventAlert: {
    en: "Alert on `apiserver_request_total` with code 403 (`netwhy guard render` writes the rules): {component} stays Running and Ready without its permissions",
    zh: "对 code 为 403 的 `apiserver_request_total` 设置告警（规则由 `netwhy guard render` 生成）：失去权限的 {component} 仍会保持 Running 和 Ready",
  },
});
