import { calicoCluster, calicoPolicy, globalPolicy } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import { calicoPolicyDefective } from "./calico-policy-defective.ts";

const healthy = await calicoCluster();
const OUTSIDE_SYSTEM = "projectcalico.org/namespace != 'kube-system'";
const DENY_ALL = { order: 2000, selector: OUTSIDE_SYSTEM, types: ["Ingress", "Egress"] };
const ALLOW_DNS = {
  order: 10,
  selector: OUTSIDE_SYSTEM,
  types: ["Egress"],
  egress: ["UDP", "TCP"].map((protocol) => ({
    action: "Allow",
    protocol,
    destination: { selector: "k8s-app == 'kube-dns'", ports: [53] },
  })),
};
/** Tests of Service shop/frontend from the tools' Pods fail. */
const frontendFails: Edit = (draft) => {
  const frontend = draft.list("services").find(({ metadata }) => metadata.name === "frontend")?.spec.clusterIP;
  const probes = draft.get("probes", {}) ?? [];
  draft.set(
    "probes",
    {},
    probes.map((probe) => (probe.target.includes(`${frontend}:`) ? { ...probe, result: "timeout" as const } : probe)),
  );
};
const FRONTEND = { order: 100, selector: "app == 'frontend'", types: ["Ingress"] };
const ALLOW = { ...FRONTEND, ingress: [{ action: "Allow", source: { namespaceSelector: "all()" } }] };

testCheck(calicoPolicyDefective, {
  finds: {
    "a default-deny policy for the whole cluster forgot DNS": {
      given: healthy.edit(globalPolicy("default-deny", DENY_ALL)),
      repair: "GlobalNetworkPolicy/default-deny",
      says: ["from cluster DNS", "none of their rules of egress allows it"],
      breaks: ["policy.allow"],
      strength: "direct",
      healedBy: () => healthy,
    },
    "a Deny with a low order comes before the Allow": {
      given: healthy.edit(
        calicoPolicy("shop", "frontend", ALLOW),
        calicoPolicy("shop", "lock", { ...FRONTEND, order: 10, ingress: [{ action: "Deny" }] }),
        frontendFails,
      ),
      repair: "CalicoNetworkPolicy/shop/lock",
      says: ["denies every caller of 1 Service, such as shop/frontend", "a Deny rule of ingress comes first"],
      healedBy: () => healthy,
    },
    "a selector with a typo allows nobody": {
      given: healthy.edit(
        calicoPolicy("shop", "frontend", {
          ...FRONTEND,
          ingress: [{ action: "Allow", source: { selector: "app == 'cleint'", namespaceSelector: "all()" } }],
        }),
        frontendFails,
      ),
      repair: "CalicoNetworkPolicy/shop/frontend",
      says: ["none of their rules of ingress allows it"],
      healedBy: () => healthy,
    },
  },
  clears: {
    "no policies of Calico's own": healthy,
    "DNS is allowed before all else is denied": healthy.edit(
      globalPolicy("default-deny", DENY_ALL),
      globalPolicy("dns", ALLOW_DNS),
    ),
    "one namespace is locked in": healthy.edit(
      globalPolicy("lock", { selector: "projectcalico.org/namespace == 'data'", types: ["Egress"] }),
    ),
    "the Allow comes first": healthy.edit(
      calicoPolicy("shop", "frontend", { ...ALLOW, order: 5 }),
      calicoPolicy("shop", "lock", { ...FRONTEND, order: 10, ingress: [{ action: "Deny" }] }),
      frontendFails,
    ),
    "a cluster without Calico": built().edit(globalPolicy("default-deny", DENY_ALL)),
  },
  cannotTell: {
    "policy.allow": {
      "a selector that cannot be read": healthy.edit(globalPolicy("odd", { selector: "app ~ 'x'" })),
      "who may not list Pods": healthy.edit(globalPolicy("default-deny", DENY_ALL)).without("pods"),
    },
  },
});
