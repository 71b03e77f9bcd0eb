import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { installed } from "../../testing/cluster-edits.ts";
import { workload } from "../../testing/cluster-objects.ts";
import { captureOf, readRecording } from "../../testing/recordings.ts";
import { KINDS } from "../backup/kinds.ts";
import { modelOf } from "../model/model.ts";
import { ruleAllows } from "../model/rbac.ts";
import { refId } from "../model/ref.ts";
import type { PolicyRule } from "../parse/objects.ts";
import { guardOf } from "./guard.ts";

const guarded = (capture: Parameters<typeof modelOf>[0]) =>
  guardOf(modelOf(capture), { image: "netwhy:1", action: "deny" });
const idsOf = ({ objects }: ReturnType<typeof guarded>) => objects.map(({ object }) => refId(object));

describe("what is guarded", () => {
  it("is what the components that are there work by, also what is gone now", async () => {
    const { files } = await readRecording("kube-proxy-role-deleted");
    const found = guarded(captureOf(files));
    expect(idsOf(found)).toEqual(
      expect.arrayContaining([
        "ClusterRole/flannel",
        "ClusterRole/system:node-proxier",
        "ClusterRoleBinding/kubeadm:node-proxier",
        "ConfigMap/kube-system/coredns",
        "DaemonSet/kube-flannel/kube-flannel-ds",
        "Namespace/kube-flannel",
        "ServiceAccount/kube-system/coredns",
      ]),
    );
    expect(idsOf(found).filter((id) => /shop|cilium|calico|cluster-admin|kube-root-ca/.test(id))).toEqual([]);
    const role = found.objects.find(({ object }) => refId(object) === "ClusterRole/system:node-proxier");
    const resources = role?.rules.flatMap((rule) => rule.resources ?? []);
    expect(resources).toContain("endpointslices");
    // without events kube-proxy only tells less
    expect(resources).not.toContain("events");
  });

  it("is a component of one's own, too, and a StatefulSet", () => {
    const acme = workload(
      "acme-dns",
      "acme",
      { app: "dns" },
      { containers: [{ name: "dns", image: "acme/coredns:v1" }] },
      1,
    );
    const labelled = {
      ...acme,
      spec: { ...acme.spec, template: { ...acme.spec.template, metadata: { labels: { "k8s-app": "kube-dns" } } } },
    };
    const found = guarded(cluster().with(installed("StatefulSet", labelled)).capture);
    expect(idsOf(found)).toEqual(expect.arrayContaining(["StatefulSet/acme/acme-dns", "Namespace/acme"]));
    const { matchConstraints } = found.policies[0]!.spec as {
      matchConstraints: { resourceRules: { resources: string[] }[] };
    };
    expect(matchConstraints.resourceRules.flatMap(({ resources }) => resources)).toContain("statefulsets");
  });

  it("is nothing where no component is seen", () => {
    const { policies } = guarded(captureOf(new Map([["version.json", '{"gitVersion":"v1.33.1"}']])));
    expect(policies).toEqual([]);
  });
});

describe("the files", () => {
  const { files } = guarded(cluster().capture);

  it("are YAML of what they are named for", () => {
    for (const [name, text] of files) {
      if (!name.endsWith(".yaml")) continue;
      for (const one of loadAll(text)) expect(one, name).toBeTypeOf("object");
    }
    expect([...files.keys()]).toEqual(expect.arrayContaining(["policies.yaml", "alerts.yaml", "audit-policy.yaml"]));
  });

  it("let the nightly backup list every kind that a backup holds", () => {
    type Manifest = { readonly kind: string; readonly rules?: readonly PolicyRule[] };
    const role = (loadAll(files.get("backup-cronjob.yaml")!) as Manifest[]).find(({ kind }) => kind === "ClusterRole");
    for (const { group: apiGroup, plural: resource } of KINDS)
      expect({
        resource,
        may: role!.rules!.some((rule) => ruleAllows(rule, { verb: "list", apiGroup, resource })),
      }).toEqual({
        ...{ resource, may: true },
      });
  });

  it("name no metric that does not exist", () => {
    // the alert of a common runbook, which never fires
    expect(files.get("alerts.yaml")).not.toContain("container_log_errors");
  });

  const promtool = process.env.NETWHY_PROMTOOL ?? "promtool";
  const isThere = spawnSync(promtool, ["--version"]).status === 0;
  it.skipIf(!isThere)("hold rules that fire and keep quiet as their tests say (promtool)", () => {
    const directory = mkdtempSync(join(tmpdir(), "netwhy-alerts-"));
    try {
      for (const name of ["alerts.yaml", "alerts.test.yaml"]) writeFileSync(join(directory, name), files.get(name)!);
      for (const args of [
        ["check", "rules", "--lint-fatal", "alerts.yaml"],
        ["test", "rules", "alerts.test.yaml"],
      ]) {
        const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: directory, encoding: "utf8" });
        expect(status, stdout + stderr).toBe(0);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

it.each([
  ["v1.36.0", "v1"],
  ["v1.30.4+k3s1", "v1"],
  [undefined, "v1"],
  ["v1.29.15-eks-4096722", "v1beta1"],
  ["v1.28.0", "v1beta1"],
  ["v1.27.16", undefined],
  ["v1.9.11", undefined],
])("is written for what Kubernetes %s has: %s", (kubernetes, api) => {
  const found = guardOf(cluster().model(), { image: "netwhy:1", action: "deny", kubernetes });
  const versions = [...new Set(found.policies.map(({ apiVersion }) => apiVersion))];
  expect([found.api, versions]).toEqual([api, api ? [`admissionregistration.k8s.io/${api}`] : []]);
  expect(found.files.has("policies.yaml")).toBe(api !== undefined);
  expect([...found.files.keys()]).toEqual(
    expect.arrayContaining(["alerts.yaml", "backup-cronjob.yaml", "netwhy.cron"]),
  );
});
