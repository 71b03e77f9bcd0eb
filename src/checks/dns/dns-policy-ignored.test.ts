import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editPods, edits, said } from "../../../testing/cluster-edits.ts";
import { ago, withSpec } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { dnsPolicyIgnored } from "./dns-policy-ignored.ts";

const onHost = (dnsPolicy?: string): Edit =>
  editPods("client", (pod) => ({
    ...withSpec({ hostNetwork: true, dnsPolicy })(pod),
    status: { ...pod.status, podIP: "172.16.0.2", podIPs: [{ ip: "172.16.0.2" }] },
  }));
const complains = (name = "backend.shop", at?: string): Edit =>
  said("client", [`curl: (6) Could not resolve host: ${name}`], at);
const itself = (...nameservers: readonly string[]): Edit =>
  editPods("frontend", withSpec({ dnsPolicy: "None", dnsConfig: { nameservers } }));
const byFrontend = said("frontend", ["curl: (6) Could not resolve host: backend.shop.svc.cluster.local"]);
const broken = edits(onHost("ClusterFirst"), complains());
const healedBy = () => cluster().edit(onHost("ClusterFirstWithHostNet"));
const FOUND = { repair: "DaemonSet/tools/client", breaks: ["dns.client"], strength: "direct" as const, healedBy };

testCheck(dnsPolicyIgnored, {
  finds: {
    "an agent was put on the host network, and calls a Service by name": {
      ...FOUND,
      given: cluster().edit(broken),
      says: ["Pods of DaemonSet/tools/client do not resolve backend.shop", "ClusterFirst means the node's own"],
    },
    "somebody took Default for the default": {
      ...FOUND,
      given: cluster().edit(editPods("frontend", withSpec({ dnsPolicy: "Default" })), byFrontend),
      repair: "Deployment/shop/frontend",
      says: ["dnsPolicy Default means the node's own name servers"],
      healedBy: () => cluster(),
    },
    "Pods are to ask servers outside the cluster": {
      ...FOUND,
      given: cluster().edit(itself("198.51.100.53"), byFrontend),
      repair: "Deployment/shop/frontend",
      says: ["with dnsPolicy None they ask 198.51.100.53, none of which is cluster DNS"],
      healedBy: () => cluster(),
    },
    "no policy was chosen": { ...FOUND, given: cluster().edit(onHost(), complains()) },
  },
  clears: {
    "a healthy cluster": cluster(),
    "the policy for it was chosen": cluster().edit(onHost("ClusterFirstWithHostNet"), complains()),
    "with None, Pods ask cluster DNS": cluster().edit(itself("10.96.0.10"), byFrontend),
    "with None, Pods ask a resolver of their own in the cluster": cluster().edit(itself("10.96.10.1"), byFrontend),
    "nobody complains": cluster().edit(onHost("ClusterFirst")),
    "it did yesterday": cluster().edit(onHost("ClusterFirst"), complains("backend.shop", ago(90_000))),
    "of a name that is no Service's": cluster().edit(onHost("ClusterFirst"), complains("api.example.org")),
    "it is not on the host network": cluster().edit(complains()),
    "the node's own resolver is cluster DNS": cluster().edit(broken, (draft) => {
      for (const node of ["cp1", "w1", "w2"])
        editNode(draft, "nodeResolvConf", node, (resolver) => ({ ...resolver, nameservers: ["10.96.0.10"] }));
    }),
  },
});

describe("a dnsPolicy that is ignored", () => {
  it("is the one root, and owns what its Pods say", () => {
    const { rootCauses, unexplained } = diagnose(cluster().edit(broken).capture);
    expect(rootCauses.map(({ id }) => id)).toEqual(["dns-policy-ignored/DaemonSet/tools/client"]);
    expect(unexplained).toEqual([]);
    expect(JSON.stringify(rootCauses[0]!.explains)).toContain("Could not resolve host: backend.shop");
  });
});
