import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { ago, created, type Edit, editObjects } from "../../../testing/cluster-edits.ts";
import type { Route } from "../../parse/ip-route.ts";
import { podNetworkEntryMismatch } from "./pod-network-entry-mismatch.ts";

const route = (destination: string, gateway?: string): Route => ({
  type: gateway === undefined ? "blackhole" : "unicast",
  family: "inet",
  destination,
  table: "main",
  nextHops: gateway === undefined ? [] : [{ gateway, device: "eth0", flags: [] }],
  flags: [],
});
const addRoute =
  (node: string, added: Route): Edit =>
  (draft) =>
    editNode(draft, "routes", node, (all) => [...all, added]);
/** Nothing of what leads from w2 over the tunnel, or nothing to one node's range. */
const flush =
  (node: string, range?: string): Edit =>
  (draft) =>
    editNode(draft, "routes", node, (all) =>
      all.filter(
        ({ nextHops, destination }) =>
          !nextHops.some(({ device }) => device === "flannel.1") || (range !== undefined && destination !== range),
      ),
    );
const annotated = (node: string, change: (all: Record<string, string>) => Record<string, string>): Edit =>
  editObjects("nodes", node, (object) => ({
    ...object,
    metadata: {
      ...object.metadata,
      annotations: change((object.metadata.annotations ?? {}) as Record<string, string>),
    },
  }));
const FLANNEL = "flannel.alpha.coreos.com";
const moved = annotated("w1", (all) => ({ ...all, [`${FLANNEL}/public-ip`]: "172.16.77.2" }));
const k3s = () => cluster({ flavour: "k3s" });
/** Nodes that are on one network route to each other's Pods directly. */
const hostGw = (): Cluster =>
  cluster().edit((draft) => {
    for (const { metadata } of draft.list("nodes")) {
      annotated(metadata.name, (all) => ({
        ...all,
        [`${FLANNEL}/backend-type`]: "host-gw",
        [`${FLANNEL}/backend-data`]: "null",
      }))(draft);
      flush(metadata.name)(draft);
      for (const [index, other] of ["cp1", "w1", "w2"].entries())
        if (other !== metadata.name)
          addRoute(metadata.name, route(`10.128.${index}.0/24`, `172.16.0.${index + 1}`))(draft);
    }
  });

testCheck(podNetworkEntryMismatch, {
  finds: [
    {
      story: "a network script flushed the routes of flannel.1 on w2, which flannel does not put back",
      given: cluster().edit(flush("w2")),
      repair: "Node/w2",
      says: [
        "Node w2 lacks what leads to the Pods of w1 (10.128.1.0/24): 10.128.1.0/24 via 10.128.1.0 dev flannel.1 onlink",
      ],
      breaks: ["pod-network.entries"],
      strength: "differing",
    },
    {
      story: "systemd-networkd removed flannel.1 from w2",
      given: cluster().edit((draft) => {
        editNode(draft, "links", "w2", (links) => links.filter(({ name }) => name !== "flannel.1"));
        for (const kind of ["neighbours", "fdb"] as const) editNode(draft, kind, "w2", () => [] as never);
        flush("w2")(draft);
      }),
      repair: "Node/w2",
      says: ["Node w2 has no overlay device (flannel.1: VXLAN device)"],
    },
    {
      story: "w1 came back with another MAC, and w2 missed it",
      given: cluster().edit(
        annotated("w1", (all) => ({ ...all, [`${FLANNEL}/backend-data`]: '{"VNI":1,"VtepMAC":"02:66:00:00:00:01"}' })),
      ),
      repair: "Node/w2",
      says: [
        "Node w2 sends packets for the Pods of w1 (10.128.1.0/24) elsewhere: instead of 10.128.1.0 dev flannel.1 lladdr 02:66:00:00:00:01",
      ],
    },
    {
      story: "w1 got another address by DHCP, and w2 missed it",
      given: cluster().edit(moved),
      repair: "Node/w2",
      says: ["dst 172.16.77.2 self permanent it has"],
    },
    {
      story: "a VPN client on w1 routes a part of the Pod network into its tunnel",
      given: cluster().edit(addRoute("w1", route("10.128.2.0/25", "172.16.9.9"))),
      repair: "Node/w1",
      says: [
        "instead of 10.128.2.0/24 via 10.128.2.0 dev flannel.1 onlink it has 10.128.2.0/25 via 172.16.9.9 dev eth0",
      ],
      healedBy: () => cluster(),
    },
    {
      story: "a k3s node lost one neighbour entry: there is no DaemonSet to restart",
      given: k3s().edit((draft) => editNode(draft, "neighbours", "w3", (all) => all.slice(1))),
      repair: "Node/w3",
      says: ["Node w3 lacks what leads to the Pods of w1"],
      healedBy: k3s,
    },
    {
      story: "with host-gw, a black hole was left in place of a route",
      given: hostGw().edit((draft) => {
        editNode(draft, "routes", "w2", (all) => all.filter(({ destination }) => destination !== "10.128.1.0/24"));
        addRoute("w2", route("10.128.1.0/24"))(draft);
      }),
      repair: "Node/w2",
      says: ["instead of 10.128.1.0/24 via 172.16.0.2 it has blackhole 10.128.1.0/24"],
      healedBy: hostGw,
    },
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "k3s, which has flannel inside", given: k3s() },
    { story: "host-gw, which needs no tunnel", given: hostGw() },
    { story: "a managed cluster, whose routes are the cloud's", given: cluster({ flavour: "managed" }) },
    {
      story: "routes to the office's networks",
      given: cluster().edit(addRoute("w1", route("10.20.0.0/16", "172.16.9.9"))),
    },
  ],
  cannotTell: [
    ...(["links", "routes", "neighbours", "fdb"] as const).map((kind) => ({
      story: `${kind} of w1 were not collected`,
      given: cluster().without(kind, { node: "w1" }),
      capability: "pod-network.entries",
    })),
    {
      story: "w1 joined a moment ago: its neighbours have not yet heard of it",
      given: cluster().edit((draft) => {
        editObjects("nodes", "w1", created(ago(4)))(draft);
        for (const node of ["cp1", "w2"]) flush(node, "10.128.1.0/24")(draft);
      }),
      capability: "pod-network.entries",
    },
    {
      story: "WireGuard, of which we do not know what flannel writes",
      given: cluster().edit((draft) => {
        for (const node of ["cp1", "w1", "w2"])
          annotated(node, (all) => ({ ...all, [`${FLANNEL}/backend-type`]: "wireguard" }))(draft);
      }),
      capability: "pod-network.entries",
    },
  ],
});
