/**
 * Makes what is made from other files: the registry of checks, and docs/generated.
 *
 *   node tools/generate.ts           writes them
 *   node tools/generate.ts --check   exits with 1 if any is not as it would be written
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const LAYERS = ["control-plane", "node", "pod-network", "service", "dns", "policy"];

const camel = (id: string) => id.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

function registry(): string {
  const checks = LAYERS.flatMap((layer) =>
    readdirSync(join(ROOT, "src/checks", layer))
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .sort()
      .map((file) => ({ layer, id: file.slice(0, -3) })),
  );
  const imports = checks
    .map(({ layer, id }) => `import { ${camel(id)} } from "./${layer}/${id}.ts";`)
    .sort((a, b) => (a.split("from ")[1]! < b.split("from ")[1]! ? -1 : 1));
  return [
    "// Made by tools/generate.ts from the folders: never edited.",
    ...imports,
    'import type { RegisteredCheck } from "./run.ts";',
    "",
    "export const CHECKS: readonly RegisteredCheck[] = [",
    ...checks.map(({ layer, id }) => `  { layer: "${layer}", check: ${camel(id)} },`),
    "];",
    "",
  ].join("\n");
}

async function files(): Promise<Map<string, string>> {
  const made = new Map([["src/checks/registry.ts", registry()]]);
  return made;
}

const isCheck = process.argv.includes("--check");
const stale: string[] = [];
for (const [path, content] of await files()) {
  const full = join(ROOT, path);
  let current: string | undefined;
  try {
    current = readFileSync(full, "utf8");
  } catch {
    current = undefined;
  }
  if (current === content) continue;
  stale.push(path);
  if (isCheck) continue;
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
}
if (isCheck && stale.length > 0) {
  process.stderr.write(`not fresh (run node tools/generate.ts): ${stale.join(", ")}\n`);
  process.exitCode = 1;
}
