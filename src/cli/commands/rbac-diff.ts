import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { API_SERVER, BUNDLE, VERIFY_KEY } from "./options.ts";

const say = texts("rbac-diff-help", {
  oldBackup: { en: "a backup, or now", zh: "一份备份，或 now" },
  newBackup: { en: "a backup, or now (default)", zh: "一份备份，或 now（默认）" },
  diff: { en: "what changed in permissions since a backup", zh: "自备份以来权限有何变化" },
  diffLong: {
    en: "Says what is otherwise in NEW than in OLD: of roles what they permit, however it is\nwritten, of bindings whom, of other objects each field; and who may do more or less by\nit. Exits with 0 if nothing is otherwise, 1 if something is, 2 if not all could be seen.",
    zh: "比较 OLD 与 NEW：角色比较其实际允许的操作（与写法无关），绑定比较主体，其他对象比较\n各字段，并列出权限增减的主体。无差异时以 0 退出，有差异时为 1，未能全部比较时为 2。",
  },
  output: { en: "text (default) or json", zh: "text（默认）或 json" },
  sinceBackup: { en: "what was taken away since", zh: "此后少了哪些权限" },
});

export const RBAC_DIFF: CommandSpec = {
  name: "rbac diff",
  arguments: [
    { name: "OLD", describes: say.oldBackup() },
    { name: "NEW", describes: say.newBackup() },
  ],
  summary: say.diff(),
  description: say.diffLong(),
  options: [
    { flags: "-o, --output <format>", describes: say.output(), values: ["text", "json"] },
    VERIFY_KEY,
    BUNDLE,
    ...API_SERVER,
  ],
  examples: [{ run: "rbac diff rbac.yaml now", does: say.sinceBackup() }],
  run: async (values, given, surroundings) => {
    const { rbacDiffCommand } = await import("./rbac-diff.run.ts");
    return rbacDiffCommand(values, given, surroundings);
  },
};
