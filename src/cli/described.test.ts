/** `--component FILE`: components that netwhy does not know, on a recording whose flannel is described by a file of ours. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { apiServer } from "../../testing/api-server/api-server.ts";
import { clusterOf } from "../../testing/cluster.ts";
import { netwhy } from "../../testing/in-process.ts";
import { recordingPath } from "../../testing/recordings.ts";
import { diagnose } from "../diagnose.ts";
import { modelOf } from "../model/model.ts";
import { rbacRecoverySchema } from "../report/rbac-recovery.ts";
import { readBundle } from "../sources/bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-described-"));
afterAll(() => rmSync(folder, { recursive: true }));
const BUNDLE = recordingPath("healthy-iptables");

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** What our flannel needs: no release of flannel has the role `extra`. */
const text = (role: string) => `
name: acme-agent
image: flannel-io/flannel*
duties: [cni]
roles:
  - kind: ClusterRole
    name: ${role}
    rules:
      - apiGroups: [""]
        resources: [nodes]
        verbs: [list, watch]
        without: {en: no tunnels to new nodes, zh: 没有到新节点的隧道, breaks: [nodes]}
      - apiGroups: [acme.example]
        resources: [tunnels]
        verbs: [list]
        without: {en: no tunnels at all, breaks: [pods]}
`;
const GRANTED = file("granted.yaml", text("flannel").split("      - apiGroups: [acme")[0]!);
const LACKING = file("acme.yaml", text("extra"));
const WRONG = file("wrong.yaml", text("extra").replace("duties: [cni]", "duties: [cnii]"));
const CATASTROPHIC = file("hostile.yaml", text("extra").replace("flannel-io/flannel*", '"(a+)+$"'));

