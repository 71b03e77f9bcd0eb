/** What the walk of tests adds to the reasoning: what ends them, where it agrees, and where it does not. */
import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { addRules, type Edit, probed } from "../../testing/cluster-edits.ts";
import { all, explained, failed, fault, now, succeeded, type World, works } from "../../testing/reasoning.ts";
import { diagnose } from "../diagnose.ts";
import type { Evidence } from "../evidence/origin.ts";
import type { Observation } from "../model/observations.ts";
import type { Forecast, Forecasts, Sighting } from "../trace/forecast.ts";
import type { End, Way } from "../trace/trace.ts";

const rule = (quote: string): Evidence => ({ origin: { kind: "command", path: "nodes/w1/iptables.txt" }, quote });
const endAt = (node: string, quote: string, is: End["is"] = "dropped"): End => ({
  is,
  at: { node },
  evidence: [rule(quote)],
});
const way = (end: End): Way => ({ steps: [], end, certainty: "certain" });
const PASSES: Forecast = { says: "works", ways: [way({ is: "answered", evidence: [] })], failing: [] };

function stopped(...ends: readonly End[]): Forecast {
  const failing = ends.map(way);
  return { says: "fails", ways: failing, failing };
}

/** Forecasts by test; those that are not given cannot be told. */
function forecasts(
  given: readonly (readonly [Observation, Forecast])[],
  sightings: readonly (readonly [Observation, Sighting])[] = [],
): Forecasts {
  const [byTest, seenBy] = [new Map(given), new Map(sightings)];
  return { of: (test) => byTest.get(test), doubtful: () => [], sighting: (test) => seenBy.get(test) };
}

const test = (node = "w1") => failed("service.rules", `pod.reach ${node}`);
const titles = (world: World, seen: readonly Observation[], outcomes: Parameters<typeof explained>[1] = []) =>
  explained(world, outcomes, seen).roots.map(({ faults }) => faults[0]!.title.en);

describe("a test that nothing accounts for", () => {
  it("has what ends its packets for a root, which accounts for all that end there", () => {
    const [a, b] = [test(), test("w2")];
    const end = endAt("w1", "-A FORWARD -p tcp --dport 5432 -j DROP");
    const world = {
      forecasts: forecasts([
        [a, stopped(end)],
        [b, stopped(end)],
      ]),
    };
    const { roots, unexplained } = explained(world, [], [a, b]);
    expect(roots.map(({ id, faults: [first] }) => [id, first!.title.en])).toEqual([
      ["path-blocked/Node/w1", "dropped at w1: -A FORWARD -p tcp --dport 5432 -j DROP"],
    ]);
    expect(roots[0]!.owned.map(({ effect }) => effect)).toEqual(["must", "must"]);
    expect([roots[0]!.confidence, roots[0]!.latent, unexplained]).toEqual(["certain", false, []]);
  });

  it.each([
    'filter: [3:180] -A KUBE-SERVICES -d 10.96.0.9/32 -m comment --comment "shop/db has no endpoints" -j REJECT',
    "ip kube-proxy reject-chain: reject",
  ])("stays unexplained where kube-proxy refuses a Service as it was told: %s", (quote) => {
    const a = test();
    const world = { forecasts: forecasts([[a, stopped(endAt("w1", quote, "rejected"))]]) };
    const { roots, unexplained } = explained(world, [], [a]);
    expect([roots, unexplained]).toEqual([[], [a]]);
  });

  it("stays unexplained where a policy's rules end it, and where its end tells no place", () => {
    const [a, b] = [test(), test("w2")];
    const world = {
      forecasts: forecasts([
        [a, stopped(endAt("w1", "-A cali-tw-cali1 -j DROP"))],
        [b, stopped({ is: "lost", evidence: [] })],
      ]),
    };
    const { roots, unexplained } = explained(world, [], [a, b]);
    expect([roots, unexplained]).toEqual([[], [a, b]]);
  });

  it("stays unexplained where the walk cannot tell", () => {
    expect(titles({}, [test()])).toEqual([]);
  });

  it("is left to the fault that accounts for it", () => {
    const a = test();
    const world = { forecasts: forecasts([[a, stopped(endAt("w1", "-j DROP"))]]) };
    expect(titles(world, [a], [fault("rules-lost", "Node/w1", ["service.rules"])])).toEqual(["rules-lost Node/w1"]);
  });
});

