import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Passage, probedPairs } from "../../../testing/cluster-edits.ts";
import { underlayMtuTooSmall } from "./underlay-mtu-too-small.ts";

const tested = (passes: Passage) => cluster().edit(probedPairs(passes));
const healedBy = () => tested(() => true);
const isLarge = (size: number) => size > 1300;

testCheck(underlayMtuTooSmall, {
  finds: {
    "one link between two nodes runs through a VPN": {
      given: tested((from, to, _kind, size) => !(isLarge(size) && [from, to].sort().join() === "w1,w2")),
      repair: "Node/w1",
      says: ["Large packets are lost between nodes w1 and w2: small ones pass"],
      breaks: ["underlay.carry-large"],
      strength: "inferred",
      healedBy,
    },
    "a node moved to another cloud zone": {
      given: tested((from, to, _kind, size) => !(isLarge(size) && [from, to].includes("w2"))),
      repair: "Node/w2",
      says: ["between node w2 and every other node: small ones pass"],
      healedBy,
    },
    "the whole cloud network has an MTU of 1350": {
      given: tested((_from, _to, _kind, size) => !isLarge(size)),
      repair: "Cluster/cluster",
      says: ["between all nodes (cp1, w1, w2): small ones pass"],
      healedBy,
    },
  },
  clears: {
    "all tests pass": healedBy(),
    "small packets are lost too": tested((_from, _to, kind) => kind === "node"),
  },
});
