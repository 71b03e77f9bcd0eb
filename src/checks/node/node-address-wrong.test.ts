import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects, edits } from "../../../testing/cluster-edits.ts";
import { annotated } from "../../../testing/object-states.ts";
import { nodeAddressWrong } from "./node-address-wrong.ts";

const told = (node: string, address: string, more: Readonly<Record<string, string>> = {}): Edit =>
  editObjects("nodes", node, annotated({ "flannel.alpha.coreos.com/public-ip": address, ...more }));
/** A device of the node has it as well. */
const held =
  (node: string, address: string): Edit =>
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) =>
        link.name === "eth0"
          ? {
              ...link,
              addresses: [...link.addresses, { family: "inet", local: address, prefixLength: 24, scope: "global" }],
            }
          : link,
      ),
    );
const counted = (node: string, address: string): Edit =>
  editObjects("nodes", node, (one) => ({
    ...one,
    status: { ...one.status, addresses: [{ type: "InternalIP", address }] },
  }));
const everywhere = (edit: (node: string) => Edit): Edit => edits(...["cp1", "w1", "w2"].map(edit));
const healedBy = () => cluster();

testCheck(nodeAddressWrong, {
  finds: {
    "w2 got another address by DHCP": {
      given: cluster().edit((draft) =>
        editNode(draft, "links", "w2", (links) =>
          links.map((link) =>
            link.name === "eth0"
              ? { ...link, addresses: link.addresses.map((one) => ({ ...one, local: "172.16.0.200" })) }
              : link,
          ),
        ),
      ),
      repair: "Node/w2",
      says: ["Node w2 counts as 172.16.0.3, and none of its devices has that address"],
      breaks: ["node.reach", "node.tunnel"],
      strength: "direct",
      healedBy,
    },
    "an annotation of flannel was left from a device that is gone": {
      given: cluster().edit(told("w2", "192.0.2.7")),
      repair: "Node/w2",
      says: ["flannel of w2 tells the other nodes that it is reached at 192.0.2.7"],
      breaks: ["node.tunnel"],
      healedBy,
    },
    "flannel of all nodes was told to go by the Pods' bridge": {
      given: cluster().edit(told("cp1", "10.128.0.1"), told("w1", "10.128.1.1"), told("w2", "10.128.2.1")),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel of cp1, w1, w2 tells that it is reached at an address of the Pod network itself (10.128.0.1"],
      breaks: ["node.tunnel"],
      healedBy,
    },
    "an annotation of one node names its bridge": {
      given: cluster().edit(told("w2", "10.128.2.1")),
      repair: "Node/w2",
      says: ["flannel of w2 tells that it is reached at an address of the Pod network itself (10.128.2.1)"],
      healedBy,
    },
    "flannel of all nodes took the device that is the same on all": {
      given: cluster().edit(everywhere((node) => edits(told(node, "10.0.2.15"), held(node, "10.0.2.15")))),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel of cp1, w1, w2 tells one and the same address: 10.0.2.15"],
      breaks: ["node.tunnel"],
      healedBy,
    },
    "flannel of w2 took the device of a VPN, whose default route is better": {
      given: cluster().edit(told("w2", "192.0.2.7"), held("w2", "192.0.2.7")),
      repair: "Node/w2",
      says: ["flannel of w2 tells the other nodes that it is reached at 192.0.2.7", "where it has 172.16.0.3 (eth0)"],
      breaks: ["node.tunnel"],
      strength: "differing",
      healedBy,
    },
    "the kubelet of w2 was started with the address of a storage network": {
      given: cluster().edit(counted("w2", "192.0.2.7"), held("w2", "192.0.2.7")),
      repair: "Node/w2",
      says: ["Node w2 counts as 192.0.2.7 (eth0), in a network that no other node is in"],
      breaks: ["node.reach"],
      healedBy,
    },
    "kubelets told it as well": {
      given: cluster().edit(everywhere((node) => edits(counted(node, "10.0.2.15"), held(node, "10.0.2.15")))),
      repair: "Node/cp1",
      says: ["Nodes cp1, w1, w2 count as one address: 10.0.2.15"],
      breaks: ["node.reach"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a dual-stack cluster": cluster({ families: "dual-stack" }),
    "an IPv6 cluster": cluster({ families: "ipv6" }),
    k3s: cluster({ flavour: "k3s" }),
    "flannel takes a second device, which all nodes have": cluster().edit(
      told("w2", "192.0.2.7"),
      ...["192.0.2.5", "192.0.2.6", "192.0.2.7"].map((address, i) => held(["cp1", "w1", "w2"][i]!, address)),
    ),
    "nodes are in networks of their own, with routes between them": cluster().edit(
      told("w1", "198.51.100.7"),
      held("w1", "198.51.100.7"),
      told("w2", "192.0.2.7"),
      held("w2", "192.0.2.7"),
    ),
    "a node behind a translation of addresses, as was said to flannel": cluster().edit(
      told("w2", "192.0.2.7", { "flannel.alpha.coreos.com/public-ip-overwrite": "192.0.2.7" }),
    ),
    "nobody looked into the nodes": cluster().edit(told("w2", "192.0.2.7")).without("links"),
  },
});
