import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inTypeScript } from "./chinese-punctuation.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CHECK = "src/checks/node/clock-skew.ts";
const TEST = "src/checks/node/clock-skew.test.ts";

/** A copy of what is needed: the scaffold writes into the tree that it lies in. */
const clone = mkdtempSync(join(tmpdir(), "netwhy-new-check-"));
const read = (path: string) => readFileSync(join(clone, path), "utf8");

type Result = { readonly code: number; readonly out: string };

function run(program: string, ...args: readonly string[]): Promise<Result> {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: "1" };
    execFile(program, args, { cwd: clone, env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out: out + err }),
    );
  });
}
const scaffold = (...args: readonly string[]) => run(process.execPath, "tools/new-check.ts", ...args);
const bin = (name: string, ...args: readonly string[]) => run(join("node_modules/.bin", name), ...args);

beforeAll(async () => {
  const isLeftOut = (path: string) => /^(\.git|\.tools|node_modules|scenarios|testing\/recordings)$/.test(path);
  cpSync(ROOT, clone, { recursive: true, filter: (source) => !isLeftOut(relative(ROOT, source)) });
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"));
  await scaffold("node", "clock-skew");
});
afterAll(() => rmSync(clone, { recursive: true, force: true }));

describe("a check that was begun", () => {
  it("is in the registry and in the documents", () => {
    expect(read("src/checks/registry.ts")).toContain('{ layer: "node", check: clockSkew }');
    expect(existsSync(join(clone, "docs/generated/checks/clock-skew.zh-CN.md"))).toBe(true);
  });

  it("compiles and reads well", async () => {
    const only = { extends: "./tsconfig.json", include: [], files: [CHECK, TEST] };
    writeFileSync(join(clone, "tsconfig.one.json"), JSON.stringify(only));
    expect((await bin("tsc", "-p", "tsconfig.one.json")).out).toBe("");
    const { code, out: remarks } = await bin("biome", "check", "--error-on-warnings", CHECK, TEST);
    expect(code, remarks).toBe(0);
    expect(inTypeScript(read(CHECK))).toBe(read(CHECK));
  });

  it("has a test that fails until it is filled in, and only for that", async () => {
    const { code, out } = await bin("vitest", "run", "--reporter=dot", TEST);
    expect(code).toBe(1);
    const failed = [...out.matchAll(/FAIL .* > (.*)$/gm)].map(([, claim]) => claim);
    expect(failed.sort()).toEqual(["is clear once repaired", "is found"]);
  });
});

describe("it refuses", () => {
  it.each([
    [["node", "clock-skew"], "src/checks/node/clock-skew.ts exists"],
    [["dns", "clock-skew"], "src/checks/node/clock-skew.ts exists"],
    [["cloud", "route-missing"], '"cloud" is no layer'],
    [["node", "RouteMissing"], '"RouteMissing" is no id'],
    [["node", "no-route"], '"no-route" does not name a fault'],
    [["node"], "usage"],
  ])("%j", async (args, words) => {
    const { code, out } = await scaffold(...args);
    expect(code).toBe(3);
    expect(out).toContain(words);
  });
});
