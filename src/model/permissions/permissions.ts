/**
 * What components have been granted, against the baselines of their releases: what each lacks, which object a person would
 * restore or edit for it, and what follows.
 */
import type { Capture } from "../../evidence/capture.ts";
import { known } from "../../evidence/observed.ts";
import type { Metadata } from "../../parse/objects.ts";
import type { Component, Components } from "../components/components.ts";
import type { Objects } from "../objects.ts";
import type { Account, Grant, Rbac, RbacList, User, Want } from "../rbac.ts";
import { serviceAccountUser } from "../rbac.ts";
import { type Ref, ref, refId, sameRef } from "../ref.ts";
import type { Baseline, BaselineBinding, BaselineGrant, Consequence, Subject, Variant } from "./baseline.ts";
import { BASELINES, isBootstrapObject } from "./baselines.ts";
import { type Comparison, compareWith, consequenceOf } from "./comparison.ts";
import { LOSS } from "./consequences.ts";
import { describedBaseline } from "./described.ts";
import { lostPart } from "./lost-part.ts";
import { deniedOf } from "./rules.ts";

/** Which object is wrong, and how. */
export type FlawReason =
  | "role-missing"
  | "rule-missing"
  | "binding-missing"
  | "both-missing"
  | "subject-wrong"
  | "role-ref-wrong";

export type Lack = { readonly want: Want; readonly consequence: Consequence };

/** One object that does not grant what the baseline says. */
export type Flaw = {
  readonly object: Ref;
  readonly reason: FlawReason;
  /** The role and the binding that should grant it, as they are called here. */
  readonly role: Ref;
  readonly binding?: Ref;
  readonly subject?: Subject;
  /** The binding is missing, and this one gives the role in one namespace only. */
  readonly narrow?: Ref;
  /** What the subject may not; empty if the role is another's, and only its binding is wrong. */
  readonly lacks: readonly Lack[];
  /** Of all that it lacks, the graver first. */
  readonly consequences: readonly Consequence[];
  /** kube-apiserver makes the object again when it starts. */
  readonly isRestored: boolean;
  /** Other objects of the baseline are there and neither role nor binding of this grant is: it may not have been chosen. */
  readonly isPerhapsOption: boolean;
};

export type ComponentPermissions = {
  /** Missing where the API server's own policy is compared, and nothing is seen of what it is for. */
  readonly component?: Component;
  readonly account?: Account;
  readonly comparison: Comparison;
  /** With names and namespaces as they are here. */
  readonly grants: readonly BaselineGrant[];
  readonly flaws: readonly Flaw[];
  /** Lists without which it cannot be told whether there are more. */
  readonly missing: readonly RbacList[];
};

export interface Permissions {
  readonly all: readonly ComponentPermissions[];
  of(component: Component): ComponentPermissions | undefined;
}

type Parts = { readonly objects: Objects; readonly rbac: Rbac; readonly components: Components };

const KUBESPRAY_FLANNEL = /^kube-flannel-ds-(amd64|arm64|arm|ppc64le|s390x)$/;

/** Kubespray names its own parts so. */
function isKubespray({ objects }: Parts): boolean {
  return (
    objects
      .all("daemonsets")
      .some(({ metadata: { name } }) => name === "nodelocaldns" || KUBESPRAY_FLANNEL.test(name)) ||
    objects
      .all("pods")
      .some(({ metadata: { name, namespace } }) => namespace === "kube-system" && /^nginx-proxy-/.test(name))
  );
}

function optionsOf({ objects }: Parts): Variant["option"][] {
  const corefile = objects.find("configmaps", "coredns", "kube-system");
  const text = corefile.state === "present" ? (corefile.value.data?.Corefile ?? "") : "";
  return /^\s*multicluster\s/m.test(text) ? ["multicluster"] : [];
}

function installerOf(component: Component | undefined, parts: Parts): Variant["installer"] {
  if (component?.workload?.metadata.labels?.["app.kubernetes.io/managed-by"] === "Helm") return "helm";
  return isKubespray(parts) ? "kubespray" : undefined;
}

