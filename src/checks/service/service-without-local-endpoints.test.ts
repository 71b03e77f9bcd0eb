import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { editObjects, editPods, probed, said } from "../../../testing/cluster-edits.ts";
import { withSpec } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import { serviceWithoutLocalEndpoints } from "./service-without-local-endpoints.ts";

const patch = (name: string, namespace: string, spec: object) =>
  ({ do: "patch", target: ref("Service", name, namespace), patch: { spec } }) as const;
const internal = (name: string, namespace = "shop", on: Cluster = cluster()) =>
  on.with(patch(name, namespace, { internalTrafficPolicy: "Local" }));
const alone = (workload: string, on: Cluster = cluster()) =>
  on.with({ do: "scale", target: ref("Deployment", workload, "shop"), replicas: 1 });
/** The first client is on a node where no Pod of the shop runs. */
const called = (target: string, result: string) => probed("client", "tcp", target, result);
const complains = said("client", ["call of http://frontend.shop/ failed: curl: (28) Connection timed out"]);

testCheck(serviceWithoutLocalEndpoints, {
  finds: {
    "the frontend was told to keep to the caller's node, and cp1 has none of it": {
      given: internal("frontend").edit(called("10.96.10.2:80", "timeout")),
      repair: "Service/shop/frontend",
      says: ["Service shop/frontend is called on cp1, where it has no back end", "internalTrafficPolicy Local"],
      breaks: ["service.local"],
      strength: "direct",
    },
    "nobody tested it, and a program complains": {
      given: internal("frontend").edit(complains),
      repair: "Service/shop/frontend",
    },
    "cluster DNS was told so, and CoreDNS is not on every node": {
      given: internal("kube-dns", "kube-system").edit(
        probed("client", "dns", "backend.shop.svc.cluster.local", "timeout"),
      ),
      repair: "Service/kube-system/kube-dns",
      says: ["Service kube-system/kube-dns is called on cp1"],
    },
    "a node port with externalTrafficPolicy Local is called on a node without a back end": {
      given: alone("backend").edit(called("172.16.0.3:30081", "timeout"), called("172.16.0.4:30081", "timeout")),
      repair: "Service/shop/backend-local",
      says: ["is called from outside on", "externalTrafficPolicy Local"],
      breaks: ["service.local"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "nobody calls it where it has no back end": internal("frontend"),
    "it is called where it has one": internal("frontend").edit(
      editPods("client", () => undefined, "cp1"),
      called("10.96.10.2:80", "timeout"),
    ),
    "a complaint of the past: tests come through": internal("frontend").edit(complains, called("10.96.10.2:80", "ok")),
    "it has no back end anywhere, of which another check speaks": internal("frontend")
      .with({ do: "scale", target: ref("Deployment", "frontend", "shop"), replicas: 0 })
      .edit(called("10.96.10.2:80", "refused")),
    "a Service without cluster IP knows no policy": internal("db", "data").edit(
      called("10.128.1.250:5432", "timeout"),
      editObjects("services", "db", withSpec({ internalTrafficPolicy: "Local" })),
    ),
  },
  cannotTell: {
    "service.local": {
      "we may not read Services": cluster().without("services"),
      "we may not read EndpointSlices": internal("frontend").edit(complains).without("endpointslices"),
    },
  },
});

describe("a Service that is offered at a node's own address", () => {
  const offered = (address: string, spec: object = {}) => {
    const change = patch("backend-local", "shop", { externalIPs: [address], ...spec });
    const { warnings, rootCauses } = diagnose(cluster().with(change).capture);
    expect(rootCauses).toEqual([]);
    return warnings.flatMap(({ check, title }) => (check === "service-without-local-endpoints" ? [title.en] : []));
  };
  const [without, withOne] = ["cp1", "w1"].map((name) => cluster().model().nodes.get(name)!.addresses[0]!);

  it("drops what comes to it where the node has no back end, which nobody need have tested", () => {
    expect(offered(without!)).toEqual([
      `Service shop/backend-local is offered at ${without}, an address of node cp1, which has no back end of it and drops what comes from outside (externalTrafficPolicy Local); back ends are on w1, w2`,
    ]);
  });
  it("is served where the node has one, where all nodes deliver, and at an address that is no node's", () => {
    expect(offered(withOne!)).toEqual([]);
    expect(offered(without!, { externalTrafficPolicy: "Cluster" })).toEqual([]);
    expect(offered("203.0.113.9")).toEqual([]);
  });
});
