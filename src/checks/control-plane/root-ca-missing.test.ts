import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addEvents, addObjects, type Edit, editPods } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import type { Pod } from "../../parse/objects.ts";
import { rootCaMissing } from "./root-ca-missing.ts";

const MAP = "kube-root-ca.crt";
const unpublished =
  (...namespaces: readonly string[]): Edit =>
  (draft) =>
    draft.setList(
      "configmaps",
      draft
        .list("configmaps")
        .filter(
          ({ metadata: { name, namespace } }) =>
            name !== MAP || (namespaces.length > 0 && !namespaces.includes(namespace ?? "")),
        ),
    );
const TOKEN = { name: "kube-api-access-x", projected: { sources: [{ configMap: { name: MAP } }] } };
/** It was made anew since, and waits for its volumes. */
const hanging = (pod: Pod): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, creationTimestamp: ago(600) },
  spec: { ...pod.spec, volumes: [...(pod.spec.volumes ?? []), TOKEN] },
  status: {
    phase: "Pending",
    conditions: [{ type: "Ready", status: "False", lastTransitionTime: ago(600) }],
    containerStatuses: pod.spec.containers.map(({ name }) => ({
      name,
      ready: false,
      restartCount: 0,
      state: { waiting: { reason: "ContainerCreating" } },
    })),
  },
});
const hang = (owner: string) => editPods(owner, hanging);
const unready: Edit = (draft) =>
  draft.setList(
    "endpointslices",
    draft.list("endpointslices").filter(({ metadata }) => !metadata.name.startsWith("frontend")),
  );
const told: Edit = (draft) => {
  const pod = draft.list("pods").find(({ metadata }) => metadata.name.startsWith("frontend"))!;
  addEvents({ kind: "Pod", name: pod.metadata.name, namespace: "shop" }, "FailedMount", [
    `MountVolume.SetUp failed for volume "kube-api-access-x" : configmap "${MAP}" not found`,
  ])(draft);
};
const healedBy = () => cluster();

testCheck(rootCaMissing, {
  finds: {
    "it is missing in one namespace, and its Pods wait": {
      given: cluster().edit(unpublished("shop"), hang("frontend"), told),
      repair: `ConfigMap/shop/${MAP}`,
      says: ["is missing in namespace shop: Pods hang in ContainerCreating (shop/frontend-"],
      breaks: ["pod.mount"],
      strength: "direct",
      healedBy,
    },
    "it is missing everywhere": {
      given: cluster().edit(unpublished(), hang("frontend"), hang("coredns")),
      repair: `ConfigMap/kube-system/${MAP}`,
      says: ["missing in every namespace"],
      healedBy,
    },
    "we may not list ConfigMaps, and a kubelet says it": {
      given: cluster().edit(hang("frontend"), told).without("configmaps"),
      repair: `ConfigMap/shop/${MAP}`,
      strength: "heard",
      healedBy,
    },
  },
  warns: {
    "nothing waits for it yet": {
      given: cluster().edit(unpublished("shop")),
      repair: `ConfigMap/shop/${MAP}`,
      says: ["Pods that are made there from now on hang"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "the namespace has just been made": cluster().edit(
      addObjects("namespaces", { metadata: { name: "new", creationTimestamp: ago(5) } }),
    ),
    "the namespace is being deleted": cluster().edit(
      addObjects("namespaces", { metadata: { name: "old", creationTimestamp: ago(5000), deletionTimestamp: ago(99) } }),
    ),
    "Pods wait for something else": cluster().edit(hang("frontend")),
    "a release that publishes none": cluster().edit(unpublished()),
  },
  cannotTell: {
    "pod.mount": { "we may not list ConfigMaps": cluster().without("configmaps") },
  },
});

const rootsOf = (given: Cluster): readonly string[] =>
  diagnose(given.capture)
    .rootCauses.map(({ id }) => id)
    .filter((id) => !id.startsWith("service-rules"));

describe("a namespace without kube-root-ca.crt", () => {
  const waits = (given: Cluster) => given.edit(unpublished("shop"), hang("frontend"), unready, told);

  it("is what a Service lacks its back ends for", () => {
    expect(rootsOf(waits(cluster()))).toEqual([`root-ca-missing/ConfigMap/shop/${MAP}`]);
  });

  it("follows from the controller that is off", () => {
    const off: Edit = editPods("kube-controller-manager", (pod) => ({
      ...pod,
      spec: {
        ...pod.spec,
        containers: pod.spec.containers.map((one) => ({
          ...one,
          command: ["kube-controller-manager", "--controllers=*,bootstrapsigner,tokencleaner,-root-ca-cert-publisher"],
        })),
      },
    }));
    expect(rootsOf(waits(cluster()).edit(off))).toEqual([
      "controller-switched-off/Pod/kube-system/kube-controller-manager-cp1",
    ]);
  });

  it("follows from the controller that may not write it", () => {
    const role = ref("ClusterRole", "system:controller:root-ca-cert-publisher");
    expect(rootsOf(waits(cluster().with({ do: "delete", target: role })))).toEqual([
      `component-access-denied/ClusterRole/${role.name}`,
    ]);
  });
});
