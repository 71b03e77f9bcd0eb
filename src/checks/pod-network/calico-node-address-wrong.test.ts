import { calicoCluster } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects, edits } from "../../../testing/cluster-edits.ts";
import { annotated } from "../../../testing/object-states.ts";
import { calicoNodeAddressWrong } from "./calico-node-address-wrong.ts";

const healthy = await calicoCluster();
const announces = (node: string, address: string): Edit =>
  editObjects("nodes", node, annotated({ "projectcalico.org/IPv4Address": `${address}/24` }));
/** A device of the node has the address. */
const holds =
  (node: string, local: string): Edit =>
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) =>
        link.name === "eth0"
          ? { ...link, addresses: [...link.addresses, { family: "inet", local, prefixLength: 24, scope: "global" }] }
          : link,
      ),
    );
const asksInVain =
  (node: string, address: string): Edit =>
  (draft) =>
    editNode(draft, "neighbours", node, (all) => [...all, { address, device: "br0", states: ["FAILED"] } as never]);
const onBridge = (node: string, address: string) => edits(announces(node, address), holds(node, address));

testCheck(calicoNodeAddressWrong, {
  finds: {
    "somebody edited the annotation of w1": {
      given: healthy.edit(announces("w1", "192.168.50.99")),
      repair: "Node/w1",
      says: ["Node w1 is announced to Calico as 192.168.50.99, which none of its devices has"],
      breaks: ["node.tunnel"],
      strength: "direct",
      healedBy: () => healthy,
    },
    "calico-node took the bridge of the office for the nodes' network": {
      given: healthy.edit(
        onBridge("w1", "172.30.0.2"),
        onBridge("w2", "172.30.0.3"),
        asksInVain("cp1", "172.30.0.2"),
        asksInVain("cp1", "172.30.0.3"),
      ),
      repair: "DaemonSet/kube-system/calico-node",
      says: ["an address for w1, w2 that other nodes do not reach (172.30.0.2 for w1, not 192.168.50.11)"],
      breaks: ["node.tunnel"],
      healedBy: () => healthy,
    },
  },
  clears: {
    "as it was installed": healthy,
    "a second network for the Pods' packets": healthy.edit(onBridge("w1", "172.30.0.2"), onBridge("w2", "172.30.0.3")),
    "w1 was not looked into": healthy.edit(announces("w1", "192.168.50.99")).without("links", { node: "w1" }),
    "a cluster with flannel": built(),
  },
});
