import type { Evidence } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Access, Denial, Want } from "../../model/rbac.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Fault, type Finding, fault, past, works } from "../check.ts";
import type { Step } from "../remedy.ts";

type Model = Pick<ClusterModel, "components" | "rbac" | "objects" | "logs">;

const say = texts("component-access-denied", {
  roleMissing: {
    en: "{component} has lost its permissions: {role} does not exist, so it may not {verbs} {resources}",
    zh: "{component} 丢失权限：{role} 不存在，因此无权对 {resources} 执行 {verbs}",
  },
  bindingMissing: {
    en: "{component} has lost its permissions: no binding grants them to its ServiceAccount {account}, so it may not {verbs} {resources}",
    zh: "{component} 丢失权限：没有任何绑定授权给其 ServiceAccount {account}，因此无权对 {resources} 执行 {verbs}",
  },
  bothMissing: {
    en: "{component} has lost its permissions: {role} does not exist, nor does a binding for its ServiceAccount {account}, so it may not {verbs} {resources}",
    zh: "{component} 丢失权限：{role} 不存在，其 ServiceAccount {account} 也没有绑定，因此无权对 {resources} 执行 {verbs}",
  },
  subjectWrong: {
    en: "{component} has lost its permissions: {binding} does not name its ServiceAccount {account}, so it may not {verbs} {resources}",
    zh: "{component} 丢失权限：{binding} 的 subjects 不含其 ServiceAccount {account}，因此无权对 {resources} 执行 {verbs}",
  },
  ruleMissing: {
    en: "{component} lacks a permission: no rule of {role} lets it {verbs} {resources}",
    zh: "{component} 缺少权限：{role} 没有规则允许它对 {resources} 执行 {verbs}",
  },
  accountMissing: {
    en: "{component} has no identity: its ServiceAccount {account} does not exist",
    zh: "{component} 没有身份：其 ServiceAccount {account} 不存在",
  },
  heard: {
    en: "{component} is refused by the API server for want of permission: {object}",
    zh: "{component} 因缺少权限被 API Server 拒绝：{object}",
  },
  wasDenied: {
    en: "{component} had been refused by the API server; it has its permissions again",
    zh: "{component} 曾被 API Server 拒绝，现已恢复权限",
  },
  restoreRole: {
    en: "Restore the role with the rules that {component} needs",
    zh: "恢复角色及 {component} 所需的规则",
  },
  restoreBootstrapRole: {
    en: "Restore the role (kube-apiserver also makes it again whenever it starts)",
    zh: "恢复角色（kube-apiserver 每次启动时也会重建它）",
  },
  restoreBinding: { en: "Bind the role to the ServiceAccount again", zh: "重新把角色绑定到 ServiceAccount" },
  fromRelease: {
    en: "Apply the RBAC objects of the installed version again, from where it was installed: its manifest, or `helm upgrade` with the same version and values",
    zh: "从安装来源重新应用该版本的 RBAC 对象：安装清单，或以相同版本和参数执行 `helm upgrade`",
  },
  restart: {
    en: "Restart {component}, so that it reads everything anew",
    zh: "重启 {component}，使其重新读取全部数据",
  },
  interrupts: {
    en: "Nothing: what is programmed stays in the kernel while the agent restarts",
    zh: "无中断：组件重启期间，已写入内核的配置保持不变",
  },
  preventAdmission: {
    en: "Refuse deletes of these roles by an admission policy; run `kubectl get -l …` before every delete by label",
    zh: "用准入策略禁止删除这些角色；按标签删除前先执行 `kubectl get -l …` 核对",
  },
  preventBackup: { en: "Keep a backup of all RBAC objects", zh: "备份全部 RBAC 对象" },
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

type Repair = { readonly repair: Ref; readonly related: readonly Ref[]; readonly title: Text };

const shortList = (names: readonly string[]) =>
  names.length > 4 ? `${names.slice(0, 3).join(", ")} …` : names.join(", ");

function words(component: Component, wants: readonly Want[]) {
  const resources = wants.map((want) => ("path" in want ? want.path : want.resource));
  return {
    component: component.definition.name,
    account: `${component.account!.namespace}/${component.account!.name}`,
    verbs: [...new Set(wants.map(({ verb }) => verb))].join("/"),
    resources: shortList([...new Set(resources)]),
  };
}

/** Which object a person would restore or edit. */
function repairOf(component: Component, because: Denial, wants: readonly Want[], { objects, rbac }: Model): Repair {
  const { grant } = component.definition;
  const account = ref("ServiceAccount", component.account!.name, component.account!.namespace);
  const args = words(component, wants);
  if (because.reason === "role-missing") {
    const role = because.roles[0]!;
    const related = [...because.roles.slice(1), ...because.bindings, account];
    return { repair: role, related, title: say.roleMissing({ ...args, role: refId(role) }) };
  }
  if (because.reason === "rule-missing") {
    const role = because.roles.find(({ name }) => name === grant?.role) ?? because.roles[0]!;
    return {
      repair: role,
      related: [...because.bindings, account],
      title: say.ruleMissing({ ...args, role: refId(role) }),
    };
  }
  if (!grant) return { repair: account, related: [], title: say.bindingMissing(args) };
  const role = ref("ClusterRole", grant.role);
  const binding = ref("ClusterRoleBinding", grant.binding);
  // a binding of the component's role that names somebody else: its subject was changed
  const astray = rbac
    .bindingsTo(role)
    .find(
      ({ ref: { name }, binding: { subjects } }) =>
        name === grant.binding || subjects?.some((subject) => subject.name === account.name),
    );
  if (astray) {
    return {
      repair: astray.ref,
      related: [role, account],
      title: say.subjectWrong({ ...args, binding: refId(astray.ref) }),
    };
  }
  if (objects.find("clusterroles", grant.role).state === "absent") {
    return { repair: role, related: [binding, account], title: say.bothMissing({ ...args, role: refId(role) }) };
  }
  return { repair: binding, related: [role, account], title: say.bindingMissing(args) };
}

/** What is not there, as its lists show. */
function absences(because: Denial, account: string, { objects }: Model): Evidence[] {
  if (because.reason === "no-binding") {
    return [objects.quoteAbsence("clusterrolebindings", `no subject is ServiceAccount ${account}`)];
  }
  if (because.reason === "rule-missing") return [];
  return because.roles.map(({ kind, name }) =>
    objects.quoteAbsence(kind === "Role" ? "roles" : "clusterroles", `no ${kind} ${name}`),
  );
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
  const heard = current.slice(-2).map(({ evidence }) => evidence);

  if (account.state === "absent" && component.pods.length > 0) {
    const repair = ref("ServiceAccount", component.account!.name, component.account!.namespace);
    const title = say.accountMissing(words(component, []));
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
      facts,
    });
    return;
  }
  const judged = judge(component, model);
  const denied = judged.flatMap(({ want, access }) => (access.state === "denied" ? [{ want, access }] : []));
  if (denied.length > 0) {
    const { because, evidence } = denied[0]!.access;
    const { repair, related, title } = repairOf(
      component,
      because,
      denied.map(({ want }) => want),
      model,
    );
    const since = current[0]?.entry.first.at;
    yield fault({
      repair,
      related: [...related, component.ref],
      breaks: [capability],
      title,
      evidence: [...evidence, ...absences(because, words(component, []).account, model), ...heard],
      strength: "direct",
      since,
      facts: { ...facts, reason: because.reason },
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
    facts: { ...facts, reason: lost ? "role-missing" : "unknown" },
  });
}

function restoreSteps(found: Fault, component: Component): Step[] {
  const { definition, account } = component;
  const { grant } = definition;
  const verify = `kubectl auth can-i list ${grant ? "nodes" : "pods"} --as=system:serviceaccount:${account!.namespace}:${account!.name}`;
  const canI = (want: Want) =>
    "path" in want
      ? verify
      : `kubectl auth can-i ${want.verb} ${want.resource}${want.apiGroup ? `.${want.apiGroup}` : ""} --as=system:serviceaccount:${account!.namespace}:${account!.name}`;
  const check = definition.permissions[0] ? canI(definition.permissions[0].wants[0]!) : verify;
  const rbacV1 = "rbac.authorization.k8s.io/v1";
  if (!grant?.rules) {
    const why = say.fromRelease();
    return [
      {
        why,
        change: { run: `kubectl auth reconcile -f <RBAC manifest of ${definition.name} ${component.version ?? ""}>` },
        undo: why,
        verify: check,
      },
    ];
  }
  const role = ref("ClusterRole", grant.role);
  const binding = ref("ClusterRoleBinding", grant.binding);
  const why = definition.bootstrapRole ? say.restoreBootstrapRole() : say.restoreRole({ component: definition.name });
  const restoreRole: Step = {
    why,
    change: {
      do: "apply",
      object: { apiVersion: rbacV1, kind: "ClusterRole", metadata: { name: grant.role }, rules: grant.rules },
    },
    undo: { do: "delete", target: role },
    verify: check,
  };
  const subjects = [{ kind: "ServiceAccount", name: account!.name, namespace: account!.namespace }];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: grant.role };
  const restoreBinding: Step = {
    why: say.restoreBinding(),
    change: {
      do: "apply",
      object: { apiVersion: rbacV1, kind: "ClusterRoleBinding", metadata: { name: grant.binding }, roleRef, subjects },
    },
    undo: { do: "delete", target: binding },
    verify: check,
  };
  const isRole = found.repair.kind === "ClusterRole";
  return [
    ...(isRole ? [restoreRole] : []),
    ...(found.facts.reason === "role-missing" || found.facts.reason === "rule-missing" ? [] : [restoreBinding]),
  ];
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

  remedies(found, { components }) {
    const component = components.all.find((candidate) => refId(candidate.ref) === found.facts.component);
    if (!component) return [];
    const restart: Step = {
      why: say.restart({ component: component.definition.name }),
      change: { do: "restart", component: component.ref },
      undo: say.interrupts(),
      verify: `kubectl rollout status -n ${component.ref.namespace} ${component.ref.kind.toLowerCase()}/${component.ref.name}`,
    };
    return [
      {
        id: "restore-permissions",
        risk: "low",
        interrupts: say.interrupts(),
        ...(component.definition.grant?.rules && { source: "baseline" as const }),
        steps: [...restoreSteps(found, component), ...(component.pods.length > 0 ? [restart] : [])],
        prevent: [say.preventAdmission(), say.preventBackup()],
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
