/** What changed between two days of a cluster: all of it, nothing of what moves by itself. */
import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import { addRules, dropRules, editObjects } from "../../testing/cluster-edits.ts";
import { ref, refId } from "../model/ref.ts";
import { compare } from "./compare.ts";
import { changesBetween } from "./values.ts";

const healthy = cluster();

function told(old: Cluster, now: Cluster): string[] {
  return compare(old.capture, now.capture).differences.flatMap(({ subject, kind, change, fields }) => {
    const what = `${change} ${refId(subject)}${subject.kind === "Node" && kind !== "nodes" ? ` ${kind}` : ""}`;
    return fields.length === 0
      ? [what]
      : fields.map(({ path, before, after }) => `${what}: ${path} ${before ?? ""} > ${after ?? ""}`);
  });
}

describe("two days of one cluster", () => {
  it("nothing is otherwise in the same", () => {
    expect(told(healthy, healthy)).toEqual([]);
    expect(compare(healthy.capture, healthy.capture).uncompared).toEqual([]);
  });

  it("a role is gone, and one can do less", () => {
    const now = healthy
      .with({ do: "delete", target: ref("ClusterRole", "flannel") })
      .edit(editObjects("clusterroles", "system:coredns", (role) => ({ ...role, rules: (role.rules ?? []).slice(1) })));
    const changes = told(healthy, now);
    expect(changes).toContain("removed ClusterRole/flannel");
    expect(changes.filter((one) => one.includes("system:coredns"))).toHaveLength(1);
    expect(told(now, healthy)).toContain("added ClusterRole/flannel");
  });

  it("a binding that was deleted and made anew for another role, its role first", () => {
    const anew = editObjects("clusterrolebindings", "flannel", (one) => ({
      ...one,
      metadata: { ...one.metadata, creationTimestamp: "2026-11-21T02:50:00Z", uid: "b" },
      roleRef: { ...one.roleRef, name: "view" },
    }));
    const [first, ...others] = told(healthy, healthy.edit(anew));
    expect(first).toBe("changed ClusterRoleBinding/flannel: roleRef.name flannel > view");
    expect(others.join()).toMatch(/metadata\.(uid|creationTimestamp)/);
  });

  it("a ConfigMap's lines", () => {
    const now = healthy.edit(
      editObjects("configmaps", "coredns", (map) => ({
        ...map,
        data: { Corefile: (map.data?.Corefile ?? "").replace("forward . /etc/resolv.conf", "forward . 192.0.2.9") },
      })),
    );
    expect(told(healthy, now)).toEqual([
      expect.stringMatching(
        /^changed ConfigMap\/kube-system\/coredns: data\.Corefile +forward \. \/etc\/resolv\.conf.* > $/,
      ),
      expect.stringMatching(/^changed ConfigMap\/kube-system\/coredns: data\.Corefile {2}> +forward \. 192\.0\.2\.9/),
    ]);
  });

  it("rules of a node that came and went, without their counters", () => {
    const added = "-A FORWARD -s 10.128.0.0/16 -j DROP";
    const now = healthy.edit(addRules("w1", "filter", added), dropRules("w1", /FLANNEL-POSTRTG .*MASQUERADE/));
    const changes = told(healthy, now);
    expect(changes).toContain(`changed Node/w1 iptables:   > filter: ${added}`);
    expect(changes.every((one) => one.startsWith("changed Node/w1 iptables"))).toBe(true);
    expect(changes.some((one) => one.includes("MASQUERADE"))).toBe(true);
  });

  it("what controllers renew is no news", () => {
    const now = healthy.edit(
      editObjects("deployments", "backend", (one) => ({
        ...one,
        metadata: {
          ...one.metadata,
          resourceVersion: "999999",
          annotations: { "deployment.kubernetes.io/revision": "17" },
        },
        status: { ...one.status, readyReplicas: 0 },
      })),
    );
    expect(told(healthy, now)).toEqual([]);
  });
});

describe("what was not had", () => {
  it("is not called gone, but not compared", () => {
    const { differences, uncompared } = compare(
      healthy.capture,
      healthy.without("clusterroles").without("iptables", { node: "w1" }).capture,
    );
    expect(differences).toEqual([]);
    expect(uncompared).toEqual([
      { kind: "clusterroles", nodes: [] },
      { kind: "iptables", nodes: ["w1"] },
    ]);
  });
});

describe("values", () => {
  it.each([
    [{ a: [1, 2] }, { a: [2, 1] }, []],
    [{ a: [] }, {}, []],
    [{ a: null }, { a: {} }, []],
    [{ a: 1 }, { a: 2 }, ["a 1>2"]],
    [{ l: [{ name: "x", v: 1 }] }, { l: [{ name: "x", v: 2 }] }, ["l[x].v 1>2"]],
    [{ l: [{ name: "x" }] }, { l: [] }, ['l[x] {"name":"x"}>']],
    [{ "a.b/c": 1 }, {}, ['["a.b/c"] 1>']],
    [{ t: "one\ntwo\n" }, { t: "two\nthree\n" }, ["t one>", "t >three"]],
  ])("%j and %j", (before, after, expected) => {
    const told = changesBetween(before, after).map((one) => `${one.path} ${one.before ?? ""}>${one.after ?? ""}`);
    expect(told).toEqual(expected);
  });
});
