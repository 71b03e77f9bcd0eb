/** What is wrong with a command line, in words that help. */
import type { CommanderError } from "commander";
import { DiagnosisError } from "../errors.ts";
import { type Text, texts } from "../text.ts";
import { nearMisses } from "./near-miss.ts";

const say = texts("usage", {
  unknownCommand: { en: "There is no command `{name}`.", zh: "没有命令 `{name}`。" },
  unknownOption: { en: "There is no option `{name}`.", zh: "没有选项 `{name}`。" },
  missingValue: { en: "The option `{name}` wants a value.", zh: "选项 `{name}` 缺少取值。" },
  tooMany: { en: "Too many arguments: {message}", zh: "参数过多：{message}" },
  other: { en: "The command line is not understood: {message}", zh: "无法理解命令行：{message}" },
  badValue: { en: "`{value}` is no value of `{option}`.", zh: "`{value}` 不是 `{option}` 的有效取值。" },
  unknownName: { en: "There is no {kind} named `{name}`.", zh: "没有名为 `{name}` 的{kind}。" },
  didYouMean: { en: "Did you mean {names}? {more}", zh: "是不是想用 {names}？{more}" },
  bundleAsCommand: {
    en: "To diagnose a bundle: `{program} diagnose {name}`",
    zh: "诊断证据包：`{program} diagnose {name}`",
  },
  seeHelp: { en: "`{command} --help` shows what there is.", zh: "`{command} --help` 可查看用法。" },
  oneOf: { en: "Try one of: {names}", zh: "可选：{names}" },
});

const coded = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(", ");

function withNearMisses(typed: string, names: readonly string[], otherwise: Text): Text {
  const near = nearMisses(typed, names);
  return near.length === 0 ? otherwise : say.didYouMean({ names: coded(near), more: otherwise });
}

/** A name that is none of those that there are. */
export function unknownName(kind: Text, name: string, names: readonly string[], list: Text): DiagnosisError {
  return new DiagnosisError("unknown-name", say.unknownName({ kind, name }), withNearMisses(name, names, list));
}

/** A value that its option does not take. */
export function badValue(option: string, value: string, values: readonly string[]): DiagnosisError {
  return new DiagnosisError("usage", say.badValue({ option, value }), say.oneOf({ names: coded(values) }));
}

export type Known = {
  readonly program: string;
  /** Those that could have stood there: none behind a command that is no group. */
  readonly commands: readonly string[];
  readonly options: readonly string[];
  /** The command that was being parsed, with the program's name. */
  readonly command: string;
  readonly isPath: (name: string) => boolean;
};

/** Commander's errors, which are English, in our words. */
export function usageError(
  error: CommanderError,
  { program, commands, options, command, isPath }: Known,
): DiagnosisError {
  const message = error.message.replace(/^error: /, "");
  const name = /'([^']*)'/.exec(message)?.[1] ?? "";
  const help = say.seeHelp({ command });
  const operands = /got \d+: (.*)\.$/.exec(message)?.[1] ?? message;
  // the program itself and groups take no argument: what they were given was meant as a command, or as a bundle
  if (error.code === "commander.excessArguments" && commands.length > 0) {
    const [typed = ""] = operands.split(", ");
    const hint =
      command === program && isPath(typed)
        ? say.bundleAsCommand({ program, name: typed })
        : withNearMisses(typed, commands, help);
    return new DiagnosisError("usage", say.unknownCommand({ name: typed }), hint, error);
  }
  switch (error.code) {
    case "commander.unknownOption":
      return new DiagnosisError("usage", say.unknownOption({ name }), withNearMisses(name, options, help), error);
    case "commander.optionMissingArgument":
      return new DiagnosisError("usage", say.missingValue({ name }), help, error);
    case "commander.excessArguments":
      return new DiagnosisError("usage", say.tooMany({ message: operands }), help, error);
    default:
      return new DiagnosisError("usage", say.other({ message }), help, error);
  }
}
