import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import stringWidth from "string-width";
import { afterAll, describe, expect, it } from "vitest";
import { VERSION as DIAGNOSING } from "../diagnose.ts";
import { VERSION } from "./version.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = join(ROOT, "src/cli/main.ts");
const SCENARIOS = join(ROOT, "scenarios");
const TWO_FAULTS = join(SCENARIOS, "two-faults/bundle.tar.gz");

type Result = { code: number | null; out: string; err: string };

/** Runs netwhy as a user does; stdout is closed after `take` bytes if given, as by `head`. */
function netwhy(args: readonly string[], env: NodeJS.ProcessEnv = {}, take?: number): Promise<Result> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...args], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(ROOT, ".tools/compile-cache"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const result = { code: null as number | null, out: "", err: "" };
  child.stdout.on("data", (data) => {
    result.out += data;
    if (take !== undefined && result.out.length >= take) child.stdout.destroy();
  });
  child.stderr.on("data", (data) => {
    result.err += data;
  });
  return new Promise((resolve) => {
    child.on("close", (code) => resolve({ ...result, code }));
  });
}

/** Evidence of next to nothing: what netwhy says of it is soon said. */
const folder = mkdtempSync(join(tmpdir(), "netwhy cli-"));
writeFileSync(join(folder, "version.json"), '{"gitVersion":"v1.33.0"}');
afterAll(() => rmSync(folder, { recursive: true }));

describe("help", () => {
  it.each(
    [
      [],
      ["--help"],
      ["diagnose", "--help"],
      ["path", "--help"],
      ["diff", "--help"],
      ["rbac"],
      ["rbac", "check", "--help"],
      ["rbac", "backup", "--help"],
      ["rbac", "diff", "--help"],
      ["rbac", "restore", "--help"],
      ["rbac", "recover", "--help"],
      ["replay", "--help"],
      ["demo", "--help"],
      ["explain", "-h"],
    ].flatMap(
      (args) =>
        [
          [args, "en"],
          [args, "zh"],
        ] as const,
    ),
  )("of %j in %s fits 90 columns and fails nobody", async (args, lang) => {
    const { code, out, err } = await netwhy(args, { LANG: lang === "zh" ? "zh_CN.UTF-8" : "en_US.UTF-8" });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain(lang === "zh" ? "用法" : "Usage");
    expect(out).toContain("--lang <en|zh>");
    expect(out).toContain("-h, --help");
    for (const line of out.split("\n")) expect(stringWidth(line), line).toBeLessThanOrEqual(90);
  });

  it("names the program as it is called", async () => {
    const { out } = await netwhy([], { NETWHY_CALLED_AS: "kubectl netwhy" });
    expect(out).toContain("Usage: kubectl netwhy COMMAND [OPTIONS]");
    expect(out).toContain("kubectl netwhy demo");
  });

  it("has one version", async () => {
    expect(VERSION).toBe(DIAGNOSING);
    expect((await netwhy(["--version"])).out).toBe(`${VERSION}\n`);
  });
});

describe("exit codes", () => {
  it("1: faulty; the report is on stdout, and nothing else is said", async () => {
    const { code, out, err } = await netwhy(["diagnose", TWO_FAULTS]);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out.split("\n")[0]).toBe("✗ 2 ROOT CAUSES");
  });

  it("0: healthy once what is wrong is ignored, but not if warnings count", async () => {
    const ignore = ["--ignore", "ip-forwarding-off", "--ignore", "service-without-endpoints/Service/shop/backend"];
    const { code, out } = await netwhy(["diagnose", "--bundle", TWO_FAULTS, ...ignore]);
    expect(out).toContain("HEALTHY");
    expect(code).toBe(0);
    expect((await netwhy(["diagnose", TWO_FAULTS, "--strict", ...ignore])).code).toBe(1);
  });

  it("2: unclear", async () => {
    const { code, out } = await netwhy(["diagnose", folder]);
    expect(out).toMatch(/^\? NO FAULT SEEN {2}No root cause found in what was seen; not seen: /);
    expect(code).toBe(2);
  });

  it.each([
    [
      "3: no such command",
      ["diagnos"],
      3,
      "error: There is no command `diagnos`.\nDid you mean `diagnose`? `netwhy --help` shows what there is.\n",
    ],
    [
      "3: a bundle where a command should be",
      [SCENARIOS],
      3,
      `error: There is no command \`${SCENARIOS}\`.\nTo diagnose a bundle: \`netwhy diagnose ${SCENARIOS}\`\n`,
    ],
    [
      "3: no such option",
      ["diagnose", "--strikt"],
      3,
      "error: There is no option `--strikt`.\nDid you mean `--strict`? `netwhy diagnose --help` shows what there is.\n",
    ],
    [
      "3: an option without its value",
      ["diagnose", "-o"],
      3,
      "error: The option `-o, --output <format>` wants a value.\n`netwhy diagnose --help` shows what there is.\n",
    ],
    [
      "3: a value that there is not",
      ["diagnose", "x", "-o", "toml"],
      3,
      "error: `toml` is no value of `-o`.\nTry one of: `text`, `wide`, `json`, `yaml`, `markdown`, `runbook`, `sarif`, `junit`\n",
    ],
    [
      "3: too much",
      ["diagnose", "a", "b"],
      3,
      "error: Too many arguments: a, b\n`netwhy diagnose --help` shows what there is.\n",
    ],
    [
      "3: two bundles",
      ["diagnose", "a", "--bundle", "b"],
      3,
      "error: Two bundles were given: a and b.\nLeave one of them out.\n",
    ],
    [
      "3: no such check",
      ["explain", "corefile"],
      3,
      "error: There is no check named `corefile`.\nDid you mean `corefile-invalid`? `netwhy explain --list` names them all.\n",
    ],
    [
      "3: no such check to ignore",
      ["diagnose", TWO_FAULTS, "--ignore", "xyzzy/Node/w1"],
      3,
      "error: There is no check named `xyzzy`.\n`netwhy explain --list` names them all.\n",
    ],
    [
      "3: no such incident",
      ["demo", "flannel"],
      3,
      "error: There is no incident named `flannel`.\nDid you mean `flannel-role-deleted`? `netwhy demo --list` names them all.\n",
    ],
  ] as const)("%s", async (_, args, code, err) => {
    expect(await netwhy(args)).toEqual({ code, out: "", err });
  });

  it("4: no bundle, and what to do about it", async () => {
    const { code, out, err } = await netwhy(["diagnose"]);
    expect({ code, out }).toEqual({ code: 4, out: "" });
    expect(err).toContain("netwhy demo");
  });

  it("4: nothing at the path", async () => {
    const { code, out, err } = await netwhy(["diagnose", join(folder, "nothing")]);
    expect({ code, out }).toEqual({ code: 4, out: "" });
    expect(err).toMatch(/^error: .*nothing/);
  });

  it("speaks the reader's language also when it complains", async () => {
    expect((await netwhy(["explain", "corefile", "--lang", "zh"])).err).toContain("没有名为 `corefile` 的检查项");
    expect((await netwhy(["diagnose"], { LC_ALL: "zh_CN.UTF-8" })).err).toMatch(/^错误/);
  });
});

