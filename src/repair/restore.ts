/**
 * Does to a running cluster what the plan of a restore says, by server-side apply under a name of our own.
 *
 * First all of it as a dry run, which changes nothing: what the API server would refuse is known before anything is done.
 */
import { kindOf, listPathOf, refOf } from "../backup/kinds.ts";
import { mergePatchBetween } from "../backup/merge-patch.ts";
import { restorable, withoutAggregated } from "../backup/restorable.ts";
import type { RestorePlan, RestoreStep } from "../backup/restore-plan.ts";
import type { ManifestObject } from "../model/changes/change.ts";
import { refId } from "../model/ref.ts";
import type { Api, Failure } from "../sources/live/api.ts";

export const FIELD_MANAGER = "netwhy";

export type StepResult = {
  readonly step: RestoreStep;
  /** - *untried*: its Namespace is only made by the restore, so that a dry run cannot tell; or something before it failed. */
  readonly outcome: "done" | "failed" | "untried";
  readonly failure?: Failure;
};

type Done = {
  readonly failure?: Failure;
  readonly result?: { readonly metadata?: { readonly resourceVersion?: string } };
};

function pathOf(object: ManifestObject): string {
  const kind = kindOf(object)!;
  const { name, namespace } = object.metadata;
  return `${listPathOf(kind, namespace)}/${encodeURIComponent(name)}`;
}

async function send(api: Api, ...[method, path, body, type]: Parameters<Api["send"]>): Promise<Done> {
  const { answer, text } = await api.send(method, path, body, type);
  return answer.ok ? { result: JSON.parse(text) as Done["result"] & object } : { failure: answer.failure };
}

function apply(api: Api, object: ManifestObject, dryRun: string): Promise<Done> {
  const path = `${pathOf(object)}?fieldManager=${FIELD_MANAGER}&force=true${dryRun}`;
  return send(api, "PATCH", path, withoutAggregated(object), "application/apply-patch+yaml");
}

/** Applies an object, and takes away what is in it besides: an apply leaves alone what others own. */
async function applyWhole(api: Api, object: ManifestObject): Promise<Failure | undefined> {
  const { failure, result } = await apply(api, object, "");
  const left = result && restorable(result, kindOf(object)!);
  const patch = left && mergePatchBetween(withoutAggregated(left), withoutAggregated(object));
  if (failure || !patch) return failure;
  const resourceVersion = result.metadata?.resourceVersion;
  const body = { ...patch, metadata: { ...(patch.metadata as object), resourceVersion } };
  const path = `${pathOf(object)}?fieldManager=${FIELD_MANAGER}`;
  return (await send(api, "PATCH", path, body, "application/merge-patch+json")).failure;
}

async function perform(api: Api, { object, action, present }: RestoreStep): Promise<Failure | undefined> {
  if (action !== "replace") return applyWhole(api, object);
  const { failure } = await send(api, "DELETE", pathOf(object), {});
  if (failure && failure.kind !== "not-found") return failure;
  const refused = await applyWhole(api, object);
  // better as it was than not at all
  if (refused && present) await apply(api, present, "");
  return refused;
}

/** A DELETE that has a body is told by its body alone: `?dryRun=All` beside one is not heeded (apiserver, delete.go). */
const DRY_DELETE = { apiVersion: "v1", kind: "DeleteOptions", dryRun: ["All"] };

/** Asks the API server of every step whether it would take it. */
export async function tryRestore(api: Api, { steps }: RestorePlan): Promise<readonly StepResult[]> {
  const made = new Set(steps.flatMap(({ object }) => (object.kind === "Namespace" ? object.metadata.name : [])));
  const results: StepResult[] = [];
  for (const step of steps) {
    const { object, action } = step;
    const { failure }: Done =
      action === "replace"
        ? await send(api, "DELETE", pathOf(object), DRY_DELETE)
        : await apply(api, object, "&dryRun=All");
    if (!failure) results.push({ step, outcome: "done" });
    else if (failure.kind === "not-found" && made.has(object.metadata.namespace ?? ""))
      results.push({ step, outcome: "untried" });
    else results.push({ step, outcome: "failed", failure });
  }
  return results;
}

/**
 * Does it, step by step, and ends at the first that fails.
 *
 * @param onStep is told of each before it is done
 */
export async function restore(
  api: Api,
  { steps }: RestorePlan,
  onStep: (id: string) => void = () => {},
): Promise<readonly StepResult[]> {
  const results: StepResult[] = [];
  let isFailed = false;
  for (const step of steps) {
    onStep(refId(refOf(step.object)));
    const failure: Failure | undefined = isFailed ? undefined : await perform(api, step);
    const outcome = isFailed ? "untried" : failure ? "failed" : "done";
    results.push({ step, outcome, ...(failure && { failure }) });
    isFailed ||= failure !== undefined;
  }
  return results;
}
