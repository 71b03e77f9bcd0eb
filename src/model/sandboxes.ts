/** The Pods that nodes really run: the network namespaces that were found there, whatever the API server says. */
import type { Capture } from "../evidence/capture.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";

export type Sandbox = {
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
  readonly evidence: Evidence;
};

export interface Sandboxes {
  readonly all: readonly Sandbox[];
  /** Whether the Pods of a node were looked into: then one that is not among them does not run there. */
  isSampled(node: string): boolean;
}

export function sandboxesOf(capture: Capture): Sandboxes {
  const all = capture.all("podLinks").flatMap(({ place, observed }): Sandbox[] => {
    const { node, namespace, pod } = place;
    if (node === undefined || namespace === undefined || pod === undefined || observed.state !== "present") return [];
    return [{ node, namespace, pod, evidence: quoteOf(observed.origin, `${namespace}/${pod} runs on ${node}`) }];
  });
  const nodes = new Set(all.map(({ node }) => node));
  return { all, isSampled: (node) => nodes.has(node) };
}
