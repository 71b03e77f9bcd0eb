/**
 * Faults that no recording holds, as deviations from any healthy cluster: each is told as a story of its check, and laid over the
 * others here. Those of Calico and Cilium are not among them: the built cluster has flannel.
 */
import { ref } from "../src/model/ref.ts";
import { parseCniConflist } from "../src/parse/cni-conflist.ts";
import { parseConntrack } from "../src/parse/conntrack/entries.ts";
import { type Cluster, editNode } from "./cluster.ts";
import {
  addEvents,
  addObjects,
  type Edit,
  editConfig,
  editObjects,
  editPods,
  exposingOn,
  leasesRenewed,
  probed,
  said,
} from "./cluster-edits.ts";
import { service } from "./cluster-objects.ts";
import type { Deviation } from "./deviations.ts";
import { ago, annotated, created, gone, withContainers, withSpec } from "./object-states.ts";

const KUBE_PROXY = ref("DaemonSet", "kube-proxy", "kube-system");
const edited =
  (...edits: readonly Edit[]) =>
  (cluster: Cluster): Cluster =>
    cluster.edit(...edits);
/** What nodes' rules follow, too. */
const followed =
  (...edits: readonly Edit[]) =>
  (cluster: Cluster): Cluster =>
    cluster.edit(...edits).with({ do: "restart", component: KUBE_PROXY });
/** An edit that asks the cluster as it is then. */
const asked =
  (edits: (cluster: Cluster) => readonly Edit[]) =>
  (cluster: Cluster): Cluster =>
    cluster.edit(...edits(cluster));

const refusedByEtcd = (words: string) =>
  Array.from(
    { length: 6 },
    (_, n) => `E1121 02:59:${40 + n}.774052 1 status.go:71] "Unhandled Error" err="etcdserver: ${words}"`,
  );
const macOf = (cluster: Cluster, node: string): string => cluster.model().flannel.peer(node)!.mac!;
const GUARD =
  'failed calling webhook "guard.example.org": failed to call webhook: Post "https://guard.policy.svc:443/"';

