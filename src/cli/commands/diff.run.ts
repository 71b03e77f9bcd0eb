/** `netwhy diff`: reads two bundles and says what is otherwise in the newer one. */
import { diffBetween } from "../../diff.ts";
import { DiagnosisError } from "../../errors.ts";
import { DIFF_FORMATS, type DiffFormatName } from "../../report/formats/diff.ts";
import { readBundle } from "../../sources/bundle.ts";
import { texts } from "../../text.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Given } from "./command.ts";

const say = texts("diff-command", {
  noTwo: { en: "`diff` wants two bundles: OLD and NEW", zh: "`diff` 需要两个证据包：OLD 与 NEW" },
  how: {
    en: "For example: `{program} diff ./yesterday.tar.gz ./incident.tar.gz`",
    zh: "例如：`{program} diff ./yesterday.tar.gz ./incident.tar.gz`",
  },
});

/** As diff(1): 0 if nothing is otherwise, 1 if something is. */
export async function diffCommand(
  [old, now]: readonly string[],
  given: Given,
  { program, lang, width, color, out }: Surroundings,
): Promise<ExitCode> {
  if (old === undefined || now === undefined) throw new DiagnosisError("usage", say.noTwo(), say.how({ program }));
  const diff = diffBetween(await readBundle(old), await readBundle(now));
  out(DIFF_FORMATS[given.output as DiffFormatName](diff, { lang, width, color: color.out }));
  return diff.differences.length === 0 ? EXIT.healthy : EXIT.faulty;
}
