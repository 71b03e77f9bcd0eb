import { describe, expect, it } from "vitest";
import { releasedVariants } from "../../../testing/rbac-baselines.ts";
import { ref, refId } from "../ref.ts";
import { type BaselineGrant, grantsOf } from "./baseline.ts";
import { BASELINES, baselineOf, isBootstrapObject } from "./baselines.ts";
import { grantsBefore, HISTORY } from "./bootstrap-history.ts";
import { compareWith, consequenceOf, ruleKey } from "./comparison.ts";
import { deniedOf, rulesOf, wantsOf } from "./rules.ts";

/** The baselines that hold what one file of facts has. */
const HELD_BY: Readonly<Record<string, readonly string[]>> = {
  antrea: ["antrea-agent", "antrea-controller"],
  "calico-manifest": ["calico-node", "calico-kube-controllers"],
  "cilium-agent": ["cilium"],
  "bootstrap-all": [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "endpointslice-controller",
    "kube-proxy",
  ],
  "kube-scheduler": ["kube-scheduler"],
  "kube-controller-manager": ["kube-controller-manager", "endpointslice-controller"],
  "kubelet-node": ["kube-apiserver", "kubeadm"],
  "kube-dns-legacy": ["kube-apiserver"],
};

const subjectKey = ({ kind, namespace, name }: { kind: string; namespace?: string | null | undefined; name: string }) =>
  [kind, namespace ?? "", name].join("/");

/** Roles and bindings as lines that can be compared. */
function linesOf(grants: readonly BaselineGrant[]): string[] {
  return grants.flatMap(({ role, rules, bindings, isForeign }) => [
    ...(isForeign ? [] : [refId(role), ...rules.map((rule) => `${refId(role)} ${ruleKey(rule)}`)]),
    ...bindings.map(
      ({ ref: self, subjects }) => `${refId(self)} -> ${refId(role)} ${subjects.map(subjectKey).sort().join(" ")}`,
    ),
  ]);
}

const released = releasedVariants();

describe("the baselines are what the releases' manifests say", () => {
  it.each(released.map((each) => [`${each.component} ${each.variant}`, each] as const))("%s", (_, each) => {
    const { component, variant } = each;
    const held = (HELD_BY[component] ?? [component]).flatMap((id) => {
      const baseline = baselineOf(id);
      const own = baseline?.variants.find((one) => one.id === variant) ?? baseline?.variants.at(-1);
      if (!baseline || !own) return [];
      // kube-proxy's releases are counted otherwise
      if (component === "bootstrap-all" && id === "kube-proxy")
        return linesOf(grantsOf(baseline, variant === "v1.32" ? baseline.variants[0]! : own));
      return linesOf(grantsOf(baseline, own));
    });
    const roles = [...each.clusterroles, ...each.roles].flatMap(({ metadata, rules }) => {
      const kind = metadata.namespace ? "Role" : "ClusterRole";
      const self = refId(ref(kind, metadata.name, metadata.namespace));
      return [self, ...(rules ?? []).map((rule) => `${self} ${ruleKey(rule)}`)];
    });
    const bindings = [...each.clusterrolebindings, ...each.rolebindings].map(({ metadata, roleRef, subjects }) => {
      const kind = metadata.namespace ? "RoleBinding" : "ClusterRoleBinding";
      const role = ref(roleRef.kind, roleRef.name, roleRef.kind === "Role" ? metadata.namespace : undefined);
      const names = (subjects ?? []).map(subjectKey).sort().join(" ");
      return `${refId(ref(kind, metadata.name, metadata.namespace))} -> ${refId(role)} ${names}`;
    });
    const truth = [...roles, ...bindings].sort();
    expect(truth.filter((line) => !held.includes(line))).toEqual([]);
    // and nothing else, where one baseline is one file
    if (HELD_BY[component] === undefined) expect(held.sort()).toEqual(truth);
  });

  it("has them all", () => {
    expect(released).toHaveLength(57);
    const rules = released
      .flatMap(({ clusterroles, roles }) => [...clusterroles, ...roles])
      .flatMap((one) => one.rules);
    expect(rules).toHaveLength(1662);
  });
});

