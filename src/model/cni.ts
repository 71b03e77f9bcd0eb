/** By what nodes connect their Pods: the CNI configuration that the container runtime reads. */
import type { Capture, Captured } from "../evidence/capture.ts";
import type { KindId } from "../evidence/catalogue.ts";
import { known, type Observed } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { type Prefix, parsePrefix } from "../net/ip.ts";

/**
 * Whether there is a file in a node's /etc/cni/net.d. That there is none is known only where other files of the node were
 * collected, and such a file of another node: else the runtime may have been told to look elsewhere (k3s).
 */
export type CniConfig =
  | { readonly state: "present" }
  | { readonly state: "unknown" }
  | { readonly state: "absent"; readonly evidence: readonly Evidence[] };

export type CniFile = {
  /** Its name in /etc/cni/net.d. */
  readonly name: string;
  /** The types of its plugins, in their order. */
  readonly plugins: readonly string[];
  /** From which its plugins give addresses, where it tells. */
  readonly subnets: readonly Prefix[];
  readonly evidence: Evidence;
};

export interface Cni {
  configOf(node: string): CniConfig;
  /**
   * A node's configurations as the runtime reads them: it takes the first by name (containerd go-cni, opts.go; CRI-O ocicni).
   * Empty if there is none, or none was seen.
   */
  filesOf(node: string): readonly CniFile[];
}

/** Other files that are collected together with it. */
const OTHER_FILES = ["kubeletConfig", "subnetEnv"] as const satisfies readonly KindId[];

/** What runtimes read of the directory (libcni, ConfFiles): agents keep their kubeconfig there as well. */
const IS_CONFIG = /\.(?:conf|conflist|json)$/;

const isMissing = (observed: Observed<unknown>): boolean =>
  observed.state === "unknown" && observed.why.reason === "not-collected";

export function cniOf(capture: Capture): Cni {
  const files = capture.all("cniConfig").filter(({ place }) => IS_CONFIG.test(place.file ?? ""));
  const found = files.filter(({ observed }) => observed.state === "present");
  const others = OTHER_FILES.flatMap((kind): readonly Captured<unknown>[] => capture.all(kind));
  return {
    configOf(node) {
      if (found.some(({ place }) => place.node === node)) return { state: "present" };
      const [elsewhere] = found;
      const collected = others.find(({ place, observed }) => place.node === node && observed.state === "present");
      // tried for and not had: then there is one
      const isHidden = files.some(({ place, observed }) => place.node === node && !isMissing(observed));
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
    filesOf: (node) =>
      found
        .filter(({ place }) => place.node === node)
        .map(({ place, observed }): CniFile => {
          const { plugins = [] } = known(observed) ?? {};
          const types = plugins.map(({ type }) => type);
          return {
            name: place.file ?? "",
            plugins: types,
            subnets: plugins.flatMap(({ ipam }) => (ipam?.subnets ?? []).flatMap((text) => parsePrefix(text) ?? [])),
            evidence: quoteOf(observed.origin, `/etc/cni/net.d/${place.file}: ${types.join(", ")}`),
          };
        })
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}
