import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { addRules, addRules6, type Edit, edits } from "../../../testing/cluster-edits.ts";
import { nodeMtuTooSmall } from "./node-mtu-too-small.ts";

const mtu =
  (node: string, name: RegExp, size: number): Edit =>
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) => (name.test(link.name) ? { ...link, mtu: size } : link)),
    );
/** Of the devices inside Pods of a node. */
const podMtu =
  (node: string, size: number): Edit =>
  (draft) => {
    for (const { metadata, spec } of draft.list("pods")) {
      const place = { node, namespace: metadata.namespace!, pod: metadata.name };
      const links = spec.nodeName === node ? draft.get("podLinks", place) : undefined;
      if (links)
        draft.set(
          "podLinks",
          place,
          links.map((link) => ({ ...link, mtu: size })),
        );
    }
  };
const silence = addRules("w1", "filter", "-A OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP");
const healedBy = () => cluster();
const dual = cluster({ families: "dual-stack" });
const only6 = cluster({ families: "ipv6" });

testCheck(nodeMtuTooSmall, {
  finds: {
    "the tunnel of w1 was made small by hand, and a hardening script filters ICMP": {
      given: cluster().edit(edits(mtu("w1", /^flannel/, 1300), silence)),
      repair: "Node/w1",
      says: ["Node w1 loses packets of more than 1300 bytes and tells nobody", "flannel.1 mtu 1300"],
      breaks: ["node.send-large", "node.tell-size"],
      strength: "direct",
      healedBy,
    },
    "the bridge of w1 is smaller than the others": {
      given: cluster().edit(mtu("w1", /^cni0$/, 1300)),
      repair: "Node/w1",
      says: ["Node w1 does not pass packets of 1450 bytes whole", "cni0 mtu 1300"],
      breaks: ["node.take-large"],
      healedBy,
    },
    "the node's end of the devices of a Pod is smaller than the Pod's": {
      given: cluster().edit(mtu("w1", /^veth101$/, 1200)),
      repair: "Node/w1",
      says: ["tells nobody", "veth101 mtu 1200"],
      healedBy,
    },
    "the uplink of w1, one end of a pair of devices, is smaller than the others": {
      given: cluster().edit(
        edits(mtu("w1", /^eth0$/, 1400), (draft) =>
          editNode(draft, "links", "w1", (links) =>
            links.map((link) => (link.name === "eth0" ? { ...link, kind: "veth" } : link)),
          ),
        ),
      ),
      repair: "Node/w1",
      says: ["eth0 mtu 1400"],
      healedBy,
    },
    "dual stack: the tunnel for IPv6 was made small by hand, that for IPv4 was not": {
      given: dual.edit(mtu("w1", /^flannel-v6/, 1300)),
      repair: "Node/w1",
      says: ["Node w1 does not pass packets of 1430 bytes whole", "flannel-v6.1 mtu 1300", "(IPv6)"],
      breaks: ["node.send-large"],
      strength: "direct",
      healedBy: () => dual,
    },
    "dual stack: the bridge of w1 is smaller than the others, for both families": {
      given: dual.edit(mtu("w1", /^cni0$/, 1300)),
      repair: "Node/w1",
      says: ["Node w1 does not pass packets of 1450 bytes whole, as Pods send them: cni0 mtu 1300"],
      breaks: ["node.take-large"],
      healedBy: () => dual,
    },
    "IPv6 only: the tunnel of w1 is small, and a firewall that knows no “packet too big” filters ICMPv6": {
      given: only6.edit(
        edits(
          mtu("w1", /^flannel/, 1300),
          addRules6("w1", "filter", "-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j DROP"),
        ),
      ),
      repair: "Node/w1",
      says: ["Node w1 loses packets of more than 1300 bytes and tells nobody"],
      breaks: ["node.send-large", "node.tell-size"],
      healedBy: () => only6,
    },
  },
  clears: {
    "a dual-stack cluster": dual,
    "an IPv6 cluster": only6,
    "a healthy cluster": cluster(),
    "all Pods of w1 were made with a smaller MTU": cluster().edit(
      edits(podMtu("w1", 1400), mtu("w1", /^(cni0|veth)/, 1400)),
    ),
    "w1 has lost its routes to other nodes' Pods: others tell of that": cluster().edit((draft) =>
      editNode(draft, "routes", "w1", (routes) =>
        routes.filter(({ nextHops }) => nextHops.every(({ device }) => device !== "flannel.1")),
      ),
    ),
    "Pods of w1 were made before flannel told its MTU: their own ends are larger": cluster().edit(podMtu("w1", 1500)),
    "nobody looked into the nodes": cluster().without("links").without("routes"),
  },
});
