/**
 * The fourth pipeline: from a capture and changes to what these would break and repair. Pure.
 *
 * The cluster is diagnosed as it is and as it would be.
 */
import { denialOf } from "./cause/effect.ts";
import { explain } from "./cause/explain.ts";
import { rootIdOf } from "./cause/roots.ts";
import { CHECKS } from "./checks/registry.ts";
import { runChecks } from "./checks/run.ts";
import { reasoningOf, VERSION } from "./diagnose.ts";
import type { Capture } from "./evidence/capture.ts";
import { deletionPlan } from "./model/changes/deletion.ts";
import { type Intent, intentOf, isMisunderstood } from "./model/changes/intent.ts";
import { type ClusterModel, modelOf } from "./model/model.ts";
import type { Need } from "./model/needs/need.ts";
import type { Observations } from "./model/observations.ts";
import { type Ref, refId } from "./model/ref.ts";
import { buildReport } from "./report/build.ts";
import { buildWhatIf, type EndedCall, type Judged, type LockedPod } from "./report/build-what-if.ts";
import type { WhatIf } from "./report/what-if.ts";

export { intentOf, isMisunderstood };

/** Nobody has tested what would be, and what programs complain of is of before. */
const UNTESTED: Observations = {
  all: [],
  failed: [],
  worked: [],
  unmapped: [],
  failedOn: () => [],
  tested: false,
};

export function whatIf(capture: Capture, { deletions, changes }: Intent): WhatIf {
  const now = modelOf(capture);
  const plan = deletionPlan(deletions, now);
  const all = [...plan.changes, ...changes];
  const before = judged(capture, now);
  const asIs = { after: before, ended: [], locked: [] };
  if (all.length === 0) return buildWhatIf({ capture, plan, changes, before, ...asIs, version: VERSION });
  const then = now.with(all);
  const meant = { ended: endedCalls(now, then), locked: lockedPods(now, then) };
  return buildWhatIf({ capture, plan, changes, before, after: judged(capture, then), ...meant, version: VERSION });
}

/** Pods that no policy isolates now, and that may then send nothing, or let nobody in. */
function lockedPods(now: ClusterModel, then: ClusterModel): readonly LockedPod[] {
  if (then.policies.enforcement === "nothing") return [];
  return (["egress", "ingress"] as const).flatMap((direction) =>
    then.pods.all.flatMap((pod) => {
      const by = pod.finished ? [] : then.policies.isolating(pod, direction);
      const before = now.pods.get(pod.namespace, pod.name);
      const isOpen = by.some(({ rules }) => rules.some((rule) => rule.direction === direction));
      if (by.length === 0 || isOpen || !before || now.policies.isolates(before, direction)) return [];
      return [{ policies: by.map(({ ref }) => ref), direction, pod: pod.key }];
    }),
  );
}

/** What worked when it was tested, and policies would deny: whether that is meant, only a person knows. */
function endedCalls(now: ClusterModel, then: ClusterModel): readonly EndedCall[] {
  const deniedOf = ({ observations }: ClusterModel) =>
    observations.worked.filter(({ how, need }) => how === "measured" && denialOf(need) === "must");
  const known = new Set(deniedOf(now).map(({ probe }) => probe));
  return deniedOf(then).flatMap(({ probe, need }) => {
    if (!probe || known.has(probe)) return [];
    const policies = [...new Map(deniersIn(need).map((one) => [refId(one), one])).values()];
    return [{ policies, from: probe.from.pod ?? probe.from.node, to: probe.target }];
  });
}

function deniersIn(need: Need): readonly Ref[] {
  if (need.is === "denied") return need.by.map(({ ref }) => ref);
  if (need.is === "perhaps") return deniersIn(need.of);
  return need.is === "all" || need.is === "any" ? need.of.flatMap(deniersIn) : [];
}

function judged(capture: Capture, tested: ClusterModel): Judged {
  const model: ClusterModel = Object.create(tested, { observations: { value: UNTESTED, enumerable: true } });
  const results = runChecks(CHECKS, model, () => 0);
  const explanation = explain(results.outcomes, model, reasoningOf(CHECKS, model));
  // a fault that follows from another is still there, though no root
  const faults = results.outcomes.flatMap((outcome) =>
    outcome.outcome === "fault" ? [{ id: rootIdOf(outcome.check, outcome.repair), nodes: outcome.nodes }] : [],
  );
  const parts = { capture, model, checks: CHECKS, results, explanation, version: VERSION, isOwn: false };
  return { model, faults, report: buildReport(parts) };
}
