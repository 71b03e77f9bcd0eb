import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addEvents, type Edit, editObjects, editPods, edits, probed } from "../../../testing/cluster-edits.ts";
import { gone } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { podCreationRefused } from "./pod-creation-refused.ts";

const SET = { kind: "ReplicaSet", namespace: "shop", name: "backend-697647459b" };
/** As the API server v1.33 says it to the controller of ReplicaSets. */
const said = (words: string) => `Error creating: pods "backend-697647459b-x" is forbidden: ${words}`;
const stated = (words: string): Edit =>
  editObjects("deployments", "backend", (deployment) => ({
    ...deployment,
    status: {
      ...deployment.status,
      conditions: [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: words }],
    },
  }));
const refused = (words: string) => edits(editPods("backend", gone), addEvents(SET, "FailedCreate", [said(words)]));
const QUOTA = "exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4";
const healthy = () => cluster();

/** What is to be repaired, by the API server's words. */
const found = (words: string, repair: string, says: string) => ({
  given: cluster().edit(refused(words)),
  repair,
  says: [says],
  healedBy: healthy,
});

testCheck(podCreationRefused, {
  finds: {
    "a quota is used up, and the Pods were made anew": {
      given: cluster().edit(refused(QUOTA)),
      repair: "ResourceQuota/shop/compute",
      says: ["Deployment/shop/backend, which has none", "used up (requested: pods=1, used: pods=4, limited: pods=4)"],
      breaks: ["pod.admit"],
      strength: "direct",
      healedBy: healthy,
    },
    "the Deployment itself says so, and Events are forgotten": {
      given: cluster().edit(editPods("backend", gone), stated(said(QUOTA))),
      repair: "ResourceQuota/shop/compute",
      says: ["used up"],
      healedBy: healthy,
    },
    "a quota of CPU came, and the template says none": found(
      "failed quota: compute: must specify limits.cpu for: backend; requests.cpu for: backend",
      "ResourceQuota/shop/compute",
      "limits.cpu",
    ),
    "its ServiceAccount was deleted": found(
      'error looking up service account shop/backend: serviceaccount "backend" not found',
      "ServiceAccount/shop/backend",
      "shop/backend does not exist",
    ),
    "its namespace became a restricted one": found(
      'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
      "Namespace/shop",
      "restricted:latest",
    ),
    "a policy denies it": found(
      "ValidatingAdmissionPolicy 'registry' with binding 'registry' denied request: images come from our registry",
      "ValidatingAdmissionPolicy/registry",
      "images come from our registry",
    ),
    "a webhook denies it": found(
      'admission webhook "guard.example.org" denied the request: no limits',
      "Deployment/shop/backend",
      "guard.example.org denies them (no limits)",
    ),
    "its priority is gone": found(
      "no PriorityClass with name gold was found",
      "PriorityClass/gold",
      "gold does not exist",
    ),
    "its namespace is being deleted": found(
      "unable to create new content in namespace shop because it is being terminated",
      "Namespace/shop",
      "being deleted",
    ),
    "one node lacks its kube-proxy": {
      given: cluster().edit(
        editPods("kube-proxy", gone, "w1"),
        editObjects("daemonsets", "kube-proxy", (set) => ({ ...set, status: { desiredNumberScheduled: 3 } })),
        addEvents({ kind: "DaemonSet", namespace: "kube-system", name: "kube-proxy" }, "FailedCreate", [said(QUOTA)]),
      ),
      repair: "ResourceQuota/kube-system/compute",
      says: ["of which nodes lack some"],
      healedBy: healthy,
    },
  },
  clears: {
    "it has Pods again, and an Event remembers": cluster().edit(addEvents(SET, "FailedCreate", [said(QUOTA)])),
    "one replica is too many, the others serve": cluster().edit(
      editPods("backend", (pod) => (pod.metadata.name.endsWith("0") ? undefined : pod)),
      addEvents(SET, "FailedCreate", [said(QUOTA)]),
    ),
    "what passes by itself": cluster().edit(refused("etcdserver: leader changed")),
  },
  cannotTell: {
    "pod.admit": { "we may not list Pods": cluster().edit(refused(QUOTA)).without("pods") },
  },
});

describe("a quota that is used up", () => {
  it("is the one root of a Service whose Pods are not made", () => {
    const empty = editObjects("endpointslices", "backend-00000", (slice) => ({ ...slice, endpoints: [] }));
    const call = probed("client", "tcp", "10.96.10.1:8080", "refused");
    const { rootCauses } = diagnose(cluster().edit(refused(QUOTA), empty, call).capture);
    const roots = rootCauses.map(({ id }) => id).filter((id) => !id.startsWith("service-rules"));
    expect(roots).toEqual(["pod-creation-refused/ResourceQuota/shop/compute"]);
  });
});
