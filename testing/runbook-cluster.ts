/**
 * The cluster of the first runbook: Kubernetes 1.32, Cilium 1.17 with kube-proxy in IPVS mode, NodeLocal DNSCache at
 * 169.254.25.10, Services in 10.254.0.0/16, charts of Helm with their records, and an operator (PGO).
 *
 * It is the recorded Cilium cluster with its names, versions and addresses exchanged, so that all that Cilium's agents say
 * of their tables is as real agents say it.
 */
import type { Change } from "../src/model/changes/change.ts";
import { ref } from "../src/model/ref.ts";
import type { CiliumEndpoint } from "../src/parse/cilium/endpoints.ts";
import type { Metadata, Pod } from "../src/parse/objects.ts";
import { type Cluster, clusterOf } from "./cluster.ts";
import { withPermissions, withReleases } from "./cluster-components.ts";
import {
  addDevice,
  dropRules,
  type Edit,
  editPods,
  edits,
  installed,
  ipvsMode,
  probed,
  said,
} from "./cluster-edits.ts";
import { workload } from "./cluster-objects.ts";
import { crashing, unready } from "./object-states.ts";
import { captureOf, readRecording } from "./recordings.ts";

export const HELM = "app.kubernetes.io/managed-by";

/** Helm's label is on what its charts install: of the network, and of others. */
export const CHARTS =
  /^(cilium|cilium-operator|ingress-nginx|ingress-nginx-(admission|controller)|(system:)?metrics-server|metrics-server:.*)$/;

const NODES = ["cp1", "w1", "w2"];

const asInTheRunbook = (text: string): string =>
  text
    .replaceAll("10.96.0.0/12", "10.254.0.0/16")
    .replaceAll("10.96.", "10.254.")
    .replaceAll("v1.33.13", "v1.32.5")
    .replaceAll("v1.15.19", "v1.17.3")
    .replaceAll("mode: iptables", "mode: ipvs")
    .replaceAll(/(?<=clusterDNS:\n- |nameserver )10\.254\.0\.10\b/g, "169.254.25.10");

type Labelled = { readonly metadata: Metadata };

const labelled: Edit = (draft) => {
  for (const list of ["clusterroles", "clusterrolebindings", "daemonsets", "deployments"] as const)
    draft.setList(
      list,
      (draft.list(list) as readonly Labelled[]).map((object) => {
        const { metadata } = object;
        const labels = CHARTS.test(metadata.name) ? { ...metadata.labels, [HELM]: "Helm" } : metadata.labels;
        return { ...object, metadata: { ...metadata, labels } };
      }) as never,
    );
};

/** Helm's records of the charts: the roles and bindings as they were installed. */
const recorded: Edit = (draft) => {
  const objects = (["clusterroles", "clusterrolebindings"] as const).flatMap((list) =>
    draft
      .list(list)
      .filter(({ metadata }) => metadata.labels?.[HELM] === "Helm")
      .map(({ metadata: { name, labels }, ...object }) => ({
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: list === "clusterroles" ? "ClusterRole" : "ClusterRoleBinding",
        metadata: { name, labels },
        ...object,
      })),
  );
  const of = (name: string, namespace: string, chart: string, pattern: RegExp) => ({
    ...{ name, namespace, revision: 1, status: "deployed", chart },
    objects: objects.filter(({ metadata }) => pattern.test(metadata.name)),
  });
  draft.set("helmReleases", {}, [
    of("cilium", "kube-system", "cilium-1.17.3", /^cilium/),
    of("ingress-nginx", "ingress-nginx", "ingress-nginx-4.12.0", /^ingress/),
    of("metrics-server", "kube-system", "metrics-server-3.12.2", /metrics-server/),
  ] as never);
};

/** kube-proxy in IPVS mode has no chain for each Service. */
const inIpvsMode = (node: string): Edit => edits(ipvsMode(node), dropRules(node, /KUBE-(SVC|SEP|EXT|FW)-/));

export async function runbookCluster(): Promise<Cluster> {
  const { files } = await readRecording("cilium-healthy");
  const base = clusterOf(
    captureOf(new Map([...files].map(([path, text]) => [asInTheRunbook(path), asInTheRunbook(text)]))),
  );
  const network = withPermissions(base, [
    ["cilium-agent", "v1.17"],
    ["cilium-operator", "v1.17"],
  ]).edit(...NODES.map((node) => edits(inIpvsMode(node), addDevice(node, "nodelocaldns", "169.254.25.10"))));
  return withReleases(network, [
    ["ingress-nginx", "any"],
    ["metrics-server", "any"],
    ["nodelocaldns", "upstream"],
  ]).edit(labelled, recorded);
}

/** `kubectl delete clusterrole,clusterrolebinding -l app.kubernetes.io/managed-by=Helm` */
export function deletedByLabel(healthy: Cluster): Change[] {
  const { objects } = healthy.model();
  return (["clusterroles", "clusterrolebindings"] as const).flatMap((list) =>
    objects
      .all(list)
      .filter(({ metadata }) => metadata.labels?.[HELM] === "Helm")
      .map(({ metadata }): Change => {
        const kind = list === "clusterroles" ? "ClusterRole" : "ClusterRoleBinding";
        return { do: "delete", target: ref(kind, metadata.name) };
      }),
  );
}

