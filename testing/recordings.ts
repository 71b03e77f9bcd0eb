/** Recorded clusters with the truth about them, as tests use them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { zstdDecompressSync } from "node:zlib";
import { load } from "js-yaml";
import { extract } from "tar-stream";
import { z } from "zod";
import { type Capture, createIntake } from "../src/evidence/capture.ts";
import { type Ref, refId } from "../src/model/ref.ts";
import type { Report } from "../src/report/report.ts";

const HOME = fileURLToPath(new URL("./recordings/", import.meta.url));

const truthSchema = z.object({
  id: z.string(),
  title: z.string(),
  healthy: z.boolean().optional(),
  root_causes: z.array(z.object({ fault: z.string(), objects: z.array(z.string()), layer: z.string() })),
});
export type Truth = z.infer<typeof truthSchema>;

export type Recording = { readonly id: string; readonly truth: Truth; readonly files: ReadonlyMap<string, string> };

export const RECORDINGS: readonly string[] = readdirSync(HOME, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

export const recordingPath = (id: string): string => join(HOME, id, "bundle.tar.zst");

export function truthOf(id: string): Truth {
  return truthSchema.parse(load(readFileSync(join(HOME, id, "truth.yaml"), "utf8")));
}

/** The recording with the text of every file. */
export async function readRecording(id: string): Promise<Recording> {
  const files = new Map<string, string>();
  const tar = extract();
  tar.end(zstdDecompressSync(readFileSync(recordingPath(id))));
  for await (const entry of tar) {
    const pieces: Uint8Array[] = [];
    for await (const piece of entry) pieces.push(piece as Uint8Array);
    files.set(entry.header.name, Buffer.concat(pieces).toString("utf8"));
  }
  return { id, truth: truthOf(id), files };
}

/** Files as a capture, as a source would bring them. */
export function captureOf(files: ReadonlyMap<string, string>): Capture {
  const intake = createIntake();
  for (const [path, text] of files) {
    const sink = intake.open(path);
    sink?.write(text);
    sink?.end({ bytes: Buffer.byteLength(text) });
  }
  return intake.capture();
}

type RootCause = Report["rootCauses"][number];

/** Whether a root cause names one of these objects, as what to repair or beside it. */
export function names({ object, related }: Pick<RootCause, "object" | "related">, objects: readonly string[]): boolean {
  return [object, ...related].some((one) => objects.includes(refId(one as Ref)));
}
