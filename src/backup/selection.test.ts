import { describe, expect, it } from "vitest";
import type { ManifestObject } from "../model/changes/change.ts";
import { refId } from "../model/ref.ts";
import { chosenOf } from "./choice.ts";
import { KINDS, kindNamed, kindOf, refOf } from "./kinds.ts";
import { isRedacted, restorable } from "./restorable.ts";
import { selectedForBackup } from "./selection.ts";

const object = (kind: string, name: string, namespace?: string, more: object = {}): ManifestObject => ({
  apiVersion: "v1",
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }) },
  ...more,
});
const daemons = (name: string, image: string, more: object = {}) =>
  object("DaemonSet", name, "kube-flannel", {
    spec: { template: { spec: { containers: [{ name: "c", image }], ...more } } },
  });

describe("what belongs into a backup", () => {
  it("is RBAC, the network's workloads, and what these and bindings refer to", () => {
    const all = [
      object("Namespace", "kube-flannel"),
      object("Namespace", "shop"),
      object("ClusterRole", "anything"),
      object("ClusterRoleBinding", "b", undefined, {
        subjects: [{ kind: "ServiceAccount", name: "bound", namespace: "shop" }],
      }),
      object("ServiceAccount", "bound", "shop"),
      object("ServiceAccount", "unbound", "shop"),
      object("ServiceAccount", "flannel", "kube-flannel"),
      daemons("flannel", "ghcr.io/flannel-io/flannel:v0.28.4", {
        serviceAccountName: "flannel",
        volumes: [{ name: "v", configMap: { name: "kube-flannel-cfg" } }],
      }),
      { ...daemons("dns", "registry.acme.example/coredns/coredns:v1.12.0"), kind: "StatefulSet" },
      daemons("logs", "fluentd:1", { volumes: [{ name: "v", configMap: { name: "logs" } }] }),
      object("ConfigMap", "kube-flannel-cfg", "kube-flannel"),
      object("ConfigMap", "logs", "kube-flannel"),
      object("ConfigMap", "kubeadm-config", "kube-system"),
    ];
    expect(selectedForBackup(all).map((each) => refId(refOf(each)))).toEqual([
      "Namespace/kube-flannel",
      "Namespace/shop",
      "ClusterRole/anything",
      "ClusterRoleBinding/b",
      "ServiceAccount/shop/bound",
      "ServiceAccount/kube-flannel/flannel",
      "DaemonSet/kube-flannel/flannel",
      "StatefulSet/kube-flannel/dns",
      "ConfigMap/kube-flannel/kube-flannel-cfg",
      "ConfigMap/kube-system/kubeadm-config",
    ]);
  });

  it("is what somebody meant, and nothing that the server wrote", () => {
    const raw = {
      metadata: {
        name: "flannel",
        namespace: "kube-flannel",
        uid: "1",
        resourceVersion: "2",
        creationTimestamp: "2026-11-22T00:00:00Z",
        managedFields: [],
        ownerReferences: [{ uid: "gone" }],
        labels: { app: "flannel" },
        annotations: { "deployment.kubernetes.io/revision": "1", mine: "x" },
      },
      secrets: [{ name: "flannel-token-abc" }],
      imagePullSecrets: [{ name: "registry" }],
    };
    expect(restorable(raw, kindNamed("sa")!)).toEqual({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "flannel", namespace: "kube-flannel", labels: { app: "flannel" }, annotations: { mine: "x" } },
      imagePullSecrets: [{ name: "registry" }],
    });
    expect(restorable({ metadata: {} }, KINDS[0]!)).toBeUndefined();
    expect(isRedacted({ data: { a: ["password: [password redacted]"] } })).toBe(true);
    expect(isRedacted({ data: { a: "[plain]" } })).toBe(false);
  });
});

describe("what somebody chooses", () => {
  const all = [
    object("ClusterRole", "flannel", undefined, { metadata: { name: "flannel", labels: { app: "flannel" } } }),
    object("Role", "kube-proxy", "kube-system"),
    object("Role", "kube-proxy", "other"),
  ];
  const names = (choice: Partial<Parameters<typeof chosenOf>[1]>) => {
    const chosen = chosenOf(all, { names: [], ...choice });
    return chosen.ok ? chosen.objects.map((each) => refId(refOf(each))) : `${chosen.flaw}: ${chosen.word}`;
  };

  it("by name, kind, namespace and label", () => {
    expect(names({ names: ["clusterrole/flannel"] })).toEqual(["ClusterRole/flannel"]);
    expect(names({ names: ["roles"], namespace: "other" })).toEqual(["Role/other/kube-proxy"]);
    expect(names({ names: ["Role/kube-system/kube-proxy"] })).toEqual(["Role/kube-system/kube-proxy"]);
    expect(names({ names: ["clusterrole,role"] })).toHaveLength(3);
    expect(names({ selector: "app in (flannel)" })).toEqual(["ClusterRole/flannel"]);
    expect(names({ names: ["clusterroles.rbac.authorization.k8s.io"] })).toEqual(["ClusterRole/flannel"]);
  });

  it("of what there is; else it is told which word is wrong", () => {
    expect(names({ names: ["clusterrole/flanel"] })).toBe("name: clusterrole/flanel");
    expect(names({ names: ["secret/x"] })).toBe("kind: secret/x");
    expect(names({ selector: "a in" })).toMatch(/^selector: /);
    expect(names({ names: ["deployments"] })).toEqual([]);
    expect(KINDS.every((kind) => kindNamed(kind.plural) === kind && kindOf({ kind: kind.kind }) === kind)).toBe(true);
  });
});
