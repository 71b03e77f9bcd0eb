/** `netwhy diagnose` on a running cluster, as its user runs it. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import {
  type Answering,
  configFor,
  discovers,
  fails,
  lists,
  podObject,
  refuse,
  stubServer,
} from "../../testing/stub-api-server.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

function netwhy(args: readonly string[], until?: (child: ReturnType<typeof spawn>) => void) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...args], {
    env: { PATH: process.env.PATH, LANG: "en_US.UTF-8", HOME: "/nowhere" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const result = { out: "", err: "", code: null as number | null, signal: null as string | null };
  child.stdout.on("data", (data) => {
    result.out += data;
  });
  child.stderr.on("data", (data) => {
    result.err += data;
  });
  until?.(child);
  return new Promise<typeof result>((resolve) => {
    child.on("close", (code, signal) => resolve({ ...result, code, signal }));
  });
}

const NODES = {
  "/api/v1/nodes": [{ metadata: { name: "w1" }, status: { conditions: [{ type: "Ready", status: "True" }] } }],
  "/api/v1/pods": [podObject("web")],
};

describe("a running cluster", () => {
  it("is reported on, and in a pipe nothing else is said", async () => {
    const server = await stubServer(discovers(), lists(NODES));
    const { out, err, code } = await netwhy(["diagnose", "--kubeconfig", server.kubeconfig, "-o", "json"]);
    const report = JSON.parse(out) as { verdict: string; cluster: { name: string; nodes: number } };
    expect({ err, code, verdict: report.verdict }).toEqual({ err: "", code: 2, verdict: "unclear" });
    expect(report.cluster).toMatchObject({ name: "stub-cluster", nodes: 1 });
  });

  it("says what it may not see, and reports on the rest", async () => {
    const denied = "services is forbidden: User cannot list resource";
    const forbids: Answering = (url, response) =>
      /\/services$/.test(url.pathname) ? refuse(response, 403, denied) : false;
    const server = await stubServer(forbids, discovers(), lists(NODES));
    const { out, code } = await netwhy(["diagnose", "--kubeconfig", server.kubeconfig, "-o", "wide"]);
    expect(code).toBe(2);
    expect(out.replaceAll(/\s+/g, " ")).toContain(denied);
  });

  it("whose API server is gone is told, with what to try", async () => {
    const server = await stubServer();
    const kubeconfig = `${server.kubeconfig}.gone`;
    writeFileSync(kubeconfig, JSON.stringify(configFor("http://127.0.0.1:1")));
    const { out, err, code } = await netwhy(["diagnose", "--kubeconfig", kubeconfig]);
    expect({ out, code }).toEqual({ out: "", code: 4 });
    expect(err).toMatch(/^error: The API server http:\/\/127.0.0.1:1 cannot be reached: .*\n.*crictl/);
  });

  it("that does not accept who asks is told", async () => {
    const server = await stubServer((_, response) => refuse(response, 401, "Unauthorized"));
    const { err, code } = await netwhy(["diagnose", "--kubeconfig", server.kubeconfig]);
    expect(code).toBe(4);
    expect(err).toContain("does not accept the credentials of context stub: Unauthorized");
  });

  it("ends when it is interrupted, as an interrupted program does", async () => {
    const asked = Promise.withResolvers<void>();
    const silent = fails("/api/v1/pods", () => asked.resolve());
    const server = await stubServer(silent, discovers(), lists(NODES));
    const { out, signal } = await netwhy(["diagnose", "--kubeconfig", server.kubeconfig], (child) => {
      void asked.promise.then(() => child.kill("SIGINT"));
    });
    expect({ out, signal }).toEqual({ out: "", signal: "SIGINT" });
  });
});

describe("collect", () => {
  const folder = mkdtempSync(join(tmpdir(), "netwhy-collect-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const target = join(folder, "incident.tar.gz");
  const collect = (kubeconfig: string) => ["collect", "-o", target, "--kubeconfig", kubeconfig];

  it("leaves nothing behind when it is interrupted", async () => {
    const asked = Promise.withResolvers<void>();
    const silent = fails("/api/v1/pods", () => asked.resolve());
    const server = await stubServer(silent, discovers(), lists(NODES));
    const begun: string[] = [];
    const { signal } = await netwhy(collect(server.kubeconfig), (child) => {
      void asked.promise.then(() => {
        begun.push(...readdirSync(folder));
        child.kill("SIGINT");
      });
    });
    expect([signal, begun.length, readdirSync(folder)]).toEqual(["SIGINT", 2, []]);
  });

  it("writes a bundle that is diagnosed as the cluster is, and overwrites nothing", async () => {
    const server = await stubServer(discovers(), lists(NODES));
    const { out, err, code } = await netwhy(collect(server.kubeconfig));
    expect({ out, code }).toEqual({ out: `${target}\n`, code: 0 });
    expect(err).toContain(`wrote ${target}: `);
    expect(readdirSync(folder)).toEqual(["incident.tar.gz"]);
    const { out: told } = await netwhy(["diagnose", target, "-o", "json"]);
    expect(JSON.parse(told)).toMatchObject({ verdict: "unclear", cluster: { name: "stub-cluster", nodes: 1 } });
    const again = await netwhy(collect(server.kubeconfig));
    expect(again).toMatchObject({ code: 3, err: expect.stringContaining("is there already") });
    expect(readdirSync(folder)).toEqual(["incident.tar.gz"]);
  });
});

describe("what cannot be meant", () => {
  it.each([
    [["--timeout", "soon"], "`soon` is no value of `--timeout`"],
    [["--bundle", "x", "--context", "y"], "A bundle was given, and --context of a running cluster"],
    [["--bundle", "x", "--debug-pods"], "A bundle was given, and --debug-pods of a running cluster"],
  ])("%j", async (args, says) => {
    const server = await stubServer();
    const kubeconfig = args.includes("--bundle") ? [] : ["--kubeconfig", server.kubeconfig];
    const { err, code } = await netwhy(["diagnose", ...args, ...kubeconfig]);
    expect(code).toBe(3);
    expect(err).toContain(says);
  });
});
