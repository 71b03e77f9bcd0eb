import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import {
  addDevice,
  addNftRule,
  addRules,
  dropNftRules,
  dropRules,
  type Edit,
  editConfig,
  editIptables,
  editNft,
  editNftElements,
  editObjects,
  editPods,
  ipvsMode,
} from "../../../testing/cluster-edits.ts";
import { ago, annotated, ready } from "../../../testing/object-states.ts";
import { chainHash } from "../../model/agents/kube-proxy.ts";
import { ref } from "../../model/ref.ts";
import type { VirtualServer } from "../../parse/ipvsadm.ts";
import { type NftElement, parseNft } from "../../parse/nftables/json.ts";
import { serviceRulesMismatch } from "./service-rules-mismatch.ts";

const BACKEND = "10.96.10.1/32";
const SVC = `KUBE-SVC-${chainHash("shop/backend:httptcp")}`;
const REFUSED = `-A KUBE-SERVICES -d ${BACKEND} -p tcp -m comment --comment "shop/backend:http has no endpoints" -m tcp --dport 8080 -j REJECT`;
const NODE_PORT = cluster().model().services.get("shop", "frontend")!.ports[0]!.nodePort!;
const NODE_PORT_REFUSED = `-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "shop/frontend:http has no endpoints" -m addrtype --dst-type LOCAL -m tcp --dport ${NODE_PORT} -j REJECT`;
const [k3s, managed] = [cluster({ flavour: "k3s" }), cluster({ flavour: "managed" })];
const lost = (pattern: string | RegExp, built = cluster()) => built.edit(dropRules("w1", new RegExp(pattern)));
const added = (table: string, ...rules: readonly string[]) => cluster().edit(addRules("w1", table, ...rules));
const noRule = `-A KUBE-SERVICES -d ${BACKEND}`;
/** kube-proxy of w1 has not seen that a back end was replaced. */
const elsewhere: Edit = editIptables("w1", (text) => text.replaceAll("10.128.2.4:8080", "10.128.2.99:8080"));
const changedAt = (at: string) => annotated({ "endpoints.kubernetes.io/last-change-trigger-time": at });
/** The Pod that replaced it, which was not there yet when Pods were listed. */
const heir: Edit = (draft) => {
  const held = [{ family: "inet" as const, local: "10.128.2.99", prefixLength: 24, scope: "global" }];
  const link = { index: 2, name: "eth0", flags: ["UP"], mtu: 1450, kind: "veth", addresses: held };
  draft.set("podLinks", { node: "w2", namespace: "shop", pod: "backend-0-new" }, [link]);
};
const cutOff = editObjects("nodes", "w2", (node) => ({
  ...node,
  status: { ...node.status, conditions: [{ type: "Ready", status: "Unknown" }] },
}));
/** Its rules were read so long before the rest, by the node's own clock. */
const saved =
  (at: string): Edit =>
  (draft) =>
    editNode(draft, "iptables", "w1", (save) => ({ ...save, on: at }));
/** Clients of a Service come to the same back end again. */
const sticky = cluster()
  .edit(editObjects("services", "backend", (one) => ({ ...one, spec: { ...one.spec, sessionAffinity: "ClientIP" } })))
  .with({ do: "restart", component: ref("DaemonSet", "kube-proxy", "kube-system") });
const slicesChanged = (at: string) =>
  ["backend-00000", "backend-local-00000"].map((name) => editObjects("endpointslices", name, changedAt(at)));
/** kube-proxy is to serve node ports in these ranges. */
const nodePortsAt = (ranges: string): Edit =>
  editConfig("kube-proxy", "config.conf", (text) => `${text}\nnodePortAddresses: ${ranges}\n`);
const noNodePorts = dropRules("w1", /-j KUBE-NODEPORTS/);
const noBackends = { do: "scale", target: ref("Deployment", "backend", "shop"), replicas: 0 } as const;
const setUnseen = (built: Cluster) => built.without("ipset", { node: "w1" });
const fromSet = `-d ${BACKEND} -m set --match-set friends src -j DROP`;

