import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RUNS } from "../../testing/parser-properties.ts";
import { all, any, capability, denied, needsOf, now, perhaps, toFollow } from "../../testing/reasoning.ts";
import { CAPABILITIES, type Capability, type CapabilityName, capabilityId, covers } from "../model/capability.ts";
import type { Need } from "../model/needs/need.ts";
import { capabilitySet, denialOf, type Effect, namedIn, provenBy, reasonerOf } from "./effect.ts";

const [A, B, C] = ["node.forward w1", "node.track w1", "node.up w1"] as const;
const setOf = (...words: readonly string[]) => capabilitySet(words.map(capability));

type Case = readonly [what: string, need: Need, broken: readonly string[], effect: Effect];

describe("how a need fares", () => {
  it.each<Case>([
    ["nothing is broken", now(A), [], "none"],
    ["it is broken itself", now(A), [A], "must"],
    ["something else is", now(A), [B], "none"],
    ["it is broken on another node", now(A), ["node.forward w2"], "none"],
    ["it is broken everywhere", now(A), ["node.forward"], "must"],
    ["it is broken towards one peer, and needed towards all", now(A), ["node.forward w1 w2"], "may"],
    ["it is broken towards all, and needed towards one", now("node.forward w1 w2"), [A], "must"],
    [
      "one port of a Service is",
      now("service.rules w1 service=shop/a"),
      ["service.rules w1 service=shop/a:web"],
      "may",
    ],
    [
      "the Service is, and a port is needed",
      now("service.rules w1 service=shop/a:web"),
      ["service.rules service=shop/a"],
      "must",
    ],
    [
      "a Service of nearly the same name is",
      now("service.rules service=shop/ab"),
      ["service.rules service=shop/a"],
      "none",
    ],
    ["all: one of them is broken", all(A, B, C), [B], "must"],
    ["all: of none", all(), [A], "none"],
    ["any: one branch is alive", any(A, B, C), [A, B], "may"],
    ["any: no branch is alive", any(A, B), [A, B], "must"],
    ["any: all branches are", any(A, B), [C], "none"],
    ["any: of none", any(), [A], "none"],
    ["any: a branch fails only perhaps", any(A, perhaps(B)), [A, B], "may"],
    ["perhaps: what it may depend on is broken", perhaps(A), [A], "may"],
    ["to follow change: it works on", toFollow(A), [A], "may"],
    ["the worst of all counts", all(perhaps(A), B), [A, B], "must"],
    ["what any of several may do does not make all fail", all(any(A, B), C), [A], "may"],
    ["a policy denies it, and is meant so", denied("lock"), [], "none"],
    ["a policy denies it, and is defective", denied("lock"), ["policy.allow policy=NetworkPolicy/shop/lock"], "must"],
    ["another policy is defective", denied("lock"), ["policy.allow policy=NetworkPolicy/shop/other"], "none"],
  ])("%s", (_, need, broken, effect) => {
    expect(reasonerOf(needsOf(), setOf()).effect(need, setOf(...broken))).toBe(effect);
  });

  const CHAIN = {
    "dns.serve": all("dns.config", any("pod.ready pod=a", "pod.ready pod=b"), toFollow("component.learn")),
    "component.learn": now("component.permit"),
    "pod.ready pod=a": now("node.up w1"),
    "pod.ready pod=b": now("node.up w2"),
  };

  it.each<[what: string, broken: string[], working: string[], effect: Effect]>([
    ["what it needs is broken", ["dns.config"], [], "must"],
    ["one replica's node is down", ["node.up w1"], [], "may"],
    ["both replicas' nodes are down", ["node.up w1", "node.up w2"], [], "must"],
    ["all nodes are down", ["node.up"], [], "must"],
    ["it may not learn: it follows changes no more", ["component.permit"], [], "may"],
    ["it was seen to work: nobody looks below", ["node.up"], ["dns.serve"], "none"],
    ["one replica was seen to work", ["node.up"], ["pod.ready pod=a"], "may"],
    ["what was seen to work is broken itself", ["dns.serve"], ["dns.serve"], "must"],
    ["half of a pair was seen to work", ["dns.config"], ["dns.serve zone=cluster"], "must"],
  ])("further down: %s", (_, broken, working, effect) => {
    const reasoner = reasonerOf(needsOf(CHAIN), setOf(...working));
    expect(reasoner.effect(now("dns.serve"), setOf(...broken))).toBe(effect);
  });

  it("comes to an end where needs go in a circle", () => {
    const needs = needsOf({
      "pod.attach w1": now("service.rules w1"),
      "service.rules w1": all("component.learn w1", "node.track w1"),
      "component.learn w1": now("pod.attach w1"),
    });
    const reasoner = reasonerOf(needs, setOf());
    expect(reasoner.effect(now("pod.attach w1"), setOf())).toBe("none");
    expect(reasoner.effect(now("pod.attach w1"), setOf("node.track w1"))).toBe("must");
    expect(reasoner.effect(now("component.learn w1"), setOf("node.track w1"))).toBe("must");
    expect(reasoner.foundations(now("pod.attach w1"), true).map(({ name }) => name)).toEqual([
      "pod.attach",
      "service.rules",
      "component.learn",
      "node.track",
    ]);
  });

  it("only grows worse the more is broken", () => {
    const names = ["node.forward", "node.track", "node.up", "dns.config"] as const;
    const words = fc.constantFrom(...names, ...names.map((name) => `${name} w1`));
    const { tree } = fc.letrec<{ tree: Need }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        words.map(now),
        words.map(toFollow),
        tie("tree").map(perhaps),
        fc.array(tie("tree"), { maxLength: 3 }).map((parts) => all(...parts)),
        fc.array(tie("tree"), { maxLength: 3 }).map((parts) => any(...parts)),
      ),
    }));
    const order: readonly Effect[] = ["none", "may", "must"];
    fc.assert(
      fc.property(tree, fc.array(words), fc.array(words), (need, some, more) => {
        const { effect } = reasonerOf(needsOf(), setOf());
        const [less, worse] = [effect(need, setOf(...some)), effect(need, setOf(...some, ...more))];
        expect(order.indexOf(worse)).toBeGreaterThanOrEqual(order.indexOf(less));
        expect(effect(need, setOf())).toBe("none");
      }),
      { numRuns: RUNS * 2 },
    );
  });
});

