import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import { diagnose } from "../diagnose.ts";
import type { Change } from "../model/changes/change.ts";
import { ref } from "../model/ref.ts";
import type { AuditWrite } from "../parse/logs/audit.ts";

const ROLE = ref("ClusterRole", "flannel");
const BINDING = ref("ClusterRoleBinding", "flannel");
const PROXY = ref("ClusterRoleBinding", "kubeadm:node-proxier");
const gone = (...targets: readonly ReturnType<typeof ref>[]): Change[] =>
  targets.map((target) => ({ do: "delete", target }));
const HELM = { "app.kubernetes.io/managed-by": "Helm" };
const labelled = (kind: string, name: string, namespace?: string): Change => ({
  do: "patch",
  target: ref(kind, name, namespace),
  patch: { metadata: { labels: HELM } },
});
const byHelm = cluster().with(labelled("DaemonSet", "kube-flannel-ds", "kube-flannel"));

const write = (resource: string, name: string, at: string, more: Partial<AuditWrite> = {}): AuditWrite => ({
  line: 1,
  firstAt: at,
  at,
  count: 1,
  verb: "delete",
  user: "alice",
  userAgent: "kubectl/v1.33.1 (linux/amd64)",
  apiGroup: "rbac.authorization.k8s.io",
  resource,
  name,
  ...more,
});
const audited = (of: Cluster, ...writes: readonly AuditWrite[]) =>
  of.edit((draft) =>
    draft.set("auditLog", { file: "audit.log" }, { writes, firstAt: writes[0]!.at, lastAt: writes.at(-1)!.at }),
  );
const triggers = (of: Cluster) =>
  diagnose(of.capture).triggers.map(({ what, by, at, selector, roots }) => ({
    what: what.en,
    by,
    at,
    selector,
    roots,
  }));

