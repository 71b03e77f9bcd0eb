/**
 * What a command is called, what it takes and its help, as data. What it does is in NAME.run.ts beside it, which is
 * loaded only when it runs: `--help` must be there at once.
 */
import type { Text } from "../../text.ts";
import type { ExitCode } from "../exit-code.ts";
import type { Surroundings } from "../surroundings.ts";

/** An option: its flags as commander takes them, e.g. `-o, --output <format>`. */
export type OptionSpec = {
  readonly flags: string;
  readonly describes: Text;
  /** The only values that it takes; the first is the default. */
  readonly values?: readonly string[];
  /** May be given several times. */
  readonly isList?: boolean;
};

/** An example: what follows the name of the program, and what it is for. */
export type Example = { readonly run: string; readonly does: Text };

/** What was given on the command line: the values of options by their names. */
export type Given = { readonly [option: string]: unknown };

/** What follows the command's name. */
export type ArgumentSpec = {
  readonly name: string;
  readonly describes: Text;
  /** It and all that follow it. */
  readonly isList?: boolean;
};

export type CommandSpec = {
  /** One word, or two: those with the same first word are a group. */
  readonly name: string;
  readonly arguments: readonly ArgumentSpec[];
  readonly summary: Text;
  readonly description: Text;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  /** `values`: of the arguments, as many as were given. */
  readonly run: (values: readonly string[], given: Given, surroundings: Surroundings) => Promise<ExitCode>;
};
