import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods, said } from "../../../testing/cluster-edits.ts";
import { ago, crashing, unready } from "../../../testing/object-states.ts";
import { ref } from "../../model/ref.ts";
import { corefileInvalid } from "./corefile-invalid.ts";

const healthy = () => cluster();
const corefile = (from: string, to: string): Edit =>
  editObjects("configmaps", "coredns", (map) => ({
    ...map,
    data: { Corefile: map.data!.Corefile!.replace(from, to) },
  }));
/** CoreDNS was restarted with it. */
const started = (built: Cluster, from: string, to: string) =>
  built.edit(corefile(from, to)).with({ do: "restart", component: ref("Deployment", "coredns", "kube-system") });
const REFUSED = "/etc/coredns/Corefile:16 - Error during parsing: unknown property 'max_age'";
const reloadFails = said("coredns", [`[ERROR] Corefile changed but reload failed: ${REFUSED}`], ago(60), "w1");
const reloads = said("coredns", ["[INFO] Reloading complete"], ago(20), "w2");

testCheck(corefileInvalid, {
  finds: {
    "a directive was mistyped, and CoreDNS was restarted": {
      given: started(cluster(), "forward .", "forwrd ."),
      repair: "ConfigMap/kube-system/coredns",
      says: [
        "CoreDNS does not start with its Corefile (ConfigMap/kube-system/coredns): line 13, unknown directive “forwrd”",
      ],
      breaks: ["dns.config"],
      strength: "direct",
      healedBy: healthy,
    },
    "it was mistyped an hour ago, and CoreDNS runs on with the old one": {
      given: cluster().edit(
        corefile("forward .", "forwrd ."),
        said("coredns", ["[ERROR] Corefile changed but reload failed: Unknown directive 'forwrd'"]),
      ),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS will not start again with its Corefile"],
      breaks: ["component.learn"],
      healedBy: healthy,
    },
    "somebody took `prefetch 10 10%` from a runbook": {
      given: cluster({ flavour: "k3s" }).edit(corefile("cache 30", "cache 30 {\n        prefetch 10 10%\n    }")),
      repair: "ConfigMap/kube-system/coredns",
      says: ["wrong arguments of"],
      healedBy: () => cluster({ flavour: "k3s" }),
    },
    "the last brace was lost in copying": {
      given: started(cluster(), "loadbalance\n}", "loadbalance"),
      repair: "ConfigMap/kube-system/coredns",
      says: ["syntax error at"],
      healedBy: healthy,
    },
    "a zone of the company was added twice": {
      given: started(
        cluster(),
        ".:53 {",
        "corp.example {\n    forward . 10.1.1.1\n}\ncorp.example {\n    forward . 10.1.1.2\n}\n.:53 {",
      ),
      repair: "ConfigMap/kube-system/coredns",
      says: ["zone served twice:"],
      healedBy: healthy,
    },
    "CoreDNS refuses at its start what we hold for right": {
      given: cluster().edit(
        editPods("coredns", crashing()),
        said("coredns", ["plugin/cache: unknown property 'max_age'"], ago(30)),
      ),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS rejects its Corefile (ConfigMap/kube-system/coredns)"],
      strength: "heard",
      healedBy: healthy,
    },
    "we may not read ConfigMaps, and it says so": {
      given: cluster().edit(reloadFails).without("configmaps"),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS rejects its Corefile"],
      strength: "heard",
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a managed cluster": cluster({ flavour: "managed" }),
    "a build of CoreDNS with plugins of its own": cluster().edit(
      corefile("cache 30", "kubernetai cluster.local\n    cache 30"),
    ),
    "such a build does not get ready, and has not a word about its Corefile": cluster().edit(
      corefile("cache 30", "kubernetai cluster.local"),
      editPods("coredns", unready()),
      said("coredns", ["plugin/kubernetes: waiting for Kubernetes API"]),
    ),
    "an error of yesterday was corrected": cluster().edit(
      said("coredns", ["Corefile changed but reload failed: Unknown directive 'forwrd'"], ago(86_400)),
    ),
    "it was corrected a minute ago, and CoreDNS has taken it": cluster().edit(reloadFails, reloads),
  },
  cannotTell: {
    "dns.config": {
      "we may not read ConfigMaps": cluster().without("configmaps"),
    },
    "component.learn": {
      "CoreDNS complained a moment ago, and the Corefile is right by now": cluster().edit(reloadFails),
    },
  },
});
