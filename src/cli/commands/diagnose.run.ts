/** `netwhy diagnose`: reads the evidence, diagnoses it, prints the report. */
import { CHECKS } from "../../checks/registry.ts";
import { diagnose } from "../../diagnose.ts";
import { withBaseline } from "../../diff.ts";
import { DiagnosisError } from "../../errors.ts";
import { type Capture, createIntake, type Intake } from "../../evidence/capture.ts";
import { FORMATS, type FormatName } from "../../report/formats/registry.ts";
import { muted } from "../../report/mute.ts";
import type { Report } from "../../report/report.ts";
import { BUNDLE_LIMITS, readBundle } from "../../sources/bundle.ts";
import { texts } from "../../text.ts";
import { describer } from "../described.ts";
import { requireNoCluster } from "../evidence-options.ts";
import { type ExitCode, exitCodeOf } from "../exit-code.ts";
import { takeOwnFiles } from "../own-files.ts";
import type { Surroundings } from "../surroundings.ts";
import { unknownName } from "../usage-error.ts";
import type { Given } from "./command.ts";

const say = texts("diagnose-command", {
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

/** @returns undefined if a running cluster is to be read */
function bundleOf(argument: string | undefined, given: Given): string | undefined {
  const option = given.bundle as string | undefined;
  if (argument !== undefined && option !== undefined) {
    throw new DiagnosisError("usage", say.twoBundles({ one: argument, other: option }), say.justOne());
  }
  const path = argument ?? option;
  if (path !== undefined) requireNoCluster(given);
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

/** With what changed since an older bundle, if one is given. `isOwn`: it is a running cluster. */
async function judge(given: Given, { isOwn }: { isOwn: boolean }): Promise<(capture: Capture) => Report> {
  const { baseline } = given;
  const described = await describer(given);
  const timed = (capture: Capture) => diagnose(described(capture), { clock: () => performance.now(), isOwn });
  if (baseline === undefined) return timed;
  const old = await readBundle(baseline as string);
  return (capture) => withBaseline(timed(capture), old, capture);
}

/** Where evidence goes; what files of their own tell is there already. */
async function intakeFor(given: Given): Promise<Intake> {
  const intake = createIntake();
  await takeOwnFiles(given, intake);
  return intake;
}

/** Reads, diagnoses and prints a bundle. */
export const reportOnBundle = (path: string, given: Given, surroundings: Surroundings): Promise<ExitCode> =>
  reportOn(
    async () => (await judge(given, { isOwn: false }))(await readBundle(path, BUNDLE_LIMITS, await intakeFor(given))),
    given,
    surroundings,
  );

/** Diagnoses, and prints. */
async function reportOn(diagnosed: () => Promise<Report>, given: Given, surroundings: Surroundings): Promise<ExitCode> {
  const { output, strict, ignore } = reportOptions(given);
  requireChecks(ignore, surroundings);
  const report = muted(await diagnosed(), ignore);
  const { lang, width, color, out } = surroundings;
  out(FORMATS[output].render(report, { lang, width, color: color.out }));
  return exitCodeOf(report, { strict });
}

export async function diagnoseCommand(
  argument: string | undefined,
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const path = bundleOf(argument, given);
  if (path !== undefined) return reportOnBundle(path, given, surroundings);
  const { diagnoseLive } = await import("../live.ts");
  const read = async () =>
    diagnoseLive(given, surroundings, await judge(given, { isOwn: true }), () => intakeFor(given));
  return reportOn(read, given, surroundings);
}
