import type { WhatIfFormatName } from "../../report/formats/what-if.ts";
import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { BUNDLE, CLUSTER, COMPONENT, OUTPUT } from "./options.ts";

const say = texts("what-if-help", {
  moreNames: { en: "names of objects, after `--delete TYPE`", zh: "`--delete 类型` 之后的对象名称" },
  whatIf: { en: "what a change would break, before it is made", zh: "变更之前，先看它会造成什么故障" },
  whatIfLong: {
    en: "Makes deletions, patches and manifests on a copy of what was read, and says what they\nwould break or repair, with the chain, and what else a selector takes. Changes nothing.\nExits with 1 if something would break, with 2 if that cannot be told.",
    zh: "在读到的集群状态的副本上执行删除、补丁和清单，说明会造成或修复哪些故障、影响链路，以及\n选择器还会波及什么。不做任何实际修改。会造成故障时以 1 退出，无法判断时以 2 退出。",
  },
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
  outputForMachines: {
    en: "text (default), wide, json, yaml, markdown, sarif or junit",
    zh: "text（默认）、wide、json、yaml、markdown、sarif 或 junit",
  },
  beforeCleaning: { en: "before you clean up by label", zh: "按标签清理之前" },
  oneObject: { en: "one object, in a bundle", zh: "证据包中的某个对象" },
  inPipeline: { en: "let a pipeline refuse a change", zh: "让流水线拒绝有害变更" },
});

export const WHAT_IF: CommandSpec = {
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
    COMPONENT,
    BUNDLE,
    ...CLUSTER,
    {
      ...OUTPUT,
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
    const { whatIfCommand } = await import("./what-if.run.ts");
    return whatIfCommand(values, given, surroundings);
  },
};
