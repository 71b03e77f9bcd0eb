import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editObjects, edits, listening, probed } from "../../../testing/cluster-edits.ts";
import { service } from "../../../testing/cluster-objects.ts";
import { ago, withSpec } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import type { EndpointSlice } from "../../parse/objects.ts";
import { endpointAddressWrong } from "./endpoint-address-wrong.ts";

type Labels = Record<string, string>;
const slice = (of: string, addresses: readonly string[], port = 8080, labels: Labels = {}): EndpointSlice => ({
  metadata: {
    name: `${of}-by-hand`,
    namespace: "shop",
    creationTimestamp: ago(4000),
    labels: { "kubernetes.io/service-name": of, ...labels },
  },
  addressType: "IPv4",
  ports: [{ name: "http", port, protocol: "TCP" }],
  endpoints: addresses.map((address) => ({ addresses: [address] })),
});
const partner = service("partner", "shop", { clusterIP: "10.96.20.2", ports: [{ name: "http", port: 80 }] });
const sentTo = (addresses: readonly string[], port?: number): Edit =>
  edits(addObjects("services", partner), addObjects("endpointslices", slice("partner", addresses, port)));
const pod = cluster()
  .model()
  .pods.all.find(({ name }) => name.startsWith("frontend-"))!;
const [podAddress = ""] = pod.addresses;
const [cp1 = ""] = cluster().model().nodes.get("cp1")!.addresses;
const STRANGER = "10.128.1.222";
const OUTSIDE = "203.0.113.9";

/** An Endpoints object as kube-controller-manager mirrors it (endpointslicemirroring-controller). */
const mirrored: Edit = edits(
  addObjects("services", partner),
  addObjects("endpointslices", {
    ...slice("partner", [STRANGER]),
    metadata: {
      ...slice("partner", [STRANGER], 8080, {
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
      }).metadata,
      ownerReferences: [{ kind: "Endpoints", name: "partner", controller: true }],
    },
  }),
);
const neighbour = (node: string, address: string, states: readonly string[], mac?: string): Edit => {
  const entry = { address, device: "eth0", states, ...(mac !== undefined && { mac }) };
  return (draft) => editNode(draft, "neighbours", node, (all) => [...all, entry]);
};
const calledInVain = probed("client", "tcp", "10.96.20.2:80", "timeout");
/** The selector was taken away, and a Pod has moved since. */
const unselected: Edit = edits(
  editObjects("services", "frontend", withSpec({ selector: null })),
  editObjects("endpointslices", "frontend-00000", ({ endpoints, ...kept }) => ({
    ...kept,
    endpoints: (endpoints ?? []).map((one, index) => (index === 0 ? { ...one, addresses: [STRANGER] } : one)),
  })),
);
const KUBE_PROXY = ref("DaemonSet", "kube-proxy", "kube-system");
const healthy = () => cluster();

