/** Makes the check of permissions of a model. */

import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import type { ClusterModel } from "../model/model.ts";
import { type ComponentPermissions, type Flaw, isFault } from "../model/permissions/permissions.ts";
import { deniedOf } from "../model/permissions/rules.ts";
import { tokenlessOf } from "../model/permissions/tokens.ts";
import type { Want } from "../model/rbac.ts";
import { type Ref, ref, refId } from "../model/ref.ts";
import { type Text, texts } from "../text.ts";
import type { RbacCheck } from "./rbac-check.ts";

const say = texts("rbac-check", {
  allGranted: {
    en: "{count} {count:component has|components have} what {count:its release needs|their releases need}",
    zh: "{count} 个组件的权限齐全",
  },
  lacking: {
    en: "{lacking} of {count} components {lacking:lacks|lack} what the network cannot be without",
    zh: "{count} 个组件中有 {lacking} 个缺少网络所必需的权限",
  },
  unclear: {
    en: "Of {unclear} of {count} components it cannot be told",
    zh: "{count} 个组件中有 {unclear} 个无法判断",
  },
  nothing: { en: "No component was found whose permissions are known", zh: "没有找到权限基线已知的组件" },
  accountMissing: {
    en: "{object} does not exist: the Pods hold tokens that are worth nothing (401, not 403)",
    zh: "{object} 不存在：Pod 持有的令牌无效（401，而不是 403）",
  },
  tokenMissing: {
    en: "{object} says automountServiceAccountToken: false: the next Pods get no token and are nobody to the API server (401, not 403)",
    zh: "{object} 设置了 automountServiceAccountToken: false：新 Pod 拿不到令牌，API Server 不认其身份（401，而不是 403）",
  },
  roleMissing: { en: "{object} does not exist", zh: "{object} 不存在" },
  ruleMissing: { en: "{object} lacks rules", zh: "{object} 缺少规则" },
  bindingMissing: {
    en: "{object} does not exist: nothing gives {role} to {account}",
    zh: "{object} 不存在：没有绑定把 {role} 授予 {account}",
  },
  bothMissing: { en: "neither {object} nor a binding to it exists", zh: "{object} 与指向它的绑定都不存在" },
  subjectWrong: { en: "{object} does not name {account}", zh: "{object} 的 subjects 不含 {account}" },
  roleRefWrong: { en: "{object} does not refer to {role}", zh: "{object} 引用的不是 {role}" },
});

const PHRASES = {
  "role-missing": say.roleMissing,
  "rule-missing": say.ruleMissing,
  "binding-missing": say.bindingMissing,
  "both-missing": say.bothMissing,
  "subject-wrong": say.subjectWrong,
  "role-ref-wrong": say.roleRefWrong,
} as const;

function sentenceOf({ reason, object, role, subject }: Flaw): Text {
  const account = subject ? [subject.kind, subject.namespace, subject.name].filter(Boolean).join("/") : "";
  return PHRASES[reason]({ object: refId(object), role: refId(role), account });
}

/** `list/watch endpointslices.discovery.k8s.io`, in one line for each resource. */
function linesOf(wants: readonly Want[]): string[] {
  const resourceOf = (want: Want) => {
    if ("path" in want) return want.path;
    const [resource, subresource] = want.resource.split("/") as [string, string?];
    const full = want.apiGroup === "" ? resource : `${resource}.${want.apiGroup}`;
    const part = subresource === undefined ? full : `${full}/${subresource}`;
    const named = want.name === undefined ? part : `${part} ${want.name}`;
    return want.namespace === undefined ? named : `${named} -n ${want.namespace}`;
  };
  return [...Map.groupBy(wants, resourceOf)].map(
    ([resource, same]) => `${[...new Set(same.map(({ verb }) => verb))].join("/")} ${resource}`,
  );
}

/** Operators that make what is deleted of their components again, while they may themselves. */
const isMadeByOperator = ({ account }: ComponentPermissions, model: ClusterModel): boolean =>
  account?.namespace === "calico-system" && model.components.byId("tigera-operator").length > 0;

function widerOf({ account, grants }: ComponentPermissions, { rbac, objects }: ClusterModel) {
  if (!account) return [];
  const needed = grants.flatMap(({ rules }) => rules);
  return rbac.bindingsOf(account).flatMap(({ role }) => {
    // a role of the baseline that is another component's is not this one's to be wide
    if (grants.some((grant) => grant.isForeign && refId(grant.role) === refId(role))) return [];
    const list = role.kind === "Role" ? "roles" : "clusterroles";
    const found = objects.find(list, role.name, role.namespace);
    const rules = found.state === "present" ? (found.value.rules ?? []) : [];
    const allows = linesOf(rules.flatMap((rule) => deniedOf(rule, needed)));
    return allows.length > 0 ? [{ role, allows }] : [];
  });
}

