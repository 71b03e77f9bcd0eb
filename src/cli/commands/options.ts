/** What several commands take. */
import type { PathFormatName } from "../../report/formats/path.ts";
import type { FormatName } from "../../report/formats/registry.ts";
import { texts } from "../../text.ts";
import type { ArgumentSpec, OptionSpec } from "./command.ts";

const say = texts("options", {
  lang: { en: "what you read: en or zh (default: as the locale says)", zh: "语言：en 或 zh（默认取决于 locale）" },
  commandHelp: { en: "this page", zh: "显示本页" },
  bundle: {
    en: "the evidence: a directory, or a .tar.gz or .tar.zst of one",
    zh: "证据包：目录，或其 .tar.gz / .tar.zst 压缩包",
  },
  notNow: { en: "not the cluster now, but this bundle of it", zh: "不读取集群，而使用该证据包" },
  context: {
    en: "the context of the kubeconfig (default: its current one)",
    zh: "kubeconfig 上下文（默认为当前上下文）",
  },
  readKubeconfig: {
    en: "the kubeconfig (default: KUBECONFIG, else ~/.kube/config)",
    zh: "kubeconfig 路径（默认 KUBECONFIG 或 ~/.kube/config）",
  },
  timeout: { en: "end reading after so many seconds (default: 180)", zh: "读取的时限，单位秒（默认 180）" },
  nodes: {
    en: "look into: symptoms (default), sample, all, or NODE,NODE",
    zh: "查看哪些节点：symptoms（默认）、sample、all 或 NODE,NODE",
  },
  debugPods: {
    en: "look into nodes and Pods with a Pod on each, and remove it",
    zh: "在每个节点上创建临时 Pod 以查看节点和 Pod，用后删除",
  },
  debugImage: {
    en: "its image, pulled if need be (default: one that is there)",
    zh: "临时 Pod 的镜像，必要时拉取（默认用节点已有的）",
  },
  nodeOutput: {
    en: "what the node script printed there (repeatable; see collect)",
    zh: "节点脚本的输出文件（可重复，见 collect）",
  },
  mayRead: {
    en: "read here if you may not list the whole cluster (repeatable)",
    zh: "无权列出整个集群时读取的命名空间（可重复）",
  },
  component: {
    en: "describes a component unknown to netwhy (repeatable)",
    zh: "描述 netwhy 未内置的组件的文件（可重复）",
  },
  output: {
    en: "text (default), wide (everything), json or markdown",
    zh: "text（默认）、wide（全部）、json 或 markdown",
  },
  reportOutput: {
    en: "text, wide, json, yaml, markdown, runbook, sarif or junit",
    zh: "text、wide、json、yaml、markdown、runbook、sarif 或 junit",
  },
  strict: { en: "exit with 1 also if there are only warnings", zh: "仅有警告时也以 1 退出" },
  ignore: { en: "leave out a check or one cause of it (repeatable)", zh: "忽略某个检查项或其某个根因（可重复）" },
  verifyKey: { en: "refuse a backup not signed with this public key's half", zh: "备份须能以该公钥（PEM）验证签名" },
  dryRun: { en: "only show it and have the API server try it", zh: "只显示并由 API Server 试运行" },
  auditLog: {
    en: "an audit log of kube-apiserver: who changed what (repeatable)",
    zh: "kube-apiserver 审计日志，查明谁改了什么（可重复）",
  },
  capture: {
    en: "tcpdump output of a node: where packets go (repeatable)",
    zh: "节点的 tcpdump 输出，查明报文去向（可重复）",
  },
  yes: { en: "do not ask", zh: "不再询问" },
  action: { en: "deny (default), or warn: let it pass and tell", zh: "deny（默认）拒绝；warn 只告警不拒绝" },
});

export const LANG: OptionSpec = { flags: "--lang <en|zh>", describes: say.lang() };
export const HELP: OptionSpec = { flags: "-h, --help", describes: say.commandHelp() };

export const EVIDENCE: ArgumentSpec = { name: "BUNDLE", describes: say.bundle() };
export const BUNDLE: OptionSpec = { flags: "--bundle <path>", describes: say.notNow() };
export const NAMESPACES: OptionSpec = { flags: "-n, --namespace <name>", describes: say.mayRead(), isList: true };
export const COMPONENT: OptionSpec = { flags: "--component <file>", describes: say.component(), isList: true };

export const AUDIT_LOG: OptionSpec = { flags: "--audit-log <file>", describes: say.auditLog(), isList: true };
export const CAPTURE: OptionSpec = { flags: "--capture <file>", describes: say.capture(), isList: true };

const CONTEXT: OptionSpec = { flags: "--context <name>", describes: say.context() };
const KUBECONFIG: OptionSpec = { flags: "--kubeconfig <path>", describes: say.readKubeconfig() };
const TIMEOUT: OptionSpec = { flags: "--timeout <seconds>", describes: say.timeout() };

/** Of all commands that ask an API server. */
export const API_SERVER: readonly OptionSpec[] = [CONTEXT, KUBECONFIG, TIMEOUT];

/** Of all commands that read a running cluster, its nodes included. */
export const CLUSTER: readonly OptionSpec[] = [
  CONTEXT,
  KUBECONFIG,
  { flags: "--nodes <which>", describes: say.nodes() },
  { flags: "--debug-pods", describes: say.debugPods() },
  { flags: "--debug-image <image>", describes: say.debugImage() },
  { flags: "--node-output <file>", describes: say.nodeOutput(), isList: true },
  TIMEOUT,
];

export const OUTPUT: OptionSpec = {
  flags: "-o, --output <format>",
  describes: say.output(),
  values: ["text", "wide", "json", "markdown"] satisfies FormatName[] & PathFormatName[],
};

/** Of all commands that print a report. */
export const REPORT: readonly OptionSpec[] = [
  {
    ...OUTPUT,
    describes: say.reportOutput(),
    values: ["text", "wide", "json", "yaml", "markdown", "runbook", "sarif", "junit"] satisfies FormatName[],
  },
  { flags: "--strict", describes: say.strict() },
  { flags: "--ignore <id>", describes: say.ignore(), isList: true },
];

/** Of all commands that change a cluster. */
export const DRY_RUN: OptionSpec = { flags: "--dry-run", describes: say.dryRun() };
export const YES: OptionSpec = { flags: "--yes", describes: say.yes() };

export const VERIFY_KEY: OptionSpec = { flags: "--verify-key <key>", describes: say.verifyKey() };
export const ACTION: OptionSpec = { flags: "--action <action>", describes: say.action(), values: ["deny", "warn"] };
