import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const RUNNER = fileURLToPath(new URL("test.ts", import.meta.url));

function run(...args: readonly string[]): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [RUNNER, ...args], (error, out) =>
      resolve({ code: error ? Number(error.code) : 0, out }),
    );
  });
}

it("says what a group used and counts last", async () => {
  const { out } = await run("chinese");
  expect(out).toMatch(/^chinese +\d+ passed +\d+ failed +\d+ skipped +\d+\.\d of \d+ s$/m);
  expect(out).toMatch(/\n\d+ passed, \d+ failed\n$/);
});

it("knows its groups", async () => {
  expect((await run("--list")).out).toContain("unit");
  expect((await run("nonsense")).code).toBe(3);
});
