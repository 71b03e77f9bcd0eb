import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editObjects, editPods } from "../../../testing/cluster-edits.ts";
import { service } from "../../../testing/cluster-objects.ts";
import { ago, crashing, created, unready } from "../../../testing/object-states.ts";
import { ref } from "../../model/ref.ts";
import type { Pod } from "../../parse/objects.ts";
import { clusterDnsDown } from "./cluster-dns-down.ts";

const COREDNS = ref("Deployment", "coredns", "kube-system");
const healthy = () => cluster();
const kubeDns = (spec: object): Edit =>
  editObjects("services", "kube-dns", (one) => ({ ...one, spec: { ...one.spec, ...spec } }));
const deleted = (at: string) => (pod: Pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: at } });
/** Kubelets send Pods to another Service of DNS; what was kube-dns is left without Pods. */
const migrated = (built: Cluster): Cluster =>
  built.edit((draft) => {
    addObjects(
      "services",
      service("dns-next", "kube-system", {
        clusterIP: "10.96.0.53",
        selector: { "k8s-app": "kube-dns" },
        ports: [{ port: 53, protocol: "UDP" }],
      }),
    )(draft);
    kubeDns({ selector: { "k8s-app": "kube-dns-legacy" } })(draft);
    for (const { metadata } of draft.list("nodes"))
      draft.set("kubeletConfig", { node: metadata.name }, { clusterDNS: ["10.96.0.53"] });
  });

const TCP_ONLY = [{ name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 }];

testCheck(clusterDnsDown, {
  finds: {
    "both replicas of CoreDNS crash-loop": {
      given: cluster().edit(editPods("coredns", crashing())),
      repair: "Deployment/kube-system/coredns",
      says: ["Cluster DNS does not answer: no Pod of Deployment/kube-system/coredns is ready (0 of 2)"],
      breaks: ["dns.serve"],
      strength: "direct",
      healedBy: healthy,
    },
    "they run and wait for the API server": {
      given: cluster({ flavour: "k3s" }).edit(editPods("coredns", unready())),
      repair: "Deployment/kube-system/coredns",
      healedBy: () => cluster({ flavour: "k3s" }),
    },
    "CoreDNS was scaled to zero": {
      given: cluster().with({ do: "scale", target: COREDNS, replicas: 0 }),
      repair: "Deployment/kube-system/coredns",
      says: ["Cluster DNS does not answer: Service kube-system/kube-dns selects no Pod"],
      healedBy: healthy,
    },
    "somebody deleted CoreDNS, and its Service is still asked": {
      given: cluster().with({ do: "delete", target: COREDNS }),
      repair: "Deployment/kube-system/coredns",
      says: ["selects no Pod"],
      healedBy: healthy,
    },
    "its last Pods are stuck in being deleted, on nodes that are gone": {
      given: cluster().edit(editPods("coredns", deleted(ago(900)))),
      repair: "Deployment/kube-system/coredns",
      healedBy: healthy,
    },
    "whoever wrote the Service anew forgot UDP": {
      given: cluster().with({
        do: "patch",
        target: ref("Service", "kube-dns", "kube-system"),
        patch: { spec: { ports: TCP_ONLY } },
      }),
      repair: "Service/kube-system/kube-dns",
      says: ["Service kube-system/kube-dns has no UDP port 53"],
      breaks: ["dns.serve"],
      strength: "direct",
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a managed cluster": cluster({ flavour: "managed" }),
    "one replica of two is ready": cluster().edit(editPods("coredns", crashing(), "w1")),
    "DNS is answered by machines outside: its Service has no selector": cluster().edit(
      kubeDns({ selector: null }),
      editPods("coredns", () => undefined),
    ),
    "its Service selects others, which is said of every Service alike": cluster().edit(
      kubeDns({ selector: { "k8s-app": "coredns" } }),
    ),
    "Pods are sent to another Service of DNS by now": migrated(cluster()),
  },
  cannotTell: {
    "dns.serve": {
      "we may not read Pods": cluster().without("pods"),
      "we may not read Services": cluster().without("services"),
      "CoreDNS has just been installed": cluster().edit(editPods("coredns", (pod) => created(ago(20))(unready()(pod)))),
      "the only replica is being replaced": cluster().edit(
        editPods("coredns", deleted(ago(5)), "w1"),
        editPods("coredns", (pod) => created(ago(5))(unready()(pod)), "w2"),
      ),
    },
  },
});
