/**
 * The fourth pipeline: from a capture and changes to what these would break and repair. Pure.
 *
 * The cluster is diagnosed as it is and as it would be.
 */
import { explain } from "./cause/explain.ts";
import { rootIdOf } from "./cause/roots.ts";
import { CHECKS } from "./checks/registry.ts";
import { runChecks } from "./checks/run.ts";
import { reasoningOf, VERSION } from "./diagnose.ts";
import type { Capture } from "./evidence/capture.ts";
import { deletionPlan } from "./model/deletion.ts";
import { type Intent, intentOf, isMisunderstood } from "./model/intent.ts";
import { type ClusterModel, modelOf } from "./model/model.ts";
import type { Observations } from "./model/observations.ts";
import { buildReport } from "./report/build.ts";
import { buildWhatIf, type Judged } from "./report/build-what-if.ts";
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
  const after = all.length === 0 ? before : judged(capture, now.with(all));
  return buildWhatIf({ capture, plan, changes, before, after, version: VERSION });
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
