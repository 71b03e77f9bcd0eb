import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { type Edit, editConfig, editObjects, edits } from "../../testing/cluster-edits.ts";
import { withSpec } from "../../testing/object-states.ts";
import { formatPrefix } from "../net/ip.ts";

const CLUSTER = cluster();
const podCIDR = (node: string, range: string): Edit =>
  editObjects("nodes", node, withSpec({ podCIDR: range, podCIDRs: [range] }));
const flag = (pod: string, before: string, after: string): Edit =>
  editObjects("pods", pod, (object) => ({
    ...object,
    spec: {
      ...object.spec,
      containers: object.spec.containers.map((one) => ({
        ...one,
        command: (one.command ?? []).map((word) => word.replace(before, after)),
      })),
    },
  }));

const conflicts = (...changes: readonly Edit[]) =>
  CLUSTER.edit(edits(...changes))
    .model()
    .ranges.conflicts.map(({ what, a, b }) => `${what} ${formatPrefix(a.prefix)} ${formatPrefix(b.prefix)}`);

describe("the ranges of a cluster", () => {
  it("are told by nodes, the Pod network's configuration and the control plane", () => {
    const { all, whole } = CLUSTER.model().ranges;
    const said = all.map(({ of, prefix, source }) => `${of} ${formatPrefix(prefix)} ${source.kind}`);
    expect(said).toContain("node-pods 10.128.1.0/24 Node");
    expect(said).toContain("pod-network 10.128.0.0/9 ConfigMap");
    expect(said).toContain("services 10.96.0.0/16 Pod");
    expect(said).toContain("nodes 172.16.0.0/16 Node");
    expect(whole).toBe(true);
    expect(CLUSTER.without("nodes").model().ranges.whole).toBe(false);
  });

  it.each<[what: string, changes: Edit[], expected: string[]]>([
    ["none in a healthy cluster", [], []],
    ["two nodes with one range", [podCIDR("w1", "10.128.2.0/24")], ["nodes-overlap 10.128.2.0/24 10.128.2.0/24"]],
    [
      "a range within another",
      [podCIDR("w1", "10.128.0.0/16")],
      ["nodes-overlap 10.128.0.0/16 10.128.0.0/24", "nodes-overlap 10.128.0.0/16 10.128.2.0/24"],
    ],
    ["ranges that only touch", [podCIDR("w1", "10.128.3.0/24")], []],
    ["a range of another generation", [podCIDR("w1", "10.8.1.0/24")], ["outside-network 10.8.1.0/24 10.128.0.0/9"]],
    [
      "Services in the Pods' range",
      [flag("kube-apiserver-cp1", "10.96.0.0/16", "10.128.2.0/25")],
      ["pods-services 10.128.2.0/24 10.128.2.0/25"],
    ],
    [
      "nodes in the Pods' range",
      [
        podCIDR("w1", "172.16.9.0/24"),
        editConfig("kube-flannel-cfg", "net-conf.json", (text) => text.replace("10.128.0.0/9", "172.16.0.0/12")),
      ],
      [
        "outside-network 10.128.0.0/24 172.16.0.0/12",
        "outside-network 10.128.2.0/24 172.16.0.0/12",
        "pods-nodes 172.16.9.0/24 172.16.0.0/16",
      ],
    ],
  ])("%s", (_, changes, expected) => expect(conflicts(...changes).sort()).toEqual([...expected].sort()));
});
