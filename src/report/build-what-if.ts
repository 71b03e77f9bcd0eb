/** Makes the answer to a what-if question of two diagnoses: of the cluster as it is, and as it would be. */
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import type { Change } from "../model/changes/change.ts";
import type { DeletionPlan, Taken } from "../model/changes/deletion.ts";
import type { ClusterModel } from "../model/model.ts";
import type { Grant } from "../model/rbac.ts";
import { type Ref, ref, refId, sameRef } from "../model/ref.ts";
import type { ResourceType } from "../model/resource-types.ts";
import { sh } from "../shell.ts";
import { type Text, texts, verbatim } from "../text.ts";
import type { Cause, Report } from "./report.ts";
import type { WhatIf } from "./what-if.ts";

const say = texts("what-if", {
  nothing: { en: "Nothing would change", zh: "不会有任何变化" },
  nothingSelected: { en: "Nothing is selected: nothing would be deleted", zh: "没有选中任何对象，不会删除任何东西" },
  harmless: {
    en: "Nothing that netwhy knows of would break",
    zh: "在 netwhy 所知范围内，不会造成任何故障",
  },
  breaksOne: { en: "Would break the network: {title}", zh: "会破坏集群网络：{title}" },
  breaksMany: {
    en: "Would break the network in {count} ways. First: {title}",
    zh: "会在 {count} 处破坏集群网络。首要：{title}",
  },
  repairs: { en: "Would repair: {title}", zh: "会修复：{title}" },
  repairsMany: { en: "Would repair {count} causes. First: {title}", zh: "会修复 {count} 个根因。首要：{title}" },
  unclear: { en: "Cannot tell: {what} could not be seen", zh: "无法判断：未能观测到{what}" },
  owned: { en: "goes with {owner}", zh: "随 {owner} 一并删除" },
  inNamespace: { en: "is in {owner}", zh: "位于 {owner} 中" },
  ended: {
    en: "{policies} would deny {count} {count:call|calls} that worked when tested, such as {from} to {to}",
    zh: "{policies} 会拒绝 {count} 个测试时正常的访问，例如 {from} 访问 {to}",
  },
  mute: {
    en: "{policies} would let {count} {count:Pod|Pods} send nothing that are free to now, such as {first}",
    zh: "{policies} 会使 {count} 个目前不受限的 Pod 不能向外发送任何报文，例如 {first}",
  },
  closed: {
    en: "{policies} would let nobody in to {count} {count:Pod|Pods} that are open now, such as {first}",
    zh: "{policies} 会使 {count} 个目前开放的 Pod 拒绝一切访问，例如 {first}",
  },
  meant: {
    en: "Breaks nothing if it is meant so: {what}",
    zh: "若本意如此则无故障：{what}",
  },
  unread: { en: "which {resource} it would take", zh: "会删除哪些 {resource}" },
});

export type Judged = {
  readonly model: ClusterModel;
  readonly report: Report;
  /** All faults that were found, roots or not. */
  readonly faults: readonly { readonly id: string; readonly nodes: readonly string[] }[];
};

/** A test that succeeded, and that policies would deny. */
export type EndedCall = {
  readonly policies: readonly Ref[];
  readonly from: string;
  readonly to: string;
};

/** A Pod that is free, and that policies would cut off in one direction. */
export type LockedPod = {
  readonly policies: readonly Ref[];
  readonly direction: "ingress" | "egress";
  readonly pod: string;
};

export type WhatIfInput = {
  readonly capture: Capture;
  readonly plan: DeletionPlan;
  readonly changes: readonly Change[];
  readonly before: Judged;
  readonly after: Judged;
  readonly ended: readonly EndedCall[];
  readonly locked: readonly LockedPod[];
  readonly version: string;
};

export function buildWhatIf({ capture, plan, changes, before, after, ended, locked, version }: WhatIfInput): WhatIf {
  const breaks = after.report.rootCauses.filter((cause) => isNew(cause, before, after));
  const repairs = before.report.rootCauses.filter(({ id }) => after.faults.every((fault) => fault.id !== id));
  const remains = after.report.rootCauses.filter((cause) => !breaks.includes(cause));
  const unclear = [...unreadOf(plan.unread), ...newlyBlind(before.report, after.report)];
  // what is a cause is told as one
  const isTold = ({ policies }: Pick<EndedCall, "policies">) =>
    breaks.some(({ object }) => policies.some((policy) => sameRef(policy, object as Ref)));
  const denied = [...endedOf(ended.filter((one) => !isTold(one))), ...lockedOf(locked.filter((one) => !isTold(one)))];
  const told = {
    taken: plan.taken.map((one) => takenOf(one, plan, breaks, before.model, after.model)),
    changes: changes as WhatIf["changes"],
    breaks,
    repairs,
    remains: remains.map(({ id, title }) => ({ id, title })),
    notFound: [...plan.notFound],
    unclear: [...denied, ...unclear],
  };
  const cluster = known(capture.get("cluster"));
  const at = cluster?.endedAt ?? cluster?.capturedAt ?? cluster?.startedAt;
  const kubernetes = after.report.cluster.version;
  return {
    schema: "netwhy.what-if/v1",
    tool: { version },
    cluster: {
      name: cluster?.name ?? "",
      ...(kubernetes !== undefined && { version: kubernetes }),
      ...(at !== undefined && { capturedAt: at }),
    },
    ...verdictOf(told, plan.changes.length + changes.length, denied[0]?.what),
    ...told,
  };
}