/** A baseline's objects as they are called here: where it is installed elsewhere, or under another account. */
function inPlace(grants: readonly BaselineGrant[], account: Account | undefined): readonly BaselineGrant[] {
  const own = grants
    .flatMap(({ bindings }) => bindings)
    .flatMap(({ subjects }) => subjects)
    .find(({ kind }) => kind === "ServiceAccount");
  if (!account || !own || (own.namespace === account.namespace && own.name === account.name)) return grants;
  const { namespace, name } = account;
  const moved = (object: Ref): Ref => (object.namespace === own.namespace ? { ...object, namespace } : object);
  const renamed = (subject: Subject): Subject => ({
    ...subject,
    ...(subject.namespace === own.namespace && { namespace }),
    ...(subject.kind === "ServiceAccount" && subject.name === own.name && { name }),
  });
  return grants.map((grant) => ({
    ...grant,
    role: moved(grant.role),
    bindings: grant.bindings.map((binding) => ({ ref: moved(binding.ref), subjects: binding.subjects.map(renamed) })),
  }));
}

function userOf({ kind, name, namespace = "" }: Subject): User {
  if (kind === "ServiceAccount") return serviceAccountUser({ namespace, name });
  return kind === "User" ? { name, groups: ["system:authenticated"] } : { name: "", groups: [name] };
}

const names = ({ binding, namespace }: Grant, subject: Subject): boolean =>
  (binding.subjects ?? []).some(
    (one) =>
      one.kind === subject.kind &&
      one.name === subject.name &&
      (subject.kind !== "ServiceAccount" || (one.namespace || namespace) === subject.namespace),
  );

/** Whether what is bound is how the component itself comes to the API server, and not how it does elsewhere. */
function isOwnIdentity(subject: Subject, binding: BaselineBinding, component: Component | undefined): boolean {
  if (component?.account) return subject.kind === "ServiceAccount";
  return subject.kind !== "ServiceAccount" || binding.subjects.every(({ kind }) => kind === "ServiceAccount");
}

const LISTS = {
  ClusterRole: "clusterroles",
  Role: "roles",
  ClusterRoleBinding: "clusterrolebindings",
  RoleBinding: "rolebindings",
} as const;

/** The list of a kind of RBAC. */
const listOf = ({ kind }: Ref): RbacList => LISTS[kind as keyof typeof LISTS];

/** What stands there and is annotated so is left as it is (component-helpers auth/rbac/reconciliation). */
function isRestored(object: Ref, { objects }: Parts): boolean {
  const found = objects.find(listOf(object), object.name, object.namespace);
  const annotations = found.state === "present" ? found.value.metadata.annotations : undefined;
  return isBootstrapObject(object) && annotations?.["rbac.authorization.kubernetes.io/autoupdate"] !== "false";
}

type Place = { readonly grant: BaselineGrant; readonly binding: BaselineBinding; readonly subject: Subject };
type Where = Pick<Flaw, "object" | "reason" | "role" | "binding" | "narrow">;

