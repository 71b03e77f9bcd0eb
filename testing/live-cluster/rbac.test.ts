/**
 * Backup, delete and restore on a real API server; its control plane is enough (`shared/lab/up.sh --control-plane`):
 *
 *   NETWHY_KUBECONFIG=… npx vitest run testing/live-cluster/rbac.test.ts
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Api, apiOf } from "../../src/sources/live/api.ts";
import { type Connection, connect } from "../../src/sources/live/connection.ts";
import { random } from "../random.ts";

const KUBECONFIG = process.env.NETWHY_KUBECONFIG;
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const SPACE = "netwhy-test-rbac";
const LABEL = "netwhy-test=rbac";
const SEED = 7;
const COUNT = 60;
const GROUP = "rbac.authorization.k8s.io";

type Ran = { readonly code: number | null; readonly out: string; readonly err: string };
type Diff = { readonly differences: readonly { readonly object: { readonly name: string; readonly kind: string } }[] };

function oneOf<T>(next: () => number, all: readonly T[]): T {
  return all[Math.floor(next() * all.length)]!;
}
const someOf = <T>(next: () => number, all: readonly T[]): T[] => {
  const some = all.filter(() => next() < 0.4);
  return some.length > 0 ? some : [oneOf(next, all)];
};

/** As strange as the API server takes them. */
function ruleOf(next: () => number): object {
  const verbs = someOf(next, ["get", "list", "watch", "patch", "*", "use"]);
  if (next() < 0.2) return { nonResourceURLs: someOf(next, ["/healthz", "/metrics/*", "*"]), verbs };
  return {
    apiGroups: someOf(next, ["", "apps", "discovery.k8s.io", "*"]),
    resources: someOf(next, ["pods", "nodes/status", "*", "*/scale", "endpointslices"]),
    ...(next() < 0.3 && { resourceNames: someOf(next, ["a", "yes", "0777", "kube:x"]) }),
    verbs,
  };
}

function objectsOf(next: () => number): { readonly path: string; readonly body: object }[] {
  const metadata = (name: string) => ({
    name,
    labels: { "netwhy-test": "rbac", version: oneOf(next, ["1.0", "yes", "v1"]) },
    ...(next() < 0.3 && { annotations: { note: oneOf(next, ["two\nlines\n", " blank ", '{"a": "b"}', "数据"]) } }),
  });
  const subject = () =>
    oneOf(next, [
      { kind: "ServiceAccount", name: "agent", namespace: SPACE },
      { kind: "User", name: "jane@example.org", apiGroup: GROUP },
      { kind: "Group", name: "system:nobody", apiGroup: GROUP },
    ]);
  const rules = () => Array.from({ length: Math.floor(next() * 4) }, () => ruleOf(next));
  const inSpace = `${RBAC}/namespaces/${SPACE}`;
  return Array.from({ length: COUNT }, (_, at) => at).flatMap((at) => {
    const name = `netwhy-test:${at}.${oneOf(next, ["A", "b-c", "d"])}`;
    const isCluster = next() < 0.5;
    const role = {
      metadata: metadata(name),
      rules: isCluster ? rules() : rules().filter((rule) => !("nonResourceURLs" in rule)),
      ...(isCluster && next() < 0.1 && { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { x: "y" } }] } }),
    };
    const binding = {
      metadata: metadata(name),
      roleRef: { apiGroup: GROUP, kind: isCluster ? "ClusterRole" : "Role", name },
      subjects: Array.from({ length: Math.floor(next() * 3) }, subject),
    };
    const root = isCluster ? RBAC : inSpace;
    const [roles, bindings] = isCluster ? ["clusterroles", "clusterrolebindings"] : ["roles", "rolebindings"];
    return [
      { path: `${root}/${roles}`, body: role },
      { path: `${root}/${bindings}`, body: binding },
    ];
  });
}

