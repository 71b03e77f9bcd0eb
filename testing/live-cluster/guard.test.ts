/**
 * The guard's admission policies, asked by a real API server: what it refuses, and what it lets pass.
 *
 * `NETWHY_KUBECONFIG=~/throw-away.conf npm run test:cluster`; a control plane alone is enough.
 */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guardPolicies } from "../../src/guard/policies.ts";
import type { ProtectedObject } from "../../src/guard/protected.ts";
import { ref } from "../../src/model/ref.ts";
import { KUBECONFIG } from "./live-cluster.ts";

const NS = "netwhy-guard-test";
const NAME = "netwhy-guard-agent";
const OTHER = "netwhy-guard-other";

function kubectl(args: string, input?: unknown): { ok: boolean; said: string } {
  const given = input === undefined ? {} : { input: JSON.stringify(input) };
  const done = spawnSync("kubectl", ["--kubeconfig", KUBECONFIG ?? "", ...args.split(" ")], {
    ...given,
    encoding: "utf8",
  });
  return { ok: done.status === 0, said: done.stdout + done.stderr };
}

const list = (...items: object[]) => ({ apiVersion: "v1", kind: "List", items });
const labels = { "app.kubernetes.io/managed-by": "Helm", app: "netwhy-guard-test" };
const RULES = [
  { apiGroups: [""], resources: ["nodes", "services"], verbs: ["list", "watch"] },
  { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["list"] },
];

const role = (name: string, rules: object[] = RULES, annotations = {}) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: { name, labels, annotations },
  rules,
});
const binding = (name: string, subjects: object[], annotations = {}) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRoleBinding",
  metadata: { name, labels, annotations },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
  subjects,
});
const AGENT = { kind: "ServiceAccount", namespace: NS, name: NAME };
const config = (name: string, data: object, annotations = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: NS, labels, annotations },
  data,
});
const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: NAME, namespace: NS, labels },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: "x" } },
    template: { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "x", image: "x" }] } },
  },
};

const guarded = (object: ProtectedObject["object"], more: Partial<ProtectedObject> = {}): ProtectedObject => ({
  object,
  of: ["agent"],
  rules: [],
  subjects: [],
  ...more,
});

const OBJECTS: readonly ProtectedObject[] = [
  guarded(ref("ClusterRole", NAME), { rules: RULES }),
  guarded(ref("ClusterRoleBinding", NAME), { subjects: [`ServiceAccount/${NS}/${NAME}`] }),
  guarded(ref("ServiceAccount", NAME, NS)),
  guarded(ref("ConfigMap", NAME, NS)),
  guarded(ref("Deployment", NAME, NS)),
  guarded(ref("Namespace", NS)),
];

const POLICIES = list(...guardPolicies(OBJECTS, { exemptUsers: [], action: "deny", api: "v1" }));
const REFUSED = "netwhy guard: ";
const TO_EXEMPT = "--as=guard-test --as-group=system:masters --as-group=netwhy:guard-exempt";

const collection = (resource: string) =>
  kubectl(`delete --raw /api/v1/namespaces/${NS}/${resource}?labelSelector=app%3Dnetwhy-guard-test`);

function refuses(done: { ok: boolean; said: string }): void {
  expect(done.said).toContain(REFUSED);
  expect(done.ok).toBe(false);
}

function takes(done: { ok: boolean; said: string }): void {
  expect(done.ok, done.said).toBe(true);
}

