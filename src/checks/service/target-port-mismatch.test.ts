import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { ago, type Edit, editPods, edits, probed } from "../../../testing/cluster-edits.ts";
import { ref } from "../../model/ref.ts";
import { targetPortMismatch } from "./target-port-mismatch.ts";

const healthy = () => cluster();
const FRONTEND = ref("Service", "frontend", "shop");
const ports = (built: Cluster, ...all: readonly object[]) =>
  built.with({ do: "patch", target: FRONTEND, patch: { spec: { ports: all } } });
const http = { name: "http", port: 80, nodePort: 30080, targetPort: 8080 };
/** The Pods of a workload listen on these sockets. */
const listens =
  (workload: string, ...sockets: readonly (readonly [address: string, port: number])[]): Edit =>
  (draft) => {
    for (const { metadata, spec } of draft.list("pods").filter((pod) => pod.metadata.name.startsWith(`${workload}-`)))
      draft.set(
        "podSockets",
        { node: spec.nodeName!, namespace: metadata.namespace!, pod: metadata.name },
        sockets.map(([address, port], index) => ({
          protocol: "tcp",
          address,
          port,
          processes: [{ name: "app", pid: 1 }],
          line: index + 1,
        })),
      );
  };
const probing = (port: string | number): Edit =>
  editPods("frontend", (pod) => ({
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map((one) => ({ ...one, readinessProbe: { httpGet: { port } } })),
    },
  }));
const readySince = (at: string): Edit =>
  editPods("frontend", (pod) => ({
    ...pod,
    status: { ...pod.status, conditions: [{ type: "Ready", status: "True", lastTransitionTime: at }] },
  }));
const metrics = { name: "metrics", port: 9090, targetPort: 9090 };
const APP = "Deployment/shop/frontend";
const SERVICE = "Service/shop/frontend";
const on9000 = listens("frontend", ["0.0.0.0", 9000]);

testCheck(targetPortMismatch, {
  finds: [
    {
      story: "the number in the Service was mistyped",
      given: ports(cluster(), { ...http, targetPort: 8088 }),
      repair: SERVICE,
      says: ["Service shop/frontend:http sends to port 8088, on which its Pods do not listen; they listen on 8080"],
      breaks: ["pod.listen"],
      strength: "direct",
    },
    {
      story: "a chart renamed the container's port, and the Service still asks for the old name",
      given: ports(cluster({ flavour: "k3s" }), { ...http, targetPort: "web" }),
      repair: SERVICE,
      says: ["sends to the port named “web”, and no container of its Pods has a port of that name (http:8080)"],
    },
    {
      story: "all ports of a Service lead nowhere",
      given: ports(
        cluster(),
        { ...http, targetPort: "web" },
        { name: "https", port: 443, nodePort: 30443, targetPort: 8443 },
      ),
      repair: SERVICE,
      says: ["named “web”", "sends to port 8443"],
    },
    {
      story: "one of several ports leads nowhere, and somebody calls it in vain",
      given: ports(cluster(), http, metrics).edit(probed("client", "tcp", "10.96.10.2:9090", "refused")),
      repair: SERVICE,
      says: ["Service shop/frontend:metrics sends to port 9090"],
    },
    {
      story: "the application was started with another port than all agree on",
      given: cluster().edit(on9000),
      repair: APP,
      says: ["The Pods of Deployment/shop/frontend do not listen on port 8080", "they listen on 9000"],
      healedBy: healthy,
    },
    {
      story: "a developer's default binds the application to 127.0.0.1",
      given: cluster({ flavour: "managed" }).edit(listens("frontend", ["127.0.0.1", 8080])),
      repair: APP,
      says: ["listen on port 8080 for themselves only (127.0.0.1)"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
    {
      story: "the Pods have open ports for themselves only, and the Service means none of them",
      given: ports(cluster(), { ...http, targetPort: 8081 }).edit(listens("frontend", ["127.0.0.1", 9000])),
      repair: SERVICE,
      says: ["they listen on nothing"],
      healedBy: healthy,
    },
    {
      story: "nor have their containers any ports with a name",
      given: ports(
        cluster().edit(
          editPods("frontend", (pod) => ({
            ...pod,
            spec: { ...pod.spec, containers: pod.spec.containers.map(({ ports: _, ...one }) => one) },
          })),
        ),
        { ...http, targetPort: "web" },
      ),
      repair: SERVICE,
      says: ["(none has a name)"],
      healedBy: healthy,
    },
  ],
  warns: [
    {
      story: "nothing listens on a port for metrics, and nobody asks",
      given: ports(cluster(), http, metrics),
      repair: SERVICE,
      says: ["sends to port 9090"],
    },
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "k3s", given: cluster({ flavour: "k3s" }) },
    {
      story: "a port that is open and not declared",
      given: ports(cluster(), { ...http, targetPort: 9000 }).edit(on9000),
    },
    {
      story: "the kubelet's readiness probe asks the port, whoever looked at sockets",
      given: cluster().edit(edits(on9000, probing("http"))),
    },
    {
      story: "some Pods of a rollout listen on the new port",
      given: cluster().edit((draft) => listens("frontend-7d9f8c6b5-aaaa0", ["*", 9000])(draft)),
    },
    { story: "SCTP, which ss does not list", given: ports(cluster(), { ...http, protocol: "SCTP", targetPort: 3868 }) },
    {
      story: "a headless Service names Pods, not ports",
      given: cluster().with({
        do: "patch",
        target: ref("Service", "db", "data"),
        patch: { spec: { ports: [{ name: "pg", port: 5432, targetPort: 1 }] } },
      }),
    },
  ],
  cannotTell: [
    { story: "nobody looked into the Pods", given: cluster().without("podSockets"), capability: "pod.listen" },
    {
      story: "the Pods run in sandboxes that hide their sockets",
      given: cluster().edit(listens("frontend")),
      capability: "pod.listen",
    },
    {
      story: "the Pods became ready a moment ago",
      given: cluster().edit(edits(on9000, readySince(ago(5)))),
      capability: "pod.listen",
    },
  ],
});
