/** Makes of a command line what is to be done. Only this file knows commander, which is loaded when there is something to parse. */
import { existsSync } from "node:fs";
import { Command, CommanderError } from "commander";
import type { CommandSpec, Given, OptionSpec } from "./commands/command.ts";
import { LANG } from "./commands/options.ts";
import type { Surroundings } from "./surroundings.ts";
import { badValue, usageError } from "./usage-error.ts";

export type Parsed = { readonly command: CommandSpec; readonly values: readonly string[]; readonly given: Given };

function addOption(command: Command, { flags, describes, values, isList }: OptionSpec): void {
  if (isList) command.option<string[]>(flags, describes.en, (value, before) => [...before, value], []);
  else if (values) command.option(flags, describes.en, oneOf(flags, values), values[0]);
  else command.option(flags, describes.en);
}

function oneOf(flags: string, values: readonly string[]): (value: string) => string {
  return (value) => {
    if (!values.includes(value)) throw badValue(flags.split(/[ ,]/)[0]!, value, values);
    return value;
  };
}

const EITHER_LANG: OptionSpec = { ...LANG, values: ["en", "zh"] };

/**
 * @throws DiagnosisError with the code "usage" for what is none of our commands and options
 * @returns undefined if no command was given, or only the name of a group of commands
 */
export function parseCommandLine(
  args: readonly string[],
  commands: readonly CommandSpec[],
  { program: name }: Surroundings,
): Parsed | undefined {
  let parsed: Parsed | undefined;
  const program = new Command("netwhy").action(() => {});
  // every command takes --lang, wherever it stands
  addOption(program, EITHER_LANG);
  const groups = new Map<string, Command>();
  for (const command of commands) {
    const [word = "", inner] = command.name.split(" ");
    const group = inner === undefined ? program : groupFor(word);
    const parser = group.command(inner ?? word);
    for (const { name: argument, isList } of command.arguments)
      parser.argument(`[${argument.toLowerCase().replace(/\W.*/, "")}${isList ? "..." : ""}]`);
    for (const option of [...command.options, EITHER_LANG]) addOption(parser, option);
    parser.action(() => {
      parsed = { command, values: parser.args, given: parser.opts() };
    });
  }
  function groupFor(word: string): Command {
    const known = groups.get(word);
    if (known) return known;
    const group = program.command(word).action(() => {});
    addOption(group, EITHER_LANG);
    groups.set(word, group);
    return group;
  }
  for (const each of [program, ...program.commands, ...[...groups.values()].flatMap((group) => group.commands)]) {
    each.helpOption(false).helpCommand(false).exitOverride().showSuggestionAfterError(false);
    each.configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} });
  }
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const outer = program.commands.find((command) => args.includes(command.name()));
    const inner = outer?.commands.find((command) => args.includes(command.name()));
    const current = inner ?? outer ?? program;
    const words = [outer, inner].flatMap((command) => command?.name() ?? []);
    throw usageError(error, {
      program: name,
      commands: current.commands.map((command) => command.name()),
      options: current.options.flatMap(({ long }) => long ?? []),
      command: [name, ...words].join(" "),
      isPath: existsSync,
    });
  }
  return parsed;
}
