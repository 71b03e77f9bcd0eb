/**
 * Who may do what: the RBAC authorizer.
 *
 * Source: kubernetes plugin/pkg/auth/authorizer/rbac/rbac.go and pkg/registry/rbac/validation/rule.go (visitRulesFor,
 * appliesTo), pkg/apis/rbac/v1/evaluation_helpers.go (VerbMatches, APIGroupMatches, ResourceMatches,
 * ResourceNameMatches, NonResourceURLMatches). Names are compared as they are written. Aggregated ClusterRoles count
 * with the rules that the aggregation controller wrote into them, because that is what the authorizer reads.
 */
import type { Evidence } from "../evidence/origin.ts";
import type { PolicyRule, Role, RoleBinding } from "../parse/objects.ts";
import type { Objects } from "./objects.ts";
import { type Ref, ref } from "./ref.ts";

export type Account = { readonly namespace: string; readonly name: string };
export type User = { readonly name: string; readonly groups: readonly string[] };

export type Want =
  | {
      readonly verb: string;
      readonly apiGroup: string;
      /** With its subresource, if any: `nodes/status`. */
      readonly resource: string;
      readonly name?: string;
      /** Missing: at the cluster scope, or in all namespaces. */
      readonly namespace?: string;
    }
  | { readonly verb: string; readonly path: string };

export type Access =
  | { readonly state: "allowed"; readonly by: readonly Evidence[] }
  | { readonly state: "denied"; readonly because: Denial; readonly evidence: readonly Evidence[] }
  /** Lists that would tell are missing or incomplete. */
  | { readonly state: "unknown"; readonly missing: readonly RbacList[] };

export type RbacList = "clusterroles" | "clusterrolebindings" | "roles" | "rolebindings";

export type Denial =
  /** No binding names the account. */
  | { readonly reason: "no-binding" }
  /** Bindings name it, and every role that they refer to does not exist. */
  | { readonly reason: "role-missing"; readonly roles: readonly Ref[]; readonly bindings: readonly Ref[] }
  /** Its roles exist, and none has a rule that allows it. */
  | { readonly reason: "rule-missing"; readonly roles: readonly Ref[]; readonly bindings: readonly Ref[] };

export interface Rbac {
  /** Every binding with its role, whether that exists or not. */
  readonly grants: readonly Grant[];
  /** May this ServiceAccount do this? */
  access(account: Account, want: Want): Access;
  /** May this user? */
  userAccess(user: User, want: Want): Access;
  /**
   * All rules that hold for a user: at the cluster scope, or in a namespace.
   *
   * @returns `missing`: lists that may hold more of them
   */
  rulesFor(user: User, namespace?: string): UserRules;
  /** The bindings that name a ServiceAccount, anywhere. */
  bindingsOf(account: Account): readonly Grant[];
  /** All bindings that refer to a role, whomever they name. */
  bindingsTo(role: Ref): readonly Grant[];
  /** A binding with its role and its subjects. */
  quote(grant: Grant): Evidence;
}

export type UserRules = { readonly rules: readonly PolicyRule[]; readonly missing: readonly RbacList[] };

/** A binding with the role that it refers to. */
export type Grant = {
  readonly binding: RoleBinding;
  readonly ref: Ref;
  /** Undefined: it grants everywhere. */
  readonly namespace?: string;
  readonly role: Ref;
};

export function ruleAllows(rule: PolicyRule, want: Want): boolean {
  const names = (list: readonly string[] | null | undefined, name: string) =>
    (list ?? []).some((entry) => entry === "*" || entry === name);
  if (!names(rule.verbs, want.verb)) return false;
  if ("path" in want) return (rule.nonResourceURLs ?? []).some((entry) => urlMatches(entry, want.path));
  if (!names(rule.apiGroups, want.apiGroup) || !resourceMatches(rule.resources ?? [], want.resource)) return false;
  return !rule.resourceNames?.length || (want.name !== undefined && rule.resourceNames.includes(want.name));
}

function resourceMatches(resources: readonly string[], resource: string): boolean {
  const slash = resource.indexOf("/");
  const anyWithSubresource = slash < 0 ? undefined : `*${resource.slice(slash)}`;
  return resources.some((entry) => entry === "*" || entry === resource || entry === anyWithSubresource);
}

function urlMatches(entry: string, path: string): boolean {
  if (entry === "*" || entry === path) return true;
  return entry.endsWith("*") && path.startsWith(entry.replace(/\*+$/, ""));
}

export function serviceAccountUser({ namespace, name }: Account): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
  };
}

/** Whom a binding names; `ns` of a subject without one is that of its RoleBinding. */
function namedBy({ binding, namespace }: Grant): string[] {
  return (binding.subjects ?? []).flatMap(({ kind, name, namespace: subjectNamespace }) => {
    if (kind === "User" || kind === "Group") return [`${kind} ${name}`];
    const ns = subjectNamespace || namespace;
    return kind === "ServiceAccount" && ns !== undefined ? [`User system:serviceaccount:${ns}:${name}`] : [];
  });
}