/** What a hardening role may leave behind. */
const FOREIGN_TABLE = JSON.stringify({
  nftables: [
    { table: { family: "inet", name: "hardening", handle: 9 } },
    {
      chain: {
        family: "inet",
        table: "hardening",
        name: "pre",
        handle: 1,
        type: "filter",
        hook: "prerouting",
        prio: -150,
        policy: "accept",
      },
    },
    {
      chain: {
        family: "inet",
        table: "hardening",
        name: "out",
        handle: 2,
        type: "filter",
        hook: "output",
        prio: -150,
        policy: "accept",
      },
    },
    ...["pre", "out"].map((chain) => ({
      rule: {
        family: "inet",
        table: "hardening",
        chain,
        handle: 3,
        expr: [
          { match: { op: "==", left: { payload: { protocol: "ip", field: "daddr" } }, right: "10.96.10.1" } },
          { drop: null },
        ],
      },
    })),
  ],
});
const dual = cluster({ families: "dual-stack" });
const dualNft = cluster({ families: "dual-stack", proxy: "nftables" });
const only6 = cluster({ families: "ipv6" });
const lost6 = (pattern: RegExp, built = dual) => built.edit(dropRules("w1", pattern, 6));
/** A Service of SCTP, as a mobile core has them. */
const sctp = cluster()
  .edit(
    editObjects("services", "backend", ({ spec, ...one }) => ({
      ...one,
      spec: { ...spec, ports: [{ name: "http", port: 8080, targetPort: 8080, protocol: "SCTP" }] },
    })),
  )
  .with({ do: "restart", component: ref("DaemonSet", "kube-proxy", "kube-system") });
const inNft = cluster({ proxy: "nftables" });
const nft = (...changes: readonly Edit[]) => inNft.edit(...changes);
const isBackend = ({ key }: NftElement) => JSON.stringify(key).includes('"10.96.10.1","tcp",8080');
const toBackend = { is: "payload", protocol: "ip", field: "daddr" } as const;
const nftElsewhere: Edit = editNft("w1", "kube-proxy", (table) =>
  JSON.parse(
    JSON.stringify(table).replaceAll('"address":"10.128.2.4","port":8080', '"address":"10.128.2.99","port":8080'),
  ),
);

/** kube-proxy of w1 is in IPVS mode, and its table was changed so for one Service. */
const ipvs = (change: (server: VirtualServer) => readonly VirtualServer[], address = "10.96.10.1") =>
  cluster().edit(ipvsMode("w1"), (draft) =>
    editNode(draft, "ipvs", "w1", (all) =>
      all.flatMap((server) => (address === "*" || server.address === address ? change(server) : server)),
    ),
  );
/** kube-proxy of all nodes is in IPVS mode, and on w1 its device has only some of its addresses, or is gone with all. */
const unheld = (isKept: (address: string) => boolean) =>
  cluster().edit(
    editConfig("kube-proxy", "config.conf", (text) => text.replace("mode: iptables", "mode: ipvs")),
    ...["cp1", "w1", "w2"].map(ipvsMode),
    (draft) => {
      editNode(draft, "links", "w1", (links) =>
        links.flatMap((link) => {
          if (link.name !== "kube-ipvs0") return link;
          const addresses = link.addresses.filter(({ local }) => isKept(local));
          return addresses.length > 0 ? { ...link, addresses } : [];
        }),
      );
      editNode(draft, "routes", "w1", (routes) =>
        routes.filter(
          ({ destination, nextHops }) => nextHops[0]?.device !== "kube-ipvs0" || isKept(destination.replace("/32", "")),
        ),
      );
    },
  );
const real = { address: "10.128.2.99", port: 8080, weight: 0, forwarding: "Masq", line: 9 };
const found = (given: Cluster, says: string) => ({ given, repair: "Node/w1", says: [says] });
const healed = (given: Cluster, says: string, by = cluster()) => ({ ...found(given, says), healedBy: () => by });

