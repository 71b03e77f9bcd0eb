import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { Component } from "../../model/components/components.ts";
import type { ClusterModel } from "../../model/model.ts";
import { consequenceOf } from "../../model/permissions/comparison.ts";
import { type ComponentPermissions, type Flaw, isFault, isGrave } from "../../model/permissions/permissions.ts";
import { tokenlessOf } from "../../model/permissions/tokens.ts";
import type { Want } from "../../model/rbac.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import { fewOf, joinTexts, type Text } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, past, warning, works } from "../check.ts";
import { misspeltIn } from "./component-access-denied/misspelt.ts";
import { refusalsOf, refusedOf, roleNotFound, unauthorizedOf } from "./component-access-denied/refusals.ts";
import {
  accountStep,
  heardSteps,
  identitySteps,
  liveRules,
  nameOf,
  rePointed,
  restartSteps,
  restored,
  tokenStep,
} from "./component-access-denied/remedies.ts";
import { say } from "./component-access-denied/words.ts";

type Model = Pick<ClusterModel, "components" | "permissions" | "rbac" | "releases" | "objects" | "logs">;

const shortList = (names: readonly string[]) => {
  const distinct = [...new Set(names)];
  return fewOf(distinct, distinct.length > 3 ? 2 : 3);
};
const resourceOf = (want: Want) => ("path" in want ? want.path : want.resource);

/** What follows, in one sentence: of a rule the gravest two, of all rules at once the gravest. */
function consequenceText({ consequences, reason }: Flaw): Text {
  const grave = consequences.filter(isGrave);
  return joinTexts(
    (grave.length > 0 ? grave : consequences).slice(0, reason === "rule-missing" ? 2 : 1).map(({ says }) => says),
    { en: "; ", zh: "；" },
  );
}

/** Who makes the objects of a baseline that no component comes with. */
const makerOf = ({ comparison: { baseline } }: ComponentPermissions): string =>
  baseline.isBootstrap ? "kube-apiserver" : baseline.id;

function titleOf(flaw: Flaw, permissions: ComponentPermissions, { objects }: Model): Text {
  const { reason, object, role, binding, subject, lacks } = flaw;
  const consequence = consequenceText(flaw);
  const account = subject ? nameOf(subject) : "";
  const grave = lacks.filter((lack) => isGrave(lack.consequence));
  const told = grave.length > 0 ? grave : lacks;
  const verbs = [...new Set(told.map(({ want }) => want.verb))].join("/");
  const resources = shortList(told.map(({ want }) => resourceOf(want)));
  const name = permissions.component?.account && permissions.component.definition.name;
  if (name === undefined) {
    const args = { object: refId(object), maker: makerOf(permissions), consequence };
    if (reason === "rule-missing") return say.objectLacksRules({ ...args, verbs, resources });
    return reason === "subject-wrong" || reason === "role-ref-wrong"
      ? say.objectLacksSubject({ ...args, account })
      : say.objectMissing(args);
  }
  const args = { component: name, role: refId(role), binding: refId(binding ?? object), account, consequence };
  switch (reason) {
    case "role-missing":
      return say.roleMissing(args);
    case "rule-missing": {
      const because = told[0] && misspeltIn(liveRules(role, { objects }), told[0].want);
      return because
        ? say.ruleMisspelt({ ...args, verbs, resources, because })
        : say.ruleMissing({ ...args, verbs, resources });
    }
    case "binding-missing":
      return flaw.narrow ? say.bindingNarrow({ ...args, narrow: refId(flaw.narrow) }) : say.bindingMissing(args);
    case "both-missing": {
      const other = binding && rePointed(binding, role, { objects })?.roleRef;
      return other
        ? say.roleGoneAndRePointed({ ...args, other: `${other.kind}/${other.name}` })
        : say.bothMissing(args);
    }
    case "subject-wrong":
      return say.subjectWrong(args);
    case "role-ref-wrong":
      return say.roleRefWrong(args);
  }
}

