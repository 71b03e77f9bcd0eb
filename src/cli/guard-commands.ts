/** The commands of the guard, their options and their help, as data. */
import { texts } from "../text.ts";
import type { CommandSpec, OptionSpec } from "./commands.ts";

const say = texts("guard-commands", {
  render: { en: "files that keep an incident from happening again", zh: "生成防止故障再次发生的文件" },
  renderLong: {
    en: "Writes, for the components that this cluster really has: admission policies that refuse\nto delete or empty what its network works by, Prometheus alerts with their tests, rules\nfor the audit log, a nightly backup. Read them; `guard install` applies the policies.",
    zh: "针对集群中实际安装的组件生成：拒绝删除或清空网络所依赖对象的准入策略、Prometheus\n告警规则及其测试、审计策略片段、每晚备份。请先阅读；`guard install` 只应用准入策略。",
  },
  directory: { en: "where to write them (default: netwhy-guard)", zh: "写入的目录（默认 netwhy-guard）" },
  action: { en: "deny (default), or warn: let it pass and tell", zh: "deny（默认）拒绝；warn 只告警不拒绝" },
  image: { en: "the image of netwhy for the backup in the cluster", zh: "集群内备份所用的 netwhy 镜像" },
  install: { en: "applies the admission policies of the guard", zh: "应用防护准入策略" },
  installLong: {
    en: "Applies the admission policies of `guard render` by server-side apply: shows what is\nprotected, tries all of it as a dry run, and asks. Needs Kubernetes 1.30. To take it away:\n`kubectl delete validatingadmissionpolicy,validatingadmissionpolicybinding\n-l app.kubernetes.io/component=guard`.",
    zh: "以 server-side apply 应用 `guard render` 的准入策略：先列出受保护的对象，全部试运行，\n再询问。需要 Kubernetes 1.30 及以上。移除方法：\n`kubectl delete validatingadmissionpolicy,validatingadmissionpolicybinding\n-l app.kubernetes.io/component=guard`。",
  },
  dryRun: { en: "only show it and have the API server try it", zh: "只显示并由 API Server 试运行" },
  yes: { en: "do not ask", zh: "不再询问" },
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
  readFirst: { en: "read first what it would be", zh: "先生成并阅读" },
  lookFirst: { en: "look first", zh: "先查看" },
  watchFirst: { en: "see for a while what it would refuse", zh: "先观察一段时间会拒绝什么" },
});

const ACTION: OptionSpec = { flags: "--action <action>", describes: say.action(), values: ["deny", "warn"] };

const CLUSTER: readonly OptionSpec[] = [
  { flags: "--context <name>", describes: say.context() },
  { flags: "--kubeconfig <path>", describes: say.kubeconfig() },
  { flags: "--timeout <seconds>", describes: say.timeout() },
];

export const GUARD_COMMANDS: readonly CommandSpec[] = [
  {
    name: "guard render",
    arguments: [],
    summary: say.render(),
    description: say.renderLong(),
    options: [
      { flags: "-o, --output <directory>", describes: say.directory() },
      ACTION,
      { flags: "--image <image>", describes: say.image() },
      { flags: "--bundle <path>", describes: say.bundle() },
      ...CLUSTER,
    ],
    examples: [{ run: "guard render -o guard/", does: say.readFirst() }],
    run: async (_, given, surroundings) => {
      const { guardRenderCommand } = await import("./guard-command.ts");
      return guardRenderCommand(given, surroundings);
    },
  },
  {
    name: "guard install",
    arguments: [],
    summary: say.install(),
    description: say.installLong(),
    options: [
      ACTION,
      { flags: "--dry-run", describes: say.dryRun() },
      { flags: "--yes", describes: say.yes() },
      ...CLUSTER,
    ],
    examples: [
      { run: "guard install --dry-run", does: say.lookFirst() },
      { run: "guard install --action warn", does: say.watchFirst() },
    ],
    run: async (_, given, surroundings) => {
      const { guardInstallCommand } = await import("./guard-command.ts");
      return guardInstallCommand(given, surroundings);
    },
  },
];
