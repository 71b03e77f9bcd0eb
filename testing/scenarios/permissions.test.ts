/**
 * Every rule, role, binding and subject that the releases of 20 components come with, taken away one at a time: the diagnosis
 * names exactly that object and what follows from it. Where somebody else grants the same, nothing is lost, and nothing is
 * said.
 *
 * A seeded sample in the ordinary run, all in the long one.
 */
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { ListId, ObjectOf } from "../../src/evidence/catalogue.ts";
import { BASELINES, baselineOf } from "../../src/model/permissions/baselines.ts";
import { consequenceOf } from "../../src/model/permissions/comparison.ts";
import { isGrave } from "../../src/model/permissions/permissions.ts";
import { wantsOf } from "../../src/model/permissions/rules.ts";
import { ruleAllows, type Want } from "../../src/model/rbac.ts";
import { type Ref, ref, refId } from "../../src/model/ref.ts";
import type { PolicyRule, Role, RoleBinding } from "../../src/parse/objects.ts";
import type { Cause } from "../../src/report/report.ts";
import type { Cluster } from "../cluster.ts";
import { clusterWith, variantId } from "../cluster-components.ts";
import { editObjects } from "../cluster-edits.ts";
import { masquerading } from "../kindnet.ts";
import { LONG } from "../long.ts";
import { random } from "../random.ts";
import { type ReleasedVariant, releasedVariants } from "../rbac-baselines.ts";

const SAMPLE = 120;

type RoleList = "clusterroles" | "roles";
type BindingList = "clusterrolebindings" | "rolebindings";

type Loss = {
  readonly says: string;
  readonly of: ReleasedVariant;
  readonly object: Ref;
  readonly cluster: (healthy: Cluster) => Cluster;
  /** The role that no longer gives what it gave, and what of it is gone; undefined: all. */
  readonly role: Ref;
  readonly rule?: PolicyRule;
};

const ROLE_KINDS = { clusterroles: "ClusterRole", roles: "Role" } as const;
const BINDING_KINDS = { clusterrolebindings: "ClusterRoleBinding", rolebindings: "RoleBinding" } as const;

const isIn =
  (namespace: string | null | undefined) => (object: { metadata: { namespace?: string | null | undefined } }) =>
    (object.metadata.namespace ?? "") === (namespace ?? "");

/** As editObjects, of one namespace. */
const edited = <K extends ListId>(
  list: K,
  object: ObjectOf<K>,
  change: (one: ObjectOf<K>) => ObjectOf<K> | undefined,
) => {
  const { name, namespace } = (object as Role).metadata;
  return (healthy: Cluster) =>
    healthy.edit(editObjects(list, name, (one) => (isIn(namespace)(one as Role) ? change(one) : one)));
};

function lossesOf(of: ReleasedVariant): Loss[] {
  const losses: Loss[] = [];
  for (const list of ["clusterroles", "roles"] as const satisfies readonly RoleList[])
    for (const object of of[list]) {
      const role = ref(ROLE_KINDS[list], object.metadata.name, object.metadata.namespace);
      const rules = object.rules ?? [];
      losses.push({
        says: `${refId(role)} deleted`,
        of,
        object: role,
        role,
        cluster: edited(list, object, () => undefined),
      });
      for (const [at, rule] of rules.entries())
        losses.push({
          says: `rule ${at} of ${refId(role)}`,
          ...{ of, object: role, role, rule },
          cluster: edited(list, object, (one) => ({ ...one, rules: (one.rules ?? []).toSpliced(at, 1) })),
        });
    }
  for (const list of ["clusterrolebindings", "rolebindings"] as const satisfies readonly BindingList[])
    for (const object of of[list]) {
      if (!object.subjects?.length) continue;
      const self = ref(BINDING_KINDS[list], object.metadata.name, object.metadata.namespace);
      const { kind, name } = object.roleRef;
      const role = ref(kind, name, kind === "Role" ? object.metadata.namespace : undefined);
      const other = { kind: "ServiceAccount", name: "somebody", namespace: "else" };
      losses.push(
        { says: `${refId(self)} deleted`, of, object: self, role, cluster: edited(list, object, () => undefined) },
        {
          says: `${refId(self)} names somebody else`,
          ...{ of, object: self, role },
          cluster: edited(list, object, (one) => ({ ...one, subjects: [other] })),
        },
      );
    }
  return losses;
}

type Named = { readonly kind: string; readonly name: string; readonly namespace?: string | null | undefined };
type Lists = Readonly<Record<RoleList, readonly Role[]>> & Readonly<Record<BindingList, readonly RoleBinding[]>>;

