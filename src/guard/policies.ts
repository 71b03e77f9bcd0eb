/**
 * ValidatingAdmissionPolicies that refuse to delete or to empty what the network works by.
 *
 * What is deleted is always told by `oldObject`: in a `deletecollection` the policy is asked of every object, with
 * `request.name` empty (apiserver, endpoints/handlers/delete.go). Policies cannot lock anybody out: they are not asked of
 * changes to policies.
 */
import type { Ref } from "../model/ref.ts";
import type { PolicyRule } from "../parse/objects.ts";
import type { ProtectedObject } from "./protected.ts";

export const ALLOW_DELETE = "netwhy.io/allow-delete";
export const ALLOW_UPDATE = "netwhy.io/allow-update";
/** Who may impersonate it changes what is guarded: `kubectl --as-group`, `helm --kube-as-group`. */
export const EXEMPT_GROUP = "netwhy:guard-exempt";

export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>>;
};

/**
 * They carry out what was decided elsewhere, and would try again for ever: the deletion of a Namespace (which is guarded
 * itself) or of an owner, the API server's own repair of its roles, the collecting of aggregated roles. With and without
 * `--use-service-account-credentials` of kube-controller-manager.
 */
const CONTROLLERS = [
  "system:apiserver",
  "system:kube-controller-manager",
  "system:serviceaccount:kube-system:clusterrole-aggregation-controller",
  "system:serviceaccount:kube-system:generic-garbage-collector",
  "system:serviceaccount:kube-system:namespace-controller",
];

const RESOURCES: Readonly<Record<string, readonly [group: string, plural: string]>> = {
  ClusterRole: ["rbac.authorization.k8s.io", "clusterroles"],
  ClusterRoleBinding: ["rbac.authorization.k8s.io", "clusterrolebindings"],
  Role: ["rbac.authorization.k8s.io", "roles"],
  RoleBinding: ["rbac.authorization.k8s.io", "rolebindings"],
  ServiceAccount: ["", "serviceaccounts"],
  ConfigMap: ["", "configmaps"],
  Namespace: ["", "namespaces"],
  DaemonSet: ["apps", "daemonsets"],
  Deployment: ["apps", "deployments"],
  StatefulSet: ["apps", "statefulsets"],
};

/** A literal of CEL: texts, lists and maps as JSON has them, which CEL reads the same. */
const cel = (value: unknown): string => JSON.stringify(value);

/** A list of many, a line each: it is there to be read. */
const celLines = (list: readonly string[]): string => `[\n${list.map((one) => `  ${cel(one)}`).join(",\n")}\n]`;

/** A map of many, a line each. */
const celMap = (map: ReadonlyMap<string, unknown>): string =>
  `{\n${[...map].map(([key, value]) => `  ${cel(key)}: ${cel(value)}`).join(",\n")}\n}`;

const pluralOf = ({ kind }: Ref): string => RESOURCES[kind]![1];

/** `clusterroles/cilium`, `configmaps/kube-system/coredns`. */
const keyOf = (object: Ref): string =>
  [pluralOf(object), object.namespace, object.name].filter((part) => part !== undefined).join("/");

/** The same, of what a request is about. A namespace is an object of no namespace, whatever its request says. */
const KEY = [
  "request.resource.resource + '/'",
  "(has(oldObject.metadata.namespace) ? oldObject.metadata.namespace + '/' : '')",
  "oldObject.metadata.name",
].join(" + ");

const annotated = (object: "object" | "oldObject", name: string): string =>
  `has(${object}.metadata.annotations) && ${cel(name)} in ${object}.metadata.annotations && ` +
  `${object}.metadata.annotations[${cel(name)}] == "true"`;

/** Versions of admissionregistration.k8s.io that have policies. */
export type PolicyApi = "v1" | "v1beta1";

/**
 * The version in which a release of Kubernetes has policies as we write them; undefined where it has none. They are on by
 * default since 1.30 (v1); in 1.28 and 1.29 v1beta1 has to be turned on; v1alpha1 before lacks their variables (KEP-3488).
 *
 * @param kubernetes `v1.32.5`; undefined if it is not known: then it counts as new
 */