describe("what the audit log tells", () => {
  const lost = cluster().with(...gone(ROLE, BINDING, PROXY));
  const selector = { labelSelector: "app=net" };

  it("is one action of one hand, with all that it took", () => {
    const writes = [
      write("clusterroles", "flannel", "2026-11-21T08:00:00Z", selector),
      write("clusterroles", "other", "2026-11-21T08:00:01Z", selector),
      write("clusterrolebindings", "flannel", "2026-11-21T08:00:02Z", selector),
      write("clusterrolebindings", "kubeadm:node-proxier", "2026-11-21T08:00:03Z", selector),
    ];
    expect(triggers(audited(lost, ...writes))).toEqual([
      {
        what: "4 objects deleted at once with `-l app=net`: ClusterRole/flannel, ClusterRole/other, ClusterRoleBinding/flannel, ClusterRoleBinding/kubeadm:node-proxier",
        by: "alice",
        at: "2026-11-21T08:00:00Z",
        selector: "app=net",
        roots: [
          "component-access-denied/ClusterRole/flannel",
          "component-access-denied/ClusterRoleBinding/kubeadm:node-proxier",
        ],
      },
    ]);
  });

  it("is two actions if two did it, or hours lie between", () => {
    const two = (second: Partial<AuditWrite>, at = "2026-11-21T08:00:03Z") =>
      triggers(
        audited(
          lost,
          write("clusterroles", "flannel", "2026-11-21T08:00:00Z"),
          write("clusterrolebindings", "kubeadm:node-proxier", at, second),
        ),
      ).length;
    expect([two({}), two({ user: "bob" }), two({}, "2026-11-21T09:00:00Z")]).toEqual([1, 2, 2]);
  });

  describe("of a collection, at a level that keeps no names", () => {
    const collection = (resource: string, at: string, more: Partial<AuditWrite> = {}): AuditWrite => {
      const { name: _, ...one } = write(resource, "", at, { verb: "deletecollection", user: "rancher", ...more });
      return one;
    };
    const bySelector = (...labels: readonly string[]) =>
      triggers(
        audited(
          lost,
          ...labels.map((labelSelector, at) =>
            collection("clusterroles", `2026-11-21T08:0${at}:00Z`, { labelSelector }),
          ),
        ),
      ).filter(({ by }) => by);

    it("joins what is missing by the labels of its component", () => {
      expect(bySelector("app in (flannel,calico)", "app=cilium", "x")).toEqual([
        {
          what: "all clusterroles with `-l app in (flannel,calico)` deleted at once (deletecollection); of these, missing still: ClusterRole/flannel",
          by: "rancher",
          at: "2026-11-21T08:00:00Z",
          selector: "app in (flannel,calico)",
          roots: ["component-access-denied/ClusterRole/flannel"],
        },
      ]);
      expect(bySelector("app=cilium")).toEqual([]);
    });

    it("goes by what Helm recorded, where it did", () => {
      const recorded = lost.edit((draft) =>
        draft.set("helmReleases", {}, [
          {
            ...{ name: "net", namespace: "kube-system", revision: 1, status: "deployed" },
            objects: [
              {
                apiVersion: "rbac.authorization.k8s.io/v1",
                kind: "ClusterRole",
                metadata: { name: "flannel", labels: HELM },
              },
            ],
          },
        ]),
      );
      const by = (labelSelector: string) =>
        triggers(audited(recorded, collection("clusterroles", "2026-11-21T08:00:00Z", { labelSelector }))).filter(
          (one) => one.by,
        ).length;
      expect([by("app.kubernetes.io/managed-by=Helm"), by("app=flannel")]).toEqual([1, 0]);
    });

    it("took nothing that had been deleted before", () => {
      const told = triggers(
        audited(
          lost,
          write("clusterroles", "flannel", "2026-11-21T08:00:00Z"),
          collection("clusterroles", "2026-11-21T08:10:00Z"),
        ),
      );
      expect(told.map(({ by }) => by)).toEqual(["alice"]);
    });

    it("is whose who deleted the namespace", () => {
      const account = cluster().with(...gone(ref("ServiceAccount", "flannel", "kube-flannel")));
      const told = triggers(
        audited(
          account,
          write("namespaces", "kube-flannel", "2026-11-21T08:00:00Z", { apiGroup: "" }),
          collection("serviceaccounts", "2026-11-21T08:00:05Z", {
            ...{ apiGroup: "", namespace: "kube-flannel" },
            user: "system:serviceaccount:kube-system:namespace-controller",
          }),
        ),
      );
      expect(told).toMatchObject([{ by: "alice", what: "1 object deleted at once: Namespace/kube-flannel" }]);
    });
  });

  it("is no trigger of what was made again since, nor of what is there", () => {
    const deleted = write("clusterroles", "flannel", "2026-11-21T08:00:00Z");
    const made = write("clusterroles", "flannel", "2026-11-21T08:30:00Z", { verb: "create", user: "bob" });
    expect(triggers(audited(lost, deleted, made)).filter(({ by }) => by === "alice")).toEqual([]);
    expect(triggers(audited(cluster(), deleted))).toEqual([]);
  });
});

describe("what a vanished label tells", () => {
  it("is a delete by that label", () => {
    const [trigger, ...more] = triggers(byHelm.with(...gone(ROLE, BINDING)));
    expect(more).toEqual([]);
    expect(trigger).toMatchObject({
      what: "a delete by label, it seems, as `kubectl delete clusterrole,clusterrolebinding -l app.kubernetes.io/managed-by=Helm` does: no ClusterRole or ClusterRoleBinding carries the label any more, while 1 workload does; missing: ClusterRole/flannel, ClusterRoleBinding/flannel",
      selector: "app.kubernetes.io/managed-by=Helm",
      roots: ["component-access-denied/ClusterRole/flannel"],
    });
  });

  it("is not, where others of the kind still carry it", () => {
    const others = byHelm.with(labelled("ClusterRole", "system:coredns"), ...gone(ROLE, BINDING));
    expect(triggers(others).filter(({ selector }) => selector?.includes("Helm"))).toEqual([]);
  });

  it("is not for a single object, nor where the lists were not read", () => {
    expect(triggers(byHelm.with(...gone(ROLE)))).toEqual([]);
    expect(triggers(byHelm.with(...gone(ROLE, BINDING)).without("clusterrolebindings"))).toEqual([]);
  });
});
