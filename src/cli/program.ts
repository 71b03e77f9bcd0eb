/** The commands and their options. What a command does is in a file of its own, loaded only when it runs. */
import { existsSync } from "node:fs";
import { Command, CommanderError } from "commander";
import type { FormatName } from "../report/formats/registry.ts";
import { type Text, texts } from "../text.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { type Example, helpPage } from "./help.ts";
import type { Surroundings } from "./surroundings.ts";
import { badValue, usageError } from "./usage-error.ts";

const say = texts("cli", {
  program: {
    en: "netwhy names the root cause of a broken Kubernetes network, with the proof and the fix.",
    zh: "netwhy 找出 Kubernetes 网络故障的根因，给出证据和修复方法。",
  },
  lang: { en: "what you read: en or zh (default: as the locale says)", zh: "语言：en 或 zh（默认取决于 locale）" },
  help: { en: "this page; COMMAND --help tells more", zh: "显示本页；COMMAND --help 查看某个命令" },
  commandHelp: { en: "this page", zh: "显示本页" },
  version: { en: "the version", zh: "显示版本" },
  exitCodes: {
    en: "0 healthy, 1 faulty, 2 unclear, 3 usage, 4 no evidence, 5 internal error",
    zh: "0 健康，1 有故障，2 无法判断，3 用法错误，4 无证据，5 内部错误",
  },

  diagnose: { en: "why the network of a cluster is broken: cause, chain, fix", zh: "诊断集群网络：根因、链路、修复" },
  diagnoseLong: {
    en: "Says why the network of a cluster is broken: the root cause with its evidence, what\nfollows from it, and the fix. It only reads; nothing is sent anywhere.",
    zh: "诊断集群网络为何故障：根因及其证据、由此导致的现象、修复方法。\n只读取证据，不做任何修改，也不向外发送数据。",
  },
  bundle: {
    en: "the evidence: a directory, or a .tar.gz or .tar.zst of one",
    zh: "证据包：目录，或其 .tar.gz / .tar.zst 压缩包",
  },
  bundleOption: { en: "the same as BUNDLE", zh: "同 BUNDLE 参数" },
  output: {
    en: "text (default), wide (everything), json or markdown",
    zh: "text（默认）、wide（全部）、json 或 markdown",
  },
  strict: { en: "exit with 1 also if there are only warnings", zh: "仅有警告时也以 1 退出" },
  ignore: { en: "leave out a check or one cause of it (repeatable)", zh: "忽略某个检查项或其某个根因（可重复）" },

  demo: { en: "the same for a recorded incident; needs no cluster", zh: "诊断一个录制的真实故障，无需集群" },
  demoLong: {
    en: "Tells of an incident that was recorded on a real cluster, and diagnoses it.",
    zh: "讲述一个在真实集群上录制的故障，并加以诊断。",
  },
  demoName: { en: "the incident (default: flannel-role-deleted)", zh: "故障名称（默认 flannel-role-deleted）" },
  demoList: { en: "which incidents there are", zh: "列出所有故障" },

  explain: {
    en: "what a check looks for, how it shows, when it is not that",
    zh: "说明某个检查项：查什么、现象、何时不是它",
  },
  explainLong: {
    en: "The manual page of a check: what it looks for, how it shows, how it comes about,\nand when it is not the cause.",
    zh: "检查项手册：查什么、有何现象、如何产生、何时不是它。",
  },
  explainCheck: { en: "the check, as a report names it", zh: "检查项，名称见报告" },
  explainList: { en: "which checks there are, by layer", zh: "按层列出所有检查项" },

  startHere: { en: "start here", zh: "从这里开始" },
  incident: { en: "why this one broke", zh: "查明这次故障的原因" },
  ticket: { en: "for a ticket, in Chinese", zh: "生成中文工单" },
  oneDemo: { en: "another incident", zh: "另一个故障" },
  jsonDemo: { en: "as a program sees it", zh: "供程序读取的形式" },
  onePage: { en: "one page", zh: "查看一项" },
});

const OUTPUTS = ["text", "wide", "json", "markdown"] as const satisfies readonly FormatName[];

/** A parser of one option's values. */
function oneOf<const T extends string>(option: string, values: readonly T[]): (value: string) => T {
  return (value) => {
    const known = values.find((each) => each === value);
    if (known === undefined) throw badValue(option, value, values);
    return known;
  };
}

