import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addRules, dropRules, type Edit, editObjects, editPods, probed, said } from "../../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../../testing/cluster-nodes.ts";
import { ago, crashing, ready } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { known } from "../../evidence/observed.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import type { LogDigest } from "../../parse/logs/digest.ts";
import { apiServerUnreached } from "./api-server-unreached.ts";

const healthy = () => cluster();

/** The same every half minute, for some minutes, up to now or until then. */
const repeated = (words: string, from = 300, until = 5): LogDigest => {
  const { entries, ...digest } = logOf([words], NOW);
  const count = Math.floor((from - until) / 30);
  return {
    ...digest,
    entries: entries.map((entry) => ({
      ...entry,
      count,
      first: { ...entry.first, at: ago(from) },
      last: { ...entry.last, at: ago(until) },
    })),
  };
};

const inPods =
  (owner: string, node: string, digest: LogDigest): Edit =>
  (draft) => {
    const pods = draft.list("pods").filter(({ metadata }) => metadata.name.startsWith(`${owner}-`));
    for (const { metadata, spec } of pods.filter((pod) => pod.spec.nodeName === node)) {
      const place = { namespace: metadata.namespace!, pod: metadata.name, container: spec.containers[0]!.name };
      draft.set("containerLog", place, digest);
    }
  };
const byKubelet =
  (node: string, digest: LogDigest): Edit =>
  (draft) =>
    draft.set("kubeletLog", { node }, digest);

const failedToWatch = (address: string, why: string) =>
  `E1121 02:58:41.000000       1 reflector.go:200] "Failed to watch" err="failed to list *v1.EndpointSlice: Get \\"https://${address}/apis/discovery.k8s.io/v1/endpointslices?limit=500\\": dial tcp ${address}: ${why}" logger="UnhandledError"`;
const DIRECT = failedToWatch("172.16.0.1:6443", "i/o timeout");
const BY_SERVICE = failedToWatch("10.96.0.1:443", "i/o timeout");
const OLD =
  "E1121 02:58:41.000000 1 reflector.go:126] k8s.io/client-go/informers/factory.go:133: Failed to list *v1.Service: Get https://172.16.0.1:6443/api/v1/services?limit=500: dial tcp 172.16.0.1:6443: connect: no route to host";
const CALICO =
  '2026-11-21 02:58:41.000 [INFO][9] startup/startup.go 445: Hit error connecting to datastore - retry error=Get "https://lb.example.org:6443/api/v1/nodes/foo": dial tcp: i/o timeout';
const KUBELET =
  'E1121 02:58:41.000000 812 kubelet_node_status.go:549] "Error updating node status, will retry" err="error getting node \\"w2\\": Get \\"https://172.16.0.1:6443/api/v1/nodes/w2?timeout=10s\\": context deadline exceeded"';
const silent = editObjects("nodes", "w2", (node) => ({
  ...node,
  status: {
    ...node.status,
    conditions: [
      { type: "Ready", status: "Unknown", message: "Kubelet stopped posting", lastTransitionTime: ago(200) },
    ],
  },
}));