describe("every permission has its consequence", () => {
  it.each(BASELINES.map((baseline) => [baseline.id, baseline] as const))("%s", (_, baseline) => {
    for (const variant of baseline.variants)
      for (const { role, rules } of grantsOf(baseline, variant))
        for (const rule of rules)
          for (const want of wantsOf(rule))
            expect(consequenceOf(baseline, role.name, want).says.zh, JSON.stringify(want)).toMatch(/\p{Script=Han}/u);
  });
});

describe("the variant is chosen by release and installer", () => {
  const chosen = (id: string, traits: Parameters<typeof compareWith>[1]) => {
    const { fit, variants } = compareWith(baselineOf(id)!, traits);
    return `${fit} ${variants.map((variant) => variant.id).join(" ")}`;
  };

  it.each([
    ["kube-proxy", { release: "v1.32.5" }, "exact v1.19"],
    ["kube-proxy", { release: "v1.36.0-rc.1" }, "exact v1.33"],
    ["kube-proxy", { release: "1.18.20" }, "older v1.19 v1.33"],
    ["cilium", { release: "v1.17.3" }, "exact v1.17"],
    ["cilium", { release: "v1.21.0" }, "newer v1.14 v1.15 v1.16 v1.17 v1.18 v1.19 v1.20"],
    ["calico-node", { release: "v3.29.1" }, "between v3.28 v3.30"],
    ["calico-node", { release: "latest" }, "unknown v3.24 v3.26 v3.28 v3.30 v3.31 v3.32"],
    ["flannel", { release: "v0.22.3", installer: "kubespray" }, "exact kubespray"],
    ["flannel", { release: "v0.28.9", installer: "helm" }, "exact helm"],
    ["flannel", { release: "v0.28.9" }, "exact v0.24"],
    ["coredns", { release: "v1.12.0", options: ["multicluster"] }, "exact multicluster"],
    ["coredns", { release: "v1.8.0" }, "exact v1.6"],
    ["coredns", { release: "1.8.4" }, "exact v1.7"],
    ["kindnet", { release: "v20250512-df8de77b" }, "exact v2024"],
    ["kindnet", { release: "v20210326-1e038dc5" }, "exact v2020"],
    ["kindnet", { release: "0.5.4" }, "exact v2020"],
    ["kube-scheduler", { release: "v1.33.13" }, "between v1.32 v1.36"],
    ["kube-scheduler", { release: "v1.27.16" }, "exact v1.32"],
    ["kube-scheduler", { release: "v1.19.0" }, "older v1.32 v1.36"],
  ] as const)("%s %j", (id, traits, expected) => {
    expect(chosen(id, traits)).toBe(expected);
  });

  it("between two releases only what both have is asked for", () => {
    const { grants } = compareWith(baselineOf("calico-node")!, { release: "v3.29.0" });
    const rules = grants.flatMap(({ rules: all }) => all);
    const groups = rules.flatMap(({ resources, verbs }) => (resources ?? []).map((one) => `${verbs} ${one}`));
    expect(groups).toContain("get,list,watch nodes");
    // v3.30 has it, v3.28 has not
    expect(grants.map(({ role }) => role.name)).not.toContain("calico-tier-getter");
  });
});

