import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import {
  addDevice,
  addEvents,
  agent,
  type Edit,
  editObjects,
  edits,
  installed,
} from "../../../testing/cluster-edits.ts";
import { ref } from "../../model/ref.ts";
import { clusterDnsAddressMismatch } from "./cluster-dns-address-mismatch.ts";

const healthy = () => cluster();
const kubelet =
  (node: string, ...clusterDNS: readonly string[]): Edit =>
  (draft) =>
    draft.set("kubeletConfig", { node }, { clusterDNS });
const everywhere = (address: string): Edit => edits(...["cp1", "w1", "w2"].map((node) => kubelet(node, address)));
const kubeDnsAt = (clusterIP: string): Edit =>
  editObjects("services", "kube-dns", (one) => ({ ...one, spec: { ...one.spec, clusterIP } }));
const cachesOn = (...nodes: readonly string[]): Edit =>
  edits(everywhere("169.254.20.10"), ...nodes.map((node) => addDevice(node, "nodelocaldns", "169.254.20.10")));
/** NodeLocal DNSCache runs on every node. */
const cached = cluster().with(
  installed("DaemonSet", agent("node-local-dns", "registry.k8s.io/dns/k8s-dns-node-cache:1.26.4")),
);
const noKubeDns = { do: "delete", target: ref("Service", "kube-dns", "kube-system") } as const;
testCheck(clusterDnsAddressMismatch, {
  finds: {
    "w2 was set up from another cluster's template": {
      given: cluster().edit(kubelet("w2", "10.43.0.10"), (draft) => {
        const pod = draft.list("pods").find(({ metadata }) => metadata.name === "client-w2")!;
        draft.set(
          "podResolvConf",
          { node: "w2", namespace: "tools", pod: pod.metadata.name },
          { nameservers: ["10.43.0.10"], search: [], options: new Map() },
        );
      }),
      repair: "Node/w2",
      says: ["The kubelet of w2 gives Pods 10.43.0.10 as DNS server, which is none; cluster DNS is at 10.96.0.10"],
      breaks: ["dns.client"],
      strength: "direct",
      healedBy: healthy,
    },
    "w2 was set up without an address of cluster DNS, and says so": {
      given: cluster().edit(
        kubelet("w2"),
        addEvents({ kind: "Node", name: "w2" }, "MissingClusterDNS", [
          'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.',
        ]),
      ),
      repair: "Node/w2",
      says: ["The kubelet of w2 has no clusterDNS", "cluster DNS is at 10.96.0.10"],
      breaks: ["dns.client"],
      strength: "direct",
      healedBy: healthy,
    },
    "kube-dns was made anew and got an address from the pool": {
      given: cluster().edit(kubeDnsAt("10.96.77.3")),
      repair: "Service/kube-system/kube-dns",
      says: [
        "All kubelets give Pods 10.96.0.10 as DNS server, which no Service has; Service/kube-system/kube-dns is at 10.96.77.3",
      ],
      breaks: ["dns.client"],
    },
    "somebody deleted the Service kube-dns": {
      given: cluster({ flavour: "managed" }).with(noKubeDns),
      repair: "Service/kube-system/kube-dns",
      says: ["All kubelets give Pods 10.96.0.10 as DNS server, and no Service has that address"],
    },
    "it was deleted, and one node had another address anyway": {
      given: cluster().with(noKubeDns).edit(kubelet("w2", "10.43.0.10")),
      repair: "Node/w2",
      says: ["10.43.0.10 as DNS server; the cluster has no DNS Service"],
      healedBy: healthy,
    },
    "a cluster of one node has a wrong address": {
      given: cluster({ nodes: 1 }).edit(kubelet("cp1", "10.43.0.10")),
      repair: "Node/cp1",
      says: ["The kubelet of cp1"],
      healedBy: () => cluster({ nodes: 1 }),
    },
    "the cache of w1 has ended, and took its device with it": {
      given: cluster().edit(cachesOn("cp1", "w2")),
      repair: "Node/w1",
      says: ["The kubelet of w1 gives its Pods 169.254.20.10 as DNS server, an address for a cache on the node"],
      breaks: ["dns.client"],
      healedBy: () => cluster().edit(cachesOn("cp1", "w1", "w2")),
    },
    "the cache of w1 runs on, and somebody deleted its device": {
      given: cached.edit(cachesOn("cp1", "w2")),
      repair: "Node/w1",
      says: ["no device of the node has that address any more: DaemonSet/kube-system/node-local-dns makes it"],
      breaks: ["dns.client"],
      healedBy: () => cached.edit(cachesOn("cp1", "w1", "w2")),
    },
    "caches were removed, and kubelets were not told": {
      given: cluster().edit(cachesOn()),
      repair: "Node/w1",
      says: ["The kubelet of w1 gives its Pods 169.254.20.10"],
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    k3s: cluster({ flavour: "k3s" }),
    "NodeLocal DNSCache at its link-local address": cluster().edit(cachesOn("cp1", "w1", "w2")),
    "a cache on a device of the node": cluster().edit(
      addDevice("w1", "nodelocaldns", "10.99.0.10"),
      kubelet("w1", "10.99.0.10"),
    ),
    "a server of old stands beside the right one": cluster().edit(kubelet("w2", "10.96.0.10", "10.43.0.10")),
  },
  cannotTell: {
    "dns.client": {
      "the kubelet's configuration was not collected": cluster().without("kubeletConfig", { node: "w1" }),
      "it names no server, which a flag may do": cluster().edit(kubelet("w1")),
      "we may not read Services": cluster().edit(kubelet("w2", "10.43.0.10")).without("services"),
    },
  },
});
