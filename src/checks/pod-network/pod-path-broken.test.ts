import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { dropRules, type Edit } from "../../../testing/cluster-edits.ts";
import type { BridgePort } from "../../parse/iproute2/bridge-link.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import { podPathBroken } from "./pod-path-broken.ts";

const down =
  (node: string, name: RegExp): Edit =>
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) =>
        name.test(link.name) ? { ...link, flags: link.flags.filter((flag) => flag !== "UP") } : link,
      ),
    );
const ports =
  (node: string, change: Partial<BridgePort>, from = 0): Edit =>
  (draft) =>
    editNode(draft, "bridgePorts", node, (all) =>
      all.map((port, index) => (index >= from ? { ...port, ...change } : port)),
    );
const podRoutes =
  (name: string, change: (routes: readonly Route[]) => readonly Route[]): Edit =>
  (draft) => {
    const { metadata, spec } = draft.list("pods").find((pod) => pod.metadata.name === name)!;
    const place = { node: spec.nodeName!, namespace: metadata.namespace!, pod: name };
    draft.set("podRoutes", place, change(draft.get("podRoutes", place) ?? []));
  };
const sysctl = (key: string, value: string) => ({ do: "sysctl", node: "w1", key, value }) as const;
const healedBy = () => cluster();
const dual = cluster({ families: "dual-stack" });
const only6 = cluster({ families: "ipv6" });

/** Its parameters are gone with it; those of other modules are there. */
const notLoaded: Edit = (draft) =>
  editNode(draft, "sysctls", "w1", (all) => {
    const others = [...all].filter(([key]) => !key.startsWith("net.bridge."));
    return new Map([...others, ["net.netfilter.nf_conntrack_max", { value: "262144", line: 90 }]]);
  });

