/** `--component`: descriptions of components that netwhy does not know, laid over whatever evidence is read. */
import { basename } from "node:path";
import { DiagnosisError } from "../errors.ts";
import { type Capture, createIntake, type Intake } from "../evidence/capture.ts";
import type { Observed } from "../evidence/observed.ts";
import { overlay } from "../evidence/overlay.ts";
import { pathOf } from "../evidence/path.ts";
import { readOneFile } from "../sources/bundle.ts";
import { texts } from "../text.ts";
import type { Given } from "./commands/command.ts";

const say = texts("described", {
  invalid: { en: "{file} describes no component: {why}", zh: "{file} 不是有效的组件描述：{why}" },
  seeDocs: {
    en: "docs/bundle.md shows what such a file looks like.",
    zh: "文件格式见 docs/bundle.md。",
  },
});

/** What is wrong with a description; undefined if nothing is. */
function flawOf(observed: Observed<unknown>): string | undefined {
  if (observed.state === "unknown") return "message" in observed.why ? observed.why.message : observed.why.reason;
  return observed.state === "present" && observed.gaps.length > 0
    ? observed.gaps.map(({ what }) => what).join("; ")
    : undefined;
}

const filesOf = ({ component = [] }: Given) => component as readonly string[];

/** Files of one name in two folders are two. */
function placesOf(files: readonly string[]): Map<string, string> {
  const places = new Map<string, string>();
  for (const path of files) {
    const name = basename(path).replace(/\.(ya?ml|json)$/, "") || "component";
    const count = [...places.values()].filter((one) => one.replace(/-\d+$/, "") === name).length;
    places.set(path, count === 0 ? name : `${name}-${count + 1}`);
  }
  return places;
}

/** Reads the descriptions into an intake: what is there of the same name is replaced. */
export async function takeDescriptions(given: Given, intake: Intake): Promise<void> {
  for (const [path, file] of placesOf(filesOf(given))) {
    await readOneFile(path, intake.open(pathOf("components", { file }))!);
  }
}

/**
 * What lays the descriptions that the command line names over evidence; they are read, and refused, before the evidence is.
 *
 * @throws DiagnosisError that names the file and the field of what makes no sense
 */
export async function describer(given: Given): Promise<(capture: Capture) => Capture> {
  if (filesOf(given).length === 0) return (capture) => capture;
  const intake = createIntake();
  await takeDescriptions(given, intake);
  const read = intake.capture();
  for (const [path, file] of placesOf(filesOf(given))) {
    const why = flawOf(read.get("components", { file }));
    if (why !== undefined) throw new DiagnosisError("usage", say.invalid({ file: path, why }), say.seeDocs());
  }
  const replacements = read.all("components").map((captured) => ({ kind: "components" as const, ...captured }));
  return (capture) => overlay(capture, replacements);
}
