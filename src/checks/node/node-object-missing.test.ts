import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addEvents, editObjects, edits } from "../../../testing/cluster-edits.ts";
import { nodeObjectMissing } from "./node-object-missing.ts";

const deleted = editObjects("nodes", "w2", () => undefined);
const removed = addEvents({ kind: "Node", name: "w2" }, "RemovingNode", [
  "Node w2 event: Removing Node w2 from Controller",
]);

testCheck(nodeObjectMissing, {
  finds: {
    "somebody deleted a Node whose machine runs": {
      given: cluster().edit(edits(deleted, removed)),
      repair: "Node/w2",
      says: ["Node w2 is no longer in the cluster, and its kubelet runs"],
      breaks: ["node.ready", "pod-network.entries"],
      strength: "direct",
      healedBy: () => cluster(),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "the node was taken out, its kubelet with it": cluster().edit(deleted, (draft) =>
      draft.set("processes", { node: "w2" }, [{ pid: 1, ppid: 0, command: "/sbin/init", line: 2 }]),
    ),
  },
  cannotTell: {
    "node.ready": {
      "the list of Nodes was not collected": cluster().without("nodes"),
      "what runs on the node was not seen": cluster().edit(deleted).without("processes", { node: "w2" }),
    },
  },
});
