/**
 * Rules that no kernel holds, that were cut off, or that use what nobody knows: neither a diagnosis nor a path says that all
 * is well where they may decide, and neither crashes.
 */
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Capture } from "../../src/evidence/capture.ts";
import { overlay } from "../../src/evidence/overlay.ts";
import { pathOf } from "../../src/evidence/path.ts";
import { printIptablesSave } from "../../src/parse/iptables/print.ts";
import type { NftStatement } from "../../src/parse/nftables/json.ts";
import { isProblem, pathBetween } from "../../src/path.ts";
import { type Cluster, cluster } from "../cluster.ts";
import { addNftRule, addRules, editNft } from "../cluster-edits.ts";
import { captureOf } from "../recordings.ts";

const inIptables = cluster();
const inNft = cluster({ proxy: "nftables" });

/** A cluster whose iptables of w1 were read from what iptables-save prints, changed. */
function printed(built: Cluster, change: (text: string) => string = (text) => text): Capture {
  const place = { node: "w1" };
  const { iptables } = built.model().forwarding.of("w1");
  if (iptables.state !== "present") throw new Error("the built cluster has no iptables of w1");
  const text = change(printIptablesSave(iptables.value));
  const observed = captureOf(new Map([[pathOf("iptables", place), text]])).get("iptables", place);
  return overlay(built.capture, [{ kind: "iptables", place, observed }]);
}

/** It ended before the first line that matches. */
const cutBefore = (pattern: RegExp): Capture =>
  printed(inIptables, (text) => {
    const end = text.search(pattern);
    if (end < 0) throw new Error(`no line of the iptables of w1 matches ${pattern}`);
    return text.slice(0, end);
  });

const rules = (table: string, ...lines: readonly string[]): Capture =>
  printed(inIptables.edit(addRules("w1", table, ...lines)));
const nftRule = (chain: string, ...statements: readonly NftStatement[]): Capture =>
  inNft.edit(addNftRule("w1", chain, ...statements)).capture;
const jump = (is: "jump" | "goto", chain: string): NftStatement => ({ does: "verdict", verdict: { is, chain } });

/** Chains of kube-proxy's table that lead to each other. */
const nftLoop = (is: "jump" | "goto"): Capture =>
  inNft.edit(
    editNft("w1", "kube-proxy", (table) => {
      const chain = (name: string, to: string) => ({
        ...{ name, item: 9000 },
        rules: [{ item: 9001, handle: 9001, statements: [jump(is, to)] }],
      });
      return { ...table, chains: [...table.chains, chain("first", "second"), chain("second", "first")] };
    }),
    addNftRule("w1", "nat-prerouting", jump(is, "first")),
  ).capture;

const STRANGE: Readonly<Record<string, Capture>> = {
  "iptables-save ended among the rules of KUBE-SERVICES": cutBefore(
    /^.*-A KUBE-SERVICES .*shop\/backend:http cluster IP/m,
  ),
  "it ended among the rules of FORWARD": cutBefore(/^.*-A FORWARD /m),
  "a match that nobody knows decides about a DROP": rules("filter", '-A FORWARD -m ebpf --program "x y" -j DROP'),
  "a target that nobody knows": rules("filter", "-A FORWARD -p tcp -j XDPDROP --how now"),
  "a target that nobody knows, before translation": rules("nat", "-A PREROUTING -j XDPDROP --how now"),
  "a jump to a chain that is not there": rules("filter", "-A FORWARD -j NOWHERE"),
  "chains that go to each other": rules(
    "filter",
    ...["-A FORWARD -g FIRST", "-A FIRST -g SECOND", "-A SECOND -g FIRST"],
  ),
  "a chain that jumps to itself, in nat": rules("nat", "-A PREROUTING -j SELF", "-A SELF -j SELF"),
  "nftables: a statement that nobody knows": nftRule("nat-prerouting", {
    does: "unknown",
    name: "xdp",
    text: '{"xdp":"drop"}',
  }),
  "nftables: a jump to a chain that is not there": nftRule("nat-prerouting", jump("jump", "nowhere")),
  "nftables: a goto to a chain that is not there": nftRule("nat-prerouting", jump("goto", "nowhere")),
  "nftables: chains that jump to each other": nftLoop("jump"),
  "nftables: chains that go to each other": nftLoop("goto"),
};

const client = inIptables
  .model()
  .pods.onNode("w1")
  .find(({ key }) => key.startsWith("tools/client"))!;

function pathOver(capture: Capture) {
  const path = pathBetween(capture, { from: client.key, to: "shop:svc/backend:8080" }, { explain: true });
  if (isProblem(path)) throw new Error(path.problem.en);
  return path;
}

it.each([
  ["iptables", printed(inIptables)],
  ["nftables", inNft.capture],
])("before anything strange happens all is well: %s", (_, capture) => {
  expect(diagnose(capture).verdict).toBe("healthy");
  expect(pathOver(capture).verdict).toBe("reaches");
});

describe.each(Object.entries(STRANGE))("%s", (_, strange) => {
  it("is no health in a diagnosis, and nothing of another node", () => {
    const { verdict, checks, rootCauses } = diagnose(strange);
    expect(checks.filter(({ outcome }) => outcome === "crashed")).toEqual([]);
    expect(verdict).not.toBe("healthy");
    expect(rootCauses.filter(({ object }) => object.name !== "w1")).toEqual([]);
  });

  it("is no arrival on a path", () => {
    const { verdict, summary } = pathOver(strange);
    expect(verdict, summary.en).not.toBe("reaches");
  });
});
