import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { ipForwardingOff } from "./ip-forwarding-off.ts";

const set = (node: string, key: string, value: string) => ({ do: "sysctl", node, key, value }) as const;
const IP_FORWARD = "net.ipv4.ip_forward";
const IP6_FORWARD = "net.ipv6.conf.all.forwarding";
const dual = cluster({ families: "dual-stack" });
const only6 = cluster({ families: "ipv6" });

testCheck(ipForwardingOff, {
  finds: {
    "a hardening role reset ip_forward on w2": {
      given: cluster().with(set("w2", IP_FORWARD, "0")),
      repair: "Node/w2",
      says: ["Node w2 forwards no packets"],
      breaks: ["node.ip-forward"],
      strength: "direct",
    },
    "sysctl --system ran on every node of a k3s cluster": {
      given: cluster({ flavour: "k3s" }).with(...["w1", "w2", "w3"].map((node) => set(node, IP_FORWARD, "0"))),
      repair: "Node/w3",
      says: ["Node w3 forwards no packets"],
    },
    "dual stack: accept_ra was wanted, and forwarding of IPv6 was switched off for it": {
      given: dual.with(set("w2", IP6_FORWARD, "0")),
      repair: "Node/w2",
      says: ["Node w2 forwards no packets: net.ipv6.conf.all.forwarding is 0 (IPv6)"],
      breaks: ["node.ip-forward"],
      strength: "direct",
    },
    "the same in a cluster of IPv6 alone": {
      given: only6.with(set("w2", IP6_FORWARD, "0")),
      repair: "Node/w2",
      says: ["Node w2 forwards no packets: net.ipv6.conf.all.forwarding is 0"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a managed cluster, of which some nodes forward": cluster({ flavour: "managed" }),
    "a dual-stack cluster": dual,
    "IPv4 is not forwarded where there is none": only6.with(set("w1", IP_FORWARD, "0")),
    "other switches of that kind are off": cluster().with(set("w1", "net.ipv6.conf.all.forwarding", "0")),
  },
  cannotTell: {
    "node.ip-forward": {
      "kernel parameters were not collected": cluster().without("sysctls"),
      "somebody collected a selection of them only": cluster().edit((draft) =>
        editNode(draft, "sysctls", "w1", (all) => new Map([...all].filter(([key]) => key !== IP_FORWARD))),
      ),
      "the switch of IPv6 is not among them": dual.edit((draft) =>
        editNode(draft, "sysctls", "w1", (all) => new Map([...all].filter(([key]) => key !== IP6_FORWARD))),
      ),
    },
  },
});