const FORBIDDEN = /is forbidden: User \\*"system:serviceaccount:/;
const UNAUTHORIZED = /\bUnauthorized\b|the server has asked for the client to provide credentials/;

function refusedOf({ component }: ComponentPermissions, { logs }: ClusterModel) {
  const last = (pattern: RegExp) =>
    (component?.pods ?? [])
      .flatMap((pod) => logs.said(pod, pattern))
      .filter(({ current }) => current)
      .at(-1)?.evidence;
  const forbidden = last(FORBIDDEN);
  const unauthorized = last(UNAUTHORIZED);
  return { ...(forbidden && { forbidden }), ...(unauthorized && { unauthorized }) };
}

type Row = RbacCheck["components"][number];

function rowOf(permissions: ComponentPermissions, model: ClusterModel): Row {
  const { component, account, comparison, flaws, missing } = permissions;
  const absent =
    account && component && component.pods.length > 0
      ? model.objects.find("serviceaccounts", account.name, account.namespace).state === "absent"
      : false;
  const self = account && ref("ServiceAccount", account.name, account.namespace);
  const rows: Row["flaws"] = flaws.map((flaw) => ({
    object: flaw.object,
    reason: flaw.reason,
    severity: isFault(flaw) ? "fault" : "warning",
    says: sentenceOf(flaw),
    lacks: linesOf(flaw.lacks.map(({ want }) => want)),
    consequences: flaw.consequences.map(({ says }) => says),
    madeAgainBy: flaw.isRestored ? "kube-apiserver" : isMadeByOperator(permissions, model) ? "operator" : "nobody",
  }));
  const ofIdentity = (reason: "account-missing" | "token-missing", object: Ref, says: Text): Row["flaws"] => [
    { object, reason, severity: "fault", says, lacks: [], consequences: [], madeAgainBy: "nobody" },
  ];
  const tokenless = component && tokenlessOf(component, model)?.object;
  const all: Row["flaws"] = [
    ...(absent && self ? ofIdentity("account-missing", self, say.accountMissing({ object: refId(self) })) : []),
    ...(tokenless ? ofIdentity("token-missing", tokenless, say.tokenMissing({ object: refId(tokenless) })) : []),
    ...rows,
  ];
  const lacks = all.some(({ severity }) => severity === "fault");
  return {
    name: component?.definition.name ?? comparison.baseline.id,
    ...(component && { runs: component.ref }),
    ...(account && { account: `${account.namespace}/${account.name}` }),
    ...(comparison.release !== undefined && { release: comparison.release }),
    fit: comparison.fit,
    comparedWith: comparison.variants.map(({ id }) => id),
    state: lacks ? "lacks" : missing.length > 0 ? "unclear" : "granted",
    flaws: all,
    wider: widerOf(permissions, model),
    missing: [...missing],
    refused: refusedOf(permissions, model),
  };
}

const ORDER: readonly Row["state"][] = ["lacks", "unclear", "granted"];

function summaryOf(rows: readonly Row[], verdict: RbacCheck["verdict"]): Text {
  const count = rows.length;
  const having = (state: Row["state"]) => rows.filter((row) => row.state === state).length;
  if (count === 0) return say.nothing();
  if (verdict === "faulty") return say.lacking({ lacking: having("lacks"), count });
  return verdict === "unclear" ? say.unclear({ unclear: having("unclear"), count }) : say.allGranted({ count });
}

export function buildRbacCheck(capture: Capture, model: ClusterModel, version: string): RbacCheck {
  const rows = model.permissions.all
    .map((permissions) => rowOf(permissions, model))
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.flaws.length - a.flaws.length);
  const has = (state: Row["state"]) => rows.some((row) => row.state === state);
  const verdict = has("lacks") ? "faulty" : has("unclear") || rows.length === 0 ? "unclear" : "healthy";
  const cluster = known(capture.get("cluster"));
  const capturedAt = cluster?.endedAt ?? cluster?.capturedAt ?? cluster?.startedAt;
  return {
    schema: "netwhy.rbac-check/v1",
    tool: { version },
    cluster: { name: cluster?.name ?? "", ...(capturedAt !== undefined && { capturedAt }) },
    verdict,
    summary: summaryOf(rows, verdict),
    components: rows,
  };
}
