/**
 * The incident of a runbook, told anew: Kubernetes 1.32, Cilium 1.17, kube-proxy in IPVS mode, NodeLocal DNSCache; a clean-up
 * deletes ClusterRoles and ClusterRoleBindings by the label that Helm puts on everything it installs.
 */
import { describe, expect, it } from "vitest";
import { recoveryOf } from "../../src/backup/recovery.ts";
import { diagnose } from "../../src/diagnose.ts";
import { guardOf } from "../../src/guard/guard.ts";
import type { Change } from "../../src/model/change.ts";
import { ref, refId } from "../../src/model/ref.ts";
import type { Metadata } from "../../src/parse/objects.ts";
import { intentOf, isMisunderstood, whatIf } from "../../src/what-if.ts";
import { type Cluster, cluster } from "../cluster.ts";
import { withReleases } from "../cluster-components.ts";
import { addDevice, type Edit, edits, ipvsMode, probed, said } from "../cluster-edits.ts";

const HELM = "app.kubernetes.io/managed-by";

/** Helm's label on what its charts install: of the network, and of others. */
const CHARTS =
  /^(cilium|cilium-operator|ingress-nginx|ingress-nginx-(admission|controller)|(system:)?metrics-server|metrics-server:.*)$/;

const labelled: Edit = (draft) => {
  for (const list of ["clusterroles", "clusterrolebindings", "daemonsets", "deployments"] as const)
    draft.setList(
      list,
      (draft.list(list) as readonly { readonly metadata: Metadata }[]).map((object) => {
        const { metadata } = object;
        const labels = CHARTS.test(metadata.name) ? { ...metadata.labels, [HELM]: "Helm" } : metadata.labels;
        return { ...object, metadata: { ...metadata, labels } };
      }) as never,
    );
};

/** flannel is not what connects the Pods here. */
const withoutFlannel: Edit = (draft) => {
  for (const list of ["daemonsets", "pods", "configmaps", "serviceaccounts"] as const)
    draft.setList(list, draft.list(list).filter(({ metadata }) => metadata.namespace !== "kube-flannel") as never);
};

/** Helm's records of the charts: the roles and bindings as they were installed. */
const recorded: Edit = (draft) => {
  const objects = (["clusterroles", "clusterrolebindings"] as const).flatMap((list) =>
    draft
      .list(list)
      .filter(({ metadata }) => metadata.labels?.[HELM] === "Helm")
      .map((object) => ({
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: list === "clusterroles" ? "ClusterRole" : "ClusterRoleBinding",
        ...object,
      })),
  );
  const of = (name: string, namespace: string, chart: string, pattern: RegExp) => ({
    name,
    namespace,
    revision: 1,
    status: "deployed",
    chart,
    objects: objects.filter(({ metadata }) => pattern.test(metadata.name)),
  });
  draft.set("helmReleases", {}, [
    of("cilium", "kube-system", "cilium-1.17.0", /^cilium/),
    of("ingress-nginx", "ingress-nginx", "ingress-nginx-4.12.0", /^ingress/),
    of("metrics-server", "kube-system", "metrics-server-3.12.2", /metrics-server/),
  ] as never);
};

function runbookCluster(): Cluster {
  const base = cluster({ nodes: 3 });
  return withReleases(
    base.edit(
      withoutFlannel,
      (draft) => draft.set("version", {}, { gitVersion: "v1.32.5" }),
      ...["cp1", "w1", "w2"].map((node) => edits(ipvsMode(node), addDevice(node, "nodelocaldns", "169.254.25.10"))),
    ),
    [
      ["cilium-agent", "v1.17"],
      ["cilium-operator", "v1.17"],
      ["ingress-nginx", "any"],
      ["metrics-server", "any"],
      ["nodelocaldns", "upstream"],
    ],
  ).edit(labelled, recorded);
}

/** `kubectl delete clusterrole,clusterrolebinding -l app.kubernetes.io/managed-by=Helm` */
function deletedByLabel(healthy: Cluster): Change[] {
  const { objects } = healthy.model();
  return (["clusterroles", "clusterrolebindings"] as const).flatMap((list) =>
    objects
      .all(list)
      .filter(({ metadata }) => metadata.labels?.[HELM] === "Helm")
      .map(({ metadata }): Change => {
        const kind = list === "clusterroles" ? "ClusterRole" : "ClusterRoleBinding";
        return { do: "delete", target: ref(kind, metadata.name) };
      }),
  );
}

