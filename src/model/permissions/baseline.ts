/**
 * Baselines: what a component is granted by its release, object by object, and what goes wrong without each rule.
 *
 * A baseline is written once for all releases: what only some of them have says for which variants it is (`for`). The
 * facts are those of the releases' own manifests and charts, and of the API server's bootstrap policy.
 */
import type { PolicyRule } from "../../parse/objects.ts";
import type { Text } from "../../text.ts";
import type { CapabilityName, Work } from "../capability.ts";
import { type Ref, ref } from "../ref.ts";

/** What goes wrong where something is not permitted. */
export type Consequence = {
  readonly says: Text;
  /** Of the component's work, what it can no longer do; none: nothing of the network follows from it. */
  readonly breaks: readonly Work[];
  /** What the cluster as a whole can no longer do. */
  readonly stops?: readonly CapabilityName[];
};

export type Subject = {
  readonly kind: "ServiceAccount" | "User" | "Group";
  readonly name: string;
  readonly namespace?: string;
};

export type BaselineBinding = { readonly ref: Ref; readonly subjects: readonly Subject[] };

/** A role with the bindings that refer to it, as one variant has them. */
export type BaselineGrant = {
  readonly role: Ref;
  readonly rules: readonly PolicyRule[];
  readonly bindings: readonly BaselineBinding[];
  /** The role is another's: only its bindings are this component's own. */
  readonly isForeign: boolean;
  /** Another ClusterRole's rules are collected into it by these labels. */
  readonly aggregates?: Readonly<Record<string, string>>;
  /** The labels by which its rules are collected into others. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The container that works by it: where the workload has that one, it was chosen. */
  readonly usedBy?: string;
};

/** Releases, both ends included; a missing end is open. `1.8` is all of 1.8. */
export type Releases = { readonly from?: string; readonly to?: string };

export type Variant = {
  /** Names it for ever: `v3.28`, `kubespray`. */
  readonly id: string;
  readonly releases?: Releases;
  /** By whom it is installed so, where that makes a difference; missing: by whomever else. */
  readonly installer?: "kubespray" | "helm";
  /** It holds only where this option is chosen. */
  readonly option?: "multicluster";
};

/** kube-apiserver makes it again when it starts, though the rest of the baseline is somebody else's. */
type Restored = { readonly isBootstrap?: true };

type Limited = { readonly for?: string };
type RuleOf = Limited & { readonly rule: PolicyRule };
type BindingOf = Limited & Restored & BaselineBinding;
export type GrantOf = Limited &
  Restored & {
    readonly role: Ref;
    readonly rules: readonly RuleOf[];
    readonly to: readonly BindingOf[];
    readonly isForeign?: true;
    readonly aggregates?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly usedBy?: string;
  };

/** What the lack of a permission leads to: the first entry that fits it counts. */
export type Loss = {
  /** Names of roles, `*` at the end is any rest; missing: all. */
  readonly of?: readonly string[];
  readonly verbs?: readonly string[];
  /** With their subresources: `nodes/status`. */
  readonly resources?: readonly string[];
  readonly apiGroups?: readonly string[];
  /** It leads there only if no container has this environment variable; `NAME=value`: with this value. */
  readonly unlessEnv?: string;
  readonly consequence: Consequence;
};

export type Baseline = {
  /** As the component's definition: `cilium`. */
  readonly id: string;
  /** Whose releases the variants are of: the component's image, or Kubernetes. */
  readonly releasesOf: "image" | "kubernetes";
  /** kube-apiserver makes these objects again when it starts. */
  readonly isBootstrap?: true;
  /** It is made of a file of those who run the component. */
  readonly isDescribed?: true;
  /** Oldest first. */
  readonly variants: readonly Variant[];
  readonly grants: readonly GrantOf[];
  readonly losses: readonly Loss[];
};

const words = (list: string): string[] => list.split(/\s+/).filter(Boolean);

/** Names of CustomResourceDefinitions: each of the group. */
export const ofGroup = (names: string, group: string): string =>
  words(names)
    .map((name) => `${name}.${group}`)
    .join(" ");

type MayOptions = { readonly in?: string; readonly named?: string; readonly for?: string };

/**
 * A rule: `may("list watch", "services endpoints")`, or of paths `may("get", "/healthz")`.
 *
 * @param options `in` its API groups (`core` is the core group, and what is meant if none is said), `named` its
 * resourceNames, `for` the variants that have it
 */
