/** What `netwhy rbac diff -o json` prints: what is otherwise in one backup than in another, and who may do more or less by it. */
import { z } from "zod";
import { reference } from "./schema-parts.ts";

export const RBAC_DIFF = "netwhy.rbac-diff/v1";

const without = z
  .object({ kind: z.string(), namespace: z.string().optional(), name: z.string().optional(), why: z.string() })
  .describe("a whole kind (no name) or one object, and why it is not there");

const head = z.object({
  cluster: z.string(),
  clusterUid: z.string().optional().describe("the uid of Namespace kube-system"),
  takenAt: z.string(),
  tool: z.string(),
  without: z.array(without),
});

const gain = z.object({
  subject: z.string().describe("Kind/namespace/name"),
  namespace: z.string().optional().describe("missing: everywhere"),
  may: z.array(z.string()).describe("`list, watch: nodes`"),
});

const words = z.array(z.string());

const difference = z.object({
  object: reference,
  change: z.enum(["added", "removed", "changed"]),
  gained: words.describe("what a role permits that it did not"),
  lost: words,
  bound: words.describe("whom a binding names that it did not"),
  unbound: words,
  roleRef: z.object({ before: z.string(), after: z.string() }).optional(),
  fields: z.array(z.object({ path: z.string(), before: z.string().optional(), after: z.string().optional() })),
});

export const rbacDiffSchema = z
  .object({
    schema: z.literal(RBAC_DIFF),
    tool: z.object({ version: z.string() }),
    old: head,
    new: head,
    oneCluster: z.boolean().describe("false if the two are known to be of different clusters"),
    differences: z.array(difference),
    gains: z.array(gain),
    losses: z.array(gain),
    uncompared: z.array(without).describe("what one of the two does not hold"),
  })
  .describe("netwhy rbac diff");
