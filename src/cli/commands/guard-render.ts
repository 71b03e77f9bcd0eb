import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { ACTION, API_SERVER, BUNDLE, COMPONENT } from "./options.ts";

const say = texts("guard-render-help", {
  render: { en: "files that keep an incident from happening again", zh: "生成防止故障再次发生的文件" },
  renderLong: {
    en: "Writes, for the components that this cluster really has: admission policies that refuse\nto delete or empty what its network works by, Prometheus alerts with their tests, rules\nfor the audit log, a nightly backup. Read them; `guard install` applies the policies.",
    zh: "针对集群中实际安装的组件生成：拒绝删除或清空网络所依赖对象的准入策略、Prometheus\n告警规则及其测试、审计策略片段、每晚备份。请先阅读；`guard install` 只应用准入策略。",
  },
  directory: { en: "where to write them (default: netwhy-guard)", zh: "写入的目录（默认 netwhy-guard）" },
  image: {
    en: "the image for the backup in the cluster: manifests/Dockerfile makes it",
    zh: "集群内备份所用的镜像，由 manifests/Dockerfile 构建",
  },
  readFirst: { en: "read first what it would be", zh: "先生成并阅读" },
});

export const GUARD_RENDER: CommandSpec = {
  name: "guard render",
  arguments: [],
  summary: say.render(),
  description: say.renderLong(),
  options: [
    { flags: "-o, --output <directory>", describes: say.directory() },
    ACTION,
    { flags: "--image <image>", describes: say.image() },
    COMPONENT,
    BUNDLE,
    ...API_SERVER,
  ],
  examples: [{ run: "guard render -o guard/", does: say.readFirst() }],
  run: async (_, given, surroundings) => {
    const { guardRenderCommand } = await import("./guard.run.ts");
    return guardRenderCommand(given, surroundings);
  },
};
