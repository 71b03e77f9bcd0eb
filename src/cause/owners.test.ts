/** Two faults at once: which failure belongs to which of them, where needs alone would not tell, or tell it wrongly. */
import { describe, expect, it } from "vitest";
import { type Cluster, cluster, editNode } from "../../testing/cluster.ts";
import { addRules, type Edit } from "../../testing/cluster-edits.ts";
import { NOW } from "../../testing/cluster-nodes.ts";
import { any, explained, failed, fault, type World } from "../../testing/reasoning.ts";
import { CHECKS } from "../checks/registry.ts";
import { runChecks } from "../checks/run.ts";
import { reasoningOf } from "../diagnose.ts";
import type { Evidence } from "../evidence/origin.ts";
import type { Observation } from "../model/observations.ts";
import { ref } from "../model/ref.ts";
import { type Forecast, NO_FORECASTS } from "../trace/forecast.ts";
import type { End, Step, Way } from "../trace/trace.ts";
import { explain, type Reasoning } from "./explain.ts";

describe("in a small world", () => {
  const rule = (quote: string): Evidence => ({ origin: { kind: "command", path: "nodes/w1/iptables.txt" }, quote });
  const way = (end: End, ...steps: Step[]): Way => ({ steps, end, certainty: "certain" });
  const dropped = (node: string, quote: string): End => ({ is: "dropped", at: { node }, evidence: [rule(quote)] });
  const routed = (node: string, evidence: Evidence): Step => ({
    ...{ did: "route", at: { node }, device: "eth0" },
    evidence: [evidence],
  });
  const fails = (...failing: Way[]): Forecast => ({ says: "fails", ways: failing, failing });

  const onW1 = fault("drop", "Node/w1", ["node.forward w1"], { evidence: [rule("-j DROP")] });
  const onW2 = fault("entries", "Node/w2", ["pod-network.entries w2"], { strength: "differing" });
  const either = () => failed(any("node.forward w1", "pod-network.entries w2", "pod.ready pod=shop/a"));

  /** Who owns a failure, and how. */
  function owners(test: Observation, forecast: Forecast | undefined, faults = [onW1, onW2]): string[] {
    const world: World = forecast ? { forecasts: { ...NO_FORECASTS, of: () => forecast } } : {};
    const { roots } = explained(world, faults, [test]);
    return roots.flatMap(({ id, owned }) => owned.map(({ effect }) => `${id} ${effect}`));
  }

  it("both may have made it where nothing was walked", () => {
    expect(owners(either(), undefined)).toEqual(["drop/Node/w1 may", "entries/Node/w2 may"]);
  });

  it("it belongs to the one whose rule ends it, on whose node the needs do not even look", () => {
    const end = fails(way(dropped("w1", "-j DROP")));
    expect(owners(either(), end)).toEqual(["drop/Node/w1 must"]);
    expect(owners(failed("pod-network.entries w3"), end)).toEqual(["drop/Node/w1 must"]);
  });

  it("it belongs to both if its ways end at both, or one of them must make it fail anyway", () => {
    const entry = rule("no route");
    const lost = fault("entries", "Node/w2", ["pod-network.entries w2"], { evidence: [entry] });
    const two = fails(way(dropped("w1", "-j DROP")), way({ is: "lost", at: { node: "w2" }, evidence: [entry] }));
    expect(owners(either(), two, [onW1, lost])).toEqual(["drop/Node/w1 must", "entries/Node/w2 must"]);
    expect(owners(failed("pod-network.entries w2"), fails(way(dropped("w1", "-j DROP"))))).toEqual([
      "drop/Node/w1 must",
      "entries/Node/w2 must",
    ]);
  });

  it("a route that sent the packets where they ended is nearer than what is only on the same way", () => {
    const route = rule("10.0.2.0/24 via 10.9.9.9");
    const wrongRoute = fault("route", "Node/w1", ["node.route w1"], { evidence: [route] });
    const end: End = { is: "unreachable", at: { node: "w2" }, evidence: [] };
    const test = failed(any("node.route w1", "pod-network.entries w2", "pod.ready pod=shop/a"));
    expect(owners(test, fails(way(end, routed("w1", route))), [wrongRoute, onW2])).toEqual(["route/Node/w1 may"]);
  });

  it("it does not belong to one whose nodes its packets never come to, nor to one whose state they pass", () => {
    expect(owners(either(), fails(way(dropped("w1", "-j DROP"))), [onW2])).toEqual(["path-blocked/Node/w1 must"]);
    const passes: Forecast = { says: "works", ways: [way({ is: "answered", evidence: [] })], failing: [] };
    expect(owners(either(), passes)).toEqual([]);
  });

  it("what the walk does not read, or is only heard of, keeps what may be its own", () => {
    const passes: Forecast = { says: "works", ways: [way({ is: "answered", evidence: [] })], failing: [] };
    const agent = fault("agent", "DaemonSet/a", ["pod.ready pod=shop/a"]);
    const heardOf = fault("entries", "Node/w2", ["pod-network.entries w2"], { strength: "heard" });
    expect(owners(either(), passes, [agent, heardOf])).toEqual(["agent/DaemonSet/a may", "entries/Node/w2 may"]);
  });
});

