import { describe, expect, it } from "vitest";
import { ENDED_CERTIFICATE, TEST_CERTIFICATE } from "../../../testing/certificate.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import {
  addEvents,
  addObjects,
  addRules,
  type Edit,
  editObjects,
  editPods,
  edits,
  installed,
  leasesRenewed,
  probed,
} from "../../../testing/cluster-edits.ts";
import { service, workload } from "../../../testing/cluster-objects.ts";
import { ago, gone, unready } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import type { ObjectOf } from "../../evidence/catalogue.ts";
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

type Configuration = ObjectOf<"validatingwebhookconfigurations">;
type Webhook = NonNullable<Configuration["webhooks"]>[number];
const EVERY_POD = { apiGroups: [""], resources: ["pods"], operations: ["CREATE"] };
const asking = (...hooks: readonly Partial<Webhook>[]): Edit =>
  addObjects("validatingwebhookconfigurations", {
    metadata: { name: "pod-guard" },
    webhooks: hooks.map((hook) => ({
      name: "guard.example.org",
      clientConfig: { service: { namespace: "policy", name: "guard" } },
      rules: [EVERY_POD],
      ...hook,
    })),
  });
const selecting = (operator: string) => ({
  matchExpressions: [{ key: "kubernetes.io/metadata.name", operator, values: ["policy", "kube-system"] }],
});
const slices = { apiGroups: ["*"], resources: ["*/*"], operations: ["UPDATE"] };
const guarded = cluster().with(
  installed(
    "Deployment",
    workload("guard", "policy", { app: "guard" }, { containers: [{ name: "guard", image: "guard:1" }] }, 1),
  ),
  {
    do: "apply",
    object: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "guard", namespace: "policy" },
      spec: { type: "ClusterIP", clusterIP: "10.96.20.7", selector: { app: "guard" }, ports: [{ port: 443 }] },
    },
  },
);
const withBundle = (pem: string): Edit =>
  asking({ clientConfig: { caBundle: btoa(pem), service: { namespace: "policy", name: "guard" } } });

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
    "nobody has asked it yet": {
      given: cluster().edit(asking({})),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: ["will keep new Pods of", "and 4 others from being made", "which does not exist"],
      breaks: ["api.ask", "pod.admit"],
      healedBy: healthy,
    },
    "it is asked about its own Pods, too": {
      given: cluster().edit(asking({}), guard, (draft) =>
        draft.setList(
          "deployments",
          draft
            .list("deployments")
            .map((one) => (one.metadata.name === "guard" ? { ...one, spec: { ...one.spec, replicas: 1 } } : one)),
        ),
      ),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: ["Deployment/policy/guard is asked about as well, so that it cannot come back by itself"],
      healedBy: healthy,
    },
    "it is asked about EndpointSlices": {
      given: cluster().edit(asking({ rules: [slices], namespaceSelector: selecting("NotIn") })),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: ["keeps EndpointSlices from following"],
      breaks: ["service.follow"],
      healedBy: healthy,
    },
    "kubelets cannot renew their leases for it": {
      given: cluster().edit(asking({ rules: [slices] }), leasesRenewed(ago(300))),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: ["keeps kubelets from renewing their leases"],
      breaks: ["node.report"],
      healedBy: healthy,
    },
    "its caBundle has ended": {
      given: guarded.edit(withBundle(ENDED_CERTIFICATE)),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: ["the certificates of its caBundle ended at 2025-11-01"],
      healedBy: healthy,
    },
    "we may not read webhooks: its Service is known": {
      given: cluster().edit(refused).without("validatingwebhookconfigurations"),
      repair: "Service/policy/guard",
      says: ["guard.example.org keeps new Pods"],
      healedBy: healthy,
    },
  },
  warns: {
    "expressions tell which Pods it is asked about": {
      given: cluster().edit(asking({ matchConditions: [{ name: "exclude-leases" }] })),
      repair: "ValidatingWebhookConfiguration/pod-guard",
      says: ["may keep new Pods from being made"],
    },
  },
  clears: {
    "a webhook without rules": cluster().edit(config),
    "what it cannot judge passes": cluster().edit(asking({ failurePolicy: "Ignore" })),
    "it is asked about other objects": cluster().edit(
      asking({ rules: [{ apiGroups: ["cert-manager.io"], resources: ["*"], operations: ["*"] }] }),
    ),
    "it is asked about labels that no Pod has": cluster().edit(
      asking({ objectSelector: { matchLabels: { guarded: "yes" } } }),
    ),
    "it is asked in namespaces that have no Pods of workloads": cluster().edit(
      asking({ namespaceSelector: { matchLabels: { guarded: "yes" } } }),
    ),
    "somebody answers, with a certificate that counts": guarded.edit(withBundle(TEST_CERTIFICATE.cert)),
    "its only Pod has just ended, and comes again": guarded.edit(
      asking({}),
      editPods("guard", unready({}, "Running", ago(10))),
      editObjects("endpointslices", "guard-00000", (slice) => ({ ...slice, endpoints: [] })),
    ),
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

const timeout = "context deadline exceeded";
const isOfRules = (id: string) => id.startsWith("service-rules");
const rootsOf = (given: ReturnType<typeof cluster>) =>
  diagnose(given.capture).rootCauses.filter(({ id }) => !isOfRules(id));

describe("a webhook that nobody reaches", () => {
  const refusing = edits(asking({}), editPods("backend", gone), failed("backend", timeout));
  const cut = addRules("cp1", "filter", "-A OUTPUT -p udp -m udp --dport 8472 -j DROP");

  it("follows from the API server's node not reaching Pods", () => {
    const [root, ...others] = rootsOf(guarded.edit(refusing, cut));
    expect([root?.id, ...others.map(({ id }) => id)]).toEqual(["packet-filter-drop/Node/cp1"]);
    expect(JSON.stringify(root?.explains)).toContain("pod-guard");
  });

  it("is the root of a Pod network whose Pods wait for it, which it waits for itself", () => {
    const noAgents = editPods("kube-flannel-ds", gone);
    const told = addEvents({ kind: "DaemonSet", namespace: "kube-flannel", name: "kube-flannel-ds" }, "FailedCreate", [
      `Error creating: ${said(timeout)}`,
    ]);
    const ids = rootsOf(guarded.edit(asking({}), noAgents, told)).map(({ id }) => id);
    expect(ids).toEqual(["admission-webhook-failing/ValidatingWebhookConfiguration/pod-guard"]);
  });

  it("is latent while no Pod has been refused", () => {
    expect(rootsOf(cluster().edit(asking({}))).map(({ latent }) => latent)).toEqual([true]);
  });
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
