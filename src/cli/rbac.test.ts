/** `netwhy rbac backup`, `diff` and `restore`, on our own API server and on bundles. */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiServer, type ApiServerOptions, apiServer } from "../../testing/api-server/api-server.ts";
import { netwhy } from "../../testing/in-process.ts";
import { recordingPath } from "../../testing/recordings.ts";
import { parseArchive } from "../backup/archive.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-rbac-"));
// what a restore replaces is kept where it runs
const home = process.cwd();
beforeAll(() => process.chdir(folder));
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const BUNDLE = recordingPath("healthy-iptables");

const server = (options: ApiServerOptions = {}) => apiServer({ bundle: BUNDLE, isWritable: true, ...options });

function on(api: ApiServer) {
  const kubeconfig = join(folder, `kubeconfig-${api.port}`);
  // a cluster like any other, not a replay
  writeFileSync(kubeconfig, api.kubeconfig.replaceAll("netwhy-replay", "tested"));
  return (args: readonly string[], answer?: boolean) => netwhy(["rbac", ...args, "--kubeconfig", kubeconfig], answer);
}

async function send(api: ApiServer, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const answered = await fetch(`${api.url}${path}`, {
    method,
    headers: { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  return (await answered.json()) as Record<string, unknown>;
}

let made = 0;
const fresh = (name = "backup.yaml"): string => join(folder, `${++made}-${name}`);

describe("backup, delete, restore", () => {
  it("gives equal objects, and deletes nothing that the backup does not know", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    const { code, out } = await run(["backup", "-o", path]);
    expect({ code, lines: out.split("\n").length }).toEqual({ code: 0, lines: 2 });
    expect(out).toMatch(/^wrote .*: \d+ objects, contents sha256:[0-9a-f]{12}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const each of [
      "clusterroles/flannel",
      "clusterrolebindings/flannel",
      "roles",
      "clusterroles/system:coredns",
    ]) {
      const at = each === "roles" ? "/namespaces/kube-system/roles/kube-proxy" : `/${each}`;
      await send(api, "DELETE", RBAC + at);
    }
    await send(api, "POST", `${RBAC}/clusterroles`, { metadata: { name: "newer" }, rules: [] });
    const diff = await run(["diff", path]);
    expect(diff.code).toBe(1);
    expect(diff.out).toContain("- ClusterRole/flannel\n    - may get, list, watch: nodes\n");
    expect(diff.out).toContain("Who may do less by it:\n");
    // what its role permitted stands above, and is not listed twice
    expect(diff.out).toContain(
      "\n    ServiceAccount/kube-flannel/flannel:\n        what ClusterRole/flannel permits no longer, as above\n",
    );
    expect(diff.out.match(/get, list, watch: nodes$/gm)).toHaveLength(1);
    expect(diff.out).toContain("+ ClusterRole/newer");
    const restored = await run(["restore", path, "--yes"]);
    expect(restored).toMatchObject({ code: 0, err: "" });
    expect(restored.out).toContain("ServiceAccount/kube-flannel/flannel:\n        get, list, watch: nodes");
    expect(restored.out).toContain("verified: 4 objects are as in the backup");
    expect((await run(["diff", path])).out.match(/^[+~-] .*$/gm)).toEqual(["+ ClusterRole/newer"]);
    const applied = (await send(api, "GET", `${RBAC}/clusterroles/flannel`)) as {
      metadata: { managedFields: unknown[] };
    };
    expect(applied.metadata.managedFields).toMatchObject([{ manager: "netwhy", operation: "Apply" }]);
    expect(await run(["restore", path, "--yes"])).toMatchObject({ code: 0, out: expect.stringContaining("nothing") });
  });

  it("puts back what was changed only if told so, and keeps what it replaces", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    await run(["backup", "-o", path]);
    const map = "/api/v1/namespaces/kube-system/configmaps/coredns";
    await send(api, "PATCH", map, { data: { Corefile: "broken", extra: "x" } });
    expect((await run(["restore", path, "--yes"])).out).toContain("nothing of the backup is missing");
    const before = new Set(readdirSync(folder));
    const { code, err } = await run(["restore", path, "cm/coredns", "--yes"]);
    expect(code).toBe(0);
    const kept = readdirSync(folder).filter((name) => !before.has(name));
    expect(err).toBe(`what is there now is kept in ${kept[0]}\n`);
    // also what was added is gone: an apply alone would have left it
    expect((await run(["diff", path])).out).toContain("= nothing differs");
    expect((await run(["restore", kept[0]!, "cm/coredns", "--yes"])).code).toBe(0);
    expect(await send(api, "GET", map)).toMatchObject({ data: { Corefile: "broken", extra: "x" } });
  });

  it("tells of Pods whose account is new", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    await run(["backup", "-o", path]);
    await send(api, "DELETE", "/api/v1/namespaces/kube-flannel/serviceaccounts/flannel");
    const { code, out } = await run(["restore", path, "--yes"]);
    expect(code).toBe(0);
    expect(out).toContain(
      "Pods of ServiceAccount/kube-flannel/flannel hold tokens of accounts that are gone: restart them",
    );
  });

  it("never widens silently what is there", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    await run(["backup", "-o", path]);
    const rules = { rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] };
    await send(api, "PATCH", `${RBAC}/clusterroles/flannel`, rules);
    const isAsBefore = async () => (await send(api, "GET", `${RBAC}/clusterroles/flannel`)).rules;
    const refused = await run(["restore", path, "clusterrole/flannel", "--yes"]);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("ClusterRole/flannel is there and would grant more than now");
    expect(refused.out).toContain("    + may get, list, watch: nodes\n");
    expect(await run(["restore", path, "clusterrole/flannel"], false)).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /Restore 1 object, of which 1 would grant more than now\? \[y\/N\] nothing was changed/,
      ),
    });
    expect(await run(["restore", path, "clusterrole/flannel"])).toMatchObject({
      code: 1,
      err: /--yes/ as unknown as string,
    });
    expect(await isAsBefore()).toEqual(rules.rules);
    expect((await run(["restore", path, "clusterrole/flannel"], true)).code).toBe(0);
    expect(await isAsBefore()).not.toEqual(rules.rules);
  });

  it("makes a binding anew that refers to another role", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    await run(["backup", "-o", path]);
    const at = `${RBAC}/clusterrolebindings/flannel`;
    const { roleRef, subjects } = await send(api, "GET", at);
    await send(api, "PATCH", at, { roleRef: { name: "view" } });
    const dry = await run(["restore", path, "--all", "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, err: "" });
    // lines fit the terminal
    expect(dry.out.replaceAll(/\s+/g, " ")).toContain(
      "DELETE it and make it anew roleRef: ClusterRole/view → ClusterRole/flannel",
    );
    expect(dry.out).toContain("dry run: the API server would take all of it");
    expect(await send(api, "GET", at)).toMatchObject({ roleRef: { name: "view" } });
    expect((await run(["restore", path, "--all", "--yes", "--allow-wider"])).code).toBe(0);
    expect(await send(api, "GET", at)).toMatchObject({ roleRef: roleRef as object, subjects: subjects as object });
  });

  it("changes nothing if the API server would refuse any of it", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    await run(["backup", "-o", path]);
    for (const name of ["flannel", "system:coredns"]) await send(api, "DELETE", `${RBAC}/clusterroles/${name}`);
    api.inject({ on: /PATCH .*coredns.*dryRun/, does: "refuse", reason: "Forbidden", message: "no escalation" });
    const { code, err } = await run(["restore", path, "--yes"]);
    expect({ code, err }).toEqual({
      code: 1,
      err: "the API server would refuse ClusterRole/system:coredns: no escalation\nnothing was changed\n",
    });
    expect(await send(api, "GET", `${RBAC}/clusterroles/flannel`)).toMatchObject({ code: 404 });
  });

  it("ends at the first failure, and says what was not done", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    await run(["backup", "-o", path]);
    for (const name of ["flannel", "system:coredns"]) await send(api, "DELETE", `${RBAC}/clusterroles/${name}`);
    api.inject({
      on: /PATCH .*flannel\?fieldManager=netwhy&force=true$/,
      does: "refuse",
      reason: "InternalError",
      message: "etcd",
    });
    const { code, out, err } = await run(["restore", path, "--yes"]);
    expect(code).toBe(1);
    expect(out).toContain("FAILED ClusterRole/flannel: etcd\nnot done ClusterRole/system:coredns\n");
    // the first was done although the answer said otherwise
    expect(err).toBe("still otherwise: ClusterRole/system:coredns\n");
  });

  it("does not put one cluster's permissions into another", async () => {
    await using api = await server({ bundle: recordingPath("healthy-ipvs") });
    const path = fresh();
    await netwhy(["rbac", "backup", "--bundle", BUNDLE, "-o", path]);
    const { code, err } = await on(api)(["restore", path, "--yes"]);
    expect(code).toBe(-1);
    expect(err).toContain("The backup is of another cluster");
  });
});

