import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import {
  addEvents,
  addObjects,
  type Edit,
  editObjects,
  editPods,
  edits,
  probed,
} from "../../../testing/cluster-edits.ts";
import { service, workload } from "../../../testing/cluster-objects.ts";
import { gone } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { admissionWebhookFailing } from "./admission-webhook-failing.ts";

/** As kube-apiserver v1.33 says it. */
const said = (words: string) =>
  `Internal error occurred: failed calling webhook "guard.example.org": failed to call webhook: Post "https://guard.policy.svc:443/validate?timeout=10s": ${words}`;
const failed = (name: string, words: string): Edit =>
  editObjects("deployments", name, (deployment) => ({
    ...deployment,
    status: {
      ...deployment.status,
      conditions: [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: said(words) }],
    },
  }));
const config = addObjects("validatingwebhookconfigurations", {
  metadata: { name: "pod-guard" },
  webhooks: [
    {
      name: "guard.example.org",
      failurePolicy: "Fail",
      clientConfig: { service: { namespace: "policy", name: "guard" } },
    },
  ],
});
const guard = edits(
  addObjects(
    "services",
    service("guard", "policy", { clusterIP: "10.96.20.7", selector: { app: "guard" }, ports: [{ port: 443 }] }),
  ),
  addObjects(
    "deployments",
    workload("guard", "policy", { app: "guard" }, { containers: [{ name: "guard", image: "guard:1" }] }, 0),
  ),
);
const refused = edits(config, editPods("backend", gone), failed("backend", 'service "guard" not found'));
const byEvent = edits(
  config,
  editPods("backend", gone),
  addEvents({ kind: "ReplicaSet", namespace: "shop", name: "backend-697647459b" }, "FailedCreate", [
    `Error creating: ${said("dial tcp 10.96.20.7:443: connect: connection refused")}`,
  ]),
);
const healthy = () => cluster();

testCheck(admissionWebhookFailing, {
  finds: {
    "a policy engine was removed and left its webhook behind": {
      given: cluster().edit(refused),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: [
        "ValidatingWebhookConfiguration/pod-guard keeps new Pods of Deployment/shop/backend from being made",
        "Service policy/guard first, which does not exist",
      ],
      breaks: ["pod.admit"],
      strength: "direct",
      healedBy: healthy,
    },
    "it was scaled to zero, and an Event tells": {
      given: cluster().edit(byEvent, guard),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: ["Service policy/guard first, which has no back end"],
      healedBy: healthy,
    },
    "we may not read webhooks: its Service is known": {
      given: cluster().edit(refused).without("validatingwebhookconfigurations"),
      repair: "Service/policy/guard",
      says: ["guard.example.org keeps new Pods"],
      healedBy: healthy,
    },
  },
  clears: {
    "a webhook that nobody misses": cluster().edit(config),
    "all Pods are there again, and an Event remembers": cluster().edit(
      config,
      addEvents({ kind: "ReplicaSet", namespace: "shop", name: "backend-697647459b" }, "FailedCreate", [said("EOF")]),
    ),
    "the webhook itself has refused": cluster().edit(
      config,
      editPods("backend", gone),
      editObjects("deployments", "backend", (deployment) => ({
        ...deployment,
        status: {
          conditions: [
            {
              type: "ReplicaFailure",
              status: "True",
              message: 'admission webhook "guard.example.org" denied the request: no limits',
            },
          ],
        },
      })),
    ),
  },
  cannotTell: {
    "pod.admit": { "we may not list Pods": cluster().edit(refused).without("pods") },
  },
});

describe("a webhook without back end", () => {
  it("is the one root of a Service whose Pods are not made", () => {
    const empty = editObjects("endpointslices", "backend-00000", (slice) => ({ ...slice, endpoints: [] }));
    const call = probed("client", "tcp", "10.96.10.1:8080", "refused");
    const { rootCauses } = diagnose(cluster().edit(refused, empty, call).capture);
    const roots = rootCauses.map(({ id }) => id).filter((id) => !id.startsWith("service-rules"));
    expect(roots).toEqual(["admission-webhook-failing/ValidatingWebhookConfiguration/pod-guard"]);
    expect(JSON.stringify(rootCauses[0]!.explains)).toContain("Deployment/shop/backend asks for 3 Pods and has none");
  });
});
