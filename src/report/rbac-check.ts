/**
 * What components have been granted against the baselines of their releases, as data. Every drawing of it is made from it
 * alone.
 *
 * Versioned as the report is. docs/generated/rbac-check.schema.json is made from this file.
 */
import { z } from "zod";
import { evidence, reference, text } from "./schema-parts.ts";

const flaw = z.object({
  object: reference.describe("what a person would restore or edit"),
  reason: z.enum([
    "account-missing",
    "token-missing",
    "role-missing",
    "rule-missing",
    "binding-missing",
    "both-missing",
    "subject-wrong",
    "role-ref-wrong",
  ]),
  severity: z.enum(["fault", "warning"]).describe("fault: the network cannot be without what is lost"),
  says: text,
  lacks: z.array(z.string()).describe("what the subject may not, as `verbs resource.group`"),
  consequences: z.array(text).describe("the graver first"),
  madeAgainBy: z.enum(["kube-apiserver", "operator", "nobody"]).describe("who makes the object again by itself"),
});

const component = z.object({
  name: z.string(),
  runs: reference.optional().describe("what it runs as; missing where nothing is seen of it"),
  account: z.string().optional().describe("its ServiceAccount, `namespace/name`"),
  release: z.string().optional(),
  fit: z
    .enum(["exact", "between", "older", "newer", "unknown", "described"])
    .describe("how well its release is known; described: compared with a file of those who run it"),
  comparedWith: z.array(z.string()).describe("ids of the baseline's variants"),
  state: z.enum(["granted", "lacks", "unclear"]),
  flaws: z.array(flaw),
  wider: z
    .array(z.object({ role: reference, allows: z.array(z.string()) }))
    .describe("what its own bindings allow beyond the baseline"),
  missing: z.array(z.string()).describe("lists without which it cannot be told whether there is more"),
  refused: z
    .object({ forbidden: evidence.optional(), unauthorized: evidence.optional() })
    .describe("what the API server told it last: 403 is about permissions, 401 about its token"),
});

export const rbacCheckSchema = z
  .object({
    schema: z.literal("netwhy.rbac-check/v1"),
    tool: z.object({ version: z.string() }),
    cluster: z.object({ name: z.string(), capturedAt: z.string().optional() }),
    verdict: z.enum(["healthy", "faulty", "unclear"]),
    summary: text,
    components: z.array(component).describe("what lacks something comes first"),
  })
  .describe("A netwhy check of permissions");

export type RbacCheck = z.infer<typeof rbacCheckSchema>;
