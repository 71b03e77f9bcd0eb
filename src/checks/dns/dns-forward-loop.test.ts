import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods, edits, said } from "../../../testing/cluster-edits.ts";
import { ago, crashing } from "../../../testing/object-states.ts";
import { dnsForwardLoop } from "./dns-forward-loop.ts";

const healthy = () => cluster();
const corefile = (change: (text: string) => string): Edit =>
  editObjects("configmaps", "coredns", (map) => ({ ...map, data: { Corefile: change(map.data!.Corefile!) } }));
const forwardTo = (target: string): Edit => corefile((text) => text.replace("/etc/resolv.conf", target));
const stub =
  (nameserver: string): Edit =>
  (draft) =>
    draft.set("nodeResolvConf", { node: "w1" }, { nameservers: [nameserver], search: [], options: new Map() });
const LOOP =
  '[FATAL] plugin/loop: Loop (127.0.0.1:41321 -> :53) detected for zone ".", see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO 4547991504243258144.3688648895315093531."';
const LOOP_1_2_2 = '[FATAL] plugin/loop: Seen "HINFO IN 2050421060481615995." more than twice, loop detected';
const LOOP_1_3_0 =
  '[FATAL] plugin/loop: Forwarding loop detected in "." zone. Exiting. See https://coredns.io/plugins/loop#troubleshooting. Probe query: "HINFO 6207481526."';
const stopped: Edit = edits(editPods("coredns", crashing(), "w1"), said("coredns", [LOOP], ago(40), "w1"));
/** A CoreDNS of their own, for names of the office, that asks cluster DNS. */
const second = (built: Cluster): Cluster =>
  built.edit((draft) => {
    const [pod] = draft.list("pods").filter(({ metadata }) => metadata.name.startsWith("coredns-"));
    const own = { name: "office", namespace: "office", labels: { app: "office" } };
    draft.setList("configmaps", [
      ...draft.list("configmaps"),
      { metadata: own, data: { Corefile: ".:53 {\n    forward . 10.96.0.10\n}\n" } },
    ]);
    draft.setList("pods", [
      ...draft.list("pods"),
      { ...pod!, metadata: own, spec: { ...pod!.spec, volumes: [{ name: "config", configMap: { name: "office" } }] } },
    ]);
  });

testCheck(dnsForwardLoop, {
  finds: {
    "an administrator made the address of cluster DNS its own upstream": {
      given: cluster().edit(forwardTo("10.96.0.10")),
      repair: "ConfigMap/kube-system/coredns",
      says: ["ConfigMap/kube-system/coredns sends “.” to 10.96.0.10"],
      breaks: ["dns.upstream"],
      strength: "direct",
      healedBy: healthy,
    },
    "CoreDNS forwards to its own loopback, and stops for it": {
      given: cluster({ flavour: "managed" }).edit(
        forwardTo("dns://127.0.0.1:53"),
        editPods("coredns", crashing()),
        said("coredns", [LOOP_1_2_2]),
      ),
      repair: "ConfigMap/kube-system/coredns",
      says: ["sends “.” to dns://127.0.0.1:53"],
      breaks: ["dns.config"],
      healedBy: healthy,
    },
    "the image of w1 was changed to one with systemd-resolved": {
      given: cluster().edit(stub("127.0.0.53"), stopped),
      repair: "Node/w1",
      says: ["resolv.conf of node w1 names 127.0.0.53"],
      breaks: ["dns.config"],
      healedBy: healthy,
    },
    "w1 itself asks cluster DNS": {
      given: cluster({ flavour: "k3s" }).edit(
        stub("10.96.0.10"),
        editPods("coredns", crashing(), "w1"),
        said("coredns", [LOOP_1_3_0], ago(40), "w1"),
      ),
      repair: "Node/w1",
      says: ["resolv.conf of node w1 names 10.96.0.10"],
      healedBy: () => cluster({ flavour: "k3s" }),
    },
    "a loop is found, and nothing that was collected shows where it leads": {
      given: cluster().edit(stopped),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS stops because it found a forwarding loop"],
      strength: "heard",
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    k3s: cluster({ flavour: "k3s" }),
    "a local stub on the node, of which the kubelet knows to hand out the other file": cluster().edit(
      stub("127.0.0.53"),
    ),
    "a sidecar of CoreDNS resolves over TLS": cluster().edit(forwardTo("127.0.0.1:5301")),
    "a zone of the company is rewritten and asked for once more": cluster().edit(
      corefile(
        (text) =>
          `corp.example:53 {\n    rewrite name suffix .corp.example .svc.cluster.local\n    forward . 127.0.0.1\n}\n${text}`,
      ),
    ),
    "another CoreDNS asks cluster DNS": second(cluster()),
    "a loop of last week is still in the log": cluster().edit(said("coredns", [LOOP], ago(600_000))),
  },
  cannotTell: {
    "dns.config": {
      "we may not read ConfigMaps": cluster().without("configmaps"),
    },
  },
});
