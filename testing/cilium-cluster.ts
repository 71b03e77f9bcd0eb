/** The built cluster with Cilium in it: its agent on every node, its operator, what they are told and what they write. */
import type { CiliumEndpoint } from "../src/parse/cilium/endpoints.ts";
import type { CiliumNodeObject } from "../src/parse/objects.ts";
import { type Cluster, cluster, clusterOf } from "./cluster.ts";
import { withReleases } from "./cluster-components.ts";
import { addObjects, type Edit } from "./cluster-edits.ts";
import { captureOf, readRecording } from "./recordings.ts";

const NAMESPACE = "kube-system";
const VERSION = "v1.15";

export const ciliumCluster = (): Cluster =>
  withReleases(
    cluster().edit(
      addObjects("configmaps", {
        metadata: { name: "cilium-config", namespace: NAMESPACE },
        data: { ipam: "cluster-pool", "kube-proxy-replacement": "false" },
      }),
      (draft) => draft.setList("ciliumnetworkpolicies", []),
      (draft) => draft.setList("ciliumclusterwidenetworkpolicies", []),
    ),
    [
      ["cilium-agent", VERSION],
      ["cilium-operator", VERSION],
    ],
  );

export const editCiliumNode =
  (name: string, change: (node: CiliumNodeObject) => CiliumNodeObject | undefined): Edit =>
  (draft) =>
    draft.setList(
      "ciliumnodes",
      draft.list("ciliumnodes").flatMap((one) => (one.metadata.name === name ? (change(one) ?? []) : one)),
    );

const OF_ENDPOINTS = /^(cluster\.json|exec|api\/v1\/(pods|nodes|namespaces|configmaps)|apis\/apps)/;

/** What was recorded of a real cluster with Cilium that tells of its endpoints: the built one has none. */
export async function recordedEndpoints(): Promise<Cluster> {
  const { files } = await readRecording("cilium-healthy");
  return clusterOf(captureOf(new Map([...files].filter(([path]) => OF_ENDPOINTS.test(path)))));
}

/** A Pod of cp1 there, and what its endpoint is while its labels are not known. */
export const RECORDED_POD = "tools/client-wnls8";
export const NAMELESS = { identity: 5, labels: ["reserved:init"] };

const AGENT_OF_CP1 = { namespace: "kube-system", pod: "cilium-79fv6" };

export const editEndpoint =
  (change: Partial<CiliumEndpoint>): Edit =>
  (draft) =>
    draft.set(
      "ciliumEndpoints",
      AGENT_OF_CP1,
      (draft.get("ciliumEndpoints", AGENT_OF_CP1) ?? []).map((one) =>
        one.pod === RECORDED_POD ? { ...one, ...change } : one,
      ),
    );
