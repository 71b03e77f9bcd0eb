import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { conntrackTableFull } from "./conntrack-table-full.ts";

const counting = (built: Cluster, count: number, max: number) =>
  built.edit((draft) => draft.set("conntrackCount", { node: "w1" }, { count, max }));

testCheck(conntrackTableFull, {
  finds: [
    {
      story: "a load test filled the table of w1",
      given: counting(cluster(), 262144, 262144),
      repair: "Node/w1",
      says: ["The connection-tracking table of node w1 is full (262144 of 262144)"],
      breaks: ["node.track"],
      strength: "direct",
      // what raises the limit leaves the entries
      healedBy: (broken) => counting(broken, 262144, 524288),
    },
    {
      story: "entries are dropped as fast as they come: a few are always free",
      given: counting(cluster(), 261900, 262144),
      repair: "Node/w1",
      healedBy: (broken) => counting(broken, 90000, 262144),
    },
    {
      story: "a tuning script lowered the limit below what there was",
      given: counting(cluster({ flavour: "managed" }), 70000, 65536),
      repair: "Node/w1",
      healedBy: (broken) => counting(broken, 70000, 262144),
    },
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "a busy node with room left", given: counting(cluster(), 240000, 262144) },
    { story: "a limit of 0, which is none", given: counting(cluster(), 300000, 0) },
  ],
  cannotTell: [
    {
      story: "the count of w1 was not collected",
      given: cluster().without("conntrackCount", { node: "w1" }),
      capability: "node.track",
    },
  ],
});
