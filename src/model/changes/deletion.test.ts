import { describe, expect, it } from "vitest";
import { cluster } from "../../../testing/cluster.ts";
import { refId } from "../ref.ts";
import { type DeletionPlan, deletionPlan } from "./deletion.ts";
import { intentOf, isMisunderstood, type Typed } from "./intent.ts";

function plan(typed: Typed, of = cluster()): DeletionPlan {
  const intent = intentOf(typed);
  if (isMisunderstood(intent)) throw new Error(intent.problem.en);
  return deletionPlan(intent.deletions, of.model());
}
const taken = (typed: Typed, of = cluster()) =>
  plan(typed, of).taken.map(({ object, returns }) => refId(object) + (returns ? ` ${returns}` : ""));
const changed = (typed: Typed, of = cluster()) =>
  plan(typed, of).changes.map((change) => (change.do === "delete" ? refId(change.target) : change.do));

describe("what a delete takes", () => {
  it("is what is named, in its namespace", () => {
    expect(taken({ delete: ["cm/coredns"], namespace: "kube-system" })).toEqual(["ConfigMap/kube-system/coredns"]);
    expect(plan({ delete: ["cm/coredns"] }).notFound.map(refId)).toEqual(["ConfigMap/default/coredns"]);
  });

  it("is all that a selector selects, of each kind", () => {
    const labelled = cluster().with(
      { do: "patch", target: { kind: "ClusterRole", name: "flannel" }, patch: { metadata: { labels: { team: "x" } } } },
      {
        do: "patch",
        target: { kind: "ClusterRoleBinding", name: "flannel" },
        patch: { metadata: { labels: { team: "x" } } },
      },
    );
    const typed = { delete: ["clusterrole,clusterrolebindings,sa"], selector: "team in (x,y)", allNamespaces: true };
    expect(taken(typed, labelled)).toEqual(["ClusterRole/flannel", "ClusterRoleBinding/flannel"]);
  });

  it("takes with a workload its Pods, and with a namespace what is in it", () => {
    const own = taken({ delete: ["deploy/backend"], namespace: "shop" });
    expect(own.filter((one) => one.startsWith("Pod/shop/backend-")).length).toBeGreaterThan(0);
    const inside = taken({ delete: ["ns/shop"] });
    expect(inside).toContain("Service/shop/backend");
    expect(inside.some((one) => one.startsWith("Pod/shop/"))).toBe(true);
    expect(inside.some((one) => one.includes("kube-system"))).toBe(false);
  });

  it("leaves what the API server refuses to delete", () => {
    expect(taken({ delete: ["ns/kube-system"] })).toEqual(["Namespace/kube-system immortal"]);
    expect(changed({ delete: ["ns/kube-system"] })).toEqual([]);
  });

  it("counts nothing as gone that its controller makes again", () => {
    const pod = cluster().model().pods.inNamespace("shop")[0]!;
    const typed = { delete: [`pod/${pod.name}`], namespace: "shop" };
    expect(taken(typed)).toEqual([`Pod/shop/${pod.name} by-controller`]);
    expect(changed(typed)).toEqual([]);
  });

  it("says what comes back when the API server starts, and counts it as gone until then", () => {
    const bootstrap = cluster().with({
      do: "patch",
      target: { kind: "ClusterRole", name: "system:node-proxier" },
      patch: {
        metadata: {
          labels: { "kubernetes.io/bootstrapping": "rbac-defaults" },
          annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
        },
      },
    });
    const typed = { delete: ["clusterrole/system:node-proxier"] };
    expect(taken(typed, bootstrap)).toEqual(["ClusterRole/system:node-proxier at-api-start"]);
    expect(changed(typed, bootstrap)).toEqual(["ClusterRole/system:node-proxier"]);
  });

  it("says which kinds were not read", () => {
    const unread = (typed: Typed, of = cluster()) => plan(typed, of).unread.map(({ plural }) => plural);
    expect(unread({ delete: ["secrets,cm"], all: true })).toEqual(["secrets"]);
    expect(unread({ delete: ["gateways.networking.istio.io"], all: true })).toEqual(["gateways"]);
    expect(unread({ delete: ["clusterroles"], all: true }, cluster().without("clusterroles"))).toEqual([
      "clusterroles",
    ]);
  });
});
