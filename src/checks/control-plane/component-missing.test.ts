import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addDevice, addObjects, agent, editObjects, editPods, installed } from "../../../testing/cluster-edits.ts";
import { workload } from "../../../testing/cluster-objects.ts";
import { kindCluster } from "../../../testing/kindnet.ts";
import { ago, crashing, created, gone, waiting } from "../../../testing/object-states.ts";
import { ref } from "../../model/ref.ts";
import { componentMissing } from "./component-missing.ts";

const KINDNET = ref("DaemonSet", "kindnet", "kube-system");
const KUBE_PROXY = ref("DaemonSet", "kube-proxy", "kube-system");
const FLANNEL = ref("DaemonSet", "kube-flannel-ds", "kube-flannel");
const COREDNS = ref("Deployment", "coredns", "kube-system");
const healthy = () => cluster();
/** The DaemonSet runs only on nodes with a label that no node, or only cp1, carries. */
const selecting = (built: Cluster, target: typeof FLANNEL, key: string, value: string) =>
  built.with({ do: "patch", target, patch: { spec: { template: { spec: { nodeSelector: { [key]: value } } } } } });
const ciliumConfig = {
  metadata: { name: "cilium-config", namespace: "kube-system" },
  data: { "kube-proxy-replacement": "true" },
};
const operator = {
  hostNetwork: true,
  containers: [{ name: "cilium-operator", image: "quay.io/cilium/operator-generic:v1.17.0" }],
};
const withCilium = cluster()
  .edit(addObjects("configmaps", ciliumConfig))
  .with(
    installed("DaemonSet", agent("cilium", "quay.io/cilium/cilium:v1.17.0")),
    installed("Deployment", workload("cilium-operator", "kube-system", { name: "cilium-operator" }, operator, 2)),
  );
const CILIUM = ref("DaemonSet", "cilium", "kube-system");
const onlyCilium = withCilium
  .with(
    { do: "delete", target: FLANNEL },
    { do: "delete", target: ref("ConfigMap", "kube-flannel-cfg", "kube-flannel") },
  )
  .edit(addDevice("w1", "cilium_host", "10.0.1.7"));
const CILIUM_OPERATOR = ref("Deployment", "cilium-operator", "kube-system");
/** As in a cloud that keeps the operator to itself. */
const ofCloud = cluster()
  .edit(addObjects("configmaps", ciliumConfig))
  .with(installed("DaemonSet", agent("anetd", "gke.gcr.io/cilium/cilium:v1.17.0")));
/** Somebody looks into a node from a Pod that is made of what the node has. */
const lookingAround = addObjects("pods", {
  metadata: { name: "look", namespace: "kube-system" },
  spec: {
    nodeName: "w1",
    hostNetwork: true,
    containers: [
      { name: "look", image: "registry.k8s.io/kube-proxy:v1.33.1", command: ["sh", "-c", "exec sleep 180"] },
    ],
  },
  status: { phase: "Running" },
});
const unbound = { containers: [{ name: "unbound", image: "example.com/unbound:1" }] };
const otherDns = installed("Deployment", workload("dns", "kube-system", { "k8s-app": "kube-dns" }, unbound, 2));

