/** The pipeline, from evidence to report. Everything in it is pure; the same evidence gives the same report. */
import { explain, type Reasoning } from "./cause/explain.ts";
import { foretoldBy } from "./cause/foretold.ts";
import { CHECKS } from "./checks/registry.ts";
import { type RegisteredCheck, runChecks } from "./checks/run.ts";
import type { Capture } from "./evidence/capture.ts";
import { type ClusterModel, modelOf } from "./model/model.ts";
import { buildReport } from "./report/build.ts";
import type { Report } from "./report/report.ts";
import { forecastsOf } from "./trace/forecast.ts";

export const VERSION = "0.1.0";

export type DiagnoseOptions = {
  readonly checks?: readonly RegisteredCheck[];
  /** Milliseconds, for the times that checks took; without it they are 0, and the report depends on the evidence alone. */
  readonly clock?: () => number;
  /** The evidence was gathered from a running cluster by who reads the report; else it may be a stranger's. */
  readonly isOwn?: boolean;
};

/** What the reasoning may conclude by itself, in the name of which check. */
export function reasoningOf(checks: readonly RegisteredCheck[], model: ClusterModel): Reasoning {
  return {
    conclusions: checks.flatMap(({ check: { id, concludes } }) => (concludes ? [{ check: id, ...concludes }] : [])),
    forecasts: forecastsOf(model),
    foretell: (broken) => foretoldBy(broken, model),
  };
}

export function diagnose(
  capture: Capture,
  { checks = CHECKS, clock = () => 0, isOwn = false }: DiagnoseOptions = {},
): Report {
  const model = modelOf(capture);
  const results = runChecks(checks, model, clock);
  const explanation = explain(results.outcomes, model, reasoningOf(checks, model));
  return buildReport({ capture, model, checks, results, explanation, version: VERSION, isOwn });
}
