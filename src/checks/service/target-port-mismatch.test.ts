import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods, installed, listening, probed } from "../../../testing/cluster-edits.ts";
import { NOW } from "../../../testing/cluster-nodes.ts";
import { workload } from "../../../testing/cluster-objects.ts";
import { ago, ready, withContainers } from "../../../testing/object-states.ts";
import { ref } from "../../model/ref.ts";
import { targetPortMismatch } from "./target-port-mismatch.ts";

const healthy = () => cluster();
const FRONTEND = ref("Service", "frontend", "shop");
const ports = (built: Cluster, ...all: readonly object[]) =>
  built.with({ do: "patch", target: FRONTEND, patch: { spec: { ports: all } } });
const http = { name: "http", port: 80, nodePort: 30080, targetPort: 8080 };
const probing = editPods(
  "frontend",
  withContainers((one) => ({ ...one, readinessProbe: { httpGet: { port: "http" } } })),
);
const metrics = { name: "metrics", port: 9090, targetPort: 9090 };
/** A Service of Diameter over SCTP; who gathered did not ask for sockets of SCTP. */
const diameter = ports(cluster(), { ...http, protocol: "SCTP", targetPort: 3868 });
const listensSctp = (port: number) => listening("frontend", [["*", port, "sctp"]]);
const ours: Edit = (draft) => draft.set("cluster", {}, { ...draft.get("cluster", {}), bundle: "netwhy.bundle/v1" });
const APP = "Deployment/shop/frontend";
const SERVICE = "Service/shop/frontend";
const on9000 = listening("frontend", [["0.0.0.0", 9000]]);

/** The API server names the Pods of the frontend otherwise than the nodes do, which were asked later. */
const renamed = (suffix: string, sockets: readonly (readonly [string, number])[]) =>
  cluster().edit(
    listening("frontend", sockets),
    editPods("frontend", (pod) => ({ ...pod, metadata: { ...pod.metadata, name: `${pod.metadata.name}-${suffix}` } })),
  );

/** Another workload bears the label of the frontend, and listens elsewhere. */
const importer = (port: number) =>
  cluster()
    .with(
      installed(
        "Deployment",
        workload(
          "importer",
          "shop",
          { app: "frontend", job: "importer" },
          { containers: [{ name: "main", image: "importer:1" }] },
        ),
      ),
    )
    .edit(listening("frontend", [["*", 8080]]), listening("importer", [["*", port]]));
const dnsAt5353 = () =>
  cluster()
    .without("podSockets")
    .edit(
      editObjects("services", "kube-dns", (service) => ({
        ...service,
        spec: {
          ...service.spec,
          ports: (service.spec?.ports ?? []).map((one) => (one.port === 53 ? { ...one, targetPort: 5353 } : one)),
        },
      })),
    );
const numbered = (given: Cluster) => ports(given, { ...http, targetPort: 8080 });

