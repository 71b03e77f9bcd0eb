import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editConfig, edits } from "../../../testing/cluster-edits.ts";
import { clusterDomainMismatch } from "./cluster-domain-mismatch.ts";

const corefile = (from: string | RegExp, to: string): Edit =>
  editConfig("coredns", "Corefile", (text) => text.replace(from, to));
const domain = (name: string, ...nodes: readonly string[]): Edit =>
  edits(
    ...nodes.map(
      (node): Edit =>
        (draft) =>
          editNode(draft, "kubeletConfig", node, (config) => ({ ...config, clusterDomain: name })),
    ),
  );
const healedBy = () => cluster();

testCheck(clusterDomainMismatch, {
  finds: {
    "the zone of CoreDNS was changed, the kubelets were not": {
      given: cluster().edit(corefile("kubernetes cluster.local", "kubernetes k8s.lan")),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS answers for k8s.lan, while Pods look for names of the cluster in cluster.local"],
      breaks: ["dns.serve"],
      strength: "direct",
      healedBy,
    },
    "somebody wrote the Corefile anew, for forwarding alone": {
      given: cluster().edit(corefile(/ {4}kubernetes[^}]*}\n/, "")),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS knows no names of the cluster"],
      breaks: ["dns.serve"],
      healedBy,
    },
    "w1 was joined with another cluster's template": {
      given: cluster().edit(domain("corp.lan", "w1")),
      repair: "Node/w1",
      says: ["The kubelet of w1 lets Pods look for names in corp.lan, and CoreDNS answers for cluster.local"],
      breaks: ["dns.client"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "another domain everywhere": cluster().edit(
      corefile("kubernetes cluster.local", "kubernetes Corp.LAN."),
      domain("corp.lan", "cp1", "w1", "w2"),
    ),
    "CoreDNS serves the old domain and the new": cluster().edit(
      corefile("kubernetes cluster.local", "kubernetes cluster.local corp.lan"),
      domain("corp.lan", "w1"),
    ),
    "the plugin serves the zones of its block": cluster().edit(
      corefile(".:53 {", "cluster.local:53 {"),
      corefile("kubernetes cluster.local in-addr.arpa ip6.arpa", "kubernetes"),
    ),
    "a block of its own leaves the domain to another server": cluster().edit(
      corefile(/ {4}kubernetes[^}]*}\n/, ""),
      editConfig("coredns", "Corefile", (text) => `${text}cluster.local:53 {\n    forward . 10.96.0.99\n}\n`),
    ),
    "names are rewritten": cluster().edit(
      corefile(
        "kubernetes cluster.local",
        "rewrite name suffix .corp.lan .cluster.local\n    kubernetes cluster.local",
      ),
      domain("corp.lan", "w1"),
    ),
    "nobody saw the Corefile": cluster().edit(domain("corp.lan", "w1")).without("configmaps"),
  },
});
