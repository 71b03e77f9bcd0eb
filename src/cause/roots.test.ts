import { describe, expect, it } from "vitest";
import { all, any, fault, needsOf, now, toFollow, type World } from "../../testing/reasoning.ts";
import type { Fault } from "../checks/check.ts";
import { capabilitySet, reasonerOf } from "./effect.ts";
import { rootsOf } from "./roots.ts";

/** The tree of faults by the names of their checks: `cause: effect, its effect`. */
function tree(faults: readonly Fault[], needs: World["needs"] = {}, nodes: readonly string[] = []): string[] {
  const roots = rootsOf(faults, needsOf(needs), reasonerOf(needsOf(needs), capabilitySet([])), nodes);
  return roots.map(({ faults: own, consequences }) =>
    [
      own.map(({ check }) => check).join("+"),
      ...consequences.map(({ fault, from }) => `${fault.check}<${from.check}`),
    ].join(" "),
  );
}

const ROLE = fault("role", "ClusterRole/a", ["component.permit component=DaemonSet/a"]);
const AGENT = fault("agent", "DaemonSet/a", ["component.learn w1 component=DaemonSet/a"]);
const RULES = fault("rules", "Node/w1", ["service.rules w1 service=shop/a"]);
const UP = fault("node", "Node/w1", ["node.up w1"]);
const NEEDS = {
  "service.rules w1 service=shop/a": toFollow("component.learn w1 component=DaemonSet/a"),
  "component.learn w1 component=DaemonSet/a": all("component.permit component=DaemonSet/a", "node.up w1"),
};

describe("which fault follows from which", () => {
  it.each<[what: string, faults: Fault[], expected: string[]]>([
    ["one alone is a root", [RULES], ["rules"]],
    ["an effect hangs below its cause", [AGENT, ROLE], ["role agent<role"]],
    ["a chain has one root, whatever is found first", [RULES, AGENT, ROLE], ["role agent<role rules<agent"]],
    ["a link that nobody found is passed over", [RULES, ROLE], ["role rules<role"]],
    ["two causes of one effect are two roots", [ROLE, UP, AGENT], ["role agent<role", "node agent<node"]],
    [
      "faults that have nothing to do with each other are two roots",
      [ROLE, fault("dns", "ConfigMap/a/b", ["dns.config"])],
      ["role", "dns"],
    ],
    ["a fault of another node is no cause", [AGENT, fault("node", "Node/w2", ["node.up w2"])], ["agent", "node"]],
    ["a fault of all nodes is one", [AGENT, fault("nodes", "Cluster/x", ["node.up"])], ["nodes agent<nodes"]],
  ])("%s", (_, faults, expected) => expect(tree(faults, NEEDS)).toEqual(expected));

  it("hangs an effect below the one that is furthest from the root", () => {
    const deep = {
      ...NEEDS,
      "service.rules w1 service=shop/a": all(
        "component.permit component=DaemonSet/a",
        "component.learn w1 component=DaemonSet/a",
      ),
    };
    expect(tree([ROLE, RULES, AGENT], deep)).toEqual(["role agent<role rules<agent"]);
  });

  describe("of one thing on a node", () => {
    const cited = (quote: string) => ({ origin: { kind: "command", path: "nodes/w1/ip-route.json" } as const, quote });
    const wrong = cited("10.244.2.0/24 via eth0");
    const route = fault("route", "Node/w1", ["pod-network.entries w1"], { evidence: [wrong], strength: "differing" });
    const source = (evidence: Fault["evidence"], node = "Node/w1") =>
      fault("source", node, ["pod.attach w1"], { evidence });

    it.each<[what: string, faults: Fault[], expected: string[]]>([
      ["what cites it follows", [source([cited("rp_filter"), wrong]), route], ["route source<route"]],
      ["of two that begin with it, the stronger is the cause", [route, source([wrong])], ["source route<source"]],
      ["something else is another root", [source([cited("rp_filter")]), route], ["source", "route"]],
      ["so is the same on another node", [source([wrong], "Node/w2"), route], ["source", "route"]],
    ])("%s", (_, faults, expected) => expect(tree(faults).sort()).toEqual(expected.sort()));
  });

  it("does not let what was lost follow from an agent that could learn", () => {
    const lost = fault("rules", "Node/w1", ["service.rules w1 service=shop/a"], { lost: true });
    expect(tree([lost, ROLE], NEEDS)).toEqual(["rules", "role"]);
    // what is needed now, and not only to follow changes, can still be its cause
    const direct = { "service.rules w1 service=shop/a": all(toFollow("component.learn"), "node.up w1") };
    expect(tree([lost, UP], direct)).toEqual(["node rules<node"]);
  });

  it("takes a fault for an effect where only one branch of several is broken", () => {
    const replicas = { "dns.serve": any("pod.ready pod=a", "pod.ready pod=b") };
    const [dns, pod] = [fault("dns", "Deployment/d", ["dns.serve"]), fault("pod", "Pod/a", ["pod.ready pod=a"])];
    expect(tree([dns, pod], replicas)).toEqual(["pod dns<pod"]);
  });
});

