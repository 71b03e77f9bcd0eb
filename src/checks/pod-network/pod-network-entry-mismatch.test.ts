import { byBird, calicoCluster } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects, edits } from "../../../testing/cluster-edits.ts";
import { kindCluster } from "../../../testing/kindnet.ts";
import { ago, annotated, created } from "../../../testing/object-states.ts";
import { known } from "../../evidence/observed.ts";
import type { Route } from "../../parse/iproute2/route.ts";
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
const FLANNEL = "flannel.alpha.coreos.com";
const publishes = (node: string, what: string, value: string): Edit =>
  editObjects("nodes", node, annotated({ [`${FLANNEL}/${what}`]: value }));
const k3s = () => cluster({ flavour: "k3s" });
const NODES = ["cp1", "w1", "w2"];
const backend = (type: string): Edit => edits(...NODES.map((node) => publishes(node, "backend-type", type)));
/** Nodes that are on one network route to each other's Pods directly. */
const direct = (node: string): Edit[] =>
  NODES.flatMap((other, index) =>
    other === node ? [] : addRoute(node, route(`10.128.${index}.0/24`, `172.16.0.${index + 1}`)),
  );
const hostGw = () => cluster().edit(backend("host-gw"), ...NODES.map((node) => flush(node)), ...NODES.flatMap(direct));

const without =
  (node: string, range: string): Edit =>
  (draft) =>
    editNode(draft, "routes", node, (all) => all.filter(({ destination }) => destination !== range));

const calico = await calicoCluster();
/** The block of w2, and the MAC of its vxlan.calico. */
const BLOCK = "10.244.80.192/26";
const w2Mac = known(calico.capture.get("links", { node: "w2" }))?.find(({ name }) => name === "vxlan.calico")?.mac;

const kind = kindCluster();
/** As after a restart of Docker, which gave cp1 another address. */
const moved =
  (gateway: string): Edit =>
  (draft) =>
    editNode(draft, "routes", "w1", (all) =>
      all.map((one) =>
        one.destination === "10.128.0.0/24" ? { ...one, nextHops: [{ gateway, device: "eth0", flags: [] }] } : one,
      ),
    );