describe.skipIf(!KUBECONFIG)("permissions of a real API server", { timeout: 300_000 }, () => {
  let folder: string;
  let connection: Connection;
  let api: Api;

  const netwhy = (...args: readonly string[]): Promise<Ran> => {
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", MAIN, "rbac", ...args, "--kubeconfig", KUBECONFIG!],
      { cwd: folder, stdio: ["ignore", "pipe", "pipe"] },
    );
    const ran = { out: "", err: "" };
    child.stdout.on("data", (data) => {
      ran.out += data;
    });
    child.stderr.on("data", (data) => {
      ran.err += data;
    });
    return new Promise((resolve) => child.on("close", (code) => resolve({ ...ran, code })));
  };
  const must = async (...sent: Parameters<Api["send"]>) => {
    const { answer, text } = await api.send(...sent);
    if (!answer.ok) throw new Error(`${sent[0]} ${sent[1]}: ${answer.failure.message}`);
    return text;
  };
  const removeAll = async () => {
    for (const path of ["clusterrolebindings", "clusterroles"].map((plural) => `${RBAC}/${plural}`))
      await api.send("DELETE", `${path}?labelSelector=${encodeURIComponent(LABEL)}`, {});
    for (const plural of ["rolebindings", "roles"])
      await api.send("DELETE", `${RBAC}/namespaces/${SPACE}/${plural}?labelSelector=${encodeURIComponent(LABEL)}`, {});
  };
  /** Ours that are otherwise; the cluster may go on living. */
  const differing = async (path: string) => {
    const { out } = await netwhy("diff", path, "-o", "json");
    const { differences } = JSON.parse(out) as Diff;
    return differences.map(({ object }) => object.name).filter((name) => name.startsWith("netwhy-test"));
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "netwhy-rbac-"));
    connection = await connect({ kubeconfig: KUBECONFIG });
    api = apiOf(connection, { signal: new AbortController().signal, deadline: Date.now() + 600_000 });
    await removeAll();
    await api.send("POST", "/api/v1/namespaces", { metadata: { name: SPACE } });
    await api.send("POST", `/api/v1/namespaces/${SPACE}/serviceaccounts`, { metadata: { name: "agent" } });
    for (const { path, body } of objectsOf(random(SEED))) await must("POST", path, body);
  }, 120_000);
  afterAll(async () => {
    await removeAll();
    await api.send("DELETE", `/api/v1/namespaces/${SPACE}`, {});
    connection.close();
    rmSync(folder, { recursive: true });
  }, 60_000);

  it("deleted by label and restored are equal, and a dry run changes nothing", async () => {
    const path = join(folder, "backup.yaml");
    expect(await netwhy("backup", "-o", path)).toMatchObject({ code: 0, err: "" });
    expect(await differing(path)).toEqual([]);
    await removeAll();
    expect(await differing(path)).toHaveLength(2 * COUNT);
    expect(await netwhy("restore", path, "-l", LABEL, "--dry-run")).toMatchObject({ code: 0 });
    expect(await differing(path)).toHaveLength(2 * COUNT);
    const restored = await netwhy("restore", path, "-l", LABEL, "--yes");
    expect(restored).toMatchObject({ code: 0, err: "" });
    expect(restored.out).toContain(`verified: ${2 * COUNT} objects are as in the backup`);
    expect(await differing(path)).toEqual([]);
  });

  it("bound to another role and narrowed are put back only if that is wanted", async () => {
    const path = join(folder, "changed.yaml");
    const name = "netwhy-test-changed";
    const metadata = { name, labels: { "netwhy-test": "rbac" } };
    const roleRef = (to: string) => ({ apiGroup: GROUP, kind: "ClusterRole", name: to });
    const bind = (to: string) =>
      must("POST", `${RBAC}/clusterrolebindings`, { metadata, roleRef: roleRef(to), subjects: [] });
    const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }];
    await must("POST", `${RBAC}/clusterroles`, { metadata, rules });
    await bind(name);
    await netwhy("backup", "-o", path);
    await must("DELETE", `${RBAC}/clusterrolebindings/${name}`, {});
    await bind("view");
    const narrow = { rules: [{ ...rules[0], verbs: ["get"] }], metadata: { labels: { extra: "x" } } };
    await must("PATCH", `${RBAC}/clusterroles/${name}`, narrow, "application/merge-patch+json");
    const names = [`clusterrole/${name}`, `clusterrolebinding/${name}`];
    const refused = await netwhy("restore", path, ...names, "--yes");
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("would grant more than now");
    // the dry run of a delete deletes nothing
    expect(await differing(path)).toEqual([name, name]);
    expect(await netwhy("restore", path, ...names, "--yes", "--allow-wider")).toMatchObject({ code: 0 });
    expect(await differing(path)).toEqual([]);
  });

  it("that a backup names falsely are not restored", async () => {
    const [path, other] = [join(folder, "true.yaml"), join(folder, "false.yaml")];
    await netwhy("backup", "-o", path);
    writeFileSync(other, readFileSync(path, "utf8").replace("- pods\n", "- secrets\n"));
    const { code, err } = await netwhy("restore", other, "--all", "--yes", "--allow-wider");
    expect(code).toBe(4);
    expect(err).toContain("was changed: its digest is another");
  });
});
