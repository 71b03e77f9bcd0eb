import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { HEALTHY, ROOT, SAMPLE } from "../../../testing/sample-report.ts";
import { type Text, verbatim } from "../../text.ts";
import type { Report } from "../report.ts";
import { outlineOf } from "./outline.ts";
import { renderTerminal } from "./terminal.ts";

const draw = (report: Report, options: Partial<Parameters<typeof renderTerminal>[1]> = {}) =>
  renderTerminal(report, { lang: "en", width: 80, color: false, wide: false, ...options });

describe("a report on a terminal", () => {
  it("says the cause in the first three lines, then proof, chain, fix and what was not seen", () => {
    expect(draw(SAMPLE)).toMatchInlineSnapshot(`
      "✗ ROOT CAUSE  flannel may not read Nodes: ClusterRole/flannel does not exist
        Repair      ClusterRole/flannel
        Confidence  certain: seen directly
        Since       2026-11-21 03:16:06 UTC, 2 min before the evidence was taken

      Evidence
        ┃ E1121 03:16:06 failed to list *v1.Node: nodes is forbidden: User
        ┃ "system:serviceaccount:kube-flannel:flannel" cannot list resource "nodes"
        ┃   logs/kube-flannel/ds/flannel.log:3
        ┃   logs/kube-flannel/ds/flannel.previous.log:9
        ┃ 72 ClusterRoles, none named flannel
        ┃   apis/rbac.authorization.k8s.io/v1/clusterroles.json#/items

      What follows from it
        └─ Node w2 has no routes to the Pods of other nodes
           │  > 0.0.0.0/0 via 192.168.50.1 dev eth0  nodes/w2/ip-route.json
           ├─ reaching Service g fails: 2/2
           │     > pod tools/client on w2: http g: timeout  probes.jsonl:7
           ├─ reaching Service f fails: 6/9
           │     > pod tools/client on w2: http f: timeout  probes.jsonl:6
           ├─ reaching Service e fails: 5/9
           │     > pod tools/client on w2: http e: timeout  probes.jsonl:5
           ├─ reaching Service d fails: 4/9
           │     > pod tools/client on w2: http d: timeout  probes.jsonl:4
           └─ and 3 more: reaching Service c (3 of 9), reaching Service b (2 of 9),
                 reaching Service a (1 of 9)

      Fix
        Risk        low
        Interrupts  Nothing
        Taken from  what the component ships with

        1. Restore the role; run \`kubectl get clusterrole\` first

      kubectl apply -f - <<'EOF'
      apiVersion: "rbac.authorization.k8s.io/v1"
      kind: "ClusterRole"
      metadata:
        name: "flannel"
      rules:
      - apiGroups: [""]
        resources: ["nodes"]
        verbs: ["get", "list", "watch"]
      EOF

           Check:
             kubectl auth can-i list nodes \\
               --as=system:serviceaccount:kube-flannel:flannel

        2. Restart flannel on w2
             kubectl get pods -n kube-flannel --field-selector spec.nodeName=w2 \\
               -o name \\
               | grep -E '^pod/kube-flannel-ds-[a-z0-9]{5}$' \\
               | xargs kubectl delete -n kube-flannel
           Check on w2:
             ip route

        So that it does not come back
          • Keep a backup of all RBAC objects

      Failures that nothing seen explains
        └─ reaching Service odd fails: 1/3
              > pod tools/client on w2: http odd: timeout  probes.jsonl:12

      Denied on purpose
        • NetworkPolicy/shop/deny denies 2 calls, as meant
          > node w1: tcp 10.244.1.3:8080: timeout  probes.jsonl:40

      Warnings · they harm nothing now
        • 4 NetworkPolicies exist and nothing enforces them

      Over by now
        • kube-proxy had been refused; it is not any more

      What could not be seen · it matters here
        1. what the node does with packets
           it was not collected
           To see it, on w2:
             iptables-save -c
        1 more gap in the evidence without bearing on this (\`-o wide\`)

      Checks that crashed (a mistake in netwhy)
        • corefile-invalid: Error: oops

      About the evidence
        • link: refused: a symlink is no evidence

      cluster lab · Kubernetes v1.32.13 · 3 nodes · evidence of 2026-11-21 03:18:02
      UTC · 72 tests, 37 failed · 2 checks ran · 1 crashed

      To read on: \`netwhy explain component-access-denied\`; everything: \`-o wide\`
      "
    `);
  });

  it("is as good in Chinese", () => {
    expect(
      draw({ ...SAMPLE, unexplained: [], blindSpots: [], meantDenials: [], history: [] }, { lang: "zh", width: 60 }),
    ).toMatchInlineSnapshot(`
      "✗ 根因  flannel 无权读取节点：ClusterRole/flannel 不存在
        修复对象  ClusterRole/flannel
        可信度    确定：直接观测到
        始于      2026-11-21 03:16:06 UTC（采集前 2 分钟）

      证据
        ┃ E1121 03:16:06 failed to list *v1.Node: nodes is
        ┃ forbidden: User
        ┃ "system:serviceaccount:kube-flannel:flannel" cannot list
        ┃ resource "nodes"
        ┃   logs/kube-flannel/ds/flannel.log:3
        ┃   logs/kube-flannel/ds/flannel.previous.log:9
        ┃ 72 ClusterRoles, none named flannel
        ┃   apis/rbac.authorization.k8s.io/v1/clusterroles.json#/
        ┃   items

      由此导致
        └─ 节点 w2 没有通往其他节点 Pod 的路由
           │  > 0.0.0.0/0 via 192.168.50.1 dev eth0
           │      nodes/w2/ip-route.json
           ├─ 访问 Service g 失败：2/2
           │     > pod tools/client on w2: http g: timeout
           │         probes.jsonl:7
           ├─ 访问 Service f 失败：6/9
           │     > pod tools/client on w2: http f: timeout
           │         probes.jsonl:6
           ├─ 访问 Service e 失败：5/9
           │     > pod tools/client on w2: http e: timeout
           │         probes.jsonl:5
           ├─ 访问 Service d 失败：4/9
           │     > pod tools/client on w2: http d: timeout
           │         probes.jsonl:4
           └─ 另有 3 项：访问 Service c（3/9）、访问 Service b
                 （2/9）、访问 Service a（1/9）

      修复
        风险      低
        业务影响  无
        内容来源  组件自带的清单

        1. 恢复角色；先执行 \`kubectl get clusterrole\`

      kubectl apply -f - <<'EOF'
      apiVersion: "rbac.authorization.k8s.io/v1"
      kind: "ClusterRole"
      metadata:
        name: "flannel"
      rules:
      - apiGroups: [""]
        resources: ["nodes"]
        verbs: ["get", "list", "watch"]
      EOF

           验证：
             kubectl auth can-i list nodes \\
               --as=system:serviceaccount:kube-flannel:flannel

        2. 重启 w2 上的 flannel
             kubectl get pods -n kube-flannel \\
               --field-selector spec.nodeName=w2 -o name \\
               | grep -E '^pod/kube-flannel-ds-[a-z0-9]{5}$' \\
               | xargs kubectl delete -n kube-flannel
           在节点 w2 上验证：
             ip route

        防止再次发生
          • 备份全部 RBAC 对象

      警告 · 目前不造成影响
        • 存在 4 条 NetworkPolicy，但没有组件执行它们

      崩溃的检查项（netwhy 自身的缺陷）
        • corefile-invalid: Error: oops

      关于证据
        • link：拒绝：符号链接不是证据

      集群 lab · Kubernetes v1.32.13 · 3 个节点 · 证据采集于
      2026-11-21 03:18:02 UTC · 72 项探测，37 项失败 · 运行了 2 项
      检查 · 1 项崩溃

      延伸阅读：\`netwhy explain component-access-denied\`；查看全部
      内容：\`-o wide\`
      "
    `);
  });

  it("lists several causes first, and says which of them harm nothing yet", () => {
    const latent = { ...ROOT, id: "x", latent: true, remedies: [], explains: [], evidence: [] };
    const text = draw({ ...SAMPLE, rootCauses: [ROOT, latent] });
    expect(text.split("\n").slice(0, 3)).toEqual([
      "✗ 2 ROOT CAUSES",
      "1. flannel may not read Nodes: ClusterRole/flannel does not exist",
      "2. flannel may not read Nodes: ClusterRole/flannel does not exist",
    ]);
    expect(text).toContain("! LATENT CAUSE 2 OF 2");
    expect(text.replace(/\s+/g, " ")).toContain(
      "no test shows that traffic fails for it; some will at the next restart or change",
    );
  });

  it("takes three lines if all is well", () => {
    expect(draw(HEALTHY)).toMatchInlineSnapshot(`
      "✓ HEALTHY  No root cause found
        cluster lab · Kubernetes v1.32.13 · 3 nodes · evidence of 2026-11-21 03:18:02
        UTC · 96 tests, 0 failed · 1 check ran
      "
    `);
    expect(draw(HEALTHY, { lang: "zh" }).trim().split("\n").length).toBeLessThanOrEqual(3);
  });

  it("shows everything if asked: undo, all symptoms, all gaps, all checks", () => {
    const wide = draw(SAMPLE, { wide: true });
    for (const part of [
      "kubectl delete clusterrole/flannel",
      "reaching Service a fails",
      "/version",
      "corefile-invalid: crashed",
    ]) {
      expect(wide).toContain(part);
      expect(draw(SAMPLE)).not.toContain(part);
    }
  });

  it("has colours only if there are to be some, and the same words either way", () => {
    const colored = draw(SAMPLE, { color: true });
    expect(draw(SAMPLE)).not.toContain("\u001b");
    expect(colored).toContain("\u001b[31m");
    const words = (text: string) => text.replace(/\u001b\[\d+m|`/g, "").replace(/\s+/g, " ");
    expect(words(colored)).toBe(words(draw(SAMPLE)));
  });

  it("says the same things in the same shapes in both languages", () => {
    const shapes = (lang: "en" | "zh") => JSON.stringify(outlineOf(SAMPLE, { lang, wide: true }).map(shapeOf));
    expect(shapes("zh")).toBe(shapes("en"));
  });
});

/** A block without its words; which of them are code depends on the order that a language puts them in. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, key === "shape" ? part : key === "line" ? "line" : shapeOf(part)]),
  );
}

/** All lines but those of commands, which are broken the shell's way or not at all. */
function proseLines(text: string): string[] {
  const manifests = text.replace(/^kubectl apply -f - <<[\s\S]*?^EOF$/gm, "");
  return manifests
    .replace(/^ +(kubectl|iptables-save|ip|--)[ \S]*(?<= \\)\n(.* \\\n)*.*$|^ +(kubectl|iptables-save|ip) .*$/gm, "")
    .split("\n");
}

describe("rights that are missing", () => {
  const right = { verb: "list", group: "apps", resource: "daemonsets" };
  const role = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "netwhy-1" } };
  const rights = {
    missing: [
      { right, hides: verbatim("which agents belong on which nodes") },
      {
        right: { verb: "create", group: "", resource: "pods/exec", namespace: "kube-system" },
        hides: verbatim("devices"),
      },
      { right: { verb: "get", url: "/readyz" }, hides: verbatim("readiness") },
    ],
    grant: [role, { ...role, kind: "ClusterRoleBinding" }],
  };

  it("are told at the end, each with what it hides, and what would grant them all in one piece", () => {
    const page = draw({ ...HEALTHY, rights });
    expect(page.slice(page.indexOf("What you are not"))).toMatchInlineSnapshot(`
      "What you are not allowed to read
        • \`list daemonsets.apps\`: which agents belong on which nodes
        • \`create pods/exec\` in kube-system: devices
        • \`get /readyz\`: readiness
        Whoever may grant it can do so with:

      kubectl apply -f - <<'EOF'
      apiVersion: "rbac.authorization.k8s.io/v1"
      kind: "ClusterRole"
      metadata:
        name: "netwhy-1"
      ---
      apiVersion: "rbac.authorization.k8s.io/v1"
      kind: "ClusterRoleBinding"
      metadata:
        name: "netwhy-1"
      EOF
      "
    `);
  });
});

describe("the width of a terminal", () => {
  it.each([40, 61, 80, 100, 120, 200])("is kept at %i columns, in both languages", (width) => {
    for (const lang of ["en", "zh"] as const) {
      for (const wide of [true, false]) {
        for (const line of proseLines(draw(SAMPLE, { lang, width, wide })))
          expect(stringWidth(line), line).toBeLessThanOrEqual(Math.min(width, 120));
      }
    }
  });

  it("is kept whatever a title says", () => {
    const words = fc.string({
      unit: fc.constantFrom("a", "\u8282", " ", "/", "(", "\uff0c", "\u{1f600}", "e\u0301"),
      maxLength: 200,
    });
    fc.assert(
      fc.property(words, fc.integer({ min: 40, max: 120 }), (title, width) => {
        const report = { ...SAMPLE, rootCauses: [{ ...ROOT, title: verbatim(title), remedies: [] }] };
        for (const line of proseLines(draw(report, { width }))) expect(stringWidth(line)).toBeLessThanOrEqual(width);
      }),
      { numRuns: 50 },
    );
  });
});

describe("what a stranger's bundle says", () => {
  const hostile = "\u001b]0;owned\u0007\u001b[2Jx\r\u202edlrow\u0085";

  it("never steers the terminal", () => {
    const evil: Text = verbatim(hostile);
    const evidence = [{ origin: { kind: "file" as const, path: hostile }, quote: hostile }];
    const cause = { ...ROOT, title: evil, object: { kind: hostile, name: hostile }, evidence, because: evil };
    const report: Report = {
      ...SAMPLE,
      cluster: { ...SAMPLE.cluster, name: hostile },
      rootCauses: [cause],
      notes: [evil],
    };
    const text = draw(report);
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(text).toContain("\\x1b]0;owned\\x07\\x1b[2Jx\\x0d\\u202edlrow\\x85");
  });
});
