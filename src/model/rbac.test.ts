import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import type { ListId } from "../evidence/catalogue.ts";
import type { PolicyRule, Role, RoleBinding } from "../parse/objects.ts";
import type { ClusterModel } from "./model.ts";
import { type Access, rbacOf, ruleAllows, type User, type Want } from "./rbac.ts";
import { ref } from "./ref.ts";

type Lists = { [list in "roles" | "rolebindings" | "clusterroles" | "clusterrolebindings"]?: readonly unknown[] };

/** A cluster with these RBAC objects and no others. */
function modelWith(lists: Lists): ClusterModel {
  return cluster({ nodes: 1 })
    .edit((draft) => {
      for (const list of ["roles", "rolebindings", "clusterroles", "clusterrolebindings"] as const)
        draft.setList(list, (lists[list] ?? []) as never);
    })
    .model();
}

describe("the authorizer of Kubernetes, case by case", () => {
  type Case = {
    id: string;
    kind: "authorizer" | "rule";
    rule: PolicyRule;
    roles: Role[] | null;
    clusterRoles: Role[] | null;
    roleBindings: RoleBinding[] | null;
    clusterRoleBindings: RoleBinding[] | null;
    requests: {
      allowed: boolean;
      user?: string;
      groups?: string[];
      verb: string;
      apiGroup: string;
      resource: string;
      subresource: string;
      name?: string;
      namespace?: string;
      path?: string;
    }[];
  };
  const cases = readFileSync(new URL("../../testing/semantics/rbac.jsonl", import.meta.url), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Case);

  const wantOf = (request: Case["requests"][number]): Want =>
    request.path !== undefined
      ? { verb: request.verb, path: request.path }
      : {
          verb: request.verb,
          apiGroup: request.apiGroup,
          resource: request.subresource ? `${request.resource}/${request.subresource}` : request.resource,
          ...(request.name && { name: request.name }),
          ...(request.namespace && { namespace: request.namespace }),
        };

  it.each(cases)("$id", (each) => {
    const named = (list: readonly { metadata?: object }[] | null) =>
      (list ?? []).map((object, index) => ({ ...object, metadata: { name: `unnamed-${index}`, ...object.metadata } }));
    const { rbac } =
      each.kind === "rule"
        ? modelWith({})
        : modelWith({
            roles: named(each.roles),
            rolebindings: named(each.roleBindings),
            clusterroles: named(each.clusterRoles),
            clusterrolebindings: named(each.clusterRoleBindings),
          });
    for (const request of each.requests) {
      const want = wantOf(request);
      const user: User = { name: request.user ?? "", groups: request.groups ?? [] };
      const isAllowed =
        each.kind === "rule" ? ruleAllows(each.rule, want) : rbac.userAccess(user, want).state === "allowed";
      expect({ request, isAllowed }).toEqual({ request, isAllowed: request.allowed });
    }
  });

  it("has them all", () => {
    expect(cases.flatMap(({ requests }) => requests)).toHaveLength(104);
  });
});

describe("why an account may not", () => {
  const account = { namespace: "kube-system", name: "kube-proxy" };
  const want: Want = { verb: "list", apiGroup: "discovery.k8s.io", resource: "endpointslices" };
  const proxyRole = ref("ClusterRole", "system:node-proxier");
  const proxyBinding = ref("ClusterRoleBinding", "kubeadm:node-proxier");
  const reason = (access: Access) => (access.state === "denied" ? access.because : access.state);

  it("is allowed, and the binding and the rule prove it", () => {
    const access = cluster().model().rbac.access(account, want);
    expect(access.state).toBe("allowed");
    const quotes = access.state === "allowed" ? access.by.map(({ quote }) => quote) : [];
    expect(quotes[0]).toContain("kubeadm:node-proxier: roleRef ClusterRole/system:node-proxier");
    expect(quotes[1]).toContain("endpointslices");
  });

  it("role gone, binding gone, rule gone are three things", () => {
    const healthy = cluster();
    const roleGone = healthy.with({ do: "delete", target: proxyRole }).model();
    expect(reason(roleGone.rbac.access(account, want))).toEqual({
      reason: "role-missing",
      roles: [proxyRole],
      bindings: [proxyBinding],
    });
    const bindingGone = healthy.with({ do: "delete", target: proxyBinding }).model();
    expect(reason(bindingGone.rbac.access(account, want))).toEqual({ reason: "no-binding" });
    const ruleGone = healthy.with({ do: "patch", target: proxyRole, patch: { rules: [] } }).model();
    expect(reason(ruleGone.rbac.access(account, want))).toMatchObject({ reason: "rule-missing", roles: [proxyRole] });
  });

  it.each(["clusterroles", "clusterrolebindings"] as const)("cannot tell without %s", (list: ListId) => {
    const broken = cluster().with({ do: "delete", target: proxyRole }).without(list).model();
    expect(broken.rbac.access(account, want)).toEqual({ state: "unknown", missing: [list] });
  });

  it("a list with gaps proves that a role is there, and not that it is not", () => {
    const gapped = (model: ClusterModel) =>
      rbacOf({ ...model.objects, isWhole: (list) => list !== "clusterrolebindings" });
    const healthy = cluster();
    expect(gapped(healthy.model()).access(account, want).state).toBe("allowed");
    const bindingGone = healthy.with({ do: "delete", target: proxyBinding }).model();
    expect(gapped(bindingGone).access(account, want).state).toBe("unknown");
  });
});

