/**
 * Small worlds to reason about, written by hand: capabilities as words, what each needs, faults, and what was tested.
 *
 *   explained({ needs: { "service.rules w1": toFollow("component.learn w1") } },
 *     [fault("role-gone", "ClusterRole/a", ["component.learn w1"])], [failed("service.rules w1")])
 */
import { type Explanation, explain } from "../src/cause/explain.ts";
import type { Blockage, CannotTell, Fault, Outcome, Strength } from "../src/checks/check.ts";
import { type Capability, type CapabilityName, capabilityId } from "../src/model/capability.ts";
import type { Need } from "../src/model/needs/need.ts";
import type { Needs } from "../src/model/needs/needs.ts";
import type { Observation } from "../src/model/observations.ts";
import type { PolicyView } from "../src/model/policies/views.ts";
import { type Ref, ref } from "../src/model/ref.ts";
import type { TunnelFlows } from "../src/model/tunnels/tunnels.ts";
import { verbatim } from "../src/text.ts";
import { type Forecasts, NO_FORECASTS } from "../src/trace/forecast.ts";

/** `name`, `name node`, `name node peer`; other fields as `field=value`. */
export function capability(words: string): Capability {
  const [name, ...rest] = words.split(" ");
  const places = rest.filter((word) => !word.includes("="));
  const fields = Object.fromEntries(rest.filter((word) => word.includes("=")).map((word) => word.split("=")));
  const [node, peer] = places;
  return { name: name as CapabilityName, ...(node && { node }), ...(peer && { peer }), ...fields };
}

type Part = Need | string;
const need = (part: Part): Need => (typeof part === "string" ? { is: "capability", of: capability(part) } : part);

export const now = (words: string): Need => need(words);
export const toFollow = (words: string): Need => ({ is: "to-follow-change", of: capability(words) });
export const all = (...parts: readonly Part[]): Need => ({ is: "all", of: parts.map(need) });
export const any = (...parts: readonly Part[]): Need => ({ is: "any", of: parts.map(need) });
export const perhaps = (part: Part): Need => ({ is: "perhaps", of: need(part) });

export function policy(name: string): PolicyView {
  return { name, namespace: "shop", ref: ref("NetworkPolicy", name, "shop") } as PolicyView;
}
export const denied = (...names: readonly string[]): Need => ({
  is: "denied",
  by: names.map(policy),
  direction: "ingress",
});

function refOf(id: string): Ref {
  const [kind = "", second = "", third] = id.split("/");
  return third === undefined ? ref(kind, second) : ref(kind, third, second);
}

type FaultOptions = {
  readonly strength?: Strength;
  readonly lost?: boolean;
  readonly since?: string;
  readonly nodes?: readonly string[];
  readonly evidence?: Fault["evidence"];
};

export function fault(
  check: string,
  repair: string,
  breaks: readonly string[],
  { strength = "direct", lost = false, since, nodes = [], evidence }: FaultOptions = {},
): Fault {
  return {
    ...{ outcome: "fault", check, strength, lost, nodes, related: [], facts: {} },
    repair: refOf(repair),
    breaks: breaks.map(capability),
    title: verbatim(`${check} ${repair}`),
    evidence: evidence ?? [{ origin: { kind: "file", path: `${check}.txt` }, quote: repair }],
    ...(since !== undefined && { since }),
  };
}

export const works = (words: string): Outcome => ({
  ...{ outcome: "works", check: "some-check", evidence: [] },
  capability: capability(words),
});

export const cannotTell = (words: string, missing: CannotTell["missing"]): Outcome => ({
  ...{ outcome: "cannot-tell", check: "some-check", missing },
  capability: capability(words),
});

let made = 0;

function observation(outcome: "ok" | "failed", part: Part, how: Observation["how"], shows: string): Observation {
  const of = capability(shows);
  return {
    ...{ outcome, how },
    client: { node: of.node ?? "w1", network: "pod" },
    capability: of,
    need: need(part),
    evidence: { origin: { kind: "probe", path: "probes.jsonl", line: ++made }, quote: `${shows}: ${outcome}` },
    target: { is: "outside" },
  };
}

const SHOWS = "service.reach w1 service=shop/a";
export const failed = (part: Part, shows = SHOWS) => observation("failed", part, "measured", shows);
export const succeeded = (part: Part, shows = SHOWS) => observation("ok", part, "measured", shows);
export const heard = (part: Part, shows = SHOWS) => observation("failed", part, "heard", shows);

export type World = {
  readonly needs?: Readonly<Record<string, Need>>;
  readonly nodes?: readonly string[];
  /** `from to` → what became of encapsulated packets. */
  readonly flows?: Readonly<Record<string, TunnelFlows>>;
  /** Failed probes to addresses of nothing. */
  readonly unmapped?: number;
  /** What the walk says of tests. */
  readonly forecasts?: Forecasts;
};

export function needsOf(needs: World["needs"] = {}): Needs {
  const byId = new Map(Object.entries(needs).map(([words, one]) => [capabilityId(capability(words)), one]));
  return { of: (one: Capability) => byId.get(capabilityId(one)) } as Needs;
}

type Model = Parameters<typeof explain>[1];

/** What is asked of a model for an explanation; nothing else is there. */
export function modelOf(
  { needs, nodes = ["w1", "w2"], flows = {}, unmapped = 0 }: World,
  seen: readonly Observation[],
) {
  return {
    needs: needsOf(needs),
    observations: {
      all: seen,
      failed: seen.filter(({ outcome }) => outcome === "failed"),
      worked: seen.filter(({ outcome }) => outcome === "ok"),
      unmapped: Array.from({ length: unmapped }, () => ({})),
    },
    nodes: { all: nodes.map((name) => ({ name, sampled: true })) },
    tunnels: { flows: (from: string, to: string) => flows[`${from} ${to}`] ?? { state: "unknown" } },
  } as unknown as Model;
}

/** Elimination may conclude each of these. */
const INFERENCES = (
  ["underlay.carry", "underlay.carry-large", "node.reach", "outside.reach", "dns.upstream"] as const
).map((of) => ({
  by: "elimination" as const,
  of,
  check: of.replace(".", "-"),
  title: ({ are, nodes }: { are: string; nodes: readonly string[] }) => verbatim(`${of} ${are} ${nodes.join(" ")}`),
}));

const BLOCKINGS = [
  {
    by: "walk" as const,
    check: "path-blocked",
    title: ({ end, node, what }: Blockage) => verbatim(`${end} at ${node}: ${what}`),
  },
];

export function explained(world: World, outcomes: readonly Outcome[], seen: readonly Observation[] = []): Explanation {
  const { forecasts = NO_FORECASTS } = world;
  return explain(outcomes, modelOf(world, seen), { conclusions: [...INFERENCES, ...BLOCKINGS], forecasts });
}