function evidenceOf({ reason, object, role, binding, subject, narrow }: Flaw, { objects, rbac }: Model): Evidence[] {
  const list = role.kind === "Role" ? "roles" : "clusterroles";
  const bindings = binding?.kind === "RoleBinding" ? "rolebindings" : "clusterrolebindings";
  const noRole = () => objects.quoteAbsence(list, `no ${role.kind} ${role.name}`);
  const noBinding = () =>
    objects.quoteAbsence(
      bindings,
      `no ${bindings === "rolebindings" ? "RoleBinding" : "ClusterRoleBinding"} names ${subject ? nameOf(subject) : "anybody"}`,
    );
  const live = rbac.bindingsTo(role).filter((grant) => !binding || refId(grant.ref) === refId(binding));
  switch (reason) {
    case "role-missing":
      return [...live.slice(0, 1).map(rbac.quote), noRole()];
    case "both-missing": {
      const other = binding && rePointed(binding, role, { objects });
      const words = `${binding?.kind} ${binding?.name}: roleRef ${other?.roleRef.kind}/${other?.roleRef.name}`;
      return [noRole(), other ? objects.quote(bindings, other, words) : noBinding()];
    }
    case "binding-missing":
      return [
        ...rbac
          .bindingsTo(role)
          .filter((grant) => narrow && refId(grant.ref) === refId(narrow))
          .map(rbac.quote),
        noBinding(),
      ];
    case "rule-missing":
      return quoteRules(role, objects);
    default: {
      const found = objects.find(bindings, object.name, object.namespace);
      if (found.state !== "present") return [];
      const { roleRef, subjects } = found.value;
      const names = (subjects ?? []).map(({ kind, namespace, name }) =>
        [kind, namespace, name].filter(Boolean).join("/"),
      );
      const words = `${object.kind} ${object.name}: roleRef ${roleRef.kind}/${roleRef.name}, subjects ${names.join(", ") || "none"}`;
      return [objects.quote(bindings, found.value, words)];
    }
  }
}

/** What a role has rules for: the one that is missing is not among them. */
function quoteRules(role: Ref, objects: Model["objects"]): Evidence[] {
  const list = role.kind === "Role" ? "roles" : "clusterroles";
  const found = objects.find(list, role.name, role.namespace);
  if (found.state !== "present") return [];
  const rules = (found.value.rules ?? []).map(
    ({ verbs, resources, nonResourceURLs }) =>
      `${(resources ?? nonResourceURLs ?? []).join(",")} (${(verbs ?? []).join(",")})`,
  );
  return [objects.quote(list, found.value, `${role.kind} ${role.name}: ${rules.join("; ") || "no rules"}`)];
}

/** What a flaw breaks: all of the component's work if its own account lost all that the first grant gives it. */
function breaksOf(flaw: Flaw, { component, grants }: ComponentPermissions, { components }: Model): Capability[] {
  const stops = [...new Set(flaw.consequences.flatMap(({ stops: all = [] }) => all))].map((name) => ({ name }));
  const work = [...new Set(flaw.consequences.flatMap(({ breaks }) => breaks))];
  if (!component || work.length === 0) return stops;
  // replicas of a control plane are components of their own
  const replicas = component.account ? [component] : components.byId(component.definition.id);
  const isWhole = flaw.reason !== "rule-missing" && flaw.role.name === grants[0]?.role.name;
  const permits = replicas.flatMap(({ ref: self }): Capability[] => {
    const permit = { name: "component.permit", component: refId(self) } as const;
    return isWhole ? [permit] : work.map((one) => ({ ...permit, work: one }));
  });
  return [...permits, ...stops];
}