/** Which object a person would restore or edit, so that a subject has what a grant gives it. */
function whereOf({ grant: { role }, binding, subject }: Place, { objects, rbac }: Parts): Where {
  const found = objects.find(listOf(role), role.name, role.namespace);
  const refers = rbac.bindingsTo(role);
  const naming = refers.filter((grant) => names(grant, subject));
  const isWide = (grant: Grant) => grant.namespace === undefined || grant.namespace === binding.ref.namespace;
  const live = naming.find(isWide);
  const bindings = binding.ref.kind === "RoleBinding" ? "rolebindings" : "clusterrolebindings";
  const expected = objects.find(bindings, binding.ref.name, binding.ref.namespace);
  const own = expected.state === "present" ? expected.value : undefined;
  const refersToRole = own?.roleRef.kind === role.kind && own.roleRef.name === role.name;
  const at = { role, binding: live?.ref ?? binding.ref };
  if (found.state === "absent") {
    if (live || refersToRole) return { ...at, object: role, reason: "role-missing" };
    return { ...at, object: role, reason: "both-missing" };
  }
  if (live) return { ...at, object: role, reason: "rule-missing" };
  if (own) return { ...at, object: binding.ref, reason: refersToRole ? "subject-wrong" : "role-ref-wrong" };
  const [narrow] = naming;
  if (narrow) return { ...at, object: binding.ref, reason: "binding-missing", narrow: narrow.ref };
  const stray = refers.find((grant) => grant.binding.subjects?.some(({ name }) => name === subject.name));
  if (stray) return { role, binding: stray.ref, object: stray.ref, reason: "subject-wrong" };
  return { ...at, object: binding.ref, reason: "binding-missing" };
}

/** Its installer named roles and bindings otherwise: what it is bound to by itself says which object to edit. */
function ownNames(
  { grant, subject }: Place,
  grants: readonly BaselineGrant[],
  want: Want,
  { rbac }: Parts,
): Where | undefined {
  if (subject.kind !== "ServiceAccount") return undefined;
  const account = { namespace: subject.namespace ?? "", name: subject.name };
  // no installer puts a component's rules into a role that is everybody's (view, edit): a binding was pointed at it
  const isOther = ({ role }: Pick<Grant, "role">) =>
    !grants.some((one) => sameRef(one.role, role)) && !isBootstrapObject(role);
  if (!rbac.bindingsOf(account).some(isOther)) return undefined;
  const access = rbac.access(account, want);
  if (access.state !== "denied" || access.because.reason === "no-binding") return undefined;
  const { reason, roles, bindings } = access.because;
  const role = roles.find((one) => one.name === grant.role.name) ?? roles.find((one) => isOther({ role: one }));
  return role && { object: role, role, reason, ...(bindings[0] && { binding: bindings[0] }) };
}

/** Its installer named the role otherwise, and the binding is gone: the one role that grants all of it to nobody. */
function unboundRole(
  { grant, binding, subject }: Place,
  { id }: Baseline,
  { objects, rbac }: Parts,
): Where | undefined {
  if (grant.role.kind !== "ClusterRole" || subject.kind !== "ServiceAccount") return undefined;
  const words = [id, subject.name, grant.role.name.replace(/^.*:/, "")];
  const [own, ...others] = objects
    .all("clusterroles")
    .filter(({ metadata: { name }, rules }) => {
      const self = ref("ClusterRole", name);
      return (
        words.some((word) => name.includes(word)) &&
        !isBootstrapObject(self) &&
        rbac.bindingsTo(self).length === 0 &&
        grant.rules.every((rule) => deniedOf(rule, rules ?? []).length === 0)
      );
    })
    .map(({ metadata }) => ref("ClusterRole", metadata.name));
  if (!own || others.length > 0) return undefined;
  // installers give both one name
  const missing = ref(binding.ref.kind, own.name, binding.ref.namespace);
  return { object: missing, role: own, binding: missing, reason: "binding-missing" };
}

/** Whether anything of the network follows from it. */
export const isGrave = ({ breaks, stops = [] }: Consequence): boolean => breaks.length + stops.length > 0;

/** Something of the network follows from it for certain; it is a choice or a hazard else. */
export const isFault = ({ consequences, isPerhapsOption }: Flaw): boolean =>
  !isPerhapsOption && consequences.some(isGrave);

/** Distinct, the graver first, then in the order in which the baseline tells of them. */
function byGravity(consequences: readonly Consequence[], { losses }: Baseline): readonly Consequence[] {
  const place = (one: Consequence) => losses.findIndex(({ consequence }) => consequence === one);
  return [...new Set(consequences)].sort((a, b) => Number(isGrave(b)) - Number(isGrave(a)) || place(a) - place(b));
}