testCheck(apiServerUnreached, {
  finds: {
    "a firewall in front of the control plane shuts one node out": {
      given: cluster().edit(inPods("kube-proxy", "w2", repeated(DIRECT))),
      repair: "Node/w2",
      says: ["kube-proxy on w2 does not reach the API server at 172.16.0.1:6443: i/o timeout"],
      breaks: ["api.connect"],
      strength: "heard",
      healedBy: healthy,
    },
    "an old kube-proxy says it otherwise": {
      given: cluster().edit(inPods("kube-proxy", "w2", repeated(OLD))),
      repair: "Node/w2",
      says: ["no route to host"],
      breaks: ["api.connect"],
      healedBy: healthy,
    },
    "the load balancer does not answer this node": {
      given: cluster().edit(inPods("kube-flannel-ds", "w1", repeated(CALICO))),
      repair: "Node/w1",
      says: ["flannel on w1 does not reach the API server at lb.example.org:6443"],
      breaks: ["api.connect"],
      healedBy: healthy,
    },
    "neither the kubelet nor kube-proxy gets through": {
      given: cluster().edit(silent, byKubelet("w2", repeated(KUBELET)), inPods("kube-proxy", "w2", repeated(DIRECT))),
      repair: "Node/w2",
      says: ["kubelet, kube-proxy on w2 do not reach the API server at 172.16.0.1:6443: context deadline exceeded"],
      breaks: ["api.connect", "api.reach"],
      healedBy: healthy,
    },
    "flannel ends for it, each time it starts": {
      given: cluster().edit(
        editPods("kube-flannel-ds", crashing(), "w2"),
        said("kube-flannel-ds", [BY_SERVICE], ago(50), "w2"),
      ),
      repair: "Node/w2",
      says: ["flannel on w2 does not reach the API server at 10.96.0.1:443"],
      breaks: ["api.connect"],
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "the API server was restarted, and has answered since": cluster().edit(
      inPods("kube-proxy", "w2", repeated(DIRECT, 900, 400)),
    ),
    "it has just gone": cluster().edit(inPods("kube-proxy", "w2", repeated(DIRECT, 40, 2))),
    "kube-proxy asks at an address at which there is none": cluster().edit(
      inPods("kube-proxy", "w2", repeated(failedToWatch("172.16.9.9:6443", "i/o timeout"))),
    ),
    "the only API server does not run, which its Pod tells": cluster().edit(
      editPods("kube-apiserver", crashing()),
      inPods("kube-proxy", "w2", repeated(DIRECT)),
    ),
    "CoreDNS complains, and Pods of its node are answered": cluster().edit(
      inPods("coredns", "w1", repeated(BY_SERVICE)),
      clientsAnswered(),
    ),
    "an application complains": cluster().edit(inPods("frontend", "w1", repeated(BY_SERVICE))),
  },
});

/** Every node's Pods reach the Service of the API server, as tests show. */
function clientsAnswered(): Edit {
  return (draft) => {
    probed("client", "tcp", "10.96.0.1:443", "ok")(draft);
    const [probe] = draft.get("probes", {}) ?? [];
    const nodes = draft.list("nodes").map(({ metadata }) => metadata.name);
    draft.set(
      "probes",
      {},
      nodes.map((node, index) => ({
        ...probe!,
        line: index + 1,
        from: { node, network: "pod" as const, pod: `tools/client-${node}` },
      })),
    );
  };
}

const rootsOf = (broken: Cluster) =>
  diagnose(broken.capture).rootCauses.map(({ check, object }) => `${check} ${refId(object as Ref)}`);

it("is what stale rules, a silent node and a crash loop follow from", () => {
  const w2 = inPods("kube-proxy", "w2", repeated(DIRECT));
  const before = known(cluster().capture.get("iptables", { node: "w2" }))!;
  const stale = cluster()
    .with({ do: "scale", target: ref("Deployment", "backend", "shop"), replicas: 5 })
    .edit((draft) => draft.set("iptables", { node: "w2" }, before), w2);
  expect(rootsOf(stale)).toEqual(["api-server-unreached Node/w2"]);
  expect(rootsOf(cluster().edit(silent, byKubelet("w2", repeated(KUBELET))))).toEqual(["api-server-unreached Node/w2"]);
  const crashed = cluster().edit(
    editPods("kube-flannel-ds", crashing(), "w2"),
    said("kube-flannel-ds", [BY_SERVICE], ago(50), "w2"),
  );
  expect(rootsOf(crashed)).toEqual(["api-server-unreached Node/w2"]);
});

it("follows from rules that are seen to drop, or to be missing", () => {
  const drop = addRules("cp1", "filter", "-A INPUT -i eth0 -p tcp -m tcp --dport 6443 -j DROP");
  expect(rootsOf(cluster().edit(drop, inPods("kube-proxy", "w2", repeated(DIRECT))))).toEqual([
    "packet-filter-drop Node/cp1",
  ]);
  const flannel = inPods("kube-flannel-ds", "w2", repeated(BY_SERVICE));
  expect(rootsOf(cluster().edit(dropRules("w2", /KUBE-SERVICES/), flannel))).toEqual([
    "service-rules-mismatch Node/w2",
  ]);
});

it("does not count what is ready again", () => {
  const again = cluster().edit(
    editPods("kube-flannel-ds", ready(ago(240)), "w2"),
    said("kube-flannel-ds", [BY_SERVICE], ago(250), "w2"),
  );
  expect(rootsOf(again)).toEqual([]);
});
