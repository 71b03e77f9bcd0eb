/** `netwhy path`: reads the evidence, walks one packet through it, draws its way. */
import { DiagnosisError } from "../../errors.ts";
import { createIntake } from "../../evidence/capture.ts";
import { isProblem, pathBetween } from "../../path.ts";
import { PATH_FORMATS, type PathFormatName } from "../../report/formats/path.ts";
import { withDeeperWalk } from "../../report/look-deeper.ts";
import type { Path } from "../../report/path.ts";
import { sh } from "../../shell.ts";
import { BUNDLE_LIMITS, readBundle } from "../../sources/bundle.ts";
import { texts } from "../../text.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { takeOwnFiles } from "../own-files.ts";
import type { Surroundings } from "../surroundings.ts";
import { badValue, unknownName } from "../usage-error.ts";
import type { Given } from "./command.ts";

const say = texts("path-command", {
  noEnds: { en: "`path` wants two ends: FROM and TO", zh: "`path` 需要起点和终点：FROM 与 TO" },
  howEnds: {
    en: "For example: `{program} path tools/client backend.shop:8080 --bundle ./incident.tar.gz`",
    zh: "例如：`{program} path tools/client backend.shop:8080 --bundle ./incident.tar.gz`",
  },
  howNames: {
    en: "`{program} path --help` shows how ends are written.",
    zh: "`{program} path --help` 可查看起点和终点的写法。",
  },
});

/** As those of diagnose: it works, it does not, it cannot be told. */
const EXITS: Readonly<Record<Path["verdict"], ExitCode>> = {
  reaches: EXIT.healthy,
  fails: EXIT.faulty,
  sometimes: EXIT.faulty,
  leaves: EXIT.unclear,
  unclear: EXIT.unclear,
};

/** Bytes of an IP packet: no smaller than its headers. */
function sizeOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const size = Number(value);
  if (!/^\d+$/.test(value) || size < 28 || size > 65535) throw badValue("--size", value, ["1500", "1450", "9000"]);
  return size;
}

export async function pathCommand(
  [from, to]: readonly string[],
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { program, lang, width, color, out } = surroundings;
  const {
    bundle,
    namespace,
    output,
    explain = false,
    ipv4 = false,
    ipv6 = false,
  } = given as {
    readonly bundle?: string;
    readonly namespace?: string;
    readonly output: PathFormatName;
    readonly explain?: boolean;
    readonly ipv4?: boolean;
    readonly ipv6?: boolean;
  };
  if (from === undefined || to === undefined) {
    throw new DiagnosisError("usage", say.noEnds(), say.howEnds({ program }));
  }
  const size = sizeOf(given.size as string | undefined);
  const family = ipv4 === ipv6 ? undefined : ipv6 ? 6 : 4;
  const { deeperLook, readLive } = await import("../live.ts");
  const intake = createIntake();
  await takeOwnFiles(given, intake);
  const capture =
    bundle === undefined
      ? await readLive(given, surroundings, intake)
      : await readBundle(bundle, BUNDLE_LIMITS, intake);
  const found = pathBetween(capture, { from, to, namespace, family }, { size, explain });
  if (isProblem(found)) {
    const { problem, hint, unknown } = found;
    if (unknown) throw unknownName(unknown.kind, unknown.name, unknown.names, say.howNames({ program }));
    throw new DiagnosisError("usage", problem, hint);
  }
  // what Pods' own network shows is seen by nobody else's Pods
  const isShallow = bundle === undefined && given.debugPods !== true;
  const of = namespace === undefined ? "" : sh` -n ${namespace}`;
  const how = `${ipv4 ? " -4" : ""}${ipv6 ? " -6" : ""}${size === undefined ? "" : ` --size ${size}`}`;
  const again = `${sh`path ${from} ${to}`}${of}${how}`;
  const path = isShallow ? withDeeperWalk(found, deeperLook(again, given, surroundings)) : found;
  const format = explain && output === "text" ? "wide" : output;
  out(PATH_FORMATS[format](path, { lang, width, color: color.out }));
  return EXITS[path.verdict];
}
