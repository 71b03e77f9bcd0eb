/**
 * What may be needed, and how needs are put together.
 *
 * A need is all-of or any-of, and either "now" (without it, it does not work) or "to follow change" (without it, it keeps
 * working as it is, and only what changed since is wrong).
 */
import type { Capability } from "../capability.ts";
import type { Denying } from "../policies/views.ts";

export type Need =
  | { readonly is: "capability"; readonly of: Capability }
  /** Works on without it, but does not follow changes and does not survive a restart. */
  | { readonly is: "to-follow-change"; readonly of: Capability }
  | { readonly is: "all"; readonly of: readonly Need[] }
  | { readonly is: "any"; readonly of: readonly Need[] }
  /** It may depend on it: whether it does is not known. */
  | { readonly is: "perhaps"; readonly of: Need }
  /** A policy that is meant so denies it. */
  | { readonly is: "denied"; readonly by: readonly Denying[]; readonly direction: "ingress" | "egress" };

export const all = (...of: readonly (Need | undefined)[]): Need => {
  const needs = of.filter((need) => need !== undefined);
  return needs.length === 1 ? needs[0]! : { is: "all", of: needs };
};
export const any = (of: readonly Need[]): Need => (of.length === 1 ? of[0]! : { is: "any", of });
export const perhaps = (of: Need): Need => ({ is: "perhaps", of });
export const now = (of: Capability): Need => ({ is: "capability", of });
export const toFollow = (of: Capability): Need => ({ is: "to-follow-change", of });

/** The same on a node, if there is one to tell of. */
export const on = (node: string | undefined, capability: Capability): Capability =>
  node === undefined ? capability : { ...capability, node };

/** A pair of nodes has one underlay, whichever way. */
export function pair(a: string, b: string): { readonly node: string; readonly peer: string } {
  return a < b ? { node: a, peer: b } : { node: b, peer: a };
}
