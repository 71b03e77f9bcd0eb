/** In which language to speak: as asked by `--lang`, else as the locale says. */
import type { Language } from "../text.ts";

type Environment = { readonly [name: string]: string | undefined };

/** The locale of messages, by the rules of POSIX: the first of the three that is set. */
export function localeLanguage({ LC_ALL, LC_MESSAGES, LANG }: Environment): Language {
  return (LC_ALL || LC_MESSAGES || LANG || "").toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** What `--lang` says, before the command line is parsed: its errors and its help are in that language too. */
export function languageOf(args: readonly string[], env: Environment): Language {
  const index = args.findLastIndex((arg) => arg === "--lang" || arg.startsWith("--lang="));
  const arg = args[index];
  const asked = arg === "--lang" ? args[index + 1] : arg?.slice("--lang=".length);
  return asked === "en" || asked === "zh" ? asked : localeLanguage(env);
}