testCheck(endpointAddressWrong, {
  finds: {
    "somebody wrote the address of a Pod that is gone": {
      given: cluster().edit(sentTo([STRANGER]), calledInVain),
      repair: "EndpointSlice/shop/partner-by-hand",
      says: [
        "EndpointSlice/shop/partner-by-hand, which no controller keeps, sends Service shop/partner:http to 10.128.1.222:8080, an address of the Pod network that no Pod has (1 of its 1 back end)",
      ],
      breaks: ["service.backend"],
      strength: "direct",
      healedBy: () => cluster().edit(sentTo([podAddress])),
    },
    "it was an Endpoints object": {
      given: cluster().edit(mirrored),
      repair: "Endpoints/shop/partner",
      healedBy: healthy,
    },
    "a slice by hand stands beside the controller's": {
      given: cluster().edit(addObjects("endpointslices", slice("frontend", [STRANGER]))),
      repair: "EndpointSlice/shop/frontend-by-hand",
      says: ["beside the Pods that its selector selects (1 of 3 back ends)"],
      healedBy: healthy,
    },
    "the Pod that was written down listens elsewhere": {
      given: cluster().edit(sentTo([podAddress], 9090), listening("frontend", [["*", 8080]])),
      repair: "EndpointSlice/shop/partner-by-hand",
      says: [`where Pod ${pod.key} listens on 8080 only`],
      healedBy: () => cluster().edit(sentTo([podAddress])),
    },
    "a node was written down on which nothing listens there": {
      given: cluster().edit(sentTo([cp1], 5432)),
      repair: "EndpointSlice/shop/partner-by-hand",
      says: ["where node cp1 listens on"],
      healedBy: () => cluster().edit(sentTo([cp1], 10250)),
    },
    "the cluster IP of another Service was written down": {
      given: cluster().edit(sentTo(["10.96.10.2"], 80)),
      repair: "EndpointSlice/shop/partner-by-hand",
      says: ["the cluster IP of Service shop/frontend"],
      healedBy: () => cluster().edit(sentTo([podAddress])),
    },
    "a machine beside the nodes is gone": {
      given: cluster().edit(sentTo(["172.16.9.9"]), neighbour("w1", "172.16.9.9", ["FAILED"])),
      repair: "EndpointSlice/shop/partner-by-hand",
      says: ["which nobody answers for in the network of node w1"],
      healedBy: () =>
        cluster().edit(sentTo(["172.16.9.9"]), neighbour("w1", "172.16.9.9", ["REACHABLE"], "02:42:00:00:00:99")),
    },
    "a machine outside does not answer those whom others outside do": {
      given: cluster().edit(sentTo([OUTSIDE]), calledInVain, probed("client", "tcp", "203.0.113.80:443", "ok")),
      repair: "EndpointSlice/shop/partner-by-hand",
      says: ["203.0.113.9:8080, which does not answer"],
      strength: "heard",
      healedBy: () => cluster().edit(sentTo([OUTSIDE]), probed("client", "tcp", "10.96.20.2:80", "ok")),
      otherWitness: ["probes"],
    },
    "a Service lost its selector, and one of its Pods has moved since": {
      given: cluster().edit(unselected),
      repair: "Service/shop/frontend",
      says: ["Service shop/frontend:http has lost its selector"],
      healedBy: healthy,
    },
  },
  clears: {
    "back ends written by hand: a Pod, a node, a machine outside": cluster().edit(
      sentTo([podAddress, OUTSIDE]),
      addObjects("services", { ...partner, metadata: { ...partner.metadata, name: "api" } }),
      addObjects("endpointslices", slice("api", [cp1], 10250)),
    ),
    "nobody outside answers whoever calls, which is no fault of one back end": cluster().edit(
      sentTo([OUTSIDE]),
      calledInVain,
    ),
    "a node port of another Service was written down": cluster().edit(sentTo([cp1], 30080)),
    "the slice was written a moment ago": cluster().edit(
      sentTo([STRANGER]),
      editObjects("endpointslices", "partner-by-hand", ({ metadata, ...rest }) => ({
        ...rest,
        metadata: { ...metadata, creationTimestamp: ago(10) },
      })),
    ),
  },
  cannotTell: {
    "service.backend": {
      "we may not list Pods": cluster()
        .edit(sentTo([STRANGER]))
        .without("pods"),
      "nobody looked into the node": cluster()
        .edit(sentTo([cp1], 5432))
        .without("sockets"),
    },
  },
});

describe("a slice by hand beside the controller's", () => {
  it("is the one root of calls that fail now and then", () => {
    const call = (result: string) => probed("client", "tcp", "10.96.10.2:80", result);
    const beside = addObjects("endpointslices", slice("frontend", [STRANGER]));
    const followed = cluster().edit(beside).with({ do: "restart", component: KUBE_PROXY });
    const { rootCauses, unexplained } = diagnose(followed.edit(call("ok"), call("timeout")).capture);
    expect(rootCauses.map(({ id }) => id)).toEqual(["endpoint-address-wrong/EndpointSlice/shop/frontend-by-hand"]);
    expect(unexplained).toEqual([]);
  });
});