describe("releases before the oldest variant of the bootstrap policy", () => {
  const allowed = (id: string, release: string, role: string) =>
    compareWith(baselineOf(id)!, { release })
      .grants.filter((grant) => grant.role.name === role)
      .flatMap(({ rules }) => rules.flatMap((rule) => wantsOf(rule)))
      .map((want) => `${want.verb} ${"path" in want ? want.path : want.resource}`);

  it.each([
    ["v1.32.0", true],
    ["v1.31.14", false],
    ["v1.20.15", false],
  ])("%s: the controller of EndpointSlices watches them by its own account: %s", (release, expected) => {
    const of = allowed("endpointslice-controller", release, "system:controller:endpointslice-controller");
    expect(of.includes("watch endpointslices")).toBe(expected);
    expect(of).toEqual(expect.arrayContaining(["list endpointslices", "watch services", "update endpointslices"]));
  });

  it("have fewer roles, and name fewer accounts", () => {
    expect(allowed("kube-controller-manager", "v1.30.0", ADMISSION_STATUS)).not.toEqual([]);
    expect(allowed("kube-controller-manager", "v1.29.0", ADMISSION_STATUS)).toEqual([]);
    const subjects = (release: string) =>
      compareWith(baselineOf("kube-controller-manager")!, { release }).grants.flatMap(({ bindings }) =>
        bindings.flatMap((binding) => binding.subjects.map(({ name }) => name)),
      );
    expect(subjects("v1.31.0")).toContain("leader-election-controller");
    expect(subjects("v1.30.0")).not.toContain("leader-election-controller");
  });

  // a name that is mistyped would take nothing away
  const inBaselines = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "endpointslice-controller",
  ].flatMap((id) => grantsOf(baselineOf(id)!, baselineOf(id)!.variants[0]!));
  it.each(HISTORY.flatMap(({ minor, roles, rules }) => roles.map((role) => ({ minor, role, rules }))))(
    "1.$minor brought $role something",
    ({ minor, role, rules }) => {
      const at = (release: number) =>
        grantsBefore(inBaselines, release)
          .filter((grant) => grant.role.name === role)
          .flatMap((grant) => grant.rules.flatMap((rule) => wantsOf(rule)));
      const brought = at(minor).length - at(minor - 1).length;
      const said = rules.reduce((count, rule) => count + wantsOf(rule).length, 0);
      if (rules.length > 0) expect(brought).toBeGreaterThanOrEqual(said);
      else expect([at(minor - 1).length, brought > 0]).toEqual([0, true]);
    },
  );
});

const ADMISSION_STATUS = "system:controller:validatingadmissionpolicy-status-controller";

describe("what kube-apiserver makes again", () => {
  it.each([
    ["ClusterRole", "system:node-proxier", true],
    ["ClusterRoleBinding", "system:node-proxier", true],
    ["ClusterRoleBinding", "kubeadm:node-proxier", false],
    ["ClusterRole", "system:coredns", false],
    ["ClusterRole", "system:controller:endpointslice-controller", true],
    ["ClusterRole", "admin", true],
    ["ClusterRoleBinding", "kubeadm:kubelet-bootstrap", false],
    ["ClusterRole", "flannel", false],
  ] as const)("%s %s: %s", (kind, name, expected) => {
    expect(isBootstrapObject(ref(kind, name))).toBe(expected);
  });

  it("Roles too, in their namespaces", () => {
    expect(isBootstrapObject(ref("Role", "extension-apiserver-authentication-reader", "kube-system"))).toBe(true);
  });
});

describe("rules taken apart", () => {
  const rule = { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch"] };

  it("a rule is every verb of every resource of every group, and put together again it allows the same", () => {
    expect(wantsOf(rule)).toHaveLength(4);
    expect(deniedOf(rule, rulesOf(wantsOf(rule)))).toEqual([]);
  });

  it("names and paths are wants of their own", () => {
    expect(wantsOf({ ...rule, resourceNames: ["a", "b"] }, "shop")[1]).toEqual({
      ...{ verb: "create", apiGroup: "", resource: "events", name: "b", namespace: "shop" },
    });
    expect(wantsOf({ nonResourceURLs: ["/healthz/*"], verbs: ["get"] })).toEqual([{ verb: "get", path: "/healthz/*" }]);
  });

  it("a wildcard is allowed by a wildcard only", () => {
    const any = { apiGroups: ["*"], resources: ["*"], verbs: ["list"] };
    expect(deniedOf(any, [any])).toEqual([]);
    expect(deniedOf(any, [{ ...any, resources: ["pods", "nodes"] }])).toHaveLength(1);
  });

  it("what a rule limits to names is not allowed for all", () => {
    expect(deniedOf(rule, [{ ...rule, resourceNames: ["a"] }])).toHaveLength(4);
  });
});