testCheck(podPathBroken, {
  finds: {
    "NetworkManager took the bridge of w1 down": {
      given: cluster().edit(down("w1", /^cni0$/)),
      repair: "Node/w1",
      says: ["A device on the way to the Pods of node w1 is down or missing: cni0 is down"],
      breaks: ["pod.attach"],
      strength: "direct",
      healedBy,
    },
    "the CNI was configured without hairpin": {
      given: cluster().edit(ports("w1", { hairpin: false })),
      repair: "Node/w1",
      says: ["Pods of node w1 do not reach themselves through their own Service", "hairpin off"],
      breaks: ["pod.hairpin"],
      healedBy,
    },
    "hairpin was switched off for some Pods by hand": {
      given: cluster().edit(ports("w1", { hairpin: false }, 1)),
      repair: "Node/w1",
      says: ["Pods of node w1 do not reach themselves through their own Service", "hairpin off"],
      breaks: ["pod.hairpin"],
      healedBy,
    },
    "a firewall script flushed what jumps out of POSTROUTING": {
      given: cluster().edit(dropRules("w1", /-A POSTROUTING .*KUBE-POSTROUTING/)),
      repair: "Node/w1",
      says: ["Node w1 does not give packets for Services its own address where answers need it"],
      breaks: ["service.masquerade"],
      healedBy,
    },
    "somebody switched off that bridged packets pass the rules": {
      given: cluster().with(sysctl("net.bridge.bridge-nf-call-iptables", "0")),
      repair: "Node/w1",
      says: ["bypass the Service rules: net.bridge.bridge-nf-call-iptables is 0"],
      breaks: ["node.bridge"],
      healedBy,
    },
    "the module br_netfilter was not loaded after a reboot": {
      given: cluster().edit(notLoaded),
      repair: "Node/w1",
      says: ["bypass the Service rules: the module br_netfilter is not loaded"],
      breaks: ["node.bridge"],
      healedBy,
    },
    ...Object.fromEntries(
      ["veth101", "veth102"].map((device) => [
        `${device} is down, the devices of other Pods are not`,
        {
          given: cluster().edit(down("w1", new RegExp(`^${device}$`))),
          repair: "Node/w1",
          says: [device],
          breaks: ["pod.attach"],
          healedBy,
        },
      ]),
    ),
    "somebody isolated the ports of the bridge": {
      given: cluster().edit(ports("w1", { isolated: true })),
      repair: "Node/w1",
      says: ["The bridge of node w1 does not pass packets between its Pods", "are isolated"],
      breaks: ["pod.attach"],
      healedBy,
    },
    "the bridge of w1 has the address of the range that the node had before it joined again": {
      given: cluster().edit((draft) => {
        editNode(draft, "links", "w1", (links) =>
          links.map((link) =>
            link.name === "cni0"
              ? { ...link, addresses: link.addresses.map((one) => ({ ...one, local: "10.128.9.1" })) }
              : link,
          ),
        );
        editNode(draft, "routes", "w1", (routes) =>
          routes.filter(({ nextHops }) => nextHops.every(({ device }) => device !== "cni0")),
        );
      }),
      repair: "Node/w1",
      says: ["Pods of node w1 do not get out of it: nobody on cni0 has 10.128.1.1"],
      breaks: ["pod.attach"],
      strength: "direct",
      healedBy,
    },
    "a Pod of w1 has lost its default route": {
      given: cluster().edit(
        podRoutes("client-w1", (routes) => routes.filter(({ destination }) => destination !== "0.0.0.0/0")),
      ),
      repair: "Node/w1",
      says: ["do not get out of it: no route to"],
      breaks: ["pod.attach"],
      healedBy,
    },
    "a Pod of w1, not its first, has a gateway that nobody has": {
      given: cluster().edit(
        podRoutes("db-0", (routes) =>
          routes.map((route) => ({
            ...route,
            nextHops: route.nextHops.map((hop) =>
              hop.gateway === undefined ? hop : { ...hop, gateway: "10.128.1.99" },
            ),
          })),
        ),
      ),
      repair: "Node/w1",
      says: ["nobody on cni0 has 10.128.1.99"],
      breaks: ["pod.attach"],
      healedBy,
    },
    "dual stack: bridged packets of IPv6 pass by the rules": {
      given: dual.with(sysctl("net.bridge.bridge-nf-call-ip6tables", "0")),
      repair: "Node/w1",
      says: ["bypass the Service rules: net.bridge.bridge-nf-call-ip6tables is 0 (IPv6)"],
      breaks: ["node.bridge"],
      healedBy: () => dual,
    },
    "dual stack: what jumps out of POSTROUTING was flushed for IPv6": {
      given: dual.edit(dropRules("w1", /-A POSTROUTING .*KUBE-POSTROUTING/, 6)),
      repair: "Node/w1",
      says: ["does not give packets for Services its own address where answers need it", "(IPv6)"],
      breaks: ["service.masquerade"],
      healedBy: () => dual,
    },
    "IPv6 only: the bridge of w1 is down": {
      given: only6.edit(down("w1", /^cni0$/)),
      repair: "Node/w1",
      says: ["A device on the way to the Pods of node w1 is down or missing: cni0 is down"],
      breaks: ["pod.attach"],
      healedBy: () => only6,
    },
    "IPv6 only: hairpin was forgotten": {
      given: only6.edit(ports("w1", { hairpin: false })),
      repair: "Node/w1",
      says: ["Pods of node w1 do not reach themselves through their own Service", "hairpin off"],
      breaks: ["pod.hairpin"],
      healedBy: () => only6,
    },
  },
  clears: {
    "a dual-stack cluster": dual,
    "a healthy cluster": cluster(),
    "an IPv6 cluster": only6,
    k3s: cluster({ flavour: "k3s" }),
    "a managed cluster": cluster({ flavour: "managed" }),
    "IP forwarding is off: others tell of that": cluster().with(sysctl("net.ipv4.ip_forward", "0")),
    "nobody looked into the nodes": cluster().without("links").without("routes"),
  },
});