describe("elimination", () => {
  const open = () => failed(all("node.up w1", "underlay.carry w1 w2"), "pod.reach w1 w2");

  it("needs nothing else seen to work where the walk finds that the packets pass", () => {
    const a = open();
    expect(titles({}, [a])).toEqual([]);
    expect(titles({ forecasts: forecasts([[a, PASSES]]) }, [a])).toEqual(["underlay.carry pair w1 w2"]);
  });

  it("does not suspect the network where the same target does not answer beside it either", () => {
    const [a, beside] = [open(), failed(now("node.up w2"), "pod.reach w2")];
    const world = {
      forecasts: forecasts([
        [a, PASSES],
        [beside, PASSES],
      ]),
    };
    expect(titles(world, [a, beside])).toEqual([]);
  });

  it("believes connection tracking: lost between the nodes, or arrived and not answered", () => {
    const a = open();
    const evidence = [rule("tcp src=10.0.1.2 dst=10.0.2.2 [UNREPLIED]")];
    const saw = (sighting: Sighting) => ({ forecasts: forecasts([[a, PASSES]], [[a, sighting]]) });
    const lost = explained(saw({ is: "lost-between", from: "w1", to: "w2", evidence }), [works("node.up")], [a]);
    expect(lost.roots[0]!.faults[0]).toMatchObject({ strength: "traced", evidence: [evidence[0], a.evidence] });
    expect(titles(saw({ is: "unanswered", at: "w2", evidence }), [a], [works("node.up")])).toEqual([]);
  });
});

describe("the walk and a test", () => {
  it("agree: a root that is only heard of is more than likely", () => {
    const a = test();
    const heardOf = fault("drops", "Node/w1", ["service.rules"], { strength: "heard" });
    const confidence = (world: World) => explained(world, [heardOf], [a]).roots[0]!.confidence;
    expect(confidence({})).toBe("likely");
    expect(confidence({ forecasts: forecasts([[a, stopped(endAt("w1", "-j DROP"))]]) })).toBe("certain");
    expect(confidence({ forecasts: forecasts([[a, stopped(endAt("w2", "-j DROP"))]]) })).toBe("likely");
  });

  it("disagree: it should have worked, or it should not", () => {
    const [lost, odd, fine] = [test(), succeeded("service.rules"), succeeded("service.rules")];
    const sighting: Sighting = { is: "unanswered", at: "w2", evidence: [] };
    const world = {
      forecasts: forecasts(
        [
          [lost, PASSES],
          [odd, stopped(endAt("w1", "-j DROP"))],
          [fine, PASSES],
        ],
        [[lost, sighting]],
      ),
    };
    const { disagreements } = explained(world, [], [lost, odd, fine]);
    expect(disagreements.map(({ observation, sighting: seen }) => [observation, seen])).toEqual([
      [lost, sighting],
      [odd, undefined],
    ]);
  });
});

describe("a rule of which nothing tells whether packets meet it", () => {
  const from = "client";
  const { all } = cluster().model().pods;
  const node = all.find(({ owner }) => owner?.name === from)!.node!;
  const addressOf = (prefix: string) =>
    all.find((pod) => pod.name.startsWith(prefix) && pod.node === "w2")!.addresses[0]!;
  const [far, beside] = [`${addressOf("backend")}:8080`, addressOf("client")];
  const told = (counted: string, ...others: readonly Edit[]) => tested("timeout", counted, ...others);
  const tested = (result: string, counted: string, ...others: readonly Edit[]) => {
    const rule = `${counted}-A FORWARD -p tcp -m string --string "GET" --algo bm -j DROP`;
    const given = cluster().edit(addRules(node, "filter", rule), probed(from, "tcp", far, result), ...others);
    const { rootCauses, unexplained } = diagnose(given.capture);
    return { roots: rootCauses.map(({ id, confidence }) => `${id} ${confidence}`), unexplained: unexplained.length };
  };
  const passed = probed(from, "icmp", beside, "ok");

  it("is the cause of a test that fails, where it has met packets and all else was seen to work", () => {
    expect(told("[4:240] ", passed)).toEqual({ roots: [`packet-path-blocked/Node/${node} likely`], unexplained: 0 });
  });

  it.each<[string, ReturnType<typeof told>]>([
    ["it has met none", told("[0:0] ", passed)],
    ["nobody counted", told("", passed)],
    ["others came through it", told("[4:240] ", passed, probed(from, "tcp", far, "ok"))],
    ["packets of that kind are refused, not dropped", tested("refused", "[4:240] ", passed)],
    ["the network between the nodes was not seen to carry", told("[4:240] ")],
  ])("is not where %s", (_, { roots }) => {
    expect(roots).toEqual([]);
  });
});
