import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { addEvents, type Edit, editPods, edits } from "../../../testing/cluster-edits.ts";
import { unready } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import type { Family } from "../../net/ip.ts";
import type { RoutingRule } from "../../parse/iproute2/rule.ts";
import { routingRuleWrong } from "./routing-rule-wrong.ts";

/** Adds a rule, and its table 77 with nothing but a default route. */
const added =
  (rule: Partial<RoutingRule>, family: Family = 4): Edit =>
  (draft) => {
    editNode(draft, family === 4 ? "routingRules" : "routingRules6", "w1", (rules) => [
      ...rules,
      { priority: 100, action: "to_tbl", table: "77", negated: false, ...rule },
    ]);
    editNode(draft, "routes", "w1", (routes) => [
      ...routes,
      ...routes
        .filter(({ destination }) => /^(0\.0\.0\.0|::)\/0$/.test(destination))
        .map((route) => ({ ...route, table: "77" })),
    ]);
  };
const { table: _, ...prohibiting } = { action: "prohibit", table: undefined };
const healedBy = () => cluster();
const dual = cluster({ families: "dual-stack" });
const only6 = cluster({ families: "ipv6" });

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
    "dual stack: a VPN takes what comes from Pods over IPv6": {
      given: dual.edit(added({ source: "fd00:10:128::/48" }, 6)),
      repair: "Node/w1",
      says: ["takes packets for its Pods elsewhere", "pref 100 from fd00:10:128::/48 lookup 77", "(IPv6)"],
      breaks: ["node.route"],
      strength: "direct",
      healedBy: () => dual,
    },
    "IPv6 only: somebody forbade the Pods of w1 those of w2": {
      given: only6.edit(added({ destination: "fd00:10:128:3::/64", inputDevice: "cni0", ...prohibiting }, 6)),
      repair: "Node/w1",
      says: ["takes packets of its Pods for Pods of w2 elsewhere"],
      breaks: ["node.route"],
      healedBy: () => only6,
    },
  },
  clears: {
    "a dual-stack cluster": dual,
    "an IPv6 cluster": only6,
    "a healthy cluster": cluster(),
    "a rule for what comes from elsewhere": cluster().edit(added({ source: "192.0.2.0/24" })),
    "a rule that leads to a table that knows the Pod network": cluster().edit(
      added({ source: "10.128.0.0/9", table: "main" }),
    ),
    "nobody looked into the nodes": cluster().without("routingRules").without("routes"),
  },
});

it("of one address family is removed from it, and leaves the other's way as it was", () => {
  const [root, ...others] = diagnose(dual.edit(added({ source: "fd00:10:128::/48" }, 6)).capture).rootCauses;
  expect([root?.id, others]).toEqual(["routing-rule-wrong/Node/w1", []]);
  expect(JSON.stringify(root?.remedies)).toContain("ip -6 rule del pref 100 from fd00:10:128::/48 lookup 77");
});

describe("Pods of the node that are not ready", () => {
  const backends = cluster()
    .model()
    .pods.all.filter(({ key }) => key.startsWith("shop/backend-"));
  const unreadyWith = (answer: string): Edit =>
    edits(
      added({ source: "10.128.0.0/9" }),
      editPods("backend", (pod) => ({ ...unready()(pod), spec: { ...pod.spec, nodeName: "w1" } })),
      ...backends.map(({ namespace, name }) =>
        addEvents({ kind: "Pod", namespace, name }, "Unhealthy", [`Readiness probe failed: ${answer}`]),
      ),
    );
  const found = (answer: string) =>
    diagnose(cluster().edit(unreadyWith(answer)).capture).rootCauses.map(({ id }) => id);

  it("follow from it where their probes get no answer", () => {
    expect(found('Get "http://10.128.1.4:8080/": context deadline exceeded')).toEqual(["routing-rule-wrong/Node/w1"]);
  });

  it("do not where they answer, and badly", () => {
    expect(found("HTTP probe failed with statuscode: 500")).toEqual([
      "routing-rule-wrong/Node/w1",
      "service-without-endpoints/Deployment/shop/backend",
    ]);
  });
});