testCheck(targetPortMismatch, {
  finds: {
    "cluster DNS is sent to a port that its Corefile does not name, and nobody looked into its Pods": {
      given: dnsAt5353(),
      repair: "Service/kube-system/kube-dns",
      says: ["Service kube-system/kube-dns:dns sends to port 5353; its Pods listen on 53"],
      breaks: ["pod.listen"],
      strength: "direct",
      healedBy: () => cluster().without("podSockets"),
    },
    "Pods of another workload bear the Service's label, and do not listen": {
      given: numbered(importer(9999)),
      repair: SERVICE,
      says: [
        "Service shop/frontend:http also selects Pods of Deployment/shop/importer, which do not listen on port 8080",
      ],
      breaks: ["pod.listen"],
      strength: "direct",
      healedBy: () => cluster(),
    },
    "the number in the Service was mistyped": {
      given: ports(cluster(), { ...http, targetPort: 8088 }),
      repair: SERVICE,
      says: ["Service shop/frontend:http sends to port 8088; its Pods listen on 8080"],
      breaks: ["pod.listen"],
      strength: "direct",
    },
    "a chart renamed the container's port, and the Service still asks for the old name": {
      given: ports(cluster({ flavour: "k3s" }), { ...http, targetPort: "web" }),
      repair: SERVICE,
      says: ["sends to the port named “web”, which its Pods do not have (http:8080)"],
    },
    "all ports of a Service lead nowhere": {
      given: ports(
        cluster(),
        { ...http, targetPort: "web" },
        { name: "https", port: 443, nodePort: 30443, targetPort: 8443 },
      ),
      repair: SERVICE,
      says: ["named “web”", "sends to port 8443"],
    },
    "one of several ports leads nowhere, and somebody calls it in vain": {
      given: ports(cluster(), http, metrics).edit(probed("client", "tcp", "10.96.10.2:9090", "refused")),
      repair: SERVICE,
      says: ["Service shop/frontend:metrics sends to port 9090"],
    },
    "the application was started with another port than all agree on": {
      given: cluster().edit(on9000),
      repair: APP,
      says: ["The Pods of Deployment/shop/frontend listen on 9000, not on port 8080 as they declare"],
      healedBy: healthy,
    },
    "a developer's default binds the application to 127.0.0.1": {
      given: cluster({ flavour: "managed" }).edit(listening("frontend", [["127.0.0.1", 8080]])),
      repair: APP,
      says: ["listen on port 8080 at 127.0.0.1 only"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
    "the Pods have open ports for themselves only, and the Service means none of them": {
      given: ports(cluster(), { ...http, targetPort: 8081 }).edit(listening("frontend", [["127.0.0.1", 9000]])),
      repair: SERVICE,
      says: ["its Pods listen on nothing"],
      healedBy: healthy,
    },
    "nor have their containers any ports with a name": {
      given: ports(
        cluster().edit(
          editPods(
            "frontend",
            withContainers(({ ports: _, ...one }) => one),
          ),
        ),
        { ...http, targetPort: "web" },
      ),
      repair: SERVICE,
      says: ["(none has a name)"],
      healedBy: healthy,
    },
    "Diameter over SCTP listens on another port than the Service says": {
      given: diameter.edit(listensSctp(3869)),
      repair: SERVICE,
      says: ["sends to port 3868; its Pods listen on 3869"],
      healedBy: () => diameter.edit(listensSctp(3868)),
    },
    "nothing speaks SCTP, and netwhy's collector looked": {
      given: diameter.edit(ours),
      repair: SERVICE,
      says: ["sends to port 3868; its Pods listen on nothing"],
      healedBy: () => cluster(),
    },
  },
  warns: {
    "nothing listens on a port for metrics, and nobody asks": {
      given: ports(cluster(), http, metrics),
      repair: SERVICE,
      says: ["sends to port 9090"],
    },
  },
  clears: {
    "of CoreDNS nobody looked into the Pods, and its Corefile is younger than they are": dnsAt5353().edit(
      editObjects("configmaps", "coredns", (map) => ({
        ...map,
        metadata: { ...map.metadata, managedFields: [{ manager: "kubectl", time: NOW }] },
      })),
    ),
    "Pods of another workload bear the Service's label, and listen as well": numbered(importer(8080)),
    "a healthy cluster": cluster(),
    k3s: cluster({ flavour: "k3s" }),
    "a port that is open and not declared": ports(cluster(), { ...http, targetPort: 9000 }).edit(on9000),
    "the kubelet's readiness probe asks the port, whoever looked at sockets": cluster().edit(on9000, probing),
    "some Pods of a rollout listen on the new port": cluster().edit(listening("frontend", [["*", 9000]], "w1")),
    "SCTP, on the port on which the Pods listen": diameter.edit(listensSctp(3868)),
    "the Pods were replaced after the list of Pods was read, and those that came listen": renamed("old", [["*", 8080]]),
    "a headless Service names Pods, not ports": cluster().with({
      do: "patch",
      target: ref("Service", "db", "data"),
      patch: { spec: { ports: [{ name: "pg", port: 5432, targetPort: 1 }] } },
    }),
  },
  cannotTell: {
    "pod.listen": {
      "SCTP, which whoever looked did not ask for": diameter,
      "nobody looked into the Pods": cluster().without("podSockets"),
      "the Pods run in sandboxes that hide their sockets": cluster().edit(listening("frontend", [])),
      "the Pods were replaced after the list of Pods was read, by others": renamed("old", [["*", 9000]]),
      "the Pods became ready a moment ago": cluster().edit(on9000, editPods("frontend", ready(ago(5)))),
    },
  },
});
