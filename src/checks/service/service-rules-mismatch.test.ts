import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import {
  addRules,
  ago,
  dropRules,
  type Edit,
  editIptables,
  editObjects,
  editPods,
  edits,
  ipvsMode,
} from "../../../testing/cluster-edits.ts";
import { chainHash } from "../../model/agents/kube-proxy.ts";
import { ref } from "../../model/ref.ts";
import type { VirtualServer } from "../../parse/ipvsadm.ts";
import { serviceRulesMismatch } from "./service-rules-mismatch.ts";

const healthy = () => cluster();
const BACKEND = "10.96.10.1/32";
const SVC = `KUBE-SVC-${chainHash("shop/backend:httptcp")}`;
const REFUSED = `-A KUBE-SERVICES -d ${BACKEND} -p tcp -m comment --comment "shop/backend:http has no endpoints" -m tcp --dport 8080 -j REJECT --reject-with icmp-port-unreachable`;
const flushNat: Edit = dropRules("w1", /KUBE-(SERVICES|SVC|SEP|EXT|SVL|NODEPORTS|MARK-MASQ|POSTROUTING)/);
const noRule = dropRules("w1", new RegExp(`-A KUBE-SERVICES -d ${BACKEND}`));
const ipvs = (...more: readonly Edit[]) => cluster().edit(edits(ipvsMode("w1"), ...more));
const servers =
  (change: (server: VirtualServer) => VirtualServer | undefined): Edit =>
  (draft) =>
    editNode(draft, "ipvs", "w1", (all) =>
      all.flatMap((server) => (server.address === "10.96.10.1" ? (change(server) ?? []) : server)),
    );
const drain = (server: VirtualServer): VirtualServer => ({ ...server, realServers: [] });
/** kube-proxy of w1 has not seen that a back end was replaced. */
const elsewhere = editIptables("w1", (text) => text.replaceAll("10.128.2.4:8080", "10.128.2.99:8080"));
const fresh = editPods("backend", (pod) => ({
  ...pod,
  status: { ...pod.status, conditions: [{ type: "Ready", status: "True", lastTransitionTime: ago(3) }] },
}));
const changedAt = (at: string): Edit => {
  const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": at };
  return edits(
    ...["backend-00000", "backend-local-00000"].map((name) =>
      editObjects("endpointslices", name, (slice) => ({ ...slice, metadata: { ...slice.metadata, annotations } })),
    ),
  );
};
const noBackends = (built: Cluster) =>
  built.with({ do: "scale", target: ref("Deployment", "backend", "shop"), replicas: 0 });
const nftables = editObjects("configmaps", "kube-proxy", (map) => ({
  ...map,
  data: { "config.conf": "mode: nftables\n" },
}));
const onW1 = { repair: "Node/w1", healedBy: healthy };

