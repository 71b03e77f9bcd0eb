/** A ServiceAccount that may read little of a real cluster: what it may read is used, and what to ask for is said. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KUBECONFIG, type LiveCluster, liveCluster } from "./live-cluster.ts";
import { NAMESPACE, type Step } from "./steps.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const NAME = "netwhy-test-reader";
const apiGroup = "rbac.authorization.k8s.io";

const post = (path: string, body: object): Step => ({ do: "request", method: "POST", path, body });
const remove = (path: string): Step => ({ do: "request", method: "DELETE", path, unless: [404] });

describe.skipIf(!KUBECONFIG)("who may list Pods and nodes only", { timeout: 300_000 }, () => {
  let cluster: LiveCluster;
  let kubeconfig: string;
  beforeAll(async () => {
    cluster = await liveCluster();
    await cluster.damage(
      [
        post(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name: NAME } }),
        post(`${RBAC}/clusterroles`, {
          metadata: { name: NAME },
          rules: [{ apiGroups: [""], resources: ["pods", "nodes"], verbs: ["get", "list"] }],
        }),
        post(`${RBAC}/clusterrolebindings`, {
          metadata: { name: NAME },
          roleRef: { apiGroup, kind: "ClusterRole", name: NAME },
          subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }],
        }),
      ],
      [remove(`${RBAC}/clusterrolebindings/${NAME}`), remove(`${RBAC}/clusterroles/${NAME}`)],
    );
    kubeconfig = await cluster.configOf(NAME);
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose](), 300_000);

  it("gets a partial report that says what to ask for", async () => {
    const { report, code } = await cluster.diagnose([], kubeconfig);
    expect(report.cluster.nodes).toBe(cluster.nodes.length);
    expect({ verdict: report.verdict, roots: report.rootCauses.map(({ id }) => id), code }).toEqual({
      verdict: "unclear",
      roots: [],
      code: 2,
    });
    const grant = report.rights?.grant as { rules?: { resources?: string[] }[]; subjects?: object[] }[] | undefined;
    const [role, binding] = grant ?? [];
    expect(role?.rules?.flatMap(({ resources = [] }) => resources)).toContain("services");
    expect(binding?.subjects).toEqual([{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }]);
  });

  it("does not wait for what is refused", async () => {
    const started = performance.now();
    await cluster.diagnose(["--debug-pods"], kubeconfig);
    expect(performance.now() - started).toBeLessThan(60_000);
  });
});