describe("a backup", () => {
  it("of a bundle equals one of the cluster that the bundle was taken of", async () => {
    await using api = await server();
    const [a, b] = [fresh(), fresh("b.yaml.gz")];
    await on(api)(["backup", "-o", a]);
    await netwhy(["rbac", "backup", "--bundle", BUNDLE, "-o", b]);
    const contents = [readFileSync(a), gunzipSync(readFileSync(b))].map((bytes) => {
      const read = parseArchive(bytes.toString());
      return read.ok && read.archive.contents;
    });
    expect(contents[0]).toMatch(/^sha256:/);
    expect(contents[0]).toBe(contents[1]);
    expect(await netwhy(["rbac", "diff", a, b])).toMatchObject({ code: 0, err: "" });
  });

  it("that is not whole says so, and takes no place of one that is", async () => {
    const directory = `${fresh("kept")}/`;
    await using whole = await server();
    await on(whole)(["backup", "-o", directory]);
    await using partial = await server({ forbidden: ["rolebindings.rbac.authorization.k8s.io"] });
    const { code, out } = await on(partial)(["backup", "-o", directory, "--keep", "1"]);
    expect(code).toBe(2);
    expect(out).toMatch(/NOT WHOLE: RoleBinding \(.*cannot list resource "rolebindings"/);
    // both may be of the same second
    const [newest] = readdirSync(directory).sort().toReversed();
    const { out: diff, code: unclear } = await on(whole)(["diff", join(directory, newest!)]);
    expect(diff).toContain("Not compared: RoleBinding (");
    expect(unclear).toBe(2);
    await using none = await server({
      forbidden: ["clusterroles", "clusterrolebindings", "roles", "rolebindings"].map(
        (each) => `${each}.rbac.authorization.k8s.io`,
      ),
    });
    expect(await on(none)(["backup", "-o", fresh()])).toMatchObject({
      code: -1,
      err: /No RBAC object can be read/ as unknown as string,
    });
  });

  it("is written again only if something changed; so many states are kept", async () => {
    await using api = await server();
    const run = on(api);
    const directory = `${fresh("states")}/`;
    await run(["backup", "-o", directory]);
    expect((await run(["backup", "-o", directory, "--keep", "2"])).out).toMatch(/^nothing has changed since /);
    expect(readdirSync(directory)).toHaveLength(1);
    writeFileSync(
      join(directory, "netwhy-rbac-20200101T000000Z.yaml"),
      readFileSync(join(directory, readdirSync(directory)[0]!)),
    );
    writeFileSync(join(directory, "netwhy-rbac-20200102T000000Z.yaml"), "not a backup");
    await send(api, "DELETE", `${RBAC}/clusterroles/flannel`);
    await new Promise((resolve) => setTimeout(resolve, 1001));
    expect((await run(["backup", "-o", directory, "--keep", "2"])).out).toMatch(/; 1 older backup removed\n$/);
    expect(readdirSync(directory)).toHaveLength(3);
    expect((await run(["backup", "-o", directory, "--keep", "x"])).err).toContain("`x` is no value of `--keep`");
  });

  it("that was tampered with is refused, also by who can recompute digests but not sign", async () => {
    await using api = await server();
    const run = on(api);
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const [path, key, pub] = [fresh(), fresh("key.pem"), fresh("key.pub")];
    writeFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(pub, publicKey.export({ type: "spki", format: "pem" }));
    await run(["backup", "-o", path, "--sign", key]);
    expect((await run(["diff", path, "--verify-key", pub])).code).toBe(0);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace("- nodes/status", "- secrets"));
    expect(await run(["restore", path, "--yes"])).toMatchObject({
      code: -1,
      err: /ClusterRole\/\S+ was changed/ as unknown as string,
    });
    const own = fresh();
    await run(["backup", "-o", own]);
    expect((await run(["diff", own, "--verify-key", pub])).err).toContain("it is not signed");
    const signature = /^# signature: .*\n/m.exec(text)![0];
    writeFileSync(own, readFileSync(own, "utf8").replace(/^---\n/m, `${signature}---\n`));
    expect((await run(["diff", own, "--verify-key", pub])).err).toContain("it was not signed with the key");
    expect((await run(["backup", "--sign", pub])).err).toContain("is no Ed25519 key");
    expect((await run(["diff", join(folder, "nowhere")])).err).toContain("cannot be read");
  });
});

