import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { API_SERVER, BUNDLE, COMPONENT } from "./options.ts";

const say = texts("rbac-recover-help", {
  lostObject: {
    en: "clusterrole/cilium, role/ns/name (default: all missing)",
    zh: "clusterrole/cilium、role/命名空间/名称（默认为所有缺失的）",
  },
  recover: { en: "manifests of permissions that are gone, without a backup", zh: "无备份时恢复缺失权限的清单" },
  recoverLong: {
    en: "Prints manifests of roles, bindings and ServiceAccounts that are gone: from Helm's record\nof the release (read from its Secrets, by type), else from kube-apiserver's own policy,\nelse from what kubeadm sets up, else from the component's release; each with its source\nand what it lacks. Changes nothing. Without OBJECT: all that is missing.",
    zh: "输出缺失的角色、绑定和 ServiceAccount 的清单：依次取自 Helm 的 Release 记录（按类型读取\n其 Secret）、kube-apiserver 内置策略、kubeadm 默认配置、组件发行版的权限，并注明来源\n及可能欠缺的内容。不做任何修改。未指定 OBJECT 时输出所有缺失的对象。",
  },
  output: { en: "yaml (default) or json", zh: "yaml（默认）或 json" },
  applyAll: { en: "and restore it", zh: "并恢复" },
  ofIncident: { en: "of a bundle", zh: "由证据包生成" },
});

export const RBAC_RECOVER: CommandSpec = {
  name: "rbac recover",
  arguments: [{ name: "OBJECT…", describes: say.lostObject(), isList: true }],
  summary: say.recover(),
  description: say.recoverLong(),
  options: [
    { flags: "-o, --output <format>", describes: say.output(), values: ["yaml", "json"] },
    COMPONENT,
    BUNDLE,
    ...API_SERVER,
  ],
  examples: [
    { run: "rbac recover clusterrole/cilium | kubectl apply -f -", does: say.applyAll() },
    { run: "rbac recover --bundle ./incident.tar.gz", does: say.ofIncident() },
  ],
  run: async (values, given, surroundings) => {
    const { rbacRecoverCommand } = await import("./rbac-recover.run.ts");
    return rbacRecoverCommand(values, given, surroundings);
  },
};
