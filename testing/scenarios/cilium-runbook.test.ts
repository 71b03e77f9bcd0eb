/**
 * The incident of the first runbook, told anew: a clean-up deletes ClusterRoles and ClusterRoleBindings by the label that Helm
 * puts on everything it installs; an operator that is installed then panics, and CoreDNS resolves nothing.
 */
import { describe, expect, it } from "vitest";
import { recoveryOf } from "../../src/backup/recovery.ts";
import { diagnose } from "../../src/diagnose.ts";
import { guardOf } from "../../src/guard/guard.ts";
import type { Change } from "../../src/model/changes/change.ts";
import { ref, refId } from "../../src/model/ref.ts";
import { renderRunbook } from "../../src/report/formats/runbook.ts";
import { renderTerminal } from "../../src/report/formats/terminal.ts";
import type { Effect } from "../../src/report/report.ts";
import { intentOf, isMisunderstood, whatIf } from "../../src/what-if.ts";
import { addEvents } from "../cluster-edits.ts";
import { afterCleanUp, CHARTS, HELM, QUOTED, runbookCluster } from "../runbook-cluster.ts";

type Says = Effect["says"];
type Link = { readonly says: Says; readonly quote: string };

/** Every way from the root to an end of its tree, a link a step, each with its first evidence. */
function chainsOf(effects: readonly Effect[], above: readonly Link[] = []): Link[][] {
  return effects.flatMap(({ says, evidence, causes }) => {
    const way = [...above, { says, quote: evidence[0]?.quote ?? "" }];
    return causes.length === 0 ? [way] : chainsOf(causes, way);
  });
}

