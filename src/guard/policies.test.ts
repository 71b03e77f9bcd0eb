/** What the policies refuse, by an evaluator of CEL; testing/live-cluster/guard.test.ts asks a real API server the same. */
import { Environment } from "@marcbachmann/cel-js";
import { describe, expect, it } from "vitest";
import { ref } from "../model/ref.ts";
import { guardPolicies, type Manifest } from "./policies.ts";
import type { ProtectedObject } from "./protected.ts";

const environment = new Environment({ unlistedVariablesAreDyn: true });

type Change = {
  readonly operation: "DELETE" | "UPDATE";
  readonly resource: string;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly object?: object;
  readonly oldObject: object;
};

type Expression = { readonly name: string; readonly expression: string };
type Policy = {
  readonly matchConstraints: { readonly resourceRules: readonly { operations: string[]; resources: string[] }[] };
  readonly matchConditions: readonly Expression[];
  readonly variables?: readonly Expression[];
  readonly validations: readonly { expression: string; messageExpression: string }[];
};

/** As the API server asks policies: those that match, each of their validations; the first refusal, if there is one. */
function refusal(manifests: readonly Manifest[], change: Change): string | undefined {
  const { operation, resource, user = "kubernetes-admin", groups = ["system:masters"] } = change;
  // numbers of Kubernetes are integers
  const integers = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value ?? null), (_, one) => (typeof one === "number" ? BigInt(one) : one));
  const request = { resource: { resource: resource.split("/")[0] }, name: "", userInfo: { username: user, groups } };
  const given = { request, object: integers(change.object), oldObject: integers(change.oldObject) };
  for (const { kind, spec } of manifests) {
    if (kind !== "ValidatingAdmissionPolicy") continue;
    const policy = spec as Policy;
    const isMeant = policy.matchConstraints.resourceRules.some(
      ({ operations, resources }) => operations.includes(operation) && resources.includes(resource),
    );
    if (!isMeant || !policy.matchConditions.every(({ expression }) => environment.evaluate(expression, given) === true))
      continue;
    const variables = Object.fromEntries(
      (policy.variables ?? []).map(({ name, expression }) => [name, environment.evaluate(expression, given)]),
    );
    for (const { expression, messageExpression } of policy.validations) {
      if (environment.evaluate(expression, { ...given, variables }) !== true)
        return environment.evaluate(messageExpression, given) as string;
    }
  }
  return undefined;
}

const RULES = [
  { apiGroups: [""], resources: ["nodes", "services"], verbs: ["list", "watch"] },
  { apiGroups: [""], resources: ["configmaps"], resourceNames: ["flannel"], verbs: ["get"] },
  { nonResourceURLs: ["/healthz"], verbs: ["get"] },
];

const OBJECTS: readonly ProtectedObject[] = [
  { object: ref("ClusterRole", "flannel"), of: ["flannel"], rules: RULES, subjects: [] },
  {
    object: ref("ClusterRoleBinding", "flannel"),
    of: ["flannel"],
    rules: [],
    subjects: ["ServiceAccount/a/flannel", "User//u"],
  },
  { object: ref("ConfigMap", "coredns", "kube-system"), of: ["CoreDNS"], rules: [], subjects: [] },
  { object: ref("Deployment", "coredns", "kube-system"), of: ["CoreDNS"], rules: [], subjects: [] },
  { object: ref("Namespace", "kube-flannel"), of: ["flannel"], rules: [], subjects: [] },
];
const POLICIES = guardPolicies(OBJECTS, {
  exemptUsers: ["system:serviceaccount:o:operator"],
  action: "deny",
  api: "v1",
});

const named = (name: string, namespace?: string, annotations?: object) => ({
  metadata: { name, ...(namespace !== undefined && { namespace }), ...(annotations && { annotations }) },
});
const asked = (change: Change) => refusal(POLICIES, change);
const deleted = (resource: string, oldObject: object, who: Partial<Change> = {}) =>
  asked({ operation: "DELETE", resource, oldObject, ...who });
const updated = (resource: string, before: object, after: object) =>
  asked({ operation: "UPDATE", resource, oldObject: before, object: after });

describe("a deletion", () => {
  const role = named("flannel");
  it("is refused of what is protected, by the name that only the old object has", () => {
    expect(deleted("clusterroles", role)).toContain("netwhy guard: clusterroles/flannel is not deleted");
    expect(deleted("namespaces", named("kube-flannel"))).toBeDefined();
    expect(deleted("configmaps", named("coredns", "kube-system"))).toBeDefined();
  });

  it("passes of all else: another name, another namespace, another kind", () => {
    expect(deleted("clusterroles", named("flannel2"))).toBeUndefined();
    expect(deleted("configmaps", named("coredns", "shop"))).toBeUndefined();
    expect(deleted("clusterrolebindings", named("coredns"))).toBeUndefined();
  });

  it("passes where the object itself allows it, and only in that word", () => {
    const annotated = (value: string) => named("flannel", undefined, { "netwhy.io/allow-delete": value });
    expect(deleted("clusterroles", annotated("true"))).toBeUndefined();
    expect(deleted("clusterroles", annotated("false"))).toBeDefined();
    expect(deleted("clusterroles", named("flannel", undefined, { other: "true" }))).toBeDefined();
  });

  it("passes from controllers, operators and the exempt group", () => {
    for (const user of [
      "system:serviceaccount:kube-system:namespace-controller",
      "system:serviceaccount:kube-system:generic-garbage-collector",
      "system:serviceaccount:o:operator",
    ])
      expect(deleted("clusterroles", role, { user, groups: [] })).toBeUndefined();
    expect(deleted("clusterroles", role, { groups: ["netwhy:guard-exempt"] })).toBeUndefined();
    expect(deleted("clusterroles", role, { user: "system:serviceaccount:x:operator" })).toBeDefined();
  });
});

