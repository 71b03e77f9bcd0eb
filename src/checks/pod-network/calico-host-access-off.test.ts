import { calicoCluster, felix } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built, type Cluster } from "../../../testing/cluster.ts";
import { type Edit, editIptables, editPods } from "../../../testing/cluster-edits.ts";
import { calicoHostAccessOff } from "./calico-host-access-off.ts";

const healthy = await calicoCluster({ rules: true });
const VARIABLE = "FELIX_DEFAULTENDPOINTTOHOSTACTION";

/** Felix of a node wrote this rule. */
const drops = (node: string): Edit =>
  editIptables(node, (text) => text.replace(/(DefaultEndpointToHostAction" -j )ACCEPT/, "$1DROP"));

/** Felix follows what it is told. */
const accepts = (given: Cluster): Cluster =>
  given.edit(editIptables("cp1", (text) => text.replace(/(DefaultEndpointToHostAction" -j )DROP/, "$1ACCEPT")));

/** The environment of all agents; undefined: the variable is not there. */
const environment = (value: string | undefined): Edit =>
  editPods("calico-node", (pod) => ({
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map((container) => ({
        ...container,
        env: (container.env ?? []).flatMap((one) =>
          one.name === VARIABLE ? (value === undefined ? [] : [{ ...one, value }]) : [one],
        ),
      })),
    },
  }));

testCheck(calicoHostAccessOff, {
  finds: {
    "the agents were told to drop": {
      given: healthy.edit(environment("DROP"), drops("cp1"), drops("w1")),
      repair: "DaemonSet/kube-system/calico-node",
      says: ["defaultEndpointToHostAction: DROP", "Pods on cp1"],
      breaks: ["node.lead-to-api"],
      healedBy: accepts,
      strength: "direct",
    },
    "a FelixConfiguration says so": {
      given: healthy.edit(
        environment(undefined),
        felix("default", { defaultEndpointToHostAction: "Drop" }),
        drops("cp1"),
      ),
      repair: "FelixConfiguration/default",
      says: ["Drop in FelixConfiguration/default"],
      breaks: ["node.lead-to-api"],
      healedBy: accepts,
    },
    "nobody says anything": {
      given: healthy.edit(environment(undefined), drops("cp1")),
      repair: "DaemonSet/kube-system/calico-node",
      says: ["its default is Drop"],
      breaks: ["node.lead-to-api"],
      healedBy: accepts,
    },
  },
  clears: {
    "as it was installed": healthy,
    "a node without API server": healthy.edit(drops("w1")),
    "a cluster with flannel": built(),
  },
  cannotTell: {
    "node.lead-to-api": {
      "rules were not read": healthy.edit(environment("DROP"), drops("cp1")).without("iptables"),
    },
  },
});