function* judge(permissions: ComponentPermissions, model: Model): Iterable<Finding> {
  const { component, flaws, missing, comparison } = permissions;
  const told = component?.account ? refusalsOf(component, model) : { all: [], current: [], heard: [] };
  const related = component ? [component.ref] : [];
  // before the oldest release that is known it may have done without a rule
  const isGuess = comparison.fit === "older" && told.current.length === 0;
  const counts = (flaw: Flaw): boolean => isFault(flaw) && !(isGuess && flaw.reason === "rule-missing");
  for (const flaw of flaws) {
    const title = titleOf(flaw, permissions, model);
    const evidence = evidenceOf(flaw, model);
    const others = [flaw.role, flaw.binding, subjectRef(flaw)].filter(
      (one): one is Ref => one !== undefined && refId(one) !== refId(flaw.object),
    );
    if (!counts(flaw)) {
      yield warning(flaw.object, title, evidence, [...others, ...related]);
      continue;
    }
    yield fault({
      repair: flaw.object,
      related: [...others, ...related],
      breaks: breaksOf(flaw, permissions, model),
      title,
      evidence: [...evidence, ...told.heard],
      strength: "direct",
      since: told.current[0]?.entry.first.at,
      facts: { baseline: comparison.baseline.id, component: related.map(refId)[0] ?? "", reason: flaw.reason },
    });
  }
  if (!component?.account) return;
  if (flaws.some(counts)) yield* refused(component, told);
  const unauthorized = unauthorizedOf(component, model);
  if (unauthorized) {
    const says = say.unauthorized({ component: component.definition.name });
    yield warning(component.ref, says, [unauthorized.evidence], [accountRef(component.account)]);
  }
  const capability = { name: "component.permit", component: refId(component.ref) } as const;
  const account = model.objects.find("serviceaccounts", component.account.name, component.account.namespace);
  const unseen = [...missing, ...(account.state === "unknown" ? (["serviceaccounts"] as const) : [])];
  if (flaws.some(isFault)) return;
  if (unseen.length === 0) {
    yield works(capability, model.rbac.bindingsOf(component.account).slice(0, 1).map(model.rbac.quote));
    const last = told.all.at(-1);
    if (last) yield past(component.ref, say.wasDenied({ component: component.definition.name }), [last.evidence]);
    return;
  }
  yield cannotTell(
    capability,
    unseen.map((kind) => ({ kind })),
  );
  yield* heardOnly(component, permissions, told);
}

const accountRef = ({ name, namespace }: NonNullable<Component["account"]>): Ref =>
  ref("ServiceAccount", name, namespace);

const subjectRef = ({ subject }: Flaw): Ref | undefined =>
  subject?.kind === "ServiceAccount" ? ref("ServiceAccount", subject.name, subject.namespace) : undefined;

/** The loss as the component meets it: from here on it does not follow. */
function* refused(component: Component, told: ReturnType<typeof refusalsOf>): Iterable<Finding> {
  const { nodes, wants } = refusedOf(component, told);
  if (nodes.length === 0) return;
  const verbs = [...new Set(wants.map(({ verb }) => verb))].sort().join("/");
  const resources = shortList(wants.map(({ resource }) => resource));
  yield fault({
    repair: component.ref,
    nodes,
    breaks: nodes.map((node) => ({ name: "component.learn", component: refId(component.ref), node })),
    title: say.refused({ component: component.definition.name, nodes: nodes, verbs, resources }),
    evidence: wants.slice(0, 3).map(({ evidence }) => evidence),
    strength: "heard",
    since: told.current[0]?.entry.first.at,
    facts: { component: refId(component.ref), reason: "refused" },
  });
}

/** What cannot be seen and was refused: a component that runs on would be refused again and again. */
function* heardOnly(
  component: Component,
  { grants, comparison }: ComponentPermissions,
  { current, heard }: ReturnType<typeof refusalsOf>,
): Iterable<Finding> {
  const isStuck = component.pods.some(({ ready, finished }) => !ready && !finished);
  const last = current.findLast(({ ongoing }) => ongoing || isStuck);
  if (!last) return;
  // what the API server said names the missing role; without a name it is the binding or a rule
  const lost = roleNotFound(last.entry.last.message);
  const [grant] = grants;
  const role = lost ?? grant?.role ?? ref("ClusterRole", component.account!.name);
  yield fault({
    repair: role,
    related: [...(grant?.bindings.slice(0, 1).map(({ ref: binding }) => binding) ?? []), component.ref],
    breaks: [{ name: "component.permit", component: refId(component.ref) }],
    title: say.heard({ component: component.definition.name, object: refId(role) }),
    evidence: heard,
    strength: "heard",
    since: current[0]?.entry.first.at,
    facts: { baseline: comparison.baseline.id, component: refId(component.ref), reason: "heard" },
  });
  yield* refused(component, { all: [], current, heard });
}

