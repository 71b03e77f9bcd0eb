import { testCheck } from "../../../testing/check-stories.ts";
import { ciliumCluster } from "../../../testing/cilium-cluster.ts";
import { type Edit, editObjects } from "../../../testing/cluster-edits.ts";
import { dnsNamesNeverLearned } from "./dns-names-never-learned.ts";

const healthy = ciliumCluster();
const PORTS = [{ port: "53", protocol: "UDP" }];
const TO_DNS = { toEndpoints: [{ matchLabels: { "k8s-app": "kube-dns" } }] };
const BY_PORT = { ...TO_DNS, toPorts: [{ ports: PORTS }] };
const BY_PROXY = { ...TO_DNS, toPorts: [{ ports: PORTS, rules: { dns: [{ matchPattern: "*" }] } }] };
const BY_NAME = { toFQDNs: [{ matchName: "api.example.org" }, { matchPattern: "*.example.net" }] };

const policy = (name: string, egress: readonly object[]): Edit => {
  const spec = { endpointSelector: {}, egress };
  const metadata = { name, namespace: "shop", creationTimestamp: "2026-01-01T00:00:00Z" };
  return (draft) =>
    draft.setList("ciliumnetworkpolicies", [...draft.list("ciliumnetworkpolicies"), { metadata, spec }] as never);
};

testCheck(dnsNamesNeverLearned, {
  finds: {
    "DNS is allowed by its port alone": {
      given: healthy.edit(policy("egress", [BY_PORT, BY_NAME])),
      repair: "CiliumNetworkPolicy/shop/egress",
      says: ["to api.example.org, *.example.net by name", "rules.dns"],
      breaks: ["policy.allow"],
      strength: "direct",
      healedBy: () => healthy.edit(policy("egress", [BY_PROXY, BY_NAME])),
    },
  },
  clears: {
    "no policies": healthy,
    "queries pass the proxy": healthy.edit(policy("egress", [BY_PROXY, BY_NAME])),
    "another policy hands them on": healthy.edit(policy("names", [BY_NAME]), policy("dns", [BY_PROXY])),
    "the world is allowed anyway": healthy.edit(policy("egress", [BY_PORT, BY_NAME, { toEntities: ["world"] }])),
    "the agents have no proxy": healthy.edit(
      policy("egress", [BY_PORT, BY_NAME]),
      editObjects("configmaps", "cilium-config", (map) => ({
        ...map,
        data: { ...map.data, "enable-l7-proxy": "false" },
      })),
    ),
    "no names are meant": healthy.edit(policy("egress", [BY_PORT])),
  },
});
