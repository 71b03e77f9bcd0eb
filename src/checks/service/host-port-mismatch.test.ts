import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { ciliumCluster } from "../../../testing/cilium-cluster.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import {
  addObjects,
  addRules,
  calico,
  type Edit,
  editObjects,
  editPods,
  probed,
} from "../../../testing/cluster-edits.ts";
import { ago, created, withContainers } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { parseNft } from "../../parse/nftables/json.ts";
import type { Pod } from "../../parse/objects.ts";
import { hostPortMismatch } from "./host-port-mismatch.ts";

const PORT = 8443;
const all = cluster().model().pods.all;
const [web, other] = all.filter(({ owner, node }) => owner?.name === "backend" && node === "w1");
const [ip, beside] = [web, other ?? all.find(({ node, name }) => node === "w1" && name.startsWith("client"))].map(
  (pod) => pod!.addresses[0]!,
);
const otherName = other ?? all.find(({ node, name }) => node === "w1" && name.startsWith("client"))!;

const asking = (pod: Pod): Pod =>
  withContainers((one) => ({ ...one, ports: [{ containerPort: 8080, hostPort: PORT, protocol: "TCP" }] }))(pod);
const asks = (name: string): Edit => editObjects("pods", name, asking);
/** What the plugin writes for one Pod. */
const chain = (id: string, to: string): readonly string[] => [
  `-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"${id}\\"" -m multiport --dports ${PORT} -j CNI-DN-${id}`,
  `-A CNI-DN-${id} -s ${to}/24 -p tcp -m tcp --dport ${PORT} -j CNI-HOSTPORT-SETMARK`,
  `-A CNI-DN-${id} -s 127.0.0.1/32 -p tcp -m tcp --dport ${PORT} -j CNI-HOSTPORT-SETMARK`,
  `-A CNI-DN-${id} -p tcp -m tcp --dport ${PORT} -j DNAT --to-destination ${to}:8080`,
];
const mapped = (...to: readonly string[]): Edit =>
  addRules(
    "w1",
    "nat",
    "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
    "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
    '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
    ...to.flatMap((address, i) => chain(`abc${i}`, address)),
  );
/** The same by the plugin's nftables. */
const mappedByNft = (to?: string): Edit => {
  const own = { family: "ip", table: "cni_hostport" };
  const local = { fib: { flags: ["daddr"], result: "type" } };
  const dport = { payload: { protocol: "tcp", field: "dport" } };
  const is = (left: object, right: unknown) => ({ match: { op: "==", left, right } });
  const items = [
    { table: { family: "ip", name: "cni_hostport", handle: 1 } },
    { chain: { ...own, name: "hostports", handle: 1 } },
    { chain: { ...own, name: "prerouting", handle: 3, type: "nat", hook: "prerouting", prio: -100, policy: "accept" } },
    { chain: { ...own, name: "output", handle: 4, type: "nat", hook: "output", prio: -100, policy: "accept" } },
    { rule: { ...own, chain: "prerouting", handle: 5, expr: [{ jump: { target: "hostports" } }] } },
    { rule: { ...own, chain: "output", handle: 6, expr: [is(local, "local"), { jump: { target: "hostports" } }] } },
    ...(to === undefined
      ? []
      : [
          {
            rule: {
              ...own,
              ...{ chain: "hostports", handle: 7, comment: "3f2a" },
              expr: [is(dport, PORT), { dnat: { addr: to, port: 8080 } }],
            },
          },
        ]),
  ];
  const { tables } = parseNft(JSON.stringify({ nftables: items })).value;
  return (draft) => {
    const current = draft.get("nftables", { node: "w1" }) ?? { version: "1.0.6", tables: [] };
    draft.set("nftables", { node: "w1" }, { ...current, tables: [...current.tables, ...tables] });
  };
};