describe("recovery without a backup", () => {
  const records = JSON.parse(
    readFileSync(new URL("../../testing/helm/records.json", import.meta.url), "utf8"),
  ) as Record<"secrets" | "configmaps", Parameters<NonNullable<ApiServer["writable"]>["put"]>[0][]>;

  it("from what real Helm wrote, in Secrets and in ConfigMaps; no other Secret is asked for", async () => {
    await using api = await server();
    for (const record of [...records.secrets, ...records.configmaps]) api.writable!.put(record);
    const { code, out, err } = await on(api)(["recover", "clusterrole/cilium", "clusterrole/coredns-of-a-chart"]);
    expect(code).toBe(0);
    expect(out).toContain("---\n# Helm's record of cilium-1.15.19, release kube-system/cilium, revision 4: ");
    expect(out).toContain("    meta.helm.sh/release-name: cilium\n");
    expect(out).toContain("  name: coredns-of-a-chart\n");
    expect(err).not.toContain("not seen");
    const asked = api.requests.filter(({ path }) => path === "/api/v1/secrets").map(({ query }) => query.toString());
    expect(asked).not.toEqual([]);
    for (const query of asked) expect(query).toContain("fieldSelector=type%3Dhelm.sh%2Frelease.v1");
    // and it can be applied
    const documents = loadAll(out) as Record<string, object>[];
    expect(documents.map(({ kind }) => kind)).toEqual(["ClusterRole", "ClusterRole"]);
  });

  it("says what it could not see, and where what it has comes from", async () => {
    await using api = await server({ forbidden: ["secrets"] });
    await send(api, "DELETE", `${RBAC}/clusterroles/flannel`);
    const { code, out, err } = await on(api)(["recover"]);
    expect(code).toBe(0);
    expect(out).toContain("  name: flannel\n");
    expect(err).toMatch(/^ClusterRole\/flannel: what flannel v\S+ is granted by its manifest or chart/m);
    expect(err).toMatch(/Helm's records were not seen: .*cannot list resource "secrets"/);
    expect(await on(api)(["recover", "role/nowhere/x"])).toMatchObject({ code: 1, out: "" });
    expect((await on(api)(["recover", "flannel"])).err).toContain("`flannel` names no object.");
  });
});

describe("what is wanted", () => {
  it("is said in Chinese, too, and as JSON", async () => {
    const path = fresh();
    const broken = recordingPath("flannel-role-deleted");
    await netwhy(["rbac", "backup", "--bundle", BUNDLE, "-o", path, "--lang", "zh"]);
    expect((await netwhy(["rbac", "diff", path, "--bundle", broken, "--lang", "zh"])).out).toContain(
      "因此权限减少的主体：",
    );
    const { out } = await netwhy(["rbac", "diff", path, "--bundle", broken, "-o", "json"]);
    expect(JSON.parse(out)).toMatchObject({
      schema: "netwhy.rbac-diff/v1",
      losses: expect.arrayContaining([
        { subject: "ServiceAccount/kube-flannel/flannel", may: expect.arrayContaining(["get, list, watch: nodes"]) },
      ]),
    });
  });

  it("is told what is wrong with it", async () => {
    await using api = await server();
    const run = on(api);
    const path = fresh();
    await run(["backup", "-o", path]);
    const err = async (args: readonly string[]) => (await run(args)).err.split("\n")[0];
    expect(await err(["restore"])).toBe("`rbac restore` wants a backup");
    expect(await err(["restore", path, "secret/x"])).toBe("`secret/x` names no kind that a backup holds.");
    expect(await err(["restore", path, "clusterrole/flanel"])).toBe("The backup has no `clusterrole/flanel`.");
    expect(await err(["restore", path, "-l", "a in"])).toContain("The selector is not understood");
    expect(await err(["diff"])).toBe("`rbac diff` wants a backup");
    const { err: unknown } = await netwhy(["rbac", "bakcup"]);
    expect(unknown).toMatch(/^There is no command `bakcup`.\nDid you mean `backup`\?/);
  });
});