describe.skipIf(!KUBECONFIG)("the guard, on a real API server", { timeout: 120_000, concurrent: false }, () => {
  const put = () => {
    takes(
      kubectl(
        "apply -f -",
        list(
          { apiVersion: "v1", kind: "Namespace", metadata: { name: NS, labels } },
          role(NAME),
          role(OTHER),
          binding(NAME, [AGENT]),
          { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: NAME, namespace: NS, labels } },
          config(NAME, { conf: "a" }),
          config(OTHER, { conf: "a" }),
          deployment,
        ),
      ),
    );
  };
  const away = async () => {
    kubectl("delete validatingadmissionpolicybinding -l app.kubernetes.io/component=guard --ignore-not-found");
    kubectl("delete validatingadmissionpolicy -l app.kubernetes.io/component=guard --ignore-not-found");
    // policies hold some moments longer than they are there
    for (let tries = 0; tries < 60; tries++) {
      const gone = [
        kubectl(`delete ns ${NS} --ignore-not-found --wait=false`),
        kubectl("delete clusterrole,clusterrolebinding -l app=netwhy-guard-test --ignore-not-found"),
      ];
      if (gone.every(({ ok }) => ok)) return;
      await new Promise((done) => setTimeout(done, 500));
    }
  };

  beforeAll(async () => {
    await away();
    while (kubectl(`get ns ${NS}`).ok) await new Promise((done) => setTimeout(done, 500));
    put();
    takes(kubectl("apply -f -", POLICIES));
    // policies hold some moments after they were made
    for (let tries = 0; tries < 60; tries++) {
      const all = [
        kubectl(`delete clusterrole ${NAME} --dry-run=server`),
        kubectl("apply --dry-run=server -f -", role(NAME, [])),
        kubectl("apply --dry-run=server -f -", binding(NAME, [])),
        kubectl("apply --dry-run=server -f -", config(NAME, {})),
        kubectl(`scale -n ${NS} deployment/${NAME} --replicas=0 --dry-run=server`),
      ];
      if (all.every(({ ok }) => !ok)) return;
      await new Promise((done) => setTimeout(done, 500));
    }
    throw new Error("the policies do not hold");
  }, 120_000);
  afterAll(away, 60_000);

  it("makes policies that the API server finds no fault with", () => {
    const { said } = kubectl(
      "get validatingadmissionpolicies -l app.kubernetes.io/component=guard -o jsonpath={.items[*].status.typeChecking}",
    );
    expect(said).not.toContain("warning");
  });

  it.each(["clusterrole", "clusterrolebinding"])("refuses to delete a %s", (kind) => {
    refuses(kubectl(`delete ${kind} ${NAME}`));
  });

  it.each(["serviceaccount", "configmap", "deployment"])("refuses to delete a %s", (kind) => {
    refuses(kubectl(`delete -n ${NS} ${kind} ${NAME}`));
  });

  it("refuses to delete the Namespace that they are in", () => {
    refuses(kubectl(`delete ns ${NS}`));
  });

  it("of what a label selects, takes only what nothing works by", () => {
    refuses(
      kubectl("delete clusterrole,clusterrolebinding -l app.kubernetes.io/managed-by=Helm,app=netwhy-guard-test"),
    );
    expect(kubectl(`get clusterrole ${OTHER}`).ok).toBe(false);
    takes(kubectl(`get clusterrole ${NAME}`));
    takes(kubectl(`get clusterrolebinding ${NAME}`));
    put();
  });

  it("keeps to it when a whole collection is deleted, where requests have no name", () => {
    refuses(collection("configmaps"));
    takes(kubectl(`get -n ${NS} configmap ${NAME}`));
    put();
  });

  it("refuses to take away what is needed, and takes what is added or was never needed", () => {
    refuses(kubectl("apply -f -", role(NAME, RULES.slice(0, 1))));
    refuses(kubectl("apply -f -", role(NAME, [{ ...RULES[0], verbs: ["list"] }, RULES[1]!])));
    takes(kubectl("apply -f -", role(NAME, [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }])));
    const more = [...RULES, { apiGroups: [""], resources: ["pods"], verbs: ["get"] }];
    takes(kubectl("apply -f -", role(NAME, more)));
    takes(kubectl("apply -f -", role(NAME)));
    refuses(kubectl("apply -f -", binding(NAME, [{ ...AGENT, name: "another" }])));
    takes(kubectl("apply -f -", binding(NAME, [{ ...AGENT, name: "another" }, AGENT])));
    refuses(kubectl("apply -f -", config(NAME, {})));
    refuses(kubectl("apply -f -", config(NAME, { conf: "" })));
    takes(kubectl("apply -f -", config(NAME, { conf: "b" })));
    takes(kubectl("apply -f -", config(OTHER, {})));
    refuses(kubectl(`scale -n ${NS} deployment/${NAME} --replicas=0`));
    refuses(kubectl(`patch -n ${NS} deployment/${NAME} -p {"spec":{"replicas":0}}`));
    takes(kubectl(`scale -n ${NS} deployment/${NAME} --replicas=2`));
    put();
  });

  it("lets who repairs a broken object go on", () => {
    takes(kubectl("apply -f -", role(NAME, [], { "netwhy.io/allow-update": "true" })));
    takes(kubectl("apply -f -", role(NAME, [{ apiGroups: [""], resources: ["events"], verbs: ["create"] }])));
    put();
  });

  it("lets pass what an annotation on the object allows, or who is of the exempt group", () => {
    takes(kubectl(`annotate clusterrole ${NAME} netwhy.io/allow-delete=true`));
    takes(kubectl(`delete clusterrole ${NAME}`));
    put();
    takes(kubectl(`delete -n ${NS} configmap ${NAME} ${TO_EXEMPT}`));
    put();
    refuses(
      kubectl(`annotate --overwrite clusterrole ${NAME} netwhy.io/allow-delete=no`).ok
        ? kubectl(`delete clusterrole ${NAME}`)
        : { ok: true, said: "" },
    );
  });
});
