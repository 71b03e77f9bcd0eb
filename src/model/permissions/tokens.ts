/** Components whose Pods are given no token of their ServiceAccount: they come to the API server as nobody. */
import type { Evidence } from "../../evidence/origin.ts";
import type { PodSpec } from "../../parse/objects.ts";
import type { Component } from "../components/components.ts";
import type { Objects } from "../objects.ts";
import type { PodView } from "../pods.ts";
import { type Ref, ref } from "../ref.ts";

export type Tokenless = {
  /** Where it says so: the workload's template goes before its ServiceAccount. */
  readonly object: Ref;
  readonly evidence: Evidence;
  /** Pods that were made so, and fail. */
  readonly failing: readonly PodView[];
};

const mountsToken = ({ volumes }: PodSpec): boolean =>
  (volumes ?? []).some(({ projected }) => projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken));

/**
 * Whether Pods that are made from now on get no token although the component works by one: others of its Pods have one
 * still, or those that have none fail. Source: plugin/pkg/admission/serviceaccount/admission.go (shouldAutomount).
 */
export function tokenlessOf(
  { workload, account, pods, ref: self }: Component,
  { objects }: { readonly objects: Objects },
): Tokenless | undefined {
  if (!workload || !account) return undefined;
  const { spec } = workload.spec.template;
  const found = objects.find("serviceaccounts", account.name, account.namespace);
  const ofAccount = found.state === "present" ? found.value : undefined;
  const mounts = spec.automountServiceAccountToken ?? ofAccount?.automountServiceAccountToken ?? true;
  if (mounts || mountsToken(spec)) return undefined;
  const current = pods.filter(({ finished, terminating }) => !finished && !terminating);
  const [having, lacking] = [true, false].map((has) =>
    current.filter(({ object }) => mountsToken(object.spec) === has),
  );
  const failing = lacking!.filter(({ ready }) => !ready);
  // all that lack one work: it logs in by other means
  if (having!.length === 0 && failing.length === 0) return undefined;
  const words = "automountServiceAccountToken: false";
  if (spec.automountServiceAccountToken === false) {
    const list = ({ DaemonSet: "daemonsets", Deployment: "deployments", StatefulSet: "statefulsets" } as const)[
      self.kind
    ];
    return (
      list && { object: self, evidence: objects.quote(list, workload, `${self.kind} ${self.name}: ${words}`), failing }
    );
  }
  if (!ofAccount) return undefined;
  const evidence = objects.quote("serviceaccounts", ofAccount, `ServiceAccount ${account.name}: ${words}`);
  return { object: ref("ServiceAccount", account.name, account.namespace), evidence, failing };
}