testCheck(serviceRulesMismatch, {
  finds: [
    {
      story: "iptables -F -t nat was run on w1",
      given: cluster().edit(flushNat),
      repair: "Node/w1",
      says: ["Node w1 has no rules for Services"],
      breaks: ["service.rules"],
      strength: "differing",
    },
    {
      story: "a firewall reload on w1 took the jump out of PREROUTING",
      given: cluster().edit(dropRules("w1", /-A PREROUTING .*KUBE-SERVICES/)),
      repair: "Node/w1",
      says: ["On node w1, packets of Pods do not pass the Service rules: the jump to KUBE-SERVICES is missing"],
    },
    {
      story: "it took the one out of OUTPUT",
      given: cluster({ flavour: "managed" }).edit(
        dropRules("w1", /-A OUTPUT .*kubernetes service portals.*KUBE-SERVICES/),
      ),
      repair: "Node/w1",
      says: ["packets of the node itself do not pass"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
    {
      story: "it took the one to the node ports",
      given: cluster().edit(dropRules("w1", /-A KUBE-SERVICES .*-j KUBE-NODEPORTS/)),
      repair: "Node/w1",
      says: ["packets from outside do not pass"],
    },
    {
      story: "k3s on w1 never heard of a Service",
      given: cluster({ flavour: "k3s" }).edit(noRule),
      repair: "Node/w1",
      says: ["Node w1 has no rule for Service shop/backend:http, which has 3 ready back ends"],
      healedBy: () => cluster({ flavour: "k3s" }),
    },
    {
      story: "it still refuses a Service that had no back end yesterday",
      given: cluster().edit(edits(noRule, addRules("w1", "filter", REFUSED))),
      repair: "Node/w1",
      says: ["Node w1 refuses Service shop/backend:http as if it had no back end, while it has 3"],
    },
    {
      story: "it delivers to a Pod that is gone",
      given: cluster().edit(elsewhere),
      repair: "Node/w1",
      says: ["delivers Service shop/backend:http to 10.128.2.99:8080, which is none of its back ends"],
    },
    {
      story: "it has never been told of one of three back ends",
      given: cluster().edit(dropRules("w1", new RegExp(`-A ${SVC} .*-> 10.128.2.4:8080`))),
      repair: "Node/w1",
      says: ["does not deliver Service shop/backend:http to all of its back ends: 10.128.2.4:8080 is missing"],
    },
    {
      story: "somebody blocked a cluster IP in the mangle table and forgot it",
      given: cluster().edit(addRules("w1", "mangle", `-A PREROUTING -d ${BACKEND} -j DROP`)),
      says: ["A rule on node w1 refuses Service shop/backend:http: mangle: -A PREROUTING -d 10.96.10.1/32 -j DROP"],
      ...onW1,
    },
    {
      story: "IPVS: the real servers of a Service were deleted by hand",
      given: ipvs(servers(drain)),
      says: ["Service shop/backend:http"],
      ...onW1,
    },
    {
      story: "IPVS: a virtual server is missing",
      given: ipvs(servers(() => undefined)),
      says: ["has no rule for Service shop/backend:http"],
      ...onW1,
    },
    {
      story: "IPVS: ipvsadm -C was run",
      given: ipvs((draft) => editNode(draft, "ipvs", "w1", () => [])),
      says: ["Node w1 has no rules for Services"],
      ...onW1,
    },
  ],
  warns: [
    {
      story: "node ports are shut to strangers, as may be meant",
      given: cluster().edit(
        addRules("w1", "mangle", "-A PREROUTING ! -s 10.0.0.0/8 -p tcp -m tcp --dport 30000:32767 -j DROP"),
      ),
      repair: "Node/w1",
      says: ["A rule on node w1 refuses Service"],
    },
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "k3s", given: cluster({ flavour: "k3s" }) },
    { story: "IPVS mode", given: ipvs() },
    {
      story: "IPVS mode, with a back end that takes no new connections",
      given: ipvs(
        servers((server) => ({
          ...server,
          realServers: [
            ...server.realServers,
            { address: "10.128.2.99", port: 8080, weight: 0, forwarding: "Masq", line: 9 },
          ],
        })),
      ),
    },
    { story: "a Service without back ends is refused on every node", given: noBackends(cluster()) },
    {
      story: "a rule for a cluster IP in FORWARD, which no packet meets",
      given: cluster().edit(addRules("w1", "filter", `-A FORWARD -d ${BACKEND} -j DROP`)),
    },
    {
      story: "other people's rules",
      given: cluster().edit(
        edits(
          addRules(
            "w1",
            "filter",
            "-A INPUT -p tcp -m tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT",
            "-A INPUT -p tcp -m tcp --dport 22 -j DROP",
          ),
          addRules("w1", "mangle", "-A PREROUTING -p tcp -j LOG"),
        ),
      ),
    },
  ],
  cannotTell: [
    {
      story: "a back end became ready while evidence was taken",
      given: cluster().edit(edits(elsewhere, fresh)),
      capability: "service.rules",
    },
    {
      story: "a back end was deleted a moment ago",
      given: cluster().edit(edits(elsewhere, changedAt(ago(2)))),
      capability: "service.rules",
    },
    { story: "nftables mode, which we do not read", given: cluster().edit(nftables), capability: "service.rules" },
    {
      story: "the rules of w1 were not collected",
      given: cluster().without("iptables", { node: "w1" }),
      capability: "service.rules",
    },
    {
      story: "those of a k3s node",
      given: cluster({ flavour: "k3s" }).without("iptables", { node: "w1" }),
      capability: "service.rules",
    },
    { story: "the IPVS table of w1 was not collected", given: ipvs().without("ipvs"), capability: "service.rules" },
    { story: "we may not read Services", given: cluster().without("services"), capability: "service.rules" },
    {
      story: "we may not read EndpointSlices",
      given: cluster().without("endpointslices"),
      capability: "service.rules",
    },
  ],
});
