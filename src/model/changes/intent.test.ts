import { describe, expect, it } from "vitest";
import { intentOf, isMisunderstood, type Typed } from "./intent.ts";

function understood(typed: Typed) {
  const intent = intentOf(typed);
  if (isMisunderstood(intent)) throw new Error(intent.problem.en);
  return intent;
}
const misunderstood = (typed: Typed) => {
  const intent = intentOf(typed);
  return isMisunderstood(intent) ? (intent.unknown?.name ?? intent.problem.en) : undefined;
};
const kinds = (word: string) =>
  understood({ delete: [word], all: true }).deletions.flatMap(({ types }) => types.map(({ kind }) => kind));

describe("what is to be deleted", () => {
  it.each([
    ["cm", ["ConfigMap"]],
    ["ClusterRole,clusterrolebindings", ["ClusterRole", "ClusterRoleBinding"]],
    ["ds.apps", ["DaemonSet"]],
    ["deployments.v1.apps", ["Deployment"]],
    ["cnp", ["CiliumNetworkPolicy"]],
    ["all", ["Pod", "ReplicationController", "Service", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]],
  ])("%s is understood as kubectl does", (word, expected) => {
    expect(kinds(word)).toEqual(expect.arrayContaining(expected));
  });

  it("has names, in one namespace if nobody says more", () => {
    const [one] = understood({ delete: ["cm/coredns"], namespace: "kube-system" }).deletions;
    expect([one?.names, one?.namespace]).toEqual([["coredns"], "kube-system"]);
    expect(understood({ delete: ["clusterrole a b"] }).deletions[0]?.names).toEqual(["a", "b"]);
    expect(understood({ delete: ["cm"], all: true }).deletions[0]?.namespace).toBe("default");
    expect(understood({ delete: ["cm"], all: true, allNamespaces: true }).deletions[0]?.namespace).toBeUndefined();
  });
});

describe("what is to be changed", () => {
  it("is a patch, a number of replicas, a restart, manifests in their namespace", () => {
    const { changes } = understood({
      namespace: "shop",
      patch: [`deploy/web={"spec":{"replicas":0}}`],
      scale: ["deploy/web=3"],
      restart: ["ds/kube-proxy"],
      manifests: [{ file: "a.yaml", text: "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n" }],
    });
    expect(changes).toEqual([
      {
        do: "apply",
        object: { apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "shop" } },
      },
      {
        do: "patch",
        target: { kind: "Deployment", name: "web", namespace: "shop" },
        patch: { spec: { replicas: 0 } },
      },
      { do: "scale", target: { kind: "Deployment", name: "web", namespace: "shop" }, replicas: 3 },
      { do: "restart", component: { kind: "DaemonSet", name: "kube-proxy", namespace: "shop" } },
    ]);
  });
});

describe("what is not understood", () => {
  it.each<[string, Typed, RegExp]>([
    ["nothing", {}, /Nothing was said/],
    ["a kind that there is not", { delete: ["configmapz/x"] }, /^configmapz$/],
    ["a kind without names", { delete: ["cm"] }, /takes all of the kind/],
    ["names and a selector", { delete: ["cm/a"], selector: "a=b" }, /do not go together/],
    ["a selector", { delete: ["cm"], selector: "a in (" }, /no label selector/],
    ["a patch", { patch: ["deploy/web=3"] }, /no patch/],
    ["a number", { scale: ["deploy/web=many"] }, /no number of replicas/],
    ["an object", { restart: ["ds"] }, /names no object/],
    ["a manifest", { manifests: [{ file: "a.yaml", text: "hello" }] }, /a\.yaml holds no Kubernetes objects/],
    ["YAML", { manifests: [{ file: "a.yaml", text: "a: [" }] }, /a\.yaml holds no Kubernetes objects: /],
  ])("%s", (_, typed, problem) => {
    expect(misunderstood(typed)).toMatch(problem);
  });
});
