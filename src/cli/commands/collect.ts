import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { AUDIT_LOG, CAPTURE, CLUSTER, COMPONENT, NAMESPACES } from "./options.ts";

const say = texts("collect-help", {
  collect: { en: "takes the evidence of a cluster away, without secrets", zh: "采集集群证据（自动脱敏）" },
  collectLong: {
    en: "Reads a running cluster as diagnose does, and writes a bundle of it. Values of Secrets,\ntokens, keys and passwords stay out; a list in it says where. Or prints the script with\nwhich netwhy reads a node, for `diagnose --node-output`.",
    zh: "与 diagnose 一样读取集群，并写成证据包。Secret 的值、令牌、密钥和密码不会写入，其中\n附有脱敏位置的清单。也可输出读取节点的脚本，其输出可交给 `diagnose --node-output`。",
  },
  bundleFile: { en: "where to write it (default: netwhy-TIME.tar.gz)", zh: "写入的文件（默认 netwhy-时间.tar.gz）" },
  anonymize: {
    en: "replace names and addresses; what holds between them stays",
    zh: "替换名称和地址，保持其间的关系",
  },
  anonymizeKey: {
    en: "the same, as a secret file says: the same names every time",
    zh: "同上，由密钥文件决定：每次替换结果相同",
  },
  from: { en: "take a bundle that is there already, not a cluster", zh: "取自已有的证据包，而不是集群" },
  helm: {
    en: "also the permissions in Helm's records (Secrets)",
    zh: "同时采集 Helm 记录（Secret）中的权限对象",
  },
  printScript: { en: "print the script that reads a node", zh: "输出读取节点的脚本" },
  printRole: {
    en: "print the ClusterRoles with the least that netwhy needs",
    zh: "输出 netwhy 所需的最小权限 ClusterRole",
  },
  takeAway: { en: "to look at it later, or elsewhere", zh: "留待以后或在别处诊断" },
  leastRights: { en: "for who may read only", zh: "授予只读的最小权限" },
  handOn: { en: "to hand it on to strangers", zh: "用于交给外部人员" },
  bySsh: { en: "on a node, by ssh", zh: "通过 ssh 在节点上运行" },
});

export const COLLECT: CommandSpec = {
  name: "collect",
  arguments: [],
  summary: say.collect(),
  description: say.collectLong(),
  options: [
    { flags: "-o, --output <file>", describes: say.bundleFile() },
    NAMESPACES,
    { flags: "--anonymize", describes: say.anonymize() },
    { flags: "--anonymize-key <file>", describes: say.anonymizeKey() },
    { flags: "--from <bundle>", describes: say.from() },
    ...CLUSTER,
    { flags: "--helm", describes: say.helm() },
    AUDIT_LOG,
    CAPTURE,
    COMPONENT,
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
    const { collectCommand } = await import("./collect.run.ts");
    return collectCommand(given, surroundings);
  },
};
