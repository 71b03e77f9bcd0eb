/**
 * Makes dist/agent, what agent/Dockerfile puts into the image: the agent without its types (Node would need 30 MB to take
 * them out at every start), the script that it runs, and this Node.
 *
 *   node tools/build-agent.ts
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** @param folder is made anew */
export function buildAgent(folder: string, { withNode }: { readonly withNode: boolean }): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const source = readFileSync(join(ROOT, "agent/agent.ts"), "utf8");
  writeFileSync(join(folder, "agent.mjs"), stripTypeScriptTypes(source));
  copyFileSync(join(ROOT, "src/sources/live/node-script.sh"), join(folder, "node-script.sh"));
  if (!withNode) return;
  copyFileSync(process.execPath, join(folder, "node"));
  chmodSync(join(folder, "node"), 0o755);
}

if (import.meta.main) buildAgent(join(ROOT, "dist/agent"), { withNode: true });