export function rbacOf(objects: Objects): Rbac {
  const grants: readonly Grant[] = [
    ...objects.all("clusterrolebindings").map(
      (binding): Grant => ({
        binding,
        ref: ref("ClusterRoleBinding", binding.metadata.name),
        role: ref("ClusterRole", binding.roleRef.name),
      }),
    ),
    ...objects.all("rolebindings").map((binding): Grant => {
      const namespace = binding.metadata.namespace ?? "";
      const isCluster = binding.roleRef.kind === "ClusterRole";
      return {
        binding,
        ref: ref("RoleBinding", binding.metadata.name, namespace),
        namespace,
        role: isCluster ? ref("ClusterRole", binding.roleRef.name) : ref("Role", binding.roleRef.name, namespace),
      };
    }),
  ];

  const bySubject = new Map<string, Grant[]>();
  for (const grant of grants)
    for (const name of new Set(namedBy(grant))) {
      const list = bySubject.get(name);
      if (list) list.push(grant);
      else bySubject.set(name, [grant]);
    }
  const inOrder = new Map(grants.map((grant, index) => [grant, index]));

  /** The bindings that name a user, by any of its names, in the order of their lists. */
  function grantsOf({ name, groups }: User): Grant[] {
    const names = [`User ${name}`, "User *", ...groups.map((group) => `Group ${group}`)];
    const found = new Set(names.flatMap((one) => bySubject.get(one) ?? []));
    return [...found].sort((a, b) => inOrder.get(a)! - inOrder.get(b)!);
  }

  function roleOf({ role }: Grant) {
    return role.kind === "ClusterRole"
      ? objects.find("clusterroles", role.name)
      : objects.find("roles", role.name, role.namespace ?? "");
  }

  const quoteBinding = ({ binding, namespace, role }: Grant): Evidence => {
    const list = namespace === undefined ? "clusterrolebindings" : "rolebindings";
    const subjects = (binding.subjects ?? []).map((subject) =>
      [subject.kind, subject.namespace, subject.name].filter(Boolean).join("/"),
    );
    const kind = namespace === undefined ? "ClusterRoleBinding" : "RoleBinding";
    const words = `${kind} ${binding.metadata.name}: roleRef ${role.kind}/${role.name}, subjects ${subjects.join(", ") || "none"}`;
    return objects.quote(list, binding, words);
  };

  const quoteRole = (role: Role, list: "clusterroles" | "roles", rule?: PolicyRule): Evidence =>
    objects.quote(
      list,
      role,
      `${role.metadata.name}: ${rule ? JSON.stringify(rule) : `${role.rules?.length ?? 0} rules`}`,
    );

  function userAccess(user: User, want: Want): Access {
    if (user.groups.includes("system:masters")) return { state: "allowed", by: [] };
    const inScope = ({ namespace }: Grant) =>
      namespace === undefined || (!("path" in want) && namespace === want.namespace);
    const mine = grantsOf(user).filter(inScope);
    const missingRoles: Grant[] = [];
    const silentRoles: Grant[] = [];
    const missing = new Set<RbacList>();
    for (const grant of mine) {
      const role = roleOf(grant);
      const list = grant.role.kind === "ClusterRole" ? "clusterroles" : "roles";
      if (role.state === "absent") missingRoles.push(grant);
      else if (role.state === "unknown") missing.add(list);
      else {
        const rule = (role.value.rules ?? []).find((candidate) => ruleAllows(candidate, want));
        if (rule) return { state: "allowed", by: [quoteBinding(grant), quoteRole(role.value, list, rule)] };
        silentRoles.push(grant);
      }
    }
    if (!objects.isWhole("clusterrolebindings")) missing.add("clusterrolebindings");
    if (!("path" in want) && want.namespace !== undefined && !objects.isWhole("rolebindings"))
      missing.add("rolebindings");
    if (missing.size > 0) return { state: "unknown", missing: [...missing] };
    return { state: "denied", ...denialOf(mine, missingRoles, silentRoles) };
  }

  function denialOf(mine: readonly Grant[], missingRoles: readonly Grant[], silentRoles: readonly Grant[]) {
    const relevant = missingRoles.length > 0 ? missingRoles : silentRoles;
    const lists = { roles: relevant.map(({ role }) => role), bindings: relevant.map((grant) => grant.ref) };
    // group bindings that give every account discovery and the like are no bindings of this account
    const because: Denial =
      missingRoles.length > 0
        ? { reason: "role-missing", ...lists }
        : silentRoles.some(namesItself)
          ? {
              reason: "rule-missing",
              roles: silentRoles.filter(namesItself).map(({ role }) => role),
              bindings: silentRoles.filter(namesItself).map((grant) => grant.ref),
            }
          : { reason: "no-binding" };
    return { because, evidence: mine.filter(namesItself).map(quoteBinding) };
  }

  return {
    grants,
    userAccess,
    quote: quoteBinding,
    access: (account, want) => userAccess(serviceAccountUser(account), want),
    rulesFor(user, namespace) {
      const missing = new Set<RbacList>();
      const rules = grantsOf(user)
        .filter((grant) => grant.namespace === undefined || grant.namespace === namespace)
        .flatMap((grant) => {
          const role = roleOf(grant);
          if (role.state === "unknown") missing.add(grant.role.kind === "ClusterRole" ? "clusterroles" : "roles");
          return role.state === "present" ? (role.value.rules ?? []) : [];
        });
      if (!objects.isWhole("clusterrolebindings")) missing.add("clusterrolebindings");
      if (namespace !== undefined && !objects.isWhole("rolebindings")) missing.add("rolebindings");
      return { rules, missing: [...missing] };
    },
    bindingsOf: (account) => grantsOf(serviceAccountUser(account)).filter(namesItself),
    bindingsTo: (role) =>
      grants.filter(
        (grant) =>
          grant.role.kind === role.kind && grant.role.name === role.name && grant.role.namespace === role.namespace,
      ),
  };
}

/** Whether a binding names accounts or users, and not only groups that everybody belongs to. */
function namesItself({ binding }: Grant): boolean {
  return (binding.subjects ?? []).some(({ kind }) => kind !== "Group");
}
