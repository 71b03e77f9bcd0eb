/**
 * What is released: unpacked in an empty folder, it runs with nothing but a shell, without a network; and as a plugin of
 * kubectl. Uses npm, and so its registry or its cache.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { load } from "js-yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeRelease, type Release } from "../../tools/release.ts";
import { KUBECTL, KUBECTL_VERSION } from "../kubectl/kubectl.ts";

type Plugin = {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly version: string;
    readonly platforms: readonly { readonly uri: string; readonly sha256: string; readonly bin: string }[];
  };
};

const VERSION = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
).version;
/** A network namespace of its own has not even a loopback device that is up. */
const canCutOff = spawnSync("unshare", ["-n", "true"]).status === 0;

describe("the release", () => {
  const base = mkdtempSync(join(tmpdir(), "netwhy-release-test-"));
  const place = join(base, "empty place");
  const home = join(place, `netwhy-${VERSION}`);
  let release: Release;
  let plugin: Plugin;

  beforeAll(() => {
    release = makeRelease(join(base, "dist"), "https://example.org/releases");
    plugin = load(readFileSync(release.manifest, "utf8")) as Plugin;
    mkdirSync(place);
    execFileSync("tar", ["-xzf", release.archive, "-C", place]);
  }, 240_000);
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  /** With no Node, no npm, no home and, where that can be, no network. */
  function run(command: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const cut = canCutOff ? ["unshare", "-n"] : [];
    const bare = join(base, "bin");
    mkdirSync(bare, { recursive: true });
    for (const tool of ["sh", "readlink", "uname", "cat", "cksum", "cmp", "mkdir", "id", "env"]) {
      const path = spawnSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).stdout.trim();
      if (path.startsWith("/")) spawnSync("ln", ["-sf", path, join(bare, tool)]);
    }
    const [program = "", ...args] = [...cut, ...command];
    const path = spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout.trim() || program;
    return spawnSync(path, args, { encoding: "utf8", cwd: base, env: { PATH: bare, HOME: "/nonexistent", ...env } });
  }

  it("tells of a recorded incident offline, with nothing but a shell", () => {
    const { stdout, stderr, status } = run([join(home, "netwhy"), "demo"]);
    expect(status).toBe(1);
    // it tells the story there, and fetches nothing
    expect(stderr).not.toMatch(/^netwhy:|npm/m);
    expect(stdout).toMatch(/^✗ ROOT CAUSE {2}flannel has lost its permissions/);
  });

  it.each([
    [["collect", "--print-node-script"], /^# What netwhy reads on a node/],
    [["collect", "--print-cluster-role"], /kind: ClusterRole/],
    [["agent", "--image", "example.org/agent:1"], /image: example.org\/agent:1/],
    [["explain", "--list"], /component-access-denied/],
    [["--version"], new RegExp(`^${VERSION.replaceAll(".", "\\.")}\n$`)],
  ])("%j has all that it needs", (args, says) => {
    const { stdout, status } = run([join(home, "netwhy"), ...args]);
    expect(status).toBe(0);
    expect(stdout).toMatch(says);
  });

  it("that lost a part says so, and fetches nothing", () => {
    const copy = join(base, "damaged");
    execFileSync("cp", ["-R", home, copy]);
    rmSync(join(copy, "node_modules"), { recursive: true });
    const npm = join(base, "npm was asked");
    mkdirSync(join(base, "trap"));
    writeFileSync(join(base, "trap/npm"), `#!/bin/sh\ntouch "${npm}"\n`, { mode: 0o755 });
    const { stderr, status } = run([join(copy, "netwhy"), "demo"], {
      PATH: `${join(base, "trap")}:${join(base, "bin")}`,
    });
    expect(status).toBe(5);
    expect(stderr).toMatch(/^netwhy: .*is not whole: unpack it again\n$/);
    expect(spawnSync("test", ["-e", npm]).status).toBe(1);
  });

  it("has no links, no tests and no tools of development in it", () => {
    const list = execFileSync("tar", ["-tvzf", release.archive], { encoding: "utf8", maxBuffer: 1 << 26 }).split("\n");
    expect(list.filter((line) => /^[lh]/.test(line))).toEqual([]);
    expect(
      list.filter((line) => /netwhy-[^/]+\/src\/.*\.test\.ts$|node_modules\/(vitest|typescript|@biomejs)\//.test(line)),
    ).toEqual([]);
  });

  it("has a manifest for krew with its version, checksum and program", () => {
    const { metadata, spec } = plugin;
    const [{ uri, sha256, bin }] = spec.platforms as [(typeof spec.platforms)[number]];
    expect([metadata.name, spec.version]).toEqual(["netwhy", `v${VERSION}`]);
    expect(uri).toBe(`https://example.org/releases/${basename(release.archive)}`);
    expect(sha256).toBe(createHash("sha256").update(readFileSync(release.archive)).digest("hex"));
    expect(run([join(place, bin), "--version"]).stdout).toBe(`${VERSION}\n`);
  });

  it.skipIf(KUBECTL_VERSION === undefined)("is `kubectl netwhy` to a real kubectl", () => {
    const plugins = join(base, "plugins");
    mkdirSync(plugins);
    // as krew does it
    symlinkSync(join(place, plugin.spec.platforms[0]!.bin), join(plugins, "kubectl-netwhy"));
    const kubectl = spawnSync("sh", ["-c", `command -v ${KUBECTL}`], { encoding: "utf8" }).stdout.trim();
    const env = { PATH: `${plugins}:${join(base, "bin")}` };
    expect(run([kubectl, "plugin", "list"], env).stdout).toContain(join(plugins, "kubectl-netwhy"));
    expect(run([kubectl, "netwhy", "--version"], env).stdout).toBe(`${VERSION}\n`);
    const { stdout, status } = run([kubectl, "netwhy", "demo", "corefile-broken", "--lang", "zh"], env);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^✗ 根因/);
    expect(run([kubectl, "netwhy", "--help"], env).stdout).toContain("Usage: kubectl netwhy COMMAND");
  });
});