/** It was not there, or on fewer nodes. */
function isNew({ id }: Cause, before: Judged, after: Judged): boolean {
  const nodesOf = ({ faults }: Judged) => faults.flatMap((fault) => (fault.id === id ? fault.nodes : []));
  if (before.faults.every((fault) => fault.id !== id)) return true;
  const known = new Set(nodesOf(before));
  return nodesOf(after).some((node) => !known.has(node));
}

function verdictOf(
  { taken, breaks, repairs, unclear }: Pick<WhatIf, "taken" | "breaks" | "repairs" | "unclear">,
  changes: number,
  denied: Text | undefined,
): Pick<WhatIf, "verdict" | "summary"> {
  const [broken] = breaks;
  if (broken) {
    const { title } = broken;
    const summary = breaks.length === 1 ? say.breaksOne({ title }) : say.breaksMany({ title, count: breaks.length });
    return { verdict: "breaks", summary };
  }
  if (denied) return { verdict: "unclear", summary: say.meant({ what: denied }) };
  const [hidden] = unclear;
  if (hidden) return { verdict: "unclear", summary: say.unclear({ what: hidden.what }) };
  const [repaired] = repairs;
  if (repaired) {
    const { title } = repaired;
    const summary = repairs.length === 1 ? say.repairs({ title }) : say.repairsMany({ title, count: repairs.length });
    return { verdict: "repairs", summary };
  }
  if (changes > 0) return { verdict: "harmless", summary: say.harmless() };
  return { verdict: "nothing", summary: taken.length === 0 ? say.nothingSelected() : say.nothing() };
}

/** One for the policies that deny together. */
function endedOf(ended: readonly EndedCall[]): WhatIf["unclear"] {
  const groups = Map.groupBy(ended, ({ policies }) => policies.map(refId).join(", "));
  return [...groups].map(([policies, same]) => {
    const [{ from, to }] = same as [EndedCall];
    return { what: say.ended({ policies, count: same.length, from, to }), settle: [] };
  });
}

function lockedOf(locked: readonly LockedPod[]): WhatIf["unclear"] {
  const groups = Map.groupBy(locked, ({ policies, direction }) => `${direction} ${policies.map(refId).join(", ")}`);
  return [...groups.values()].map((same) => {
    const [{ policies, direction, pod }] = same as [LockedPod];
    const args = { policies: policies.map(refId), count: same.length, first: pod };
    return { what: direction === "egress" ? say.mute(args) : say.closed(args), settle: [] };
  });
}

function unreadOf(types: readonly ResourceType[]): WhatIf["unclear"] {
  return types.map(({ plural, group }) => {
    const resource = group === "" ? plural : `${plural}.${group}`;
    return {
      what: say.unread({ resource: verbatim(resource) }),
      settle: [{ run: sh`kubectl get ${resource} -A --show-labels` }],
    };
  });
}

/** What could be told of the cluster as it is, and not of the cluster as it would be. */
function newlyBlind(before: Report, after: Report): WhatIf["unclear"] {
  const known = new Set(before.blindSpots.map(({ what }) => what.en));
  return after.blindSpots
    .filter(({ what, matters }) => matters.length > 0 && !known.has(what.en))
    .map(({ what, settle }) => ({ what, settle }));
}

function takenOf(
  { object, for: reason, returns }: Taken,
  { taken }: DeletionPlan,
  breaks: readonly Cause[],
  before: ClusterModel,
  after: ClusterModel,
): WhatIf["taken"][number] {
  const says = reasonOf(reason);
  const isGone = taken.some((one) => one.returns !== "by-controller" && sameRef(one.object, object));
  return {
    object,
    ...(says && { says }),
    ...(returns && { returns }),
    loses: isGone ? lossesOf(object, before, after) : [],
    roots: breaks
      .filter(({ object: repair, related }) => [repair, ...related].some((one) => sameRef(one as Ref, object)))
      .map(({ id }) => id),
  };
}

function reasonOf(reason: Taken["for"]): Text | undefined {
  if (reason.why === "selected") return undefined;
  const owner = refId(reason.of);
  return reason.why === "owner" ? say.owned({ owner }) : say.inNamespace({ owner });
}

/** Whose permissions go with a role or a binding. */
function lossesOf(object: Ref, before: ClusterModel, after: ClusterModel): WhatIf["taken"][number]["loses"] {
  if (!/Role/.test(object.kind)) return [];
  const touched = before.rbac.grants.filter((grant) => sameRef(grant.ref, object) || sameRef(grant.role, object));
  const subjects = new Map(touched.flatMap(subjectsOf).map((subject) => [refId(subject), subject]));
  return [...subjects.values()].map((subject) => ({
    subject,
    all: !after.rbac.grants.some((grant) => isWhole(grant, after) && names(grant, subject)),
    runs: subject.kind === "ServiceAccount" ? workloadsOf(subject, before) : [],
  }));
}

const subjectsOf = ({ binding, namespace }: Grant): Ref[] =>
  (binding.subjects ?? []).map((subject) =>
    ref(subject.kind, subject.name, subject.kind === "ServiceAccount" ? (subject.namespace ?? namespace) : undefined),
  );

const names = (grant: Grant, subject: Ref) => subjectsOf(grant).some((one) => sameRef(one, subject));

/** Its role is there. */
const isWhole = ({ role }: Grant, { objects }: ClusterModel) =>
  objects.find(role.kind === "ClusterRole" ? "clusterroles" : "roles", role.name, role.namespace).state !== "absent";

function workloadsOf({ name, namespace }: Ref, { pods }: ClusterModel): Ref[] {
  const running = pods
    .inNamespace(namespace ?? "")
    .filter(({ object, finished }) => !finished && (object.spec?.serviceAccountName ?? "default") === name)
    .map((pod) => pod.owner ?? pod.ref);
  return [...new Map(running.map((one) => [refId(one), one])).values()];
}
