import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { dropRules, type Edit, editObjects } from "../../../testing/cluster-edits.ts";
import { parseConntrack } from "../../parse/conntrack/entries.ts";
import { podMasqueradeOff } from "./pod-masquerade-off.ts";

const NODES = ["cp1", "w1", "w2"];

/** flannel was started without --ip-masq everywhere, and writes no rules for it. */
const off: Edit = (draft) => {
  for (const node of NODES) {
    editNode(draft, "subnetEnv", node, (env) => ({ ...env, ipMasq: false }));
    dropRules(node, /FLANNEL-POSTRTG/)(draft);
  }
};

type Call = { readonly from?: string; readonly to?: string; readonly back?: string; readonly answered?: true };

/** Connections that a node tracks: Pods' queries to a server outside, unless said otherwise. */
const tracked =
  (node: string, ...calls: readonly Call[]): Edit =>
  (draft) => {
    const lines = calls.map(({ from = "10.128.1.8", to = "192.0.2.53", back = from, answered }, index) => {
      const port = 50_000 + index;
      const state = answered ? "" : " [UNREPLIED]";
      return `udp 17 21 src=${from} dst=${to} sport=${port} dport=53${state} src=${to} dst=${back} sport=53 dport=${port} mark=0 use=1\n`;
    });
    draft.set("conntrack", { node }, parseConntrack(lines.join("")).value);
  };
const QUERY: Call = {};
const deaf = [QUERY, QUERY, QUERY];
const flannel = "DaemonSet/kube-flannel/kube-flannel-ds";
const says = ["is not told to masquerade (--ip-masq)", "nobody outside answers them"];
const withArgs = (...args: readonly string[]): Edit =>
  editObjects("daemonsets", "kube-flannel-ds", (set) => {
    const { template } = set.spec!;
    const containers = template.spec.containers.map((one) => ({ ...one, args: [...args] }));
    return { ...set, spec: { ...set.spec!, template: { ...template, spec: { ...template.spec, containers } } } };
  });
const k3s = cluster({ flavour: "k3s" });
const NODES_OF_K3S = k3s.model().nodes.all.map(({ name }) => name);

testCheck(podMasqueradeOff, {
  finds: {
    "the manifest was generated anew without --ip-masq": {
      given: cluster().edit(off, tracked("w1", ...deaf)),
      repair: flannel,
      says,
      breaks: ["node.masquerade"],
      strength: "direct",
      healedBy: () => cluster(),
    },
    "the argument is back, and flannel was not restarted": {
      given: cluster().edit(off, tracked("w1", ...deaf), withArgs("--kube-subnet-mgr", "--ip-masq")),
      repair: flannel,
      says,
      healedBy: () => cluster(),
    },
    "k3s: the node's own service says so": {
      given: k3s.edit(
        (draft) => {
          for (const node of NODES_OF_K3S) editNode(draft, "subnetEnv", node, (env) => ({ ...env, ipMasq: false }));
        },
        tracked(NODES_OF_K3S[0]!, { from: "10.128.0.8" }, { from: "10.128.0.8" }, { from: "10.128.0.9" }),
      ),
      repair: `Node/${NODES_OF_K3S[0]}`,
      says,
      healedBy: () => k3s,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a dual-stack cluster": cluster({ families: "dual-stack" }),
    "routers outside know the way to Pods": cluster().edit(
      off,
      tracked("w1", ...deaf),
      tracked("w2", { from: "10.128.2.8", answered: true }),
    ),
    "nobody called anything outside": cluster().edit(off),
    "one query is on its way": cluster().edit(off, tracked("w1", QUERY)),
    "somebody else masquerades": cluster().edit(
      off,
      tracked("w1", ...deaf.map((call) => ({ ...call, back: "172.16.0.2" }))),
    ),
    "what is called does not answer the node either": cluster().edit(
      off,
      tracked("w1", ...deaf, { from: "172.16.0.2" }),
    ),
    "flannel masquerades, and the server outside is down": cluster().edit(
      tracked("w1", ...deaf.map((call) => ({ ...call, back: "172.16.0.2" }))),
    ),
    "Pods and nodes call each other": cluster().edit(
      off,
      tracked("w1", ...["10.128.2.5", "172.16.0.3", "172.16.0.3"].map((to) => ({ to }))),
    ),
  },
  cannotTell: {
    "node.masquerade": {
      "connections were not collected": cluster().edit(off).without("conntrack"),
    },
  },
});
