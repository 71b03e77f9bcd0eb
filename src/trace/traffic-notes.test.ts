import { expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import { addRules, editObjects } from "../../testing/cluster-edits.ts";
import { withSpec } from "../../testing/object-states.ts";
import { parseIp } from "../net/ip.ts";
import { isProblem, pathBetween } from "../path.ts";
import type { Ends } from "./ends/ends.ts";
import { trafficNotes } from "./traffic-notes.ts";

const notesOf = (given: Cluster, from: string, to: string): readonly string[] => {
  const path = pathBetween(given.capture, { from, to });
  return isProblem(path) ? [path.problem.en] : path.notes.map(({ en }) => en);
};

const built = cluster();
const local = built.model().services.get("shop", "backend-local")!;
const port = local.ports[0]!;
const without = built
  .model()
  .nodes.all.find(({ name }) => (built.model().services.expected(port, name).local ?? []).length === 0)!;

it("an external policy of Local ends packets on purpose where the node has no back end", () => {
  const [note] = notesOf(built, "outside", `${without.addresses[0]}:${port.nodePort}`);
  expect(note).toMatch(
    new RegExp(
      `^Service shop/backend-local has externalTrafficPolicy Local and no ready back end on ${without.name}, `,
    ),
  );
});

it("not where the node has one, nor for what begins on the node itself", () => {
  const having = built.model().nodes.all.find(({ name }) => name !== without.name)!;
  const shut = built.edit(addRules(having.name, "mangle", "-A PREROUTING -i eth0 -j DROP"));
  expect(notesOf(shut, "outside", `${having.addresses[0]}:${port.nodePort}`)).toEqual([]);
  expect(notesOf(built, without.name, `${without.addresses[0]}:${port.nodePort}`)).toEqual([]);
});

it("an internal policy of Local", () => {
  const given = built
    .edit(editObjects("services", "backend-local", withSpec({ internalTrafficPolicy: "Local" })))
    .edit(addRules(without.name, "filter", `-A OUTPUT -d ${local.clusterIps[0]}/32 -j DROP`))
    .edit(addRules(without.name, "nat", `-A OUTPUT -d ${local.clusterIps[0]}/32 -j ACCEPT`));
  expect(notesOf(given, without.name, `${local.clusterIps[0]}:${port.port}`).join("\n")).toContain(
    `Service shop/backend-local has internalTrafficPolicy Local and no ready back end on ${without.name}; it has on `,
  );
});

it("source ranges bar who is in none of them, at the load balancer's address only", () => {
  const address = "203.0.113.9";
  const barred = editObjects("services", "frontend", ({ status: _, ...object }) => ({
    ...withSpec({ type: "LoadBalancer", loadBalancerSourceRanges: ["192.0.2.0/24"] })(object),
    status: { loadBalancer: { ingress: [{ ip: address }] } },
  }));
  const model = built.edit(barred).model();
  const ends: Ends = {
    from: { outside: parseIp("198.51.100.7")! },
    to: { is: "address", address: parseIp(address)! },
    protocol: "tcp",
    families: [4],
    port: 80,
  };
  const said = (to: string, from: string) =>
    trafficNotes(parseIp(to)!, parseIp(from)!, ends, model).map(({ en }) => en);
  expect(said(address, "198.51.100.7")).toEqual([
    "Service shop/frontend takes what comes to 203.0.113.9 from 192.0.2.0/24 only (loadBalancerSourceRanges), and 198.51.100.7 is not among them",
  ]);
  expect(said(address, "192.0.2.5")).toEqual([]);
});
