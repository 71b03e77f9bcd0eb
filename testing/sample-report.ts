/** A report made by hand, with one of everything that a report can hold. */
import type { Report } from "../src/report/report.ts";
import { type Text, texts, verbatim } from "../src/text.ts";

const say = texts("sample", {
  roleGone: { en: "flannel may not read Nodes: {role} does not exist", zh: "flannel 无权读取节点：{role} 不存在" },
  seen: { en: "seen directly", zh: "直接观测到" },
  noRoutes: { en: "Node w2 has no routes to the Pods of other nodes", zh: "节点 w2 没有通往其他节点 Pod 的路由" },
  fails: { en: "{what} fails: {of}", zh: "{what}失败：{of}" },
  reaching: { en: "reaching Service {service}", zh: "访问 Service {service}" },
  restore: {
    en: "Restore the role; run `kubectl get clusterrole` first",
    zh: "恢复角色；先执行 `kubectl get clusterrole`",
  },
  restart: { en: "Restart flannel on w2", zh: "重启 w2 上的 flannel" },
  nothing: { en: "Nothing", zh: "无" },
  backup: { en: "Keep a backup of all RBAC objects", zh: "备份全部 RBAC 对象" },
  unenforced: {
    en: "4 NetworkPolicies exist and nothing enforces them",
    zh: "存在 4 条 NetworkPolicy，但没有组件执行它们",
  },
  over: { en: "kube-proxy had been refused; it is not any more", zh: "kube-proxy 曾被拒绝，现已恢复" },
  denied: {
    en: "NetworkPolicy/shop/deny denies 2 calls, as meant",
    zh: "NetworkPolicy/shop/deny 按其本意拒绝了 2 次访问",
  },
  rules: { en: "what the node does with packets", zh: "节点如何处理报文" },
  notCollected: { en: "it was not collected", zh: "未采集" },
  refused: { en: "link: refused: a symlink is no evidence", zh: "link：拒绝：符号链接不是证据" },
});

const DAEMON_SET = { kind: "DaemonSet", namespace: "kube-flannel", name: "kube-flannel-ds" };
const ROLE = { kind: "ClusterRole", name: "flannel" };

function symptom(service: string, failed: number, total: number, line: number): Report["unexplained"][number] {
  const what = say.reaching({ service });
  return {
    capability: "service.reach",
    subject: { kind: "Service", namespace: "shop", name: service },
    is: "symptom",
    state: failed === total ? "broken" : "impaired",
    of: [failed, total],
    says: say.fails({ what, of: `${failed}/${total}` }),
    evidence: [
      {
        origin: { kind: "probe", path: "probes.jsonl", line },
        quote: `pod tools/client on w2: http ${service}: timeout`,
      },
    ],
    causes: [],
  };
}

const LOG = `E1121 03:16:06 failed to list *v1.Node: nodes is forbidden: User "system:serviceaccount:kube-flannel:flannel" cannot list resource "nodes"`;