function listsOf({ capture }: Cluster): Lists {
  const of = (list: RoleList | BindingList) => {
    const observed = capture.get(list);
    return observed.state === "present" ? observed.value.items : [];
  };
  return {
    clusterroles: of("clusterroles") as readonly Role[],
    roles: of("roles") as readonly Role[],
    clusterrolebindings: of("clusterrolebindings") as readonly RoleBinding[],
    rolebindings: of("rolebindings") as readonly RoleBinding[],
  };
}

/** All rules that a subject has in a namespace, told without the model. */
function rulesOf(lists: Lists, subject: Named, namespace: string | undefined): PolicyRule[] {
  const isNamed = ({ subjects }: RoleBinding) =>
    (subjects ?? []).some(
      (one) =>
        one.kind === subject.kind && one.name === subject.name && (one.namespace ?? "") === (subject.namespace ?? ""),
    );
  // ServiceAccounts and users belong to groups as well
  const groups =
    subject.kind === "Group"
      ? []
      : ["system:authenticated", ...(subject.kind === "ServiceAccount" ? ["system:serviceaccounts"] : [])];
  const isGrouped = ({ subjects }: RoleBinding) =>
    (subjects ?? []).some(({ kind, name }) => kind === "Group" && groups.includes(name));
  const bindings = [
    ...lists.clusterrolebindings,
    ...lists.rolebindings.filter(({ metadata }) => metadata.namespace === namespace),
  ].filter((binding) => isNamed(binding) || isGrouped(binding));
  return bindings.flatMap(({ roleRef, metadata }) => {
    const all = roleRef.kind === "Role" ? lists.roles.filter(isIn(metadata.namespace)) : lists.clusterroles;
    return all.find((role) => role.metadata.name === roleRef.name)?.rules ?? [];
  });
}

/** What a loss takes from anybody, told from the lists themselves. */
function lostBy({ role, object }: Loss, before: Lists, after: Lists): Want[] {
  const list = role.kind === "Role" ? "roles" : "clusterroles";
  const find = (lists: Lists) =>
    lists[list].find((one) => one.metadata.name === role.name && isIn(role.namespace)(one));
  const refers = [
    ...before.clusterrolebindings.map((binding) => ({ binding, namespace: undefined })),
    ...before.rolebindings.map((binding) => ({ binding, namespace: binding.metadata.namespace ?? undefined })),
  ].filter(
    ({ binding: { roleRef }, namespace }) =>
      roleRef.kind === role.kind &&
      roleRef.name === role.name &&
      (role.kind === "ClusterRole" || namespace === role.namespace),
  );
  const rules = find(before)?.rules ?? [];
  const subjects = refers.flatMap(({ binding, namespace }) =>
    (binding.subjects ?? []).map((subject) => ({ subject, namespace })),
  );
  const isAllowed = (by: readonly PolicyRule[], want: Want) => by.some((rule) => ruleAllows(rule, want));
  if (subjects.length === 0) {
    const left = find(after)?.rules ?? [];
    return rules
      .flatMap((rule) => wantsOf(rule))
      .filter((want) => object.kind.endsWith("Role") && !isAllowed(left, want));
  }
  return subjects
    .filter(({ subject }) => subject.name !== "system:masters")
    .flatMap(({ subject, namespace }) => {
      const had = rulesOf(before, subject, namespace);
      const has = rulesOf(after, subject, namespace);
      return rules
        .flatMap((rule) => wantsOf(rule, namespace))
        .filter((want) => isAllowed(had, want) && !isAllowed(has, want));
    });
}

/** What any baseline says of the lack of these. */
function predictions(role: Ref, lost: readonly Want[]): Set<string> {
  const holders = BASELINES.filter(({ grants }) => grants.some((grant) => refId(grant.role) === refId(role)));
  return new Set(
    holders.flatMap((baseline) =>
      (lost.length > 0 ? lost : [undefined]).flatMap((want) => {
        try {
          return consequenceOf(baseline, role.name, want).says.en;
        } catch {
          return [];
        }
      }),
    ),
  );
}

const OTHER_IDENTITY = "only what comes to the API server under another name";

type Told = { readonly id: string; readonly object: Cause["object"]; readonly title: Cause["title"] };

/** What a diagnosis says of permissions, and all other root causes. */
function toldOf({ capture }: Cluster): { access: Told[]; others: string[] } {
  const report = diagnose(capture);
  const isAccess = ({ check }: { check: string }) => check === "component-access-denied";
  return {
    access: [...report.rootCauses, ...report.warnings].filter(isAccess),
    others: report.rootCauses.filter((cause) => !isAccess(cause)).map(({ id }) => id),
  };
}

const bases = new Map<string, { cluster: Cluster; lists: Lists; known: ReadonlySet<string> }>();

