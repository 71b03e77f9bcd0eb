import { describe, expect, it } from "vitest";
import { type Cluster, cluster, editNode } from "../../testing/cluster.ts";
import { type Edit, editConfig, editObjects, edits } from "../../testing/cluster-edits.ts";
import { annotated } from "../../testing/object-states.ts";
import { formatPrefix } from "../net/ip.ts";
import { ref } from "./ref.ts";

const CLUSTER = cluster();
const PREFIX = "flannel.alpha.coreos.com/";
const IP = "172.16.0.3";
const MAC = "02:42:00:00:00:02";

/** What cp1 has for w2, and what is wrong with it. */
function path(given: Cluster): string {
  const found = given
    .model()
    .flannel.paths("cp1")
    .find(({ peer }) => peer.node.name === "w2");
  if (!found) return "no peer";
  const { state, deviations, missing } = found;
  return [state, ...deviations.map(({ what }) => what), ...missing.map((what) => `?${what}`)].join(" ");
}
const after = (...changes: readonly Edit[]) => path(CLUSTER.edit(edits(...changes)));

type Kinds = "routes" | "neighbours" | "fdb" | "links";
/** Changes the entries of cp1 that have to do with w2. */
const change =
  (kind: Kinds, make: (entry: never) => unknown): Edit =>
  (draft) =>
    editNode(
      draft,
      kind,
      "cp1",
      (all) =>
        (all as readonly unknown[]).flatMap((entry) => {
          const text = JSON.stringify(entry);
          const isMeant = kind === "links" ? text.includes("flannel.1") : /10\.128\.2\.0|02:42:00:00:00:02/.test(text);
          return isMeant ? (make(entry as never) ?? []) : entry;
        }) as never,
    );
const without = (kind: Kinds) => change(kind, () => undefined);
const put = (kind: Kinds, more: object) => change(kind, (entry) => ({ ...(entry as object), ...more }));
const backend = (type: string): Edit[] =>
  ["cp1", "w1", "w2"].map((node) => editObjects("nodes", node, annotated({ [`${PREFIX}backend-type`]: type })));
const via = (gateway: string, device: string) => put("routes", { nextHops: [{ gateway, device, flags: [] }] });
const more =
  (destination: string, device: string): Edit =>
  (draft) =>
    editNode(draft, "routes", "cp1", (routes) => [
      ...routes,
      { ...routes[0]!, destination, nextHops: [{ device, flags: [] }] },
    ]);

