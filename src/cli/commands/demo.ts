import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { REPORT } from "./options.ts";

const say = texts("demo-help", {
  demoName: { en: "the incident (default: flannel-role-deleted)", zh: "故障名称（默认 flannel-role-deleted）" },
  demo: { en: "the same for a recorded incident; needs no cluster", zh: "诊断一个录制的真实故障，无需集群" },
  demoLong: {
    en: "Tells of an incident that was recorded on a real cluster, and diagnoses it.",
    zh: "讲述一个在真实集群上录制的故障，并加以诊断。",
  },
  demoList: { en: "which incidents there are", zh: "列出所有故障" },
  startHere: { en: "start here", zh: "从这里开始" },
  oneDemo: { en: "another incident", zh: "另一个故障" },
  jsonDemo: { en: "as a program sees it", zh: "供程序读取的形式" },
});

export const DEMO: CommandSpec = {
  name: "demo",
  arguments: [{ name: "NAME", describes: say.demoName() }],
  summary: say.demo(),
  description: say.demoLong(),
  options: [{ flags: "--list", describes: say.demoList() }, ...REPORT],
  examples: [
    { run: "demo", does: say.startHere() },
    { run: "demo two-faults", does: say.oneDemo() },
    { run: "demo corefile-broken -o json", does: say.jsonDemo() },
  ],
  run: async ([argument], given, surroundings) => {
    const { demoCommand } = await import("./demo.run.ts");
    return demoCommand(argument, given, surroundings);
  },
};
