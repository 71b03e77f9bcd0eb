import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editConfig, editObjects } from "../../../testing/cluster-edits.ts";
import { withSpec } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import { proxyClusterCidrWrong } from "./proxy-cluster-cidr-wrong.ts";

const told = (range: string, more = ""): Edit =>
  editConfig("kube-proxy", "config.conf", (text) => text.replace("10.128.0.0/9", range) + more);
const CONFIG = "ConfigMap/kube-system/kube-proxy";
const KUBE_PROXY = ref("DaemonSet", "kube-proxy", "kube-system");
const noLocal = editObjects("services", "backend-local", withSpec({ externalTrafficPolicy: "Cluster" }));

testCheck(proxyClusterCidrWrong, {
  finds: {
    "the ConfigMap came from another cluster": {
      given: cluster().edit(told("10.99.0.0/16")),
      repair: CONFIG,
      says: ["Pods have addresses of 10.99.0.0/16 (clusterCIDR), and 12 of 12 Pods have others"],
      breaks: ["service.pod-range"],
      strength: "direct",
    },
    "it is the range of one node": {
      given: cluster().edit(told("10.128.2.0/24")),
      repair: CONFIG,
      says: ["it takes them for strangers"],
    },
    "it holds the nodes, too": {
      given: cluster().edit(told("0.0.0.0/0")),
      repair: CONFIG,
      says: ["0.0.0.0/0 (clusterCIDR), which holds the nodes' own as well"],
    },
  },
  warns: {
    "the few Pods of another pool are left out": {
      given: cluster().edit(told("10.128.0.0/23")),
      repair: CONFIG,
      says: ["5 of 12 Pods have others"],
    },
    "nothing tells Pods from strangers": {
      given: cluster().edit(told("10.99.0.0/16"), noLocal),
      repair: CONFIG,
      says: ["it takes them for strangers"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "both families": cluster({ families: "dual-stack" }),
    "kube-proxy knows Pods by the bridge": cluster().edit(told("10.99.0.0/16", "detectLocalMode: BridgeInterface\n")),
    "it is told none": cluster().edit(told('""')),
  },
  cannotTell: {
    "service.pod-range": { "we may not list Pods": cluster().edit(told("10.99.0.0/16")).without("pods") },
  },
});

describe("a wrong clusterCIDR", () => {
  it.each(["10.99.0.0/16", "0.0.0.0/0"])("%s is the one root of the rules that kube-proxy wrote by it", (range) => {
    const written = cluster().edit(told(range)).with({ do: "restart", component: KUBE_PROXY });
    const { rootCauses } = diagnose(written.capture);
    expect(rootCauses.map(({ id }) => id)).toEqual([`proxy-cluster-cidr-wrong/${CONFIG}`]);
    expect(rootCauses[0]!.latent).toBe(false);
  });
});
