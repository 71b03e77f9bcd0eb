/**
 * The report: what netwhy says about a cluster, as data. Every output and every page is drawn from it alone.
 *
 * Versioned: ids are for ever, readers ignore unknown fields, a field is never reused. docs/generated/report.schema.json
 * is made from this file.
 */
import { z } from "zod";
import { difference } from "./diff.ts";
import { command, evidence, reference, type TextData, text } from "./schema-parts.ts";

export const change = z.union([
  z.object({ do: z.literal("apply"), object: z.looseObject({ apiVersion: z.string(), kind: z.string() }) }),
  z.object({ do: z.literal("patch"), target: reference, patch: z.record(z.string(), z.unknown()) }),
  z.object({ do: z.literal("delete"), target: reference }),
  z.object({ do: z.literal("scale"), target: reference, replicas: z.number() }),
  z.object({ do: z.literal("restart"), component: reference, node: z.string().optional() }),
  z.object({ do: z.literal("sysctl"), node: z.string(), key: z.string(), value: z.string() }),
]);

const remedy = z.object({
  id: z.string(),
  risk: z.enum(["none", "low", "medium", "high"]),
  interrupts: text.describe("what stops working while it is done"),
  source: z.enum(["helm", "bootstrap", "backup", "baseline"]).optional().describe("where restored objects come from"),
  steps: z.array(
    z.object({
      why: text,
      change: z
        .union([change, command])
        .optional()
        .describe("missing where a person must decide, or act outside the cluster"),
      precondition: text.optional(),
      undo: z.union([change, command, text]).optional().describe("missing where nothing is changed"),
      verify: command.describe("shows that it worked"),
    }),
  ),
  prevent: z.array(text),
  errata: z.array(z.string()).optional().describe("known errors of common runbooks that this avoids"),
});

/** What follows from a cause; `causes` are the things that this one leads to in turn. */
const effect: z.ZodType<EffectData> = z.lazy(() =>
  z.object({
    capability: z.string(),
    subject: reference,
    is: z.enum(["fault", "symptom"]).describe("found in the cluster's state, or felt by who uses it"),
    state: z.enum(["broken", "impaired", "predicted"]),
    of: z.tuple([z.number(), z.number()]).optional().describe("failed tests, of all that were made"),
    says: text,
    evidence: z.array(evidence),
    causes: z.array(effect),
  }),
);
type EffectData = {
  capability: string;
  subject: z.infer<typeof reference>;
  is: "fault" | "symptom";
  state: "broken" | "impaired" | "predicted";
  of?: [number, number] | undefined;
  says: TextData;
  evidence: z.infer<typeof evidence>[];
  causes: EffectData[];
};

const right = z.union([
  z.object({ verb: z.string(), group: z.string(), resource: z.string(), namespace: z.string().optional() }),
  z.object({ verb: z.string(), url: z.string() }),
]);

export const cause = z.object({
  id: z.string().describe("<check>/<kind>/<namespace>/<name>"),
  check: z.string(),
  object: reference.describe("what a person would edit or restore"),
  related: z.array(reference),
  nodes: z.array(z.string()).optional(),
  title: text,
  confidence: z.enum(["certain", "likely", "possible"]),
  because: text.describe("why so sure"),
  latent: z.boolean().describe("no test shows that traffic fails for it; some will at the next restart or change"),
  since: z.string().optional(),
  explains: z.array(effect),
  evidence: z.array(evidence),
  ruledOut: z.array(z.object({ what: text, by: evidence })),
  alternatives: z.array(z.string()).describe("ids of other explanations that remain"),
  remedies: z.array(remedy),
});

export const reportSchema = z
  .object({
    schema: z.literal("netwhy.report/v1"),
    tool: z.object({ version: z.string() }),
    cluster: z.object({
      name: z.string(),
      version: z.string().optional(),
      capturedAt: z.string().optional(),
      nodes: z.number(),
      sampledNodes: z.number().describe("nodes on which evidence was gathered"),
      skewMs: z.number().optional(),
    }),
    verdict: z.enum(["faulty", "unclear", "healthy"]),
    doubt: z
      .enum(["failing", "unseen"])
      .optional()
      .describe(
        "why the verdict is unclear: something fails and nothing explains it; or nothing does, and not all was seen",
      ),
    summary: text,
    triggers: z.array(
      z.object({
        what: text,
        at: z.string().optional(),
        by: z.string().optional(),
        selector: z.string().optional(),
        roots: z.array(z.string()),
        took: z
          .array(reference)
          .optional()
          .describe("all that it took and that is missing still, also what is only warned of"),
        evidence: z.array(evidence),
      }),
    ),
    rootCauses: z.array(cause),
    changes: z
      .object({ since: z.string().optional(), differences: z.array(difference) })
      .optional()
      .describe("with a baseline: what is otherwise than it was there, and concerns a root cause"),
    unexplained: z.array(effect),
    disagreements: z
      .array(
        z.object({
          says: text,
          evidence: z.array(evidence),
          settle: z.array(command).describe("captures of its packets at both ends, to be run at once while it fails"),
        }),
      )
      .describe("tests that ended otherwise than their packets, walked through the state of all nodes"),
    meantDenials: z.array(z.object({ policies: z.array(reference), says: text, evidence: z.array(evidence) })),
    warnings: z.array(cause),
    history: z.array(z.object({ object: reference, title: text, evidence: z.array(evidence) })),
    blindSpots: z.array(
      z.object({
        what: text,
        why: text,
        matters: z.array(z.string()).describe("ids of root causes, and capabilities"),
        settle: z.array(command).describe("what would tell"),
      }),
    ),
    rights: z
      .object({
        missing: z.array(z.object({ right, hides: text.describe("what nobody can tell without it") })),
        grant: z
          .array(z.looseObject({ apiVersion: z.string(), kind: z.string() }))
          .describe("roles and bindings that would grant all of it"),
      })
      .optional()
      .describe("what whoever gathered the evidence was not allowed to read; missing if nothing was refused"),
    checks: z.array(
      z.object({
        id: z.string(),
        layer: z.string(),
        outcome: z.enum(["found", "clear", "cannot-tell", "not-applicable", "crashed"]),
        subjects: z.number(),
        ms: z.number(),
        message: z.string().optional(),
      }),
    ),
    notes: z.array(text).describe("what befell the evidence on its way here"),
    tests: z.object({ made: z.number(), failed: z.number() }).describe("active tests in the evidence"),
  })
  .describe("A netwhy report");

export type Report = z.infer<typeof reportSchema>;
export type Cause = Report["rootCauses"][number];
export type Effect = EffectData;
export type ReportEvidence = z.infer<typeof evidence>;
