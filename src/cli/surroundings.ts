/** What the program finds around it: its streams, the terminal, the environment. The only place that asks for them. */
import type { Language } from "../text.ts";
import { languageOf } from "./language.ts";

export type Surroundings = {
  /** How its user calls it: `netwhy`, or `kubectl netwhy`. */
  readonly program: string;
  readonly lang: Language;
  readonly width: number;
  /** Whether there are colours on stdout, and on stderr. */
  readonly color: { readonly out: boolean; readonly err: boolean };
  /** Whether somebody watches stderr: only then it tells how far we are. */
  readonly isWatched: boolean;
  /** The report. */
  readonly out: (text: string) => void;
  /** The rest. */
  readonly err: (text: string) => void;
  /** Asks a question that wants yes or no; undefined if nobody is there to answer. */
  readonly confirms: (question: string) => Promise<boolean | undefined>;
  /** Waits until somebody wants the program to end: Ctrl-C, or a signal that asks for it. */
  readonly interrupted: () => Promise<void>;
};

type Process = Pick<NodeJS.Process, "stdin" | "stdout" | "stderr" | "env" | "once">;

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Without a terminal, and without one that says how wide it is. */
const DEFAULT_WIDTH = 100;

/** Colours only on a terminal, but for who insists (https://no-color.org, https://force-color.org). */
function hasColors(stream: NodeJS.WriteStream, { NO_COLOR, FORCE_COLOR, TERM }: NodeJS.ProcessEnv): boolean {
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== "0";
  return stream.isTTY === true && TERM !== "dumb";
}

export function surroundingsOf(args: readonly string[], process: Process): Surroundings {
  const { stdin, stdout, stderr, env } = process;
  const columns = stdout.isTTY ? stdout.columns : Number(env.COLUMNS);
  return {
    program: env.NETWHY_CALLED_AS || "netwhy",
    lang: languageOf(args, env),
    width: columns > 0 ? columns : DEFAULT_WIDTH,
    color: { out: hasColors(stdout, env), err: hasColors(stderr, env) },
    isWatched: stderr.isTTY === true && env.TERM !== "dumb",
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    async confirms(question) {
      if (!stdin.isTTY || !stderr.isTTY) return undefined;
      const { createInterface } = await import("node:readline/promises");
      const terminal = createInterface({ input: stdin, output: stderr });
      try {
        return /^(y|yes|是)$/i.test((await terminal.question(question)).trim());
      } finally {
        terminal.close();
      }
    },
    interrupted: () =>
      new Promise((resolve) => {
        for (const signal of ENDING_SIGNALS) process.once(signal, () => resolve());
      }),
  };
}
