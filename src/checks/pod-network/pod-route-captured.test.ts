import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import { podRouteCaptured } from "./pod-route-captured.ts";

/** A route on w1 that was there before the CNI's. */
const route = (destination: string, more: Partial<Route>): Route => ({
  ...{ type: "unicast", family: "inet", destination, table: "main", flags: [], nextHops: [] },
  ...more,
});
const routed =
  (one: Route): Edit =>
  (draft) =>
    editNode(draft, "routes", "w1", (routes) => [one, ...routes]);
const device = (kind: string, name: string, destination: string): readonly Edit[] => {
  const link: Link = { index: 90, name, flags: ["UP"], mtu: 1500, kind, addresses: [] };
  return [
    (draft) => editNode(draft, "links", "w1", (links) => [...links, link]),
    routed(route(destination, { nextHops: [{ device: name, flags: [] }] })),
  ];
};
const restored = (broken: Cluster) =>
  broken.edit((draft) => editNode(draft, "routes", "w1", (routes) => routes.slice(1)));
const found = (given: Cluster, ...says: readonly string[]) => ({
  ...{ given, repair: "Node/w1", says, breaks: ["pod.attach"], strength: "direct" as const, healedBy: restored },
});

testCheck(podRouteCaptured, {
  finds: {
    "Docker's bridge has the network of the node's Pods, and was there first": found(
      cluster().edit(...device("bridge", "docker0", "10.128.1.0/24")),
      "Node w1 sends packets for 6 Pods of its own to docker0 (10.128.1.0/24 dev docker0), and not to cni0",
    ),
    "a VPN took a part of it": found(
      cluster().edit(...device("tun", "tun0", "10.128.1.4/31")),
      "2 Pods of its own to tun0",
    ),
    "a blackhole was left": found(
      cluster().edit(routed(route("10.128.1.2/32", { type: "blackhole" }))),
      "throws away packets for 1 Pod of its own: blackhole 10.128.1.2",
    ),
    "the node was given the address of a Pod": found(
      cluster().edit(
        routed(route("10.128.1.2/32", { type: "local", table: "local", nextHops: [{ device: "eth0", flags: [] }] })),
      ),
      "takes the address of 1 Pod of its own for its own",
    ),
    "the same of IPv6 alone": found(
      cluster({ families: "dual-stack" }).edit(
        routed(route("fd00:10:128:2::/65", { family: "inet6", nextHops: [{ device: "eth0", flags: [] }] })),
      ),
      "Pods of its own to eth0",
    ),
  },
  clears: {
    "a healthy cluster": cluster(),
    "docker0 with a network of its own": cluster().edit(...device("bridge", "docker0", "172.17.0.0/16")),
    "the bridge has lost its route, and the default one is left": cluster().edit((draft) =>
      editNode(draft, "routes", "w1", (routes) =>
        routes.filter(({ nextHops }) => nextHops.every((hop) => hop.device !== "cni0")),
      ),
    ),
    "a VPN for all of the Pod network: the Pods' own route is nearer": cluster().edit(
      ...device("tun", "tun0", "10.0.0.0/8"),
    ),
  },
});