export function policyApiOf(kubernetes: string | undefined): PolicyApi | undefined {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(kubernetes ?? "") ?? [];
  const release = major === "1" ? Number(minor) : Number.POSITIVE_INFINITY;
  if (release >= 30) return "v1";
  return release >= 28 ? "v1beta1" : undefined;
}

type Guard = {
  readonly name: string;
  readonly operation: "DELETE" | "UPDATE";
  readonly objects: readonly ProtectedObject[];
  readonly subresource?: string;
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly expression: string;
  readonly message: string;
};

export const LABELS = { "app.kubernetes.io/name": "netwhy", "app.kubernetes.io/component": "guard" };

export type GuardOptions = {
  /** Users beside the controllers of Kubernetes that are not asked: operators that remove what they made. */
  readonly exemptUsers: readonly string[];
  /** *deny* refuses; *warn* lets it pass, tells who asked and writes it to the audit log. */
  readonly action: "deny" | "warn";
  readonly api: PolicyApi;
};

function manifestsOf(guard: Guard, { exemptUsers, action, api }: GuardOptions): Manifest[] {
  const { operation, objects, subresource, variables = [], message } = guard;
  const name = `netwhy-guard-${guard.name}`;
  const byGroup = Map.groupBy(objects, ({ object }) => RESOURCES[object.kind]![0]);
  const users = [...CONTROLLERS, ...exemptUsers];
  const allow = operation === "DELETE" ? ALLOW_DELETE : ALLOW_UPDATE;
  // who deletes sends no object; the scale of a workload has no annotations of its own
  const isAllowed = operation === "UPDATE" && !subresource ? annotated("object", allow) : annotated("oldObject", allow);
  const policy = {
    failurePolicy: "Fail",
    matchConstraints: {
      resourceRules: [...byGroup].map(([group, same]) => ({
        apiGroups: [group],
        apiVersions: ["*"],
        operations: [operation],
        resources: [...new Set(same.map(({ object }) => pluralOf(object) + (subresource ? `/${subresource}` : "")))],
      })),
    },
    matchConditions: [
      { name: "guarded", expression: `(${KEY}) in ${celLines(objects.map(({ object }) => keyOf(object)))}` },
      { name: "not-a-controller", expression: `!(request.userInfo.username in ${cel(users)})` },
      {
        name: "not-exempt",
        expression: `!has(request.userInfo.groups) || !(${cel(EXEMPT_GROUP)} in request.userInfo.groups)`,
      },
      { name: "not-allowed-by-annotation", expression: `!(${isAllowed})` },
    ],
    ...(variables.length > 0 && { variables }),
    validations: [
      {
        expression: guard.expression,
        messageExpression: `${cel("netwhy guard: ")} + ${KEY} + ${cel(` ${message}`)}`,
        message: `netwhy guard: this object ${message}`,
        reason: "Forbidden",
      },
    ],
  };
  return [
    {
      apiVersion: `admissionregistration.k8s.io/${api}`,
      kind: "ValidatingAdmissionPolicy",
      metadata: { name, labels: LABELS },
      spec: policy,
    },
    {
      apiVersion: `admissionregistration.k8s.io/${api}`,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name, labels: LABELS },
      spec: { policyName: name, validationActions: action === "deny" ? ["Deny"] : ["Warn", "Audit"] },
    },
  ];
}

const how = (annotation: string, when: string): string =>
  `To do it all the same: annotate it with ${annotation}=true ${when}, or act as the group ${EXEMPT_GROUP}.`;

const UPDATE_HINT = how(ALLOW_UPDATE, "in the same change");

/** A rule of a role as CEL has it: lists under short names, empty where there are none. */
function needOf({ apiGroups, resources, resourceNames, nonResourceURLs, verbs }: PolicyRule) {
  return {
    groups: apiGroups ?? [],
    resources: resources ?? [],
    names: resourceNames ?? [],
    paths: nonResourceURLs ?? [],
    verbs: verbs ?? [],
  };
}

