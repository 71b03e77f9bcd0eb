import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { editObjects } from "../../testing/cluster-edits.ts";
import { captureOf, readRecording } from "../../testing/recordings.ts";
import { HELM_RELEASES } from "../evidence/helm-releases.ts";
import { ref, refId } from "../model/ref.ts";
import type { HelmRelease } from "../parse/kubernetes/helm-release.ts";
import { refOf } from "./kinds.ts";
import { type Recovery, recoveryOf } from "./recovery.ts";

const deleted = (...refs: ReturnType<typeof ref>[]) =>
  cluster().with(...refs.map((target) => ({ do: "delete", target }) as const)).capture;
const told = ({ recovered }: Recovery) => recovered.map(({ object, source }) => `${source} ${refId(refOf(object))}`);

const RELEASE: HelmRelease = {
  name: "flannel",
  namespace: "kube-flannel",
  revision: 3,
  status: "deployed",
  chart: "flannel-v0.28.4",
  objects: [
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "flannel", labels: { "app.kubernetes.io/managed-by": "Helm" } },
      rules: [{ apiGroups: [""], resources: ["nodes"], verbs: ["list"] }],
    },
  ],
};

/** A recording, and what Helm remembers beside it. */
async function withRelease(id: string, ...releases: readonly HelmRelease[]) {
  const { files } = await readRecording(id);
  return captureOf(new Map([...files, [HELM_RELEASES, releases.map((each) => `${JSON.stringify(each)}\n`).join("")]]));
}

describe("what is missing is recovered", () => {
  it("nothing, of a healthy cluster", () => {
    const { recovered, lost } = recoveryOf(cluster().capture);
    expect({ recovered, lost }).toEqual({ recovered: [], lost: [] });
  });

  it("from the API server's own policy, from kubeadm's facts, from the baseline; in the order of an apply", () => {
    const capture = deleted(
      ref("ClusterRoleBinding", "kubeadm:node-proxier"),
      ref("ClusterRole", "system:node-proxier"),
      ref("ClusterRole", "flannel"),
      ref("ClusterRole", "system:coredns"),
    );
    const recovery = recoveryOf(capture);
    expect(told(recovery).sort()).toEqual([
      "baseline ClusterRole/flannel",
      "bootstrap ClusterRole/system:node-proxier",
      "kubeadm ClusterRole/system:coredns",
      "kubeadm ClusterRoleBinding/kubeadm:node-proxier",
    ]);
    expect(recovery.recovered.at(-1)!.object.kind).toBe("ClusterRoleBinding");
    expect(recovery.lost).toEqual([]);
    for (const { from } of recovery.recovered) expect(from.en).toMatch(/lacks/);
  });

  it("so that the cluster is as before", () => {
    const broken = cluster().with({ do: "delete", target: ref("ClusterRole", "flannel") });
    const { recovered } = recoveryOf(broken.capture);
    const healed = broken.with(...recovered.map(({ object }) => ({ do: "apply", object }) as const));
    expect(recoveryOf(healed.capture).recovered).toEqual([]);
    expect(
      healed.model().permissions.all.flatMap(({ flaws }) => flaws.filter(({ role }) => role.name === "flannel")),
    ).toEqual([]);
  });

  it("as its installer calls it, where a role of that name is left", () => {
    const name = "rke2-coredns-rke2-coredns";
    const named = cluster().edit(
      editObjects("clusterroles", "system:coredns", (own) => ({ ...own, metadata: { name } })),
      editObjects("clusterrolebindings", "system:coredns", () => undefined),
    );
    const binding = recoveryOf(named.capture).recovered.find(({ object }) => object.kind === "ClusterRoleBinding");
    expect(binding?.object).toMatchObject({
      metadata: { name },
      roleRef: { name },
      subjects: [{ kind: "ServiceAccount", name: "coredns", namespace: "kube-system" }],
    });
  });

  it("from Helm's record, if there is one, rather than from anything else", async () => {
    const recovery = recoveryOf(await withRelease("flannel-role-deleted", RELEASE));
    const role = recovery.recovered.find(({ object }) => object.kind === "ClusterRole")!;
    expect(role).toMatchObject({ source: "helm", object: RELEASE.objects[0]! });
    expect(role.from.en).toContain("Helm's record of flannel-v0.28.4, release kube-flannel/flannel, revision 3");
    expect(recovery.isHelmUnseen).toBe(false);
    // the record says nothing of the binding
    expect(told(recovery)).toContain("baseline ClusterRoleBinding/flannel");
  });

  it("of real Cilium, whose roles and bindings were deleted by their label", async () => {
    const { files } = await readRecording("cilium-rbac-deleted-by-label");
    const recovery = recoveryOf(captureOf(files));
    expect(told(recovery)).toEqual(
      expect.arrayContaining(
        ["ClusterRole/cilium", "ClusterRoleBinding/cilium", "ClusterRole/cilium-operator"].map(
          (id) => `baseline ${id}`,
        ),
      ),
    );
    expect(recovery.isHelmUnseen).toBe(true);
  });

  it("not, if nothing tells what it was; and not guessed where it could not be seen", async () => {
    const capture = deleted(ref("ClusterRole", "flannel"));
    expect(recoveryOf(capture, [ref("ClusterRole", "own")]).lost).toEqual([ref("ClusterRole", "own")]);
    const blind = cluster()
      .with({ do: "delete", target: ref("ClusterRole", "flannel") })
      .without("clusterroles");
    expect(told(recoveryOf(blind.capture))).not.toContain("baseline ClusterRole/flannel");
    // asked for by name it is given all the same
    expect(told(recoveryOf(cluster().capture, [ref("ClusterRole", "flannel")]))).toEqual([
      "baseline ClusterRole/flannel",
    ]);
  });
});