describe("circles", () => {
  const CIRCLE = {
    "node.up w1": now("pod.attach w1"),
    "pod.attach w1": now("service.rules w1"),
    "service.rules w1": now("node.up w1"),
  };
  const member = (check: string, breaks: string, strength: Fault["strength"] = "heard") =>
    fault(check, `Node/${check}`, [breaks], { strength });

  it("begin where the evidence is strongest", () => {
    const faults = [member("a", "node.up w1"), member("b", "pod.attach w1", "direct"), member("c", "service.rules w1")];
    expect(tree(faults, CIRCLE)).toEqual(["b a<b c<a"]);
  });

  it("of equal evidence begin with the first by name, in whatever order they are found", () => {
    const faults = [member("c", "node.up w1"), member("a", "pod.attach w1"), member("b", "service.rules w1")];
    const told = tree(faults, CIRCLE);
    expect(told[0]?.[0]).toBe("a");
    expect(told).toHaveLength(1);
    expect(tree([...faults].reverse(), CIRCLE)).toEqual(told);
  });

  it("have a root outside, if there is one", () => {
    const outside = { ...CIRCLE, "node.up w1": all("pod.attach w1", "node.track w1") };
    const faults = [member("a", "node.up w1", "direct"), member("b", "pod.attach w1"), member("z", "node.track w1")];
    expect(tree(faults, outside).map((one) => one[0])).toEqual(["z"]);
    expect(tree(faults, outside)[0]).toContain("b<");
  });

  it("come to an end where two of them share a member", () => {
    const two = {
      "node.up w1": all("pod.attach w1", "node.track w1"),
      "pod.attach w1": now("node.up w1"),
      "node.track w1": now("node.up w1"),
    };
    const faults = [
      member("hub", "node.up w1"),
      member("left", "pod.attach w1", "direct"),
      member("right", "node.track w1"),
    ];
    expect(tree(faults, two)).toEqual(["left hub<left right<hub"]);
  });
});

describe("one root of several faults", () => {
  it("is what one check says of one object", () => {
    const many = ["service.rules w1 service=shop/a", "service.rules w1 service=shop/b"].map((one) =>
      fault("rules", "Node/w1", [one]),
    );
    expect(tree(many)).toEqual(["rules+rules"]);
    expect(tree([...many, fault("other", "Node/w1", ["node.up w1"])])).toEqual(["rules+rules", "other"]);
  });

  it("is not cause and effect of itself", () => {
    const both = [UP, fault("node", "Node/w1", ["service.rules w1"])];
    expect(tree(both, { "service.rules w1": now("node.up w1") })).toEqual(["node+node"]);
  });

  const forwarding = (node: string) => fault("forwarding", `Node/${node}`, [`node.forward ${node}`], { nodes: [node] });

  it("is what every node has, and not what only some have", () => {
    const both = [forwarding("w1"), forwarding("w2")];
    expect(tree(both, {}, ["w1", "w2"])).toEqual(["forwarding+forwarding"]);
    expect(tree(both, {}, ["w1", "w2", "w3"])).toEqual(["forwarding", "forwarding"]);
    expect(tree([forwarding("w1")], {}, ["w1"])).toEqual(["forwarding"]);
  });

  it("keeps what follows on each node, once", () => {
    const needs = { "pod.reach w1": now("node.forward w1"), "pod.reach w2": now("node.forward w2") };
    const effects = ["w1", "w2"].map((node) => fault("reach", `Node/${node}`, [`pod.reach ${node}`]));
    expect(tree([forwarding("w1"), ...effects, forwarding("w2")], needs, ["w1", "w2"])).toEqual([
      "forwarding+forwarding reach<forwarding reach<forwarding",
    ]);
  });
});
