import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ManifestObject } from "../model/changes/change.ts";
import { ruleAllows, type Want } from "../model/rbac.ts";
import type { PolicyRule } from "../parse/objects.ts";
import type { Snapshot, Without } from "./archive.ts";
import { differenceOf, differencesBetween } from "./differences.ts";
import { gainsBetween } from "./grants.ts";
import { mergePatchBetween } from "./merge-patch.ts";
import { beyond, inWords } from "./permissions.ts";
import { restorePlan } from "./restore-plan.ts";

const RBAC = "rbac.authorization.k8s.io/v1";
const rule = (verbs: string, resources: string, more: PolicyRule = {}): PolicyRule => ({
  apiGroups: [""],
  resources: resources.split(","),
  verbs: verbs.split(","),
  ...more,
});
const role = (name: string, ...rules: PolicyRule[]): ManifestObject => ({
  apiVersion: RBAC,
  kind: "ClusterRole",
  metadata: { name },
  rules,
});
const binding = (name: string, to: string, ...accounts: string[]): ManifestObject => ({
  apiVersion: RBAC,
  kind: "ClusterRoleBinding",
  metadata: { name },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: to },
  subjects: accounts.map((account) => ({ kind: "ServiceAccount", name: account, namespace: "net" })),
});
const snapshot = (objects: readonly ManifestObject[], without: readonly Without[] = []): Snapshot => ({
  head: { cluster: "lab", takenAt: "2026-11-22T00:00:00Z", tool: "0", without },
  objects,
});

describe("what roles permit", () => {
  it("is the same however it is written", () => {
    const one = role("a", rule("get,list", "pods,nodes"));
    const other = role(
      "a",
      rule("list", "nodes"),
      rule("get", "pods"),
      rule("get", "nodes"),
      rule("list", "pods,pods"),
    );
    expect(differenceOf(one, other)).toBeUndefined();
  });

  it("is told by what was gained and lost", () => {
    const before = role(
      "a",
      rule("get", "pods"),
      rule("list,watch", "nodes"),
      rule("get", "secrets", { resourceNames: ["x"] }),
    );
    const after = role("a", rule("*", "pods"), rule("list", "nodes"), rule("get", "secrets"));
    expect(differenceOf(before, after)).toMatchObject({
      gained: ["*: pods", "get: secrets"],
      lost: ["watch: nodes"],
      fields: [],
    });
  });

  it("of random rules: beyond is what the one allows and the other does not", () => {
    const words = (...all: string[]) => fc.subarray(all, { minLength: 1 });
    const anyRule = fc.record({
      verbs: words("get", "list", "*"),
      apiGroups: words("", "apps", "*"),
      resources: words("pods", "pods/log", "*", "*/log"),
      resourceNames: fc.oneof(fc.constant<string[]>([]), words("a", "b")),
    });
    const anyWant = fc.record({
      verb: fc.constantFrom("get", "list", "delete"),
      apiGroup: fc.constantFrom("", "apps", "x"),
      resource: fc.constantFrom("pods", "pods/log", "nodes"),
      name: fc.constantFrom("a", "c"),
    });
    const rules = fc.array(anyRule, { maxLength: 3 });
    fc.assert(
      fc.property(rules, rules, anyWant, (some, others, want: Want) => {
        const allows = (list: readonly PolicyRule[]) => list.some((each) => ruleAllows(each, want));
        // nothing is gained of which nothing is told
        if (allows(some) && !allows(others)) expect(inWords(beyond(some, others))).not.toEqual([]);
        expect(beyond(some, some)).toEqual([]);
      }),
    );
  });
});

