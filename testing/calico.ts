/** The recorded healthy cluster with Calico, as tests break it. */
import { type Cluster, clusterOf, editNode } from "./cluster.ts";
import type { Edit } from "./cluster-edits.ts";
import { captureOf, readRecording } from "./recordings.ts";

/** Without what takes long to read and no check of Calico looks at. */
const LOOKED_AT =
  /^(cluster\.json|probes\.jsonl|nodes\/\w+\/(ip|bridge|conntrack\.txt)|logs\/(shop|tools)|api|apis\/(apps|discovery|networking|crd\.projectcalico))/;

const RULES = /^nodes\/\w+\/iptables-save\.txt$/;

/** @param rules with the nodes' iptables */
export async function calicoCluster({ rules = false } = {}): Promise<Cluster> {
  const { files } = await readRecording("calico-healthy");
  const isWanted = (path: string) => LOOKED_AT.test(path) || (rules && RULES.test(path));
  return clusterOf(captureOf(new Map([...files].filter(([path]) => isWanted(path)))));
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

/** BGP in place of VXLAN: nodes learn each other's blocks from BIRD, which leads to them by the node itself, over tunl0 with IPIP. */
export const byBird =
  (ipipMode: "Always" | "CrossSubnet" | "Never"): Edit =>
  (draft) => {
    editPool({ vxlanMode: "Never", ipipMode })(draft);
    const addresses = new Map(
      draft.list("nodes").map(({ metadata, status }) => [metadata.name, status?.addresses?.[0]?.address]),
    );
    const owners = new Map(
      draft.list("ipamblocks").map(({ spec }) => [spec.cidr, addresses.get(spec.affinity?.replace("host:", "") ?? "")]),
    );
    const device = ipipMode === "Always" ? "tunl0" : "eth0";
    for (const node of addresses.keys())
      editNode(draft, "routes", node, (all) =>
        all.map((route) => {
          const gateway = owners.get(route.destination);
          if (gateway === undefined || route.nextHops.length === 0) return route;
          return { ...route, protocol: "bird", nextHops: [{ gateway, device, flags: ["onlink"] }] };
        }),
      );
  };
