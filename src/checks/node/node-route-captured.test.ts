import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import { nodeRouteCaptured } from "./node-route-captured.ts";

const w2 = cluster().model().nodes.get("w2")!.addresses[0]!;

/** A device on w1 that is not the CNI's, and the route that it came with. */
const device =
  (kind: string, name: string, destination: string, node = "w1"): Edit =>
  (draft) => {
    const link: Link = { index: 90, name, flags: ["UP"], mtu: 1500, kind, addresses: [] };
    editNode(draft, "links", node, (links) => [...links, link]);
    editNode(draft, "routes", node, (routes) => [
      ...routes,
      {
        type: "unicast",
        family: "inet",
        destination,
        table: "main",
        flags: [],
        nextHops: [{ device: name, flags: [] }],
      } as const,
    ]);
  };
const removed =
  (name: string): ((broken: Cluster) => Cluster) =>
  (broken) =>
    broken.edit((draft) =>
      editNode(draft, "routes", "w1", (routes) => routes.filter(({ nextHops }) => nextHops[0]?.device !== name)),
    );

const blackhole =
  (destination: string): Edit =>
  (draft) =>
    editNode(draft, "routes", "w1", (routes) => [
      ...routes,
      { type: "blackhole", family: "inet", destination, table: "main", flags: [], nextHops: [] } as const,
    ]);

testCheck(nodeRouteCaptured, {
  finds: {
    "Compose made a bridge in a part of the nodes' network": {
      given: cluster().edit(device("bridge", "br-4a5ed6f8c8d7", `${w2}/31`)),
      repair: "Node/w1",
      says: ["Node w1 takes node w2 for hosts on its bridge br-4a5ed6f8c8d7", "does not leave by eth0"],
      breaks: ["node.reach", "underlay.carry"],
      strength: "direct",
      healedBy: removed("br-4a5ed6f8c8d7"),
    },
    "a VPN's server pushed a route to one host": {
      given: cluster().edit(device("tun", "tun0", `${w2}/32`)),
      repair: "Node/w1",
      says: ["Node w1 sends packets for node w2 into tun0"],
      healedBy: removed("tun0"),
    },
    "somebody left a blackhole for a node": {
      given: cluster().edit(blackhole(`${w2}/32`)),
      repair: "Node/w1",
      says: [`A route of node w1 throws away what it sends to node w2: blackhole ${w2}`],
      breaks: ["node.reach", "underlay.carry"],
      strength: "direct",
      healedBy: () => cluster(),
    },
  },
  warns: {
    "docker0 has the network of the Services": {
      given: cluster().edit(device("bridge", "docker0", "10.96.0.0/16")),
      repair: "Node/w1",
      says: ["Services have their address in the network of docker0 (10.96.0.0/16)"],
    },
    "a VPN was told to take a part of it": {
      given: cluster().edit(device("tun", "tun0", "10.96.10.0/30")),
      repair: "Node/w1",
      says: ["the node's own calls leave with an address of tun0"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a blackhole for a network that is not the nodes'": cluster().edit(blackhole("10.244.9.0/24")),
    "a network among those of the Services that none of them has an address in": cluster().edit(
      device("bridge", "docker0", "10.96.200.0/24"),
    ),
    "a device holds their addresses (NodeLocal DNSCache, IPVS)": cluster().edit(
      device("dummy", "nodelocaldns", "10.96.0.10/32"),
    ),
    "docker0 with a network of its own": cluster().edit(device("bridge", "docker0", "172.17.0.0/16")),
    "a VPN for a wider network: the node's own route is nearer": cluster().edit(device("tun", "tun0", "0.0.0.0/1")),
    "nodes that Calico encrypts between": cluster().edit(device("wireguard", "wireguard.cali", `${w2}/32`)),
    "the nodes are in one VPN": cluster().edit(
      device("wireguard", "wg0", `${w2}/32`, "w1"),
      device("wireguard", "wg0", `${w2}/32`, "cp1"),
    ),
  },
});
