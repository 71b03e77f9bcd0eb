/** Worked examples: small worlds of faults, needs and tests, and what is made of them. */
import { describe, expect, it } from "vitest";
import {
  all,
  any,
  cannotTell,
  denied,
  explained,
  failed,
  fault,
  heard,
  now,
  perhaps,
  succeeded,
  toFollow,
  works,
} from "../../testing/reasoning.ts";
import { refId } from "../model/ref.ts";
import type { ExplainedRoot, Explanation } from "./explain.ts";

const ids = (roots: readonly ExplainedRoot[]) => roots.map(({ faults }) => faults[0]!.check);
const only = ({ roots }: Explanation): ExplainedRoot => {
  expect(roots).toHaveLength(1);
  return roots[0]!;
};

const FORWARD = fault("forward", "Node/w1", ["node.forward w1"]);
const RULES = fault("rules", "Node/w1", ["service.rules w1"], { strength: "differing" });

describe("failures", () => {
  it("belong to the root that they follow from", () => {
    const failures = [failed("node.forward w1"), failed("node.forward w1 w2"), failed("node.forward w2")];
    const told = explained({}, [FORWARD], failures);
    expect(only(told).owned.map(({ effect }) => effect)).toEqual(["must", "must"]);
    expect(told.unexplained).toEqual([failures[2]]);
  });

  it("with one back end of two alive may follow, and are explained", () => {
    const told = explained(
      {},
      [fault("pod", "Pod/a", ["pod.ready pod=a"])],
      [failed(any("pod.ready pod=a", "pod.ready pod=b"))],
    );
    expect(only(told).owned.map(({ effect }) => effect)).toEqual(["may"]);
    expect(told.unexplained).toEqual([]);
  });

  it("belong to every root that they follow from", () => {
    const told = explained({}, [FORWARD, RULES], [failed(all("node.forward w1", "service.rules w1"))]);
    expect(ids(told.roots)).toEqual(["forward", "rules"]);
    expect(told.roots.map(({ owned }) => owned.length)).toEqual([1, 1]);
  });

  it("come from the consequence that is furthest from the root", () => {
    const needs = { "service.rules w1": now("component.learn w1"), "component.learn w1": now("component.permit") };
    const faults = [
      fault("role", "ClusterRole/a", ["component.permit"]),
      fault("agent", "DaemonSet/a", ["component.learn w1"]),
      RULES,
    ];
    const told = explained({ needs }, faults, [failed("service.rules w1"), failed("component.permit")]);
    expect(only(told).owned.map(({ from }) => from.check)).toEqual(["rules", "role"]);
  });

  it("are unexplained without any fault", () => {
    const failure = failed("node.forward w1");
    expect(explained({}, [], [failure])).toMatchObject({ roots: [], unexplained: [failure], meant: [] });
  });

  it("that are only heard explain nothing by themselves, and illustrate a root", () => {
    expect(explained({}, [], [heard("node.forward w1")]).unexplained).toEqual([]);
    expect(only(explained({}, [FORWARD], [heard("node.forward w1")])).owned).toHaveLength(1);
  });
});

describe("what works", () => {
  const needs = { "service.rules w1": all("component.learn w1") };
  const agent = fault("agent", "DaemonSet/a", ["component.learn w1"]);

  it("is not suspected of what is below it", () => {
    const failure = failed(all("service.rules w1", "node.forward w1"));
    expect(only(explained({ needs }, [agent], [failure])).owned).toHaveLength(1);
    expect(explained({ needs }, [agent, works("service.rules w1")], [failure]).unexplained).toEqual([failure]);
  });

  it("is proven by tests, but not for what fails now and then", () => {
    const path = { "pod-network.entries w1": now("component.learn w1") };
    const failure = failed("pod-network.entries w1");
    expect(explained({ needs: path }, [agent], [failure, succeeded("pod-network.entries w1")]).unexplained).toEqual([
      failure,
    ]);
    // service.rules spread packets over back ends: one success proves nothing
    const spread = failed("service.rules w1");
    expect(explained({ needs }, [agent], [spread, succeeded("service.rules w1")]).unexplained).toEqual([]);
  });

  it("does not count for what a fault breaks", () => {
    const told = explained({}, [FORWARD, works("node.forward w1")], [failed("node.forward w1")]);
    expect(only(told).owned).toHaveLength(1);
  });
});

