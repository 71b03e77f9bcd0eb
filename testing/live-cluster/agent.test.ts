/**
 * netwhy's agent on all nodes of a real cluster, as `netwhy agent` installs it, asked by somebody with no other way to nodes.
 *
 * NETWHY_AGENT_IMAGE names its image, which the nodes have or can pull; tools/agent-image.ts makes one without Docker.
 */
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ObjectOf } from "../../src/evidence/catalogue.ts";
import { known } from "../../src/evidence/observed.ts";
import { AGENT_NAMESPACE } from "../../src/evidence/rights.ts";
import { readBundle } from "../../src/sources/bundle.ts";
import { briefly, KUBECONFIG, type LiveCluster, liveCluster, type Thing } from "./live-cluster.ts";
import { NAMESPACE, type Step } from "./steps.ts";

const IMAGE = process.env.NETWHY_AGENT_IMAGE;

const READER = "netwhy-test-agent-reader";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const apiGroup = "rbac.authorization.k8s.io";
const OURS = `/api/v1/namespaces/${AGENT_NAMESPACE}`;
const PODS = `${OURS}/pods?labelSelector=app.kubernetes.io%2Fname%3Dnetwhy-agent`;

/** Where objects of a kind are made. */
const FOLDERS: Readonly<Record<string, string>> = {
  Namespace: "/api/v1/namespaces",
  ServiceAccount: `${OURS}/serviceaccounts`,
  Secret: `${OURS}/secrets`,
  Role: `${RBAC}/namespaces/${AGENT_NAMESPACE}/roles`,
  DaemonSet: `/apis/apps/v1/namespaces/${AGENT_NAMESPACE}/daemonsets`,
};

const post = (path: string, body: object): Step => ({ do: "request", method: "POST", path, body });
const remove = (path: string): Step => ({ do: "request", method: "DELETE", path, unless: [404] });

/** What `netwhy` prints to be applied. */
const printed = async (cluster: LiveCluster, ...args: readonly string[]) =>
  loadAll((await cluster.netwhy(...args)).out) as (Thing & { kind: string })[];

type Pod = Thing & { readonly status: { readonly containerStatuses: readonly { readonly restartCount: number }[] } };

/** What the agent's container may use, manifests/agent.yaml. Bytes. */
const LIMIT = 60 * 1024 * 1024;

/** By the container's own view of its cgroup, of the first and of the second version. */
const MEMORY = `for p in /proc/[0-9]*; do
  case $(tr '\\0' ' ' <$p/cmdline) in *netwhy/agent.mjs*)
    cat $p/root/sys/fs/cgroup/memory/memory.max_usage_in_bytes $p/root/sys/fs/cgroup/memory.peak 2>/dev/null
    cat $p/root/sys/fs/cgroup/memory/memory.oom_control $p/root/sys/fs/cgroup/memory.events 2>/dev/null
    break ;;
  esac
done`;

/** What the agent on a node has used at most, if the kernel tells it (memory.peak since 5.19), and what the kernel ended for it. */
async function memoryOn(cluster: LiveCluster, node: string): Promise<{ peak: number; killed: number }> {
  const told = await cluster.on(node, MEMORY);
  const killed = /^oom_kill (\d+)$/m.exec(told)?.[1];
  if (killed === undefined) throw new Error(`no agent's cgroup on ${node}: ${told}`);
  return { peak: Number(/^\d+$/m.exec(told)?.[0] ?? 0), killed: Number(killed) };
}

const isOfNetwork = ({ spec, status }: ObjectOf<"pods">) =>
  spec.hostNetwork !== true && status?.phase === "Running" && status.podIP !== undefined;