/** Its Pods hold tokens of an account that does not exist: they are refused as nobody (401). */
function* judgeAccount(component: Component, model: Model): Iterable<Finding> {
  const { name, namespace } = component.account!;
  const account = ref("ServiceAccount", name, namespace);
  const absent = model.objects.quoteAbsence("serviceaccounts", `no ServiceAccount ${namespace}/${name}`);
  yield fault({
    repair: account,
    related: [component.ref],
    breaks: [{ name: "component.permit", component: refId(component.ref) }],
    title: say.accountMissing({ component: component.definition.name, account: `${namespace}/${name}` }),
    evidence: [absent, ...refusalsOf(component, model).heard],
    strength: "direct",
    facts: { component: refId(component.ref), reason: "account-missing" },
  });
}

/** It has an account and permissions, and its next Pods will have no token to show for it. */
function* judgeToken(component: Component, model: Model): Iterable<Finding> {
  const tokenless = tokenlessOf(component, model);
  if (!tokenless) return;
  const { object, evidence, failing } = tokenless;
  const self = refId(component.ref);
  const nodes = [...new Set(failing.flatMap(({ node }) => node ?? []))];
  yield fault({
    repair: object,
    related: [component.ref],
    nodes,
    breaks: [
      { name: "component.restart", component: self },
      ...nodes.map((node): Capability => ({ name: "component.run", component: self, node })),
    ],
    title: say.tokenMissing({ component: component.definition.name, object: refId(object) }),
    evidence: [evidence],
    strength: "direct",
    facts: { component: self, reason: "token-missing" },
  });
}

/** Accounts beside its own that a binding gives what the component works by (`calico-cni-plugin`), and that are not there. */
function* judgeOtherAccounts(permissions: ComponentPermissions, model: Model): Iterable<Finding> {
  const { component, account: own, grants, comparison } = permissions;
  if (!component || !own) return;
  for (const { role, bindings } of grants)
    for (const { subjects } of bindings)
      for (const { kind, name, namespace = "" } of subjects) {
        if (kind !== "ServiceAccount" || (name === own.name && namespace === own.namespace)) continue;
        const isBound = model.rbac.bindingsOf({ namespace, name }).some((grant) => refId(grant.role) === refId(role));
        const consequence = consequenceOf(comparison.baseline, role.name, undefined);
        if (!isBound || !isGrave(consequence)) continue;
        if (model.objects.find("serviceaccounts", name, namespace).state !== "absent") continue;
        const account = ref("ServiceAccount", name, namespace);
        const stops = (consequence.stops ?? []).map((one): Capability => ({ name: one }));
        const permits = consequence.breaks.map(
          (work): Capability => ({ name: "component.permit", component: refId(component.ref), work }),
        );
        yield fault({
          repair: account,
          related: [role, component.ref],
          breaks: [...permits, ...stops],
          title: say.otherAccountMissing({
            component: component.definition.name,
            account: `${namespace}/${name}`,
            consequence: consequence.says,
          }),
          evidence: [model.objects.quoteAbsence("serviceaccounts", `no ServiceAccount ${namespace}/${name}`)],
          strength: "direct",
          facts: { component: refId(component.ref), reason: "account-missing" },
        });
      }
}

const lacksAccount = ({ account, pods }: Component, { objects }: Model): boolean =>
  account !== undefined &&
  pods.length > 0 &&
  objects.find("serviceaccounts", account.name, account.namespace).state === "absent";

/**
 * A network component may no longer do what its work needs.
 *
 * Its Pods stay Running on what they had learned, so it looks healthy while everything newer is missing.
 */
