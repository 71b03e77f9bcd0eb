import type { Evidence } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import type { ComponentDefinition } from "../../model/components/definitions.ts";
import type { ClusterModel } from "../../model/model.ts";
import { type Access, type Account, type Denial, type Grant, ruleAllows, type Want } from "../../model/rbac.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import type { PolicyRule } from "../../parse/objects.ts";
import { type Command, sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Fault, type Finding, fault, past, works } from "../check.ts";
import { isCommand, rolledOut, type Step } from "../remedy.ts";

type Model = Pick<ClusterModel, "components" | "rbac" | "objects" | "logs">;

const say = texts("component-access-denied", {
  roleMissing: {
    en: "{component} has lost its permissions: {role} does not exist",
    zh: "{component} 丢失权限：{role} 不存在",
  },
  bindingMissing: {
    en: "{component} has lost its permissions: no binding names its ServiceAccount {account}",
    zh: "{component} 丢失权限：没有任何绑定指向其 ServiceAccount {account}",
  },
  bothMissing: {
    en: "{component} has lost its permissions: neither {role} nor a binding for ServiceAccount {account} exists",
    zh: "{component} 丢失权限：{role} 不存在，也没有绑定指向 ServiceAccount {account}",
  },
  subjectWrong: {
    en: "{component} has lost its permissions: {binding} does not name its ServiceAccount {account}",
    zh: "{component} 丢失权限：{binding} 的 subjects 不含其 ServiceAccount {account}",
  },
  roleRefWrong: {
    en: "{component} has lost its permissions: {binding} refers to {role}, which does not exist",
    zh: "{component} 丢失权限：{binding} 引用的 {role} 不存在",
  },
  ruleMissing: {
    en: "{component} may not {verbs} {resources}: no rule of {role} allows it",
    zh: "{component} 无权对 {resources} 执行 {verbs}：{role} 中没有相应规则",
  },
  accountMissing: {
    en: "{component} has no identity: its ServiceAccount {account} does not exist",
    zh: "{component} 没有身份：其 ServiceAccount {account} 不存在",
  },
  heard: {
    en: "{component} is refused by the API server for want of permission ({object})",
    zh: "{component} 因缺少权限被 API Server 拒绝（{object}）",
  },
  wasDenied: {
    en: "{component} had been refused by the API server; it has its permissions again",
    zh: "{component} 曾被 API Server 拒绝，现已恢复权限",
  },
  restoreRole: {
    en: "Restore the role with the rules that {component} ships with",
    zh: "按 {component} 自带的规则恢复该角色",
  },
  addRules: {
    en: "Give the role back the rules that it lacks; the others stay as they are",
    zh: "为该角色补回缺少的规则，其余规则不变",
  },
  restoreBinding: {
    en: "Bind the role to ServiceAccount {account} again",
    zh: "重新把角色绑定到 ServiceAccount {account}",
  },
  correctSubject: {
    en: "Let the binding name ServiceAccount {account}",
    zh: "让该绑定指向 ServiceAccount {account}",
  },
  removeBinding: {
    en: "Delete the binding: what it refers to cannot be changed",
    zh: "删除该绑定：roleRef 创建后不可修改",
  },
  restoreAccount: { en: "Make the ServiceAccount again", zh: "重建该 ServiceAccount" },
  fromHelm: {
    en: "Restore the RBAC objects of the Helm release; everything else of it is left alone",
    zh: "恢复该 Helm Release 中的 RBAC 对象，其他对象不受影响",
  },
  fromManifest: {
    en: "Restore the RBAC objects of {component} {version} from its manifest; everything else in it is left alone",
    zh: "从 {component} {version} 的清单中恢复 RBAC 对象，清单中的其他对象不受影响",
  },
  restart: {
    en: "Restart what waits in its back-off; where {component} still runs it recovers by itself within a minute",
    zh: "重启仍在退避等待的 Pod；正在运行的 {component} 会在一分钟内自行恢复",
  },
  restartAll: {
    en: "Restart {component}: its Pods hold tokens of an account that is gone",
    zh: "重启 {component}：其 Pod 持有的令牌属于已不存在的账号",
  },
  indeed: {
    en: "`kubectl get` shows that {object} is missing: here it was only heard of",
    zh: "用 `kubectl get` 确认 {object} 确实缺失：目前仅由日志得知",
  },
  interrupts: {
    en: "Nothing: what is programmed stays in the kernel",
    zh: "无中断：已写入内核的配置保持不变",
  },
  preventAdmission: {
    en: "Deny DELETE and UPDATE of {objects} to everybody but the installer by a ValidatingAdmissionPolicy",
    zh: "用 ValidatingAdmissionPolicy 禁止安装程序以外的任何人删除或修改 {objects}",
  },
  preventBackup: {
    en: "Keep a copy: `kubectl get clusterroles,clusterrolebindings,roles,rolebindings -A -o yaml`; before every delete by label, run `kubectl get` with the same selector",
    zh: "定期备份：`kubectl get clusterroles,clusterrolebindings,roles,rolebindings -A -o yaml`；按标签删除前，先用同一选择器执行 `kubectl get`",
  },
  preventAlert: {
    en: "Alert on `apiserver_request_total` with code 403: {component} stays Running and Ready without its permissions",
    zh: "对 code 为 403 的 `apiserver_request_total` 设置告警：失去权限的 {component} 仍会保持 Running 和 Ready",
  },
});

