import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { OUTPUT } from "./options.ts";

const say = texts("diff-help", {
  diffOld: { en: "the older evidence, of a better day", zh: "较早的证据包（正常时）" },
  diffNew: { en: "the newer evidence", zh: "较新的证据包" },
  diff: { en: "what is otherwise than in an older bundle", zh: "与旧证据包相比有哪些变化" },
  diffLong: {
    en: "Says what is otherwise in the newer of two bundles: objects, permissions, the state of\nnodes. What concerns something broken comes first. Exits with 0 if nothing is, else 1.",
    zh: "比较两个证据包：对象、权限、节点状态。与当前故障有关的排在最前。\n无差异时以 0 退出，否则以 1 退出。",
  },
  whatChanged: { en: "what changed since yesterday", zh: "自昨天以来的变化" },
});

export const DIFF: CommandSpec = {
  name: "diff",
  arguments: [
    { name: "OLD", describes: say.diffOld() },
    { name: "NEW", describes: say.diffNew() },
  ],
  summary: say.diff(),
  description: say.diffLong(),
  options: [OUTPUT],
  examples: [{ run: "diff ./yesterday.tar.gz ./incident.tar.gz", does: say.whatChanged() }],
  run: async (values, given, surroundings) => {
    const { diffCommand } = await import("./diff.run.ts");
    return diffCommand(values, given, surroundings);
  },
};