describe("how sure a root is", () => {
  const needs = { "service.rules w1": all("component.learn w1", "api.reach w1", "node.up w1") };
  const BLIND = [
    cannotTell("component.learn w1", [{ kind: "containerLog" }]),
    cannotTell("api.reach w1", [{ kind: "routes" }]),
    cannotTell("node.up w1", [{ kind: "nodes" }]),
  ];
  const strong = (strength: "direct" | "differing" | "heard") =>
    fault("rules", "Node/w1", ["service.rules w1"], { strength });
  const FAILS = failed("service.rules w1");

  it.each<[string, Parameters<typeof explained>[1], Parameters<typeof explained>[2], string]>([
    ["seen directly", [strong("direct")], [FAILS], "certain"],
    ["state that differs", [strong("differing")], [FAILS], "certain"],
    ["known from logs", [strong("heard")], [FAILS], "likely"],
    ["something below it not seen", [strong("direct"), BLIND[0]!], [FAILS], "likely"],
    ["two things below it not seen", [strong("direct"), ...BLIND.slice(0, 2)], [FAILS], "possible"],
    ["from logs, and something not seen", [strong("heard"), BLIND[0]!], [FAILS], "possible"],
    ["three things not seen", [strong("direct"), ...BLIND], [FAILS], "possible"],
    ["a test against it", [strong("direct")], [FAILS, succeeded("service.rules w1")], "likely"],
    [
      "something not seen elsewhere",
      [strong("direct"), cannotTell("node.up w2", [{ kind: "nodes" }])],
      [FAILS],
      "certain",
    ],
    ["no tests at all", [strong("direct")], [], "certain"],
  ])("%s", (_, outcomes, seen, confidence) => {
    const root = only(explained({ needs }, outcomes, seen));
    expect(root.confidence).toBe(confidence);
    expect(root.because.en).not.toBe("");
  });

  it("is as sure as the strongest of what is known of one object", () => {
    expect(only(explained({}, [strong("heard"), strong("direct")])).confidence).toBe("certain");
  });
});

describe("tests that succeed", () => {
  it("refute what is only heard and would have made them impossible", () => {
    const rumour = fault("rumour", "Node/w1", ["node.forward w1"], { strength: "heard" });
    const success = succeeded("node.forward w1");
    expect(explained({}, [rumour], [success])).toMatchObject({ roots: [], ruledOut: [{ fault: rumour, by: success }] });
    // they may have taken another way
    expect(ids(explained({}, [rumour], [succeeded(any("node.forward w1", "node.forward w2"))]).roots)).toEqual([
      "rumour",
    ]);
    expect(ids(explained({}, [rumour], [succeeded(perhaps("node.forward w1"))]).roots)).toEqual(["rumour"]);
  });

  it("do not refute what is seen: it counts less sure", () => {
    const told = explained({}, [FORWARD], [succeeded("node.forward w1"), failed("node.forward w1")]);
    expect(only(told)).toMatchObject({ confidence: "likely", refutedBy: [{ outcome: "ok" }] });
    expect(told.ruledOut).toEqual([]);
  });

  it("does not suffer from tests against what follows from it", () => {
    const needs = { "pod-network.entries w1": perhaps("pod-network.ranges w1") };
    const ranges = fault("ranges", "Node/w1", ["pod-network.ranges w1"]);
    const entries = fault("entries", "Node/w1", ["pod-network.entries w1"], { strength: "differing" });
    const seen = [failed("pod-network.entries w1"), succeeded("pod-network.entries w1 w2")];
    expect(only(explained({ needs }, [ranges, entries], seen))).toMatchObject({ confidence: "certain", refutedBy: [] });
  });

  it("put an expectation in doubt that nothing else speaks for", () => {
    const told = explained({}, [RULES], [succeeded("service.rules w1")]);
    expect(ids(told.roots)).toEqual([]);
    expect(ids(told.contradicted)).toEqual(["rules"]);
  });

  it("do not, where a test failed as expected", () => {
    const told = explained({}, [RULES], [succeeded("service.rules w1"), failed("service.rules w1")]);
    expect(ids(told.roots)).toEqual(["rules"]);
    expect(told.contradicted).toEqual([]);
  });
});

