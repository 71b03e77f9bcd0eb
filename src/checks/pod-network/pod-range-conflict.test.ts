import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { ago, created, type Edit, editObjects, editPods, edits } from "../../../testing/cluster-edits.ts";
import { podRangeConflict } from "./pod-range-conflict.ts";

const healthy = () => cluster();
const podCidr = (node: string, podCIDR: string): Edit =>
  editObjects("nodes", node, (object) => ({ ...object, spec: { ...object.spec, podCIDR, podCIDRs: [podCIDR] } }));
const network = (cidr: string): Edit =>
  editObjects("configmaps", "kube-flannel-cfg", (map) => ({
    ...map,
    data: { "net-conf.json": JSON.stringify({ Network: cidr, Backend: { Type: "vxlan" } }) },
  }));
const serviceRange = (cidr: string): Edit =>
  editPods("kube-apiserver", (pod) => ({
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map((one) => ({
        ...one,
        command: ["kube-apiserver", `--service-cluster-ip-range=${cidr}`],
      })),
    },
  }));
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
/** Pods have addresses of a pool that is no node's. */
const ownPool = (built: Cluster): Cluster =>
  built.edit((draft) =>
    draft.setList(
      "pods",
      draft
        .list("pods")
        .map((pod, index) =>
          pod.spec.hostNetwork
            ? pod
            : { ...pod, status: { ...pod.status, podIP: `10.9.0.${index}`, podIPs: [{ ip: `10.9.0.${index}` }] } },
        ),
    ),
  );

testCheck(podRangeConflict, {
  finds: [
    {
      story: "w2 was restored from a machine image with the Node object of w1",
      given: cluster().edit(edits(podCidr("w2", "10.128.1.0/24"), editObjects("nodes", "w2", created(ago(4000))))),
      repair: "Node/w2",
      says: ["Nodes w1 and w2 have overlapping Pod ranges (10.128.1.0/24, 10.128.1.0/24)"],
      breaks: ["pod-network.ranges"],
      strength: "direct",
      healedBy: healthy,
    },
    {
      story: "the Pod network was moved after the nodes had joined",
      given: cluster().edit(network("10.244.0.0/16")),
      repair: "Node/w1",
      says: ["The Pod range 10.128.1.0/24 of node w1 lies outside the Pod network 10.244.0.0/16"],
      healedBy: healthy,
    },
    {
      story: "a Service has an address of a node's Pod range",
      given: cluster().edit(
        edits(
          serviceRange("10.128.0.0/16"),
          editObjects("services", "frontend", (one) => ({ ...one, spec: { ...one.spec, clusterIP: "10.128.1.77" } })),
        ),
      ),
      repair: "Node/w1",
      says: ["The Pod range 10.128.1.0/24 overlaps the Service range 10.128.0.0/16"],
      healedBy: healthy,
    },
    {
      story: "a node's own address lies in the range of another's Pods",
      given: cluster()
        .edit(podCidr("w2", "172.16.0.0/24"))
        .edit(
          editPods(
            "client",
            (pod) => ({ ...pod, status: { ...pod.status, podIP: "172.16.0.9", podIPs: [{ ip: "172.16.0.9" }] } }),
            "w2",
          ),
        ),
      repair: "Node/w2",
      says: ["The Pod range 172.16.0.0/24 of node w2 overlaps the network 172.16.0.0/16 of the nodes"],
      healedBy: healthy,
    },
  ],
  warns: [
    {
      story: "the network of the nodes is wide enough to hold the Pods', and nobody has such an address",
      given: cluster().edit((draft) => {
        netmask(4)(draft);
        for (const index of [0, 1, 2]) podCidr(["cp1", "w1", "w2"][index]!, `172.20.${index}.0/24`)(draft);
        network("172.20.0.0/16")(draft);
        draft.setList(
          "pods",
          draft.list("pods").map((pod) =>
            pod.spec.hostNetwork
              ? pod
              : {
                  ...pod,
                  status: { ...pod.status, podIP: pod.status!.podIP!.replace("10.128", "172.20"), podIPs: [] },
                },
          ),
        );
      }),
      repair: "Node/cp1",
      says: ["overlaps the network 160.0.0.0/4 of the nodes"],
    },
    {
      story: "the Service range reaches into a Pod range, and no Service has such an address",
      given: cluster().edit(serviceRange("10.128.0.0/12")),
      repair: "Node/cp1",
      says: ["overlaps the Service range 10.128.0.0/12"],
    },
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "k3s", given: cluster({ flavour: "k3s" }) },
    { story: "a managed cluster", given: cluster({ flavour: "managed" }) },
    {
      story: "Pods have addresses of Calico's pool: spec.podCIDR means nothing",
      given: ownPool(cluster({ flavour: "managed" }).edit(podCidr("w2", "172.16.0.0/24"))),
    },
  ],
  cannotTell: [{ story: "we may not read Nodes", given: cluster().without("nodes"), capability: "pod-network.ranges" }],
});
