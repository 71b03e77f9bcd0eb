/**
 * A change to a cluster, as data. Remedies are made of them, and so are counterfactuals ("would it work then?"),
 * what-if questions, and the faults that the cluster builder puts into a healthy cluster: one engine, `model.with()`.
 */
import type { Ref } from "../ref.ts";

export type Change =
  /** Server-side apply of a whole object. */
  | { readonly do: "apply"; readonly object: ManifestObject }
  /** JSON merge patch, RFC 7386: null removes a field, an array replaces the array. */
  | { readonly do: "patch"; readonly target: Ref; readonly patch: Readonly<Record<string, unknown>> }
  | { readonly do: "delete"; readonly target: Ref }
  | { readonly do: "scale"; readonly target: Ref; readonly replicas: number }
  /** The component's Pods start anew, on one node or on all: each writes what it would write now. */
  | { readonly do: "restart"; readonly component: Ref; readonly node?: string }
  /** Sets a kernel parameter and makes it last. */
  | { readonly do: "sysctl"; readonly node: string; readonly key: string; readonly value: string };

export type ManifestObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
};