export const TOLD: Readonly<Record<string, Deviation>> = {
  "endpoint-address-wrong": {
    put: followed(
      addObjects(
        "services",
        service("partner", "shop", { clusterIP: "10.96.20.2", ports: [{ name: "http", port: 80 }] }),
      ),
      addObjects("endpointslices", {
        metadata: {
          ...{ name: "partner-by-hand", namespace: "shop", creationTimestamp: ago(4000) },
          labels: { "kubernetes.io/service-name": "partner" },
        },
        ...{ addressType: "IPv4", ports: [{ name: "http", port: 8080, protocol: "TCP" }] },
        endpoints: [{ addresses: ["10.128.1.222"] }],
      }),
      probed("client", "tcp", "10.96.20.2:80", "timeout"),
    ),
    roots: ["EndpointSlice/shop/partner-by-hand"],
  },
  "etcd-space-exceeded": {
    put: edited(leasesRenewed(ago(360)), said("kube-apiserver", refusedByEtcd("mvcc: database space exceeded"))),
    roots: ["Pod/kube-system/etcd-cp1"],
  },
  "etcd-unresponsive": {
    put: edited(leasesRenewed(ago(300)), said("kube-apiserver", refusedByEtcd("request timed out"))),
    roots: ["Pod/kube-system/etcd-cp1"],
    excludes: ["etcd-space-exceeded"],
  },
  "pod-range-missing": {
    put: edited(
      editObjects("nodes", "w4", withSpec({ podCIDR: undefined, podCIDRs: undefined })),
      editPods(
        "kube-controller-manager",
        withContainers((one) => ({
          ...one,
          command: ["kube-controller-manager", "--allocate-node-cidrs=true", "--cluster-cidr=10.128.0.0/9"],
        })),
      ),
      addEvents({ kind: "Node", name: "w4" }, "CIDRNotAvailable", ["Node w4 status is now: CIDRNotAvailable"]),
    ),
    roots: ["Pod/kube-system/kube-controller-manager-cp1"],
  },
  "load-balancer-pending": {
    put: edited(editObjects("services", "frontend", withSpec({ type: "LoadBalancer" }))),
    roots: [],
  },
  "pod-address-duplicate": {
    put: asked((cluster) => {
      const [address = ""] = cluster.model().pods.get("tools", "client-w1")!.addresses;
      const taken = editObjects("pods", "client-w3", (pod) => ({
        ...pod,
        status: { ...pod.status, podIP: address, podIPs: [{ ip: address }] },
      }));
      return [taken, editObjects("pods", "client-w3", created(ago(900)))];
    }),
    roots: ["Pod/tools/client-w3"],
  },
  "cluster-ip-duplicate": {
    put: followed(
      addObjects(
        "services",
        created(ago(500))(
          service("search", "shop", {
            ...{ clusterIP: "10.96.10.1", selector: { app: "frontend" }, ports: [{ name: "http", port: 8080 }] },
          }),
        ),
      ),
    ),
    roots: ["Service/shop/search"],
  },
  "admission-webhook-failing": {
    put: edited(
      addObjects("validatingwebhookconfigurations", {
        metadata: { name: "pod-guard" },
        webhooks: [
          {
            name: "guard.example.org",
            failurePolicy: "Fail",
            clientConfig: { service: { namespace: "policy", name: "guard" } },
          },
        ],
      }),
      editPods("backend", gone),
      addEvents({ kind: "ReplicaSet", namespace: "shop", name: "backend-697647459b" }, "FailedCreate", [
        `Error creating: Internal error occurred: ${GUARD}: service "guard" not found`,
      ]),
    ),
    roots: ["ValidatingWebhookConfiguration/pod-guard"],
    // the Pods that show it are gone
    excludes: ["service-target-port"],
  },
  "proxy-cluster-cidr-wrong": {
    put: (cluster) =>
      cluster
        .edit(editConfig("kube-proxy", "config.conf", (text) => text.replace("10.128.0.0/9", "10.99.0.0/16")))
        .with({ do: "restart", component: KUBE_PROXY }),
    roots: ["ConfigMap/kube-system/kube-proxy"],
  },
  "api-server-endpoint-stale": {
    put: followed(
      editObjects("endpointslices", "kubernetes", ({ endpoints, ...slice }) => ({
        ...slice,
        endpoints: [...(endpoints ?? []), { addresses: ["172.16.0.77"], conditions: { ready: true } }],
      })),
    ),
    roots: ["EndpointSlice/default/kubernetes"],
  },
  "flows-to-removed-endpoint": {
    put: asked((cluster) => {
      const [client = ""] = cluster.model().pods.get("tools", "client-w2")!.addresses;
      const to = `dst=10.96.0.10 sport=40000 dport=53 src=10.244.1.99 dst=${client} sport=53 dport=40000`;
      const { value } = parseConntrack(`udp      17 118 src=${client} ${to} [ASSURED] mark=0 use=1\n`);
      const changed = annotated({ "endpoints.kubernetes.io/last-change-trigger-time": ago(600) });
      return [
        editObjects("endpointslices", "kube-dns-00000", changed),
        (draft) => draft.set("conntrack", { node: "w2" }, value),
      ];
    }),
    roots: ["Node/w2"],
  },
  "cni-config-foreign": {
    put: edited((draft) =>
      draft.set(
        "cniConfig",
        { node: "w3", file: "00-calico.conflist" },
        parseCniConflist(JSON.stringify({ cniVersion: "0.3.1", name: "old", plugins: [{ type: "calico" }] })).value,
      ),
    ),
    roots: ["Node/w3"],
  },
  "node-route-captured": {
    put: edited((draft) => {
      const link = { index: 90, name: "br-4a5ed6f8c8d7", flags: ["UP"], mtu: 1500, kind: "bridge", addresses: [] };
      const route = { type: "unicast", family: "inet", destination: "172.16.0.3/32", table: "main" } as const;
      const nextHops = [{ device: link.name, flags: [] }];
      editNode(draft, "links", "w4", (links) => [...links, link]);
      editNode(draft, "routes", "w4", (routes) => [...routes, { ...route, nextHops, flags: [] }]);
    }),
    roots: ["Node/w4"],
  },
  "pod-route-captured": {
    put: edited((draft) => {
      const link = { index: 91, name: "docker0", flags: ["UP"], mtu: 1500, kind: "bridge", addresses: [] };
      const route = { type: "unicast", family: "inet", destination: "10.128.3.0/24", table: "main" } as const;
      const nextHops = [{ device: link.name, flags: [] }];
      editNode(draft, "links", "w3", (links) => [...links, link]);
      editNode(draft, "routes", "w3", (routes) => [{ ...route, nextHops, flags: [] }, ...routes]);
    }),
    roots: ["Node/w3"],
  },
  "tunnel-device-mismatch": {
    put: edited((draft) =>
      editNode(draft, "links", "w3", (links) =>
        links.map((link) => (link.vxlan ? { ...link, vxlan: { ...link.vxlan, port: 4789 } } : link)),
      ),
    ),
    roots: ["Node/w3"],
  },
  "tunnel-mac-duplicate": {
    put: asked((cluster) => {
      const mac = macOf(cluster, "w1");
      const announced = { "flannel.alpha.coreos.com/backend-data": JSON.stringify({ VNI: 1, VtepMAC: mac }) };
      return [
        editObjects("nodes", "w3", annotated(announced)),
        editObjects("nodes", "w3", created(ago(600))),
        (draft) =>
          editNode(draft, "links", "w3", (links) => links.map((link) => (link.vxlan ? { ...link, mac } : link))),
      ];
    }),
    roots: ["Node/w3"],
    // entries for w1 that are wrong may be so for that
    excludes: ["flannel-fdb-lost"],
  },
  "neighbour-table-full": {
    put: edited((draft) => {
      const limit = ["net.ipv4.neigh.default.gc_thresh3", { value: "1024", line: 900 }] as const;
      editNode(draft, "sysctls", "w4", (all) => new Map([...all, limit]));
      editNode(draft, "neighbours", "w4", (all) => [
        ...all,
        ...Array.from({ length: 1024 }, (_, index) => ({
          ...{ address: `172.20.${index >> 8}.${index & 255}`, device: "eth0", mac: "02:00:00:00:00:01" },
          states: ["STALE"],
        })),
      ]);
    }),
    roots: ["Node/w4"],
  },
  "service-rules-unwritten": {
    put: edited(
      exposingOn("w3", "proxyHealth", [
        JSON.stringify({
          ...{ lastUpdated: ago(0), currentTime: ago(0), nodeEligible: true, healthy: false },
          status: { IPv4: { lastUpdated: ago(128), healthy: false }, IPv6: { lastUpdated: ago(0), healthy: true } },
        }),
      ]),
    ),
    roots: ["Node/w3"],
    // without permission it learns nothing that it could write
    excludes: ["kube-proxy-role-deleted"],
  },
  "endpoints-unmatched": {
    put: followed(
      addObjects(
        "services",
        service("legacy", "shop", { clusterIP: "10.96.20.3", ports: [{ name: "sql", port: 5432 }] }),
      ),
      addObjects("endpointslices", {
        metadata: {
          ...{ name: "legacy-1", namespace: "shop", creationTimestamp: ago(4000) },
          labels: { "kubernetes.io/service-name": "legacy" },
        },
        ...{ addressType: "IPv4", ports: [{ name: "postgres", port: 5432, protocol: "TCP" }] },
        endpoints: [{ addresses: ["192.0.2.10"] }],
      }),
    ),
    roots: ["EndpointSlice/shop/legacy-1"],
  },
};
