import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const BUNDLE = join(ROOT, "scenarios/two-faults/bundle.tar.gz");

const folder = mkdtempSync(join(tmpdir(), "netwhy replay-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Running = { child: ChildProcess; said: { out: string; err: string }; ended: Promise<number | null> };

function start(...args: readonly string[]): Running {
  const main = join(ROOT, "src/cli/main.ts");
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, "replay", ...args], {
    env: { PATH: process.env.PATH, TMPDIR: folder, NODE_COMPILE_CACHE: join(ROOT, ".tools/compile-cache") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { out: "", err: "" };
  child.stdout.on("data", (data) => {
    said.out += data;
  });
  child.stderr.on("data", (data) => {
    said.err += data;
  });
  return { child, said, ended: new Promise((resolve) => child.on("close", resolve)) };
}

/** The server of a kubeconfig, once the replay has told where that is. */
async function servedBy({ said, child }: Running): Promise<{ path: string; server: string }> {
  while (!said.out.includes("\n") && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 50));
  const path = /^export KUBECONFIG=(?:'(.*)'|(.*))\n$/
    .exec(said.out)
    ?.slice(1)
    .find((word) => word !== undefined);
  const { clusters } = JSON.parse(readFileSync(path!, "utf8")) as { clusters: { cluster: { server: string } }[] };
  return { path: path!, server: clusters[0]!.cluster.server };
}

it("prints one line for the shell, serves until it is told to stop, and leaves nothing behind", async () => {
  const running = start(BUNDLE);
  const { path, server } = await servedBy(running);
  expect(statSync(path).mode & 0o077).toBe(0);
  const nodes = (await (await fetch(`${server}/api/v1/nodes`)).json()) as { items: unknown[] };
  expect(nodes.items.length).toBe(3);
  expect(running.said.err).toContain("as it was at 2026-11-21T");
  running.child.kill("SIGINT");
  expect(await running.ended).toBe(0);
  expect(existsSync(path)).toBe(false);
});

it("writes the kubeconfig where it is told to, and over no other", async () => {
  const path = join(folder, "replay.yaml");
  const running = start(BUNDLE, "--kubeconfig", path);
  expect((await servedBy(running)).path).toBe(path);
  // that of a replay that was killed is none to keep
  const second = start(BUNDLE, "--kubeconfig", path);
  await servedBy(second);
  running.child.kill("SIGTERM");
  second.child.kill("SIGTERM");
  expect(await Promise.all([running.ended, second.ended])).toEqual([0, 0]);

  writeFileSync(path, "kind: Config\n");
  const refused = start(BUNDLE, "--kubeconfig", path);
  expect(await refused.ended).toBe(3);
  expect(refused.said.err).toContain("is no kubeconfig of a replay");
  expect(readFileSync(path, "utf8")).toBe("kind: Config\n");
});

it.each([
  [[], 3, "No bundle was given"],
  [[BUNDLE, "--port", "0"], 3, "`0` is no port"],
  [[BUNDLE, "--port", "x"], 3, "`x` is no port"],
  [["/none"], 4, "There is no bundle at /none"],
])("%j: %i", async (args, code, message) => {
  const { ended, said } = start(...(args as string[]));
  expect(await ended).toBe(code);
  expect(said.err).toContain(message);
});

it("says so if the port is taken", async () => {
  const first = start(BUNDLE);
  const { server } = await servedBy(first);
  const { port } = new URL(server);
  const second = start(BUNDLE, "--port", port);
  expect(await second.ended).toBe(3);
  expect(second.said.err).toContain(`Port ${port} cannot be had`);
  first.child.kill("SIGINT");
  await first.ended;
});
