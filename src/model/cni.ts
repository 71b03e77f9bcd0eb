/** By what nodes connect their Pods: the CNI configuration that the container runtime reads. */
import type { Capture, Captured } from "../evidence/capture.ts";
import type { KindId } from "../evidence/catalogue.ts";
import type { Observed } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";

/**
 * Whether there is a file in a node's /etc/cni/net.d. That there is none is known only where other files of the node were
 * collected, and such a file of another node: else the runtime may have been told to look elsewhere (k3s).
 */
export type CniConfig =
  | { readonly state: "present" }
  | { readonly state: "unknown" }
  | { readonly state: "absent"; readonly evidence: readonly Evidence[] };

export interface Cni {
  configOf(node: string): CniConfig;
}

/** Other files that are collected together with it. */
const OTHER_FILES = ["kubeletConfig", "subnetEnv"] as const satisfies readonly KindId[];

const isMissing = (observed: Observed<unknown>): boolean =>
  observed.state === "unknown" && observed.why.reason === "not-collected";

export function cniOf(capture: Capture): Cni {
  const found = capture.all("cniConfig").filter(({ observed }) => observed.state === "present");
  const others = OTHER_FILES.flatMap((kind): readonly Captured<unknown>[] => capture.all(kind));
  return {
    configOf(node) {
      if (found.some(({ place }) => place.node === node)) return { state: "present" };
      const [elsewhere] = found;
      const collected = others.find(({ place, observed }) => place.node === node && observed.state === "present");
      // tried for and not had: then there is one
      const isHidden = capture
        .all("cniConfig")
        .some(({ place, observed }) => place.node === node && !isMissing(observed));
      if (!elsewhere || !collected || isHidden) return { state: "unknown" };
      const { place, observed } = elsewhere;
      return {
        state: "absent",
        evidence: [
          quoteOf(observed.origin, `${place.node}: /etc/cni/net.d/${place.file}; ${node}: none`),
          quoteOf(collected.observed.origin, `${node}: files were collected, none of them from /etc/cni/net.d`),
        ],
      };
    },
  };
}