describe("what a rule means", () => {
  const rule = (over: PolicyRule): PolicyRule => ({ verbs: ["*"], apiGroups: ["*"], resources: ["*"], ...over });
  const ask = (resource: string, name?: string): Want => ({
    verb: "get",
    apiGroup: "",
    resource,
    ...(name && { name }),
  });

  it("an aggregated ClusterRole counts with the rules that stand in it", () => {
    const { rbac } = modelWith({
      clusterroles: [
        {
          metadata: { name: "all" },
          aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: "yes" } }] },
          rules: null,
        },
        {
          metadata: { name: "part", labels: { part: "yes" } },
          rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }],
        },
      ],
      clusterrolebindings: [
        {
          metadata: { name: "all" },
          roleRef: { kind: "ClusterRole", name: "all" },
          subjects: [{ kind: "User", name: "jane" }],
        },
      ],
    });
    expect(rbac.userAccess({ name: "jane", groups: [] }, ask("pods")).state).toBe("denied");
  });

  it("resource names limit a rule to requests that name one of them", () => {
    const limited = rule({ resourceNames: ["kube-proxy"] });
    expect(ruleAllows(limited, ask("configmaps", "kube-proxy"))).toBe(true);
    expect(ruleAllows(limited, ask("configmaps", "coredns"))).toBe(false);
    expect(ruleAllows(limited, ask("configmaps"))).toBe(false);
  });

  it("a resource does not include its subresources, and */status does not include the resource", () => {
    expect(ruleAllows(rule({ resources: ["nodes"] }), ask("nodes/status"))).toBe(false);
    expect(ruleAllows(rule({ resources: ["*/status"] }), ask("nodes/status"))).toBe(true);
    expect(ruleAllows(rule({ resources: ["*/status"] }), ask("nodes"))).toBe(false);
  });

  it("a RoleBinding grants in its namespace only, whatever role it names, and never a path", () => {
    const { rbac } = modelWith({
      clusterroles: [
        {
          metadata: { name: "reader" },
          rules: [
            { verbs: ["get"], apiGroups: [""], resources: ["pods"] },
            { verbs: ["get"], nonResourceURLs: ["/healthz"] },
          ],
        },
      ],
      rolebindings: [
        {
          metadata: { name: "reader", namespace: "shop" },
          roleRef: { kind: "ClusterRole", name: "reader" },
          subjects: [{ kind: "ServiceAccount", name: "web" }],
        },
      ],
    });
    const web = { namespace: "shop", name: "web" };
    expect(rbac.access(web, { ...ask("pods"), namespace: "shop" }).state).toBe("allowed");
    expect(rbac.access(web, { ...ask("pods"), namespace: "other" }).state).toBe("denied");
    expect(rbac.access(web, ask("pods")).state).toBe("denied");
    expect(rbac.access(web, { verb: "get", path: "/healthz" }).state).toBe("denied");
    expect(rbac.access({ namespace: "other", name: "web" }, { ...ask("pods"), namespace: "shop" }).state).toBe(
      "denied",
    );
  });

  it("nothing is denied to system:masters", () => {
    const { rbac } = modelWith({});
    expect(rbac.userAccess({ name: "admin", groups: ["system:masters"] }, ask("secrets")).state).toBe("allowed");
  });
});
