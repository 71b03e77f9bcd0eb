/** The built cluster with Cilium in it: its agent on every node, its operator, what they are told and what they write. */
import type { CiliumNodeObject } from "../src/parse/objects.ts";
import { type Cluster, cluster } from "./cluster.ts";
import { withReleases } from "./cluster-components.ts";
import { addObjects, type Edit } from "./cluster-edits.ts";

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
