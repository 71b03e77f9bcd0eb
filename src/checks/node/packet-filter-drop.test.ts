import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { addNftTable, addRules, calico, dropRules, type Edit, editIptables } from "../../../testing/cluster-edits.ts";
import { packetFilterDrop } from "./packet-filter-drop.ts";

const policy = (chain: string): Edit =>
  editIptables("w1", (text) => text.replace(new RegExp(`(\\*filter\\n(?::.*\\n)*?:${chain}) ACCEPT`), "$1 DROP"));
const VXLAN = {
  match: { op: "==", left: { payload: { protocol: "udp", field: "dport" } }, right: { set: [4789, 8472] } },
};
const SSH = { match: { op: "==", left: { payload: { protocol: "tcp", field: "dport" } }, right: 22 } };
const rule = (words: string, node = "w1") => cluster().edit(addRules(node, "filter", words));
/** The node's own network device has the name that its board gives it. */
const ens192: Edit = (draft) =>
  editNode(draft, "links", "w1", (links) =>
    links.map((link) => (link.name === "eth0" ? { ...link, name: "ens192" } : link)),
  );
const drops = (given: Cluster, says: string, breaks: string, repair = "Node/w1") =>
  ({ given, repair, says: [says], breaks: [breaks], strength: "direct", healedBy: () => cluster() }) as const;

testCheck(packetFilterDrop, {
  finds: {
    "an old Docker set the policy of FORWARD to DROP, and flannel was told not to write rules": drops(
      cluster().edit(policy("FORWARD"), dropRules("w1", /FLANNEL-FWD/)),
      "Node w1 drops packets of its Pods to Pods of other nodes: FORWARD has policy DROP and nothing accepts them",
      "node.forward",
    ),
    "nftables: the distribution's service shuts what is forwarded": drops(
      cluster().edit(addNftTable("w1", "filter", [{ hook: "forward", prio: 0, policy: "drop" }])),
      "Node w1 drops packets of its Pods to Pods of other nodes",
      "node.forward",
    ),
    "nftables: a hardening role shuts the port of the overlay": drops(
      cluster().edit(addNftTable("w1", "hardening", [{ hook: "input", prio: -10, rules: [[VXLAN, { drop: null }]] }])),
      "on node w1 drops",
      "node.tunnel",
    ),
    "a rule against one node's Pods": drops(
      rule("-A FORWARD -s 10.128.1.0/24 -d 10.128.2.0/24 -j DROP"),
      "A rule on node w1 drops packets of its Pods to Pods of other nodes (filter FORWARD)",
      "node.forward",
    ),
    "nothing is let in from the tunnel": drops(
      rule("-A FORWARD -i flannel.1 -j DROP"),
      "drops packets of other nodes' Pods to its Pods",
      "node.forward",
    ),
    "firewalld shut the tunnel's port on a device with another name": drops(
      rule("-A INPUT -i ens192 -p udp -m udp --dport 8472 -j DROP").edit(ens192),
      "drops encapsulated packets from cp1 (UDP 8472)",
      "node.tunnel",
    ),
    "the tunnel's packets may not leave": drops(
      rule("-A OUTPUT -p udp -m udp --dport 8472 -j REJECT"),
      "drops encapsulated packets to cp1 (UDP 8472)",
      "node.tunnel",
    ),
    "ufw was switched on, with SSH allowed": drops(
      rule("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT").edit(policy("INPUT")),
      "Node w1 drops encapsulated packets from cp1 (UDP 8472): INPUT has policy DROP",
      "node.tunnel",
    ),
    "the node may not reach the API server": drops(
      rule("-A OUTPUT -d 172.16.0.1/32 -p tcp -m tcp --dport 6443 -j REJECT"),
      "drops the node's own packets to the API server (172.16.0.1:6443)",
      "api.reach",
    ),
    "its Pods may not": drops(
      rule("-A FORWARD -d 172.16.0.1/32 -p tcp -m tcp --dport 6443 -j DROP"),
      "drops packets of its Pods to the API server (172.16.0.1:6443)",
      "node.forward",
    ),
    "the control plane lets nobody in": drops(
      rule("-A INPUT ! -i lo -p tcp -m tcp --dport 6443 -j DROP", "cp1"),
      "drops packets of other nodes to the API server on it",
      "api.serve",
      "Node/cp1",
    ),
    "the kubelet's probes do not get to its Pods": drops(
      rule("-A OUTPUT -d 10.128.1.0/24 -j DROP"),
      "drops the node's own packets to its Pods, kubelet's probes among them",
      "pod.ready",
    ),
    "an administrator shut DNS to the outside, and hit CoreDNS": drops(
      rule("-A FORWARD -p udp -m udp --dport 53 -j DROP"),
      "drops DNS queries of its Pods to CoreDNS",
      "dns.client",
    ),
  },
  clears: {
    "nftables: other people's rules": cluster().edit(
      addNftTable("w1", "mine", [{ hook: "input", prio: 0, rules: [[SSH, { drop: null }], [{ counter: null }]] }]),
    ),
    "nftables mode": cluster({ proxy: "nftables" }),
    "a healthy cluster": cluster(),
    k3s: cluster({ flavour: "k3s" }),
    "a managed cluster": cluster({ flavour: "managed" }),
    "policy DROP, with flannel's rules that accept": cluster().edit(policy("FORWARD")),
    "policy DROP, with Calico's chains that accept": cluster({ flavour: "managed" }).edit(
      calico("w1"),
      policy("FORWARD"),
    ),
    "kube-router denies what policies deny": cluster().edit(
      addRules("w1", "filter", "-A FORWARD -j KUBE-POD-FW-A1", "-A KUBE-POD-FW-A1 -d 10.128.1.0/24 -j REJECT"),
    ),
    "other people's rules": rule("-A FORWARD -p tcp -m tcp --dport 25 -j DROP").edit(
      addRules("w1", "filter", "-A INPUT -s 198.51.100.0/24 -j DROP", "-A INPUT -p tcp -m tcp --dport 23 -j REJECT"),
    ),
    "rules on a device that the cluster does not use": rule("-A INPUT -i wlan0 -j DROP"),
  },
  cannotTell: {
    "node.forward": { "the rules of w1 were not collected": cluster().without("iptables", { node: "w1" }) },
  },
});
