/** Which variant of a baseline a component is compared with: by its release, its installer and its options. */
import type { PolicyRule } from "../../parse/objects.ts";
import type { Want } from "../rbac.ts";
import { sameRef } from "../ref.ts";
import { type Baseline, type BaselineGrant, type Consequence, grantsOf, type Variant } from "./baseline.ts";
import { grantsBefore, OLDEST_MINOR } from "./bootstrap-history.ts";
import { commonRules } from "./rules.ts";

export type Traits = {
  /** `v3.28.1`, as the image's tag or the API server says it. */
  readonly release?: string | undefined;
  readonly installer?: Variant["installer"] | undefined;
  readonly options?: readonly Variant["option"][];
};

/**
 * How well the release is known: *exact*; *between* two variants; *older* or *newer* than all; *unknown*. Of these, all but
 * *exact* are compared with what several variants have in common. *described*: it is what those who run it say, whichever
 * release it is.
 */
export type Fit = "exact" | "between" | "older" | "newer" | "unknown" | "described";

export type Comparison = {
  readonly baseline: Baseline;
  readonly release?: string;
  readonly fit: Fit;
  /** The variants that it is compared with, oldest first. */
  readonly variants: readonly Variant[];
  /** What all of them grant. */
  readonly grants: readonly BaselineGrant[];
};

/** Major, minor, patch, as far as they are said; kindnet's has the date only: `v20240813-c6f155d6`. */
type Release = readonly [number, number?, number?];

function parseRelease(text: string | undefined): Release | undefined {
  const [, date, major, minor, patch] = /^v?(?:(\d{8})(?![\d.])|\D*?(\d+)\.(\d+)(?:\.(\d+))?)/.exec(text ?? "") ?? [];
  if (date !== undefined) return [Number(date)];
  if (major === undefined || minor === undefined) return undefined;
  return patch === undefined ? [Number(major), Number(minor)] : [Number(major), Number(minor), Number(patch)];
}

/** What one of them does not say is no difference: 1.8.4 is of 1.8. */
function order(a: Release, b: Release): number {
  const pairs = a.map((number, index) => [number, b[index]] as const);
  for (const [one, other] of pairs) if (one !== undefined && other !== undefined && one !== other) return one - other;
  return 0;
}

/** Negative: the variant is of older releases; 0: of this; positive: of newer. */
function distance({ releases }: Variant, release: Release): number {
  const from = parseRelease(releases?.from);
  const to = parseRelease(releases?.to);
  if (to && order(to, release) < 0) return -1;
  return from && order(from, release) > 0 ? 1 : 0;
}

/** The variants in question: those of the installer and the option, if there are such of this release. */
function candidatesOf(
  { variants }: Baseline,
  { installer, options = [] }: Traits,
  release: Release | undefined,
): readonly Variant[] {
  const plain = variants.filter((variant) => variant.installer === undefined && variant.option === undefined);
  const special = variants.filter(
    (variant) =>
      (variant.installer !== undefined && variant.installer === installer) ||
      (variant.option !== undefined && options.includes(variant.option)),
  );
  if (!release) return [...plain, ...special];
  const own = special.filter((variant) => distance(variant, release) === 0);
  return own.length > 0 ? own : plain;
}

/** Of the bootstrap policy it is known what releases before the oldest variant had. */
const hasHistory = ({ isBootstrap }: Baseline, [major, minor = 0]: Release): boolean =>
  isBootstrap === true && major === 1 && minor >= OLDEST_MINOR;

function choose(baseline: Baseline, traits: Traits): { fit: Fit; variants: readonly Variant[] } {
  if (baseline.isDescribed) return { fit: "described", variants: baseline.variants };
  const release = parseRelease(traits.release);
  const candidates = candidatesOf(baseline, traits, release);
  if (candidates.every(({ releases }) => releases === undefined))
    return { fit: "exact", variants: candidates.slice(-1) };
  if (!release) return { fit: "unknown", variants: candidates };
  const own = candidates.filter((variant) => distance(variant, release) === 0);
  if (own.length > 0) return { fit: "exact", variants: own.slice(-1) };
  const older = candidates.filter((variant) => distance(variant, release) < 0).slice(-1);
  const newer = candidates.filter((variant) => distance(variant, release) > 0).slice(0, 1);
  if (older.length === 0 && hasHistory(baseline, release)) return { fit: "exact", variants: newer };
  if (older.length === 0) return { fit: "older", variants: candidates };
  return newer.length === 0
    ? { fit: "newer", variants: candidates }
    : { fit: "between", variants: [...older, ...newer] };
}

