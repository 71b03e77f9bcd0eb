/**
 * `cilium-dbg identity list -o json`: the labels of each identity, which are what policies select.
 *
 * Format (Cilium 1.15 to 1.17): a JSON array of `{"id": 326, "labels": ["k8s:app=backend", "reserved:host", …]}`. A label
 * is `source:key=value`; the value may be missing.
 */
import { fitted, readObjects } from "../fields.ts";
import type { Parser } from "../parsed.ts";

export type CiliumIdentity = { readonly id: number; readonly labels: readonly string[] };

export const parseCiliumIdentities: Parser<readonly CiliumIdentity[]> = (text) =>
  readObjects(text, (item) => {
    const fields = fitted(item, { id: "integer", labels: "strings?" });
    return typeof fields === "string" ? fields : { id: fields.id, labels: fields.labels ?? [] };
  });
