import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { probed } from "../../../testing/cluster-edits.ts";
import { outsideUnreachable } from "./outside-unreachable.ts";

const target = "198.51.100.80:443";
const asked = (result: string) =>
  cluster().edit(probed("client", "tcp", target, result), (draft) => {
    const from = { node: "cp1", network: "host" } as const;
    const earlier = draft.get("probes", {})!;
    draft.set("probes", {}, [...earlier, { ...earlier[0]!, line: 2, from }]);
  });
const healedBy = () => asked("ok");

testCheck(outsideUnreachable, {
  finds: {
    "the gateway of a node's network is down": {
      given: asked("timeout"),
      repair: "Node/cp1",
      says: ["Nothing outside the cluster answers node cp1 and its Pods"],
      breaks: ["outside.reach"],
      strength: "inferred",
      healedBy,
    },
  },
  clears: {
    "it answers": asked("ok"),
    "only the node's Pods are not answered": cluster().edit(probed("client", "tcp", target, "timeout")),
  },
});