function baseOf(of: ReleasedVariant) {
  const id = variantId(of);
  const known = bases.get(id);
  if (known) return known;
  const made = clusterWith(of);
  // what it writes on its nodes is of its own, in place of the built cluster's
  const written = of.component === "kindnet" ? made.model().nodes.all.map(({ name }) => masquerading(name)) : [];
  const healthy = made.edit(...written);
  const { access, others } = toldOf(healthy);
  expect(others, id).toEqual([]);
  const base = { cluster: healthy, lists: listsOf(healthy), known: new Set(access.map((one) => one.id)) };
  bases.set(id, base);
  return base;
}

/** Says what is wrong with the diagnosis of a loss, if anything is. */
function judged(loss: Loss): string | undefined {
  const { cluster: healthy, lists, known } = baseOf(loss.of);
  const broken = loss.cluster(healthy);
  const lost = lostBy(loss, lists, listsOf(broken));
  const { access, others } = toldOf(broken);
  const fresh = access.filter((one) => !known.has(one.id));
  const named = fresh.filter(({ object }) => refId(object as Ref) === refId(loss.object));
  const says = fresh.map(({ id, title }) => `${id}: ${title.en}`).join(" | ");
  if (others.length > 0) return `other root causes: ${others.join(" ")}`;
  if (fresh.length > named.length) return `other objects are named: ${says}`;
  if (lost.length === 0 && !loss.says.endsWith("deleted"))
    return named.length > 0 && loss.rule ? `nothing was lost: ${says}` : undefined;
  if (lost.length === 0) return undefined;
  if (named.length !== 1) return `not named; ${lost.length} lost, such as ${JSON.stringify(lost[0])}; told: ${says}`;
  const expected = predictions(loss.role, lost);
  const isPredicted =
    [...expected].some((words) => named[0]!.title.en.includes(words)) || named[0]!.title.en.includes(OTHER_IDENTITY);
  return isPredicted ? undefined : `not predicted: ${says}; expected one of: ${[...expected].join(" | ")}`;
}

const all = releasedVariants().flatMap(lossesOf);

describe("what is taken away is named, with what follows", () => {
  it("there are so many", () => {
    expect(all.filter(({ rule }) => rule)).toHaveLength(1662);
  });

  const SEED = 7;
  const next = random(SEED);
  const chosen = LONG ? all : Array.from({ length: SAMPLE }, () => all[Math.floor(next() * all.length)]!);

  it.each([...Map.groupBy(chosen, ({ of }) => variantId(of))])(
    "%s",
    { timeout: LONG ? 600_000 : 60_000 },
    (_, losses) => {
      const wrong = losses.flatMap((loss) => {
        const trouble = judged(loss);
        return trouble === undefined ? [] : [`${loss.says}: ${trouble}`];
      });
      expect(wrong).toEqual([]);
    },
  );
});

describe("what the network cannot be without is a root cause", () => {
  it.each([
    ["kube-proxy", "system:node-proxier", "list", "", "services", ["services"]],
    ["kube-proxy", "system:node-proxier", "watch", "discovery.k8s.io", "endpointslices", ["services"]],
    ["kube-proxy", "system:node-proxier", "create", "", "events", []],
    ["flannel", "flannel", "list", "", "nodes", ["nodes"]],
    ["flannel", "flannel", "patch", "", "nodes/status", ["nodes"]],
    ["cilium", "cilium", "list", "", "pods", ["pods"]],
    ["cilium", "cilium", "watch", "", "services", ["services"]],
    ["cilium", "cilium", "create", "cilium.io", "ciliumidentities", ["pods"]],
    ["cilium", "cilium", "list", "cilium.io", "ciliumnetworkpolicies", ["policies"]],
    ["cilium", "cilium-config-agent", "get", "", "configmaps", ["start"]],
    ["cilium-operator", "cilium-operator", "update", "coordination.k8s.io", "leases", ["start"]],
    ["calico-node", "calico-node", "create", "", "serviceaccounts/token", ["pods"]],
    ["calico-node", "calico-cni-plugin", "get", "", "pods", ["pods"]],
    ["calico-node", "calico-node", "list", "networking.k8s.io", "networkpolicies", ["policies"]],
    ["coredns", "system:coredns", "list", "", "services", ["names"]],
    ["coredns", "system:coredns", "list", "", "endpoints", []],
    [
      "endpointslice-controller",
      "system:controller:endpointslice-controller",
      "create",
      "discovery.k8s.io",
      "endpointslices",
      ["endpoints"],
    ],
    ["kube-scheduler", "system:kube-scheduler", "create", "", "pods/binding", ["start"]],
  ] as const)("%s without %s %s %s%s: %j", (id, role, verb, apiGroup, resource, work) => {
    const consequence = consequenceOf(baselineOf(id)!, role, { verb, apiGroup, resource });
    expect(consequence.breaks).toEqual(expect.arrayContaining([...work]));
    expect(isGrave(consequence)).toBe(work.length > 0);
  });
});
