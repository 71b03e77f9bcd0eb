/** Makes the report of an explanation: plain data, complete, in a fixed order. */

import type { Disagreement, ExplainedRoot, Explanation } from "../cause/explain.ts";
import { type Foretold, USES } from "../cause/foretold.ts";
import { triggersOf } from "../cause/triggers.ts";
import { captureCommands } from "../checks/capture-commands.ts";
import type { Fault } from "../checks/check.ts";
import type { Remedy } from "../checks/remedy.ts";
import type { RegisteredCheck } from "../checks/run.ts";
import { type CheckResults, narrowed } from "../checks/run.ts";
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import type { Evidence } from "../evidence/origin.ts";
import { CAPABILITIES, type Capability, subjectOf } from "../model/capability.ts";
import type { ClusterModel } from "../model/model.ts";
import { listOfKind } from "../model/objects.ts";
import type { Observation } from "../model/observations.ts";
import { type Ref, refId } from "../model/ref.ts";
import { timeOf } from "../model/time.ts";
import { type Text, texts, verbatim } from "../text.ts";
import { ENDS } from "../trace/trace.ts";
import { blindSpotOf } from "./blind-spots.ts";
import { doubtOf } from "./mute.ts";
import { list, phrase } from "./phrases.ts";
import type { Cause, Effect, Report } from "./report.ts";
import { missingRights } from "./rights.ts";
import { sightingText } from "./sightings.ts";

const say = texts("report", {
  willFail: { en: "{what} fails", zh: "{what}将失败" },
  willFailLater: { en: "{what} fails after the next change or restart", zh: "下次变更或重启后，{what}将失败" },
  lost: { en: "no longer: {what}", zh: "将失效：{what}" },
  lostForNew: { en: "for what is new or restarts, no longer: {what}", zh: "对新增或重启的对象将失效：{what}" },
  healthy: { en: "No root cause found", zh: "未发现根因" },
  healthyTested: {
    en: "No root cause found; all {count} {count:test|tests} ended as they should",
    zh: "未发现根因；{count} 项探测结果均符合预期",
  },
  healthyUntested: {
    en: "No root cause found. Not tested: the evidence holds no active tests",
    zh: "未发现根因。未经测试：证据中没有主动探测",
  },
  oneRoot: { en: "{title}", zh: "{title}" },
  manyRoots: { en: "{count} root causes. First: {title}", zh: "共 {count} 个根因。首要：{title}" },
  unclearFailures: {
    en: "{count} {count:test fails|tests fail}, and nothing that was seen explains {count:it|them}",
    zh: "{count} 项探测失败，已有证据无法解释",
  },
  unclearBlind: {
    en: "No root cause found in what was seen; not seen: {what}",
    zh: "已有证据中未发现根因；未能观测到：{what}",
  },
  unclearBlindMany: {
    en: "No root cause found in what was seen; not seen: {what}, and {count} more",
    zh: "已有证据中未发现根因；未能观测到：{what}，另有 {count} 项",
  },
  fails: { en: "{what} fails: {of}", zh: "{what}失败：{of}" },
  failsSometimes: { en: "{what} fails sometimes: {of}", zh: "{what}时而失败：{of}" },
  ratio: {
    en: "{failed} of {total} {total:test|tests} from {from}",
    zh: "{total} 项探测中 {failed} 项失败（来自 {from}）",
  },
  heard: { en: "{count} {count:program complains|programs complain}", zh: "{count} 个程序报错" },
  onNodes: { en: "{title} (also on {nodes})", zh: "{title}（另有节点 {nodes}）" },
  andMore: { en: "{title}, and {count} more of the kind", zh: "{title}，另有 {count} 处同类问题" },
  denied: {
    en: "{policies} {count:denies|deny} {calls} observed {calls:call|calls}, as meant",
    zh: "{policies} 按其本意拒绝了 {calls} 次访问",
  },
  passes: {
    en: "{test}; yet nothing on the nodes stops its packets",
    zh: "{test}；但按各节点状态推演，没有什么会阻止其报文",
  },
  stops: {
    en: "{test}; yet on node {node} its packets should end: {end}",
    zh: "{test}；但按各节点状态推演，其报文应止于节点 {node}：{end}",
  },
  sighted: { en: "{what}: {sighting}", zh: "{what}：{sighting}" },
  contradicted: {
    en: "{title}; yet {count} {count:test shows|tests show} that it works",
    zh: "{title}；但有 {count} 项探测表明其工作正常",
  },
  refused: { en: "{path}: {what}", zh: "{path}:{what}" },
  observed: { en: "{what}", zh: "{what}" },
});

