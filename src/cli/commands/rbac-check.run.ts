/** `netwhy rbac check`: what components have been granted, against the baselines of their releases. */
import { checkRbac } from "../../rbac-check.ts";
import { RBAC_CHECK_FORMATS, type RbacCheckFormatName } from "../../report/formats/rbac-check.ts";
import { readBundle } from "../../sources/bundle.ts";
import { describer } from "../described.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Given } from "./command.ts";

export async function rbacCheckCommand(
  argument: string | undefined,
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { lang, width, color, out } = surroundings;
  const path = argument ?? (given.bundle as string | undefined);
  const described = await describer(given);
  const { readLive } = await import("../live.ts");
  const capture = path === undefined ? await readLive(given, surroundings) : await readBundle(path);
  const check = checkRbac(described(capture));
  out(RBAC_CHECK_FORMATS[given.output as RbacCheckFormatName](check, { lang, width, color: color.out }));
  const hasWarnings = check.components.some(({ flaws }) => flaws.length > 0);
  return check.verdict === "healthy" && given.strict && hasWarnings ? EXIT.faulty : EXIT[check.verdict];
}
