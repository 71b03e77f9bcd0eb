/** `netwhy what-if`: reads the evidence, makes the changes in mind, and says what they would break. */
import { readFile } from "node:fs/promises";
import { DiagnosisError } from "../../errors.ts";
import { WHAT_IF_FORMATS, type WhatIfFormatName } from "../../report/formats/what-if.ts";
import type { WhatIf } from "../../report/what-if.ts";
import { readBundle } from "../../sources/bundle.ts";
import { texts } from "../../text.ts";
import { intentOf, isMisunderstood, whatIf } from "../../what-if.ts";
import { describer } from "../described.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Surroundings } from "../surroundings.ts";
import { unknownName } from "../usage-error.ts";
import type { Given } from "./command.ts";

const say = texts("what-if-command", {
  noFile: { en: "{file} cannot be read: {message}", zh: "无法读取 {file}：{message}" },
  checkFile: { en: "Check the path, or give `-` for standard input.", zh: "请检查路径，或用 `-` 表示标准输入。" },
  howKinds: { en: "`kubectl api-resources` names them all.", zh: "`kubectl api-resources` 可列出全部。" },
});

/** As those of diagnose: nothing breaks, something does, it cannot be told. */
const EXITS: Readonly<Record<WhatIf["verdict"], ExitCode>> = {
  breaks: EXIT.faulty,
  unclear: EXIT.unclear,
  repairs: EXIT.healthy,
  harmless: EXIT.healthy,
  nothing: EXIT.healthy,
};

async function manifestIn(file: string): Promise<{ file: string; text: string }> {
  try {
    return { file, text: await readFile(file === "-" ? "/dev/stdin" : file, "utf8") };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new DiagnosisError("usage", say.noFile({ file, message }), say.checkFile(), error);
  }
}

export async function whatIfCommand(
  words: readonly string[],
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const options = given as {
    readonly bundle?: string;
    readonly delete?: readonly string[];
    readonly selector?: string;
    readonly all?: boolean;
    readonly namespace?: string;
    readonly allNamespaces?: boolean;
    readonly filename?: readonly string[];
    readonly patch?: readonly string[];
    readonly scale?: readonly string[];
    readonly restart?: readonly string[];
    readonly output: WhatIfFormatName;
  };
  const { bundle, filename = [], output, ...typed } = options;
  // `--delete clusterrole cilium`, as kubectl takes it: what follows are names of the last kind
  const deletes = [...(typed.delete ?? [])];
  if (words.length > 0 && deletes.length > 0) deletes.push([deletes.pop(), ...words].join(" "));
  const intent = intentOf({
    ...typed,
    delete: deletes,
    manifests: await Promise.all(filename.map(manifestIn)),
  });
  if (isMisunderstood(intent)) {
    const { problem, hint, unknown } = intent;
    if (unknown) throw unknownName(unknown.kind, unknown.name, unknown.names, say.howKinds());
    throw new DiagnosisError("usage", problem, hint);
  }
  const described = await describer(given);
  const { readLive } = await import("../live.ts");
  const capture = bundle === undefined ? await readLive(given, surroundings) : await readBundle(bundle);
  const answer = whatIf(described(capture), intent);
  const { lang, width, color, out } = surroundings;
  out(WHAT_IF_FORMATS[output](answer, { lang, width, color: color.out }));
  return EXITS[answer.verdict];
}