describe("an update", () => {
  const role = (rules: object[] | null, annotations?: object) => ({
    ...named("flannel", undefined, annotations),
    rules,
  });
  const full = role(RULES);

  it("of a role may add, widen and rearrange, and take away nothing that is needed", () => {
    const [first, ...rest] = RULES;
    const apart = first!.resources!.map((resource) => ({ ...first, resources: [resource] }));
    expect(updated("clusterroles", full, role([...apart, ...rest]))).toBeUndefined();
    expect(
      updated("clusterroles", full, role([...RULES, { apiGroups: [""], resources: ["pods"], verbs: ["get"] }])),
    ).toBeUndefined();
    expect(
      updated("clusterroles", full, role([...rest, { apiGroups: ["*"], resources: ["*"], verbs: ["*"] }])),
    ).toBeUndefined();
    for (const gone of RULES.keys())
      expect(updated("clusterroles", full, role(RULES.filter((_, index) => index !== gone))), `${gone}`).toBeDefined();
    expect(updated("clusterroles", full, role([{ ...first, verbs: ["list"] }, ...rest]))).toBeDefined();
    expect(updated("clusterroles", full, role([{ ...first, resourceNames: ["x"] }, ...rest]))).toBeDefined();
    expect(updated("clusterroles", full, role(null))).toBeDefined();
  });

  it("of a role that is broken already is no new harm", () => {
    expect(updated("clusterroles", role(null), role([]))).toBeUndefined();
    expect(updated("clusterroles", role(null), full)).toBeUndefined();
  });

  it("passes where the new object allows it", () => {
    expect(updated("clusterroles", full, role([], { "netwhy.io/allow-update": "true" }))).toBeUndefined();
    expect(updated("clusterroles", role(RULES, { "netwhy.io/allow-delete": "true" }), role([]))).toBeDefined();
  });

  it("of a binding keeps its subjects", () => {
    const account = { kind: "ServiceAccount", namespace: "a", name: "flannel" };
    const user = { kind: "User", name: "u" };
    const bound = (...subjects: object[]) => ({ ...named("flannel"), subjects });
    expect(
      updated("clusterrolebindings", bound(account, user), bound(user, account, { kind: "Group", name: "g" })),
    ).toBeUndefined();
    expect(updated("clusterrolebindings", bound(account, user), bound(user))).toBeDefined();
    expect(updated("clusterrolebindings", bound(account, user), named("flannel"))).toBeDefined();
    expect(updated("clusterrolebindings", bound(user), bound({ ...account, namespace: "b" }, user))).toBeUndefined();
  });

  it("of a ConfigMap keeps its keys, and none becomes empty", () => {
    const config = (data?: object) => ({ ...named("coredns", "kube-system"), ...(data && { data }) });
    expect(updated("configmaps", config({ Corefile: "a" }), config({ Corefile: "b" }))).toBeUndefined();
    expect(updated("configmaps", config({ Corefile: "a" }), config({ Corefile: "" }))).toBeDefined();
    expect(updated("configmaps", config({ Corefile: "a" }), config())).toBeDefined();
  });

  it("of a Deployment keeps a replica, also by its scale, which leaves a zero out", () => {
    const of = (spec: object) => ({ ...named("coredns", "kube-system"), spec });
    expect(updated("deployments", of({ replicas: 2 }), of({ replicas: 0 }))).toBeDefined();
    expect(updated("deployments", of({ replicas: 2 }), of({ replicas: 1 }))).toBeUndefined();
    expect(updated("deployments", of({ replicas: 0 }), of({ replicas: 0 }))).toBeUndefined();
    expect(updated("deployments/scale", of({ replicas: 2 }), of({}))).toBeDefined();
    expect(updated("deployments/scale", of({ replicas: 2 }), of({ replicas: 3 }))).toBeUndefined();
  });
});

describe("the policies", () => {
  it("have a binding each, which warns where that is wanted", () => {
    const kinds = POLICIES.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind.endsWith("Binding"))).toHaveLength(kinds.length / 2);
    const [, warning] = guardPolicies(OBJECTS, { exemptUsers: [], action: "warn", api: "v1" });
    expect(warning!.spec.validationActions).toEqual(["Warn", "Audit"]);
  });

  it("are made only for what there is", () => {
    expect(guardPolicies([], { exemptUsers: [], action: "deny", api: "v1" })).toEqual([]);
    const names = guardPolicies(OBJECTS.slice(4), { exemptUsers: [], action: "deny", api: "v1" }).map(
      ({ metadata }) => metadata.name,
    );
    expect(new Set(names)).toEqual(new Set(["netwhy-guard-deletes"]));
  });
});
