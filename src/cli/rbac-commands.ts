/** The commands for permissions, their options and their help, as data. */
import type { RbacCheckFormatName } from "../report/formats/rbac-check.ts";
import { texts } from "../text.ts";
import type { CommandSpec, OptionSpec } from "./commands.ts";

const say = texts("rbac-commands", {
  check: { en: "permissions of components against their releases'", zh: "按版本核对各组件的权限" },
  checkLong: {
    en: "Compares what every component of the network is granted with what its release needs:\nwhat is missing and what follows from it, what is wider than needed, and what\nkube-apiserver makes again by itself. Exits with 0 if nothing that matters is missing.",
    zh: "把网络各组件的现有权限与其版本所需逐条比较：缺少什么、后果如何、哪些超出所需、\n哪些会由 kube-apiserver 自动恢复。没有缺少必需权限时以 0 退出。",
  },
  checkOutput: {
    en: "text (default), wide, json or markdown",
    zh: "text（默认）、wide、json 或 markdown",
  },
  strict: { en: "what the network can be without counts too", zh: "非必需的权限缺失也视为故障" },
  evidence: {
    en: "the evidence: a directory, or a .tar.gz or .tar.zst of one",
    zh: "证据包：目录，或其 .tar.gz / .tar.zst 压缩包",
  },
  component: {
    en: "describes a component unknown to netwhy (repeatable)",
    zh: "描述 netwhy 未内置的组件的文件（可重复）",
  },
  thisCluster: { en: "this cluster, now", zh: "检查当前集群" },
  backup: { en: "keeps permissions and network objects in a file", zh: "备份权限与网络对象" },
  backupLong: {
    en: "Writes all RBAC objects, and the network's ServiceAccounts, ConfigMaps, DaemonSets and\nDeployments, into one file of YAML whose head holds digests. Needs the API server only.\nFor cron: one line of output; exits with 2 if something could not be read. What did\nnot change since the newest backup in DIR/ is not written again.",
    zh: "将全部 RBAC 对象，以及网络组件的 ServiceAccount、ConfigMap、DaemonSet 和 Deployment\n写入一个带摘要的 YAML 文件。只需要能访问 API Server。适合 cron：只输出一行；有内容\n读不到时以 2 退出。与 DIR/ 中最新备份相同时不重复写入。",
  },
  backupFile: {
    en: "a file, DIR/ or - (default: netwhy-rbac-TIME.yaml)",
    zh: "文件、目录/ 或 -（默认 netwhy-rbac-时间.yaml）",
  },
  keep: { en: "keep only so many backups of this cluster in DIR/", zh: "目录中只保留该集群的若干份备份" },
  sign: { en: "sign it with this Ed25519 private key (PEM)", zh: "用该 Ed25519 私钥（PEM）签名" },
  bundle: { en: "not the cluster now, but this bundle of it", zh: "不读取集群，而使用该证据包" },
  context: {
    en: "the context of the kubeconfig (default: its current one)",
    zh: "kubeconfig 上下文（默认为当前上下文）",
  },
  kubeconfig: {
    en: "the kubeconfig (default: KUBECONFIG, else ~/.kube/config)",
    zh: "kubeconfig 路径（默认 KUBECONFIG 或 ~/.kube/config）",
  },
  timeout: { en: "end reading after so many seconds (default: 180)", zh: "读取的时限，单位秒（默认 180）" },
  verifyKey: { en: "refuse a backup not signed with this public key's half", zh: "备份须能以该公钥（PEM）验证签名" },
  diff: { en: "what changed in permissions since a backup", zh: "自备份以来权限有何变化" },
  diffLong: {
    en: "Says what is otherwise in NEW than in OLD: of roles what they permit, however it is\nwritten, of bindings whom, of other objects each field; and who may do more or less by\nit. Exits with 0 if nothing is otherwise, 1 if something is, 2 if not all could be seen.",
    zh: "比较 OLD 与 NEW：角色比较其实际允许的操作（与写法无关），绑定比较主体，其他对象比较\n各字段，并列出权限增减的主体。无差异时以 0 退出，有差异时为 1，未能全部比较时为 2。",
  },
  oldBackup: { en: "a backup, or now", zh: "一份备份，或 now" },
  newBackup: { en: "a backup, or now (default)", zh: "一份备份，或 now（默认）" },
  output: { en: "text (default) or json", zh: "text（默认）或 json" },
  restore: { en: "puts back objects of a backup", zh: "从备份恢复对象" },
  restoreLong: {
    en: "Puts back what is missing of a backup, or what is named, by server-side apply in the\nright order. Shows first what would be done and who may do more by it, tries all of it\nas a dry run, and asks. Nothing that the backup does not hold is touched or deleted.",
    zh: "按正确顺序以 server-side apply 恢复备份中缺失的（或指定的）对象。会先列出将执行的\n操作和权限将增加的主体，全部试运行一遍，再询问。备份之外的对象不会被修改或删除。",
  },
  theBackup: { en: "the backup, as `rbac backup` wrote it", zh: "由 `rbac backup` 生成的备份" },
  object: {
    en: "clusterrole/flannel, role/ns/name, clusterroles (default: missing)",
    zh: "clusterrole/flannel、role/命名空间/名称、clusterroles（默认为缺失的）",
  },
  namespace: { en: "only objects of this namespace", zh: "只恢复该命名空间中的对象" },
  selector: { en: "only objects with these labels, as kubectl's -l", zh: "只恢复标签匹配的对象（写法同 kubectl -l）" },
  all: { en: "also objects that are there and otherwise", zh: "也恢复已存在但有差异的对象" },
  dryRun: { en: "only show it and have the API server try it", zh: "只显示并由 API Server 试运行" },
  yes: { en: "do not ask", zh: "不再询问" },
  allowWider: {
    en: "with --yes: also let existing objects grant more than now",
    zh: "与 --yes 同用：允许现有对象授予更多权限",
  },
  otherCluster: { en: "restore a backup of another cluster here", zh: "允许恢复来自另一个集群的备份" },
  recover: { en: "manifests of permissions that are gone, without a backup", zh: "无备份时恢复缺失权限的清单" },
  recoverLong: {
    en: "Prints manifests of roles, bindings and ServiceAccounts that are gone: from Helm's record\nof the release (read from its Secrets, by type), else from kube-apiserver's own policy,\nelse from what kubeadm sets up, else from the component's release; each with its source\nand what it lacks. Changes nothing. Without OBJECT: all that is missing.",
    zh: "输出缺失的角色、绑定和 ServiceAccount 的清单：依次取自 Helm 的 Release 记录（按类型读取\n其 Secret）、kube-apiserver 内置策略、kubeadm 默认配置、组件发行版的权限，并注明来源\n及可能欠缺的内容。不做任何修改。未指定 OBJECT 时输出所有缺失的对象。",
  },
  lostObject: {
    en: "clusterrole/cilium, role/ns/name (default: all missing)",
    zh: "clusterrole/cilium、role/命名空间/名称（默认为所有缺失的）",
  },
  applyAll: { en: "and restore it", zh: "并恢复" },
  sinceBackup: { en: "what was taken away since", zh: "此后少了哪些权限" },
  lookFirst: { en: "look first", zh: "先查看" },
  oneRole: { en: "one role", zh: "恢复一个角色" },
  everyNight: { en: "every night, thirty states", zh: "每晚备份，保留 30 份" },
  ofIncident: { en: "of a bundle", zh: "由证据包生成" },
});

