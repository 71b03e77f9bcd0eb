/**
 * The commands, their options and their help, as data. What a command does is in a file of its own, which is loaded
 * only when it runs: `--help` must be there at once.
 */
import type { PathFormatName } from "../report/formats/path.ts";
import type { FormatName } from "../report/formats/registry.ts";
import type { WhatIfFormatName } from "../report/formats/what-if.ts";
import { type Text, texts } from "../text.ts";
import type { ExitCode } from "./exit-code.ts";
import { GUARD_COMMANDS } from "./guard-commands.ts";
import { RBAC_COMMANDS } from "./rbac-commands.ts";
import type { Surroundings } from "./surroundings.ts";

const say = texts("cli", {
  program: {
    en: "netwhy names the root cause of a broken Kubernetes network, with the proof and the fix.",
    zh: "netwhy 找出 Kubernetes 网络故障的根因，给出证据和修复方法。",
  },
  lang: { en: "what you read: en or zh (default: as the locale says)", zh: "语言：en 或 zh（默认取决于 locale）" },
  help: { en: "this page; COMMAND --help tells more", zh: "显示本页；COMMAND --help 查看某个命令" },
  commandHelp: { en: "this page", zh: "显示本页" },
  version: { en: "the version", zh: "显示版本" },
  exitCodes: {
    en: "0 healthy, 1 faulty, 2 unclear, 3 usage, 4 no evidence, 5 internal error",
    zh: "0 健康，1 有故障，2 无法判断，3 用法错误，4 无证据，5 内部错误",
  },

  diagnose: { en: "why the network of a cluster is broken: cause, chain, fix", zh: "诊断集群网络：根因、链路、修复" },
  diagnoseLong: {
    en: "Says why the network of a cluster is broken: the root cause with its evidence, what\nfollows from it, and the fix. Without BUNDLE it reads the cluster of the current kubectl\ncontext. It only reads (--debug-pods apart); nothing is sent anywhere.",
    zh: "诊断集群网络为何故障：根因及其证据、由此导致的现象、修复方法。\n未指定 BUNDLE 时，读取 kubectl 当前上下文所指的集群。\n只读取证据（--debug-pods 除外），不做任何修改，也不向外发送数据。",
  },
  bundle: {
    en: "the evidence: a directory, or a .tar.gz or .tar.zst of one",
    zh: "证据包：目录，或其 .tar.gz / .tar.zst 压缩包",
  },
  context: {
    en: "the context of the kubeconfig (default: its current one)",
    zh: "kubeconfig 上下文（默认为当前上下文）",
  },
  readKubeconfig: {
    en: "the kubeconfig (default: KUBECONFIG, else ~/.kube/config)",
    zh: "kubeconfig 路径（默认 KUBECONFIG 或 ~/.kube/config）",
  },
  mayRead: {
    en: "read here if you may not list the whole cluster (repeatable)",
    zh: "无权列出整个集群时读取的命名空间（可重复）",
  },
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
  collect: { en: "takes the evidence of a cluster away, without secrets", zh: "采集集群证据（自动脱敏）" },
  bundleFile: { en: "where to write it (default: netwhy-TIME.tar.gz)", zh: "写入的文件（默认 netwhy-时间.tar.gz）" },
  takeAway: { en: "to look at it later, or elsewhere", zh: "留待以后或在别处诊断" },
  collectLong: {
    en: "Reads a running cluster as diagnose does, and writes a bundle of it. Values of Secrets,\ntokens, keys and passwords stay out; a list in it says where. Or prints the script with\nwhich netwhy reads a node, for `diagnose --node-output`.",
    zh: "与 diagnose 一样读取集群，并写成证据包。Secret 的值、令牌、密钥和密码不会写入，其中\n附有脱敏位置的清单。也可输出读取节点的脚本，其输出可交给 `diagnose --node-output`。",
  },
  helm: {
    en: "also the permissions in Helm's records (Secrets)",
    zh: "同时采集 Helm 记录（Secret）中的权限对象",
  },
  printScript: { en: "print the script that reads a node", zh: "输出读取节点的脚本" },
  printRole: {
    en: "print the ClusterRoles with the least that netwhy needs",
    zh: "输出 netwhy 所需的最小权限 ClusterRole",
  },
  leastRights: { en: "for who may read only", zh: "授予只读的最小权限" },
  anonymize: {
    en: "replace names and addresses; what holds between them stays",
    zh: "替换名称和地址，保持其间的关系",
  },
  anonymizeKey: {
    en: "the same, as a secret file says: the same names every time",
    zh: "同上，由密钥文件决定：每次替换结果相同",
  },
  from: { en: "take a bundle that is there already, not a cluster", zh: "取自已有的证据包，而不是集群" },
  handOn: { en: "to hand it on to strangers", zh: "用于交给外部人员" },
  bySsh: { en: "on a node, by ssh", zh: "通过 ssh 在节点上运行" },
  timeout: { en: "end reading after so many seconds (default: 180)", zh: "读取的时限，单位秒（默认 180）" },
  auditLog: {
    en: "an audit log of kube-apiserver: who changed what (repeatable)",
    zh: "kube-apiserver 审计日志，查明谁改了什么（可重复）",
  },
  component: {
    en: "describes a component unknown to netwhy (repeatable)",
    zh: "描述 netwhy 未内置的组件的文件（可重复）",
  },
  capture: {
    en: "tcpdump output of a node: where packets go (repeatable)",
    zh: "节点的 tcpdump 输出，查明报文去向（可重复）",
  },
  bundleOption: { en: "the same as BUNDLE", zh: "同 BUNDLE 参数" },
  output: {
    en: "text (default), wide (everything), json or markdown",
    zh: "text（默认）、wide（全部）、json 或 markdown",
  },
  strict: { en: "exit with 1 also if there are only warnings", zh: "仅有警告时也以 1 退出" },
  ignore: { en: "leave out a check or one cause of it (repeatable)", zh: "忽略某个检查项或其某个根因（可重复）" },

  agent: { en: "prints what installs an agent that shows nodes", zh: "输出在各节点安装只读代理的清单" },
  agentLong: {
    en: "Prints the manifests of netwhy's agent: a Pod on each node that shows, to who holds its\nkey, what the node's kernel and Pods' networks hold, and lets nobody run anything there.\n`diagnose` and `collect` use it first where it is installed. agent/Dockerfile makes its\nimage. Every run makes a new key.",
    zh: "输出 netwhy 代理的清单：每个节点运行一个 Pod，只向持有密钥者展示节点内核与各 Pod 网络的\n状态，任何人都不能借它执行命令。已安装时，`diagnose` 和 `collect` 优先使用它。镜像由\nagent/Dockerfile 构建。每次运行都会生成新密钥。",
  },
  agentImage: { en: "its image (default: netwhy-agent:0.1.0)", zh: "代理镜像（默认 netwhy-agent:0.1.0）" },
  install: { en: "install it", zh: "安装" },

  path: { en: "one packet's way, hop by hop, there and back", zh: "逐跳跟踪一个报文的往返路径" },
  pathLong: {
    en: "Walks a packet from one end to the other as the kernels of the nodes would, hop by\nhop, there and back, and names the rule, route or table that decides.",
    zh: "按各节点内核的行为，逐跳跟踪报文从起点到终点再返回，并指出起决定作用的\n规则、路由或表项。",
  },
  pathFrom: {
    en: "tools/client, deploy/web, client@w1 (the Pod on a node), w1, outside",
    zh: "tools/client、deploy/web、client@w1（某节点上的 Pod）、w1、outside",
  },
  pathTo: {
    en: "backend.shop:8080, svc/db:pg, db-0:5432, 10.96.0.10:53/udp, [fd00::1]:80, w1",
    zh: "backend.shop:8080、svc/db:pg、db-0:5432、10.96.0.10:53/udp、[fd00::1]:80、w1",
  },
  namespace: { en: "the namespace of names that tell none", zh: "未写命名空间的名称所属的命名空间" },
  size: { en: "send packets this large that may not be split", zh: "发送该大小且不可分片的报文" },
  ipv4: { en: "over IPv4, of what has both", zh: "对双栈目标使用 IPv4" },
  ipv6: { en: "over IPv6, of what has both", zh: "对双栈目标使用 IPv6" },
  overIpv6: { en: "over IPv6", zh: "经由 IPv6" },
  met: { en: "draw all ways, with every rule that packets meet", zh: "画出所有路径及经过的每条规则" },
  toService: { en: "to a Service", zh: "到 Service" },
  toPod: { en: "to a Pod", zh: "到 Pod" },
  fromOutside: { en: "by its NodePort", zh: "经由 NodePort" },
  largePing: { en: "a large ping", zh: "大包 ping" },

  demo: { en: "the same for a recorded incident; needs no cluster", zh: "诊断一个录制的真实故障，无需集群" },
  demoLong: {
    en: "Tells of an incident that was recorded on a real cluster, and diagnoses it.",
    zh: "讲述一个在真实集群上录制的故障，并加以诊断。",
  },
  demoName: { en: "the incident (default: flannel-role-deleted)", zh: "故障名称（默认 flannel-role-deleted）" },
  demoList: { en: "which incidents there are", zh: "列出所有故障" },

  replay: {
    en: "a bundle as a read-only Kubernetes API, for kubectl",
    zh: "把证据包当作只读的 Kubernetes API，供 kubectl 使用",
  },
  replayLong: {
    en: "Serves a bundle as a read-only Kubernetes API on this machine, as the cluster was when\nthe bundle was taken, for kubectl and other clients. Ages are told as of then.",
    zh: "在本机以只读 Kubernetes API 的形式提供证据包，供 kubectl 等客户端查看采集时\n的集群状态；AGE 也按当时计算。",
  },
  port: { en: "the port on 127.0.0.1 (default: a free one)", zh: "127.0.0.1 上的端口（默认选用空闲端口）" },
  kubeconfig: {
    en: "where to write the kubeconfig (default: a temporary file)",
    zh: "kubeconfig 的写入路径（默认为临时文件）",
  },
  lookAround: { en: "then use kubectl in another shell", zh: "然后在另一个 shell 中使用 kubectl" },
  fixedPlace: { en: "at a port of your choice", zh: "指定端口" },

  baseline: { en: "a bundle of a better day: tell what changed since", zh: "正常时的证据包：同时列出此后的变化" },
  diff: { en: "what is otherwise than in an older bundle", zh: "与旧证据包相比有哪些变化" },
  diffLong: {
    en: "Says what is otherwise in the newer of two bundles: objects, permissions, the state of\nnodes. What concerns something broken comes first. Exits with 0 if nothing is, else 1.",
    zh: "比较两个证据包：对象、权限、节点状态。与当前故障有关的排在最前。\n无差异时以 0 退出，否则以 1 退出。",
  },
  diffOld: { en: "the older evidence, of a better day", zh: "较早的证据包（正常时）" },
  diffNew: { en: "the newer evidence", zh: "较新的证据包" },
  whatChanged: { en: "what changed since yesterday", zh: "自昨天以来的变化" },

  whatIf: { en: "what a change would break, before it is made", zh: "变更之前，先看它会造成什么故障" },
  whatIfLong: {
    en: "Makes deletions, patches and manifests on a copy of what was read, and says what they\nwould break or repair, with the chain, and what else a selector takes. Changes nothing.\nExits with 1 if something would break, with 2 if that cannot be told.",
    zh: "在读到的集群状态的副本上执行删除、补丁和清单，说明会造成或修复哪些故障、影响链路，以及\n选择器还会波及什么。不做任何实际修改。会造成故障时以 1 退出，无法判断时以 2 退出。",
  },
  moreNames: { en: "names of objects, after `--delete TYPE`", zh: "`--delete 类型` 之后的对象名称" },
  toDelete: {
    en: "delete TYPE/NAME, or TYPE,TYPE of a selector (repeatable)",
    zh: "删除 类型/名称，或选择器选中的 类型，类型（可重复）",
  },
  toSelect: { en: "the labels of what is deleted", zh: "要删除的对象的标签选择器" },
  allOfThem: { en: "all of the types, without a selector", zh: "不用选择器，删除该类型的所有对象" },
  namespaceOfNames: { en: "their namespace (default: default)", zh: "对象所在的命名空间（默认 default）" },
  everyNamespace: { en: "in all namespaces", zh: "所有命名空间" },
  toApply: {
    en: "apply these manifests; - reads standard input (repeatable)",
    zh: "应用这些清单；- 表示标准输入（可重复）",
  },
  toPatch: { en: "merge a JSON or YAML patch (repeatable)", zh: "合并 JSON 或 YAML 补丁（可重复）" },
  toScale: { en: "set its replicas (repeatable)", zh: "设置副本数（可重复）" },
  toRestart: { en: "restart its Pods (repeatable)", zh: "重启其 Pod（可重复）" },
  reportOutput: {
    en: "text, wide, json, yaml, markdown, runbook, sarif or junit",
    zh: "text、wide、json、yaml、markdown、runbook、sarif 或 junit",
  },
  outputForMachines: {
    en: "text (default), wide, json, yaml, markdown, sarif or junit",
    zh: "text（默认）、wide、json、yaml、markdown、sarif 或 junit",
  },
  beforeCleaning: { en: "before you clean up by label", zh: "按标签清理之前" },
  oneObject: { en: "one object, in a bundle", zh: "证据包中的某个对象" },
  inPipeline: { en: "let a pipeline refuse a change", zh: "让流水线拒绝有害变更" },

  explain: {
    en: "what a check looks for, how it shows, when it is not that",
    zh: "说明某个检查项：查什么、现象、何时不是它",
  },
  explainLong: {
    en: "The manual page of a check: what it looks for, how it shows, how it comes about,\nand when it is not the cause.",
    zh: "检查项手册：查什么、有何现象、如何产生、何时不是它。",
  },
  explainCheck: { en: "the check, as a report names it", zh: "检查项，名称见报告" },
  explainList: { en: "which checks there are, by layer", zh: "按层列出所有检查项" },

  startHere: { en: "start here", zh: "从这里开始" },
  thisCluster: { en: "this cluster, now", zh: "查明当前集群的故障" },
  incident: { en: "why this one broke", zh: "查明这次故障的原因" },
  ticket: { en: "for a ticket, in Chinese", zh: "生成中文工单" },
  record: { en: "for the record", zh: "生成排障记录" },
  oneDemo: { en: "another incident", zh: "另一个故障" },
  jsonDemo: { en: "as a program sees it", zh: "供程序读取的形式" },
  onePage: { en: "one page", zh: "查看一项" },
});