export const componentAccessDenied = defineCheck({
  id: "component-access-denied",
  reads: ["components", "permissions", "rbac", "releases", "objects", "logs"],

  *find(model) {
    for (const permissions of model.permissions.all) {
      const { component } = permissions;
      if (component && lacksAccount(component, model)) yield* judgeAccount(component, model);
      else yield* judge(permissions, model);
      if (component) yield* judgeToken(component, model);
      yield* judgeOtherAccounts(permissions, model);
    }
    for (const { file } of model.components.unreadable)
      yield cannotTell({ name: "component.permit", component: `Component/${file}` }, [
        { kind: "components", place: { file } },
      ]);
  },

  remedies(found, model) {
    const { reason, baseline } = found.facts;
    const component = model.components.all.find(({ ref: self }) => refId(self) === found.facts.component);
    const permissions = model.permissions.all.find(
      (one) => one.comparison.baseline.id === baseline && (!component?.account || one.component === component),
    );
    const name = component?.definition.name ?? (permissions ? makerOf(permissions) : "");
    const flaw = permissions?.flaws.find((one) => one.reason === reason && refId(one.object) === refId(found.repair));
    const { steps, source } =
      reason === "account-missing"
        ? { steps: [accountStep(found.repair)] }
        : reason === "token-missing"
          ? { steps: [tokenStep(found.repair)] }
          : reason === "heard" && permissions
            ? { steps: heardSteps(found.repair, permissions, model, name) }
            : flaw && permissions
              ? restored({ flaw, permissions, model }, name)
              : { steps: [] };
    if (steps.length === 0) return [];
    const restarts = component?.account ? restartSteps(component, reason === "account-missing") : [];
    const objects = [found.repair, ...found.related].filter(({ kind }) => /Role/.test(kind)).map(refId);
    return [
      {
        id: "restore-permissions",
        risk: "low",
        interrupts: say.interrupts(),
        ...(source && { source }),
        steps: [...steps, ...restarts, ...(component ? identitySteps(component) : [])],
        prevent: [
          ...(objects.length > 0 ? [say.preventAdmission({ objects: objects.slice(0, 2) })] : []),
          say.preventBackup(),
          // bindings that nobody's Pods come with have nobody who could stay Running without them
          ...(component ? [say.preventAlert({ component: name })] : []),
        ],
        errata: ["X21", "X22", "X24"],
      },
    ];
  },

  manual: {
    title: { en: "A network component has lost its permissions", zh: "网络组件丢失权限" },
    page: {
      en: `A network component (kube-proxy, a CNI agent or its operator, CoreDNS, a controller) may no longer do what its work needs: its role or its binding is gone, the binding names another account, or a rule is missing.

**How it looks.** At first like nothing: the Pods stay Running and Ready on what they had learned. What is newer is missing: no rules for new Services, stale back ends, no routes to new nodes. After a restart the agent starts with nothing: flannel crash-loops, kube-proxy writes no rules at all, CoreDNS answers SERVFAIL. Logs say \`is forbidden: User "system:serviceaccount:…" cannot list …\`; the suffix \`RBAC: clusterrole … not found\` means that the binding is there and its role is not.

**How it is found.** Everything that the release of the component is granted by its manifest, chart or the API server's own policy is asked of the objects that are there; a release that is not known is compared with those next to it. What the network can do without is a warning.

**How it comes about.** A clean-up by label (\`kubectl delete clusterrole,clusterrolebinding -l …\`), an uninstalled release, a restore of an older etcd snapshot, an upgrade that needs a new permission.

**When this is not the cause.** \`Unauthorized\` (401) is about the token, not about RBAC. \`i/o timeout\` or \`connection refused\` towards the API server is about the network. Remarks about "forbidden" from the minute in which the API server started are normal.`,
      zh: `网络组件（kube-proxy、CNI 代理及其 Operator、CoreDNS、控制器）不再拥有工作所需的权限：角色或绑定被删除、绑定指向了别的账号，或者缺少某条规则。

**现象。** 起初几乎看不出异常：Pod 凭已获知的数据保持 Running 和 Ready。缺的是之后的变化：新 Service 没有规则、后端陈旧、没有通往新节点的路由。重启后组件从零开始：flannel 反复崩溃，kube-proxy 一条规则也不写，CoreDNS 返回 SERVFAIL。日志中出现 \`is forbidden: User "system:serviceaccount:…" cannot list …\`；带有后缀 \`RBAC: clusterrole … not found\` 时，说明绑定还在而角色已不存在。

**如何发现。** 该组件版本的清单、Chart 或 API Server 自带策略授予的每一条权限，都会与现有对象逐条核对；未知版本与相邻版本比较。网络不依赖的权限只作为警告。

**成因。** 按标签清理（\`kubectl delete clusterrole,clusterrolebinding -l …\`）、卸载 Release、恢复较旧的 etcd 快照、升级后需要新的权限。

**何时不是它。** \`Unauthorized\`（401）是令牌问题，与 RBAC 无关；访问 API Server 时的 \`i/o timeout\` 或 \`connection refused\` 是网络问题；API Server 启动那一分钟内的 forbidden 属于正常现象。`,
    },
  },
});
