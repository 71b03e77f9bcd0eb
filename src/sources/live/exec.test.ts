/** Commands in containers, by the library as it is shipped, against the protocol as the API server speaks it. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { stubServer } from "../../../testing/stub-api-server.ts";
import { type ExecStub, execStub } from "../../../testing/stub-exec.ts";
import { connect } from "./connection.ts";
import { execIn } from "./exec.ts";

const TARGET = { namespace: "kube-system", pod: "kube-proxy-x", container: "kube-proxy" };

async function run(
  stub: ExecStub,
  command: readonly string[],
  { input = "", limitMs = 10_000, signal = new AbortController().signal } = {},
) {
  const server = await stubServer();
  server.upgrade.current = execStub(stub);
  const connection = await connect({ kubeconfig: server.kubeconfig });
  let text = "";
  const onText = (piece: string) => {
    text += piece;
  };
  const outcome = await execIn(connection, TARGET, command, { input, onText, limitMs, signal });
  return { outcome, text, asked: server.asked };
}

describe("a command in a container", () => {
  it.each([["v5.channel.k8s.io"], ["v4.channel.k8s.io"]])("runs by %s", async (protocol) => {
    const { outcome, text, asked } = await run({ protocols: [protocol] }, ["sh", "-c", "printf 'größer\\n'"]);
    expect({ outcome, text }).toEqual({ outcome: { ok: true }, text: "größer\n" });
    expect(asked[0]).toMatch(/^\/api\/v1\/namespaces\/kube-system\/pods\/kube-proxy-x\/exec\?/);
    expect(new URL(asked[0]!, "http://x").searchParams.get("container")).toBe("kube-proxy");
  });

  it("is given its input, and ends although that does not", async () => {
    const { outcome, text } = await run({}, ["sh", "-s", "a b"], { input: 'echo "got $1"; exit 0\n' });
    expect({ outcome, text }).toEqual({ outcome: { ok: true }, text: "got a b\n" });
  });

  it("may print much", async () => {
    const { outcome, text } = await run({}, ["sh", "-c", "seq 1 300000"]);
    expect(outcome.ok).toBe(true);
    expect(text.endsWith("\n300000\n")).toBe(true);
    expect(text.length).toBe(1988895);
  });

  it("that fails says with what status, and what it complained about", async () => {
    const { outcome } = await run({}, ["sh", "-c", "echo no such thing >&2; exit 3"]);
    expect(outcome).toMatchObject({ ok: false, message: expect.stringMatching(/exit code 3.*no such thing/s) });
  });

  it("that is forbidden is told so", async () => {
    expect((await run({ refuse: 403 }, ["true"])).outcome).toMatchObject({
      ok: false,
      message:
        'Unexpected server response: 403: cannot create resource "pods/exec" in API group "" in the namespace "kube-system"',
    });
  });

  it.each<[string, ExecStub]>([
    ["does not end", { run: () => ({ command: ["sleep", "60"] }) }],
    ["is not begun", { run: () => "silence" }],
  ])("that %s is left after its time", async (_, stub) => {
    const started = performance.now();
    const { outcome } = await run(stub, ["x"], { limitMs: 400 });
    expect(outcome).toMatchObject({ ok: false, message: "not done within 0 s" });
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("can be interrupted", async () => {
    const controller = new AbortController();
    const running = run({ run: () => ({ command: ["sleep", "60"] }) }, ["x"], { signal: controller.signal });
    await sleep(300);
    controller.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
  });

  it("where no API server is fails at once", async () => {
    const server = await stubServer();
    const connection = await connect({ kubeconfig: server.kubeconfig });
    const config = Object.assign(Object.create(connection.config) as typeof connection.config, {
      getCurrentCluster: () => ({ name: "x", server: "http://127.0.0.1:1", skipTLSVerify: true }),
    });
    const signal = new AbortController().signal;
    const outcome = await execIn({ ...connection, config }, TARGET, ["true"], {
      input: "",
      onText: () => {},
      limitMs: 5000,
      signal,
    });
    expect(outcome).toMatchObject({ ok: false, message: expect.stringContaining("ECONNREFUSED") });
  });
});
