import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { RANGES } from "../../../testing/cluster-addresses.ts";
import { type Edit, edits, ipvsMode, probed } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import { defaultRouteWrong } from "./default-route-wrong.ts";

const DEFAULT = /^(0\.0\.0\.0|::)\/0$/;

/** The nodes' default routes lead elsewhere, or are gone. */
const gateway =
  (to: string | undefined, ...nodes: readonly string[]): Edit =>
  (draft) => {
    for (const node of nodes)
      editNode(draft, "routes", node, (routes) =>
        routes.flatMap((route) => {
          if (!DEFAULT.test(route.destination)) return [route];
          return to === undefined
            ? []
            : [{ ...route, nextHops: route.nextHops.map((hop) => ({ ...hop, gateway: to })) }];
        }),
      );
  };

const neighbour =
  (address: string, state: string): Edit =>
  (draft) =>
    editNode(draft, "neighbours", "w1", (all) => [...all, { address, device: "eth0", states: [state] }]);

const toServices =
  (...nodes: readonly string[]): Edit =>
  (draft) => {
    for (const node of nodes)
      editNode(draft, "routes", node, (routes) => {
        const own = routes.find(({ destination }) => destination === RANGES[4].nodes)!;
        return [...routes, { ...own, destination: RANGES[4].services }];
      });
  };

const dual = cluster({ families: "dual-stack" });
const story = (given: Cluster, says: readonly string[], breaks: readonly string[], by = cluster()) => ({
  given,
  repair: "Node/w1",
  says,
  breaks,
  strength: "direct" as const,
  healedBy: () => by,
});
const GONE = "has no default route: its own processes have no route to any Service";

testCheck(defaultRouteWrong, {
  finds: {
    "an interface of w1 was brought up again by hand": story(
      cluster().edit(gateway(undefined, "w1")),
      [`Node w1 ${GONE}`],
      ["service.rules", "outside.reach"],
    ),
    "no node has one": {
      ...story(cluster().edit(gateway(undefined, "cp1", "w1", "w2")), [`Node w1 ${GONE}`], ["service.rules"]),
    },
    "kube-proxy in nftables mode": story(
      cluster({ proxy: "nftables" }).edit(gateway(undefined, "w1")),
      [`Node w1 ${GONE}`],
      ["service.rules"],
      cluster({ proxy: "nftables" }),
    ),
    "dual stack: the routes of both families are gone": story(
      dual.edit(gateway(undefined, "w1")),
      [`Node w1 ${GONE}`, "(IPv6)"],
      ["service.rules"],
      dual,
    ),
    "a wrong gateway that nobody answers at": story(
      cluster().edit(edits(gateway("172.16.0.77", "w1"), neighbour("172.16.0.77", "FAILED"))),
      ["The gateway of node w1, 172.16.0.77, does not answer on eth0"],
      ["outside.reach"],
    ),
  },
  warns: {
    "a gateway that the others do not use": {
      given: cluster().edit(gateway("172.16.0.77", "w1")),
      repair: "Node/w1",
      says: ["Node w1 sends what leaves the cluster to the gateway 172.16.0.77"],
    },
    "in IPVS mode the node's own calls need no route": {
      given: cluster().edit(edits(ipvsMode("w1"), gateway(undefined, "w1"))),
      repair: "Node/w1",
      says: ["Node w1 has no default route, other nodes do"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "dual stack": dual,
    "a closed network, in which Services have a route": cluster().edit(
      edits(gateway(undefined, "cp1", "w1", "w2"), toServices("cp1", "w1", "w2")),
    ),
    "the gateway that all use did not answer just now": cluster().edit(neighbour(RANGES[4].gateway, "FAILED")),
  },
});

it("owns the tests of the node's own processes, and what Pods send outside", () => {
  const given = cluster().edit(
    gateway(undefined, "cp1"),
    probed("client", "tcp", "203.0.113.80:80", "unreachable"),
    probed("client", "tcp", "172.16.255.253:80", "ok"),
  );
  const { rootCauses, unexplained } = diagnose(given.capture);
  expect(rootCauses.map(({ id, confidence }) => [id, confidence])).toEqual([
    ["default-route-wrong/Node/cp1", "certain"],
  ]);
  expect(unexplained).toEqual([]);
});
