/**
 * cluster.json and version.json of a bundle.
 *
 * cluster.json (ours, docs/bundle.md: "netwhy.bundle/v1"): name, bundle, capturedAt or start and end of the capture, kubernetesVersion, and
 * for each node its clock offset to the capturing machine and its boot time. version.json: the body of GET /version.
 */
import { z } from "zod";
import { type Parsed, parseJson } from "./parsed.ts";

const clusterFile = z.object({
  name: z.string().optional(),
  bundle: z.string().optional(),
  /** RFC 3339, all of them. */
  capturedAt: z.string().optional(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  kubernetesVersion: z.string().optional(),
  nodes: z
    .record(z.string(), z.object({ clockOffsetMs: z.number().optional(), bootedAt: z.string().optional() }))
    .optional(),
});

const versionFile = z.object({ gitVersion: z.string().optional(), platform: z.string().optional() });

function jsonFile<T>(schema: z.ZodType<T>, empty: T) {
  return (text: string): Parsed<T> => {
    const json = parseJson(text);
    if (!json.ok) return { value: empty, gaps: [{ what: json.why }] };
    const fit = schema.safeParse(json.value);
    if (fit.success) return { value: fit.data, gaps: [] };
    const issue = fit.error.issues[0]!;
    return { value: empty, gaps: [{ pointer: `/${issue.path.join("/")}`, what: issue.message }] };
  };
}

export const parseClusterFile = jsonFile(clusterFile, {});
export const parseVersionFile = jsonFile(versionFile, {});