function merge(flaws: readonly Flaw[], baseline: Baseline): readonly Flaw[] {
  const groups = Map.groupBy(flaws, ({ object, reason }) => `${reason} ${refId(object)}`);
  return [...groups.values()].map((same) => ({
    ...same[0]!,
    lacks: same.flatMap(({ lacks }) => lacks),
    consequences: byGravity(
      same.flatMap(({ consequences }) => consequences),
      baseline,
    ),
    isPerhapsOption: same.every(({ isPerhapsOption }) => isPerhapsOption),
  }));
}

/** The releases are guessed: only what every release needs, and what matters, is told. */
const isGuess = ({ fit }: Comparison): boolean => fit === "older" || fit === "newer" || fit === "unknown";

function judge(
  baseline: Baseline,
  component: Component | undefined,
  release: string | undefined,
  parts: Parts,
): ComponentPermissions {
  const { objects, rbac } = parts;
  const account = component?.account;
  const env = new Set(
    (component?.spec?.containers ?? []).flatMap((container) =>
      (container.env ?? []).flatMap(({ name, value }) => [name, `${name}=${value ?? ""}`]),
    ),
  );
  // what the operator grants is much like the manifest, and not the same
  const isOperators = account?.namespace === "calico-system";
  const comparison = compareWith(baseline, {
    release: isOperators ? undefined : release,
    installer: installerOf(component, parts),
    options: optionsOf(parts),
  });
  const grants = inPlace(comparison.grants, account);
  const runs = (container: string | undefined): boolean =>
    [...(component?.spec?.initContainers ?? []), ...(component?.spec?.containers ?? [])].some(
      ({ name }) => name === container,
    );
  const missing = new Set<RbacList>();
  const flaws: Flaw[] = [];
  const judgeSubject = (place: Place): void => {
    const { grant, binding, subject } = place;
    const { rules, missing: unseen } = rbac.rulesFor(userOf(subject), binding.ref.namespace);
    const losing = (want: Want | undefined): Consequence => {
      const consequence = consequenceOf(baseline, grant.role.name, want, env);
      return isGrave(consequence) && !isOwnIdentity(subject, binding, component) ? LOSS.otherIdentity : consequence;
    };
    const denied = grant.rules.flatMap((rule) => deniedOf(rule, rules, binding.ref.namespace));
    const isUnbound = grant.rules.length === 0 && !rbac.bindingsTo(grant.role).some((one) => names(one, subject));
    const role = objects.find(listOf(grant.role), grant.role.name, grant.role.namespace);
    // the baseline of the role's owner tells of a role that is gone
    if (denied.length === 0 && !(isUnbound && !(grant.isForeign && role.state === "absent"))) return;
    const lacks = denied.map((want): Lack => ({ want, consequence: losing(want) }));
    if (unseen.length > 0) {
      // what the network can be without is not worth a question
      if (lacks.some(({ consequence }) => isGrave(consequence))) for (const list of unseen) missing.add(list);
      return;
    }
    const usual = whereOf(place, parts);
    const where =
      (usual.reason === "both-missing" &&
        lacks[0] &&
        (ownNames(place, grants, lacks[0].want, parts) ?? unboundRole(place, baseline, parts))) ||
      usual;
    const part = where.reason === "rule-missing" ? lostPart(where.object, denied, parts) : undefined;
    const namesIt = (one: BaselineGrant) =>
      one.bindings.some(({ subjects }) =>
        subjects.some(({ kind, name }) => kind === subject.kind && name === subject.name),
      );
    const isBound = ({ role }: BaselineGrant) => rbac.bindingsTo(role).some((one) => names(one, subject));
    // the first is what it cannot be without
    const isFirst = grants.find(namesIt) === grant;
    flaws.push({
      ...where,
      ...(part && { object: part }),
      subject,
      lacks,
      consequences: byGravity(
        lacks.length > 0 ? lacks.map(({ consequence }) => consequence) : [losing(undefined)],
        baseline,
      ),
      isRestored: isRestored(where.object, parts),
      // a description tells what was chosen
      isPerhapsOption:
        where.reason === "both-missing" &&
        !baseline.isDescribed &&
        !isFirst &&
        !runs(grant.usedBy) &&
        grants.filter(namesIt).some(isBound),
    });
  };

  for (const grant of grants) {
    // who may do everything anyway needs no role
    const bound = grant.bindings.flatMap((binding) =>
      binding.subjects.filter(({ name }) => name !== "system:masters").map((subject) => ({ grant, binding, subject })),
    );
    for (const place of bound) judgeSubject(place);
    if (bound.length > 0 || grant.isForeign) continue;
    // nobody is bound to it by the baseline: it stands for itself
    const list = grant.role.kind === "Role" ? "roles" : "clusterroles";
    const found = objects.find(list, grant.role.name, grant.role.namespace);
    if (found.state === "unknown") missing.add(list);
    const denied = grant.rules.flatMap((rule) =>
      deniedOf(rule, found.state === "present" ? (found.value.rules ?? []) : []),
    );
    const isGone = found.state === "absent";
    if (found.state === "unknown" || (!isGone && denied.length === 0)) continue;
    flaws.push({
      object: grant.role,
      role: grant.role,
      reason: isGone ? "role-missing" : "rule-missing",
      lacks: denied.map((want) => ({ want, consequence: consequenceOf(baseline, grant.role.name, want, env) })),
      consequences: [consequenceOf(baseline, grant.role.name, denied[0], env)],
      isRestored: isRestored(grant.role, parts),
      isPerhapsOption: false,
    });
  }
  // Canal's roles allow less than Calico's: each installer leaves out what it does not use
  const isLess = isGuess(comparison) || env.has("CALICO_NETWORKING_BACKEND=none");
  const told = isLess ? flaws.filter(({ consequences: [first] }) => first && isGrave(first)) : flaws;
  return {
    comparison,
    grants,
    flaws: merge(told, baseline),
    missing: [...missing],
    ...(component && { component }),
    ...(account && { account }),
  };
}

