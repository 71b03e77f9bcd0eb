/** The kubectl that tests run: the one that NETWHY_KUBECTL names, else the one on the PATH. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const KUBECTL = process.env.NETWHY_KUBECTL || "kubectl";

/** @returns e.g. `v1.33.1`; undefined if there is no kubectl */
function versionOf(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ["version", "--client", "-o", "json"], { encoding: "utf8" });
  if (status !== 0) return undefined;
  return (JSON.parse(stdout) as { clientVersion: { gitVersion: string } }).clientVersion.gitVersion;
}

export const KUBECTL_VERSION: string | undefined = versionOf(KUBECTL);

/** Whether it is of a version that Kubernetes still cared for when this was written; Debian's is 1.20. */
export const IS_MODERN: boolean = Number(/^v1\.(\d+)/.exec(KUBECTL_VERSION ?? "")?.[1] ?? 0) >= 29;

export type Said = { readonly code: number | null; readonly out: string; readonly err: string };

export type Kubectl = Disposable & {
  /** @param forMs when it is stopped, if it does not end by itself */
  run(args: readonly string[], forMs?: number): Promise<Said>;
  /** @returns the path of a file that holds an object */
  file(name: string, object: object): string;
};

/** kubectl with a kubeconfig, and a home of its own, where it keeps what it discovered. */
export function kubectl(kubeconfig: string): Kubectl {
  const home = mkdtempSync(join(tmpdir(), "netwhy-kubectl-"));
  const config = join(home, "kubeconfig");
  writeFileSync(config, kubeconfig);
  return {
    run(args, forMs) {
      const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: config, TERM: "dumb" };
      const child = spawn(KUBECTL, args, { env, stdio: ["ignore", "pipe", "pipe"] });
      const said = { out: "", err: "" };
      child.stdout.on("data", (data) => {
        said.out += data;
      });
      child.stderr.on("data", (data) => {
        said.err += data;
      });
      const timer = forMs === undefined ? undefined : setTimeout(() => child.kill(), forMs);
      return new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code) => {
          clearTimeout(timer);
          resolve({ code, ...said });
        });
      });
    },
    file(name, object) {
      const path = join(home, name);
      writeFileSync(path, JSON.stringify(object));
      return path;
    },
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}