/** Whether the rules of an object allow one request of a need: `verb`, and `path` or `group`, `resource` and the names. */
function covers(object: "object" | "oldObject", isPath: boolean): string {
  const has = (field: string, value: string) =>
    `has(rule.${field}) && (${value} in rule.${field} || "*" in rule.${field})`;
  const what = isPath
    ? has("nonResourceURLs", "path")
    : `${has("apiGroups", "group")} && ${has("resources", "resource")} && ` +
      "(!has(rule.resourceNames) || (size(need.names) > 0 && need.names.all(n, n in rule.resourceNames)))";
  // a role without rules has null for them
  return `(has(${object}.rules) && ${object}.rules != null && ${object}.rules.exists(rule, ${has("verbs", "verb")} && ${what}))`;
}

/** What was allowed before the change is allowed after it. */
const kept = (isPath: boolean): string => `(!${covers("oldObject", isPath)} || ${covers("object", isPath)})`;

function roleGuard(objects: readonly ProtectedObject[]): Guard {
  const needs = new Map(objects.map(({ object, rules }) => [keyOf(object), rules.map(needOf)]));
  return {
    name: "roles",
    operation: "UPDATE",
    objects,
    variables: [{ name: "needs", expression: `${celMap(needs)}[${KEY}]` }],
    expression: [
      `variables.needs.all(need, need.verbs.all(verb, need.paths.all(path, ${kept(true)}) && `,
      `need.groups.all(group, need.resources.all(resource, ${kept(false)}))))`,
    ].join(""),
    message: `keeps the rules that the network works by. ${UPDATE_HINT}`,
  };
}

/** `ServiceAccount/kube-system/coredns` among the subjects of an object. */
const names = (object: "object" | "oldObject"): string =>
  `(has(${object}.subjects) && ${object}.subjects.exists(one, one.kind + "/" + ` +
  `(has(one.namespace) ? one.namespace : "") + "/" + one.name == subject))`;

function bindingGuard(objects: readonly ProtectedObject[]): Guard {
  const needs = new Map(objects.map(({ object, subjects }) => [keyOf(object), subjects]));
  return {
    name: "bindings",
    operation: "UPDATE",
    objects,
    variables: [{ name: "needs", expression: `${celMap(needs)}[${KEY}]` }],
    expression: `variables.needs.all(subject, !${names("oldObject")} || ${names("object")})`,
    message: `keeps the subjects that the network works by. ${UPDATE_HINT}`,
  };
}

const CONFIG_KEPT =
  '!has(oldObject.data) || oldObject.data.all(key, oldObject.data[key] == "" || ' +
  '(has(object.data) && key in object.data && object.data[key] != ""))';

/** The policies and their bindings for what is to be protected; none for what there is nothing of. */
export function guardPolicies(objects: readonly ProtectedObject[], options: GuardOptions): Manifest[] {
  const of = (...kinds: string[]) => objects.filter(({ object }) => kinds.includes(object.kind));
  const guards: Guard[] = [
    {
      name: "deletes",
      operation: "DELETE",
      objects: objects.filter(({ object }) => object.kind in RESOURCES),
      expression: "false",
      message: `is not deleted: the network works by it. ${how(ALLOW_DELETE, "first")}`,
    },
    roleGuard(of("ClusterRole", "Role").filter(({ rules }) => rules.length > 0)),
    bindingGuard(of("ClusterRoleBinding", "RoleBinding").filter(({ subjects }) => subjects.length > 0)),
    {
      name: "configmaps",
      operation: "UPDATE",
      objects: of("ConfigMap"),
      expression: CONFIG_KEPT,
      message: `keeps its keys, none of them emptied. ${UPDATE_HINT}`,
    },
    {
      name: "replicas",
      operation: "UPDATE",
      objects: of("Deployment", "StatefulSet"),
      // one that has none already may be changed otherwise
      expression: "!has(object.spec.replicas) || object.spec.replicas > 0 || oldObject.spec.replicas == 0",
      message: `keeps at least one replica. ${UPDATE_HINT}`,
    },
    {
      name: "scale",
      operation: "UPDATE",
      objects: of("Deployment", "StatefulSet"),
      subresource: "scale",
      expression: "has(object.spec.replicas) && object.spec.replicas > 0",
      message: `keeps at least one replica. To do it all the same, act as the group ${EXEMPT_GROUP}.`,
    },
  ];
  return guards.filter((guard) => guard.objects.length > 0).flatMap((guard) => manifestsOf(guard, options));
}