describe("the foundations of a need", () => {
  const needs = needsOf({
    "service.rules w1": toFollow("component.learn w1"),
    "component.learn w1": now("component.permit"),
  });
  const names = (working: readonly string[], following: boolean) =>
    reasonerOf(needs, setOf(...working))
      .foundations(all("service.rules w1", any("node.up w1", perhaps("node.track w1")), denied("lock")), following)
      .map(({ name }) => name);

  it("are all that it rests on, with what only following changes needs if that is asked for", () => {
    expect(names([], false)).toEqual(["service.rules", "node.up", "node.track", "policy.allow"]);
    expect(names([], true)).toEqual([
      ...["service.rules", "component.learn", "component.permit", "node.up", "node.track", "policy.allow"],
    ]);
  });

  it("are not looked for below what works", () => {
    expect(names(["component.learn w1"], true)).not.toContain("component.permit");
  });
});

describe("what a success proves", () => {
  const proves = (need: Need) => provenBy(need).map(({ name }) => name);

  it.each<[string, Need, string[]]>([
    ["what it passed", now(A), ["node.forward"]],
    ["all that it passed", all(A, all(C, "api.reach w1")), ["node.forward", "node.up", "api.reach"]],
    ["no branch of several: it passed one of them", any(A, C), []],
    ["not what it may not have needed", perhaps(A), []],
    ["not what only changes need", toFollow(A), []],
    [
      "not what works for one packet and fails for the next",
      all("service.rules w1", "node.track w1", A),
      ["node.forward"],
    ],
    ["nothing of a denial", denied("lock"), []],
  ])("%s", (_, need, names) => expect(proves(need)).toEqual(names));

  it("names all that it may have passed", () => {
    const need = all(A, any(B, perhaps(C)), toFollow("component.learn"), denied("lock"));
    expect(namedIn(need).map(({ name }) => name)).toEqual(["node.forward", "node.track", "node.up", "component.learn"]);
  });
});

it.each<[string, Need, Effect]>([
  ["a denial", denied("lock"), "must"],
  ["a denial among what is needed", all(A, denied("lock")), "must"],
  ["the denial of one back end of two", any(A, denied("lock")), "may"],
  ["the denial of both back ends", any(denied("lock"), all(A, denied("key"))), "must"],
  ["a denial that may not apply", perhaps(denied("lock")), "may"],
  ["no denial", all(A, any(B, C)), "none"],
])("%s is told by the need", (_, need, effect) => expect(denialOf(need)).toBe(effect));

describe("sets of capabilities", () => {
  const field = (...values: readonly string[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const anyCapability: fc.Arbitrary<Capability> = fc
    .record({
      name: fc.constantFrom(...(Object.keys(CAPABILITIES) as CapabilityName[]).slice(0, 3)),
      node: field("w1", "w2"),
      peer: field("w1", "w2"),
      service: field("shop/a", "shop/a:web", "shop/b"),
      from: field("pod", "host") as fc.Arbitrary<Capability["from"] | undefined>,
    })
    .map(
      (fields) =>
        Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as unknown as Capability,
    );

  it("hold what a member covers, and touch what covers a member", () => {
    fc.assert(
      fc.property(fc.array(anyCapability, { maxLength: 5 }), anyCapability, (members, one) => {
        const set = capabilitySet(members);
        expect(set.holds(one)).toBe(members.some((member) => covers(member, one)));
        expect(set.touches(one)).toBe(members.some((member) => covers(one, member)));
      }),
      { numRuns: RUNS * 4 },
    );
  });

  it("know capabilities by ids that differ where they differ", () => {
    fc.assert(
      fc.property(anyCapability, anyCapability, (a, b) => {
        const isSame = covers(a, b) && covers(b, a);
        expect(capabilityId(a) === capabilityId(b)).toBe(isSame);
      }),
      { numRuns: RUNS * 2 },
    );
  });
});
