/** Runs all checks over a model: narrows the model to what each declared, catches what crashes, concludes the rest. */
import type { ClusterModel, ModelPart } from "../model/model.ts";
import type { Check, Finding, Layer, Outcome } from "./check.ts";

export type RegisteredCheck = { readonly layer: Layer; readonly check: Check };

export type CheckRun = {
  readonly id: string;
  readonly layer: Layer;
  readonly outcome: "found" | "clear" | "cannot-tell" | "not-applicable" | "crashed";
  readonly subjects: number;
  readonly ms: number;
  readonly message?: string;
};

export type CheckResults = { readonly outcomes: readonly Outcome[]; readonly runs: readonly CheckRun[] };

/** The parts that a check declared, and no others: reading another one is a mistake of ours, not of the cluster. */
export function narrowed<R extends ModelPart>(model: ClusterModel, reads: readonly R[]): Pick<ClusterModel, R> {
  const view = {};
  for (const part of reads) Object.defineProperty(view, part, { enumerable: true, get: () => model[part] });
  return new Proxy(view as Pick<ClusterModel, R>, {
    get(target, property) {
      if (typeof property === "string" && !(property in target)) {
        throw new Error(`reads "${property}" of the model without declaring it`);
      }
      return Reflect.get(target, property);
    },
  });
}

function concluded(findings: readonly Finding[]): CheckRun["outcome"] {
  const has = (outcome: Finding["outcome"]) => findings.some((finding) => finding.outcome === outcome);
  if (has("fault") || has("warning")) return "found";
  if (has("cannot-tell")) return "cannot-tell";
  return has("works") ? "clear" : "not-applicable";
}

/** @param clock milliseconds; a pure layer has no clock of its own */
export function runChecks(checks: readonly RegisteredCheck[], model: ClusterModel, clock: () => number): CheckResults {
  const outcomes: Outcome[] = [];
  const runs: CheckRun[] = [];
  for (const { layer, check } of checks) {
    const start = clock();
    const findings: Finding[] = [];
    let message: string | undefined;
    try {
      for (const finding of check.find(narrowed(model, check.reads))) findings.push(finding);
    } catch (error) {
      // a mistake in one check must not take the others' answers away; it is shown, and never counts as clear
      message = (error as Error).stack ?? String(error);
    }
    for (const finding of findings) outcomes.push({ ...finding, check: check.id } as Outcome);
    runs.push({
      id: check.id,
      layer,
      outcome: message === undefined ? concluded(findings) : "crashed",
      subjects: findings.length,
      ms: Math.round((clock() - start) * 10) / 10,
      ...(message !== undefined && { message }),
    });
  }
  return { outcomes, runs };
}
