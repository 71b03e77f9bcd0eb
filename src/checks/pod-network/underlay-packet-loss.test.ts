import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Passage, probedPairs } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import { underlayPacketLoss } from "./underlay-packet-loss.ts";

const tested = (passes: Passage) => cluster().edit(probedPairs(passes));
const healedBy = () => tested(() => true);
const between =
  (a: string, b: string): Passage =>
  (from, to, kind) =>
    kind === "node" || !((from === a && to === b) || (from === b && to === a));

testCheck(underlayPacketLoss, {
  finds: {
    "a security group forgot VXLAN between two racks": {
      given: tested(between("w1", "w2")),
      repair: "Node/w1",
      says: ["Packets of Pods are lost between nodes w1 and w2, although both ends are right"],
      breaks: ["underlay.carry"],
      strength: "inferred",
      healedBy,
    },
    "the new node stands in another security group": {
      given: tested((from, to, kind) => kind === "node" || (from !== "w2" && to !== "w2")),
      repair: "Node/w2",
      says: ["between node w2 and every other node"],
      breaks: ["underlay.carry"],
      healedBy,
    },
    "nobody allowed UDP 8472 anywhere": {
      given: tested((_from, _to, kind) => kind === "node"),
      repair: "Cluster/cluster",
      says: ["between all nodes (cp1, w1, w2)"],
      healedBy,
    },
  },
  clears: {
    "all tests pass": healedBy(),
    "nobody tested anything": cluster(),
    "the nodes do not reach each other either": tested(() => false),
    "only large packets are lost": tested((_from, _to, _kind, size) => size < 1300),
  },
});

it("tells how the packets of a pair are captured at both ends, so that what is captured can be read back", () => {
  const [root] = diagnose(tested(between("w1", "w2")).capture).rootCauses;
  const [sent, arrived] = root!.remedies[0]!.steps;
  expect([sent?.change, arrived?.change]).toMatchObject([
    { node: "w1", run: expect.stringContaining("tcpdump -nn -tt -q -c 1000 -i flannel.1") },
    { node: "w2", run: expect.stringContaining("tcpdump -nn -tt -q -c 1000 -i flannel.1") },
  ]);
  expect(sent?.why.en).toContain("run this there and the next on w2, at once, and ping 10.128.2.");
});
