import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { ipForwardingOff } from "./ip-forwarding-off.ts";

const set = (node: string, key: string, value: string) => ({ do: "sysctl", node, key, value }) as const;
const IP_FORWARD = "net.ipv4.ip_forward";

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
  },
  clears: {
    "a healthy cluster": cluster(),
    "a managed cluster, of which some nodes forward": cluster({ flavour: "managed" }),
    "other switches of that kind are off": cluster().with(set("w1", "net.ipv6.conf.all.forwarding", "0")),
  },
  cannotTell: {
    "node.ip-forward": {
      "kernel parameters were not collected": cluster().without("sysctls"),
      "somebody collected a selection of them only": cluster().edit((draft) =>
        editNode(draft, "sysctls", "w1", (all) => new Map([...all].filter(([key]) => key !== IP_FORWARD))),
      ),
    },
  },
});