describe("a component that a file describes", () => {
  it("is checked for what the file says", async () => {
    const lacking = await netwhy(["rbac", "check", BUNDLE, "--component", LACKING]);
    expect(lacking.code).toBe(1);
    expect(lacking.out).toContain("acme.yaml, which describes it");
    expect(lacking.out).toContain("no tunnels at all");
    expect(await netwhy(["rbac", "check", BUNDLE, "--component", GRANTED])).toMatchObject({ code: 0 });
  });

  it("is diagnosed by it, in both languages", async () => {
    const { code, out } = await netwhy(["diagnose", BUNDLE, "--component", LACKING, "--lang", "zh"]);
    expect(code).toBe(1);
    expect(out).toContain("acme-agent");
    expect(out).toMatch(/no\s+tunnels\s+at\s+all/);
    const without = await netwhy(["diagnose", BUNDLE]);
    // nothing that is known of flannel is lost by it
    const described = await netwhy(["diagnose", BUNDLE, "--component", GRANTED]);
    expect(described).toEqual({ ...without, out: expect.stringContaining(without.out.split("\n")[0]!) });
  });

  it("is recovered and guarded as well", async () => {
    const recover = ["rbac", "recover", "clusterrole/extra", "--bundle", BUNDLE];
    expect(await netwhy([...recover])).toMatchObject({ code: 1, out: "" });
    const { out: json } = await netwhy([...recover, "--component", LACKING, "-o", "json"]);
    const { recovered, lost } = rbacRecoverySchema.parse(JSON.parse(json));
    expect([recovered.map(({ source }) => source), lost]).toEqual([["baseline"], []]);
    expect(recovered[0]?.from.en).toContain("acme.yaml describes it");
    const guard = join(folder, "guard");
    const { code, out } = await netwhy(["guard", "render", "--bundle", BUNDLE, "--component", GRANTED, "-o", guard]);
    expect(code).toBe(0);
    expect(out).toContain("acme-agent");
  });

  it("is kept in a backup with what it runs as and is configured by", async () => {
    const own = file("shop.yaml", text("shop").replace("flannel-io/flannel*", "e2e-test-images/agnhost"));
    const backup = ["rbac", "backup", "--bundle", BUNDLE, "-o", "-"];
    expect((await netwhy(backup)).out).not.toContain("Deployment/shop/backend");
    const { code, out } = await netwhy([...backup, "--component", own]);
    expect(code).toBe(0);
    for (const id of ["Deployment/shop/backend", "ServiceAccount/shop/default", "Namespace/shop"])
      expect(out).toMatch(new RegExp(`^# sha256:[0-9a-f]+ ${id}$`, "m"));
  });

  it("whose description in a bundle cannot be read is no component that is well", async () => {
    const path = join(folder, "unreadable.tar.gz");
    await netwhy(["collect", "--from", BUNDLE, "--component", GRANTED, "-o", path]);
    const capture = await readBundle(path);
    const [place] = capture.all("components").map((captured) => captured.place);
    const blind = clusterOf(capture).edit((draft) => draft.set("components", place!, []));
    expect(modelOf(blind.capture).components.unreadable).toEqual([]);
    const unreadable = clusterOf(capture).without("components");
    expect(modelOf(unreadable.capture).components.unreadable).toEqual([{ file: "granted" }]);
    const { checks } = diagnose(unreadable.capture);
    expect(checks.find(({ id }) => id === "component-access-denied")?.outcome).toBe("cannot-tell");
  });

  it("is missed by what-if as well", async () => {
    const deleted = ["what-if", "--bundle", BUNDLE, "--delete", "clusterrole/flannel"];
    const { code, out } = await netwhy([...deleted, "--component", GRANTED]);
    expect(code).toBe(1);
    expect(out).toContain("no tunnels to new nodes");
    expect((await netwhy([...deleted])).out).not.toContain("no tunnels to new nodes");
  });

  it("is read of a running cluster, too", async () => {
    await using api = await apiServer({ bundle: BUNDLE });
    const kubeconfig = file("kubeconfig", api.kubeconfig.replaceAll("netwhy-replay", "tested"));
    const { code, out } = await netwhy(["rbac", "check", "--kubeconfig", kubeconfig, "--component", LACKING]);
    expect(code).toBe(1);
    expect(out).toContain("no tunnels at all");
  });

  it("is taken along in a bundle; what the command line says counts before it; strangers get none of it", async () => {
    const collect = async (name: string, ...more: readonly string[]) => {
      const path = join(folder, name);
      await netwhy(["collect", "--from", BUNDLE, "--component", LACKING, "-o", path, ...more]);
      return path;
    };
    const path = await collect("with.tar.gz");
    expect(await netwhy(["rbac", "check", path])).toMatchObject({ code: 1 });
    const same = join(mkdtempSync(join(folder, "other-")), basename(LACKING));
    writeFileSync(same, text("flannel").split("      - apiGroups: [acme")[0]!);
    expect(await netwhy(["rbac", "check", path, "--component", same])).toMatchObject({ code: 0 });
    const anonymous = await collect("without.tar.gz", "--anonymize");
    expect((await netwhy(["rbac", "check", anonymous])).out).not.toContain("acme");
  });

  it.each([
    ["a field that makes no sense", WRONG, /wrong\.yaml describes no component: duties\[0\]: .*"cni"/],
    ["a regular expression", CATASTROPHIC, /hostile\.yaml describes no component: image: expected a repository/],
    ["no file", join(folder, "none.yaml"), /none\.yaml/],
    ["an empty file", file("empty.yaml", ""), /empty\.yaml/],
  ])("%s is refused before anything is read", async (_, path, says) => {
    for (const command of [["diagnose"], ["rbac", "check"], ["what-if", "--delete", "ns/x"], ["collect"]]) {
      const { code, err } = await netwhy([...command, "--component", path, "--kubeconfig", join(folder, "no-cluster")]);
      expect({ code, err }).toEqual({ code: -1, err: expect.stringMatching(says) });
    }
  });
});