describe("what a node has for another", () => {
  it.each<[what: string, expected: string, changes: Edit[]]>([
    ["all is there", "right", []],
    ["the route is missing", "deviating route-missing", [without("routes")]],
    ["the route goes elsewhere", "deviating route-wrong", [via("172.16.0.9", "eth0")]],
    ["the route has another gateway", "deviating route-wrong", [via("10.128.9.0", "flannel.1")]],
    ["a part of the range goes elsewhere", "deviating route-wrong", [more("10.128.2.128/25", "eth0")]],
    ["a larger range goes elsewhere", "right", [more("10.128.0.0/14", "eth0")]],
    ["the neighbour is missing", "deviating neighbour-missing", [without("neighbours")]],
    ["the neighbour has another MAC", "deviating neighbour-wrong", [put("neighbours", { mac: "02:42:00:00:00:09" })]],
    ["the entry of the FDB is missing", "deviating fdb-missing", [without("fdb")]],
    ["the entry of the FDB leads to another node", "deviating fdb-wrong", [put("fdb", { destination: "172.16.0.9" })]],
    ["the device is missing", "deviating device-missing", [without("links")]],
    ["the device is down", "deviating device-down", [put("links", { flags: ["MULTICAST"] })]],
    ["several are missing", "deviating route-missing fdb-missing", [without("routes"), without("fdb")]],
    [
      "the other node has a new MAC",
      "deviating neighbour-wrong fdb-missing",
      [editObjects("nodes", "w2", annotated({ [`${PREFIX}backend-data`]: '{"VtepMAC":"02:42:00:00:00:07"}' }))],
    ],
    [
      "the other node has a new address",
      "deviating fdb-wrong",
      [editObjects("nodes", "w2", annotated({ [`${PREFIX}public-ip`]: "172.16.0.9" }))],
    ],
    [
      "the MAC is written in capitals",
      "right",
      [editObjects("nodes", "w2", annotated({ [`${PREFIX}backend-data`]: `{"VtepMAC":"${MAC.toUpperCase()}"}` }))],
    ],
    [
      "the other node does not tell its MAC",
      "unknown",
      [editObjects("nodes", "w2", annotated({ [`${PREFIX}backend-data`]: "null" }))],
    ],
    [
      "what it tells makes no sense",
      "unknown",
      [editObjects("nodes", "w2", annotated({ [`${PREFIX}backend-data`]: "{" }))],
    ],
    [
      "the other node is of another backend",
      "no peer",
      [editObjects("nodes", "w2", annotated({ [`${PREFIX}backend-type`]: "host-gw" }))],
    ],
    [
      "the other node is not flannel's",
      "no peer",
      [editObjects("nodes", "w2", annotated({ [`${PREFIX}kube-subnet-manager`]: "false" }))],
    ],
    ["host-gw: the route leads to the node itself", "right", [...backend("host-gw"), via(IP, "eth0")]],
    ["host-gw: the route leads into a tunnel", "deviating route-wrong", backend("host-gw")],
    [
      "host-gw needs nothing but the route",
      "right",
      [...backend("host-gw"), via(IP, "eth0"), without("fdb"), without("links")],
    ],
    ["a backend that is not known", "unknown", backend("wireguard")],
    [
      "DirectRouting on one segment: no tunnel",
      "right",
      [
        editConfig("kube-flannel-cfg", "net-conf.json", (text) =>
          text.replace('"vxlan"', '"vxlan","DirectRouting":true'),
        ),
        via(IP, "eth0"),
      ],
    ],
  ])("%s: %s", (_, expected, changes) => expect(after(...changes)).toBe(expected));

  it.each(["routes", "neighbours", "fdb"] as const)("cannot be told without its %s", (kind) => {
    expect(path(CLUSTER.without(kind, { node: "cp1" }))).toBe(`unknown ?${kind}`);
  });

  it("is told by what was seen, whatever was not", () => {
    expect(path(CLUSTER.edit(without("fdb")).without("routes", { node: "cp1" }))).toBe("deviating fdb-missing ?routes");
  });

  it("is quoted, with what demands it", () => {
    const [first] = CLUSTER.model().flannel.paths("cp1");
    const quotes = first!.evidence().map(({ origin, quote }) => `${origin.path}: ${quote}`);
    expect(quotes).toHaveLength(4);
    expect(quotes.slice(1)).toEqual([
      "nodes/cp1/ip-route.json: 10.128.1.0/24 via 10.128.1.0 dev flannel.1 onlink",
      "nodes/cp1/ip-neigh.json: 10.128.1.0 dev flannel.1 lladdr 02:42:00:00:00:01 PERMANENT",
      "nodes/cp1/bridge-fdb.json: 02:42:00:00:00:01 dev flannel.1 dst 172.16.0.2 self permanent",
    ]);
  });
});

describe("flannel's configuration", () => {
  const configured = (text: string) =>
    CLUSTER.edit(editConfig("kube-flannel-cfg", "net-conf.json", () => text)).model().flannel.config;

  it.each([
    ["{}", { networks: [], backend: "vxlan", vni: 1, port: 8472, directRouting: false }],
    ['{"Network":"10.0.0.0/8","IPv6Network":"fd00::/48"}', { networks: ["10.0.0.0/8", "fd00::/48"] }],
    [
      '{"Backend":{"Type":"VXLAN","VNI":4096,"Port":4789,"DirectRouting":true}}',
      { backend: "vxlan", vni: 4096, port: 4789, directRouting: true },
    ],
    ['{"Network":7,"Backend":[]}', { networks: [], backend: "vxlan" }],
  ])("%s", (text, expected) => {
    const config = configured(text);
    expect({ ...config, networks: config?.networks.map(formatPrefix) }).toMatchObject(expected);
  });

  it.each(["", "null", "[", "7"])("is none where it is %j", (text) => expect(configured(text)).toBeUndefined());

  it("is read even where its DaemonSet was deleted", () => {
    const target = ref("DaemonSet", "kube-flannel-ds", "kube-flannel");
    expect(CLUSTER.with({ do: "delete", target }).model().flannel.config).toMatchObject({ backend: "vxlan" });
  });

  it("is not used in a cluster whose nodes do not tell of it", () => {
    expect(cluster({ flavour: "managed" }).model().flannel).toMatchObject({ used: false });
    expect(cluster({ flavour: "k3s" }).model().flannel).toMatchObject({ used: true });
  });
});
