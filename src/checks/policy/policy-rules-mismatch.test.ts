import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built, type Cluster, clusterOf, editNode } from "../../../testing/cluster.ts";
import { addRules, addRules6, type Edit } from "../../../testing/cluster-edits.ts";
import { captureOf, readRecording } from "../../../testing/recordings.ts";
import type { CiliumEndpoint } from "../../parse/cilium/endpoints.ts";
import { policyRulesMismatch } from "./policy-rules-mismatch.ts";

/** What the check looks at: the rest takes long to read. */
const LOOKED_AT =
  /^(cluster\.json|exec|nodes\/\w+\/(ip-|iptables|ip6|nft|ipset|sysctl|ss\.|pods|bridge|conntrack-count)|api\/v1\/(pods|nodes|namespaces|services|configmaps)|apis\/(apps|discovery|cilium|crd|networking|apiextensions))/;

/** A recorded cluster with some of its Pods: as if the others had never been. */
async function recorded(id: string, kept: RegExp): Promise<Cluster> {
  const { files } = await readRecording(id);
  const capture = captureOf(new Map([...files].filter(([path]) => LOOKED_AT.test(path))));
  return clusterOf(capture).edit((draft) =>
    draft.setList(
      "pods",
      draft.list("pods").filter(({ metadata, spec }) => spec.hostNetwork || kept.test(metadata.name)),
    ),
  );
}

const calico = await recorded("calico-healthy", /^(client-[a-z0-9]+|backend|frontend)/);
const cilium = await recorded("cilium-healthy", /^(client-wnls8|backend.*z2g7b|frontend.*r4mf9|db-0)/);

/** Calico's set of the frontends, on one node, without them. */
const frontendsForgotten =
  (node: string): Edit =>
  (draft) =>
    editNode(draft, "ipset", node, (sets) => {
      const frontends = draft
        .list("pods")
        .filter(({ metadata }) => metadata.name.startsWith("frontend"))
        .map(({ status }) => status?.podIP ?? "");
      return sets.map((set) => ({ ...set, entries: set.entries.filter((entry) => !frontends.includes(entry.value)) }));
    });

const AGENT_OF_CP1 = { namespace: "kube-system", pod: "cilium-79fv6" };
const AGENT_OF_W1 = { namespace: "kube-system", pod: "cilium-hz6m8" };
const endpoints =
  (agent: typeof AGENT_OF_CP1, pod: string, change: (endpoint: CiliumEndpoint) => CiliumEndpoint): Edit =>
  (draft) =>
    draft.set(
      "ciliumEndpoints",
      agent,
      (draft.get("ciliumEndpoints", agent) ?? []).map((one) => (one.pod === pod ? change(one) : one)),
    );
const nobody = { allowed: [], denied: [], rules: [] };
const anybody = { allowed: [0], denied: [], rules: [] };

const dual = built({ families: "dual-stack", enforcer: true });
const only6 = built({ families: "ipv6", enforcer: true });
/** kube-router's chain of a Pod of w1 that it isolates though no policy does. */
const isolated = addRules6(
  "w1",
  "filter",
  "-A FORWARD -d fd00:10:128:2::/64 -j KUBE-POD-FW-A1",
  "-A KUBE-POD-FW-A1 -p tcp -m tcp --dport 8080 -j REJECT",
);

/** The same inside k3s' one process, which has no Pod. */
const k3s = built({ flavour: "k3s" }).edit(
  ...["w1", "w2", "w3"].map((node) =>
    addRules(
      node,
      "filter",
      "-A FORWARD -j KUBE-ROUTER-FORWARD",
      "-A KUBE-ROUTER-FORWARD -m mark --mark 0x20000/0x20000 -j ACCEPT",
    ),
  ),
);
const isolatedByK3s = addRules(
  "w1",
  "filter",
  "-A KUBE-ROUTER-FORWARD -d 10.128.0.0/9 -j KUBE-POD-FW-A1",
  "-A KUBE-POD-FW-A1 -p tcp -m tcp --dport 8080 -j REJECT",
);

testCheck(policyRulesMismatch, {
  finds: {
    "kube-router inside k3s isolates Pods of w1 after the policy is gone": {
      given: k3s.edit(isolatedByK3s),
      repair: "Node/w1",
      says: ["Node w1 refuses", "that no NetworkPolicy denies"],
      breaks: ["policy.rules"],
      strength: "differing",
      healedBy: () => k3s,
    },
    "dual stack: kube-router of w1 isolates Pods over IPv6 after the policy is gone": {
      given: dual.edit(isolated),
      repair: "Node/w1",
      says: ["Node w1 refuses", "that no NetworkPolicy denies", "(IPv6)"],
      breaks: ["policy.rules"],
      strength: "differing",
      healedBy: () => dual,
    },
    "IPv6 only: kube-router does so": {
      given: only6.edit(isolated),
      repair: "Node/w1",
      says: ["Node w1 refuses"],
      breaks: ["policy.rules"],
      healedBy: () => only6,
    },
    "Felix of w1 does not learn of new frontends": {
      given: calico.edit(frontendsForgotten("w1")),
      repair: "Node/w1",
      says: ["Node w1 refuses", "that no NetworkPolicy denies"],
      breaks: ["policy.rules"],
      strength: "differing",
      healedBy: () => calico,
    },
    "Cilium has no identity for a new Pod": {
      given: cilium.edit(
        endpoints(AGENT_OF_CP1, "tools/client-wnls8", (one) => ({
          ...one,
          identity: 5,
          policy: { ingress: { ...nobody, allowed: [1] }, egress: nobody },
        })),
      ),
      repair: "Node/cp1",
      says: ["Node cp1 drops everything that tools/client-wnls8 sends"],
      breaks: ["policy.rules"],
      strength: "differing",
      healedBy: () => cilium,
    },
  },
  warns: {
    "Cilium's agent has not heard of the policy for the backends": {
      given: cilium.edit(
        endpoints(AGENT_OF_W1, "shop/backend-56bf5fd956-z2g7b", (one) => ({
          ...one,
          policy: { ingress: anybody, egress: anybody },
        })),
      ),
      repair: "Node/w1",
      says: ["Node w1 lets", "that NetworkPolicies deny"],
    },
  },
  clears: {
    Calico: calico,
    Cilium: cilium,
    "dual stack, enforced by kube-router": dual,
    "IPv6 only, enforced by kube-router": only6,
    "k3s, enforced by kube-router inside its one process": k3s,
    "flannel, which enforces nothing": built(),
    "Cilium enforces a policy of its own kind": cilium
      .edit((draft) =>
        draft.setList("ciliumnetworkpolicies", [
          {
            metadata: { name: "alone", namespace: "tools" },
            spec: { endpointSelector: { matchLabels: { "k8s:app": "client" } }, ingress: [{}], egress: [{}] },
          },
        ]),
      )
      .edit(
        endpoints(AGENT_OF_CP1, "tools/client-wnls8", (one) => ({
          ...one,
          policy: { ingress: nobody, egress: nobody },
        })),
      ),
  },
});
