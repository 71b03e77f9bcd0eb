import { describe, expect, it } from "vitest";
import { denialIn, grantOf, isNeeded, readingRules, widened } from "./rights.ts";

describe("words of a refusal", () => {
  it.each([
    [
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" at the cluster scope',
      { user: "jane", right: { verb: "list", group: "", resource: "pods" } },
    ],
    [
      'daemonsets.apps is forbidden: User "system:serviceaccount:ops:eye" cannot list resource "daemonsets" in API group "apps" in the namespace "shop": RBAC: clusterrole.rbac.authorization.k8s.io "x" not found',
      {
        user: "system:serviceaccount:ops:eye",
        right: { verb: "list", group: "apps", resource: "daemonsets", namespace: "shop" },
      },
    ],
    ['forbidden: User "jane" cannot get path "/readyz"', { user: "jane", right: { verb: "get", url: "/readyz" } }],
    ["pods is forbidden", undefined],
    ['pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)', undefined],
    ["Unauthorized", undefined],
    ["the server could not find the requested resource", undefined],
  ])("%s", (words, expected) => expect(denialIn(words)).toEqual(expected));
});

describe("what would grant it", () => {
  const right = (verb: string, resource: string, namespace?: string, group = "") => ({
    verb,
    group,
    resource,
    ...(namespace !== undefined && { namespace }),
  });

  it("is one role for the cluster and one for each namespace, bound to who was refused", () => {
    const asked = [
      right("list", "pods"),
      right("list", "services"),
      right("list", "leases", undefined, "coordination.k8s.io"),
      { verb: "get", url: "/readyz" },
      right("create", "pods/exec", "kube-system"),
    ];
    const metadata = { name: expect.stringMatching(/^netwhy-[0-9a-f]{8}$/) };
    const subjects = [{ kind: "ServiceAccount", namespace: "ops", name: "eye" }];
    expect(grantOf(asked, "system:serviceaccount:ops:eye")).toMatchObject([
      {
        kind: "ClusterRole",
        metadata,
        rules: [
          { apiGroups: [""], resources: ["pods", "services"], verbs: ["list", "watch"] },
          { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["list", "watch"] },
          { nonResourceURLs: ["/readyz"], verbs: ["get"] },
        ],
      },
      { kind: "ClusterRoleBinding", subjects },
      {
        kind: "Role",
        metadata: { ...metadata, namespace: "kube-system" },
        rules: [{ apiGroups: [""], resources: ["pods/exec"], verbs: ["create", "get"] }],
      },
      { kind: "RoleBinding", metadata: { namespace: "kube-system" }, subjects },
    ]);
  });

  it("of our agents is their key and the way to them, and no other Secret", () => {
    for (const resource of ["secrets", "pods/proxy"]) {
      expect(grantOf([right("get", resource, "netwhy")])[0]).toMatchObject({
        kind: "Role",
        metadata: { namespace: "netwhy" },
        rules: [
          { resources: ["pods/proxy"], verbs: ["get"] },
          { resources: ["secrets"], resourceNames: ["netwhy-agent"], verbs: ["get"] },
        ],
      });
    }
  });

  it("of metrics is the way to the Pods that tell them, and not the agents' key", () => {
    expect(grantOf([right("get", "pods/proxy", "kube-system")])[0]).toMatchObject({
      kind: "Role",
      metadata: { namespace: "kube-system" },
      rules: [{ resources: ["pods/proxy"], verbs: ["get"] }],
    });
  });

  it("takes nothing away that was granted before: other rules have another name", () => {
    const names = [[right("list", "pods")], [right("list", "nodes")]].map((rights) => grantOf(rights)[0]!.metadata);
    expect(names[0]).not.toEqual(names[1]);
    expect(grantOf([right("list", "pods")])[0]!.metadata).toEqual(names[0]);
  });

  it("names nobody whom it does not know", () => {
    expect(grantOf([right("list", "pods")])[1]).toMatchObject({
      subjects: [{ kind: "User", name: "WHO-RUNS-NETWHY" }],
    });
  });

  it("asks for the whole cluster where one namespace was refused and netwhy reads them all", () => {
    expect(widened({ right: right("get", "pods/log", "shop") })).toEqual({ right: right("get", "pods/log") });
    const exec = { right: right("create", "pods/exec", "kube-system") };
    expect(widened(exec)).toEqual(exec);
  });

  it("is only of what netwhy needs, whatever a stranger's bundle says", () => {
    expect(isNeeded(right("list", "pods"))).toBe(true);
    expect(isNeeded({ verb: "get", url: "/readyz?verbose" })).toBe(true);
    for (const [verb, resource] of [
      ["*", "*"],
      ["delete", "nodes"],
      ["list", "secrets"],
      ["impersonate", "users"],
    ] as const)
      expect(isNeeded(right(verb, resource)), `${verb} ${resource}`).toBe(false);
  });
});

it("reading changes nothing and asks for no Secrets", () => {
  for (const { verbs, resources = [] } of readingRules()) {
    expect(verbs.every((verb) => ["get", "list", "watch"].includes(verb))).toBe(true);
    expect(resources).not.toContain("secrets");
    expect([...resources, ...verbs]).not.toContain("*");
  }
});
