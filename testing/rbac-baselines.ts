/** The RBAC objects that releases of components come with, as their own manifests have them. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Role, RoleBinding } from "../src/parse/objects.ts";

export type ReleasedVariant = {
  readonly component: string;
  readonly variant: string;
  readonly serviceAccounts: readonly { readonly name: string; readonly namespace: string }[];
  readonly clusterroles: readonly Role[];
  readonly clusterrolebindings: readonly RoleBinding[];
  readonly roles: readonly Role[];
  readonly rolebindings: readonly RoleBinding[];
};

/** All 57, with 1,662 rules. */
export function releasedVariants(): ReleasedVariant[] {
  const text = gunzipSync(readFileSync(new URL("semantics/rbac-baselines.jsonl.gz", import.meta.url))).toString();
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ReleasedVariant);
}