describe("latent roots", () => {
  const needs = { "service.rules w1": toFollow("component.learn w1") };
  const agent = fault("agent", "DaemonSet/a", ["component.learn w1"]);

  it("harm nothing until something changes", () => {
    expect(only(explained({ needs }, [agent]))).toMatchObject({ latent: true, owned: [] });
    expect(only(explained({ needs }, [agent], [succeeded("service.rules w1")])).latent).toBe(true);
  });

  it("are felt where a test fails for them", () => {
    expect(only(explained({ needs }, [agent], [failed("service.rules w1")]))).toMatchObject({
      latent: false,
      owned: [{ effect: "may" }],
    });
  });

  it("are no longer latent with a consequence that harms", () => {
    expect(only(explained({ needs }, [agent, RULES])).latent).toBe(false);
  });

  it("are felt by programs that complain, where nothing was tested", () => {
    expect(only(explained({ needs }, [agent], [heard("service.rules w1")])).latent).toBe(false);
    expect(only(explained({ needs }, [agent], [heard("service.rules w1"), succeeded("node.up w1")])).latent).toBe(true);
  });

  it("come after those that are present", () => {
    const told = explained({ needs }, [agent, fault("dns", "ConfigMap/a/b", ["dns.config"], { strength: "heard" })]);
    expect(told.roots.map(({ latent }) => latent)).toEqual([false, true]);
  });
});

describe("denials", () => {
  it("by policies that are meant so are told apart from failures", () => {
    const failures = [
      failed(all("node.forward w1", denied("lock"))),
      failed(denied("lock")),
      failed(denied("lock", "key")),
    ];
    const told = explained({}, [], failures);
    expect(told.unexplained).toEqual([]);
    expect(
      told.meant.map(({ policies, observations }) => [policies.map(({ name }) => name), observations.length]),
    ).toEqual([
      [["lock"], 2],
      [["lock", "key"], 1],
    ]);
  });

  it("are not meant where the policy itself is at fault", () => {
    const defect = fault("policy", "NetworkPolicy/shop/lock", ["policy.allow policy=NetworkPolicy/shop/lock"]);
    const told = explained({}, [defect], [failed(denied("lock"))]);
    expect(only(told).owned).toHaveLength(1);
    expect(told.meant).toEqual([]);
  });

  it("are not meant where something else makes it fail anyhow", () => {
    const told = explained({}, [FORWARD], [failed(all("node.forward w1", denied("lock")))]);
    expect(only(told).owned).toHaveLength(1);
    expect(told.meant).toEqual([]);
  });

  it("are meant where something else only may make it fail", () => {
    const told = explained({}, [FORWARD], [failed(all(perhaps("node.forward w1"), denied("lock")))]);
    expect(told.meant).toHaveLength(1);
    expect(only(told).owned).toEqual([]);
  });
});

