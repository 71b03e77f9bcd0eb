import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { addRules, dropRules, type Edit, editIptables, edits } from "../../../testing/cluster-edits.ts";
import { packetFilterDrop } from "./packet-filter-drop.ts";

const healthy = () => cluster();
const policy = (chain: string): Edit =>
  editIptables("w1", (text) => text.replace(new RegExp(`(\\*filter\\n(?::.*\\n)*?:${chain}) ACCEPT`), "$1 DROP"));
const noFlannel = dropRules("w1", /FLANNEL-FWD/);
const filter = (rule: string, node = "w1") => cluster().edit(addRules(node, "filter", rule));
/** The node's own network device has the name that its board gives it. */
const uplink =
  (name: string): Edit =>
  (draft) =>
    editNode(draft, "links", "w1", (links) => links.map((link) => (link.name === "eth0" ? { ...link, name } : link)));
/** Calico on w1, as it shows in routes and rules: a device for each Pod, from and to which its chains accept. */
const calico = (built: Cluster): Cluster =>
  built.edit((draft) => {
    const pods = draft.list("pods").filter(({ spec }) => spec.nodeName === "w1" && !spec.hostNetwork);
    editNode(draft, "routes", "w1", (routes) => [
      ...routes.filter(({ nextHops }) => nextHops.every(({ device }) => device !== "cni0")),
      ...pods.map(({ status }, index) => ({
        type: "unicast",
        family: "inet" as const,
        destination: `${status!.podIP}/32`,
        table: "main",
        nextHops: [{ device: `cali0000000000${index}`, flags: [] }],
        flags: [],
      })),
    ]);
    editNode(draft, "links", "w1", (links) => links.filter(({ name }) => name !== "cni0"));
    editIptables("w1", (text) => text.replace(/(\*filter\n(?::.*\n)*)/, "$1:cali-FORWARD - [0:0]\n:cali-tw - [0:0]\n"))(
      draft,
    );
    addRules(
      "w1",
      "filter",
      "-A FORWARD -j cali-FORWARD",
      "-A FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT",
      "-A cali-FORWARD -i cali+ -j cali-tw",
      "-A cali-FORWARD -o cali+ -j cali-tw",
      "-A cali-tw -j MARK --set-xmark 0x10000/0x10000",
    )(draft);
  });
const dockerOver = (built: Cluster) => built.edit(edits(policy("FORWARD"), noFlannel));
const drops = (story: string, given: Cluster, says: string, breaks: string, repair = "Node/w1") => ({
  story,
  given,
  repair,
  says: [says],
  breaks: [breaks],
  healedBy: healthy,
});

testCheck(packetFilterDrop, {
  finds: [
    {
      story: "an old Docker set the policy of FORWARD to DROP, and flannel is told not to write rules",
      given: dockerOver(cluster()),
      repair: "Node/w1",
      says: ["the FORWARD chain has policy DROP and nothing accepts them (packets of its Pods to Pods of other nodes)"],
      breaks: ["node.forward"],
      strength: "direct",
      healedBy: healthy,
    },
    drops(
      "a rule against one node's Pods",
      filter("-A FORWARD -s 10.128.1.0/24 -d 10.128.2.0/24 -j DROP"),
      "drops packets of its Pods to Pods of other nodes: filter: -A FORWARD -s 10.128.1.0/24 -d 10.128.2.0/24 -j DROP",
      "node.forward",
    ),
    drops(
      "nothing is let in from the tunnel",
      filter("-A FORWARD -i flannel.1 -j DROP"),
      "drops packets of other nodes' Pods to its Pods",
      "node.forward",
    ),
    drops(
      "firewalld shut the tunnel's port on a device with another name",
      filter("-A INPUT -i ens192 -p udp -m udp --dport 8472 -j DROP").edit(uplink("ens192")),
      "drops encapsulated packets from cp1 (UDP 8472)",
      "node.tunnel",
    ),
    drops(
      "the tunnel's packets may not leave",
      filter("-A OUTPUT -p udp -m udp --dport 8472 -j REJECT"),
      "drops encapsulated packets to cp1 (UDP 8472)",
      "node.tunnel",
    ),
    drops(
      "ufw was switched on, with SSH allowed",
      filter("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT").edit(policy("INPUT")),
      "Node w1 drops encapsulated packets from cp1 (UDP 8472): the INPUT chain has policy DROP",
      "node.tunnel",
    ),
    drops(
      "the node may not reach the API server",
      filter("-A OUTPUT -d 172.16.0.1/32 -p tcp -m tcp --dport 6443 -j REJECT"),
      "drops the node's own packets to the API server (172.16.0.1:6443)",
      "api.reach",
    ),
    drops(
      "its Pods may not",
      filter("-A FORWARD -d 172.16.0.1/32 -p tcp -m tcp --dport 6443 -j DROP"),
      "drops packets of its Pods to the API server (172.16.0.1:6443)",
      "node.forward",
    ),
    drops(
      "the control plane lets nobody in",
      filter("-A INPUT ! -i lo -p tcp -m tcp --dport 6443 -j DROP", "cp1"),
      "drops packets of other nodes to the API server on it",
      "api.serve",
      "Node/cp1",
    ),
    drops(
      "the kubelet's probes do not get to its Pods",
      filter("-A OUTPUT -d 10.128.1.0/24 -j DROP"),
      "drops the node's own packets to its Pods, kubelet's probes among them",
      "pod.ready",
    ),
    drops(
      "an administrator shut DNS to the outside, and hit CoreDNS",
      filter("-A FORWARD -p udp -m udp --dport 53 -j DROP"),
      "drops DNS queries of its Pods to CoreDNS",
      "dns.client",
    ),
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "k3s", given: cluster({ flavour: "k3s" }) },
    { story: "a managed cluster", given: cluster({ flavour: "managed" }) },
    { story: "policy DROP, with flannel's rules that accept", given: cluster().edit(policy("FORWARD")) },
    {
      story: "policy DROP, with Calico's chains that accept",
      given: calico(cluster({ flavour: "managed" })).edit(policy("FORWARD")),
    },
    {
      story: "kube-router denies what policies deny",
      given: cluster().edit(
        addRules("w1", "filter", "-A FORWARD -j KUBE-POD-FW-A1", "-A KUBE-POD-FW-A1 -d 10.128.1.0/24 -j REJECT"),
      ),
    },
    {
      story: "other people's rules",
      given: filter("-A FORWARD -p tcp -m tcp --dport 25 -j DROP").edit(
        addRules("w1", "filter", "-A INPUT -s 198.51.100.0/24 -j DROP", "-A INPUT -p tcp -m tcp --dport 23 -j REJECT"),
      ),
    },
    { story: "rules on a device that the cluster does not use", given: filter("-A INPUT -i wlan0 -j DROP") },
  ],
  cannotTell: [
    {
      story: "the rules of w1 were not collected",
      given: cluster().without("iptables", { node: "w1" }),
      capability: "node.forward",
    },
  ],
});
