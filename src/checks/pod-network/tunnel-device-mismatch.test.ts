import { testCheck } from "../../../testing/check-stories.ts";
import { ciliumCluster } from "../../../testing/cilium-cluster.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editConfig } from "../../../testing/cluster-edits.ts";
import { tunnelDeviceMismatch } from "./tunnel-device-mismatch.ts";

const tunnel =
  (node: string, vxlan: object, name = "flannel.1"): Edit =>
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) => (link.name === "flannel.1" ? { ...link, name, vxlan: { ...link.vxlan!, ...vxlan } } : link)),
    );
const onPort = (port: number, ...nodes: readonly string[]): Edit[] => nodes.map((node) => tunnel(node, { port }));
const configured = editConfig("kube-flannel-cfg", "net-conf.json", (text) =>
  JSON.stringify({ ...JSON.parse(text), Backend: { Type: "vxlan", Port: 4789 } }),
);
const healedBy = () => cluster();

testCheck(tunnelDeviceMismatch, {
  finds: {
    "somebody made flannel.1 of w1 anew, on the port of the standard": {
      given: cluster().edit(...onPort(4789, "w1")),
      repair: "Node/w1",
      says: ["The tunnel device flannel.1 of node w1 sends to and listens on UDP port 4789", "on 8472"],
      breaks: ["node.tunnel"],
      strength: "differing",
      healedBy,
    },
    "the tunnel of w2 is another network's": {
      given: cluster().edit(tunnel("w2", { id: 2 }, "flannel.2")),
      repair: "Node/w2",
      says: ["flannel.2 of node w2 has VNI 2, those of the other nodes 1"],
      healedBy,
    },
    "the port was changed, and w1 alone has restarted": {
      given: cluster().edit(configured, ...onPort(4789, "w1")),
      repair: "ConfigMap/kube-flannel/kube-flannel-cfg",
      says: ["only some nodes have taken it", "Port 4789, those of cp1, w2 8472"],
      healedBy,
    },
    "the port was changed in cilium-config, and w2 alone has restarted": {
      given: ciliumCluster().edit(
        editConfig("cilium-config", "tunnel-port", () => "8473"),
        ...["cp1", "w1", "w2"].map((node) => tunnel(node, { port: node === "w2" ? 8473 : 8472 }, "cilium_vxlan")),
      ),
      repair: "ConfigMap/kube-system/cilium-config",
      says: ["only some nodes have taken it", "Port 8473, those of cp1, w1 8472"],
      healedBy: ciliumCluster,
    },
    "an agent inside k3s": {
      given: cluster({ flavour: "k3s" }).edit(...onPort(4789, "w3")),
      repair: "Node/w3",
      healedBy: () => cluster({ flavour: "k3s" }),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "one node has a VXLAN device of its own": cluster().edit((draft) =>
      editNode(draft, "links", "w1", (links) => [
        ...links,
        {
          index: 77,
          name: "vxlan9",
          flags: ["UP"],
          mtu: 1450,
          kind: "vxlan",
          vxlan: { id: 9, port: 4789 },
          addresses: [],
        },
      ]),
    ),
  },
});