export function may(verbs: string, what: string, options: MayOptions = {}): RuleOf {
  const limits = options.for === undefined ? {} : { for: options.for };
  if (what.trim().startsWith("/")) return { rule: { nonResourceURLs: words(what), verbs: words(verbs) }, ...limits };
  const apiGroups = words(options.in ?? "core").map((group) => (group === "core" ? "" : group));
  const named = options.named === undefined ? {} : { resourceNames: words(options.named) };
  return { rule: { apiGroups, resources: words(what), ...named, verbs: words(verbs) }, ...limits };
}

/** `kube-system/coredns` is a ServiceAccount; `user:NAME` and `group:NAME` are what they say. */
function subject(text: string): Subject {
  const [kind, name] = text.startsWith("user:")
    ? (["User", text.slice(5)] as const)
    : text.startsWith("group:")
      ? (["Group", text.slice(6)] as const)
      : (["ServiceAccount", text] as const);
  if (kind !== "ServiceAccount") return { kind, name };
  const slash = name.indexOf("/");
  return { kind, namespace: name.slice(0, slash), name: name.slice(slash + 1) };
}

/** A binding and its subjects, as in `bound("coredns", "kube-system/coredns")`; in a namespace it is a RoleBinding. */
export function bound(
  name: string,
  subjects: string,
  options: Limited & Restored & { readonly in?: string } = {},
): BindingOf {
  const { in: namespace, ...limits } = options;
  const self = namespace === undefined ? ref("ClusterRoleBinding", name) : ref("RoleBinding", name, namespace);
  return { ref: self, subjects: words(subjects).map(subject), ...limits };
}

type GrantOptions = Omit<GrantOf, "role">;

export const clusterRole = (name: string, options: GrantOptions): GrantOf => ({
  role: ref("ClusterRole", name),
  ...options,
});

export const role = (namespace: string, name: string, options: GrantOptions): GrantOf => ({
  role: ref("Role", name, namespace),
  ...options,
});

/** A loss, as in `without("list watch", "services", FREEZES)`; `*` is any. */
export function without(
  verbs: string,
  resources: string,
  consequence: Consequence,
  options: { readonly of?: string; readonly in?: string; readonly unlessEnv?: string } = {},
): Loss {
  return {
    consequence,
    ...(verbs !== "*" && { verbs: words(verbs) }),
    ...(resources !== "*" && { resources: words(resources) }),
    ...(options.of !== undefined && { of: words(options.of) }),
    ...(options.in !== undefined && { apiGroups: words(options.in) }),
    ...(options.unlessEnv !== undefined && { unlessEnv: options.unlessEnv }),
  };
}

/** One variant a minor release: `releases("3.24 3.26")`. */
export const releases = (list: string): readonly Variant[] =>
  words(list).map((release) => ({ id: `v${release}`, releases: { from: release, to: release } }));

/** `v3.26..` is that variant and all after it in the baseline's order, `..v3.24` it and all before; else a list. */
function isFor(limit: string | undefined, variant: Variant, { variants, id }: Baseline): boolean {
  if (limit === undefined) return true;
  const at = variants.findIndex((one) => one.id === variant.id);
  const position = (name: string) => {
    const found = variants.findIndex((one) => one.id === name);
    if (found < 0) throw new Error(`the baseline of ${id} has no variant ${name}`);
    return found;
  };
  const range = limit.split("..");
  if (range.length === 1) return words(limit).map(position).includes(at);
  const [first = "", last = ""] = range;
  return at >= (first ? position(first) : 0) && at <= (last ? position(last) : variants.length);
}

/** The objects of one variant. */
export function grantsOf(baseline: Baseline, variant: Variant): readonly BaselineGrant[] {
  const has = ({ for: limit }: Limited) => isFor(limit, variant, baseline);
  return baseline.grants
    .filter(has)
    .map(({ role: granted, rules, to, isForeign = false, aggregates, labels, usedBy }) => ({
      role: granted,
      rules: rules.filter(has).map(({ rule }) => rule),
      bindings: to.filter(has).map(({ ref: self, subjects }) => ({ ref: self, subjects })),
      isForeign,
      ...(aggregates && { aggregates }),
      ...(labels && { labels }),
      ...(usedBy !== undefined && { usedBy }),
    }));
}
