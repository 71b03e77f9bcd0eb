import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editConfig, editObjects, editPods } from "../../../testing/cluster-edits.ts";
import { ago, atAddress, created, withContainers, withSpec } from "../../../testing/object-states.ts";
import { podRangeConflict } from "./pod-range-conflict.ts";

const healthy = () => cluster();
const podCidr = (node: string, podCIDR: string): Edit =>
  editObjects("nodes", node, withSpec({ podCIDR, podCIDRs: [podCIDR] }));
const network = (cidr: string): Edit =>
  editConfig("kube-flannel-cfg", "net-conf.json", (text) => text.replace("10.128.0.0/9", cidr));
const serviceRange = (cidr: string): Edit =>
  editPods(
    "kube-apiserver",
    withContainers((one) => ({ ...one, command: [`--service-cluster-ip-range=${cidr}`] })),
  );
const controllerRange = (cidr: string): Edit =>
  editPods(
    "kube-controller-manager",
    withContainers((one) => ({ ...one, command: [`--cluster-cidr=${cidr}`] })),
  );
/** The nodes' own network is as wide as this. */
const netmask =
  (prefixLength: number): Edit =>
  (draft) => {
    for (const { metadata } of draft.list("nodes"))
      editNode(draft, "links", metadata.name, (links) =>
        links.map((link) =>
          link.name !== "eth0" ? link : { ...link, addresses: link.addresses.map((one) => ({ ...one, prefixLength })) },
        ),
      );
  };
/** All Pods have other addresses. */
const addresses =
  (change: (now: string) => string): Edit =>
  (draft) =>
    draft.setList("pods", draft.list("pods").map(atAddress(change)));

testCheck(podRangeConflict, {
  finds: {
    "w2 was restored from a machine image with the Node object of w1": {
      given: cluster().edit(podCidr("w2", "10.128.1.0/24"), editObjects("nodes", "w2", created(ago(4000)))),
      repair: "Node/w2",
      says: ["Nodes w1 and w2 have overlapping Pod ranges (10.128.1.0/24, 10.128.1.0/24)"],
      breaks: ["pod-network.ranges"],
      strength: "direct",
      healedBy: healthy,
    },
    "the Pod network was moved after the nodes had joined": {
      given: cluster().edit(network("10.244.0.0/16")),
      repair: "ConfigMap/kube-flannel/kube-flannel-cfg",
      says: [
        "The Pod network 10.244.0.0/16",
        "holds no node's Pod range (10.128.0.0/24, 10.128.1.0/24, 10.128.2.0/24)",
      ],
      breaks: ["pod-network.config"],
      healedBy: healthy,
    },
    "it was moved in kube-controller-manager as well": {
      given: cluster().edit(network("10.244.0.0/16"), controllerRange("10.244.0.0/16")),
      repair: "ConfigMap/kube-flannel/kube-flannel-cfg",
      healedBy: healthy,
    },
    "a node joined after the range of kube-controller-manager had been widened": {
      given: cluster().edit(podCidr("w2", "172.30.0.0/24")),
      repair: "Node/w2",
      says: ["Node w2 has a Pod range of another generation: 172.30.0.0/24 lies outside the Pod network 10.128.0.0/9"],
      breaks: ["pod-network.config"],
      healedBy: healthy,
    },
    "a Service has an address of a node's Pod range": {
      given: cluster().edit(
        serviceRange("10.128.0.0/16"),
        editObjects("services", "frontend", withSpec({ clusterIP: "10.128.1.77" })),
      ),
      repair: "Node/w1",
      says: ["The Pod range 10.128.1.0/24 overlaps the Service range 10.128.0.0/16"],
      healedBy: healthy,
    },
    "a node's own address lies in the range of another's Pods": {
      given: cluster().edit(
        podCidr("w2", "172.16.0.0/24"),
        editPods(
          "client",
          atAddress(() => "172.16.0.9"),
          "w2",
        ),
      ),
      repair: "Node/w2",
      says: ["The Pod range 172.16.0.0/24 of node w2 overlaps the network 172.16.0.0/16 of the nodes"],
      healedBy: healthy,
    },
  },
  warns: {
    "the network of the nodes is wide enough to hold the Pods', and nobody has such an address": {
      given: cluster().edit(
        netmask(4),
        ...["cp1", "w1", "w2"].map((node, index) => podCidr(node, `172.20.${index}.0/24`)),
        network("172.20.0.0/16"),
        addresses((now) => now.replace("10.128", "172.20")),
      ),
      repair: "Node/cp1",
      says: ["overlaps the network 160.0.0.0/4 of the nodes"],
    },
    "the Service range reaches into a Pod range, and no Service has such an address": {
      given: cluster().edit(serviceRange("10.128.0.0/12")),
      repair: "Node/cp1",
      says: ["overlaps the Service range 10.128.0.0/12"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    k3s: cluster({ flavour: "k3s" }),
    "a managed cluster": cluster({ flavour: "managed" }),
    "Pods have addresses of Calico's pool: spec.podCIDR means nothing": cluster({ flavour: "managed" }).edit(
      podCidr("w2", "172.16.0.0/24"),
      addresses((now) => now.replace("10.128", "10.9")),
    ),
  },
  cannotTell: {
    "pod-network.config": {
      "Nodes were not collected": cluster().without("nodes"),
    },
    "pod-network.ranges": {
      "we may not read Nodes": cluster().without("nodes"),
    },
  },
});
