import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { API_SERVER, DRY_RUN, VERIFY_KEY, YES } from "./options.ts";

const say = texts("rbac-restore-help", {
  theBackup: { en: "the backup, as `rbac backup` wrote it", zh: "由 `rbac backup` 生成的备份" },
  object: {
    en: "clusterrole/flannel, role/ns/name, clusterroles (default: missing)",
    zh: "clusterrole/flannel、role/命名空间/名称、clusterroles（默认为缺失的）",
  },
  restore: { en: "puts back objects of a backup", zh: "从备份恢复对象" },
  restoreLong: {
    en: "Puts back what is missing of a backup, or what is named, by server-side apply in the\nright order. Shows first what would be done and who may do more by it, tries all of it\nas a dry run, and asks. Nothing that the backup does not hold is touched or deleted.",
    zh: "按正确顺序以 server-side apply 恢复备份中缺失的（或指定的）对象。会先列出将执行的\n操作和权限将增加的主体，全部试运行一遍，再询问。备份之外的对象不会被修改或删除。",
  },
  namespace: { en: "only objects of this namespace", zh: "只恢复该命名空间中的对象" },
  selector: { en: "only objects with these labels, as kubectl's -l", zh: "只恢复标签匹配的对象（写法同 kubectl -l）" },
  all: { en: "also objects that are there and otherwise", zh: "也恢复已存在但有差异的对象" },
  allowWider: {
    en: "with --yes: also let existing objects grant more than now",
    zh: "与 --yes 同用：允许现有对象授予更多权限",
  },
  otherCluster: { en: "restore a backup of another cluster here", zh: "允许恢复来自另一个集群的备份" },
  lookFirst: { en: "look first", zh: "先查看" },
  oneRole: { en: "one role", zh: "恢复一个角色" },
});

export const RBAC_RESTORE: CommandSpec = {
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
    DRY_RUN,
    YES,
    { flags: "--allow-wider", describes: say.allowWider() },
    { flags: "--other-cluster", describes: say.otherCluster() },
    VERIFY_KEY,
    ...API_SERVER,
  ],
  examples: [
    { run: "rbac restore rbac.yaml --dry-run", does: say.lookFirst() },
    { run: "rbac restore rbac.yaml clusterrole/flannel", does: say.oneRole() },
  ],
  run: async (values, given, surroundings) => {
    const { rbacRestoreCommand } = await import("./rbac-restore.run.ts");
    return rbacRestoreCommand(values, given, surroundings);
  },
};