type Done = (code: ExitCode) => void;

export function programFor(surroundings: Surroundings, done: Done): Command {
  const { lang, program: name } = surroundings;
  const words = (text: Text) => text[lang];
  const pages = new Map<string, readonly Example[]>();

  const program = new Command("netwhy")
    .description(words(say.program()))
    .option("--lang <en|zh>", words(say.lang()), oneOf("--lang", ["en", "zh"]))
    .helpOption("-h, --help", words(say.help()))
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({ writeOut: surroundings.out, writeErr: () => {}, outputError: () => {} })
    .configureHelp({
      formatHelp: (command) => {
        const exitCodes = command.parent === null || command.name() !== "explain" ? words(say.exitCodes()) : "";
        return helpPage(command, { lang, program: name, examples: pages.get(command.name()) ?? [], exitCodes });
      },
    });
  program.option("--version", words(say.version()));
  program.action(async ({ version }: { version?: boolean }) => {
    if (!version) return program.outputHelp();
    const { VERSION } = await import("./version.ts");
    surroundings.out(`${VERSION}\n`);
  });
  pages.set("netwhy", [
    { run: `${name} demo`, does: words(say.startHere()) },
    { run: `${name} diagnose ./incident.tar.gz`, does: words(say.incident()) },
  ]);

  /** A command of its own page; every one takes --lang, wherever it stands. */
  const command = (of: string, summary: Text, description: Text, examples: readonly Example[]) => {
    pages.set(of, examples);
    return program
      .command(of)
      .summary(words(summary))
      .description(words(description))
      .helpOption("-h, --help", words(say.commandHelp()))
      .option("--lang <en|zh>", words(say.lang()), oneOf("--lang", ["en", "zh"]));
  };
  /** A command that prints a report. */
  const reporting = (of: string, summary: Text, description: Text, examples: readonly Example[]) =>
    command(of, summary, description, examples)
      .option("-o, --output <format>", words(say.output()), oneOf("-o", OUTPUTS), "text")
      .option("--strict", words(say.strict()))
      .option<string[]>("--ignore <id>", words(say.ignore()), (id, before) => [...before, id], []);

  reporting("diagnose", say.diagnose(), say.diagnoseLong(), [
    { run: `${name} diagnose ./incident.tar.gz`, does: words(say.incident()) },
    { run: `${name} diagnose ./incident -o markdown --lang zh > ticket.md`, does: words(say.ticket()) },
  ])
    .argument("[BUNDLE]", words(say.bundle()))
    .option("--bundle <path>", words(say.bundleOption()))
    .action(async (bundle, options) => {
      const { diagnoseCommand } = await import("./diagnose-command.ts");
      done(await diagnoseCommand({ argument: bundle, ...options }, surroundings));
    });

  reporting("demo", say.demo(), say.demoLong(), [
    { run: `${name} demo`, does: words(say.startHere()) },
    { run: `${name} demo two-faults`, does: words(say.oneDemo()) },
    { run: `${name} demo corefile-broken -o json`, does: words(say.jsonDemo()) },
  ])
    .argument("[NAME]", words(say.demoName()))
    .option("--list", words(say.demoList()))
    .action(async (incident, options) => {
      const { demoCommand } = await import("./demo-command.ts");
      done(await demoCommand({ incident, ...options }, surroundings));
    });

  command("explain", say.explain(), say.explainLong(), [
    { run: `${name} explain --list`, does: words(say.explainList()) },
    { run: `${name} explain component-access-denied`, does: words(say.onePage()) },
  ])
    .argument("[CHECK]", words(say.explainCheck()))
    .option("--list", words(say.explainList()))
    .action(async (check, options) => {
      const { explainCommand } = await import("./explain-command.ts");
      done(explainCommand({ check, ...options }, surroundings));
    });
  return program;
}

/** Parses a command line and does what it says. */
export async function runProgram(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  let code: ExitCode = EXIT.healthy;
  const program = programFor(surroundings, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(error, knownOf(program, args, surroundings));
  }
  return code;
}

function knownOf(program: Command, args: readonly string[], { program: name }: Surroundings) {
  const current = program.commands.find((command) => args.includes(command.name()));
  return {
    program: name,
    commands: program.commands.map((command) => command.name()),
    options: [...(current ?? program).options].flatMap(({ long }) => long ?? []),
    command: current ? `${name} ${current.name()}` : name,
    isPath: existsSync,
  };
}