const asked = cluster().edit(asks(web!.name));
const served = asked.edit(mapped(ip!));
const byNft = cluster({ proxy: "nftables" }).edit(asks(web!.name));
const both = cluster().edit(asks(web!.name), asks(otherName.name));
const GONE = "10.128.1.99";
const found = (given: Cluster, says: string, repair: string, healed: Cluster) =>
  ({ given, repair, says: [says], breaks: ["pod.host-port"], strength: "differing", healedBy: () => healed }) as const;

testCheck(hostPortMismatch, {
  finds: {
    "somebody flushed the nat table, and only kube-proxy wrote again": found(
      asked,
      `Node w1 has no rule for 1 port of it that its Pods ask for (hostPort): ${PORT}/TCP (${web!.key})`,
      "Node/w1",
      served,
    ),
    "a Pod that is gone has left its chain before the new one's": found(
      asked.edit(mapped(GONE, ip!)),
      `sends what comes to port ${PORT}/TCP to ${GONE}:8080, which is no Pod of it any more`,
      "Node/w1",
      served,
    ),
    "two Pods were placed by hand on one node": found(
      both.edit(mapped(beside!, ip!)),
      `both ask for port ${PORT}/TCP of node w1: ${otherName.key} gets what comes`,
      `Pod/${web!.key}`,
      served,
    ),
    "Cilium leaves such ports to the plugin, whose rules are gone": found(
      ciliumCluster().edit(asks(web!.name)),
      "has no rule for 1 port",
      "Node/w1",
      ciliumCluster().edit(asks(web!.name), mapped(ip!)),
    ),
    "nftables: the plugin's rules are gone": found(
      byNft.edit(mappedByNft()),
      "has no rule for 1 port",
      "Node/w1",
      byNft.edit(mappedByNft(ip!)),
    ),
    "nftables: a rule is left of a Pod that is gone": found(
      byNft.edit(mappedByNft(GONE)),
      `to ${GONE}:8080, which is no Pod of it`,
      "Node/w1",
      byNft.edit(mappedByNft(ip!)),
    ),
  },
  clears: {
    "the plugin's rules lead to the Pod": served,
    nftables: byNft.edit(mappedByNft(ip!)),
    "a stale chain comes after": asked.edit(mapped(ip!, GONE)),
  },
  cannotTell: {
    "pod.host-port": {
      "the rules were not collected": served.without("iptables", { node: "w1" }),
      "nothing tells who serves such ports": asked.without("cniConfig"),
      "the Pod has just been started": asked.edit(
        editObjects("pods", web!.name, (pod) => ({
          ...created(ago(20))(pod),
          status: { ...pod.status, startTime: ago(20) },
        })),
      ),
    },
  },
});

it.each<[string, Cluster]>([
  [
    "Cilium serves such ports itself",
    ciliumCluster().edit(
      asks(web!.name),
      editObjects("configmaps", "cilium-config", (map) => ({
        ...map,
        data: { ...map.data, "kube-proxy-replacement": "true" },
      })),
    ),
  ],
  [
    "Cilium is told nothing of kube-proxy",
    ciliumCluster().edit(
      asks(web!.name),
      editObjects("configmaps", "cilium-config", (map) => ({ ...map, data: {} })),
    ),
  ],
  [
    "Calico does everything by eBPF",
    cluster({ flavour: "managed" }).edit(
      calico("w1"),
      editPods("backend", asking),
      addObjects("felixconfigurations", { metadata: { name: "default" }, spec: { bpfEnabled: true } }),
    ),
  ],
])("says nothing where %s", (_, given) => {
  const { rootCauses } = diagnose(given.capture);
  expect(rootCauses.map(({ check }) => check)).not.toContain("host-port-mismatch");
});

it("accounts for a test of the port that fails", () => {
  const node = cluster().model().nodes.get("w1")!.addresses[0]!;
  const { rootCauses, unexplained } = diagnose(
    asked.edit(probed("client", "tcp", `${node}:${PORT}`, "timeout")).capture,
  );
  expect(rootCauses.map(({ id }) => id)).toEqual(["host-port-mismatch/Node/w1"]);
  expect(unexplained).toEqual([]);
});