/** An option: its flags as commander takes them, e.g. `-o, --output <format>`. */
export type OptionSpec = {
  readonly flags: string;
  readonly describes: Text;
  /** The only values that it takes; the first is the default. */
  readonly values?: readonly string[];
  /** May be given several times. */
  readonly isList?: boolean;
};

/** An example: what follows the name of the program, and what it is for. */
export type Example = { readonly run: string; readonly does: Text };

/** What was given on the command line: the values of options by their names. */
export type Given = { readonly [option: string]: unknown };

/** What follows the command's name. */
export type ArgumentSpec = {
  readonly name: string;
  readonly describes: Text;
  /** It and all that follow it. */
  readonly isList?: boolean;
};

export type CommandSpec = {
  /** One word, or two: those with the same first word are a group. */
  readonly name: string;
  readonly arguments: readonly ArgumentSpec[];
  readonly summary: Text;
  readonly description: Text;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  /** `values`: of the arguments, as many as were given. */
  readonly run: (values: readonly string[], given: Given, surroundings: Surroundings) => Promise<ExitCode>;
};

export const LANG_OPTION: OptionSpec = { flags: "--lang <en|zh>", describes: say.lang() };
export const HELP_OPTION: OptionSpec = { flags: "-h, --help", describes: say.commandHelp() };

