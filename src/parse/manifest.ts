/**
 * manifest.jsonl of a bundle: a line for each file, as the collector took it:
 *   {"path", "command" or "url", "node"?, "startedAt", "tookMs", "exit", "bytes", "sha256", "complete"}
 */
import { z } from "zod";
import { type Gap, type Parsed, parseJson, splitLines } from "./parsed.ts";

const manifestEntry = z.object({
  path: z.string(),
  command: z.string().optional(),
  url: z.string().optional(),
  node: z.string().optional(),
  startedAt: z.string().optional(),
  tookMs: z.number().optional(),
  exit: z.number().optional(),
  bytes: z.number().optional(),
  sha256: z.string().optional(),
  complete: z.boolean().optional(),
});
export type ManifestEntry = z.infer<typeof manifestEntry>;

export function parseManifest(text: string): Parsed<readonly ManifestEntry[]> {
  const { lines, gaps: cuts } = splitLines(text);
  const value: ManifestEntry[] = [];
  const gaps: Gap[] = [...cuts];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const json = parseJson(line);
    const fit = json.ok ? manifestEntry.safeParse(json.value) : undefined;
    if (fit?.success) value.push(fit.data);
    else gaps.push({ line: index + 1, what: json.ok ? "not an entry of a manifest" : json.why });
  }
  return { value, gaps };
}
