/** The Pods that nodes really run: the network namespaces that were found there, whatever the API server says. */
import type { Capture } from "../evidence/capture.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { canonicalIp } from "../net/ip.ts";
import { counted } from "./counted.ts";

export type Sandbox = {
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
  /** Canonical; those of its loopback too. */
  readonly addresses: readonly string[];
  readonly evidence: Evidence;
};

export interface Sandboxes {
  readonly all: readonly Sandbox[];
  /** Whether the Pods of a node were looked into: then one that is not among them does not run there. */
  isSampled(node: string): boolean;
  /** What the kubelet of a node counts of sandboxes that it failed to make since it started. */
  failuresOn(node: string): readonly Evidence[];
}

/** `runtime_operations` counts the same where it has no counter of its own, in old releases. */
const FAILURES = ["kubelet_run_podsandbox_errors_total", "kubelet_runtime_operations_errors_total"] as const;

export function sandboxesOf(capture: Capture): Sandboxes {
  const all = capture.all("podLinks").flatMap(({ place, observed }): Sandbox[] => {
    const { node, namespace, pod } = place;
    if (node === undefined || namespace === undefined || pod === undefined || observed.state !== "present") return [];
    const held = observed.value.flatMap(({ addresses }) => addresses);
    const addresses = held.map(({ local }) => canonicalIp(local) ?? local);
    const evidence = quoteOf(observed.origin, `${namespace}/${pod} runs on ${node}`);
    return [{ node, namespace, pod, addresses, evidence }];
  });
  const nodes = new Set(all.map(({ node }) => node));
  return {
    all,
    isSampled: (node) => nodes.has(node),
    failuresOn: (node) =>
      counted(capture.get("kubeletMetrics", { node }), FAILURES, ({ labels }) =>
        ["run_podsandbox", undefined].includes(labels.get("operation_type")),
      ).slice(0, 1),
  };
}