/** The runbook's own links below the root, in its order: words in either language, and what shows it. */
const LINKS: readonly (readonly [en: string, zh: string, shownBy: RegExp])[] = [
  ["The API server refuses Cilium on", "API Server 拒绝了", /^services is forbidden: User .*:cilium" cannot list/],
  ["does not get the labels of 3 Pods", "取不到此后新建的 3 个 Pod 的标签", /resolve-labels has failed 22 times/],
  ["identity 5 (reserved:init)", "身份 5（reserved:init）", /: identity 5 reserved:init, ready$/],
  ["drops everything that", "发送的一切报文", /egress: allowed-egress-identities \[\]/],
];
const API_FAILS = [
  "reaching Service default/kubernetes",
  "访问 Service default/kubernetes",
  /10\.254\.0\.1:443.*timeout/,
] as const;
const DNS_FAILS = [
  "resolving names of the cluster fails",
  "解析集群内域名失败",
  /dns kubernetes\.default.*: timeout/,
] as const;

describe("a clean-up by Helm's label", async () => {
  const healthy = await runbookCluster();
  const broken = afterCleanUp(healthy);
  const report = diagnose(broken.capture);
  const [first] = report.rootCauses as [(typeof report.rootCauses)[0], ...typeof report.rootCauses];

  it("was well before, by all its tests", () => {
    const { verdict, warnings, unexplained, tests } = diagnose(healthy.capture);
    expect([verdict, warnings, unexplained, tests.made]).toEqual(["healthy", [], [], 96]);
  });

  it("names Cilium's role first, and its binding", () => {
    expect([first.id, first.confidence]).toEqual(["component-access-denied/ClusterRole/cilium", "certain"]);
    expect(first.related.map(({ kind, name }) => `${kind}/${name}`)).toContain("ClusterRoleBinding/cilium");
    expect(first.evidence.map(({ quote }) => quote)).toContain("no ClusterRole cilium");
  });

  it.each([
    ["the API server is out of reach", API_FAILS, 6],
    ["names are not resolved", DNS_FAILS, 8],
  ])("leads there link by link, each with its evidence: %s", (_, end, links) => {
    const chain = chainsOf(first.explains).find((way) => way.at(-1)?.says.en.startsWith(end[0]))!;
    // with the root, which is the first
    expect(chain.length + 1).toBe(links);
    for (const [index, [en, zh, shownBy]] of [...LINKS, end].entries()) {
      const { says, quote } = index < LINKS.length ? chain[index]! : chain.at(-1)!;
      expect([says.en, says.zh]).toEqual([expect.stringContaining(en), expect.stringContaining(zh)]);
      expect(quote).toMatch(shownBy);
    }
  });

  it("has CoreDNS between the dropped packets and the names", () => {
    const chain = chainsOf(first.explains).find((way) => way.at(-1)?.says.en.startsWith(DNS_FAILS[0]))!;
    expect(chain.slice(LINKS.length, -1).map(({ says }) => says.en)).toEqual([
      expect.stringContaining("CoreDNS runs on w1 and does not become ready"),
      expect.stringContaining("Cluster DNS does not answer"),
    ]);
  });

  it("accounts for everything that fails, and for the operator's panic", () => {
    expect(report.unexplained).toEqual([]);
    const quotes = chainsOf(first.explains).length > 0 ? JSON.stringify(first.explains) : "";
    expect(quotes).toContain(JSON.stringify(QUOTED.panic).slice(1, -1));
  });

  it("names what else the same label took, and nothing that it left", () => {
    const named = report.rootCauses.map(({ object: { kind, name } }) => `${kind}/${name}`);
    expect(named).toEqual(["ClusterRole/cilium", "ClusterRole/cilium-operator", "ClusterRole/ingress-nginx"]);
    const [trigger, ...more] = report.triggers;
    expect(more).toEqual([]);
    expect([trigger?.selector, trigger?.roots]).toEqual([`${HELM}=Helm`, report.rootCauses.map(({ id }) => id)]);
    // the losses that are only warned of as well
    const took = (trigger?.took ?? []).map(({ name }) => name);
    expect(took).toEqual(expect.arrayContaining(["cilium", "system:metrics-server", "ingress-nginx-admission"]));
    expect(took.filter((name) => !CHARTS.test(name))).toEqual([]);
  });

  it("says who it was, where a tool that deploys from Git told of it", () => {
    const told = broken.edit(
      addEvents({ kind: "Kustomization", namespace: "flux-system", name: "charts" }, "ReconciliationSucceeded", [
        "ClusterRole/cilium deleted\nClusterRoleBinding/cilium deleted\nClusterRole/cilium-operator deleted",
      ]),
    );
    const [trigger] = diagnose(told.capture).triggers;
    expect([trigger?.by, trigger?.roots]).toEqual([
      "Kustomization/flux-system/charts",
      ["component-access-denied/ClusterRole/cilium", "component-access-denied/ClusterRole/cilium-operator"],
    ]);
  });

  it("tells a token that is not accepted (401) apart from a lost permission", () => {
    expect(report.rootCauses.some(({ title }) => title.en.includes("CoreDNS has lost"))).toBe(false);
    const warned = report.warnings.find(({ object: { name } }) => name === "coredns");
    expect(warned?.title.en).toContain("does not accept the token of CoreDNS (401)");
    expect(warned?.title.zh).toContain("这与权限无关");
  });

  it("hands over the role and the binding as Helm recorded them", () => {
    const [remedy] = first.remedies;
    const applied = remedy!.steps.flatMap(({ change }) => (change && "object" in change ? [change.object] : []));
    expect([remedy!.source, applied.map(({ kind }) => kind)]).toEqual(["helm", ["ClusterRole", "ClusterRoleBinding"]]);
    for (const text of [
      renderTerminal(report, { lang: "en", width: 100, color: false, wide: false }),
      renderRunbook(report, "zh"),
    ])
      expect(text).toContain('app.kubernetes.io/managed-by: "Helm"');
  });

  it("is well again once all that it names is done", () => {
    const steps = report.rootCauses.flatMap(({ remedies }) => remedies.flatMap((remedy) => remedy.steps));
    const changes = steps.flatMap(({ change }) => (change && !("run" in change) ? [change as unknown as Change] : []));
    const restored = broken.with(...changes);
    const after = diagnose(restored.capture).rootCauses.filter(({ check }) => check === "component-access-denied");
    expect(after).toEqual([]);
  });

  it("was foretold, with Cilium first and the losses of the other charts", () => {
    const intent = intentOf({ delete: ["clusterrole,clusterrolebinding"], selector: `${HELM}=Helm` });
    if (isMisunderstood(intent)) throw new Error(intent.problem.en);
    const answer = whatIf(healthy.capture, intent);
    expect([answer.verdict, answer.breaks[0]?.id]).toEqual(["breaks", "component-access-denied/ClusterRole/cilium"]);
    const losing = answer.taken.flatMap(({ loses }) => loses.map(({ subject }) => subject.name));
    expect(losing).toEqual(expect.arrayContaining(["cilium", "cilium-operator", "metrics-server"]));
  });

  it("is made good from Helm's records, all of it", () => {
    const { recovered, lost } = recoveryOf(broken.capture);
    const fromHelm = recovered.filter(({ source }) => source === "helm").map(({ object }) => object.metadata.name);
    expect([lost, fromHelm]).toEqual([[], expect.arrayContaining(["cilium", "cilium-operator", "ingress-nginx"])]);
  });

  it("would have been refused by the guard", () => {
    const { objects } = guardOf(healthy.model(), { image: "netwhy", action: "deny" });
    const guarded = objects.map(({ object }) => refId(object));
    const lost = [first.object, ...first.related].filter(({ kind }) => kind.startsWith("ClusterRole"));
    expect(lost.map(({ kind, name }) => refId(ref(kind, name)))).toEqual([
      "ClusterRole/cilium",
      "ClusterRoleBinding/cilium",
    ]);
    expect(guarded).toEqual(expect.arrayContaining(lost.map(({ kind, name }) => `${kind}/${name}`)));
  });
});
