import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { AUDIT_LOG, BUNDLE, CAPTURE, CLUSTER, COMPONENT, EVIDENCE, NAMESPACES, REPORT } from "./options.ts";

const say = texts("diagnose-help", {
  diagnose: { en: "why the network of a cluster is broken: cause, chain, fix", zh: "诊断集群网络：根因、链路、修复" },
  diagnoseLong: {
    en: "Says why the network of a cluster is broken: the root cause with its evidence, what\nfollows from it, and the fix. Without BUNDLE it reads the cluster of the current kubectl\ncontext. It only reads (--debug-pods apart); nothing is sent anywhere.",
    zh: "诊断集群网络为何故障：根因及其证据、由此导致的现象、修复方法。\n未指定 BUNDLE 时，读取 kubectl 当前上下文所指的集群。\n只读取证据（--debug-pods 除外），不做任何修改，也不向外发送数据。",
  },
  baseline: { en: "a bundle of a better day: tell what changed since", zh: "正常时的证据包：同时列出此后的变化" },
  thisCluster: { en: "this cluster, now", zh: "查明当前集群的故障" },
  incident: { en: "why this one broke", zh: "查明这次故障的原因" },
  ticket: { en: "for a ticket, in Chinese", zh: "生成中文工单" },
  record: { en: "for the record", zh: "生成排障记录" },
});

export const DIAGNOSE: CommandSpec = {
  name: "diagnose",
  arguments: [EVIDENCE],
  summary: say.diagnose(),
  description: say.diagnoseLong(),
  options: [
    BUNDLE,
    { flags: "--baseline <path>", describes: say.baseline() },
    AUDIT_LOG,
    COMPONENT,
    CAPTURE,
    NAMESPACES,
    ...CLUSTER,
    ...REPORT,
  ],
  examples: [
    { run: "diagnose", does: say.thisCluster() },
    { run: "diagnose ./incident.tar.gz", does: say.incident() },
    { run: "diagnose ./incident -o markdown --lang zh > ticket.md", does: say.ticket() },
    { run: "diagnose ./incident -o runbook > runbook.md", does: say.record() },
  ],
  run: async ([argument], given, surroundings) => {
    const { diagnoseCommand } = await import("./diagnose.run.ts");
    return diagnoseCommand(argument, given, surroundings);
  },
};
