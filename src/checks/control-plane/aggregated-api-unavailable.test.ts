import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import {
  addObjects,
  addRules,
  agent,
  type Edit,
  editObjects,
  editPods,
  edits,
  installed,
} from "../../../testing/cluster-edits.ts";
import { workload } from "../../../testing/cluster-objects.ts";
import { ago, unready } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { aggregatedApiUnavailable } from "./aggregated-api-unavailable.ts";

const LABELS = { app: "adapter" };
const withMetrics = cluster().with(
  installed(
    "Deployment",
    workload(
      "adapter",
      "metrics",
      LABELS,
      {
        containers: [
          {
            name: "adapter",
            image: "adapter:1",
            ports: [{ containerPort: 10250 }],
          },
        ],
      },
      1,
    ),
  ),
  {
    do: "apply",
    object: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "adapter", namespace: "metrics" },
      spec: { type: "ClusterIP", clusterIP: "10.96.30.1", selector: LABELS, ports: [{ port: 443, targetPort: 10250 }] },
    },
  },
);
const registered = (reason: string, message: string, since = ago(600)): Edit =>
  addObjects("apiservices", {
    metadata: { name: "v1beta1.metrics.k8s.io" },
    spec: { group: "metrics.k8s.io", version: "v1beta1", service: { namespace: "metrics", name: "adapter" } },
    status: {
      conditions: [
        {
          type: "Available",
          status: reason === "Passed" ? "True" : "False",
          reason,
          message,
          lastTransitionTime: since,
        },
      ],
    },
  });
const SILENT =
  'failing or missing response from https://10.96.30.1:443/apis/metrics.k8s.io/v1beta1: Get "https://10.96.30.1:443/apis/metrics.k8s.io/v1beta1": dial tcp 10.96.30.1:443: i/o timeout';
const silent = registered("FailedDiscoveryCheck", SILENT);
const noService = registered("ServiceNotFound", 'service/adapter in "metrics" is not present');
const stuck = addObjects("namespaces", {
  metadata: { name: "old-shop", deletionTimestamp: ago(900) },
  status: {
    conditions: [
      {
        type: "NamespaceDeletionDiscoveryFailure",
        status: "True",
        reason: "DiscoveryFailed",
        message:
          "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1",
      },
    ],
  },
});
const enforced = installed("DaemonSet", agent("kube-router", "docker.io/cloudnativelabs/kube-router:v2.5.0"));
const isolated = {
  do: "apply",
  object: {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "default-deny", namespace: "metrics" },
    spec: { podSelector: {}, policyTypes: ["Ingress"] },
  },
} as const;
const well = () => withMetrics;

testCheck(aggregatedApiUnavailable, {
  finds: {
    "metrics-server was removed and left its APIService, and a namespace waits": {
      given: cluster().edit(noService, stuck),
      repair: "APIService/v1beta1.metrics.k8s.io",
      says: [
        "Service metrics/adapter does not exist",
        "HorizontalPodAutoscalers get no figures; Namespace/old-shop stays Terminating",
      ],
      breaks: ["api.extend"],
      strength: "direct",
      healedBy: () => cluster(),
    },
    "its Pod is not ready": {
      given: withMetrics.edit(
        registered(
          "MissingEndpoints",
          'endpoints for service/adapter in "metrics" have no addresses with port name ""',
        ),
        (draft) =>
          draft.setList(
            "endpointslices",
            draft.list("endpointslices").filter(({ metadata }) => metadata.namespace !== "metrics"),
          ),
      ),
      repair: "APIService/v1beta1.metrics.k8s.io",
      says: ["Service metrics/adapter has no ready back end"],
      healedBy: well,
    },
    "its Service has another port": {
      given: withMetrics.edit(
        editObjects("services", "adapter", (one) => ({
          ...one,
          spec: { ...one.spec, ports: [{ port: 4443 }] },
        })),
        registered("ServicePortError", 'service/adapter in "metrics" is not listening on port 443'),
      ),
      repair: "APIService/v1beta1.metrics.k8s.io",
      says: ["has no port 443"],
      healedBy: well,
    },
    "nobody gets through to it, and nothing shows why": {
      given: withMetrics.edit(silent),
      repair: "APIService/v1beta1.metrics.k8s.io",
      says: ["i/o timeout"],
      strength: "heard",
      healedBy: well,
    },
    "a policy of its namespace forgets the API server": {
      given: withMetrics.with(enforced, isolated).edit(silent),
      repair: "NetworkPolicy/metrics/default-deny",
      says: ["NetworkPolicy/metrics/default-deny denies the API server the way"],
      strength: "direct",
      healedBy: well,
    },
  },
  clears: {
    "it answers": withMetrics.edit(registered("Passed", "all checks passed")),
    "it has just been installed": withMetrics.edit(registered("FailedDiscoveryCheck", SILENT, ago(20))),
    "the API server serves it itself": cluster().edit(
      addObjects("apiservices", { metadata: { name: "v1.apps" }, spec: { group: "apps", version: "v1" } }),
    ),
  },
  cannotTell: {
    "api.extend": { "we may not list APIServices": cluster().without("apiservices") },
  },
});

const rootsOf = (given: ReturnType<typeof cluster>) => diagnose(given.capture).rootCauses;

describe("an aggregated API that does not answer", () => {
  it("follows from the API server's node not reaching Pods", () => {
    const cut = addRules("cp1", "filter", "-A OUTPUT -p udp -m udp --dport 8472 -j DROP");
    const roots = rootsOf(withMetrics.edit(silent, cut));
    expect(roots.map(({ id }) => id)).toEqual(["packet-filter-drop/Node/cp1"]);
    expect(JSON.stringify(roots[0]?.explains)).toContain("v1beta1.metrics.k8s.io");
  });

  it("follows from its Pods not being ready", () => {
    const empty: Edit = edits(editPods("adapter", unready()), (draft) =>
      draft.setList(
        "endpointslices",
        draft.list("endpointslices").filter(({ metadata }) => metadata.namespace !== "metrics"),
      ),
    );
    const missing = registered("MissingEndpoints", 'endpoints for service/adapter in "metrics" have no addresses');
    const roots = rootsOf(withMetrics.edit(missing, empty)).filter(({ id }) => !id.startsWith("service-rules"));
    expect(roots.map(({ id }) => id)).toEqual(["service-without-endpoints/Deployment/metrics/adapter"]);
  });

  it("is a root of its own beside a fault of a node that has nothing to do with it", () => {
    const roots = rootsOf(
      cluster().edit(noService, addRules("w1", "filter", "-A OUTPUT -p udp -m udp --dport 8472 -j DROP")),
    );
    expect(roots.map(({ id }) => id).sort()).toEqual([
      "aggregated-api-unavailable/APIService/v1beta1.metrics.k8s.io",
      "packet-filter-drop/Node/w1",
    ]);
  });

  it("is present and not latent", () => {
    expect(rootsOf(cluster().edit(noService)).map(({ latent }) => latent)).toEqual([false]);
  });
});
