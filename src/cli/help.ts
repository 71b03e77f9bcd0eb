/** Help pages, drawn from the commands as data. */
import { type Language, type Text, texts } from "../text.ts";
import type { CommandSpec, Example, OptionSpec } from "./commands/command.ts";
import { HELP, LANG } from "./commands/options.ts";
import { PROGRAM } from "./commands/registry.ts";

const say = texts("help", {
  usage: { en: "Usage: {usage}", zh: "用法：{usage}" },
  arguments: { en: "Arguments:", zh: "参数：" },
  commands: { en: "Commands:", zh: "命令：" },
  options: { en: "Options:", zh: "选项：" },
  examples: { en: "Examples:", zh: "示例：" },
  exitCodes: { en: "Exit codes: {codes}", zh: "退出码：{codes}" },
});

/** Who asks: in which language, and how the program is called. */
type Reader = { readonly lang: Language; readonly program: string };

type Row = readonly [term: string, explanation: string];

function table(title: Text, rows: readonly Row[], { lang }: Reader): string[] {
  const column = Math.max(...rows.map(([term]) => term.length));
  return ["", title[lang], ...rows.map(([term, explanation]) => `  ${term.padEnd(column)}  ${explanation}`)];
}

/** Arguments that can be left out stand in brackets; of several none can. */
const commandTerm = ({ name, arguments: words }: CommandSpec) =>
  [name, ...words.map((word) => (words.length > 1 ? word.name : `[${word.name}]`))].join(" ");

function optionTable(options: readonly OptionSpec[], reader: Reader): string[] {
  return table(
    say.options(),
    options.map(({ flags, describes }): Row => [flags, describes[reader.lang]]),
    reader,
  );
}

function exampleTable(examples: readonly Example[], reader: Reader): string[] {
  const rows = examples.map(({ run, does }): Row => [`${reader.program} ${run}`, `# ${does[reader.lang]}`]);
  return table(say.examples(), rows, reader);
}

/** The page of the whole program. */
export function programPage(commands: readonly CommandSpec[], reader: Reader): string {
  const { lang, program } = reader;
  const lines = [
    PROGRAM.description[lang],
    "",
    say.usage({ usage: `${program} COMMAND [OPTIONS]` })[lang],
    ...table(
      say.commands(),
      commands.map((command): Row => [commandTerm(command), command.summary[lang]]),
      reader,
    ),
    ...optionTable(PROGRAM.options, reader),
    ...exampleTable(PROGRAM.examples, reader),
    "",
    say.exitCodes({ codes: PROGRAM.exitCodes })[lang],
  ];
  return `${lines.join("\n")}\n`;
}

/** The page of one command. */
export function commandPage(command: CommandSpec, reader: Reader): string {
  const { lang, program } = reader;
  const { arguments: words, description, options, examples } = command;
  const lines = [
    description[lang],
    "",
    say.usage({ usage: `${program} ${commandTerm(command)} [OPTIONS]` })[lang],
    ...(words.length === 0
      ? []
      : table(
          say.arguments(),
          words.map(({ name, describes }): Row => [name, describes[lang]]),
          reader,
        )),
    ...optionTable([...options, LANG, HELP], reader),
    ...exampleTable(examples, reader),
    "",
    say.exitCodes({ codes: PROGRAM.exitCodes })[lang],
  ];
  return `${lines.join("\n")}\n`;
}
