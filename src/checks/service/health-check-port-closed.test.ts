import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { ciliumCluster } from "../../../testing/cilium-cluster.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addRules, type Edit, editObjects } from "../../../testing/cluster-edits.ts";
import { ago, created } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { healthCheckPortClosed } from "./health-check-port-closed.ts";

const PORT = 31999;
const NODES = cluster()
  .model()
  .nodes.all.map(({ name }) => name);

const balanced: Edit = editObjects("services", "backend-local", (service) => ({
  ...service,
  spec: { ...service.spec, type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: PORT },
  status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } },
}));
const inCloud: readonly Edit[] = NODES.map((name) =>
  editObjects("nodes", name, (node) => ({ ...node, spec: { ...node.spec, providerID: `aws:///a/i-${name}` } })),
);
const listening = (...nodes: readonly string[]): Edit[] =>
  nodes.map(
    (node): Edit =>
      (draft) => {
        const others = draft.get("sockets", { node }) ?? [];
        const processes = [{ name: "kube-proxy", pid: 9 }];
        draft.set("sockets", { node }, [...others, { protocol: "tcp", address: "*", port: PORT, processes, line: 99 }]);
      },
  );

const cloud = cluster().edit(balanced, ...inCloud);
const healthy = cloud.edit(...listening(...NODES));
const shut = (...nodes: readonly string[]): Edit[] =>
  nodes.map((node) => addRules(node, "filter", `-A INPUT -p tcp -m tcp --dport ${PORT} -j DROP`));

testCheck(healthCheckPortClosed, {
  finds: {
    "kube-proxy could not open the port": {
      given: cloud,
      repair: "Service/shop/backend-local",
      says: [`Nobody listens on the health-check port ${PORT} of Service shop/backend-local`],
      breaks: ["service.health"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "firewalls accept node ports one by one": {
      given: healthy.edit(...shut(...NODES)),
      repair: "Service/shop/backend-local",
      says: [`drop what comes to its health-check port ${PORT}`],
      breaks: ["service.health"],
      healedBy: () => healthy,
    },
  },
  clears: {
    "kube-proxy answers on every node": healthy,
    "a node without back ends": cloud.edit(...listening("w1", "w2")),
  },
  cannotTell: {
    "service.health": {
      "the sockets of a node were not collected": healthy.without("sockets", { node: "w1" }),
    },
  },
});

const told = (given: Cluster) => {
  const { rootCauses, warnings } = diagnose(given.capture);
  const isMine = ({ check }: { readonly check: string }) => check === "health-check-port-closed";
  return [rootCauses.filter(isMine).length, warnings.filter(isMine).length];
};

it.each<[string, Cluster, readonly number[]]>([
  ["it is a warning where a node still answers", cloud.edit(...listening("w2")), [0, 1]],
  ["it is a warning where nobody is known to ask", cluster().edit(balanced), [0, 1]],
  [
    "it is nothing of a Service that has no address yet",
    cloud.edit(editObjects("services", "backend-local", (service) => ({ ...service, status: {} }))),
    [0, 0],
  ],
  [
    "it is nothing yet of a Service that was made just now",
    cloud.edit(editObjects("services", "backend-local", created(ago(10)))),
    [0, 0],
  ],
  [
    "it is Cilium's where that replaces kube-proxy",
    ciliumCluster().edit(
      balanced,
      ...inCloud,
      editObjects("configmaps", "cilium-config", (map) => ({ ...map, data: {} })),
    ),
    [0, 0],
  ],
])("%s", (_, given, expected) => expect(told(given)).toEqual(expected));
