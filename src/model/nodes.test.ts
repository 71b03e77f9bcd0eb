import { describe, expect, it } from "vitest";
import { captureOf } from "../../testing/recordings.ts";
import { formatPrefix } from "../net/ip.ts";
import type { Node, PodSpec } from "../parse/objects.ts";
import { modelOf } from "./model.ts";
import { daemonPodBelongs } from "./nodes.ts";

const LIST = "api/v1/nodes.json";
const files = (all: Record<string, string>) => modelOf(captureOf(new Map(Object.entries(all)))).nodes;
const nodes = (...items: readonly object[]) => files({ [LIST]: JSON.stringify({ kind: "NodeList", items }) });
const named = (name: string, more: object = {}) => ({ metadata: { name }, ...more });
const ready = (status: string) => ({
  status: {
    conditions: [
      { type: "MemoryPressure", status: "False" },
      { type: "Ready", status },
    ],
  },
});
const at = (...addresses: readonly (readonly [string, string])[]) => ({
  status: { addresses: addresses.map(([type, address]) => ({ type, address })) },
});

describe("the nodes", () => {
  it("are those of the API and those on which evidence was gathered, by name", () => {
    const found = files({
      [LIST]: JSON.stringify({ kind: "NodeList", items: [named("w2"), named("cp1")] }),
      "nodes/w1/conntrack-count.txt": "1\n9\n",
      "nodes/w2/conntrack-count.txt": "1\n9\n",
      "nodes/w3/conntrack-count.txt.err": "no route to host",
    });
    expect(found.all.map(({ name, sampled, object }) => [name, sampled, object !== undefined])).toEqual([
      ["cp1", false, true],
      ["w1", true, false],
      ["w2", true, true],
    ]);
    expect(found.get("w1")?.ref).toEqual({ kind: "Node", name: "w1" });
    expect(found.get("w4")).toBeUndefined();
  });

  it("are all only if their list is whole", () => {
    expect(nodes(named("a")).whole).toBe(true);
    expect(nodes(named("a"), { metadata: {} }).whole).toBe(false);
    expect(files({ "nodes/w1/conntrack-count.txt": "1\n9\n" }).whole).toBe(false);
  });

  it.each([
    ["True", "True"],
    ["False", "False"],
    ["Unknown", "Unknown"],
    ["Maybe", undefined],
  ])("are as ready as their condition says: %s", (status, expected) =>
    expect(nodes(named("a", ready(status))).get("a")?.ready).toBe(expected),
  );

  it("have InternalIPs first, each in one way to write it, and no names", () => {
    const found = nodes(
      named(
        "a",
        at(["ExternalIP", "203.0.113.1"], ["Hostname", "a"], ["InternalIP", "FD00::0001"], ["InternalIP", "10.0.0.1"]),
      ),
    );
    expect(found.get("a")?.addresses).toEqual(["fd00::1", "10.0.0.1", "203.0.113.1"]);
    expect(found.get("a")?.ipv4).toEqual({ family: 4, value: 0x0a000001 });
    expect([found.byAddress("fd00::1"), found.byAddress("203.0.113.1")].map((node) => node?.name)).toEqual(["a", "a"]);
    expect(found.byAddress("10.0.0.2")).toBeUndefined();
  });

  it.each([
    [{ podCIDR: "10.244.1.0/24" }, ["10.244.1.0/24"]],
    [{ podCIDR: "10.244.1.0/24", podCIDRs: ["10.244.1.0/24", "fd00:1::/64"] }, ["10.244.1.0/24", "fd00:1::/64"]],
    [{ podCIDR: "", podCIDRs: null }, []],
    [{ podCIDRs: ["nonsense", "10.244.1.7/24"] }, ["10.244.1.0/24"]],
    [{}, []],
  ])("have the Pod ranges that can be read: %j", (spec, ranges) =>
    expect(nodes(named("a", { spec })).get("a")?.podRanges.map(formatPrefix)).toEqual(ranges),
  );
});

type Taint = NonNullable<NonNullable<Node["spec"]>["taints"]>[number];

describe("a DaemonSet's Pod belongs on a node", () => {
  const labels = { "kubernetes.io/os": "linux", zone: "a" };
  const node = (...taints: Taint[]): Node => ({ metadata: { name: "w1", labels }, spec: { taints } });
  const NO_SCHEDULE: Taint = { key: "dedicated", value: "db", effect: "NoSchedule" };
  type Spec = Partial<PodSpec>;
  const terms = (...nodeSelectorTerms: readonly object[]): Spec =>
    ({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } }) as Spec;
  const zone = (operator: string, ...values: string[]) => ({ matchExpressions: [{ key: "zone", operator, values }] });

  it.each<[what: string, spec: Spec, taints: Taint[], expected: boolean]>([
    ["without conditions", {}, [], true],
    ["that its selector selects", { nodeSelector: { zone: "a" } }, [], true],
    ["that its selector does not select", { nodeSelector: { zone: "b" } }, [], false],
    ["that it names", { nodeName: "w1" }, [], true],
    ["and not on another", { nodeName: "w2" }, [], false],
    ["that one term of several selects", terms(zone("In", "b"), zone("In", "a")), [], true],
    ["that no term selects", terms(zone("NotIn", "a")), [], false],
    ["but not for an empty term", terms({}), [], false],
    ["by its name", terms({ matchFields: [{ key: "metadata.name", operator: "In", values: ["w1"] }] }), [], true],
    ["but for a taint", {}, [NO_SCHEDULE], false],
    [
      "with a taint that it tolerates",
      { tolerations: [{ key: "dedicated", operator: "Equal", value: "db" }] },
      [NO_SCHEDULE],
      true,
    ],
    [
      "with a taint whose value it does not",
      { tolerations: [{ key: "dedicated", value: "web" }] },
      [NO_SCHEDULE],
      false,
    ],
    [
      "with a taint whose effect it does not",
      { tolerations: [{ key: "dedicated", operator: "Exists", effect: "NoExecute" }] },
      [NO_SCHEDULE],
      false,
    ],
    ["if it tolerates everything", { tolerations: [{ operator: "Exists" }] }, [NO_SCHEDULE], true],
    [
      "with a key missing it tolerates nothing, unless the key need only exist",
      { tolerations: [{ value: "db" }] },
      [NO_SCHEDULE],
      false,
    ],
    ["with a taint that only prefers", {}, [{ key: "a", effect: "PreferNoSchedule" }], true],
    [
      "that is not ready: it tolerates that by itself",
      {},
      [{ key: "node.kubernetes.io/not-ready", effect: "NoExecute" }],
      true,
    ],
    [
      "of the control plane only if it says so",
      {},
      [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }],
      false,
    ],
  ])("%s", (_, spec, taints, expected) => expect(daemonPodBelongs(spec, node(...taints))).toBe(expected));
});