describe("two snapshots", () => {
  it("differ in objects, and in who may do what", () => {
    const old = snapshot([role("a", rule("get", "pods")), binding("a", "a", "agent")]);
    const now = snapshot([role("b", rule("get", "pods")), binding("a", "b", "agent", "other")]);
    const { differences } = differencesBetween(old, now);
    expect(
      differences.map(({ object, change, roleRef, bound }) => ({ name: object.name, change, roleRef, bound })),
    ).toEqual([
      { name: "a", change: "removed", roleRef: undefined, bound: [] },
      { name: "b", change: "added", roleRef: undefined, bound: [] },
      {
        name: "a",
        change: "changed",
        roleRef: { before: "ClusterRole/a", after: "ClusterRole/b" },
        bound: ["ServiceAccount/net/other"],
      },
    ]);
    // the agent may do by the other role what it might do by the first
    expect(gainsBetween(old.objects, now.objects)).toEqual([
      { subject: "ServiceAccount/net/other", may: ["get: pods"] },
    ]);
  });

  it("do not differ in what one of them could not see", () => {
    const old = snapshot([role("a")]);
    const gap = { kind: "ClusterRole", why: "forbidden" };
    const { differences, uncompared } = differencesBetween(old, snapshot([], [gap]));
    expect({ differences, uncompared }).toEqual({ differences: [], uncompared: [gap] });
  });

  it("what is granted in all namespaces is no gain in one", () => {
    const inOne: ManifestObject = {
      ...binding("a", "a", "agent"),
      kind: "RoleBinding",
      metadata: { name: "a", namespace: "net" },
    };
    const roles = [role("a", rule("get", "pods"))];
    expect(gainsBetween([...roles, binding("a", "a", "agent")], [...roles, inOne])).toEqual([]);
    expect(gainsBetween([...roles, inOne], [...roles, binding("a", "a", "agent")])).toHaveLength(1);
  });
});

describe("the plan of a restore", () => {
  const account: ManifestObject = {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "agent", namespace: "net" },
  };
  const space: ManifestObject = { apiVersion: "v1", kind: "Namespace", metadata: { name: "net" } };
  const all = [binding("a", "a", "agent"), role("a", rule("get", "pods")), account, space];

  it("makes first what others need, and says who may do more", () => {
    const { steps, gains } = restorePlan(all, snapshot([]));
    expect(steps.map(({ object, action }) => `${action} ${object.kind}`)).toEqual([
      "create Namespace",
      "create ServiceAccount",
      "create ClusterRole",
      "create ClusterRoleBinding",
    ]);
    expect(steps.some(({ widens }) => widens)).toBe(false);
    expect(gains).toEqual([{ subject: "ServiceAccount/net/agent", may: ["get: pods"] }]);
  });

  it("of a role that comes back, whose binding is there, is a gain as well", () => {
    const { gains } = restorePlan([all[1]!], snapshot([all[0]!]));
    expect(gains).toHaveLength(1);
  });

  it("knows what widens: rules, subjects and another role, but nothing that narrows", () => {
    const action = (object: ManifestObject, present: ManifestObject) => {
      const [step] = restorePlan([object], snapshot([present])).steps;
      return step && `${step.action}${step.widens ? ", wider" : ""}`;
    };
    const narrow = role("a", rule("get", "pods"));
    const wide = role("a", rule("get,list", "pods"));
    expect(action(wide, narrow)).toBe("update, wider");
    expect(action(narrow, wide)).toBe("update");
    expect(action(narrow, narrow)).toBeUndefined();
    expect(action(binding("a", "a", "x", "y"), binding("a", "a", "x"))).toBe("update, wider");
    expect(action(binding("a", "a"), binding("a", "a", "x"))).toBe("update");
    expect(action(binding("a", "b", "x"), binding("a", "a", "x"))).toBe("replace, wider");
  });

  it("of what could not be seen is an apply", () => {
    const { steps } = restorePlan([role("a")], snapshot([], [{ kind: "ClusterRole", why: "forbidden" }]));
    expect(steps.map(({ action }) => action)).toEqual(["apply"]);
  });
});

describe("a merge patch", () => {
  it("makes of any value any other", () => {
    const merged = (target: unknown, patch: unknown): unknown => {
      if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
      const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
      const result: Record<string, unknown> = { ...base };
      for (const [key, part] of Object.entries(patch)) {
        if (part === null) delete result[key];
        else result[key] = merged(result[key], part);
      }
      return result;
    };
    const { object } = fc.letrec((tie) => ({
      object: fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { noNullPrototype: true }),
      value: fc.oneof(
        fc.integer({ max: 3, min: 0 }),
        fc.array(fc.integer({ max: 3, min: 0 }), { maxLength: 2 }),
        tie("object"),
      ),
    }));
    fc.assert(
      fc.property(object, object, (from, to) => {
        const patch = mergePatchBetween(from as object as never, to as object as never);
        expect(patch === undefined ? from : merged(from, patch)).toEqual(to);
      }),
    );
  });
});
