import { describe, expect, it } from "vitest";
import { captureOf } from "../../testing/recordings.ts";
import { modelOf } from "./model.ts";
import { containerStatuses } from "./pods.ts";
import { ref, refId } from "./ref.ts";

type Made = {
  readonly name: string;
  readonly namespace?: string;
  readonly meta?: object;
  readonly spec?: object;
  readonly status?: object;
};

const podOf = ({ name, namespace = "shop", meta, spec, status }: Made) => ({
  metadata: { name, namespace, ...meta },
  spec: { containers: [], ...spec },
  status,
});
const list = (kind: string, items: readonly object[]) => JSON.stringify({ kind: `${kind}List`, items });
const podsWith = (more: Record<string, string>, ...made: readonly Made[]) =>
  modelOf(captureOf(new Map(Object.entries({ "api/v1/pods.json": list("Pod", made.map(podOf)), ...more })))).pods;
const pods = (...made: readonly Made[]) => podsWith({}, ...made);
const one = (made: Omit<Made, "name">) => pods({ name: "a", ...made }).get("shop", "a")!;
const owned = (kind: string, name: string, controller = true) => ({ ownerReferences: [{ kind, name, controller }] });

describe("a Pod", () => {
  it.each([
    ["its condition says so", { status: { conditions: [{ type: "Ready", status: "True" }] } }, true],
    ["its condition says no", { status: { conditions: [{ type: "Ready", status: "False" }] } }, false],
    ["it has no conditions", {}, false],
    [
      "it is being deleted",
      { meta: { deletionTimestamp: "x" }, status: { conditions: [{ type: "Ready", status: "True" }] } },
      false,
    ],
  ])("is ready or not: %s", (_, made, expected) => expect(one(made).ready).toBe(expected));

  it("has all its addresses once, in one way to write them", () => {
    const status = {
      podIP: "10.0.0.1",
      podIPs: [{ ip: "10.0.0.1" }, { ip: "FD00::0:1" }, { ip: null }, { ip: "nonsense" }],
    };
    expect(one({ status }).addresses).toEqual(["10.0.0.1", "fd00::1"]);
  });

  it.each([
    ["Running", false],
    ["Succeeded", true],
    ["Failed", true],
  ])("in phase %s is finished: %s", (phase, expected) => expect(one({ status: { phase } }).finished).toBe(expected));

  it("has its containers' statuses, init containers first", () => {
    const state = (name: string) => ({ name, ready: true, restartCount: 0 });
    const pod = one({ status: { containerStatuses: [state("app")], initContainerStatuses: [state("setup")] } });
    expect(containerStatuses(pod).map(({ status, init }) => [status.name, init])).toEqual([
      ["setup", true],
      ["app", false],
    ]);
  });
});

describe("whom a Pod was made for", () => {
  const owner = (meta: object, more: Record<string, string> = {}) => {
    const found = podsWith(more, { name: "a", meta }).get("shop", "a")?.owner;
    return found && refId(found);
  };
  const SETS = "apis/apps/v1/replicasets.json";
  const DEPLOYMENTS = "apis/apps/v1/deployments.json";
  const set = list("ReplicaSet", [
    {
      metadata: { name: "web-5d8", namespace: "shop", ...owned("Deployment", "web") },
      spec: { template: { spec: { containers: [] } } },
    },
  ]);
  const deployment = (name: string) =>
    list("Deployment", [{ metadata: { name, namespace: "shop" }, spec: { template: { spec: { containers: [] } } } }]);

  it.each<[string, string | undefined, object, Record<string, string>]>([
    ["a DaemonSet", "DaemonSet/shop/agent", owned("DaemonSet", "agent"), {}],
    ["a ReplicaSet's Deployment", "Deployment/shop/web", owned("ReplicaSet", "web-5d8"), { [SETS]: set }],
    [
      "a Deployment that its ReplicaSet's name tells",
      "Deployment/shop/web",
      owned("ReplicaSet", "web-5d8"),
      { [DEPLOYMENTS]: deployment("web") },
    ],
    [
      "a ReplicaSet of nobody that is known",
      "ReplicaSet/shop/web-5d8",
      owned("ReplicaSet", "web-5d8"),
      { [DEPLOYMENTS]: deployment("we") },
    ],
    ["a node: it is static, and nobody's", undefined, owned("Node", "cp1"), {}],
    ["nobody", undefined, {}, {}],
    [
      "the controller of several owners",
      "Job/shop/b",
      {
        ownerReferences: [
          { kind: "X", name: "a" },
          { kind: "Job", name: "b", controller: true },
        ],
      },
      {},
    ],
    [
      "the first of several owners without controller",
      "X/shop/a",
      {
        ownerReferences: [
          { kind: "X", name: "a" },
          { kind: "Y", name: "b" },
        ],
      },
      {},
    ],
  ])("%s", (_, expected, meta, more) => expect(owner(meta, more)).toBe(expected));
});

describe("Pods", () => {
  const all = pods(
    {
      name: "a",
      meta: { labels: { app: "web", tier: "front" } },
      spec: { nodeName: "w1" },
      status: { podIP: "10.0.0.1" },
    },
    {
      name: "b",
      meta: { labels: { app: "web" }, ...owned("DaemonSet", "d") },
      spec: { nodeName: "w2" },
      status: { podIP: "10.0.0.2" },
    },
    { name: "a", namespace: "data", meta: { labels: { app: "web" } }, spec: { nodeName: "w1" } },
    { name: "host", spec: { hostNetwork: true, nodeName: "w1" }, status: { podIP: "172.16.0.1" } },
    { name: "done", status: { phase: "Succeeded", podIP: "10.0.0.9" } },
    { name: "next", status: { phase: "Running", podIP: "10.0.0.9" } },
    { name: "late", status: { phase: "Failed", podIP: "10.0.0.9" } },
  );
  const keys = (found: readonly { readonly key: string }[]) => found.map(({ key }) => key);

  it("are found by name, node, namespace and owner", () => {
    expect(all.get("data", "a")?.key).toBe("data/a");
    expect(all.get("other", "a")).toBeUndefined();
    expect(keys(all.onNode("w1"))).toEqual(["shop/a", "data/a", "shop/host"]);
    expect(all.onNode("w9")).toEqual([]);
    expect(keys(all.inNamespace("data"))).toEqual(["data/a"]);
    expect(keys(all.ownedBy(ref("DaemonSet", "d", "shop")))).toEqual(["shop/b"]);
    expect(all.ownedBy(ref("DaemonSet", "d", "data"))).toEqual([]);
  });

  it("are found by labels: all of them, in their namespace", () => {
    expect(keys(all.withLabels("shop", { app: "web" }))).toEqual(["shop/a", "shop/b"]);
    expect(keys(all.withLabels("shop", { app: "web", tier: "front" }))).toEqual(["shop/a"]);
    expect(all.withLabels("shop", { app: "api" })).toEqual([]);
    expect(all.withLabels("shop", {})).toEqual([]);
  });

  it("are found by address, but not those on their node's, nor those that are finished", () => {
    expect(all.byAddress("10.0.0.2")?.key).toBe("shop/b");
    expect(all.byAddress("172.16.0.1")).toBeUndefined();
    expect(all.byAddress("10.0.0.9")?.key).toBe("shop/next");
  });
});
