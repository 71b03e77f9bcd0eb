import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects } from "../../../testing/cluster-edits.ts";
import { ago, annotated, created } from "../../../testing/object-states.ts";
import { explain } from "../../cause/explain.ts";
import { reasoningOf } from "../../diagnose.ts";
import { CHECKS } from "../registry.ts";
import { runChecks } from "../run.ts";
import { tunnelMacDuplicate } from "./tunnel-mac-duplicate.ts";

const DATA = "flannel.alpha.coreos.com/backend-data";
const macOf = (node: string): string => cluster().model().flannel.peer(node)!.mac!;

/** What the node announces, and what its device has, is w1's. */
const cloned = (node: string): Edit[] => [
  editObjects("nodes", node, annotated({ [DATA]: JSON.stringify({ VNI: 1, VtepMAC: macOf("w1") }) })),
  editObjects("nodes", node, created(ago(600))),
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) => (link.name === "flannel.1" ? { ...link, mac: macOf("w1") } : link)),
    ),
];
/** Each node has one FDB entry for the MAC address: the node that came last has it. */
const forwarding = (node: string): Edit[] => [
  (draft) =>
    editNode(draft, "fdb", node, (fdb) =>
      fdb
        .filter(({ mac }) => mac !== macOf("w1"))
        .map((entry) => (entry.mac === macOf("w2") ? { ...entry, mac: macOf("w1") } : entry)),
    ),
  (draft) =>
    editNode(draft, "neighbours", node, (all) =>
      all.map((one) => (one.mac === macOf("w2") ? { ...one, mac: macOf("w1") } : one)),
    ),
];
const twins = cluster().edit(...cloned("w2"), ...forwarding("cp1"));
const healedBy = () => cluster();

testCheck(tunnelMacDuplicate, {
  finds: {
    "w2 was cloned from w1, with its machine ID": {
      given: twins,
      repair: "Node/w2",
      says: ["Nodes w2 and w1 have one MAC address", "for their tunnels"],
      breaks: ["pod-network.entries", "pod-network.address"],
      strength: "direct",
      healedBy,
    },
    "what they announce was not collected": {
      given: twins.without("nodes"),
      repair: "Node/w2",
      healedBy: (broken: Cluster) => broken.edit((draft) => draft.set("links", { node: "w2" }, [])),
    },
  },
  clears: { "a healthy cluster": cluster(), "a single node": cluster({ nodes: 1 }) },
});

it("is the one root: other nodes have no room for two entries", () => {
  const model = twins.model();
  const { outcomes } = runChecks(CHECKS, model, () => 0);
  const { roots } = explain(outcomes, model, reasoningOf(CHECKS, model));
  expect(roots.map(({ id }) => id)).toEqual(["tunnel-mac-duplicate/Node/w2"]);
});