const VERIFY: OptionSpec = { flags: "--verify-key <key>", describes: say.verifyKey() };

/** What all of them take that read a cluster or a bundle of it. */
const WHERE: readonly OptionSpec[] = [
  { flags: "--bundle <path>", describes: say.bundle() },
  { flags: "--context <name>", describes: say.context() },
  { flags: "--kubeconfig <path>", describes: say.kubeconfig() },
  { flags: "--timeout <seconds>", describes: say.timeout() },
];

export const RBAC_COMMANDS: readonly CommandSpec[] = [
  {
    name: "rbac check",
    arguments: [{ name: "BUNDLE", describes: say.evidence() }],
    summary: say.check(),
    description: say.checkLong(),
    options: [
      {
        flags: "-o, --output <format>",
        describes: say.checkOutput(),
        values: ["text", "wide", "json", "markdown"] satisfies RbacCheckFormatName[],
      },
      { flags: "--strict", describes: say.strict() },
      { flags: "--component <file>", describes: say.component(), isList: true },
      ...WHERE,
    ],
    examples: [
      { run: "rbac check", does: say.thisCluster() },
      { run: "rbac check ./incident.tar.gz", does: say.ofIncident() },
    ],
    run: async ([argument], given, surroundings) => {
      const { rbacCheckCommand } = await import("./rbac-check-command.ts");
      return rbacCheckCommand(argument, given, surroundings);
    },
  },
  {
    name: "rbac backup",
    arguments: [],
    summary: say.backup(),
    description: say.backupLong(),
    options: [
      { flags: "-o, --output <file>", describes: say.backupFile() },
      { flags: "--keep <number>", describes: say.keep() },
      { flags: "--sign <key>", describes: say.sign() },
      ...WHERE,
    ],
    examples: [
      { run: "rbac backup -o /var/backups/netwhy/ --keep 30", does: say.everyNight() },
      { run: "rbac backup --bundle ./incident.tar.gz -o rbac.yaml", does: say.ofIncident() },
    ],
    run: async (_, given, surroundings) => {
      const { backupCommand } = await import("./rbac-backup-command.ts");
      return backupCommand(given, surroundings);
    },
  },
  {
    name: "rbac diff",
    arguments: [
      { name: "OLD", describes: say.oldBackup() },
      { name: "NEW", describes: say.newBackup() },
    ],
    summary: say.diff(),
    description: say.diffLong(),
    options: [{ flags: "-o, --output <format>", describes: say.output(), values: ["text", "json"] }, VERIFY, ...WHERE],
    examples: [{ run: "rbac diff rbac.yaml now", does: say.sinceBackup() }],
    run: async (values, given, surroundings) => {
      const { rbacDiffCommand } = await import("./rbac-diff-command.ts");
      return rbacDiffCommand(values, given, surroundings);
    },
  },
  {
    name: "rbac restore",
    arguments: [
      { name: "BACKUP", describes: say.theBackup() },
      { name: "OBJECT…", describes: say.object(), isList: true },
    ],
    summary: say.restore(),
    description: say.restoreLong(),
    options: [
      { flags: "-n, --namespace <name>", describes: say.namespace() },
      { flags: "-l, --selector <selector>", describes: say.selector() },
      { flags: "--all", describes: say.all() },
      { flags: "--dry-run", describes: say.dryRun() },
      { flags: "--yes", describes: say.yes() },
      { flags: "--allow-wider", describes: say.allowWider() },
      { flags: "--other-cluster", describes: say.otherCluster() },
      VERIFY,
      ...WHERE.slice(1),
    ],
    examples: [
      { run: "rbac restore rbac.yaml --dry-run", does: say.lookFirst() },
      { run: "rbac restore rbac.yaml clusterrole/flannel", does: say.oneRole() },
    ],
    run: async (values, given, surroundings) => {
      const { rbacRestoreCommand } = await import("./rbac-restore-command.ts");
      return rbacRestoreCommand(values, given, surroundings);
    },
  },
  {
    name: "rbac recover",
    arguments: [{ name: "OBJECT…", describes: say.lostObject(), isList: true }],
    summary: say.recover(),
    description: say.recoverLong(),
    options: WHERE,
    examples: [
      { run: "rbac recover clusterrole/cilium | kubectl apply -f -", does: say.applyAll() },
      { run: "rbac recover --bundle ./incident.tar.gz", does: say.ofIncident() },
    ],
    run: async (values, given, surroundings) => {
      const { rbacRecoverCommand } = await import("./rbac-recover-command.ts");
      return rbacRecoverCommand(values, given, surroundings);
    },
  },
];
