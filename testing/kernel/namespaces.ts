/**
 * Network namespaces for tests that ask the kernel itself. All of them have names of their own and are deleted
 * afterwards; no traffic leaves them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

let made = 0;

/** Deletes what runs that were killed have left behind. */
function sweep(): void {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const [name, pid] of stdout.matchAll(/^nw-kt-(\d+)-\S+/gm)) {
    if (!existsSync(`/proc/${pid}`)) deleteNamespace(name);
  }
}

/** Whether this process may make namespaces and has the tools that a test needs. */
export function canAsk(...tools: readonly string[]): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const hasTools = ["ip", ...tools].every((tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0);
  if (!hasTools) return false;
  const name = `nw-kt-${process.pid}-try`;
  const isAllowed = spawnSync("ip", ["netns", "add", name]).status === 0;
  if (isAllowed) deleteNamespace(name);
  sweep();
  return isAllowed;
}

export function addNamespace(): string {
  const name = `nw-kt-${process.pid}-${made++}`;
  execFileSync("ip", ["netns", "add", name]);
  return name;
}

export function deleteNamespace(name: string): void {
  spawnSync("ip", ["netns", "del", name]);
}

/** Runs a command in a namespace; gives what it printed, throws with its complaint if it fails. */
export function inNamespace(name: string, command: readonly string[], input = ""): string {
  const result = spawnSync("ip", ["netns", "exec", name, ...command], { input, encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Error(`${command.join(" ")}: ${result.stderr}\n${input}`);
  return result.stdout;
}
