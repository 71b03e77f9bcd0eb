import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editObjects, probed } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import { apiServerEndpointStale } from "./api-server-endpoint-stale.ts";

/** The API servers' slice names these, too. */
const alsoAt = (...more: readonly string[]): Edit =>
  editObjects("endpointslices", "kubernetes", ({ endpoints, ...slice }) => ({
    ...slice,
    endpoints: [
      ...(endpoints ?? []),
      ...more.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ],
  }));
const GONE = "172.16.0.77";
const w1 = cluster().model().nodes.get("w1")!.addresses[0]!;
const at = (address: string): Edit =>
  editObjects("endpointslices", "kubernetes", (slice) => ({ ...slice, endpoints: [{ addresses: [address] }] }));
/** API servers that say that they are there, since so many seconds. */
const leases = (...ages: readonly number[]): Edit =>
  addObjects(
    "leases",
    ...ages.map((age, index) => ({
      metadata: {
        name: `apiserver-${index}`,
        namespace: "kube-system",
        labels: { "apiserver.kubernetes.io/identity": "kube-apiserver" },
      },
      spec: { holderIdentity: `apiserver-${index}`, renewTime: ago(age) },
    })),
  );
const k3s = (...more: readonly Edit[]) => {
  const given = cluster({ flavour: "k3s" });
  return given.edit(at(given.model().nodes.all[0]!.addresses[0]!), alsoAt(GONE), ...more);
};
const healthy = () => cluster();
const toApi = (result: string) => probed("client", "tcp", "10.96.0.1:443", result);

testCheck(apiServerEndpointStale, {
  finds: {
    "a control-plane node was removed, and its address stayed": {
      given: cluster().edit(alsoAt(GONE)),
      repair: "EndpointSlice/default/kubernetes",
      says: [
        "still names 172.16.0.77:6443, where no API server is: 1 of every 2 connections to 10.96.0.1:443 goes there",
      ],
      breaks: ["service.backend"],
      strength: "direct",
      healedBy: healthy,
    },
    "a node was a control-plane node once": {
      given: cluster().edit(alsoAt(w1)),
      repair: "EndpointSlice/default/kubernetes",
      healedBy: healthy,
    },
    "API servers that are no Pods: one fewer renews its lease": {
      given: k3s(leases(5, 9000)),
      repair: "EndpointSlice/default/kubernetes",
      healedBy: () => k3s(leases(5, 6)),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a managed cluster": cluster({ flavour: "managed" }),
    "a managed cluster with two API servers": cluster({ flavour: "managed" }).edit(alsoAt("172.16.254.2")),
    "two API servers outside renew their leases": k3s(leases(5, 6)),
  },
  cannotTell: {
    "service.backend": {
      "we may not list Pods": cluster().edit(alsoAt(GONE)).without("pods"),
      "nothing tells how many API servers there are": k3s(),
    },
  },
});

describe("an API server's address that stayed", () => {
  it("is the one root of calls that fail now and then", () => {
    const component = ref("DaemonSet", "kube-proxy", "kube-system");
    const followed = cluster().edit(alsoAt(GONE)).with({ do: "restart", component });
    const { rootCauses, unexplained } = diagnose(followed.edit(toApi("ok"), toApi("timeout")).capture);
    expect(rootCauses.map(({ id }) => id)).toEqual(["api-server-endpoint-stale/EndpointSlice/default/kubernetes"]);
    expect(unexplained).toEqual([]);
  });
});
