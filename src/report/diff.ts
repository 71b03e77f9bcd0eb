/**
 * The difference of two captures, as data. Every drawing of it is made from it alone.
 *
 * Versioned as the report is. docs/generated/diff.schema.json is made from this file.
 */
import { z } from "zod";
import { reference, text } from "./schema-parts.ts";

const side = z.object({ name: z.string(), capturedAt: z.string().optional() });

export const difference = z.object({
  subject: reference.describe("the object, or the node whose state it is"),
  kind: z.string().describe("the kind of evidence: a list of the API, or the state of a node"),
  change: z.enum(["added", "removed", "changed"]),
  fields: z.array(
    z.object({
      path: z.string().describe("empty for lines of a node's state"),
      before: z.string().optional(),
      after: z.string().optional(),
    }),
  ),
  more: z.number().describe("fields and lines that are not listed"),
  at: z.string().optional().describe("when it was last written"),
  by: z.string().optional().describe("the field manager that wrote last"),
  concerns: z.array(z.string()).describe("ids of root causes of the newer capture that it has to do with"),
});

export const diffSchema = z
  .object({
    schema: z.literal("netwhy.diff/v1"),
    tool: z.object({ version: z.string() }),
    old: side,
    new: side,
    oneCluster: z.boolean().describe("both are of the same cluster, as far as that can be told"),
    summary: text,
    rootCauses: z.array(z.object({ id: z.string(), title: text })).describe("of the newer capture"),
    differences: z.array(difference).describe("what concerns a root cause comes first"),
    uncompared: z
      .array(z.object({ what: text, nodes: z.array(z.string()) }))
      .describe("what only one of the two captures holds, or neither holds whole"),
  })
  .describe("A netwhy diff");

export type Diff = z.infer<typeof diffSchema>;
