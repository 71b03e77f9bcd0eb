import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import type { RoutingRule } from "../../parse/ip-rule.ts";
import { routingRuleWrong } from "./routing-rule-wrong.ts";

/** Adds a rule, and its table 77 with nothing but a default route. */
const added =
  (rule: Partial<RoutingRule>): Edit =>
  (draft) => {
    editNode(draft, "routingRules", "w1", (rules) => [
      ...rules,
      { priority: 100, action: "to_tbl", table: "77", negated: false, ...rule },
    ]);
    editNode(draft, "routes", "w1", (routes) => [
      ...routes,
      ...routes.filter(({ destination }) => destination === "0.0.0.0/0").map((route) => ({ ...route, table: "77" })),
    ]);
  };
const { table: _, ...prohibiting } = { action: "prohibit", table: undefined };
const healedBy = () => cluster();

testCheck(routingRuleWrong, {
  finds: {
    "a VPN sends all that comes from Pods to a table with only a default route": {
      given: cluster().edit(added({ source: "10.128.0.0/9" })),
      repair: "Node/w1",
      says: ["takes packets for its Pods elsewhere", "pref 100 from 10.128.0.0/9 lookup 77"],
      breaks: ["node.route"],
      strength: "direct",
      healedBy,
    },
    "somebody forbade the Pods of w1 those of w2": {
      given: cluster().edit(added({ destination: "10.128.2.0/24", inputDevice: "cni0", ...prohibiting })),
      repair: "Node/w1",
      says: ["takes packets of its Pods for Pods of w2 elsewhere", "iif cni0"],
      breaks: ["node.route"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a rule for what comes from elsewhere": cluster().edit(added({ source: "192.0.2.0/24" })),
    "a rule that leads to a table that knows the Pod network": cluster().edit(
      added({ source: "10.128.0.0/9", table: "main" }),
    ),
    "nobody looked into the nodes": cluster().without("routingRules").without("routes"),
  },
});
