import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Passage, probedPairs } from "../../../testing/cluster-edits.ts";
import { nodeUnreachable } from "./node-unreachable.ts";

const tested = (passes: Passage) => cluster().edit(probedPairs(passes));
const healedBy = () => tested(() => true);

testCheck(nodeUnreachable, {
  finds: {
    "a route between two racks is gone": {
      given: tested((from, to, kind) => kind === "pod" || [from, to].sort().join() !== "w1,w2"),
      repair: "Node/w1",
      says: ["Nodes w1 and w2 do not reach each other"],
      breaks: ["node.reach"],
      strength: "inferred",
      healedBy,
    },
    "a switch port is down": {
      given: tested((from, to, kind) => kind === "pod" || ![from, to].includes("w2")),
      repair: "Node/w2",
      says: ["Node w2 is cut off from the other nodes"],
      healedBy,
    },
    "the nodes' network is down": {
      given: tested((_from, _to, kind) => kind === "pod"),
      repair: "Cluster/cluster",
      says: ["The nodes (cp1, w1, w2) do not reach each other"],
      healedBy,
    },
  },
  clears: {
    "all tests pass": healedBy(),
    "only Pods fail": tested((_from, _to, kind) => kind === "node"),
  },
});
