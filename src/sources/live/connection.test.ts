/** How a cluster is reached, by the official library as it is shipped, and what of kubectl's behaviour is added to it. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { configFor } from "../../../testing/stub-api-server.ts";
import { connect } from "./connection.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-connection-"));
afterAll(() => rmSync(folder, { recursive: true }));

const SERVER = "https://192.0.2.1:6443";

function written(name: string, config: object | string): string {
  const path = join(folder, name);
  writeFileSync(path, typeof config === "string" ? config : JSON.stringify(config));
  return path;
}

const headersOf = async (user: object) => {
  const connection = await connect({ kubeconfig: written("config", configFor(SERVER, user)), env: {} });
  return (await connection.requestOptions()).headers;
};

describe("credentials", () => {
  it("a token", async () => expect(await headersOf({ token: "abc" })).toMatchObject({ Authorization: "Bearer abc" }));

  it("a token in a file, beside the kubeconfig, with its newline", async () => {
    written("token", "from-file\n");
    expect(await headersOf({ tokenFile: "token" })).toMatchObject({ Authorization: "Bearer from-file" });
  });

  it("a plugin beside the kubeconfig, which is told how it is asked", async () => {
    const plugin = written(
      "plugin",
      '#!/bin/sh\nprintf \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}\' "$(printf %s "$KUBERNETES_EXEC_INFO$1" | cksum | cut -d" " -f2)"\n',
    );
    chmodSync(plugin, 0o755);
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin", args: ["x"] };
    const info =
      '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}x';
    expect(await headersOf({ exec })).toMatchObject({ Authorization: `Bearer ${info.length}` });
  });

  it("a plugin that fails says so", async () => {
    await expect(headersOf({ exec: { command: "/bin/false" } })).rejects.toThrow();
  });

  it("somebody else, with groups", async () => {
    expect(await headersOf({ token: "a", as: "jane", "as-groups": ["ops"] })).toMatchObject({
      "Impersonate-User": "jane",
      "Impersonate-Group": ["ops"],
    });
  });

  it("certificates, and a CA", async () => {
    const config = configFor(SERVER, { "client-certificate": "me.crt", "client-key-data": btoa("key") });
    written("me.crt", "crt");
    Object.assign(config.clusters[0]!.cluster, { "certificate-authority-data": btoa("ca") });
    const options = (await (
      await connect({ kubeconfig: written("certs", config), env: {} })
    ).requestOptions()) as object;
    expect(options).toMatchObject({ cert: Buffer.from("crt"), key: Buffer.from("key"), ca: Buffer.from("ca") });
  });
});

describe("which cluster", () => {
  it("is that of the current context, or of one that is named", async () => {
    const two = configFor(SERVER);
    two.contexts.push({ name: "other", context: { cluster: "stub-cluster", user: "me" } });
    const kubeconfig = written("two", two);
    expect((await connect({ kubeconfig })).context).toBe("stub");
    expect((await connect({ kubeconfig, context: "other" })).context).toBe("other");
    await expect(connect({ kubeconfig, context: "nix" })).rejects.toThrow("no context `nix`");
  });

  it("KUBECONFIG may name several files; missing ones count as empty, and of a name that is twice there the first", async () => {
    const first = written("first", configFor(SERVER));
    const second = written("second", { ...configFor("https://192.0.2.2"), "current-context": "elsewhere" });
    const env = { KUBECONFIG: [join(folder, "missing"), first, second].join(":") };
    const { server, context } = await connect({ env });
    expect({ server: server.origin, context }).toEqual({ server: SERVER, context: "stub" });
  });

  it.each([
    ["is not there", () => join(folder, "nowhere"), "cannot be read"],
    ["is no YAML", () => written("bad", "a: [b"), "cannot be read"],
    ["is something else", () => written("text", "hello"), "cannot be read"],
    ["is empty", () => written("empty", ""), "cannot be read"],
    ["names a cluster that it does not have", () => written("half", { ...configFor(SERVER), clusters: [] }), "names a"],
  ])("a kubeconfig that %s is told", async (_, make, says) => {
    await expect(connect({ kubeconfig: make(), env: {} })).rejects.toThrow(says);
  });

  it("without any is not guessed", async () => {
    await expect(connect({ env: { HOME: folder } })).rejects.toThrow("No cluster is known");
  });
});

describe("the way there", () => {
  const agentOf = async (env: NodeJS.ProcessEnv, server = SERVER) => {
    const connection = await connect({ kubeconfig: written("way", configFor(server)), env });
    return (await connection.requestOptions()).agent as unknown as {
      keepAlive: boolean;
      constructor: { name: string };
    };
  };

  it("is kept alive", async () => expect(await agentOf({})).toMatchObject({ keepAlive: true }));

  it.each([
    [{ HTTPS_PROXY: "http://192.0.2.9:3128" }, SERVER, "HttpsProxyAgent"],
    [{ HTTPS_PROXY: "socks5://192.0.2.9:1080" }, SERVER, "SocksProxyAgent"],
    [{ HTTPS_PROXY: "http://192.0.2.9:3128", NO_PROXY: "example.org, 192.0.2.1" }, SERVER, "Agent"],
    [{ HTTPS_PROXY: "http://192.0.2.9:3128", NO_PROXY: ".example.org" }, "https://api.example.org", "Agent"],
    [{ HTTPS_PROXY: "http://192.0.2.9:3128" }, "https://127.0.0.1:6443", "Agent"],
    [{}, "http://127.0.0.1:8001", "Agent"],
  ])("with %j to %s is by %s", async (env, server, expected) => {
    const agent = await agentOf(env, server);
    expect(agent.constructor.name).toBe(expected);
    expect(agent.keepAlive).toBe(true);
  });
});
