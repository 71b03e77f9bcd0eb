/**
 * What changes would break and repair, as data. Every drawing of it is made from it alone.
 *
 * Versioned as the report is. docs/generated/what-if.schema.json is made from this file.
 */
import { z } from "zod";
import { cause, change } from "./report.ts";
import { command, reference, text } from "./schema-parts.ts";

const loss = z.object({
  subject: reference.describe("the ServiceAccount, User or Group"),
  all: z.boolean().describe("it keeps no permission of its own"),
  runs: z.array(reference).describe("the workloads that run as it"),
});

const taken = z.object({
  object: reference,
  says: text.optional().describe("why it goes, if it was not itself named or selected"),
  returns: z
    .enum(["at-api-start", "by-controller", "immortal"])
    .optional()
    .describe("who makes it again: the API server when it starts, or a controller; immortal: it cannot be deleted"),
  loses: z.array(loss).describe("of roles and bindings: whose permissions go with it"),
  roots: z.array(z.string()).describe("ids of what its loss breaks"),
});

export const whatIfSchema = z
  .object({
    schema: z.literal("netwhy.what-if/v1"),
    tool: z.object({ version: z.string() }),
    cluster: z.object({ name: z.string(), version: z.string().optional(), capturedAt: z.string().optional() }),
    verdict: z.enum(["breaks", "unclear", "repairs", "harmless", "nothing"]),
    summary: text,
    taken: z.array(taken).describe("what would be deleted"),
    changes: z.array(change).describe("other changes"),
    breaks: z.array(cause).describe("causes that would be new"),
    repairs: z.array(cause).describe("causes that would be gone"),
    remains: z.array(z.object({ id: z.string(), title: text })).describe("causes that are there with and without"),
    notFound: z.array(reference).describe("what was named and is not there"),
    unclear: z
      .array(z.object({ what: text, settle: z.array(command) }))
      .describe("what could not be seen, and may hide something"),
  })
  .describe("What changes to a cluster would do to its network");

export type WhatIf = z.infer<typeof whatIfSchema>;