describe("in a cluster", () => {
  const healthy = cluster();

  const probed =
    (from: string, test: "tcp" | "dns" | "icmp", target: string, result: string): Edit =>
    (draft) => {
      const earlier = draft.get("probes", {}) ?? [];
      const node = from.replace("client-", "");
      const place = { node, network: "pod", pod: `tools/${from}` } as const;
      draft.set("probes", {}, [...earlier, { line: earlier.length + 1, at: NOW, from: place, test, target, result }]);
    };
  const withoutRoute =
    (node: string, destination: string): Edit =>
    (draft) =>
      editNode(draft, "routes", node, (all) => all.filter((route) => route.destination !== destination));
  const withoutEntry =
    (node: string, destination: string): Edit =>
    (draft) =>
      editNode(draft, "fdb", node, (all) => all.filter((entry) => entry.destination !== destination));

  /** The owners of each test, as the needs alone tell them and as the walk does. */
  function told(given: Cluster): { readonly byNeeds: readonly string[]; readonly byWalk: readonly string[] } {
    const model = given.model();
    const { outcomes } = runChecks(CHECKS, model, () => 0);
    const reasoning = reasoningOf(CHECKS, model);
    const ownersBy = (by: Reasoning) => {
      const { roots } = explain(outcomes, model, by);
      return model.observations.failed.map((test) =>
        roots
          .filter(({ owned }) => owned.some(({ observation }) => observation === test))
          .map(({ id }) => id)
          .sort()
          .join(" and "),
      );
    };
    return { byNeeds: ownersBy({ ...reasoning, forecasts: NO_FORECASTS }), byWalk: ownersBy(reasoning) };
  }

  it("a Service without endpoints, asked from a node that does not forward: both", () => {
    const { byNeeds, byWalk } = told(
      healthy
        .with(
          {
            do: "patch",
            target: ref("Service", "frontend", "shop"),
            patch: { spec: { selector: { app: "frontend-v2" } } },
          },
          { do: "sysctl", node: "w1", key: "net.ipv4.ip_forward", value: "0" },
        )
        .edit(probed("client-w1", "tcp", "10.96.10.2:80", "timeout")),
    );
    const [forwarding, service] = ["ip-forwarding-off/Node/w1", "service-without-endpoints/Service/shop/frontend"];
    expect(byNeeds).toEqual([service]);
    expect(byWalk).toEqual([`${forwarding} and ${service}`]);
  });

  it("a rule that drops questions, beside a route that is gone", () => {
    const { byNeeds, byWalk } = told(
      healthy.edit(
        addRules("w1", "mangle", "-A PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 53 -j DROP"),
        withoutRoute("w1", "10.128.2.0/24"),
        probed("client-w1", "dns", "kubernetes.default.svc.cluster.local.", "timeout"),
        probed("client-w1", "icmp", "10.128.2.2", "timeout"),
      ),
    );
    const [rules, entries] = ["service-rules-mismatch/Node/w1", "pod-network-entry-mismatch/Node/w1"];
    expect(byNeeds).toEqual([`${entries} and ${rules}`, entries]);
    expect(byWalk).toEqual([rules, entries]);
  });

  it("a rule that drops what one Pod asks, beside an entry that is gone on the way back from another node", () => {
    const { byNeeds, byWalk } = told(
      healthy.edit(
        addRules("w1", "mangle", "-A PREROUTING -s 10.128.1.2/32 -p tcp -m tcp --dport 8080 -j DROP"),
        withoutEntry("w2", "172.16.0.2"),
        probed("client-w1", "tcp", "10.96.10.1:8080", "timeout"),
      ),
    );
    const [drop, entries] = ["packet-filter-drop/Node/w1", "pod-network-entry-mismatch/Node/w2"];
    expect(byNeeds).toEqual([`${drop} and ${entries}`]);
    expect(byWalk).toEqual([drop]);
  });
});