testCheck(podNetworkEntryMismatch, {
  finds: {
    "with kindnet, the route to the Pods of cp1 is gone on w1": {
      given: kind.edit(without("w1", "10.128.0.0/24")),
      repair: "Node/w1",
      says: ["Node w1 has no route to the Pods of cp1 (10.128.0.0/24)"],
      breaks: ["pod-network.entries"],
      strength: "differing",
      healedBy: () => kind,
    },
    "with kindnet, w1 still routes to the address that cp1 had": {
      given: kind.edit(moved("172.16.0.77")),
      repair: "Node/w1",
      says: ["sends packets for the Pods of cp1 (10.128.0.0/24) elsewhere: wrong route"],
      healedBy: () => kind,
    },
    "with Calico, the route to a block of w2 is gone on w1": {
      given: calico.edit(without("w1", BLOCK)),
      repair: "Node/w1",
      says: [`Node w1 has no route to the Pods of w2 (${BLOCK})`],
      breaks: ["pod-network.entries"],
      strength: "differing",
      healedBy: () => calico,
    },
    "with Calico by BGP and IPIP, w1 did not learn w2's block": {
      given: calico.edit(byBird("Always"), without("w1", BLOCK)),
      repair: "Node/w1",
      says: [`Node w1 has no route to the Pods of w2 (${BLOCK})`],
      breaks: ["pod-network.entries"],
      strength: "differing",
      healedBy: () => calico.edit(byBird("Always")),
    },
    "with Calico by BGP, nobody learned w2's block": {
      given: calico.edit(byBird("Never"), without("w1", BLOCK), without("cp1", BLOCK)),
      repair: "Node/cp1",
      says: [`Node cp1 has no route to the Pods of w2 (${BLOCK})`],
      healedBy: () => calico.edit(byBird("Never")),
    },
    "with Calico, a VPN took a part of w2's block on w1": {
      given: calico.edit(addRoute("w1", route("10.244.80.192/27", "192.168.50.1"))),
      repair: "Node/w1",
      says: ["sends packets for the Pods of w2", "wrong route"],
      healedBy: () => calico,
    },
    "with Calico, the FDB entry for w2 leads to cp1": {
      given: calico.edit((draft) =>
        editNode(draft, "fdb", "w1", (all) =>
          all.map((entry) => (entry.mac === w2Mac ? { ...entry, destination: "192.168.50.10" } : entry)),
        ),
      ),
      repair: "Node/w1",
      says: ["wrong FDB entry"],
      healedBy: () => calico,
    },
    "a network script flushed the routes of flannel.1 on w2, which flannel does not put back": {
      given: cluster().edit(flush("w2")),
      repair: "Node/w2",
      says: ["Node w2 has no route to the Pods of w1 (10.128.1.0/24)"],
      breaks: ["pod-network.entries"],
      strength: "differing",
    },
    "systemd-networkd removed flannel.1 from w2": {
      given: cluster().edit((draft) => {
        editNode(draft, "links", "w2", (links) => links.filter(({ name }) => name !== "flannel.1"));
        for (const kind of ["neighbours", "fdb"] as const) editNode(draft, kind, "w2", () => [] as never);
        flush("w2")(draft);
      }),
      repair: "Node/w2",
      says: ["Node w2 has no overlay device flannel.1"],
    },
    "somebody set flannel.1 of w2 down, and the kernel took its routes away": {
      given: cluster().edit((draft) => {
        editNode(draft, "links", "w2", (links) =>
          links.map((one) => (one.name === "flannel.1" ? { ...one, flags: ["BROADCAST", "MULTICAST"] } : one)),
        );
        for (const kind of ["neighbours", "fdb"] as const) editNode(draft, kind, "w2", () => [] as never);
        flush("w2")(draft);
      }),
      repair: "Node/w2",
      says: ["The overlay device flannel.1 of node w2 is down"],
      breaks: ["pod-network.entries"],
    },
    "w1 came back with another MAC, and w2 missed it": {
      given: cluster().edit(publishes("w1", "backend-data", '{"VNI":1,"VtepMAC":"02:66:00:00:00:01"}')),
      repair: "Node/w2",
      says: ["Node w2 sends packets for the Pods of w1 (10.128.1.0/24) elsewhere: wrong neighbour entry"],
    },
    "w1 got another address by DHCP, and w2 missed it": {
      given: cluster().edit(publishes("w1", "public-ip", "172.16.77.2")),
      repair: "Node/w2",
      says: ["wrong FDB entry"],
    },
    "a VPN client on w1 routes a part of the Pod network into its tunnel": {
      given: cluster().edit(addRoute("w1", route("10.128.2.0/25", "172.16.9.9"))),
      repair: "Node/w1",
      says: ["Node w1 sends packets for the Pods of w2 (10.128.2.0/24) elsewhere: wrong route"],
      healedBy: () => cluster(),
    },
    "a k3s node lost one neighbour entry: there is no DaemonSet to restart": {
      given: k3s().edit((draft) => editNode(draft, "neighbours", "w3", (all) => all.slice(1))),
      repair: "Node/w3",
      says: ["Node w3 has no neighbour entry to the Pods of w1"],
      healedBy: k3s,
    },
    "with host-gw, a black hole was left in place of a route": {
      given: hostGw().edit((draft) => {
        editNode(draft, "routes", "w2", (all) => all.filter(({ destination }) => destination !== "10.128.1.0/24"));
        addRoute("w2", route("10.128.1.0/24"))(draft);
      }),
      repair: "Node/w2",
      says: ["wrong route"],
      healedBy: hostGw,
    },
  },
  clears: {
    "kind, with kindnet": kind,
    "a healthy cluster": cluster(),
    "k3s, which has flannel inside": k3s(),
    "host-gw, which needs no tunnel": hostGw(),
    "a managed cluster, whose routes are the cloud's": cluster({ flavour: "managed" }),
    "routes to the office's networks": cluster().edit(addRoute("w1", route("10.20.0.0/16", "172.16.9.9"))),
    "Calico as it was installed": calico,
    "Calico by BGP and IPIP": calico.edit(byBird("Always")),
    "Calico by BGP, which carries a borrowed address": calico.edit(byBird("Never"), (draft) =>
      editNode(draft, "routes", "w1", (all) => [
        ...all,
        { ...route("10.244.80.200", "192.168.50.10"), protocol: "bird" },
      ]),
    ),
    "Calico by BGP, and no node learns from another": NODES.reduce(
      (built, node) =>
        built.edit((draft) =>
          editNode(draft, "routes", node, (all) => all.filter(({ protocol }) => protocol !== "bird")),
        ),
      calico.edit(byBird("Never")),
    ),
    "with Calico, a Pod of w1 borrowed an address of w2's block": calico.edit((draft) =>
      editNode(draft, "routes", "w1", (all) => [
        ...all,
        { ...route("10.244.80.250"), type: "unicast", nextHops: [{ device: "cali0123456789a", flags: [] }] },
      ]),
    ),
  },
  cannotTell: {
    "pod-network.entries": {
      "w1's devices were not collected": cluster().without("links", { node: "w1" }),
      "its routes were not": cluster().without("routes", { node: "w1" }),
      "its neighbours were not": cluster().without("neighbours", { node: "w1" }),
      "its FDB was not": cluster().without("fdb", { node: "w1" }),
      "w1 joined a moment ago, and its neighbours have not yet heard of it": cluster().edit((draft) => {
        editObjects("nodes", "w1", created(ago(4)))(draft);
        for (const node of ["cp1", "w2"]) flush(node, "10.128.1.0/24")(draft);
      }),
      "WireGuard, of which we do not know what flannel writes": cluster().edit(backend("wireguard")),
    },
  },
});
