import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { dropRules, type Edit, ipvsMode, probedPairs } from "../../../testing/cluster-edits.ts";
import { NOW } from "../../../testing/cluster-nodes.ts";
import { diagnose } from "../../diagnose.ts";
import { ipvsConntrackOff } from "./ipvs-conntrack-off.ts";

const KEY = "net.ipv4.vs.conntrack";
const tracks =
  (value: string): Edit =>
  (draft) =>
    editNode(draft, "sysctls", "w1", (all) => new Map([...all, [KEY, { value, line: all.size + 1 }]]));
const inIpvsMode = (value: string) => cluster().edit(ipvsMode("w1"), tracks(value));

testCheck(ipvsConntrackOff, {
  finds: {
    "the module ip_vs was loaded anew under a running kube-proxy": {
      given: inIpvsMode("0"),
      repair: "Node/w1",
      says: ["IPVS on node w1 does without connection tracking (net.ipv4.vs.conntrack is 0)"],
      breaks: ["service.masquerade", "pod.hairpin"],
      strength: "direct",
      healedBy: () => inIpvsMode("1"),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "connections are tracked": inIpvsMode("1"),
    "the key is there in iptables mode": cluster().edit(tracks("0")),
  },
  cannotTell: {
    "service.masquerade": {
      "kernel parameters were not collected": cluster().edit(ipvsMode("w1")).without("sysctls"),
    },
  },
});

it("owns what programs on the node do not reach", () => {
  const built = inIpvsMode("0");
  const ip = built.model().services.get("shop", "backend")!.clusterIps[0]!;
  const from = { node: "w1", network: "host" } as const;
  const given = built.edit(
    dropRules("w1", /KUBE-SEP-/),
    probedPairs(() => true),
    (draft) => {
      const others = draft.get("probes", {}) ?? [];
      const line = others.length + 1;
      draft.set("probes", {}, [
        ...others,
        { line, at: NOW, from, test: "tcp", target: `${ip}:8080`, result: "timeout" },
      ]);
    },
  );
  const { rootCauses, unexplained } = diagnose(given.capture);
  expect(rootCauses.map(({ id }) => id)).toEqual(["ipvs-conntrack-off/Node/w1"]);
  expect(unexplained).toEqual([]);
});