const PANIC = 'panic: Get "https://10.254.0.1:443/api?timeout=32s": dial tcp 10.254.0.1:443: i/o timeout';
const REFUSED =
  'services is forbidden: User "system:serviceaccount:kube-system:cilium" cannot list resource "services" in API group "" at the cluster scope';

describe("a clean-up by Helm's label", () => {
  const healthy = runbookCluster();
  const broken = healthy
    .with(...deletedByLabel(healthy))
    .edit(
      said("cilium", [REFUSED]),
      said("backend", [PANIC]),
      said("coredns", ["E1210 08:00:00.000000 1 reflector.go:158] Failed to watch *v1.Namespace: Unauthorized"]),
      probed("client", "dns", "kubernetes.default.svc.cluster.local", "timeout"),
    );

  it("was well before", () => {
    expect(diagnose(healthy.capture).rootCauses.map(({ id }) => id)).toEqual([]);
  });

  const report = diagnose(broken.capture);

  it("names Cilium's role first, and says what follows for Pods", () => {
    const [first] = report.rootCauses;
    expect(refId(ref(first!.object.kind, first!.object.name))).toBe("ClusterRole/cilium");
    expect(first!.related.map(({ kind, name }) => `${kind}/${name}`)).toContain("ClusterRoleBinding/cilium");
    expect(first!.title.en).toContain("reserved:init");
    expect(first!.title.zh).toContain("reserved:init");
  });

  it("names what else the same label took, and nothing that it left", () => {
    const named = report.rootCauses.map(({ object: { kind, name } }) => `${kind}/${name}`);
    expect(named).toEqual(
      expect.arrayContaining(["ClusterRole/cilium", "ClusterRole/cilium-operator", "ClusterRole/ingress-nginx"]),
    );
    expect(named.filter((name) => !CHARTS.test(name.split("/")[1]!))).toEqual([]);
    const warned = report.warnings.map(({ object: { name } }) => name);
    expect(warned).toContain("system:metrics-server");
  });

  it("is one trigger of all of them: the label has vanished", () => {
    const [trigger, ...more] = report.triggers;
    expect(more).toEqual([]);
    expect([trigger?.selector, trigger?.roots]).toEqual([`${HELM}=Helm`, report.rootCauses.map(({ id }) => id)]);
  });

  it("was foretold, with Cilium first and the losses of the other charts", () => {
    const intent = intentOf({ delete: ["clusterrole,clusterrolebinding"], selector: `${HELM}=Helm` });
    if (isMisunderstood(intent)) throw new Error(intent.problem.en);
    const answer = whatIf(healthy.capture, intent);
    expect(answer.verdict).toBe("breaks");
    expect(answer.breaks[0]?.id).toBe("component-access-denied/ClusterRole/cilium");
    const losing = answer.taken.flatMap(({ loses }) => loses.map(({ subject }) => subject.name));
    expect(losing).toEqual(expect.arrayContaining(["cilium", "cilium-operator", "metrics-server"]));
  });

  it("is made good from Helm's records, all of it", () => {
    const { recovered, lost } = recoveryOf(broken.capture);
    const fromHelm = recovered.filter(({ source }) => source === "helm").map(({ object }) => object.metadata.name);
    expect([lost, fromHelm]).toEqual([[], expect.arrayContaining(["cilium", "cilium-operator", "ingress-nginx"])]);
  });

  it("would have been refused by the guard", () => {
    const { objects } = guardOf(healthy.model(), { image: "netwhy", action: "deny" });
    const guarded = objects.map(({ object }) => refId(object));
    const [first] = report.rootCauses;
    const lost = [first!.object, ...first!.related].filter(({ kind }) => kind.startsWith("ClusterRole"));
    expect(lost.length).toBeGreaterThan(1);
    expect(guarded).toEqual(expect.arrayContaining(lost.map(({ kind, name }) => `${kind}/${name}`)));
  });

  it("a token that is not accepted (401) is not told as a lost permission", () => {
    expect(report.rootCauses.some(({ title }) => title.en.includes("CoreDNS has lost"))).toBe(false);
  });

  it("is well again with the roles and bindings back", () => {
    const restored = healthy.edit(said("cilium", ["level=info msg=ready"]));
    expect(diagnose(restored.capture).rootCauses).toEqual([]);
  });
});
