/** `netwhy diagnose`: reads the evidence, diagnoses it, prints the report. */
import { CHECKS } from "../checks/registry.ts";
import { diagnose } from "../diagnose.ts";
import { DiagnosisError } from "../errors.ts";
import { FORMATS, type FormatName } from "../report/formats/registry.ts";
import { muted } from "../report/mute.ts";
import { readBundle } from "../sources/bundle.ts";
import { texts } from "../text.ts";
import type { Given } from "./commands.ts";
import { type ExitCode, exitCodeOf } from "./exit-code.ts";
import type { Surroundings } from "./surroundings.ts";
import { unknownName } from "./usage-error.ts";

const say = texts("diagnose-command", {
  noBundle: {
    en: "No bundle was given, and live clusters cannot be read yet.",
    zh: "未指定证据包；目前还不能直接读取运行中的集群。",
  },
  whatNow: {
    en: "Give the path of a bundle: `{program} diagnose ./incident.tar.gz`. Without one, `{program} demo` shows a real incident.",
    zh: "请指定证据包路径：`{program} diagnose ./incident.tar.gz`。没有证据包时，可用 `{program} demo` 查看一个真实故障。",
  },
  twoBundles: { en: "Two bundles were given: {one} and {other}.", zh: "指定了两个证据包：{one} 和 {other}。" },
  justOne: { en: "Leave one of them out.", zh: "请只保留一个。" },
  check: { en: "check", zh: "检查项" },
  listChecks: { en: "`{program} explain --list` names them all.", zh: "`{program} explain --list` 可列出全部。" },
});

/** What `-o`, `--strict` and `--ignore` said; the command line was checked already. */
function reportOptions(given: Given) {
  const { output, strict = false, ignore } = given;
  return { output: output as FormatName, strict: strict as boolean, ignore: ignore as readonly string[] };
}

function bundleOf(argument: string | undefined, { bundle }: Given, { program }: Surroundings): string {
  const option = bundle as string | undefined;
  if (argument !== undefined && option !== undefined) {
    throw new DiagnosisError("usage", say.twoBundles({ one: argument, other: option }), say.justOne());
  }
  const path = argument ?? option;
  if (path === undefined) throw new DiagnosisError("no-evidence", say.noBundle(), say.whatNow({ program }));
  return path;
}

/** What is ignored must exist: a misspelt name would be ignored in silence. */
function requireChecks(ids: readonly string[], { program }: Surroundings): void {
  const names = CHECKS.map(({ check }) => check.id);
  for (const id of ids) {
    const [check = ""] = id.split("/");
    if (!names.includes(check)) throw unknownName(say.check(), check, names, say.listChecks({ program }));
  }
}

/** Reads, diagnoses and prints one bundle. */
export async function reportOn(path: string, given: Given, surroundings: Surroundings): Promise<ExitCode> {
  const { output, strict, ignore } = reportOptions(given);
  requireChecks(ignore, surroundings);
  const capture = await readBundle(path);
  const report = muted(diagnose(capture, { clock: () => performance.now() }), ignore);
  const { lang, width, color, out } = surroundings;
  out(FORMATS[output].render(report, { lang, width, color: color.out }));
  return exitCodeOf(report, { strict });
}

export async function diagnoseCommand(
  argument: string | undefined,
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  return reportOn(bundleOf(argument, given, surroundings), given, surroundings);
}