testCheck(componentMissing, {
  finds: {
    "somebody deleted the DaemonSet of kube-proxy, its ConfigMap is still there": {
      given: cluster().with({ do: "delete", target: KUBE_PROXY }),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["kube-proxy is gone: DaemonSet/kube-system/kube-proxy does not exist"],
      breaks: ["component.run"],
      strength: "direct",
      healedBy: healthy,
    },
    "Cilium's agent was told to select no node, and its devices are still there": {
      given: selecting(onlyCilium, CILIUM, "network", "cilium"),
      repair: "DaemonSet/kube-system/cilium",
      says: ["Cilium runs on w1 no more", "network=cilium"],
      healedBy: () => onlyCilium,
    },
    "cilium-operator is scaled to zero: the next node gets no Pod range": {
      given: withCilium.with({ do: "scale", target: CILIUM_OPERATOR, replicas: 0 }),
      repair: "Deployment/kube-system/cilium-operator",
      says: ["cilium-operator is scaled to zero"],
      breaks: ["component.run"],
    },
    "somebody deleted cilium-operator beside its agents": {
      given: withCilium.with({ do: "delete", target: CILIUM_OPERATOR }),
      repair: "Deployment/kube-system/cilium-operator",
      says: ["cilium-operator is gone"],
      healedBy: () => withCilium,
    },
    "no controller makes flannel's Pod on w2 again": {
      given: cluster().edit(editPods("kube-flannel-ds", gone, "w2")),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel does not run on w2", "belongs there and has no Pod on it"],
      breaks: ["component.run"],
      healedBy: healthy,
    },
    "a node selector was added to kube-proxy that the workers do not meet": {
      given: selecting(cluster(), KUBE_PROXY, "kubernetes.io/hostname", "cp1"),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["kube-proxy runs on w1 no more"],
      healedBy: healthy,
    },
    "flannel was told to leave the nodes that it has routes on": {
      given: selecting(cluster(), FLANNEL, "network", "flannel"),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel runs on w2 no more"],
      healedBy: healthy,
    },
    "kube-proxy was told to leave the nodes, and somebody looks around from its image": {
      given: selecting(cluster().edit(lookingAround), KUBE_PROXY, "network", "kube-proxy"),
      repair: "DaemonSet/kube-system/kube-proxy",
      healedBy: healthy,
    },
    "a volume of kube-proxy on w1 cannot be mounted": {
      given: cluster().edit(editPods("kube-proxy", waiting("ContainerCreating"), "w1")),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["kube-proxy on w1 has not started: its Pod is Pending"],
      healedBy: healthy,
    },
    "kindnet was deleted, and its account is left": {
      given: kindCluster().with({ do: "delete", target: KINDNET }),
      repair: "DaemonSet/kube-system/kindnet",
      says: ["kindnet is gone"],
      healedBy: () => kindCluster(),
    },
    "CoreDNS was scaled to zero": {
      given: cluster().with({ do: "scale", target: COREDNS, replicas: 0 }),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS is scaled to zero"],
    },
    "a webhook refuses every new Pod of CoreDNS": {
      given: cluster({ flavour: "k3s" }).edit(editPods("coredns", gone)),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS has no Pod, although Deployment/kube-system/coredns asks for 2"],
      healedBy: () => cluster({ flavour: "k3s" }),
    },
  },
  clears: {
    "a cloud runs Cilium's operator out of sight": ofCloud,
    "a healthy cluster": cluster(),
    kind: kindCluster(),
    "k3s, where one process is everything": cluster({ flavour: "k3s" }),
    "a managed cluster, where the cloud is": cluster({ flavour: "managed" }),
    "Cilium replaced kube-proxy, of which the ConfigMap and old rules are left": withCilium.with({
      do: "delete",
      target: KUBE_PROXY,
    }),
    "Cilium replaced kube-proxy, which was told to select no node": selecting(
      withCilium,
      KUBE_PROXY,
      "kube-proxy",
      "never",
    ),
    "an agent crash-loops, which another check tells with the reason": cluster().edit(
      editPods("kube-flannel-ds", crashing(), "w2"),
    ),
    "CoreDNS was scaled to zero after another DNS server had taken its place": cluster()
      .with(otherDns)
      .with({ do: "scale", target: COREDNS, replicas: 0 }),
  },
  cannotTell: {
    "component.run": {
      "kube-proxy on w1 is just being replaced": cluster().edit(
        editPods("kube-proxy", (pod) => created(ago(8))(waiting("ContainerCreating")(pod)), "w1"),
      ),
      "w2 joined a moment ago and has no agents yet": cluster().edit(
        editObjects("nodes", "w2", created(ago(3))),
        editPods("kube-proxy", gone, "w2"),
        editPods("kube-flannel-ds", gone, "w2"),
      ),
      "CoreDNS is being installed": cluster().edit(
        editObjects("deployments", "coredns", created(ago(2))),
        editPods("coredns", gone),
      ),
      "we may not read Pods": cluster().without("pods"),
    },
  },
});
