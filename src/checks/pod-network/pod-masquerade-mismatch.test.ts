import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { addRules, addRules6, dropRules, type Edit, editPods } from "../../../testing/cluster-edits.ts";
import { kindCluster } from "../../../testing/kindnet.ts";
import { atAddress } from "../../../testing/object-states.ts";
import { podMasqueradeMismatch } from "./pod-masquerade-mismatch.ts";

const without = (pattern: RegExp, built = cluster()) => built.edit(dropRules("w1", pattern));
/** flannel of w1 was started without --ip-masq. */
const notMeant: Edit = (draft) => editNode(draft, "subnetEnv", "w1", (env) => ({ ...env, ipMasq: false }));
const healed = (says: string, given = cluster(), by = cluster()) => ({
  given,
  repair: "Node/w1",
  says: [says],
  strength: "differing" as const,
  healedBy: () => by,
});
const k3s = cluster({ flavour: "k3s" });
const nft = cluster({ proxy: "nftables" });
const dual = cluster({ families: "dual-stack" });
const only6 = cluster({ families: "ipv6" });

const snat = (to: string) => `-A POSTROUTING -s 10.128.0.0/9 ! -d 10.128.0.0/9 -j SNAT --to-source ${to}`;

const kind = kindCluster();

testCheck(podMasqueradeMismatch, {
  finds: {
    "kindnet's jump out of POSTROUTING is gone on w1": {
      ...healed("leave the cluster with the Pods' addresses", without(/-A POSTROUTING .*KIND-MASQ/, kind), kind),
      breaks: ["node.masquerade"],
    },
    "kindnet's rule is gone that leaves the cluster's ranges alone": {
      ...healed("gives its own address to packets between Pods", without(/-A KIND-MASQ-AGENT -d/, kind), kind),
      breaks: ["node.keep-source"],
    },
    "a firewall reload on w1 took flannel's jump out of POSTROUTING": {
      given: without(/-A POSTROUTING .*flanneld/),
      repair: "Node/w1",
      says: ["Node w1 lets packets of its Pods leave the cluster with the Pods' addresses"],
      breaks: ["node.masquerade"],
      strength: "differing",
    },
    "on a k3s node the rule that masquerades is gone": {
      ...healed("leave the cluster with the Pods' addresses", without(/FLANNEL-POSTRTG .*224.0.0.0/, k3s), k3s),
      breaks: ["node.masquerade"],
    },
    "with nftables flannel's rules were flushed": {
      ...healed("leave the cluster with the Pods' addresses", without(/FLANNEL-POSTRTG/, nft), nft),
      breaks: ["node.masquerade"],
    },
    "the rule is gone that leaves packets between Pods alone": {
      given: without(/FLANNEL-POSTRTG -s \S+\/24 -d .*RETURN/),
      repair: "Node/w1",
      says: ["Node w1 gives its own address to packets between Pods", "FLANNEL-POSTRTG"],
      breaks: ["node.keep-source"],
    },
    "kube-proxy's rule is gone that leaves alone what is not marked": {
      given: without(/KUBE-POSTROUTING .*RETURN/),
      repair: "Node/w1",
      says: ["Node w1 gives its own address to packets between Pods", "KUBE-POSTROUTING"],
      breaks: ["node.keep-source"],
    },
    "somebody masquerades whatever goes to the Pods": {
      ...healed(
        "Node w1 gives its own address to packets between Pods",
        cluster().edit(addRules("w1", "nat", "-A POSTROUTING -o cni0 -j MASQUERADE")),
      ),
      breaks: ["node.keep-source"],
    },
    "somebody masquerades what comes from outside": {
      ...healed(
        "Node w1 hides the addresses of clients outside from the Pods of Service shop/backend-local:http",
        cluster().edit(addRules("w1", "nat", "-A POSTROUTING ! -s 10.0.0.0/8 -o cni0 -j MASQUERADE")),
      ),
      breaks: ["node.keep-source"],
    },
    "a rule gives them an address that keepalived has moved to another node": {
      ...healed(
        "gives packets of its Pods that leave the cluster the address 172.16.0.250, which is none of its own",
        cluster().edit(addRules("w1", "nat", snat("172.16.0.250"))),
      ),
      breaks: ["node.masquerade"],
    },
    "dual stack: flannel's jump is gone from POSTROUTING of IPv6 alone": {
      ...healed(
        "leave the cluster with the Pods' addresses: no answer finds back to them (IPv6)",
        dual.edit(dropRules("w1", /-A POSTROUTING .*flanneld/, 6)),
        dual,
      ),
      breaks: ["node.masquerade"],
    },
    "IPv6 only: flannel's rules were flushed": {
      ...healed("leave the cluster with the Pods' addresses", only6.edit(dropRules("w1", /FLANNEL-POSTRTG/, 6)), only6),
      breaks: ["node.masquerade"],
    },
    "dual stack: somebody masquerades whatever goes to the Pods": {
      ...healed(
        "Node w1 gives its own address to packets between Pods",
        dual.edit(addRules6("w1", "nat", "-A POSTROUTING -o cni0 -j MASQUERADE")),
        dual,
      ),
      breaks: ["node.keep-source"],
    },
  },
  clears: {
    kind,
    "kindnet does not run on w1, and may never have": without(/KIND-MASQ/, kind).edit(
      editPods("kindnet", () => undefined, "w1"),
    ),
    "a rule gives them the node's own address": cluster().edit(addRules("w1", "nat", snat("172.16.0.2"))),
    "a Pod of the node has an address of another's range": cluster().edit(
      editPods(
        "client",
        atAddress(() => "10.128.2.99"),
        "w1",
      ),
    ),
    "a dual-stack cluster": dual,
    "a healthy cluster": cluster(),
    "an IPv6 cluster": only6,
    k3s,
    "nftables mode": nft,
    "flannel of w1 is not to masquerade": without(/FLANNEL-POSTRTG/).edit(notMeant),
    "Docker masquerades its own networks": cluster().edit(
      addRules("w1", "nat", "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"),
    ),
  },
  cannotTell: {
    "node.masquerade": {
      "a rule of w1 asks for what nobody understands": cluster().edit(
        addRules("w1", "filter", "-A FORWARD -m geoip --source-country XX -j DROP"),
      ),
      "the rules of w1 were not collected": cluster().without("iptables", { node: "w1" }),
      "those for IPv6 were not": dual.without("ip6tables", { node: "w1" }),
      "nobody knows whether flannel is to masquerade": without(/FLANNEL-POSTRTG/).without("subnetEnv", { node: "w1" }),
    },
  },
});

it("names the rule that is not understood", () => {
  const given = cluster().edit(addRules("w1", "filter", "-A FORWARD -m geoip --source-country XX -j DROP"));
  const [finding] = [...podMasqueradeMismatch.find(given.model())].filter(({ outcome }) => outcome === "cannot-tell");
  expect(finding).toMatchObject({ because: { en: expect.stringContaining("-m geoip --source-country XX -j DROP") } });
});
