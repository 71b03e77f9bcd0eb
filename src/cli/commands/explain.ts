import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";

const say = texts("explain-help", {
  explainCheck: { en: "the check, as a report names it", zh: "检查项，名称见报告" },
  explain: {
    en: "what a check looks for, how it shows, when it is not that",
    zh: "说明某个检查项：查什么、现象、何时不是它",
  },
  explainLong: {
    en: "The manual page of a check: what it looks for, how it shows, how it comes about,\nand when it is not the cause.",
    zh: "检查项手册：查什么、有何现象、如何产生、何时不是它。",
  },
  explainList: { en: "which checks there are, by layer", zh: "按层列出所有检查项" },
  onePage: { en: "one page", zh: "查看一项" },
});

export const EXPLAIN: CommandSpec = {
  name: "explain",
  arguments: [{ name: "CHECK", describes: say.explainCheck() }],
  summary: say.explain(),
  description: say.explainLong(),
  options: [{ flags: "--list", describes: say.explainList() }],
  examples: [
    { run: "explain --list", does: say.explainList() },
    { run: "explain component-access-denied", does: say.onePage() },
  ],
  run: async ([argument], given, surroundings) => {
    const { explainCommand } = await import("./explain.run.ts");
    return explainCommand(argument, given, surroundings);
  },
};
