import { describe, expect, it } from "vitest";
import { HEALTHY, ROOT, SAMPLE } from "../../../testing/sample-report.ts";
import { verbatim } from "../../text.ts";
import type { Report } from "../report.ts";
import { renderRunbook } from "./runbook.ts";

const headings = (page: string) => page.split("\n").filter((text) => /^##? /.test(text));
const between = (page: string, from: string, to: string) => page.split(`\n## ${from}\n`)[1]!.split(`\n## ${to}\n`)[0]!;

describe("the record of an incident", () => {
  it("has the parts that people write, in their order", () => {
    expect(headings(renderRunbook(SAMPLE, "en"))).toEqual([
      "# Network incident: ClusterRole/flannel",
      "## Symptoms",
      "## Time line",
      "## How it was found",
      "## Root cause",
      "## Chain of effects",
      "## Fix",
      "## Verification",
      "## Prevention",
      "## Seen in passing",
    ]);
    expect(headings(renderRunbook(SAMPLE, "zh"))).toEqual([
      "# Kubernetes 集群网络故障排查记录：ClusterRole/flannel",
      "## 问题现象",
      "## 时间线",
      "## 排查过程",
      "## 根本原因",
      "## 影响链路",
      "## 解决方案",
      "## 验证修复",
      "## 预防措施",
      "## 附带发现",
    ]);
  });

  it("goes from what fails back to the cause, each step with the command that shows it", () => {
    const found = between(renderRunbook(SAMPLE, "en"), "How it was found", "Root cause");
    const shown = [
      "kubectl exec -n tools client -- curl",
      "ip -j -d route show table all",
      "kubectl logs -n kube-flannel ds -c flannel",
      "kubectl get clusterrole/flannel -o yaml",
    ].map((command) => found.indexOf(command));
    expect(shown.every((at) => at >= 0)).toBe(true);
    expect(shown).toEqual([...shown].sort((a, b) => a - b));
  });

  it("does not count what policies deny on purpose as harm without saying so", () => {
    const denied = { policies: [ROOT.object], says: verbatim("NetworkPolicy/shop/deny denies 2 tests"), evidence: [] };
    const report: Report = { ...SAMPLE, meantDenials: [denied] };
    expect(renderRunbook(report, "en")).toMatch(
      /tests failed, some of them because NetworkPolicies deny it on purpose;/,
    );
    expect(renderRunbook(report, "zh")).toContain("其中部分是 NetworkPolicy 有意拒绝");
    expect(renderRunbook({ ...SAMPLE, meantDenials: [] }, "en")).not.toContain("on purpose");
  });

  it("tells the moments in order, the reading of the evidence last", () => {
    const times = [...between(renderRunbook(SAMPLE, "en"), "Time line", "How it was found").matchAll(/\*\*(.*?)\*\*/g)];
    const sorted = times.map(([, at]) => at!);
    expect(sorted).toEqual([...sorted].sort());
    expect(renderRunbook(SAMPLE, "en")).toContain("the evidence was taken");
  });

  it("tells several causes apart, and makes each prevention a single point", () => {
    const other = { ...ROOT, id: "x/Node/w9", object: { kind: "Node", name: "w9" } };
    const page = renderRunbook({ ...SAMPLE, rootCauses: [ROOT, other] }, "en");
    expect(between(page, "Fix", "Verification")).toMatch(/### 1\. ClusterRole\/flannel[\s\S]*### 2\. Node\/w9/);
    expect(page.split(ROOT.remedies[0]!.prevent[0]!.en)).toHaveLength(2);
  });

  it("says that a cause which waits is not felt yet, and that nothing was found", () => {
    const latent: Report = { ...SAMPLE, rootCauses: [{ ...ROOT, latent: true, explains: [] }], unexplained: [] };
    expect(renderRunbook(latent, "en")).toContain("Nothing that users feel is on record yet");
    expect(headings(renderRunbook(HEALTHY, "en"))[0]).toBe("# Network check: no fault found");
    expect(renderRunbook(HEALTHY, "en")).not.toContain("## Fix");
    const unclear: Report = { ...SAMPLE, verdict: "unclear", rootCauses: [] };
    expect(headings(renderRunbook(unclear, "en"))[0]).toBe("# Network incident: cause not yet known");
  });

  it("lets no word of the evidence become Markdown or a command", () => {
    const hostile = verbatim("</b> # x\n## `injected`");
    const evidence = [
      { origin: { kind: "probe" as const, path: "probes.jsonl" }, quote: "node w1: http $(id): timeout" },
    ];
    const page = renderRunbook({ ...SAMPLE, summary: hostile, rootCauses: [{ ...ROOT, evidence }] }, "en");
    expect(headings(page)).not.toContain("## `injected`");
    expect(page).toContain("curl -sSk -m 5 '$(id)'");
  });
});
