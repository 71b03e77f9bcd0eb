/**
 * A real cluster: `NETWHY_KUBECONFIG=~/throw-away.conf npm run test:cluster`. It has to be healthy, and one to throw away:
 * Pods are made in it and removed. Skipped where none is named.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Report } from "../../src/report/report.ts";
import { apiOf } from "../../src/sources/live/api.ts";
import { connect } from "../../src/sources/live/connection.ts";

const KUBECONFIG = process.env.NETWHY_KUBECONFIG;
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

const asked = (...args: readonly string[]) =>
  spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", MAIN, "diagnose", "--kubeconfig", KUBECONFIG!, "-o", "json", ...args],
    { encoding: "utf8", maxBuffer: 1 << 28 },
  );

function diagnosed(...args: readonly string[]): { report: Report; code: number | null; err: string } {
  const { stdout, stderr, status } = asked(...args);
  return { report: JSON.parse(stdout) as Report, code: status, err: stderr };
}

describe.skipIf(!KUBECONFIG)("a healthy cluster", { timeout: 300_000 }, () => {
  it("is healthy, all nodes looked into, and nothing is said beside the report", () => {
    const { report, code, err } = diagnosed("--debug-pods");
    expect(report.rootCauses.map(({ id }) => id)).toEqual([]);
    expect({ verdict: report.verdict, code, err }).toEqual({ verdict: "healthy", code: 0, err: "" });
    expect(report.cluster.sampledNodes).toBeGreaterThan(0);
  });

  it("has no cause found without Pods of ours, where less is seen", () => {
    const { report } = diagnosed();
    expect(report.rootCauses.map(({ id }) => id)).toEqual([]);
    expect(["healthy", "unclear"]).toContain(report.verdict);
  });

  it("ends in time where it has none", () => {
    const started = performance.now();
    const { stdout, status } = asked("--timeout", "1");
    expect(performance.now() - started).toBeLessThan(60_000);
    // on a machine with much to do, nothing may have answered in that time
    if (status === 4) return;
    expect((JSON.parse(stdout) as Report).rootCauses.map(({ id }) => id)).toEqual([]);
  });

  it("keeps nothing of ours", async () => {
    const connection = await connect({ kubeconfig: KUBECONFIG });
    const api = apiOf(connection, { signal: new AbortController().signal, deadline: Date.now() + 20_000 });
    const { text } = await api.text("/api/v1/pods?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dnetwhy-debug");
    connection.close();
    expect((JSON.parse(text) as { items: unknown[] }).items).toEqual([]);
  });
});
