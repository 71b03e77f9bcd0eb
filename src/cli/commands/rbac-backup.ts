import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { API_SERVER, BUNDLE, COMPONENT } from "./options.ts";

const say = texts("rbac-backup-help", {
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
  everyNight: { en: "every night, thirty states", zh: "每晚备份，保留 30 份" },
  ofIncident: { en: "of a bundle", zh: "由证据包生成" },
});

export const RBAC_BACKUP: CommandSpec = {
  name: "rbac backup",
  arguments: [],
  summary: say.backup(),
  description: say.backupLong(),
  options: [
    { flags: "-o, --output <file>", describes: say.backupFile() },
    { flags: "--keep <number>", describes: say.keep() },
    { flags: "--sign <key>", describes: say.sign() },
    COMPONENT,
    BUNDLE,
    ...API_SERVER,
  ],
  examples: [
    { run: "rbac backup -o /var/backups/netwhy/ --keep 30", does: say.everyNight() },
    { run: "rbac backup --bundle ./incident.tar.gz -o rbac.yaml", does: say.ofIncident() },
  ],
  run: async (_, given, surroundings) => {
    const { backupCommand } = await import("./rbac-backup.run.ts");
    return backupCommand(given, surroundings);
  },
};