/** What the API server answers to an account without permission (apiserver, pkg/endpoints/handlers/responsewriters/errors.go). */
const FORBIDDEN = /is forbidden: User \\*"system:serviceaccount:([^:"\\]+):([^"\\]+)\\*" cannot/;
const ROLE_NOT_FOUND = /RBAC: \[?(cluster)?role\.rbac\.authorization\.k8s\.io \\*"([^"\\]+)\\*" not found/;

type Judged = { readonly want: Want; readonly access: Access };

/** What the component needs as it is configured here, with what the authorizer says of each. */
function judge({ definition, account, spec }: Component, { rbac }: Model): Judged[] {
  const env = new Set((spec?.containers ?? []).flatMap((container) => (container.env ?? []).map(({ name }) => name)));
  return definition.permissions
    .filter(({ unlessEnv }) => unlessEnv === undefined || !env.has(unlessEnv))
    .flatMap(({ wants }) => wants.map((want) => ({ want, access: rbac.access(account!, want) })));
}

/** What is wrong: which object a person would restore or edit, and how. */
type Reason =
  | "role-missing"
  | "rule-missing"
  | "binding-missing"
  | "both-missing"
  | "subject-wrong"
  | "role-ref-wrong"
  | "account-missing"
  | "heard";
type Repair = {
  readonly repair: Ref;
  readonly related: readonly Ref[];
  readonly title: Text;
  readonly reason: Reason;
  readonly evidence: readonly Evidence[];
};

const shortList = (names: readonly string[]) => {
  const distinct = [...new Set(names)];
  return distinct.length > 3 ? `${distinct.slice(0, 2).join(", ")} …` : distinct.join(", ");
};
const accountOf = ({ account }: Component) => `${account!.namespace}/${account!.name}`;
const resourceOf = (want: Want) => ("path" in want ? want.path : want.resource);

/** A binding of the component's role that names somebody else: its subject was changed. */
function strayBinding({ definition: { grant }, account }: Component, { rbac }: Model): Grant | undefined {
  const grants = grant ? rbac.bindingsTo(ref("ClusterRole", grant.role)) : [];
  return grants.find(
    ({ ref: { name }, binding: { subjects } }) =>
      name === grant?.binding || subjects?.some((subject) => subject.name === account!.name),
  );
}

function repairOf(component: Component, because: Denial, wants: readonly Want[], model: Model): Repair {
  const { objects, rbac } = model;
  const { name, grant } = component.definition;
  const account = ref("ServiceAccount", component.account!.name, component.account!.namespace);
  const args = { component: name, account: accountOf(component) };
  const noRole = ({ kind, name: role }: Ref) =>
    objects.quoteAbsence(kind === "Role" ? "roles" : "clusterroles", `no ${kind} ${role}`);
  const noBinding = () => objects.quoteAbsence("clusterrolebindings", `no subject is ServiceAccount ${args.account}`);
  const usual = grant && objects.find("clusterroles", grant.role).state;
  if (because.reason === "role-missing") {
    const [role, ...others] = because.roles as readonly [Ref, ...Ref[]];
    const [binding] = because.bindings as readonly [Ref, ...Ref[]];
    const quotes = rbac.bindingsOf(component.account!).filter((one) => because.bindings.includes(one.ref));
    const evidence = [...quotes.map(rbac.quote).slice(0, 1), ...because.roles.map(noRole)];
    // its role is there under its name: the binding was made for another
    if (usual === "present" && role.name !== grant?.role) {
      const title = say.roleRefWrong({ ...args, binding: refId(binding), role: refId(role) });
      return { repair: binding, related: [role, account], title, reason: "role-ref-wrong", evidence };
    }
    const related = [...others, ...because.bindings, account];
    return {
      repair: role,
      related,
      title: say.roleMissing({ ...args, role: refId(role) }),
      reason: "role-missing",
      evidence,
    };
  }
  if (because.reason === "rule-missing") {
    const role = because.roles.find((one) => one.name === grant?.role) ?? because.roles[0]!;
    const title = say.ruleMissing({
      ...args,
      role: refId(role),
      verbs: [...new Set(wants.map(({ verb }) => verb))].join("/"),
      resources: shortList(wants.map(resourceOf)),
    });
    const related = [...because.bindings, account];
    return { repair: role, related, title, reason: "rule-missing", evidence: quoteRules(role, model) };
  }
  if (!grant) {
    const title = say.bindingMissing(args);
    return { repair: account, related: [], title, reason: "binding-missing", evidence: [noBinding()] };
  }
  const role = ref("ClusterRole", grant.role);
  const stray = strayBinding(component, model);
  if (stray) {
    const title = say.subjectWrong({ ...args, binding: refId(stray.ref) });
    const evidence = [rbac.quote(stray)];
    return { repair: stray.ref, related: [role, account], title, reason: "subject-wrong", evidence };
  }
  const binding = ref("ClusterRoleBinding", grant.binding);
  if (usual === "absent") {
    const title = say.bothMissing({ ...args, role: refId(role) });
    const evidence = [noRole(role), noBinding()];
    return { repair: role, related: [binding, account], title, reason: "both-missing", evidence };
  }
  const title = say.bindingMissing(args);
  return { repair: binding, related: [role, account], title, reason: "binding-missing", evidence: [noBinding()] };
}

function findRole({ kind, name, namespace }: Ref, { objects }: Model) {
  const list = kind === "Role" ? "roles" : "clusterroles";
  const role = objects.find(list, name, namespace);
  return role.state === "present" ? ({ list, role: role.value } as const) : undefined;
}

/** What a role has rules for: the one that is missing is not among them. */
function quoteRules(ref: Ref, model: Model): Evidence[] {
  const found = findRole(ref, model);
  if (!found) return [];
  const rules = (found.role.rules ?? []).map(
    ({ verbs, resources, nonResourceURLs }) =>
      `${(resources ?? nonResourceURLs ?? []).join(",")} (${(verbs ?? []).join(",")})`,
  );
  return [model.objects.quote(found.list, found.role, `${ref.kind} ${ref.name}: ${rules.join("; ") || "no rules"}`)];
}

/** Until it has loaded its roles, a kube-apiserver that starts refuses everybody: that is no loss of permission. */
const API_START = 90_000;

function isFromApiStart(at: string | undefined, { components }: Model): boolean {
  const said = timeOf(at);
  const starts = components
    .byId("kube-apiserver")
    .flatMap(({ pods }) => pods)
    .flatMap(({ object }) => object.status?.containerStatuses ?? [])
    .map(({ state }) => timeOf(state?.running?.startedAt));
  return (
    said !== undefined &&
    starts.some((start) => start !== undefined && said >= start - API_START && said < start + API_START)
  );
}

/** What the component was told, newest last. */
function refusals({ account, pods }: Component, { logs }: Model) {
  const isMine = (message: string) => {
    const match = FORBIDDEN.exec(message);
    return match?.[1] === account!.namespace && match[2] === account!.name;
  };
  return pods.flatMap((pod) => logs.said(pod, FORBIDDEN)).filter(({ entry }) => isMine(entry.last.message));
}

function* judgeComponent(component: Component, model: Model): Iterable<Finding> {
  const capability = { name: "component.permit", component: refId(component.ref) } as const;
  const account = model.objects.find("serviceaccounts", component.account!.name, component.account!.namespace);
  const facts = { component: refId(component.ref) };
  const told = refusals(component, model);
  const current = told.filter(({ current: isCurrent, entry }) => isCurrent && !isFromApiStart(entry.last.at, model));
  // what it may not write into Events is the least of it
  const telling = current.filter(({ entry }) => !/resource \\*"events/.test(entry.last.message));
  const heard = (telling.length > 0 ? telling : current).slice(-1).map(({ evidence }) => evidence);

  if (account.state === "absent" && component.pods.length > 0) {
    const repair = ref("ServiceAccount", component.account!.name, component.account!.namespace);
    const title = say.accountMissing({ component: component.definition.name, account: accountOf(component) });
    const absent = model.objects.quoteAbsence(
      "serviceaccounts",
      `no ServiceAccount ${repair.namespace}/${repair.name}`,
    );
    yield fault({
      repair,
      related: [component.ref],
      breaks: [capability],
      title,
      evidence: [absent, ...heard],
      strength: "direct",
      facts: { ...facts, reason: "account-missing" },
    });
    return;
  }
  const judged = judge(component, model);
  const denied = judged.flatMap(({ want, access }) => (access.state === "denied" ? [{ want, access }] : []));
  if (denied.length > 0) {
    const wants = denied.map(({ want }) => want);
    const { reason, evidence, ...found } = repairOf(component, denied[0]!.access.because, wants, model);
    yield fault({
      ...found,
      related: [...found.related, component.ref],
      breaks: [capability],
      evidence: [...evidence, ...heard],
      strength: "direct",
      since: current[0]?.entry.first.at,
      facts: { ...facts, reason },
    });
    return;
  }
  const missing = [
    ...new Set(judged.flatMap(({ access }) => (access.state === "unknown" ? access.missing : []))),
    // permissions are worth nothing to an account that does not exist
    ...(account.state === "unknown" ? (["serviceaccounts"] as const) : []),
  ];
  if (missing.length === 0) {
    const by = judged.flatMap(({ access }) => (access.state === "allowed" ? access.by.slice(0, 1) : []));
    yield works(capability, by.slice(0, 1));
    if (told.length > 0)
      yield past(component.ref, say.wasDenied({ component: component.definition.name }), [told.at(-1)!.evidence]);
    return;
  }
  yield cannotTell(
    capability,
    missing.map((kind) => ({ kind })),
  );
  // a component that was refused and runs on would be refused again and again
  const isStuck = component.pods.some(({ ready, finished }) => !ready && !finished);
  const last = current.findLast(({ ongoing }) => ongoing || isStuck);
  if (!last) return;
  // what the API server said names the missing role; without a name it is the binding or a rule
  const lost = ROLE_NOT_FOUND.exec(last.entry.last.message);
  const { grant } = component.definition;
  const role = ref(lost && !lost[1] ? "Role" : "ClusterRole", lost?.[2] ?? grant?.role ?? component.account!.name);
  const binding = grant ? [ref("ClusterRoleBinding", grant.binding)] : [];
  yield fault({
    repair: role,
    related: [...binding, component.ref],
    breaks: [capability],
    title: say.heard({ component: component.definition.name, object: refId(role) }),
    evidence: heard,
    strength: "heard",
    since: current[0]?.entry.first.at,
    facts: { ...facts, reason: lost ? "role-missing" : "heard" },
  });
}

const RBAC_V1 = "rbac.authorization.k8s.io/v1";

/** The API server's own answer to whether a want is granted now. */
function canI(want: Want, { namespace, name }: Account): Command {
  const as = sh`--as=${`system:serviceaccount:${namespace}:${name}`}`;
  if ("path" in want) return { run: `kubectl auth can-i ${sh`${want.verb} ${want.path}`} ${as}` };
  const [resource, subresource] = want.resource.split("/") as [string, string?];
  const what = want.apiGroup === "" ? resource : `${resource}.${want.apiGroup}`;
  const part = subresource === undefined ? "" : sh` --subresource=${subresource}`;
  return { run: `kubectl auth can-i ${sh`${want.verb} ${what}`}${part} ${as}` };
}

/** Rules for what is denied: those that the component ships with, else just these. */
function rulesFor(wants: readonly Want[], { grant }: ComponentDefinition): readonly PolicyRule[] {
  const shipped = (grant?.rules ?? []).filter((rule) => wants.some((want) => ruleAllows(rule, want)));
  const others = wants.filter((want) => !shipped.some((rule) => ruleAllows(rule, want)));
  const groups = Map.groupBy(others, (want) => ("path" in want ? want.path : `${want.apiGroup} ${want.resource}`));
  return [
    ...shipped,
    ...[...groups.values()].map((same): PolicyRule => {
      const [first] = same as [Want, ...Want[]];
      const verbs = same.map(({ verb }) => verb);
      if ("path" in first) return { nonResourceURLs: [first.path], verbs };
      return { apiGroups: [first.apiGroup], resources: [first.resource], verbs };
    }),
  ];
}

/** The Helm release that a component is of, as its labels and annotations say. */
function releaseOf({ workload, definition, ref: { namespace } }: Component) {
  const { annotations, labels } = workload?.metadata ?? {};
  if (labels?.["app.kubernetes.io/managed-by"] !== "Helm") return undefined;
  return {
    name: annotations?.["meta.helm.sh/release-name"] ?? labels["app.kubernetes.io/part-of"] ?? definition.id,
    namespace: annotations?.["meta.helm.sh/release-namespace"] ?? namespace ?? "default",
  };
}

/** Where what is not the same in every release is restored from. */
function fromInstaller(component: Component, found: Fault, verify: Command): Step {
  const { definition, version = "" } = component;
  const undo = { do: "delete", target: found.repair } as const; // it was not there
  const release = releaseOf(component);
  if (release) {
    const manifest = sh`helm get manifest ${release.name} -n ${release.namespace}`;
    return { why: say.fromHelm(), change: { run: `${manifest} | kubectl auth reconcile -f -` }, undo, verify };
  }
  const file = definition.manifest?.replace("{version}", version) ?? "rbac.yaml";
  return {
    why: say.fromManifest({ component: definition.name, version }),
    change: { run: sh`kubectl auth reconcile -f ${file}` },
    undo,
    verify,
  };
}

/** Gives back what is missing and nothing else; to undo it puts back what was there. */
function restoreSteps(found: Fault, component: Component, denied: readonly Want[], model: Model): Step[] {
  const { definition } = component;
  const account = component.account!;
  const { grant } = definition;
  const verify = canI(denied[0] ?? definition.permissions[0]!.wants[0]!, account);
  const args = { component: definition.name, account: accountOf(component) };
  const reason = found.facts.reason as Reason;
  const subject = { kind: "ServiceAccount", name: account.name, namespace: account.namespace };
  const bind = (binding: Ref, role: Ref): Step => ({
    why: say.restoreBinding(args),
    change: {
      do: "apply",
      object: {
        apiVersion: RBAC_V1,
        kind: binding.kind,
        metadata: metadataOf(binding),
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: role.kind, name: role.name },
        subjects: [subject],
      },
    },
    undo: { do: "delete", target: binding },
    verify,
  });
  const usualRole = ref("ClusterRole", grant?.role ?? "");
  const usualBinding = ref("ClusterRoleBinding", grant?.binding ?? "");

  if (reason === "account-missing") {
    const object = { apiVersion: "v1", kind: "ServiceAccount", metadata: metadataOf(found.repair) };
    return [
      {
        why: say.restoreAccount(),
        change: { do: "apply", object },
        undo: { do: "delete", target: found.repair },
        verify: { run: `kubectl get ${kubectlName(found.repair)}` },
      },
    ];
  }
  if (reason === "rule-missing") {
    const rules = findRole(found.repair, model)?.role.rules ?? [];
    const patched = (all: readonly PolicyRule[]) =>
      ({ do: "patch", target: found.repair, patch: { rules: all } }) as const;
    const all = [...rules, ...rulesFor(denied, definition)];
    return [{ why: say.addRules(), change: patched(all), undo: patched(rules), verify }];
  }
  if (reason === "subject-wrong") {
    const subjects = strayBinding(component, model)?.binding.subjects ?? [];
    // the same name in another namespace is what was mistaken; an account that exists may be meant as well
    const isMistaken = ({ kind, name, namespace }: (typeof subjects)[number]) =>
      kind === "ServiceAccount" &&
      (name === account.name || namespace === account.namespace) &&
      model.objects.find("serviceaccounts", name, namespace).state === "absent";
    const patched = (all: readonly unknown[]) =>
      ({ do: "patch", target: found.repair, patch: { subjects: all } }) as const;
    const all = [...subjects.filter((one) => !isMistaken(one)), subject];
    return [{ why: say.correctSubject(args), change: patched(all), undo: patched(subjects), verify }];
  }
  if (reason === "role-ref-wrong") {
    const old = model.rbac.bindingsOf(account).find(({ ref: self }) => refId(self) === refId(found.repair));
    const remove: Step = {
      why: say.removeBinding(),
      change: { do: "delete", target: found.repair },
      ...(old && { undo: bind(found.repair, old.role).change }),
      verify,
    };
    return [remove, bind(found.repair, usualRole)];
  }
  if (reason === "binding-missing" && grant) return [bind(usualBinding, usualRole)];
  if (!grant?.rules) return [fromInstaller(component, found, verify)];
  const restoreRole: Step = {
    why: say.restoreRole(args),
    change: {
      do: "apply",
      object: {
        apiVersion: RBAC_V1,
        kind: found.repair.kind,
        metadata: metadataOf(found.repair),
        rules: grant.rules,
      },
    },
    undo: { do: "delete", target: found.repair },
    verify,
  };
  if (reason === "role-missing") return [restoreRole];
  const both = [restoreRole, bind(usualBinding, usualRole)];
  if (reason !== "heard") return both;
  return both.map((step, at) => ({
    ...step,
    precondition: say.indeed({ object: refId(at === 0 ? found.repair : usualBinding) }),
  }));
}

const metadataOf = ({ name, namespace }: Ref) => ({ name, ...(namespace !== undefined && { namespace }) });

/** What crash-loops waits up to five minutes before it tries again. */
function restartSteps({ definition, ref: component, pods }: Component, reason: Reason): Step[] {
  const verify = rolledOut(component);
  const failing = [...new Set(pods.filter(({ ready }) => !ready).flatMap(({ node }) => node ?? []))];
  const isAll = reason === "account-missing" || component.kind !== "DaemonSet" || failing.length > 3;
  if (failing.length === 0 && reason !== "account-missing") return [];
  const args = { component: definition.name };
  const why = reason === "account-missing" ? say.restartAll(args) : say.restart(args);
  if (isAll) return [{ why, change: { do: "restart", component }, verify }];
  return failing.map((node) => ({ why, change: { do: "restart", component, node }, verify }));
}

/**
 * A network component may no longer do what its work needs.
 *
 * Its Pods stay Running on what they had learned, so it looks healthy while everything newer is missing.
 */
export const componentAccessDenied = defineCheck({
  id: "component-access-denied",
  reads: ["components", "rbac", "objects", "logs"],

  *find(model) {
    for (const component of model.components.all) {
      if (component.account && component.definition.permissions.length > 0) yield* judgeComponent(component, model);
    }
  },

  remedies(found, model) {
    const component = model.components.all.find((candidate) => refId(candidate.ref) === found.facts.component);
    if (!component?.account) return [];
    const denied = judge(component, model).flatMap(({ want, access }) => (access.state === "denied" ? [want] : []));
    const restored = restoreSteps(found, component, denied, model);
    const isFromInstaller = restored.some(({ change }) => change && isCommand(change));
    const isShipped = component.definition.grant?.rules !== undefined && !isFromInstaller;
    const source =
      isFromInstaller && releaseOf(component) ? ("helm" as const) : isShipped ? ("baseline" as const) : undefined;
    const args = { component: component.definition.name };
    const objects = [found.repair, ...found.related].filter(({ kind }) => /Role/.test(kind)).map(refId);
    return [
      {
        id: "restore-permissions",
        risk: "low",
        interrupts: say.interrupts(),
        ...(source && { source }),
        steps: [...restored, ...restartSteps(component, found.facts.reason as Reason)],
        prevent: [
          ...(objects.length > 0 ? [say.preventAdmission({ objects: objects.slice(0, 2).join(", ") })] : []),
          say.preventBackup(),
          say.preventAlert(args),
        ],
        errata: ["X21", "X22", "X24"],
      },
    ];
  },

  manual: {
    title: { en: "A network component has lost its permissions", zh: "网络组件丢失权限" },
    page: {
      en: `A network component (kube-proxy, a CNI agent, CoreDNS, the EndpointSlice controller) may no longer do what its work needs: its role or its binding is gone, the binding names another account, or a rule is missing.

**How it looks.** At first like nothing: the Pods stay Running and Ready on what they had learned. What is newer is missing: no rules for new Services, stale back ends, no routes to new nodes. After a restart the agent starts with nothing: flannel crash-loops, kube-proxy writes no rules at all, CoreDNS answers SERVFAIL. Logs say \`is forbidden: User "system:serviceaccount:…" cannot list …\`; the suffix \`RBAC: clusterrole … not found\` means that the binding is there and its role is not.

**How it comes about.** A clean-up by label (\`kubectl delete clusterrole,clusterrolebinding -l …\`), an uninstalled release, a restore of an older etcd snapshot, an upgrade that needs a new permission.

**When this is not the cause.** \`Unauthorized\` (401) is about the token, not about RBAC. \`i/o timeout\` or \`connection refused\` towards the API server is about the network. Remarks about "forbidden" from the minute in which the API server started are normal.`,
      zh: `网络组件（kube-proxy、CNI 代理、CoreDNS、EndpointSlice 控制器）不再拥有工作所需的权限：角色或绑定被删除、绑定指向了别的账号，或者缺少某条规则。

**现象。** 起初几乎看不出异常：Pod 凭已获知的数据保持 Running 和 Ready。缺的是之后的变化：新 Service 没有规则、后端陈旧、没有通往新节点的路由。重启后组件从零开始：flannel 反复崩溃，kube-proxy 一条规则也不写，CoreDNS 返回 SERVFAIL。日志中出现 \`is forbidden: User "system:serviceaccount:…" cannot list …\`；带有后缀 \`RBAC: clusterrole … not found\` 时，说明绑定还在而角色已不存在。

**成因。** 按标签清理（\`kubectl delete clusterrole,clusterrolebinding -l …\`）、卸载 Release、恢复较旧的 etcd 快照、升级后需要新的权限。

**何时不是它。** \`Unauthorized\`（401）是令牌问题，与 RBAC 无关；访问 API Server 时的 \`i/o timeout\` 或 \`connection refused\` 是网络问题；API Server 启动那一分钟内的 forbidden 属于正常现象。`,
    },
  },
});