const ACCOUNT = 'User "system:serviceaccount:kube-system:cilium"';
const refused = (resource: string, group: string) =>
  `${group ? `${resource}.${group}` : resource} is forbidden: ${ACCOUNT} cannot list resource "${resource}" in API group "${group}" at the cluster scope`;

/** What the runbook quotes. */
export const QUOTED = {
  panic: 'panic: Get "https://10.254.0.1:443/api?timeout=32s": dial tcp 10.254.0.1:443: i/o timeout',
  refused: [
    refused("services", ""),
    refused("ciliumendpoints", "cilium.io"),
    refused("networkpolicies", "networking.k8s.io"),
  ],
  dial: "E1210 08:00:00.000000 1 reflector.go:158] Failed to watch *v1.Service: dial tcp 10.254.0.1:443: connect: connection refused",
  unauthorized: "E1210 08:00:00.000000 1 reflector.go:158] Failed to watch *v1.Namespace: Unauthorized",
  upstream: "[ERROR] plugin/errors: 2 kubernetes.default.svc.cluster.local. A: dial tcp 10.254.0.10:53: i/o timeout",
} as const;

const addressed = (pod: Pod, podIP: string): Pod => ({
  ...pod,
  status: { ...pod.status, podIP, podIPs: [{ ip: podIP }] },
});

/** Made since the roles are gone: Cilium has not learned their labels. */
const MADE_SINCE = /^(coredns|pgo)-/;

const nameless = (endpoint: CiliumEndpoint): CiliumEndpoint => ({
  ...endpoint,
  identity: 5,
  labels: ["reserved:init"],
  withoutLabels: { tries: 22, because: `pod.core "${endpoint.pod?.split("/")[1]}" not found` },
  policy: { ingress: { allowed: [1], denied: [], rules: [] }, egress: { allowed: [], denied: [], rules: [] } },
});

/** The operator that somebody installs when the roles are gone. */
const operator = installed(
  "Deployment",
  workload("pgo", "postgres-operator", { app: "pgo" }, { containers: [{ name: "operator", image: "pgo:5.7" }] }, 1),
);
const OPERATOR_ADDRESS = "10.244.2.99";

/** The clean-up, and what shows some minutes later: an operator is installed, CoreDNS was rolled out. */
export function afterCleanUp(healthy: Cluster): Cluster {
  const now = healthy.model().time.nowText!;
  return healthy.with(...deletedByLabel(healthy), operator).edit(someMinutesLater(now));
}

/** What the agents, the Pods made since and the tests show. */
function someMinutesLater(now: string): Edit {
  const since = new Date(Date.parse(now) - 240_000).toISOString();
  const madeSince = (pod: Pod): Pod => ({ ...pod, metadata: { ...pod.metadata, creationTimestamp: since } });
  const isMadeSince = (key: string | undefined) => MADE_SINCE.test(key?.split("/")[1] ?? "");
  return (draft) => {
    const pgo = draft.list("pods").find(({ metadata }) => metadata.name.startsWith("pgo-"))!;
    for (const { metadata, spec } of draft
      .list("pods")
      .filter(({ metadata: { name } }) => /^cilium-\w{5}$/.test(name))) {
      const agent = { namespace: "kube-system", pod: metadata.name };
      const known = draft.get("ciliumEndpoints", agent) ?? [];
      const [newest] = known.filter(({ pod }) => pod?.startsWith("tools/client"));
      const isOfOperator = spec.nodeName === pgo.spec.nodeName && newest !== undefined;
      const own = {
        ...newest!,
        id: 1952,
        pod: `${pgo.metadata.namespace}/${pgo.metadata.name}`,
        addresses: [OPERATOR_ADDRESS],
      };
      const endpoints = isOfOperator ? [...known, own] : known;
      draft.set(
        "ciliumEndpoints",
        agent,
        endpoints.map((one) => (isMadeSince(one.pod) ? nameless(one) : one)),
      );
    }
    const fails = (pod: string | undefined, test: string) => test === "dns" || isMadeSince(pod);
    const probes = draft.get("probes", {}) ?? [];
    draft.set(
      "probes",
      {},
      probes.map((probe) => (fails(probe.from.pod, probe.test) ? { ...probe, result: "timeout" } : probe)),
    );
    edits(
      editPods("coredns", (pod) => unready({ state: { running: { startedAt: since } } })(madeSince(pod))),
      editPods("pgo", (pod) => crashing(2)(addressed(madeSince(pod), OPERATOR_ADDRESS))),
      said("cilium", QUOTED.refused, now),
      probed("pgo", "http", "https://10.254.0.1:443/healthz", "timeout"),
      (own) =>
        own.set(
          "probes",
          {},
          (own.get("probes", {}) ?? []).map((probe) => (isMadeSince(probe.from.pod) ? { ...probe, at: now } : probe)),
        ),
      said("pgo", [QUOTED.panic], now),
      said("coredns", [QUOTED.dial, QUOTED.unauthorized], now),
      said("node-local-dns", [QUOTED.upstream], now),
    )(draft);
  };
}