function mutable<T>(values: readonly T[]): T[] {
  return [...values];
}

/** Evidence without repetitions, in its order. */
function distinct(evidence: readonly Evidence[]): Evidence[] {
  const seen = new Set<string>();
  return evidence.filter(({ origin, quote }) => {
    const key = `${origin.path}:${origin.line ?? ""}:${quote}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

const MOST_QUOTES = 6;
/** Who wrote last what a root names: of this many of its objects. */
const MOST_WRITES = 3;

/** What users would call the same symptom. */
const symptomOf = ({ capability }: Observation): string =>
  [capability.name, capability.service ?? capability.zone ?? ""].join("|");

/** One node of the tree for observations that show the same: k of n tests. */
function effectsOf(owned: readonly Observation[], all: readonly Observation[]): Effect[] {
  const groups = Map.groupBy(owned, symptomOf);
  return [...groups.values()].map((group): Effect => {
    const { capability } = group[0]!;
    const measured = group.filter(({ how }) => how === "measured");
    const from = [...new Set(group.map(({ client }) => client.node))].sort();
    const made = all.filter(
      (other) =>
        other.how === "measured" && symptomOf(other) === symptomOf(group[0]!) && from.includes(other.client.node),
    );
    const failed = measured.length;
    const heard = group.length - failed;
    const counts = [
      ...(failed > 0 ? [say.ratio({ failed, total: made.length, from: from })] : []),
      ...(heard > 0 ? [say.heard({ count: heard })] : []),
    ];
    const isAll = failed === made.length;
    const what = nameOf(capability);
    const of = list(counts);
    return {
      capability: capability.name,
      subject: subjectOf(capability.zone === undefined ? capability : { name: capability.name }),
      is: "symptom",
      state: isAll ? "broken" : "impaired",
      ...(failed > 0 && { of: [failed, made.length] as [number, number] }),
      says: isAll ? say.fails({ what, of }) : say.failsSometimes({ what, of }),
      evidence: distinct(eachKindFirst(group).map(({ evidence }) => evidence)).slice(0, 3),
      causes: [],
    };
  });
}

/** A test, then what a program says: its words are what somebody came with. */
function eachKindFirst(group: readonly Observation[]): readonly Observation[] {
  const firsts = (["measured", "heard"] as const).flatMap((how) => group.find((one) => one.how === how) ?? []);
  return [...firsts, ...group.filter((one) => !firsts.includes(one))];
}

const names = texts("capability", {
  service: { en: "reaching Service {service}", zh: "访问 Service {service}" },
  external: { en: "resolving names outside the cluster", zh: "解析集群外域名" },
  cluster: { en: "resolving names of the cluster", zh: "解析集群内域名" },
  ofComponent: { en: "{what} ({component})", zh: "{what}（{component}）" },
});

function nameOf({ name, service, zone }: Capability): Text {
  if (name === "service.reach" && service !== undefined) return names.service({ service });
  if (name === "dns.resolve") return zone === "external" ? names.external() : names.cluster();
  return phrase(CAPABILITIES[name]);
}

/**
 * The tree under a root: faults that follow from it, each under the one that it follows from most closely, and at their
 * ends what users see. Faults of one kind under one fault are one branch.
 */
function treeOf(root: ExplainedRoot, observations: readonly Observation[]): Effect[] {
  const branchOf = new Map<Fault, string>(root.faults.map((fault) => [fault, ""]));
  const branches = new Map<string, Fault[]>();
  for (const { fault, from } of root.consequences) {
    const key = `${branchOf.get(from) ?? ""}/${fault.check} ${fault.breaks[0]?.name}`;
    branchOf.set(fault, key);
    const branch = branches.get(key);
    if (branch) branch.push(fault);
    else branches.set(key, [fault]);
  }
  const symptoms = Map.groupBy(groupsOf(root.owned), (group) =>
    mostCommon(group.map(({ from }) => branchOf.get(from)!)),
  );
  const under = (parent: string): Effect[] => [
    ...[...branches]
      .filter(([key]) => key.slice(0, key.lastIndexOf("/")) === parent)
      .map(([key, faults]): Effect => {
        const [first] = faults as [Fault, ...Fault[]];
        return {
          capability: first.breaks[0]!.name,
          subject: subjectOf(first.breaks[0]!),
          is: "fault",
          state: "broken",
          says: faults.length === 1 ? first.title : say.andMore({ title: first.title, count: faults.length - 1 }),
          evidence: distinct(faults.flatMap(({ evidence }) => evidence)).slice(0, 3),
          causes: under(key),
        };
      }),
    ...(symptoms.get(parent) ?? []).flatMap((group) =>
      effectsOf(
        group.map(({ observation }) => observation),
        observations,
      ),
    ),
  ];
  return [...under(""), ...root.foretold.map((one) => foretoldEffect(one, false))];
}

/**
 * What will be lost, where nothing was seen to fail.
 *
 * @param isLater it is said above that it is lost only for what is new
 */
function foretoldEffect({ capability, later, leadsTo }: Foretold, isLater: boolean): Effect {
  const isUse = USES.has(capability.name);
  const what = capability.component === undefined ? nameOf(capability) : ofComponent(capability);
  const isNews = later && !isLater;
  const sentence = isUse ? (isNews ? say.willFailLater : say.willFail) : isNews ? say.lostForNew : say.lost;
  return {
    capability: capability.name,
    subject: subjectOf({
      name: capability.name,
      ...(capability.component !== undefined && { component: capability.component }),
    }),
    is: isUse ? "symptom" : "fault",
    state: "predicted",
    says: sentence({ what }),
    evidence: [],
    causes: leadsTo.map((next) => foretoldEffect(next, later)),
  };
}

const ofComponent = (capability: Capability): Text =>
  names.ofComponent({ component: subjectOf(capability).name, what: phrase(CAPABILITIES[capability.name]) });

/** Observations of the same, wherever in the tree they were made. */
function groupsOf<O extends { readonly observation: Observation }>(owned: readonly O[]): readonly O[][] {
  return [...Map.groupBy(owned, ({ observation }) => symptomOf(observation)).values()];
}

function mostCommon(keys: readonly string[]): string {
  const counts = Map.groupBy(keys, (key) => key);
  return keys.reduce((a, b) => (counts.get(b)!.length > counts.get(a)!.length ? b : a));
}

/** Of the faults of one node so many are remedied one by one: it may have one for each Service. */
const MOST_REMEDIED = 5;

/** What one remedy does to each of several objects (a fault on every node), step by step. */
function remediesOf({ faults }: ExplainedRoot, model: ClusterModel, checks: readonly RegisteredCheck[]): Remedy[] {
  const of = (fault: Fault): readonly Remedy[] => {
    const check = checks.find(({ check: { id } }) => id === fault.check)?.check;
    return check ? check.remedies(fault, narrowed(model, check.reads)) : [];
  };
  const meant = [...Map.groupBy(faults, ({ repair }) => refId(repair)).values()].flatMap((same) => {
    const [first] = same as [Fault, ...Fault[]];
    // of an object of the API each would be patched as if the others were not
    if (first.repair.kind !== "Node") return [first];
    return [...Map.groupBy(same, ({ facts }) => JSON.stringify(facts)).values()]
      .flatMap((alike) => alike.slice(0, 1))
      .slice(0, MOST_REMEDIED);
  });
  const byId = Map.groupBy(meant.flatMap(of), ({ id }) => id);
  return [...byId.values()].map((same): Remedy => {
    const [first] = same as [Remedy, ...Remedy[]];
    const length = Math.max(...same.map(({ steps }) => steps.length));
    const steps = Array.from({ length }, (_, index) => same.flatMap((one) => one.steps[index] ?? [])).flat();
    const distinct = new Map(steps.toReversed().map((step) => [JSON.stringify(step.change ?? step), step]));
    return { ...first, steps: [...distinct.values()].toReversed() };
  });
}

/** What Kubernetes itself writes into its objects, and kubelets into their Nodes and Pods, is nobody's doing. */
const OWN_WRITER = /^(kube-|kubelet|kubeadm|cloud-controller|flanneld|Go-http-client)/;

/** Who wrote last what a person would repair, as its managed fields tell; nothing if nobody did since it was made. */
function lastWriteOf(object: Ref, { objects }: ClusterModel): Evidence[] {
  const list = listOfKind(object.kind);
  if (!list || list === "nodes" || list === "pods") return [];
  const found = known(objects.find(list, object.name, object.namespace));
  const made = timeOf(found?.metadata.creationTimestamp ?? undefined) ?? 0;
  const [last] = (found?.metadata.managedFields ?? [])
    .filter(
      ({ manager, time }) => manager && !OWN_WRITER.test(manager) && (timeOf(time ?? undefined) ?? 0) > made + 2000,
    )
    .sort((a, b) => timeOf(b.time!)! - timeOf(a.time!)!);
  if (!found || !last) return [];
  const words = `${refId(object)}: last written by ${last.manager} (${last.operation ?? "Update"})`;
  return [{ ...objects.quote(list, found, words), at: last.time! }];
}

function causeOf(
  root: ExplainedRoot,
  explanation: Explanation,
  model: ClusterModel,
  checks: readonly RegisteredCheck[],
): Cause {
  const [first] = root.faults as [Fault, ...Fault[]];
  const nodes = [...new Set(root.faults.flatMap((fault) => fault.nodes))].sort();
  const related = new Map(root.faults.flatMap((fault) => fault.related).map((object) => [refId(object), object]));
  const objects = [first.repair, ...related.values()];
  const writes = objects.flatMap((object) => model.writes.of(object, objects).slice(0, 1)).slice(0, MOST_WRITES);
  // what was deleted last is what is missing
  const deleted = writes.find(({ verb }) => verb === "delete" || verb === "deletecollection");
  const [since] = [root.since, deleted?.at]
    .filter((at) => at !== undefined)
    .sort((a, b) => (timeOf(a) ?? 0) - (timeOf(b) ?? 0));
  return {
    id: root.id,
    check: first.check,
    object: first.repair,
    related: [...related, ...root.faults.map(({ repair }) => [refId(repair), repair] as const)]
      .filter(([id], index, all) => id !== refId(first.repair) && all.findIndex(([other]) => other === id) === index)
      .map(([, object]) => object),
    ...(nodes.length > 0 && { nodes }),
    title: titleOf(root),
    confidence: root.confidence,
    because: root.because,
    latent: root.latent,
    ...(since !== undefined && { since }),
    explains: treeOf(root, model.observations.all),
    evidence: [
      ...writes.map(({ evidence }) => evidence),
      ...distinct(root.faults.flatMap(({ evidence }) => evidence)).slice(0, MOST_QUOTES),
      ...(writes.length > 0 ? [] : lastWriteOf(first.repair, model)),
    ],
    ruledOut: explanation.ruledOut.map(({ fault, by }) => ({ what: fault.title, by: by.evidence })),
    alternatives: [],
    remedies: remediesOf(root, model, checks) as Cause["remedies"],
  };
}

/** State that differs from what is expected, while tests show that it works. */
function contradictionOf(root: ExplainedRoot): Effect {
  const [first] = root.faults as [Fault, ...Fault[]];
  return {
    capability: first.breaks[0]!.name,
    subject: subjectOf(first.breaks[0]!),
    is: "fault",
    state: "predicted",
    says: say.contradicted({ title: titleOf(root), count: root.refutedBy.length }),
    evidence: distinct([...first.evidence, ...root.refutedBy.map(({ evidence }) => evidence)]).slice(0, 3),
    causes: [],
  };
}

/** Tests of one kind that disagree with the walk in one way are told of once. */
function disagreementsOf(disagreements: readonly Disagreement[]): Report["disagreements"] {
  const told = disagreements.map(({ observation, forecast, sighting }) => {
    const test = observation.evidence.quote;
    const end = forecast.failing[0]?.end;
    const says = end
      ? say.stops({ test, node: end.at?.node ?? "", end: phrase(ENDS[end.is]) })
      : sighting
        ? say.sighted({ what: say.passes({ test }), sighting: sightingText(sighting) })
        : say.passes({ test });
    const evidence = [observation.evidence, ...(end?.evidence.slice(0, 2) ?? []), ...(sighting?.evidence ?? [])];
    const kind = `${symptomOf(observation)} ${end?.is ?? "works"} ${end?.at?.node ?? ""} ${sighting?.is ?? ""}`;
    const settle = forecast.says === "works" && !sighting ? captureCommands(forecast.ways) : [];
    return { kind, says, evidence: distinct(evidence), settle };
  });
  return [...Map.groupBy(told, ({ kind }) => kind).values()].map((same) => {
    const [{ says, evidence, settle }] = same as [(typeof told)[number], ...typeof told];
    return { says: same.length === 1 ? says : say.andMore({ title: says, count: same.length - 1 }), evidence, settle };
  });
}

function titleOf(root: ExplainedRoot): Text {
  const titles = [...new Map(root.faults.map((fault) => [fault.title.en, fault.title])).values()];
  return titles.length === 1 ? titles[0]! : say.andMore({ title: titles[0]!, count: titles.length - 1 });
}

function summaryOf(report: Omit<Report, "summary">): Text {
  const [first] = report.rootCauses;
  if (first)
    return report.rootCauses.length === 1
      ? say.oneRoot({ title: first.title })
      : say.manyRoots({ count: report.rootCauses.length, title: first.title });
  const failures = report.unexplained.reduce((sum, { of }) => sum + (of?.[0] ?? 0), 0);
  if (failures > 0) return say.unclearFailures({ count: failures });
  const [blind, ...others] = report.blindSpots.filter(({ matters }) => matters.length > 0);
  if (report.verdict === "unclear" && blind)
    return others.length === 0
      ? say.unclearBlind({ what: blind.what })
      : say.unclearBlindMany({ what: blind.what, count: others.length });
  return report.tests.made > 0 ? say.healthyTested({ count: report.tests.made }) : say.healthyUntested();
}

export type ReportInput = {
  readonly capture: Capture;
  readonly model: ClusterModel;
  readonly checks: readonly RegisteredCheck[];
  readonly results: CheckResults;
  readonly explanation: Explanation;
  readonly version: string;
  /** Gathered by who reads the report, from a running cluster. */
  readonly isOwn: boolean;
};

/** The first remarks about the evidence; those about all of it come before those about one file. */
function notesOf({ notes }: Capture): Capture["notes"] {
  const isGeneral = ({ path }: Capture["notes"][number]) => path === "";
  return [...notes.filter(isGeneral), ...notes.filter((note) => !isGeneral(note))].slice(0, 20);
}

export function buildReport({ capture, model, checks, results, explanation, version, isOwn }: ReportInput): Report {
  const { observations, nodes, time } = model;
  const rootCauses = explanation.roots.map((root) => causeOf(root, explanation, model, checks));
  const blindSpots = explanation.blindSpots.map((spot) => blindSpotOf(spot, capture));
  const isBlind =
    explanation.blindSpots.some(({ matters }) => matters) || capture.notes.some(({ path }) => path === "");
  const crashed = results.runs.some(({ outcome }) => outcome === "crashed");
  const unexplained = [
    ...effectsOf(explanation.unexplained, observations.all),
    ...explanation.contradicted.map(contradictionOf),
  ];
  const verdict =
    rootCauses.length > 0 ? "faulty" : unexplained.length > 0 || isBlind || crashed ? "unclear" : "healthy";
  const cluster = known(capture.get("cluster"));
  const kubernetes = known(capture.get("version"))?.gitVersion ?? cluster?.kubernetesVersion;
  const measured = observations.all.filter(({ how }) => how === "measured");
  const rights = missingRights(capture, isOwn);
  const report: Omit<Report, "summary"> = {
    schema: "netwhy.report/v1",
    tool: { version },
    cluster: {
      name: cluster?.name ?? "",
      ...(kubernetes !== undefined && { version: kubernetes }),
      ...(time.nowText !== undefined && { capturedAt: time.nowText }),
      nodes: nodes.all.length,
      sampledNodes: nodes.all.filter(({ sampled }) => sampled).length,
    },
    verdict,
    ...(verdict === "unclear" && { doubt: doubtOf(unexplained) }),
    triggers: triggersOf(explanation.roots, explanation.warnings, model).map(({ roots, took, evidence, ...rest }) => ({
      ...rest,
      roots: mutable(roots),
      took: mutable(took),
      evidence: distinct(evidence),
    })),
    rootCauses,
    unexplained,
    disagreements: disagreementsOf(explanation.disagreements),
    meantDenials: explanation.meant.map(({ policies, observations: denied }) => ({
      policies: policies.map(({ ref }) => ref),
      says: say.denied({
        policies: policies.map(({ ref }) => refId(ref)),
        count: policies.length,
        calls: denied.length,
      }),
      evidence: distinct(denied.map(({ evidence }) => evidence)).slice(0, 3),
    })),
    warnings: explanation.warnings.map(({ check, repair, related, title, evidence }) => ({
      id: `${check}/${refId(repair)}`,
      check,
      object: repair,
      related: mutable(related),
      title,
      confidence: "certain" as const,
      because: verbatim(""),
      latent: false,
      explains: [],
      evidence: distinct(evidence).slice(0, MOST_QUOTES),
      ruledOut: [],
      alternatives: [],
      remedies: [],
    })),
    history: explanation.history.map(({ repair, title, evidence }) => ({
      object: repair,
      title,
      evidence: distinct(evidence),
    })),
    blindSpots,
    ...(rights && { rights }),
    checks: mutable(results.runs),
    notes: notesOf(capture).map(({ path, what }) => say.refused({ path: path || "bundle", what })),
    tests: { made: measured.length, failed: measured.filter(({ outcome }) => outcome === "failed").length },
  };
  return { ...report, summary: summaryOf(report) };
}
