/** The recorded healthy cluster with Calico, as tests break it. */
import { type Cluster, clusterOf } from "./cluster.ts";
import type { Edit } from "./cluster-edits.ts";
import { captureOf, readRecording } from "./recordings.ts";

/** Without what takes long to read and no check of Calico looks at. */
const LOOKED_AT =
  /^(cluster\.json|probes\.jsonl|nodes\/\w+\/(ip|bridge|conntrack\.txt)|logs\/(shop|tools)|api|apis\/(apps|discovery|networking|crd\.projectcalico))/;

export async function calicoCluster(): Promise<Cluster> {
  const { files } = await readRecording("calico-healthy");
  return clusterOf(captureOf(new Map([...files].filter(([path]) => LOOKED_AT.test(path)))));
}

export const POOL = "default-ipv4-ippool";

type Pool = { readonly spec: object };

/** Of the only pool; undefined: it is deleted. */
export const editPool =
  (spec: Readonly<Record<string, unknown>> | undefined): Edit =>
  (draft) => {
    const pools = draft.list("ippools").map((pool) => ({ ...pool, spec: { ...(pool as Pool).spec, ...spec } }));
    draft.setList("ippools", (spec ? pools : []) as never);
  };

/** A FelixConfiguration with these settings. */
export const felix =
  (name: string, spec: Readonly<Record<string, unknown>>): Edit =>
  (draft) => {
    const others = draft.list("felixconfigurations").filter(({ metadata }) => metadata.name !== name);
    draft.setList("felixconfigurations", [...others, { metadata: { name }, spec }] as never);
  };

const CREATED = "2026-01-01T00:00:00Z";

/** One more GlobalNetworkPolicy. */
export const globalPolicy =
  (name: string, spec: object): Edit =>
  (draft) => {
    const metadata = { name, creationTimestamp: CREATED };
    draft.setList("globalnetworkpolicies", [...draft.list("globalnetworkpolicies"), { metadata, spec }] as never);
  };

/** One more NetworkPolicy of Calico's kind. */
export const calicoPolicy =
  (namespace: string, name: string, spec: object): Edit =>
  (draft) => {
    const metadata = { name, namespace, creationTimestamp: CREATED };
    draft.setList("caliconetworkpolicies", [...draft.list("caliconetworkpolicies"), { metadata, spec }] as never);
  };

export const hostEndpoint =
  (name: string, spec: object, labels: Readonly<Record<string, string>> = {}): Edit =>
  (draft) => {
    draft.setList("hostendpoints", [...draft.list("hostendpoints"), { metadata: { name, labels }, spec }] as never);
  };
