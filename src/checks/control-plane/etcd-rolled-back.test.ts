import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods, said } from "../../../testing/cluster-edits.ts";
import { ago, created } from "../../../testing/object-states.ts";
import type { Pod } from "../../parse/objects.ts";
import { etcdRolledBack } from "./etcd-rolled-back.ts";

const healthy = () => cluster();
/** The list names Pods of another generation than those that nodes run. */
const otherwise = (workload: string, generation: string): Edit =>
  editPods(workload, (pod: Pod) => ({
    ...pod,
    metadata: { ...pod.metadata, name: pod.metadata.name.replace("7d9f8c6b5", generation) },
  }));
const forgetting = (built: Cluster, ...more: readonly Edit[]) =>
  built.edit(
    otherwise("backend", "55c4d9f7bb"),
    editPods("frontend", () => undefined, "w2"),
    ...more,
  );
const restored = said("etcd", [
  '{"level":"info","msg":"recovered v2 store from snapshot","snapshot-index":1,"snapshot-size":"6.5 kB"}',
  '{"level":"info","msg":"newRaft 48aebc8897d84757 [peers: [48aebc8897d84757], term: 1, commit: 1, applied: 1, lastindex: 1, lastterm: 1]"}',
]);
const restarted = said("etcd", [
  '{"level":"info","msg":"recovered v2 store from snapshot","snapshot-index":110012,"snapshot-size":"6.5 kB"}',
  '{"level":"info","msg":"recovered v3 backend from snapshot","backend-size-bytes":3440640}',
  '{"level":"info","msg":"newRaft 48aebc8897d84757 [peers: [48aebc8897d84757], term: 9, commit: 114077, applied: 110012, lastindex: 114077, lastterm: 9]"}',
]);
const ahead = said("client", ["reflector: Too large resource version: 2400, current: 1267"]);
const rollout = otherwise("backend", "55c4d9f7bb");

testCheck(etcdRolledBack, {
  finds: {
    "etcd was restored from this morning's snapshot while everything ran on": {
      given: forgetting(cluster(), restored),
      repair: "Pod/kube-system/etcd-cp1",
      says: ["under running components: 3 Pods run nowhere, 4 are unknown"],
      breaks: ["api.remember"],
      strength: "direct",
      healedBy: healthy,
    },
    "an external etcd was restored: nobody has its log": {
      given: forgetting(cluster({ flavour: "managed" })),
      repair: "Pod/kube-system/etcd",
      says: ["etcd was restored from an older snapshot"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
    "it lost one rollout, and clients are ahead of it": {
      given: cluster().edit(rollout, restarted, ahead),
      repair: "Pod/kube-system/etcd-cp1",
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    k3s: cluster({ flavour: "k3s" }),
    "a rollout goes on while evidence is taken, and etcd had been restarted": cluster().edit(rollout, restarted),
    "etcd was restored as it should be": cluster().edit(restored),
    "Pods that were made a minute ago do not run yet": forgetting(cluster()).edit(
      editPods("backend", created(ago(60))),
    ),
    "a Pod that is being deleted has no sandbox any more": forgetting(cluster()).edit(
      editPods("backend", (pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: ago(20) } })),
    ),
    "Pods are made anew elsewhere because a node is away": forgetting(cluster({ flavour: "managed" })).edit(
      editObjects("nodes", "w2", (node) => ({
        ...node,
        status: { ...node.status, conditions: [{ type: "Ready", status: "Unknown", lastTransitionTime: ago(300) }] },
      })),
    ),
    "nobody looked into Pods": forgetting(cluster()).without("podLinks"),
  },
  cannotTell: {
    "api.remember": {
      "we may not read Pods": cluster().without("pods"),
    },
  },
});
