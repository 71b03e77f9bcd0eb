/** Where the program begins: runs the command line, and says once what went wrong. */
import { DiagnosisError } from "../errors.ts";
import { texts } from "../text.ts";
import { COMMANDS } from "./commands/registry.ts";
import { ERROR_EXIT, EXIT, type ExitCode } from "./exit-code.ts";
import { commandPage, programPage } from "./help.ts";
import { type Surroundings, surroundingsOf } from "./surroundings.ts";

const say = texts("main", {
  error: { en: "error: {says}", zh: "错误：{says}" },
  internal: {
    en: "netwhy itself failed; this is a mistake in it, not in your cluster. Please report it with these lines:",
    zh: "netwhy 自身出错，与您的集群无关。请连同以下内容一起反馈：",
  },
});

function explainError(error: unknown, { err, lang }: Surroundings): ExitCode {
  if (error instanceof DiagnosisError) {
    err(`${say.error({ says: error.says })[lang]}\n${error.hint[lang]}\n`);
    return ERROR_EXIT[error.code];
  }
  err(`${say.error({ says: say.internal() })[lang]}\n${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT.internal;
}

async function run(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  if (args.includes("-h") || args.includes("--help")) {
    surroundings.out(helpFor(args, surroundings));
    return EXIT.healthy;
  }
  if (args.length === 1 && args[0] === "--version") {
    const { VERSION } = await import("./version.ts");
    surroundings.out(`${VERSION}\n`);
    return EXIT.healthy;
  }
  const { parseCommandLine } = await import("./command-line.ts");
  const parsed = parseCommandLine(args, COMMANDS, surroundings);
  if (parsed) return parsed.command.run(parsed.values, parsed.given, surroundings);
  surroundings.out(helpFor(args, surroundings));
  return EXIT.healthy;
}

/** The page of the command that is named, or of a group of them; else that of the program. */
function helpFor(args: readonly string[], surroundings: Surroundings): string {
  const [first, second] = args.filter((arg) => !arg.startsWith("-"));
  const command = COMMANDS.find(({ name }) => name === first || name === `${first} ${second}`);
  if (command) return commandPage(command, surroundings);
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  return group.length > 0 ? programPage(group, surroundings) : programPage(COMMANDS, surroundings);
}

// whoever read our output has read enough: `netwhy diagnose … | head`
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const args = process.argv.slice(2);
const surroundings = surroundingsOf(args, process);
try {
  process.exitCode = await run(args, surroundings);
} catch (error) {
  process.exitCode = explainError(error, surroundings);
}
