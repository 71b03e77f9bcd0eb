/** Makes of a command line what is to be done. Only this file knows commander, which is loaded when there is something to parse. */
import { existsSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { type CommandSpec, type Given, LANG_OPTION, type OptionSpec } from "./commands.ts";
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

const LANG: OptionSpec = { ...LANG_OPTION, values: ["en", "zh"] };

/**
 * @throws DiagnosisError with the code "usage" for what is none of our commands and options
 * @returns undefined if no command was given
 */
export function parseCommandLine(
  args: readonly string[],
  commands: readonly CommandSpec[],
  { program: name }: Surroundings,
): Parsed | undefined {
  let parsed: Parsed | undefined;
  const program = new Command("netwhy").action(() => {});
  // every command takes --lang, wherever it stands
  addOption(program, LANG);
  for (const command of commands) {
    const parser = program.command(command.name);
    for (const { name: word } of command.arguments) parser.argument(`[${word.toLowerCase().replace(/\W.*/, "")}]`);
    for (const option of [...command.options, LANG]) addOption(parser, option);
    parser.action(() => {
      parsed = { command, values: parser.args, given: parser.opts() };
    });
  }
  for (const each of [program, ...program.commands]) {
    each.helpOption(false).helpCommand(false).exitOverride().showSuggestionAfterError(false);
    each.configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} });
  }
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const current = program.commands.find((command) => args.includes(command.name()));
    throw usageError(error, {
      program: name,
      commands: commands.map((command) => command.name),
      options: (current ?? program).options.flatMap(({ long }) => long ?? []),
      command: current ? `${name} ${current.name()}` : name,
      isPath: existsSync,
    });
  }
  return parsed;
}
