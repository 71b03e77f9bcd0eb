/** Failures that no fault explains, where all else was seen to work. */
import { describe, expect, it } from "vitest";
import { all, any, denied, explained, failed, fault, succeeded, type World, works } from "../../testing/reasoning.ts";
import type { Outcome } from "../checks/check.ts";
import type { Observation } from "../model/observations.ts";

const NODES = ["w1", "w2", "w3"];
const ORIGIN = { kind: "command", path: "nodes/w1/conntrack.txt" } as const;
const EVIDENCE = [{ origin: ORIGIN, quote: "udp src=… [UNREPLIED]" }];

/** The titles of what is concluded, each with how it is known; and how many failures are left. */
function concluded(seen: readonly Observation[], outcomes: readonly Outcome[] = [], world: World = {}): string[] {
  const told = explained({ nodes: NODES, ...world }, outcomes, seen);
  const left = told.unexplained.length > 0 ? [`${told.unexplained.length} left`] : [];
  return [
    ...told.roots.flatMap(({ faults }) => faults.map(({ title, strength }) => `${title.en} (${strength})`)),
    ...left,
  ];
}

const carry = (pair: string) => failed(all("node.up w1", `underlay.carry ${pair}`), `pod.reach ${pair}`);
const carried = (pair: string) => succeeded(`underlay.carry ${pair}`);
const UP = works("node.up");

describe("the network between nodes", () => {
  it("is what remains between two nodes", () => {
    expect(concluded([carry("w1 w2"), carried("w1 w3"), carried("w2 w3")], [UP])).toEqual([
      "underlay.carry pair w1 w2 (inferred)",
    ]);
  });

  it("is of one node, if it fails with several others and works with none", () => {
    expect(concluded([carry("w1 w2"), carry("w1 w3"), carried("w2 w3")], [UP])).toEqual([
      "underlay.carry one-to-all w1 (inferred)",
    ]);
  });

  it("is of two pairs, if the node that they share reaches another", () => {
    const seen = [carry("w1 w2"), carry("w1 w3"), carried("w1 w4"), carried("w2 w3")];
    expect(concluded(seen, [UP], { nodes: [...NODES, "w4"] })).toEqual([
      "underlay.carry pair w1 w2 (inferred)",
      "underlay.carry pair w1 w3 (inferred)",
    ]);
  });

  it("is of all, if no node reaches any other", () => {
    expect(concluded([carry("w1 w2"), carry("w1 w3"), carry("w2 w3")], [UP])).toEqual([
      "underlay.carry all w1 w2 w3 (inferred)",
    ]);
  });

  it("is not suspected while something else that could be seen was not", () => {
    expect(concluded([carry("w1 w2")])).toEqual(["1 left"]);
  });

  it("is not suspected where it was seen to work", () => {
    expect(concluded([carry("w1 w2"), carried("w1 w2")], [UP])).toEqual(["1 left"]);
  });

  it("is not suspected where a fault explains the failure, or a policy means it", () => {
    const down = fault("down", "Node/w1", ["node.up w1"]);
    expect(concluded([carry("w1 w2")], [down])).toEqual(["down Node/w1 (direct)"]);
    expect(concluded([failed(all("underlay.carry w1 w2", denied("lock")))])).toEqual([]);
  });

  it("is not suspected by what was only heard", () => {
    expect(concluded([{ ...carry("w1 w2"), how: "heard" }], [UP])).toEqual([]);
  });

  it("is suspected for large packets, if small ones pass", () => {
    const large = failed(all("underlay.carry w1 w2", "underlay.carry-large w1 w2"), "pod.reach w1 w2");
    expect(concluded([large, carried("w1 w2")])).toEqual(["underlay.carry-large pair w1 w2 (inferred)"]);
    // if they do not, it is not about the size
    expect(concluded([large])).toEqual(["1 left"]);
  });
});

describe("what both ends saw of encapsulated packets", () => {
  const flows = (there: "arrived" | "lost", back: "arrived" | "lost") =>
    ({ "w1 w2": { state: there, evidence: EVIDENCE }, "w2 w1": { state: back, evidence: EVIDENCE } }) as const;

  it("makes more of it than elimination, if they were lost", () => {
    const [told] = explained({ nodes: NODES, flows: flows("lost", "arrived") }, [UP], [carry("w1 w2")]).roots;
    expect(told?.faults[0]).toMatchObject({ strength: "traced" });
    expect(told?.faults[0]?.evidence[0]).toEqual(EVIDENCE[0]);
  });

  it("acquits the network, if they arrived both ways", () => {
    expect(concluded([carry("w1 w2")], [UP], { flows: flows("arrived", "arrived") })).toEqual(["1 left"]);
  });
});

describe("a failure that leaves several things in doubt", () => {
  const either = failed(any("underlay.carry w1 w2", "underlay.carry w1 w3"));

  it("belongs to the one that is suspected already", () => {
    expect(concluded([either, carry("w1 w2"), carried("w2 w3")], [UP])).toEqual([
      "underlay.carry pair w1 w2 (inferred)",
    ]);
  });

  it("says nothing if they are of two kinds", () => {
    expect(concluded([failed(any("underlay.carry w1 w2", "node.reach w1 w2"))])).toEqual(["1 left"]);
  });
});

describe("the rest of the world", () => {
  it.each([
    ["the outside of a node", "outside.reach w1", "outside.reach one w1 (inferred)"],
    ["servers upstream, which are of no node", "dns.upstream", "dns.upstream one  (inferred)"],
    ["the way to a node", "node.reach w1 w2", "node.reach pair w1 w2 (inferred)"],
  ])("%s", (_, words, expected) => expect(concluded([failed(words)])).toEqual([expected]));
});