export const ROOT: Report["rootCauses"][number] = {
  id: "component-access-denied/ClusterRole/flannel",
  check: "component-access-denied",
  object: ROLE,
  related: [{ kind: "ClusterRoleBinding", name: "flannel" }, DAEMON_SET],
  title: say.roleGone({ role: "ClusterRole/flannel" }),
  confidence: "certain",
  because: say.seen(),
  latent: false,
  since: "2026-11-21T03:16:06.4Z",
  explains: [
    {
      capability: "pod-network.entries",
      subject: { kind: "Node", name: "w2" },
      is: "fault",
      state: "broken",
      says: say.noRoutes(),
      evidence: [
        { origin: { kind: "command", path: "nodes/w2/ip-route.json" }, quote: "0.0.0.0/0 via 192.168.50.1 dev eth0" },
      ],
      causes: [
        ...["a", "b", "c", "d", "e", "f"].map((service, index) => symptom(service, index + 1, 9, index + 1)),
        symptom("g", 2, 2, 7),
      ],
    },
  ],
  evidence: [
    { origin: { kind: "log", path: "logs/kube-flannel/ds/flannel.log", line: 3 }, quote: LOG },
    { origin: { kind: "log", path: "logs/kube-flannel/ds/flannel.previous.log", line: 9 }, quote: LOG },
    {
      origin: { kind: "api", path: "apis/rbac.authorization.k8s.io/v1/clusterroles.json", pointer: "/items" },
      quote: "72 ClusterRoles, none named flannel",
    },
  ],
  ruledOut: [],
  alternatives: [],
  remedies: [
    {
      id: "restore-permissions",
      risk: "low",
      interrupts: say.nothing(),
      source: "baseline",
      steps: [
        {
          why: say.restore(),
          change: {
            do: "apply",
            object: {
              apiVersion: "rbac.authorization.k8s.io/v1",
              kind: "ClusterRole",
              metadata: { name: "flannel" },
              rules: [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] }],
            },
          },
          undo: { do: "delete", target: ROLE },
          verify: { run: "kubectl auth can-i list nodes --as=system:serviceaccount:kube-flannel:flannel" },
        },
        {
          why: say.restart(),
          change: { do: "restart", component: DAEMON_SET, node: "w2" },
          undo: say.nothing(),
          verify: { run: "ip route", node: "w2" },
        },
      ],
      prevent: [say.backup()],
    },
  ],
};

export const SAMPLE: Report = {
  schema: "netwhy.report/v1",
  tool: { version: "0.1.0" },
  cluster: { name: "lab", version: "v1.32.13", capturedAt: "2026-11-21T03:18:02.000Z", nodes: 3, sampledNodes: 3 },
  verdict: "faulty",
  summary: ROOT.title,
  triggers: [],
  rootCauses: [ROOT],
  unexplained: [symptom("odd", 1, 3, 12)],
  disagreements: [],
  meantDenials: [
    {
      policies: [{ kind: "NetworkPolicy", namespace: "shop", name: "deny" }],
      says: say.denied(),
      evidence: [
        { origin: { kind: "probe", path: "probes.jsonl", line: 40 }, quote: "node w1: tcp 10.244.1.3:8080: timeout" },
      ],
    },
  ],
  warnings: [
    {
      ...ROOT,
      id: "network-policy-unenforced/DaemonSet/kube-flannel/kube-flannel-ds",
      check: "network-policy-unenforced",
      title: say.unenforced(),
      explains: [],
      evidence: [],
      remedies: [],
    },
  ],
  history: [
    { object: { kind: "DaemonSet", namespace: "kube-system", name: "kube-proxy" }, title: say.over(), evidence: [] },
  ],
  blindSpots: [
    {
      what: say.rules(),
      why: say.notCollected(),
      matters: ["service.rules"],
      settle: [{ run: "iptables-save -c", node: "w2" }],
    },
    { what: say.rules(), why: say.notCollected(), matters: [], settle: [{ run: "kubectl get --raw /version" }] },
  ],
  checks: [
    { id: "component-access-denied", layer: "control-plane", outcome: "found", subjects: 4, ms: 1.5 },
    {
      id: "corefile-invalid",
      layer: "dns",
      outcome: "crashed",
      subjects: 0,
      ms: 0,
      message: "Error: oops\n    at corefile-invalid.ts:3",
    },
  ],
  notes: [say.refused()],
  tests: { made: 72, failed: 37 },
};

export const HEALTHY: Report = {
  ...SAMPLE,
  verdict: "healthy",
  summary: verbatim("No root cause found") satisfies Text,
  rootCauses: [],
  unexplained: [],
  disagreements: [],
  meantDenials: [],
  warnings: [],
  history: [],
  blindSpots: [],
  checks: SAMPLE.checks.slice(0, 1),
  notes: [],
  tests: { made: 96, failed: 0 },
};
