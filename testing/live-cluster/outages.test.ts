/**
 * A real cluster of which a part does not answer: whatever can be read is used, in bounded time.
 *
 * What the Kubernetes API cannot stop is stopped by commands of the cluster's owner, with the node's name in NETWHY_NODE:
 * NETWHY_STOP_KUBELET and NETWHY_START_KUBELET. Without them the kubelet is halted by a signal, and set going by a timer.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ObjectOf } from "../../src/evidence/catalogue.ts";
import type { Report } from "../../src/report/report.ts";
import { nodeScript } from "../../src/sources/live/read-nodes.ts";
import { controlPlaneOf, workerOf } from "./faults.ts";
import { briefly, KUBECONFIG, type LiveCluster, liveCluster } from "./live-cluster.ts";
import type { Step } from "./steps.ts";

const ids = ({ rootCauses }: Report) => rootCauses.map(({ id }) => id);

/** How long a node is left alone before it mends itself. Seconds. */
const ALONE = 100;

const MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const ASIDE = "/etc/kubernetes/netwhy-test.kube-apiserver.yaml";
const SCRIPT = "/tmp/netwhy-test.sh";
const OUTPUT = "/tmp/netwhy-test.out";

async function readyOf(cluster: LiveCluster, name: string): Promise<string | undefined> {
  const node = (await cluster.list<ObjectOf<"nodes">>("/api/v1/nodes")).find(({ metadata }) => metadata.name === name);
  return node?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
}

describe.skipIf(!KUBECONFIG)("a cluster in part", { timeout: 600_000, concurrent: false }, () => {
  let cluster: LiveCluster;
  beforeAll(async () => {
    cluster = await liveCluster();
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose](), 600_000);

  it("whose Pod network is dead is read all the same", async () => {
    const rule = "FORWARD -m comment --comment netwhy-test -j DROP";
    const everywhere = (script: string) =>
      cluster.nodes.map(({ metadata: { name } }): Step => ({ do: "node", node: name, script }));
    await using damage = await cluster.damage(
      everywhere(`iptables -I ${rule}`),
      everywhere(`while iptables -D ${rule} 2>/dev/null; do :; done`),
    );
    const report = await cluster.until(
      (told) => ids(told).some((id) => id.startsWith("packet-filter-drop/")),
      "named as packet-filter-drop",
    );
    expect(report.cluster.sampledNodes, briefly(report)).toBe(cluster.nodes.length);
    await damage.mend();
    await cluster.until(({ verdict }) => verdict === "healthy", "healthy again");
  });

  it("one of whose kubelets has stopped names the node, and reads the others", async () => {
    const name = workerOf(cluster);
    const { NETWHY_STOP_KUBELET: stop, NETWHY_START_KUBELET: start } = process.env;
    const ready: Step = { do: "wait", until: "ready", path: `/api/v1/nodes/${name}` };
    // a moment later: that this command has ended is told by the kubelet
    const halt = `k=$(pidof kubelet) && { (sleep 2; kill -STOP $k; sleep ${ALONE}; kill -CONT $k) </dev/null >/dev/null 2>&1 & }`;
    await using damage = await cluster.damage(
      [stop ? { do: "command", node: name, run: stop } : { do: "node", node: name, script: halt }],
      start ? [{ do: "command", node: name, run: start }, ready] : [ready],
    );
    // reading a node that does not answer may take longer than it is halted
    await expect.poll(() => readyOf(cluster, name), { timeout: ALONE * 1000, interval: 1000 }).not.toBe("True");
    const report = await cluster.until(
      (told) => ids(told).some((id) => id === `node-not-ready/Node/${name}`),
      "named as node-not-ready",
    );
    expect(report.cluster.sampledNodes, briefly(report)).toBeGreaterThanOrEqual(cluster.nodes.length - 1);
    await damage.mend();
    await cluster.until(({ verdict }) => verdict === "healthy", "healthy again");
  });

  it("whose API server has stopped says so, and diagnoses what a node tells", async ({ skip }) => {
    const home = controlPlaneOf(cluster);
    if (home === undefined || (await cluster.on(home, `test -e ${MANIFEST} && echo yes || :`)) === "") {
      return skip("its control plane is not of kubeadm");
    }
    const script = nodeScript();
    await cluster.on(home, `head -c ${Buffer.byteLength(script)} > ${SCRIPT}`, script);
    const back = `! test -e ${ASIDE} || mv ${ASIDE} ${MANIFEST}`;
    const alone = `sleep ${ALONE - 60}; sh ${SCRIPT} > ${OUTPUT} 2>/dev/null; sleep 20; ${back}`;
    const files = `rm -f ${SCRIPT} ${OUTPUT}`;
    await using damage = await cluster.damage(
      [{ do: "node", node: home, script: `mv ${MANIFEST} ${ASIDE}; (${alone}) </dev/null >/dev/null 2>&1 &` }],
      [{ do: "node", node: home, script: back }],
    );
    const end = Date.now() + (ALONE - 40) * 1000;
    let said = { out: "", err: "", code: null as number | null };
    while (Date.now() < end && said.code !== 4) {
      said = await cluster.netwhy("diagnose", "--kubeconfig", KUBECONFIG!, "--timeout", "30");
    }
    expect(said).toMatchObject({ out: "", code: 4 });
    expect(said.err).toMatch(/crictl/);
    await damage.mend();
    await cluster.until(({ verdict }) => verdict === "healthy", "healthy again");
    const output = cluster.file("node.netwhy", await cluster.on(home, `cat ${OUTPUT}; ${files}`));
    expect(readFileSync(output, "utf8")).toMatch(/ end$/m);
    const nowhere = cluster.file("nowhere.conf", cluster.configWith({ token: "none" }, "https://127.0.0.1:1"));
    const { report, err } = await cluster.diagnose(["--node-output", output], nowhere);
    expect(err).toContain("127.0.0.1:1");
    expect(report.cluster.sampledNodes, briefly(report)).toBe(1);
  });
});
