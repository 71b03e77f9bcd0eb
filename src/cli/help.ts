/** Help pages. They load nothing but this file: `--help` must be there at once. */
import type { Argument, Command } from "commander";
import type { Language } from "../text.ts";
import { texts } from "../text.ts";

const say = texts("help", {
  usage: { en: "Usage: {usage}", zh: "用法：{usage}" },
  arguments: { en: "Arguments:", zh: "参数：" },
  commands: { en: "Commands:", zh: "命令：" },
  options: { en: "Options:", zh: "选项：" },
  examples: { en: "Examples:", zh: "示例：" },
  exitCodes: { en: "Exit codes: {codes}", zh: "退出码：{codes}" },
});

/** An example: what to type, and what it is for. Both are ready to print. */
export type Example = { readonly run: string; readonly does: string };

export type HelpPage = {
  readonly lang: Language;
  readonly program: string;
  readonly examples: readonly Example[];
  readonly exitCodes: string;
};

type Row = readonly [term: string, explanation: string];

function rows(all: readonly Row[]): string[] {
  const column = Math.max(...all.map(([term]) => term.length));
  return all.map(([term, explanation]) => `  ${term.padEnd(column)}  ${explanation}`.trimEnd());
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines];
}

const argumentTerm = (argument: Argument) => (argument.required ? argument.name() : `[${argument.name()}]`);

function commandTerm(command: Command): string {
  return [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" ");
}

/** The page of one command, or of the whole program. */
export function helpPage(command: Command, { lang, program, examples, exitCodes }: HelpPage): string {
  const title = (key: "commands" | "arguments" | "options" | "examples") => say[key]()[lang];
  const isProgram = command.parent === null;
  const usage = isProgram ? `${program} COMMAND [OPTIONS]` : `${program} ${commandTerm(command)} [OPTIONS]`;
  const options = command.createHelp().visibleOptions(command);
  const described = command.registeredArguments.filter(({ description }) => description !== "");
  const lines = [
    command.description(),
    "",
    say.usage({ usage })[lang],
    ...section(
      title("commands"),
      isProgram ? rows(command.commands.map((each): Row => [commandTerm(each), each.summary()])) : [],
    ),
    ...section(
      title("arguments"),
      described.length > 0 ? rows(described.map((each): Row => [each.name(), each.description])) : [],
    ),
    ...section(title("options"), rows(options.map(({ flags, description }): Row => [flags, description]))),
    ...section(
      title("examples"),
      examples.length > 0 ? rows(examples.map(({ run, does }): Row => [run, `# ${does}`])) : [],
    ),
    ...(exitCodes === "" ? [] : ["", say.exitCodes({ codes: exitCodes })[lang]]),
  ];
  return `${lines.join("\n")}\n`;
}
