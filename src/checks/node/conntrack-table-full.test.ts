import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { conntrackTableFull } from "./conntrack-table-full.ts";

const counting = (built: Cluster, count: number, max: number) =>
  built.edit((draft) => draft.set("conntrackCount", { node: "w1" }, { count, max }));

testCheck(conntrackTableFull, {
  finds: {
    "a load test filled the table of w1": {
      given: counting(cluster(), 262144, 262144),
      repair: "Node/w1",
      says: ["The connection-tracking table of node w1 is full (262144 of 262144)"],
      breaks: ["node.track"],
      strength: "direct",
      // what raises the limit leaves the entries
      healedBy: (broken) => counting(broken, 262144, 524288),
    },
    "entries are dropped as fast as they come: a few are always free": {
      given: counting(cluster(), 261900, 262144),
      repair: "Node/w1",
      healedBy: (broken) => counting(broken, 90000, 262144),
    },
    "a tuning script lowered the limit below what there was": {
      given: counting(cluster({ flavour: "managed" }), 70000, 65536),
      repair: "Node/w1",
      healedBy: (broken) => counting(broken, 70000, 262144),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a busy node with room left": counting(cluster(), 240000, 262144),
    "a limit of 0, which is none": counting(cluster(), 300000, 0),
  },
  cannotTell: {
    "node.track": {
      "the count of w1 was not collected": cluster().without("conntrackCount", { node: "w1" }),
    },
  },
});