describe("blind spots", () => {
  const spots = (told: Explanation) =>
    told.blindSpots.map(({ missing, matters, roots }) => [
      missing.map(({ kind }) => kind).join("+"),
      matters,
      roots.length,
    ]);
  const ROUTES = [{ kind: "routes", place: { node: "w1" } }] as const;

  it("matter if they hide something that traffic needs now", () => {
    expect(spots(explained({}, [cannotTell("pod-network.entries w1", ROUTES)]))).toEqual([["routes", true, 0]]);
    expect(spots(explained({}, [cannotTell("component.learn w1", [{ kind: "containerLog" }])]))).toEqual([
      ["containerLog", false, 0],
    ]);
  });

  it("do not matter where a test passed through", () => {
    const through = succeeded(any("pod-network.entries w1 w2", "pod-network.entries w2 w1"));
    expect(spots(explained({}, [cannotTell("pod-network.entries w1", ROUTES)], [through]))).toEqual([
      ["routes", false, 0],
    ]);
  });

  it("are none where it is known to work or known to be broken", () => {
    const blind = cannotTell("node.forward w1", ROUTES);
    expect(explained({}, [blind, works("node.forward w1")]).blindSpots).toEqual([]);
    expect(explained({}, [blind, FORWARD]).blindSpots).toEqual([]);
    expect(explained({}, [blind], [succeeded("node.forward w1")]).blindSpots).toEqual([]);
  });

  it("are one for all that one kind of evidence would have told", () => {
    const told = explained({}, [
      cannotTell("pod-network.entries w1", ROUTES),
      cannotTell("pod-network.entries w2", [{ kind: "routes", place: { node: "w2" } }]),
      cannotTell("node.up w1", [{ kind: "nodes" }]),
    ]);
    expect(spots(told)).toEqual([
      ["routes+routes", true, 0],
      ["nodes", true, 0],
    ]);
    expect(told.blindSpots[0]?.capabilities.map(({ node }) => node)).toEqual(["w1", "w2"]);
  });

  it("are tests towards addresses that nothing tells of", () => {
    expect(spots(explained({ unmapped: 2 }, []))).toEqual([["pods+services+nodes", true, 0]]);
  });
});

describe("the order of roots", () => {
  const named = (check: string, strength: "direct" | "differing" | "heard" = "direct") =>
    fault(check, `Node/${check}`, [`node.up ${check}`], { strength });

  it("is by how sure they are, then by evidence, then by what they account for, then by name", () => {
    const faults = [named("b"), named("z", "differing"), named("a", "heard"), named("c"), named("a")];
    const told = explained({}, faults, [failed("node.up c")]);
    expect(told.roots.map(({ id }) => id)).toEqual(["c/Node/c", "a/Node/a", "b/Node/b", "z/Node/z"]);
  });

  it("does not depend on the order in which they were found", () => {
    const faults = [named("b"), named("a"), named("c", "heard")];
    const order = (found: typeof faults) => explained({}, found, []).roots.map(({ id }) => id);
    expect(order(faults)).toEqual(["a/Node/a", "b/Node/b", "c/Node/c"]);
    expect(order([...faults].reverse())).toEqual(order(faults));
  });
});

it("a root is as old as the oldest of what belongs to it", () => {
  const needs = { "service.rules w1": now("node.up w1") };
  const faults = [
    fault("node", "Node/w1", ["node.up w1"], { since: "2026-11-21T03:00:00Z" }),
    fault("rules", "Node/w1", ["service.rules w1"], { since: "2026-11-21T05:00:00+04:00" }),
  ];
  expect(only(explained({ needs }, faults)).since).toBe("2026-11-21T05:00:00+04:00");
  expect("since" in only(explained({}, [FORWARD]))).toBe(false);
});

it("warnings and what is past are handed on", () => {
  const common = { check: "a", repair: { kind: "Node", name: "w1" }, title: FORWARD.title, evidence: [] };
  const told = explained({}, [
    { outcome: "warning", related: [], ...common },
    { outcome: "past", ...common },
  ]);
  expect([told.warnings, told.history].map((list) => list.map(({ repair }) => refId(repair)))).toEqual([
    ["Node/w1"],
    ["Node/w1"],
  ]);
  expect(told.roots).toEqual([]);
});