describe.skipIf(!KUBECONFIG || !IMAGE)("our agent on a cluster's nodes", { timeout: 300_000 }, () => {
  let cluster: LiveCluster;
  let kubeconfig: string;

  beforeAll(async () => {
    cluster = await liveCluster();
    const found = await cluster.list<Thing>("/api/v1/namespaces");
    if (found.some(({ metadata }) => metadata.name === AGENT_NAMESPACE)) {
      throw new Error(`the cluster has a namespace ${AGENT_NAMESPACE} already: remove the agent first`);
    }
    const [reading] = await printed(cluster, "collect", "--print-cluster-role");
    const subjects = [{ kind: "ServiceAccount", name: READER, namespace: NAMESPACE }];
    await cluster.damage(
      [
        ...(await printed(cluster, "agent", "--image", IMAGE!)).map((thing) => post(FOLDERS[thing.kind]!, thing)),
        post(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name: READER } }),
        post(`${RBAC}/clusterroles`, { ...reading!, metadata: { name: READER } }),
        post(`${RBAC}/clusterrolebindings`, {
          metadata: { name: READER },
          roleRef: { apiGroup, kind: "ClusterRole", name: READER },
          subjects,
        }),
        post(`${RBAC}/namespaces/${AGENT_NAMESPACE}/rolebindings`, {
          metadata: { name: READER },
          roleRef: { apiGroup, kind: "Role", name: "netwhy-agent-reader" },
          subjects,
        }),
        { do: "wait", until: "ready", path: `${FOLDERS.DaemonSet}/netwhy-agent` },
      ],
      [
        remove(OURS),
        remove(`${RBAC}/clusterrolebindings/${READER}`),
        remove(`${RBAC}/clusterroles/${READER}`),
        { do: "wait", until: "gone", path: OURS },
      ],
    );
    kubeconfig = await cluster.configOf(READER);
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose](), 300_000);

  it("runs on every node as it is installed", async () => {
    const agents = await cluster.list<ObjectOf<"pods">>(PODS);
    expect(agents.map(({ spec }) => spec.nodeName).sort()).toEqual(
      cluster.nodes.map(({ metadata }) => metadata.name).sort(),
    );
  });

  it("shows nodes and their Pods' networks to who may read no node in any other way", async () => {
    const podsThere = async () => (await cluster.list<ObjectOf<"pods">>("/api/v1/pods")).filter(isOfNetwork);
    const before = await podsThere();
    const bundle = cluster.file("by-agents.tar.gz");
    const { code, err } = await cluster.netwhy("collect", "--kubeconfig", kubeconfig, "-o", bundle);
    expect(code, err).toBe(0);
    const capture = await readBundle(bundle);
    for (const { metadata } of cluster.nodes) {
      const node = metadata.name;
      for (const kind of ["links", "routes", "sysctls", "iptables", "sockets", "processes", "kubeletConfig"] as const) {
        expect(capture.get(kind, { node }), `${kind} of ${node}`).toMatchObject({ state: "present" });
      }
    }
    const after = new Set((await podsThere()).map(({ metadata }) => metadata.uid));
    const stayed = before.filter(({ metadata }) => after.has(metadata.uid));
    expect(stayed).not.toEqual([]);
    for (const { metadata, spec, status } of stayed) {
      const place = { node: spec.nodeName!, namespace: metadata.namespace!, pod: metadata.name };
      const links = known(capture.get("podLinks", place)) ?? [];
      const addresses = links.flatMap((link) => link.addresses.map(({ local }) => local));
      expect(addresses, JSON.stringify(place)).toContain(status!.podIP);
    }
  });

  it("lets them diagnose, and is within its memory all the while", async () => {
    const { report } = await cluster.diagnose([], kubeconfig);
    expect(report.cluster.sampledNodes, briefly(report)).toBe(cluster.nodes.length);
    expect({ verdict: report.verdict, roots: report.rootCauses.map(({ id }) => id) }, briefly(report)).toEqual({
      verdict: "healthy",
      roots: [],
    });
    const agents = await cluster.list<Pod>(PODS);
    expect(agents.map(({ status }) => status.containerStatuses[0]!.restartCount)).toEqual(agents.map(() => 0));
    for (const { metadata } of cluster.nodes) {
      const { peak, killed } = await memoryOn(cluster, metadata.name);
      expect({ peak: peak <= LIMIT, killed }, `${metadata.name}: ${peak} bytes`).toEqual({ peak: true, killed: 0 });
    }
  });

  it("shows nothing to who does not know its key", async () => {
    const [agent] = await cluster.list<Thing>(PODS);
    const proxy = `${OURS}/pods/${agent!.metadata.name}:10471/proxy`;
    const { status } = await cluster.send("GET", `${proxy}/node?mark=@@00000000-0000-0000-0000-000000000000`);
    expect(status).toBe(401);
  });
});
