/** Makes the diff of a comparison and the newer capture's report: what concerns something broken comes first. */
import type { Comparison, Difference } from "../compare/compare.ts";
import type { Capture } from "../evidence/capture.ts";
import { catalogue, type KindId } from "../evidence/catalogue.ts";
import { known } from "../evidence/observed.ts";
import { matchPath } from "../evidence/path.ts";
import { type Ref, refId } from "../model/ref.ts";
import { texts } from "../text.ts";
import type { Diff } from "./diff.ts";
import type { Cause, Effect, Report, ReportEvidence } from "./report.ts";

const say = texts("diff", {
  same: { en: "Nothing that was compared is otherwise", zh: "所比较的内容没有差异" },
  differs: {
    en: "{count} {count:thing is|things are} otherwise",
    zh: "共 {count} 处差异",
  },
  concerning: {
    en: "{count} {count:thing is|things are} otherwise; {concerning} of them {concerning:concerns|concern} what is broken",
    zh: "共 {count} 处差异，其中 {concerning} 处与当前故障有关",
  },
});

const MOST_FIELDS = 200;

/** What somebody decided before what follows from it. */
const ORDER: readonly KindId[] = [
  "clusterroles",
  "clusterrolebindings",
  "roles",
  "rolebindings",
  "serviceaccounts",
  "configmaps",
  "daemonsets",
  "deployments",
  "statefulsets",
  "services",
  "networkpolicies",
  "nodes",
];

/** Where a cause was seen: objects by their names, the state of nodes by its kind. */
function placesOf({ object, related, evidence, explains }: Cause): ReadonlySet<string> {
  const all: ReportEvidence[] = [...evidence];
  const visit = (effect: Effect): void => {
    all.push(...effect.evidence);
    effect.causes.forEach(visit);
  };
  explains.forEach(visit);
  const states = all.flatMap(({ origin }) => {
    const match = matchPath(origin.path);
    return match?.place.node === undefined ? [] : [`${match.kind} ${match.place.node}`];
  });
  return new Set([...[object, ...related].map((one) => refId(one as Ref)), ...states]);
}

const placeOf = ({ subject, kind }: Difference): string =>
  "list" in catalogue[kind].how ? refId(subject) : `${kind} ${subject.name}`;

const sideOf = (capture: Capture): Diff["old"] => {
  const cluster = known(capture.get("cluster"));
  const at = cluster?.endedAt ?? cluster?.capturedAt ?? cluster?.startedAt;
  return { name: cluster?.name ?? "", ...(at !== undefined && { capturedAt: at }) };
};

export type DiffInput = {
  readonly old: Capture;
  readonly now: Capture;
  readonly comparison: Comparison;
  /** Of the newer capture. */
  readonly report: Report;
};

export function buildDiff({ old, now, comparison, report }: DiffInput): Diff {
  const causes = report.rootCauses.map((cause) => ({ id: cause.id, places: placesOf(cause) }));
  const rank = (kind: KindId) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);
  const differences = comparison.differences
    .map((difference) => {
      const concerns = causes.filter(({ places }) => places.has(placeOf(difference))).map(({ id }) => id);
      const first = causes.findIndex(({ id }) => id === concerns[0]);
      return { difference, concerns, first: first < 0 ? causes.length : first };
    })
    .sort(
      (a, b) =>
        a.first - b.first ||
        rank(a.difference.kind) - rank(b.difference.kind) ||
        (refId(a.difference.subject) < refId(b.difference.subject) ? -1 : 1),
    )
    .map(({ difference: { fields, ...rest }, concerns }) => ({
      ...rest,
      fields: fields.slice(0, MOST_FIELDS),
      more: Math.max(0, fields.length - MOST_FIELDS),
      concerns,
    }));
  const count = differences.length;
  const concerning = differences.filter(({ concerns }) => concerns.length > 0).length;
  return {
    schema: "netwhy.diff/v1",
    tool: report.tool,
    old: sideOf(old),
    new: sideOf(now),
    oneCluster: comparison.isOneCluster,
    summary:
      count === 0 ? say.same() : concerning === 0 ? say.differs({ count }) : say.concerning({ count, concerning }),
    rootCauses: report.rootCauses.map(({ id, title }) => ({ id, title })),
    differences,
    uncompared: comparison.uncompared.map(({ kind, nodes }) => ({
      what: { id: "phrase", args: {}, ...catalogue[kind].hides },
      nodes: [...nodes],
    })),
  };
}