describe("outputs", () => {
  it("give the whole report as JSON", async () => {
    const { out } = await netwhy(["diagnose", folder, "-o", "json"]);
    expect(JSON.parse(out)).toMatchObject({ schema: "netwhy.report/v1", verdict: "unclear" });
  });

  it("give Markdown", async () => {
    expect((await netwhy(["diagnose", folder, "-o", "markdown", "--lang", "zh"])).out).toMatch(/^## \? 未见故障/);
  });

  it("have colours only if asked where there is no terminal", async () => {
    expect((await netwhy(["diagnose", folder])).out).not.toContain("\u001b");
    expect((await netwhy(["diagnose", folder], { FORCE_COLOR: "1" })).out).toContain("\u001b[33m");
    expect((await netwhy(["diagnose", folder], { FORCE_COLOR: "1", NO_COLOR: "1" })).out).not.toContain("\u001b");
  });

  it("may be cut off by who reads them", async () => {
    const { code, err } = await netwhy(["diagnose", folder, "-o", "json"], {}, 100);
    expect({ code, err }).toEqual({ code: 2, err: "" });
  });
});

describe("demo and explain", () => {
  it("tells the story on stderr and prints the report on stdout", async () => {
    const { code, out, err } = await netwhy(["demo"]);
    expect(code).toBe(1);
    expect(err).toMatch(/^A clean-up by label takes flannel's permissions away/);
    expect(out).toMatch(/^✗ ROOT CAUSE {2}flannel/);
  });

  it("lists the incidents in both languages", async () => {
    expect((await netwhy(["demo", "--list"])).out).toMatch(/^two-faults +Two faults at once$/m);
    expect((await netwhy(["demo", "--list", "--lang", "zh"])).out).toMatch(/^two-faults +两个故障同时发生$/m);
  });

  it("lists the checks by layer, and shows the page of one", async () => {
    const { out } = await netwhy(["explain", "--list"]);
    expect(out).toMatch(/^DNS$/m);
    expect(out).toMatch(/^ {2}corefile-invalid +The Corefile does not parse$/m);
    const page = await netwhy(["explain", "corefile-invalid"]);
    expect(page.code).toBe(0);
    expect(page.out).toMatch(/^The Corefile does not parse\n\ncorefile-invalid · DNS\n/);
    expect(page.out).not.toContain("**");
    expect((await netwhy(["explain", "corefile-invalid", "--lang", "zh"])).out).toMatch(/^Corefile 无法解析/);
  });
});

describe("what changed", () => {
  const now = join(SCENARIOS, "flannel-role-deleted/bundle.tar.gz");
  const old = join(SCENARIOS, "corefile-broken/bundle.tar.gz");

  it("diff exits as diff(1) does, and tells first what concerns the cause", async () => {
    expect(await netwhy(["diff", now, now])).toMatchObject({ code: 0, out: expect.stringMatching(/^= SAME {2}/) });
    const { code, out, err } = await netwhy(["diff", old, now]);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out).toMatch(/^≠ DIFFERS {2}/);
    expect(out).toMatch(/Concerns: flannel has lost its permissions[^•]*\n +• ClusterRole\/flannel is gone\n/);
    const json = JSON.parse((await netwhy(["diff", old, now, "-o", "json"])).out);
    expect(json.schema).toBe("netwhy.diff/v1");
    expect(json.differences[0]).toMatchObject({ change: "removed", subject: { name: "flannel" } });
    expect((await netwhy(["diff", old, now, "--lang", "zh"])).out).toMatch(
      /^≠ 有差异 {2}[\s\S]*ClusterRole\/flannel 已不存在/,
    );
  });

  it("rbac check names what is missing, and exits as diagnose does", async () => {
    const broken = join(SCENARIOS, "flannel-role-deleted/bundle.tar.gz");
    const { code, out } = await netwhy(["rbac", "check", broken]);
    expect({ code, out }).toMatchObject({ code: 1, out: expect.stringContaining("ClusterRole/flannel") });
    const json = JSON.parse((await netwhy(["rbac", "check", "--bundle", broken, "-o", "json"])).out);
    expect(json).toMatchObject({ schema: "netwhy.rbac-check/v1", verdict: "faulty" });
    expect(json.components[0]).toMatchObject({ name: "flannel", state: "lacks", fit: "exact" });
    expect((await netwhy(["rbac", "check", broken, "--lang", "zh"])).out).toMatch(/^✗ 缺少权限 {2}/);
    const healthy = join(SCENARIOS, "service-target-port/bundle.tar.gz");
    expect((await netwhy(["rbac", "check", healthy, "-o", "markdown"])).code).toBe(0);
  });

  it("diff wants two bundles", async () => {
    expect(await netwhy(["diff", now])).toMatchObject({ code: 3, err: expect.stringContaining("wants two bundles") });
  });

  it("diagnose tells it beside the cause", async () => {
    const { out } = await netwhy(["diagnose", now, "--baseline", old]);
    expect(out).toMatch(/What changed since .* concerns this\n +• ClusterRole\/flannel is gone\n/);
  });
});

describe("path", () => {
  const FLANNEL = ["--bundle", join(SCENARIOS, "flannel-role-deleted/bundle.tar.gz")];

  it.each([
    [0, "client@cp1", "data/db-0:5432", "✓ REACHED  "],
    [1, "client@cp1", "data/db-1:5432", "✗ NOT REACHED  "],
    [1, "client@cp1", "backend.shop:8080", "✗ REACHED SOMETIMES  "],
    [2, "client@cp1", "203.0.113.7:443", "→ LEAVES THE CLUSTER  "],
  ])("exits with %i: %s to %s", async (exit, from, to, headline) => {
    const { code, out, err } = await netwhy(["path", from, to, ...FLANNEL]);
    expect({ code, err }).toEqual({ code: exit, err: "" });
    expect(out.startsWith(headline), out).toBe(true);
  });

  it.each([
    [["client@cp1"], 3, "error: `path` wants two ends: FROM and TO\n"],
    [["client@cp1", "w1", "--kubeconfig", "/nowhere"], 4, "error: The kubeconfig /nowhere cannot be read: ENOENT"],
    [["client@cp1", "w1", "w2", ...FLANNEL], 3, "error: Too many arguments: client@cp1, w1, w2\n"],
    [
      ["client@cp1", "bakend.shop", ...FLANNEL],
      3,
      "error: There is no Pod, workload, Service or node named `bakend.shop`.\nDid you mean `backend.shop`?",
    ],
    [["client", "w1", ...FLANNEL], 3, "error: `client` can mean several: `tools/client-"],
    [["client@cp1", "w1", "--size", "27", ...FLANNEL], 3, "error: `27` is no value of `--size`.\n"],
  ])("%j exits with %i and says why", async (args, exit, says) => {
    const { code, out, err } = await netwhy(["path", ...args]);
    expect({ code, out }).toEqual({ code: exit, out: "" });
    expect(err).toContain(says);
  });

  it("speaks Chinese, JSON and Markdown, and takes a namespace", async () => {
    const args = ["path", "client@cp1", "db-1:5432", "-n", "tools", ...FLANNEL];
    expect((await netwhy([...args, "--lang", "zh"])).err).toMatch(/^错误：没有名为/);
    const inData = ["path", "tools/client@cp1", "db-1:5432", "-n", "data", ...FLANNEL];
    expect((await netwhy([...inData, "--lang", "zh"])).out).toMatch(/^✗ 不可达 {2}/);
    const json = JSON.parse((await netwhy([...inData, "-o", "json"])).out);
    expect(json).toMatchObject({ schema: "netwhy.path/v1", tool: { version: VERSION }, verdict: "fails", port: 5432 });
    expect((await netwhy([...inData, "-o", "markdown"])).out).toMatch(/^## ✗ NOT REACHED — /);
  });

  it("tells all rules that were met, with --explain", async () => {
    const { out } = await netwhy(["path", "client@cp1", "svc/backend.shop:http", "--explain", ...FLANNEL]);
    expect(out).toMatch(/prerouting +meets \d+ rules/);
  });
});