testCheck(serviceRulesMismatch, {
  finds: {
    "node ports are to be served at the node's address, among others, and are not": {
      given: cluster().edit(nodePortsAt('["203.0.113.0/24", "172.16.0.0/16"]'), noNodePorts),
      repair: "Node/w1",
      says: ["packets from outside bypass the Service rules"],
      healedBy: () => cluster(),
    },

    "packets of Pods are taken out of connection tracking, to spare the table": {
      ...healed(
        added("raw", "-A PREROUTING -s 10.128.0.0/9 -j CT --notrack"),
        "A foreign rule on node w1 keeps packets from Service",
      ),
      breaks: ["service.rules"],
      strength: "differing",
    },
    "iptables -F -t nat was run on w1": {
      ...found(
        lost(/KUBE-(SERVICES|SVC|SEP|EXT|SVL|NODEPORTS|MARK-MASQ|POSTROUTING)/),
        "Node w1 has no rules for Services",
      ),
      breaks: ["service.rules"],
      strength: "differing",
    },
    "a firewall reload on w1 took the jump out of PREROUTING": found(
      lost(/-A PREROUTING .*KUBE-SERVICES/),
      "On node w1, packets of Pods bypass the Service rules: nothing in PREROUTING leads to KUBE-SERVICES",
    ),
    "on a managed node it took the one out of OUTPUT": healed(
      lost(/-A OUTPUT .*kubernetes service portals.*KUBE-SERVICES/, managed),
      "packets of the node itself bypass the Service rules: nothing in OUTPUT leads to KUBE-SERVICES",
      managed,
    ),
    "it took the one to the node ports": found(
      lost(/-A KUBE-SERVICES .*-j KUBE-NODEPORTS/),
      "packets from outside bypass the Service rules: nothing in KUBE-SERVICES leads to KUBE-NODEPORTS",
    ),
    "k3s on w1 never heard of a Service": healed(
      lost(noRule, k3s),
      "Node w1 has no rule for Service shop/backend:http, which has 3 ready back ends",
      k3s,
    ),
    "kube-proxy still refuses a Service that had no back end yesterday": found(
      lost(noRule).edit(addRules("w1", "filter", REFUSED)),
      "Node w1 refuses Service shop/backend:http as if it had no back end, while it has 3",
    ),
    "its node port works on cp1 and is refused on w1": found(
      lost(/-A KUBE-NODEPORTS .*shop\/frontend:http/).edit(addRules("w1", "filter", NODE_PORT_REFUSED)),
      "Node w1 refuses Service shop/frontend:http as if it had no back end",
    ),
    "it delivers to a Pod that is gone": found(
      cluster().edit(elsewhere),
      "sends Service shop/backend:http to 10.128.2.99:8080, which is not among its back ends",
    ),
    "somebody's rule catches all queries of DNS": {
      ...found(
        added("nat", "-A PREROUTING -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.53:53"),
        "A foreign rule on node w1 sends packets for Service kube-system/kube-dns:dns to 127.0.0.53:53",
      ),
      healedBy: () => cluster(),
    },
    "a Pod's port on the node is the Service's node port": {
      ...found(
        added(
          "nat",
          `-A PREROUTING -m addrtype --dst-type LOCAL -p tcp -m tcp --dport ${NODE_PORT} -j CNI-DN-1`,
          "-A CNI-DN-1 -p tcp -j DNAT --to-destination 10.128.1.7:8080",
        ),
        "A foreign rule on node w1 sends packets for Service shop/frontend:http to 10.128.1.7:8080",
      ),
      healedBy: () => cluster(),
    },
    "a back end has been removed that its node, cut off, runs on": found(
      cluster().edit(elsewhere, heir, cutOff),
      "sends Service shop/backend:http to 10.128.2.99:8080, which is not among its back ends",
    ),
    "it has never been told of one of three back ends": found(
      lost(`-A ${SVC} .*-> 10.128.2.4:8080`),
      "leaves out back ends of Service shop/backend:http: 10.128.2.4:8080",
    ),
    "the last rule of a Service with session affinity is gone": found(
      lost(/-A KUBE-SVC-\S+ -m comment --comment "shop\/backend:http -> \S+" -j KUBE-SEP/, sticky),
      "Node w1 leaves some connections to Service shop/backend:http untranslated",
    ),
    "what Pods send to a node port of a local Service is bound to the node": found(
      lost(/-A KUBE-EXT-\S+ .*pod traffic for shop\/backend-local:http/),
      "leaves out back ends of Service shop/backend-local:http",
    ),
    "the rule is gone that marks what comes through a node port": {
      ...found(
        lost(/-A KUBE-EXT-\S+ .*masquerade traffic for shop\/frontend:http/),
        "Node w1 does not give packets from outside for Service shop/frontend:http its own address",
      ),
      breaks: ["service.masquerade"],
      strength: "differing",
    },
    "the rule is gone that marks what the node itself sends to a cluster IP": {
      ...found(
        lost(new RegExp(`-A ${SVC} ! -s .*KUBE-MARK-MASQ`)),
        "Node w1 does not give packets of the node itself for Service shop/backend:http its own address",
      ),
      breaks: ["service.masquerade"],
    },
    "a back end that is given itself is not masqueraded": {
      ...found(
        lost(/-A KUBE-SEP-\S+ -s 10.128.1.\S+ .*shop\/backend:http.* -j KUBE-MARK-MASQ/),
        "what back ends of Service shop/backend:http send to themselves through it (hairpin)",
      ),
      breaks: ["pod.hairpin"],
    },
    "the one rule is gone that marks": {
      ...found(lost(/-A KUBE-MARK-MASQ/), "Node w1 gives no packets for Services its own address"),
      breaks: ["service.masquerade", "pod.hairpin"],
    },
    "nftables: the one rule is gone that marks": {
      ...healed(
        nft(dropNftRules("w1", /^mark-for-masquerade: /)),
        "Node w1 gives no packets for Services its own address",
        inNft,
      ),
      breaks: ["service.masquerade", "pod.hairpin"],
    },
    "nftables: a back end that is given itself is not masqueraded": healed(
      nft(dropNftRules("w1", /^endpoint-\S+-shop\/backend\/tcp\/http__10.128.1.\S+ ip saddr /)),
      "what back ends of Service shop/backend:http send to themselves through it (hairpin)",
      inNft,
    ),
    "somebody blocked a cluster IP in the mangle table and forgot it": healed(
      added("mangle", `-A PREROUTING -d ${BACKEND} -j DROP`),
      "A foreign rule on node w1 keeps packets from Service shop/backend:http (mangle PREROUTING)",
    ),
    "somebody refuses a Service wherever its packets are sent on to": healed(
      added("filter", `-A OUTPUT -p tcp -m conntrack --ctorigdst ${BACKEND} --ctorigdstport 8080 -j REJECT`),
      "A foreign rule on node w1 keeps packets from Service shop/backend:http (filter OUTPUT)",
    ),
    "IPVS: the real servers of a Service were deleted by hand": healed(
      ipvs((server) => [{ ...server, realServers: [] }]),
      "Service shop/backend:http",
    ),
    "IPVS: a virtual server is missing": healed(
      ipvs(() => []),
      "has no rule for Service shop/backend:http",
    ),
    "IPVS: ipvsadm -C was run": healed(
      ipvs(() => [], "*"),
      "Node w1 has no rules for Services",
    ),
    "IPVS: somebody deleted kube-ipvs0": {
      ...healed(
        unheld(() => false),
        "No device of node w1 holds the addresses of Services (kube-ipvs0)",
      ),
      breaks: ["service.rules"],
    },
    "IPVS: somebody took an address from kube-ipvs0": {
      ...healed(
        unheld((address) => address !== "10.96.10.1"),
        "No device of node w1 holds 10.96.10.1 of Service shop/backend:http (kube-ipvs0)",
      ),
      breaks: ["service.rules"],
    },
    "IPVS: the virtual server of one node port is missing": healed(
      ipvs((server) => (server.port === 30080 ? [] : [server]), "172.16.0.2"),
      "Node w1 has no rule for Service shop/frontend:http",
    ),
    "IPVS: those of all node ports are": healed(
      ipvs(() => [], "172.16.0.2"),
      "Node w1 serves no node ports: IPVS has no virtual server for any of them",
    ),
    "IPVS: what marks packets for masquerading is gone, and the node's own leave with the cluster IP": healed(
      ipvs((server) => [server]).edit(dropRules("w1", /KUBE-(SVC|SEP|EXT)-/)),
      "Node w1 gives no packets for Services its own address",
    ),
    "IPVS: kube-proxy's own filter refuses what its sets do not hold any more": healed(
      ipvs((server) => [server]).edit(
        dropRules("w1", /KUBE-SEP-/),
        addRules("w1", "filter", `-A KUBE-FIREWALL -d ${BACKEND} -p tcp -j REJECT`),
      ),
      "Node w1 refuses Service shop/backend:http as if it had no back end",
    ),
    "nftables: nft flush ruleset was run on w1": healed(
      nft(editNft("w1", "kube-proxy", () => undefined)),
      "Node w1 has no rules for Services",
      inNft,
    ),
    "nftables: the jump to the Services was taken out of nat-prerouting": healed(
      nft(dropNftRules("w1", /^nat-prerouting: jump services/)),
      "On node w1, packets of Pods bypass the Service rules: nothing in nat-prerouting leads to services",
      inNft,
    ),
    "nftables: k3s or not, w1 never heard of a Service": healed(
      nft(editNftElements("w1", "service-ips", (one) => (isBackend(one) ? undefined : one))),
      "Node w1 has no rule for Service shop/backend:http, which has 3 ready back ends",
      inNft,
    ),
    "nftables: a Service is refused that had no back end yesterday": healed(
      nft(
        editNftElements("w1", "service-ips", (one) => (isBackend(one) ? undefined : one)),
        editNft("w1", "kube-proxy", (table) => {
          const moved = inNft.model().forwarding.of("w1").nftables;
          const all = moved.state === "present" ? moved.value.tables.flatMap(({ sets }) => sets) : [];
          const [element] = all.find(({ name }) => name === "service-ips")!.elements.filter(isBackend);
          const refused = { key: element!.key, data: { is: "goto", chain: "reject-chain" } } as const;
          const put = (name: string) => name === "no-endpoint-services";
          return { ...table, sets: table.sets.map((set) => (put(set.name) ? { ...set, elements: [refused] } : set)) };
        }),
      ),
      "Node w1 refuses Service shop/backend:http as if it had no back end, while it has 3",
      inNft,
    ),
    "nftables: it delivers to a Pod that is gone": healed(
      nft(nftElsewhere),
      "Node w1 sends Service shop/backend:http to 10.128.2.99:8080, which is not among its back ends",
      inNft,
    ),
    "nftables: another table drops what is for a cluster IP": healed(
      nft((draft) =>
        editNode(draft, "nftables", "w1", (ruleset) => ({
          ...ruleset,
          tables: [...ruleset.tables, ...parseNft(FOREIGN_TABLE).value.tables],
        })),
      ),
      "A foreign rule on node w1 keeps packets from Service shop/backend:http (hardening pre)",
      inNft,
    ),
    "ip6tables -F -t nat was run on w1 of a dual-stack cluster": {
      ...healed(
        lost6(/KUBE-(SERVICES|SVC|SEP|EXT|SVL|NODEPORTS|MARK-MASQ|POSTROUTING)/),
        "Node w1 has no IPv6 rules for Services",
        dual,
      ),
      breaks: ["service.rules"],
    },
    "only IPv6 leaves out a back end": healed(
      dual.edit(
        editIptables("w1", (text) => text.replaceAll("[fd00:10:128:3::4]:8080", "[fd00:10:128:3::99]:8080"), 6),
      ),
      "Node w1 sends Service shop/backend:http to [fd00:10:128:3::99]:8080, which is not among its back ends",
      dual,
    ),
    "only IPv4 lost a Service": healed(
      lost(noRule, dual),
      "Node w1 has no rule for Service shop/backend:http, which has 3 ready back ends",
      dual,
    ),
    "the NodePort fails over IPv6 alone": healed(
      lost6(/-A KUBE-NODEPORTS .*shop\/frontend:http/),
      "Node w1 has no rule for Service shop/frontend:http",
      dual,
    ),
    "a cluster without IPv4 lost a Service": healed(
      lost6(/-A KUBE-SERVICES -d fd00:10:96::a01\/128/, only6),
      "Node w1 has no rule for Service shop/backend:http",
      only6,
    ),
    "nftables: somebody deleted the table ip6 kube-proxy": healed(
      dualNft.edit(editNft("w1", "kube-proxy", () => undefined, "ip6")),
      "Node w1 has no IPv6 rules for Services",
      dualNft,
    ),
    "a Service of SCTP has no rule": healed(
      lost(noRule, sctp),
      "Node w1 has no rule for Service shop/backend:http, which has 3 ready back ends",
      sctp,
    ),
  },
  warns: {
    "no rule drops what comes to a node without a back end of a local Service": {
      given: cluster().edit(dropRules("cp1", /shop\/backend-local:http has no local endpoints/)),
      repair: "Node/cp1",
      says: ["has no back end of Service shop/backend-local:http, and no rule that drops its packets"],
    },
    "node ports are shut to strangers, as may be meant": found(
      added("mangle", "-A PREROUTING ! -s 10.0.0.0/8 -p tcp -m tcp --dport 30000:32767 -j DROP"),
      "A foreign rule on node w1 keeps packets from Service",
    ),
  },
  clears: {
    "a healthy cluster": cluster(),
    "node ports are to be served in a range that w1 has no address of": cluster().edit(
      nodePortsAt('["203.0.113.0/24"]'),
      noNodePorts,
    ),
    "the same with nftables": nft(
      nodePortsAt('["203.0.113.0/24"]'),
      editNftElements("w1", "nodeport-ips", () => undefined),
    ),
    "NodeLocal DNSCache holds the cluster IP of DNS, and keeps its packets out of connection tracking": cluster().edit(
      addDevice("w1", "nodelocaldns", "10.96.0.10"),
      addRules(
        "w1",
        "raw",
        "-A PREROUTING -d 10.96.0.10/32 -j CT --notrack",
        "-A OUTPUT -d 10.96.0.10/32 -j CT --notrack",
      ),
    ),
    k3s,
    "a dual-stack cluster": dual,
    "one in nftables mode": dualNft,
    "a cluster of IPv6 alone": only6,
    "a Service of SCTP": sctp,
    "IPVS mode": ipvs((server) => [server]),
    "nftables mode": inNft,
    "nftables: a rule that drops what nobody sends": nft(
      addNftRule(
        "w1",
        "services",
        { does: "match", op: "==", left: toBackend, right: "10.96.99.99" },
        { does: "verdict", verdict: { is: "drop" } },
      ),
    ),
    "a real server that takes no new connections": ipvs((one) => [{ ...one, realServers: [...one.realServers, real] }]),
    "a Service without back ends is refused on every node": cluster().with(noBackends),
    "a rule for a cluster IP in FORWARD, which no packet meets": added("filter", `-A FORWARD -d ${BACKEND} -j DROP`),
    "other people's rules": added("filter", "-A INPUT -p tcp -m tcp --dport 22 -j DROP", "-A FORWARD -p tcp -j LOG"),
  },
  cannotTell: {
    "component.learn": {
      "a back end became ready meanwhile": cluster().edit(elsewhere, editPods("backend", ready(ago(3)))),
      "a back end was deleted meanwhile": cluster().edit(elsewhere, ...slicesChanged(ago(2))),
      "a back end was replaced after Pods had been listed": cluster().edit(elsewhere, heir),
      "the rules were read before a back end was replaced": cluster().edit(
        elsewhere,
        saved("Sat Nov 21 02:50:00 2026"),
        ...slicesChanged(ago(300)),
      ),
      "the same, by a clock of another time zone": cluster().edit(
        elsewhere,
        saved("Sat Nov 21 10:50:00 2026"),
        ...slicesChanged(ago(300)),
      ),
    },
    "service.rules": {
      "a rule asks a set that was not collected": setUnseen(
        added("mangle", `-A PREROUTING ${fromSet}`, `-A OUTPUT ${fromSet}`),
      ),
      "nftables mode, and nft was not asked": cluster()
        .edit(editConfig("kube-proxy", "config.conf", () => "mode: nftables\n"))
        .without("nftables"),
      "the nftables of w1 were not collected": inNft.without("nftables", { node: "w1" }),
      "the IPv6 rules of w1 were not": dual.without("ip6tables", { node: "w1" }),
      "nor those of IPv6 alone": only6.without("ip6tables", { node: "w1" }),
      "the rules of w1 were not collected": cluster().without("iptables", { node: "w1" }),
      "those of a k3s node were not": k3s.without("iptables", { node: "w1" }),
      "the IPVS table of w1 was not": ipvs((server) => [server]).without("ipvs"),
      "we may not read Services": cluster().without("services"),
      "we may not read EndpointSlices": cluster().without("endpointslices"),
    },
  },
});
