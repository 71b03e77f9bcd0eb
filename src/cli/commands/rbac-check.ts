import type { RbacCheckFormatName } from "../../report/formats/rbac-check.ts";
import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { API_SERVER, BUNDLE, COMPONENT, EVIDENCE } from "./options.ts";

const say = texts("rbac-check-help", {
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
  thisCluster: { en: "this cluster, now", zh: "检查当前集群" },
  ofIncident: { en: "of a bundle", zh: "由证据包生成" },
});

export const RBAC_CHECK: CommandSpec = {
  name: "rbac check",
  arguments: [EVIDENCE],
  summary: say.check(),
  description: say.checkLong(),
  options: [
    {
      flags: "-o, --output <format>",
      describes: say.checkOutput(),
      values: ["text", "wide", "json", "markdown"] satisfies RbacCheckFormatName[],
    },
    { flags: "--strict", describes: say.strict() },
    COMPONENT,
    BUNDLE,
    ...API_SERVER,
  ],
  examples: [
    { run: "rbac check", does: say.thisCluster() },
    { run: "rbac check ./incident.tar.gz", does: say.ofIncident() },
  ],
  run: async ([argument], given, surroundings) => {
    const { rbacCheckCommand } = await import("./rbac-check.run.ts");
    return rbacCheckCommand(argument, given, surroundings);
  },
};