function common(first: readonly BaselineGrant[], second: readonly BaselineGrant[]): BaselineGrant[] {
  return first.flatMap((grant) => {
    const other = second.find(({ role }) => sameRef(role, grant.role));
    if (!other) return [];
    const bindings = grant.bindings.filter((binding) => other.bindings.some((one) => sameRef(one.ref, binding.ref)));
    return [{ ...grant, rules: commonRules(grant.rules, other.rules), bindings }];
  });
}

const made = new WeakMap<Baseline, Map<string, readonly BaselineGrant[]>>();

/** What several variants of a baseline have in common, and that release as well. It depends on nothing else, and is made once. */
function commonGrants(
  baseline: Baseline,
  variants: readonly Variant[],
  release: Release | undefined,
): readonly BaselineGrant[] {
  const ofBaseline = made.get(baseline) ?? new Map<string, readonly BaselineGrant[]>();
  made.set(baseline, ofBaseline);
  const minor = baseline.isBootstrap && release?.[0] === 1 ? release[1] : undefined;
  const key = `${minor} ${variants.map(({ id }) => id).join(" ")}`;
  const known = ofBaseline.get(key);
  if (known) return known;
  const shared = variants
    .map((variant) => grantsOf(baseline, variant))
    .reduceRight((newest, other) => common(newest, other));
  const grants = minor === undefined ? shared : grantsBefore(shared, minor);
  ofBaseline.set(key, grants);
  return grants;
}

/** What a component of this release, installed so, should have been granted. */
export function compareWith(baseline: Baseline, traits: Traits): Comparison {
  const { fit, variants } = choose(baseline, traits);
  return {
    baseline,
    fit,
    variants,
    grants: commonGrants(baseline, variants, parseRelease(traits.release)),
    ...(traits.release !== undefined && { release: traits.release }),
  };
}

const fits = (list: readonly string[] | undefined, word: string): boolean => list?.includes(word) ?? true;

const fitsName = (list: readonly string[] | undefined, name: string): boolean =>
  list?.some((entry) => (entry.endsWith("*") ? name.startsWith(entry.slice(0, -1)) : entry === name)) ?? true;

/**
 * What goes wrong where this is not permitted.
 *
 * @param role name of the role that should allow it
 * @param want undefined: the whole role
 * @param env environment variables that the component's containers have: their names, and `NAME=value`
 */
export function consequenceOf(
  { losses, id }: Pick<Baseline, "losses" | "id">,
  role: string,
  want: Want | undefined,
  env: ReadonlySet<string> = new Set(),
): Consequence {
  const found = losses.find(({ of, verbs, resources, apiGroups, unlessEnv }) => {
    if (!fitsName(of, role) || (unlessEnv !== undefined && env.has(unlessEnv))) return false;
    if (!want) return verbs === undefined && resources === undefined;
    if (!(fits(verbs, want.verb) || want.verb === "*")) return false;
    if ("path" in want) return resources === undefined;
    return fits(resources, want.resource) && fits(apiGroups, want.apiGroup);
  });
  if (!found)
    throw new Error(`the baseline of ${id} does not say what goes wrong without ${JSON.stringify(want ?? role)}`);
  return found.consequence;
}

/** A rule in one word each: equal for rules that allow the same. */
export function ruleKey({ apiGroups, resources, resourceNames, nonResourceURLs, verbs }: PolicyRule): string {
  return JSON.stringify(
    [apiGroups, resources, resourceNames, nonResourceURLs, verbs].map((list) => [...(list ?? [])].sort()),
  );
}
