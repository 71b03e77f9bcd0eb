import { describe, expect, it } from "vitest";
import { HEALTHY, ROOT, SAMPLE } from "../../../testing/sample-report.ts";
import { verbatim } from "../../text.ts";
import type { Report } from "../report.ts";
import { renderMarkdown } from "./markdown.ts";

const draw = (report: Report, lang: "en" | "zh" = "en") => renderMarkdown(report, { lang, wide: false });

describe("a report in Markdown", () => {
  it("holds what the terminal shows", () => {
    const report = { ...SAMPLE, unexplained: [], blindSpots: [], meantDenials: [], history: [], warnings: [] };
    expect(draw(report)).toMatchInlineSnapshot(`
      "## ✗ ROOT CAUSE — flannel may not read Nodes: ClusterRole/flannel does not exist

      - **Repair** — **ClusterRole/flannel**
      - **Confidence** — certain: seen directly
      - **Since** — 2026-11-21 03:16:06 UTC, 2 min before the evidence was taken

      ### Evidence

      \`\`\`text
      E1121 03:16:06 failed to list *v1.Node: nodes is forbidden: User "system:serviceaccount:kube-flannel:flannel" cannot list resource "nodes"
      \`\`\`

      \`logs/kube-flannel/ds/flannel.log:3\` \`logs/kube-flannel/ds/flannel.previous.log:9\`

      \`\`\`text
      72 ClusterRoles, none named flannel
      \`\`\`

      \`apis/rbac.authorization.k8s.io/v1/clusterroles.json#/items\`

      ### What follows from it

      - Node w2 has no routes to the Pods of other nodes
        - \`0.0.0.0/0 via 192.168.50.1 dev eth0\` (\`nodes/w2/ip-route.json\`)
        - reaching Service g fails: 2/2
          - \`pod tools/client on w2: http g: timeout\` (\`probes.jsonl:7\`)
        - reaching Service f fails: 6/9
          - \`pod tools/client on w2: http f: timeout\` (\`probes.jsonl:6\`)
        - reaching Service e fails: 5/9
          - \`pod tools/client on w2: http e: timeout\` (\`probes.jsonl:5\`)
        - reaching Service d fails: 4/9
          - \`pod tools/client on w2: http d: timeout\` (\`probes.jsonl:4\`)
        - and 3 more: reaching Service c (3 of 9), reaching Service b (2 of 9), reaching Service a (1 of 9)

      ### Fix

      - **Risk** — low
      - **Interrupts** — Nothing
      - **Taken from** — what the component ships with

      1. Restore the role; run \`kubectl get clusterrole\` first

         \`\`\`sh
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
         \`\`\`

         Check:

         \`\`\`sh
         kubectl auth can-i list nodes --as=system:serviceaccount:kube-flannel:flannel
         \`\`\`

      2. Restart flannel on w2

         \`\`\`sh
         kubectl get pods -n kube-flannel --field-selector spec.nodeName=w2 -o name | grep -E '^pod/kube-flannel-ds-[a-z0-9]{5}$' | xargs kubectl delete -n kube-flannel
         \`\`\`

         Check on w2:

         \`\`\`sh
         ip route
         \`\`\`

      #### So that it does not come back

      - Keep a backup of all RBAC objects

      ### Checks that crashed (a mistake in netwhy)

      - corefile-invalid: Error: oops

      ### About the evidence

      - link: refused: a symlink is no evidence

      cluster lab · Kubernetes v1.32.13 · 3 nodes · evidence of 2026-11-21 03:18:02 UTC · 72 tests, 37 failed · 2 checks ran · 1 crashed

      To read on: \`netwhy explain component-access-denied\`; everything: \`-o wide\`
      "
    `);
  });

  it("is short if all is well", () => {
    expect(draw(HEALTHY)).toMatchInlineSnapshot(`
      "## ✓ HEALTHY — No root cause found

      cluster lab · Kubernetes v1.32.13 · 3 nodes · evidence of 2026-11-21 03:18:02 UTC · 96 tests, 0 failed · 1 check ran
      "
    `);
  });

  it("has the same structure in both languages", () => {
    const marks = (text: string) => text.split("\n").map((line) => /^\s*(#+|-|\d+\.|```\w*|$|)/.exec(line)?.[0]);
    expect(marks(draw(SAMPLE, "zh"))).toEqual(marks(draw(SAMPLE)));
  });

  it("is not broken by what the evidence says", () => {
    const quote = "a ``` b ` <script> *c* _d_ [e](f)";
    const cause = {
      ...ROOT,
      title: verbatim("# <script>*x*</script> [a](http://b) | &lt;"),
      evidence: [{ origin: { kind: "log" as const, path: "x`y" }, quote }],
      explains: [{ ...SAMPLE.unexplained[0]!, evidence: [{ origin: { kind: "log" as const, path: "z" }, quote }] }],
    };
    const text = draw({ ...SAMPLE, rootCauses: [cause] });
    expect(text.split("\n")[0]).toBe(
      "## ✗ ROOT CAUSE — \\# \\<script\\>\\*x\\*\\</script\\> \\[a\\](http://b) \\| &amp;lt;",
    );
    expect(text).toContain("``x`y``");
  });
});