export function permissionsOf(capture: Capture, parts: Parts): Permissions {
  const { objects, components } = parts;
  const release = known(capture.get("version"))?.gitVersion ?? known(capture.get("cluster"))?.kubernetesVersion;
  const bootstrapped = ({ metadata: { name, labels } }: { metadata: Metadata }): boolean =>
    labels?.["kubernetes.io/bootstrapping"] === "rbac-defaults" && isBootstrapObject(ref("ClusterRole", name));
  const isServed =
    objects.all("clusterroles").some(bootstrapped) || objects.all("clusterrolebindings").some(bootstrapped);
  const isKubeadm = objects.find("configmaps", "kubeadm-config", "kube-system").state === "present";

  /** What is compared with a baseline: components that run, else the cluster once. */
  function subjectsOf({ id, releasesOf, isBootstrap }: Baseline): readonly (Component | undefined)[] {
    const own = components.byId(id);
    // what those who run it say goes before what its releases have
    if (releasesOf === "image") return own.filter(({ account, definition }) => account && !definition.described);
    if (isBootstrap ? isServed || own.some(({ account }) => account) : isKubeadm) return [own[0]];
    return [];
  }

  const asked = BASELINES.flatMap((baseline) =>
    subjectsOf(baseline).map((component) => ({
      component,
      judged: once(() =>
        judge(baseline, component, baseline.releasesOf === "image" ? component?.version : release, parts),
      ),
    })),
  );
  const described = components.all.flatMap((component) => {
    const { definition, account, version } = component;
    if (!definition.described || !account) return [];
    const baseline = describedBaseline(definition.described, account);
    return { component, judged: once(() => judge(baseline, component, version, parts)) };
  });
  const all = [...asked, ...described];
  return {
    get all() {
      return all.map(({ judged }) => judged());
    },
    of: (wanted) => all.find(({ component }) => component && sameRef(component.ref, wanted.ref))?.judged(),
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
