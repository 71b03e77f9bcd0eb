import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editObjects, probed, said } from "../../../testing/cluster-edits.ts";
import { CREATED } from "../../../testing/cluster-nodes.ts";
import type { EndpointSlice, Service } from "../../parse/objects.ts";
import { endpointsUnmatched } from "./endpoints-unmatched.ts";

const OWN = { "kubernetes.io/service-name": "db-legacy" };
const service: Service = {
  metadata: { name: "db-legacy", namespace: "shop", creationTimestamp: CREATED },
  spec: {
    type: "ClusterIP",
    clusterIP: "10.96.10.77",
    clusterIPs: ["10.96.10.77"],
    ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
  },
};
const slice = (
  ports: EndpointSlice["ports"],
  labels: Readonly<Record<string, string>> = OWN,
  ready = true,
): EndpointSlice => ({
  metadata: { name: "db-legacy-1", namespace: "shop", labels, creationTimestamp: CREATED },
  addressType: "IPv4",
  ports,
  endpoints: [{ addresses: ["192.0.2.10"], conditions: { ready } }],
});
const SQL = [{ name: "sql", port: 5432, protocol: "TCP" }];
const withSlices = (...slices: readonly EndpointSlice[]): Cluster =>
  cluster().edit(addObjects("services", service), addObjects("endpointslices", ...slices));
const healedBy = () => withSlices(slice(SQL));
const inVain: Edit = probed("frontend", "tcp", "10.96.10.77:5432", "refused");
const complained = said("frontend", ["curl: (7) Failed to connect to db-legacy.shop port 5432: Connection refused"]);
const found = (given: Cluster, repair: string, ...says: readonly string[]) => ({
  ...{ given, repair, says, breaks: ["service.select"], strength: "direct" as const, healedBy },
});

testCheck(endpointsUnmatched, {
  finds: {
    "the slice's port has another name": found(
      withSlices(slice([{ name: "postgres", port: 5432, protocol: "TCP" }])),
      "EndpointSlice/shop/db-legacy-1",
      "Service shop/db-legacy sends port sql 5432/TCP nowhere",
      "(EndpointSlice db-legacy-1) has postgres 5432/TCP",
    ),
    "it has none": found(
      withSlices(slice([{ port: 5432, protocol: "TCP" }])),
      "EndpointSlice/shop/db-legacy-1",
      "has 5432/TCP (no name)",
    ),
    "or another protocol": found(
      withSlices(slice([{ name: "sql", port: 5432, protocol: "UDP" }])),
      "EndpointSlice/shop/db-legacy-1",
      "has sql 5432/UDP",
    ),
    "Endpoints that were mirrored have another name for it": found(
      withSlices(
        slice([{ name: "postgres", port: 5432 }], {
          ...OWN,
          "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        }),
      ),
      "Endpoints/shop/db-legacy",
      "(Endpoints db-legacy)",
    ),
    "the slice was copied from another Service, label and all": found(
      withSlices(slice(SQL, { "kubernetes.io/service-name": "db-old" })),
      "EndpointSlice/shop/db-legacy-1",
      "EndpointSlice db-legacy-1 does not say that it is its",
    ),
    "nobody wrote one, and somebody calls": found(
      withSlices().edit(inVain),
      "Service/shop/db-legacy",
      "has no selector, and nobody has written its back ends",
    ),
    "the same, by what a Pod says": found(
      withSlices().edit(complained),
      "Service/shop/db-legacy",
      "has no selector, and nobody has written its back ends",
    ),
    "its only back end is not ready, and somebody calls": found(
      withSlices(slice(SQL, OWN, false)).edit(inVain),
      "Service/shop/db-legacy",
      "has none that is ready",
    ),
  },
  clears: {
    "a healthy cluster": cluster(),
    "a slice that serves it": withSlices(slice(SQL)),
    "one port of a slice that has more": withSlices(slice([{ name: "metrics", port: 9187 }, ...SQL])),
    "nobody wrote one, and nobody calls": withSlices(),
    "another proxy serves it": withSlices(slice([{ name: "postgres", port: 5432 }])).edit(
      editObjects("services", "db-legacy", (one) => ({
        ...one,
        metadata: { ...one.metadata, labels: { "service.kubernetes.io/service-proxy-name": "other" } },
      })),
    ),
  },
  cannotTell: {
    "service.select": { "the slices were not collected": withSlices(slice(SQL)).without("endpointslices") },
  },
});