const COMPONENT_OPTION: OptionSpec = { flags: "--component <file>", describes: say.component(), isList: true };

const OUTPUT_OPTION: OptionSpec = {
  flags: "-o, --output <format>",
  describes: say.output(),
  values: ["text", "wide", "json", "markdown"] satisfies FormatName[] & PathFormatName[],
};

/** What all commands that print a report take. */
const REPORT_OPTIONS: readonly OptionSpec[] = [
  {
    ...OUTPUT_OPTION,
    describes: say.reportOutput(),
    values: ["text", "wide", "json", "yaml", "markdown", "runbook", "sarif", "junit"] satisfies FormatName[],
  },
  { flags: "--strict", describes: say.strict() },
  { flags: "--ignore <id>", describes: say.ignore(), isList: true },
];

/** What all commands that read a running cluster take. */
const CLUSTER_OPTIONS: readonly OptionSpec[] = [
  { flags: "--context <name>", describes: say.context() },
  { flags: "--kubeconfig <path>", describes: say.readKubeconfig() },
  { flags: "--nodes <which>", describes: say.nodes() },
  { flags: "--debug-pods", describes: say.debugPods() },
  { flags: "--debug-image <image>", describes: say.debugImage() },
  { flags: "--node-output <file>", describes: say.nodeOutput(), isList: true },
  { flags: "--timeout <seconds>", describes: say.timeout() },
];

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "diagnose",
    arguments: [{ name: "BUNDLE", describes: say.bundle() }],
    summary: say.diagnose(),
    description: say.diagnoseLong(),
    options: [
      { flags: "--bundle <path>", describes: say.bundleOption() },
      { flags: "--baseline <path>", describes: say.baseline() },
      { flags: "--audit-log <file>", describes: say.auditLog(), isList: true },
      COMPONENT_OPTION,
      { flags: "--capture <file>", describes: say.capture(), isList: true },
      { flags: "-n, --namespace <name>", describes: say.mayRead(), isList: true },
      ...CLUSTER_OPTIONS,
      ...REPORT_OPTIONS,
    ],
    examples: [
      { run: "diagnose", does: say.thisCluster() },
      { run: "diagnose ./incident.tar.gz", does: say.incident() },
      { run: "diagnose ./incident -o markdown --lang zh > ticket.md", does: say.ticket() },
      { run: "diagnose ./incident -o runbook > runbook.md", does: say.record() },
    ],
    run: async ([argument], given, surroundings) => {
      const { diagnoseCommand } = await import("./diagnose-command.ts");
      return diagnoseCommand(argument, given, surroundings);
    },
  },
  {
    name: "collect",
    arguments: [],
    summary: say.collect(),
    description: say.collectLong(),
    options: [
      { flags: "-o, --output <file>", describes: say.bundleFile() },
      { flags: "-n, --namespace <name>", describes: say.mayRead(), isList: true },
      { flags: "--anonymize", describes: say.anonymize() },
      { flags: "--anonymize-key <file>", describes: say.anonymizeKey() },
      { flags: "--from <bundle>", describes: say.from() },
      ...CLUSTER_OPTIONS,
      { flags: "--helm", describes: say.helm() },
      COMPONENT_OPTION,
      { flags: "--print-node-script", describes: say.printScript() },
      { flags: "--print-cluster-role", describes: say.printRole() },
    ],
    examples: [
      { run: "collect -o incident.tar.gz", does: say.takeAway() },
      { run: "collect --print-cluster-role | kubectl apply -f -", does: say.leastRights() },
      { run: "collect --anonymize --from incident.tar.gz", does: say.handOn() },
      { run: "collect --print-node-script | ssh w1 sudo sh > w1.netwhy", does: say.bySsh() },
    ],
    run: async (_, given, surroundings) => {
      const { collectCommand } = await import("./collect-command.ts");
      return collectCommand(given, surroundings);
    },
  },
  {
    name: "agent",
    arguments: [],
    summary: say.agent(),
    description: say.agentLong(),
    options: [{ flags: "--image <image>", describes: say.agentImage() }],
    examples: [{ run: "agent --image REGISTRY/netwhy-agent:0.1.0 | kubectl apply -f -", does: say.install() }],
    run: async (_, given, surroundings) => {
      const { agentCommand } = await import("./agent-command.ts");
      return agentCommand(given, surroundings);
    },
  },
  {
    name: "path",
    arguments: [
      { name: "FROM", describes: say.pathFrom() },
      { name: "TO[:PORT]", describes: say.pathTo() },
    ],
    summary: say.path(),
    description: say.pathLong(),
    options: [
      { flags: "--bundle <path>", describes: say.bundle() },
      { flags: "-n, --namespace <name>", describes: say.namespace() },
      { flags: "-4, --ipv4", describes: say.ipv4() },
      { flags: "-6, --ipv6", describes: say.ipv6() },
      { flags: "--size <bytes>", describes: say.size() },
      { flags: "--explain", describes: say.met() },
      ...CLUSTER_OPTIONS,
      OUTPUT_OPTION,
    ],
    examples: [
      { run: "path tools/client backend.shop:8080 --bundle ./incident.tar.gz", does: say.toService() },
      { run: "path deploy/web@w1 data/db-0:5432 --bundle ./incident -n shop", does: say.toPod() },
      { run: "path outside svc/frontend.shop --bundle ./incident", does: say.fromOutside() },
      { run: "path -6 tools/client svc/web.shop", does: say.overIpv6() },
      { run: "path w1 w2 --size 1500", does: say.largePing() },
    ],
    run: async (values, given, surroundings) => {
      const { pathCommand } = await import("./path-command.ts");
      return pathCommand(values, given, surroundings);
    },
  },
  {
    name: "demo",
    arguments: [{ name: "NAME", describes: say.demoName() }],
    summary: say.demo(),
    description: say.demoLong(),
    options: [{ flags: "--list", describes: say.demoList() }, ...REPORT_OPTIONS],
    examples: [
      { run: "demo", does: say.startHere() },
      { run: "demo two-faults", does: say.oneDemo() },
      { run: "demo corefile-broken -o json", does: say.jsonDemo() },
    ],
    run: async ([argument], given, surroundings) => {
      const { demoCommand } = await import("./demo-command.ts");
      return demoCommand(argument, given, surroundings);
    },
  },
  {
    name: "replay",
    arguments: [{ name: "BUNDLE", describes: say.bundle() }],
    summary: say.replay(),
    description: say.replayLong(),
    options: [
      { flags: "--bundle <path>", describes: say.bundleOption() },
      { flags: "--port <number>", describes: say.port() },
      { flags: "--kubeconfig <path>", describes: say.kubeconfig() },
    ],
    examples: [
      { run: "replay ./incident.tar.gz", does: say.lookAround() },
      { run: "replay ./incident --port 8001", does: say.fixedPlace() },
    ],
    run: async ([argument], given, surroundings) => {
      const { replayCommand } = await import("./replay-command.ts");
      return replayCommand(argument, given, surroundings);
    },
  },
  {
    name: "diff",
    arguments: [
      { name: "OLD", describes: say.diffOld() },
      { name: "NEW", describes: say.diffNew() },
    ],
    summary: say.diff(),
    description: say.diffLong(),
    options: [OUTPUT_OPTION],
    examples: [{ run: "diff ./yesterday.tar.gz ./incident.tar.gz", does: say.whatChanged() }],
    run: async (values, given, surroundings) => {
      const { diffCommand } = await import("./diff-command.ts");
      return diffCommand(values, given, surroundings);
    },
  },
  ...RBAC_COMMANDS,
  ...GUARD_COMMANDS,
  {
    name: "what-if",
    arguments: [{ name: "NAME", describes: say.moreNames() }],
    summary: say.whatIf(),
    description: say.whatIfLong(),
    options: [
      { flags: "--delete <types>", describes: say.toDelete(), isList: true },
      { flags: "-l, --selector <labels>", describes: say.toSelect() },
      { flags: "--all", describes: say.allOfThem() },
      { flags: "-n, --namespace <name>", describes: say.namespaceOfNames() },
      { flags: "-A, --all-namespaces", describes: say.everyNamespace() },
      { flags: "-f, --filename <file>", describes: say.toApply(), isList: true },
      { flags: "--patch <type/name=patch>", describes: say.toPatch(), isList: true },
      { flags: "--scale <type/name=count>", describes: say.toScale(), isList: true },
      { flags: "--restart <type/name>", describes: say.toRestart(), isList: true },
      COMPONENT_OPTION,
      { flags: "--bundle <path>", describes: say.bundle() },
      ...CLUSTER_OPTIONS,
      {
        ...OUTPUT_OPTION,
        describes: say.outputForMachines(),
        values: ["text", "wide", "json", "yaml", "markdown", "sarif", "junit"] satisfies WhatIfFormatName[],
      },
    ],
    examples: [
      {
        run: "what-if --delete clusterrole,clusterrolebinding -l app.kubernetes.io/managed-by=Helm",
        does: say.beforeCleaning(),
      },
      { run: "what-if --delete cm/coredns -n kube-system --bundle ./incident.tar.gz", does: say.oneObject() },
      { run: "what-if -f policy.yaml -o junit", does: say.inPipeline() },
    ],
    run: async (values, given, surroundings) => {
      const { whatIfCommand } = await import("./what-if-command.ts");
      return whatIfCommand(values, given, surroundings);
    },
  },
  {
    name: "explain",
    arguments: [{ name: "CHECK", describes: say.explainCheck() }],
    summary: say.explain(),
    description: say.explainLong(),
    options: [{ flags: "--list", describes: say.explainList() }],
    examples: [
      { run: "explain --list", does: say.explainList() },
      { run: "explain component-access-denied", does: say.onePage() },
    ],
    run: async ([argument], given, surroundings) => {
      const { explainCommand } = await import("./explain-command.ts");
      return explainCommand(argument, given, surroundings);
    },
  },
];

export const PROGRAM = {
  description: say.program(),
  options: [
    LANG_OPTION,
    { flags: "-h, --help", describes: say.help() },
    { flags: "--version", describes: say.version() },
  ] satisfies OptionSpec[],
  examples: [
    { run: "demo", does: say.startHere() },
    { run: "diagnose ./incident.tar.gz", does: say.incident() },
  ] satisfies Example[],
  exitCodes: say.exitCodes(),
};
