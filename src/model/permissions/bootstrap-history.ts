/**
 * What the API server's bootstrap policy has had since which release: what does not stand here, it had in all of them.
 *
 * Source: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata of v1.20.15, v1.21.14, … v1.31.2 and v1.32.9.
 */
import type { PolicyRule } from "../../parse/objects.ts";
import { type BaselineGrant, may } from "./baseline.ts";
import { rulesWithout } from "./rules.ts";

/** The oldest minor release of Kubernetes 1 whose policy is known. */
export const OLDEST_MINOR = 20;

/** Rules that some roles have had since a minor release; without rules: the roles themselves. */
export type Introduced = {
  readonly minor: number;
  readonly roles: readonly string[];
  readonly rules: readonly PolicyRule[];
};

const since = (minor: number, roles: string, ...rules: readonly ReturnType<typeof may>[]): Introduced => ({
  minor,
  roles: roles.split(/\s+/),
  rules: rules.map(({ rule }) => rule),
});

const LEASES = { in: "coordination.k8s.io" };
const SLICES = { in: "discovery.k8s.io" };
const STORAGE = { in: "storage.k8s.io" };

export const HISTORY: readonly Introduced[] = [
  // informers of client-go began to ask for what they watch by the controllers' own accounts
  since(
    32,
    "system:controller:endpointslice-controller system:controller:endpointslicemirroring-controller",
    may("watch", "endpointslices", SLICES),
  ),
  since(32, "system:controller:endpoint-controller", may("watch", "endpoints")),
  since(32, "system:controller:cronjob-controller system:controller:node-controller", may("watch", "pods")),
  since(
    32,
    "system:controller:node-controller system:controller:persistent-volume-binder system:controller:pod-garbage-collector",
    may("watch", "nodes"),
  ),
  since(
    32,
    "system:controller:horizontal-pod-autoscaler",
    may("watch", "pods", { in: "core metrics.k8s.io" }),
    may("watch", "*", { in: "custom.metrics.k8s.io external.metrics.k8s.io" }),
  ),
  since(32, "system:controller:namespace-controller", may("watch", "*", { in: "*" })),
  since(32, "system:kube-scheduler", may("get list watch", "volumeattachments", STORAGE)),
  since(
    31,
    "system:kube-scheduler",
    may("list watch", "leases", { ...LEASES, named: "kube-scheduler" }),
    may("get list watch create update patch delete deletecollection", "leasecandidates", LEASES),
  ),
  since(
    31,
    "system::leader-locking-kube-controller-manager system::leader-locking-kube-scheduler",
    may("get list watch create update", "leases leasecandidates", LEASES),
  ),
  since(
    31,
    "system:controller:statefulset-controller",
    may("list watch", "persistentvolumeclaims"),
    may("update", "pods/finalizers"),
  ),
  since(30, "system:controller:validatingadmissionpolicy-status-controller"),
  since(29, "system:controller:legacy-service-account-token-cleaner"),
  since(
    28,
    "system:service-account-issuer-discovery",
    may("get", "/.well-known/openid-configuration/ /openid/v1/jwks/"),
  ),
  since(27, "system:basic-user", may("create", "selfsubjectreviews", { in: "authentication.k8s.io" })),
  since(27, "system:controller:statefulset-controller", may("update delete", "persistentvolumeclaims")),
  since(26, "system:monitoring", may("get", "/metrics/slis")),
  since(26, "system:controller:disruption-controller", may("update patch", "pods/status")),
  since(26, "system:controller:node-controller system:controller:pod-garbage-collector", may("patch", "pods/status")),
  since(26, "system:controller:node-controller", may("get", "pods")),
  since(
    24,
    "system:aggregate-to-edit",
    may("create", "pods/eviction serviceaccounts/token"),
    may("get list watch create update patch delete deletecollection", "leases", LEASES),
  ),
  since(24, "system:controller:horizontal-pod-autoscaler", may("get list", "*", { in: "external.metrics.k8s.io" })),
  since(22, "system:aggregate-to-edit", may("create update patch delete deletecollection", "events")),
  since(22, "system:aggregate-to-view", may("get list watch", "endpointslices", SLICES)),
  since(22, "system:controller:job-controller", may("patch", "jobs", { in: "batch" })),
  since(
    21,
    "system:kube-scheduler",
    may("get list watch", "namespaces"),
    may("get list watch", "csidrivers csistoragecapacities", STORAGE),
  ),
  since(21, "system:controller:ephemeral-volume-controller system:controller:ttl-after-finished-controller"),
];

/** ServiceAccounts that bindings of some roles have named since a minor release. */
const NAMED = [{ minor: 31, account: "leader-election-controller" }] as const;

/** What of a later release's bootstrap policy an earlier one had. */
export function grantsBefore(grants: readonly BaselineGrant[], minor: number): readonly BaselineGrant[] {
  const later = HISTORY.filter((one) => one.minor > minor);
  const unnamed = NAMED.filter((one) => one.minor > minor).map(({ account }): string => account);
  return grants.flatMap((grant) => {
    const ofRole = later.filter(({ roles }) => roles.includes(grant.role.name));
    if (ofRole.some(({ rules }) => rules.length === 0)) return [];
    const introduced = ofRole.flatMap(({ rules }) => rules);
    const bindings = grant.bindings.map((binding) => ({
      ...binding,
      subjects: binding.subjects.filter(({ name }) => !unnamed.includes(name)),
    }));
    return [{ ...grant, rules: rulesWithout(grant.rules, introduced), bindings }];
  });
}
