/** The command line in this process: what a command writes and how it ends, without a process of its own. */
import { parseCommandLine } from "../src/cli/command-line.ts";
import { COMMANDS } from "../src/cli/commands/registry.ts";
import type { Surroundings } from "../src/cli/surroundings.ts";
import { DiagnosisError } from "../src/errors.ts";

/** `code`: as the command ends, or -1 with a mistake of the user's, of which `err` then tells. */
export type Ran = { readonly code: number; readonly out: string; readonly err: string };

/** @param answer to what the command asks; undefined: there is nobody to ask */
export async function netwhy(args: readonly string[], answer?: boolean): Promise<Ran> {
  const ran = { code: 0, out: "", err: "" };
  const surroundings: Surroundings = {
    program: "netwhy",
    lang: args.includes("zh") ? "zh" : "en",
    width: 100,
    color: { out: false, err: false },
    isWatched: false,
    out: (text) => {
      ran.out += text;
    },
    err: (text) => {
      ran.err += text;
    },
    confirms: async (question) => {
      ran.err += question;
      return answer;
    },
    interrupted: () => new Promise(() => {}),
  };
  try {
    const { command, values, given } = parseCommandLine(args, COMMANDS, surroundings)!;
    ran.code = await command.run(values, given, surroundings);
  } catch (error) {
    if (!(error instanceof DiagnosisError)) throw error;
    ran.err += `${error.says.en}\n${error.hint.en}\n`;
    ran.code = -1;
  }
  return ran;
}
