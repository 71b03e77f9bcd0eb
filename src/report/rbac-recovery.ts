/** What `netwhy rbac recover -o json` prints: manifests of permissions that are gone, each with its source. */
import { z } from "zod";
import { reference, text } from "./schema-parts.ts";

export const RBAC_RECOVERY = "netwhy.rbac-recovery/v1";

const recovered = z.object({
  object: z.looseObject({ apiVersion: z.string(), kind: z.string() }).describe("as it is applied"),
  source: z.enum(["helm", "bootstrap", "kubeadm", "baseline"]),
  from: text.describe("where it comes from, and what of the object that was there it may lack"),
});

export const rbacRecoverySchema = z
  .object({
    schema: z.literal(RBAC_RECOVERY),
    tool: z.object({ version: z.string() }),
    recovered: z.array(recovered).describe("in the order in which they are applied"),
    lost: z.array(reference).describe("missing, and nothing tells what they were"),
    isHelmUnseen: z.boolean().describe("Helm's records were not had: they may hold a better source"),
  })
  .describe("netwhy rbac recover");

export type RbacRecovery = z.input<typeof rbacRecoverySchema>;
