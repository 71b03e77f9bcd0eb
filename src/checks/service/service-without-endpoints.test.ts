import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editObjects, editPods, edits, probed } from "../../../testing/cluster-edits.ts";
import { service } from "../../../testing/cluster-objects.ts";
import {
  ago,
  crashing,
  created,
  deleted,
  gone,
  ready,
  unready,
  waiting,
  withSpec,
} from "../../../testing/object-states.ts";
import { ref } from "../../model/ref.ts";
import type { Pod } from "../../parse/objects.ts";
import { serviceWithoutEndpoints } from "./service-without-endpoints.ts";

const healthy = () => cluster();
const off = { do: "scale", target: ref("Deployment", "backend", "shop"), replicas: 0 } as const;
const newSelector = {
  do: "patch",
  target: ref("Service", "backend", "shop"),
  patch: { spec: { selector: { app: "backend-v2" } } },
} as const;
const calledInVain = probed("client", "tcp", "10.96.10.1:8080", "refused");
const backends = (state: (pod: Pod) => Pod | undefined) => cluster().edit(editPods("backend", state));
const BACKEND = { repair: "Deployment/shop/backend", healedBy: healthy };
/** A Service that selects so, and had back ends once. */
const once = (name: string, selector: Record<string, string>): Edit =>
  edits(
    addObjects("services", service(name, "shop", { clusterIP: "10.96.20.1", selector, ports: [{ port: 80 }] })),
    addObjects("endpointslices", {
      metadata: { name, namespace: "shop", generation: 4, labels: { "kubernetes.io/service-name": name } },
    }),
  );
const legacyDns = editObjects("services", "kube-dns", withSpec({ selector: { "k8s-app": "kube-dns-legacy" } }));
const otherDns: Edit = (draft) => {
  for (const { metadata } of draft.list("nodes"))
    draft.set("kubeletConfig", { node: metadata.name }, { clusterDNS: ["10.96.0.53"] });
};
/** Its EndpointSlice lacks the back ends that are on w1. */
const forgets: Edit = editObjects("endpointslices", "backend-00000", (slice) => ({
  ...slice,
  endpoints: (slice.endpoints ?? []).filter(({ nodeName }) => nodeName !== "w1"),
}));
const byHand = service("by-hand", "shop", { clusterIP: "10.96.20.2", ports: [{ port: 80 }] });
const partner = service("partner", "shop", { type: "ExternalName", externalName: "api.example.org" });
const early = editObjects("services", "db", withSpec({ publishNotReadyAddresses: true }));
const gate = (pod: Pod) =>
  withSpec({ readinessGates: [{ conditionType: "elb/target" }] })(unready({ ready: true })(pod));

testCheck(serviceWithoutEndpoints, {
  finds: {
    "the selector was changed for a version that was never rolled out": {
      given: cluster().with(newSelector),
      repair: "Service/shop/backend",
      says: ["it wants app=backend-v2, the Pods of Deployment/shop/backend carry app=backend"],
      breaks: ["service.select"],
      strength: "direct",
    },
    "the selector of a Service with another name was mistyped": {
      given: cluster().edit(once("api", { app: "bakend" })),
      repair: "Service/shop/api",
      says: ["it wants app=bakend, the Pods of Deployment/shop/backend carry app=backend"],
    },
    "the selector of cluster DNS was changed to the name of its workload": {
      given: cluster().edit(editObjects("services", "kube-dns", withSpec({ selector: { "k8s-app": "coredns" } }))),
      repair: "Service/kube-system/kube-dns",
      says: ["it wants k8s-app=coredns, the Pods of Deployment/kube-system/coredns carry k8s-app=kube-dns"],
      breaks: ["service.select"],
      strength: "direct",
    },
    "a Service is called that selects what nobody knows": {
      given: cluster().edit(once("checkout", { app: "checkout" }), probed("client", "tcp", "10.96.20.1:80", "refused")),
      repair: "Service/shop/checkout",
      says: ["Service shop/checkout selects no Pod: none in its namespace carries app=checkout"],
      healedBy: healthy,
    },
    "all back ends fail their readiness probe": {
      given: backends(unready({ state: { running: { startedAt: ago(900) } } })),
      says: ["no Pod of Deployment/shop/backend is ready (readiness probe fails)"],
      breaks: ["pod.ready"],
      ...BACKEND,
    },
    "they crash, and somebody calls them in vain": {
      given: backends(crashing()).edit(calledInVain),
      says: ["CrashLoopBackOff"],
      ...BACKEND,
    },
    "its Pods are killed for want of memory": {
      given: backends(
        unready({
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } },
        }),
      ).edit(calledInVain),
      repair: "Deployment/shop/backend",
      says: ["OOMKilled"],
      healedBy: healthy,
    },
    "a readiness gate of the load balancer is never met": {
      given: cluster({ flavour: "managed" }).edit(editPods("frontend", gate)),
      repair: "Deployment/shop/frontend",
      says: ["readiness gate elb/target is not met"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
    "the only database Pods are stuck on nodes that are gone": {
      given: cluster().edit(editPods("db", deleted(ago(1200)))),
      repair: "StatefulSet/data/db",
      says: ["being deleted"],
      healedBy: healthy,
    },
    "a workload was switched off that is still called": {
      given: cluster().with(off).edit(calledInVain),
      repair: "Deployment/shop/backend",
      says: ["Service shop/backend has no back end: Deployment/shop/backend is scaled to zero"],
    },
    "a quota lets no Pod of the backend be made": {
      given: backends(gone),
      says: ["Deployment/shop/backend asks for 3 Pods and has none"],
      ...BACKEND,
    },
    "the EndpointSlice controller stands still since Pods moved to w1": {
      given: cluster().edit(forgets),
      repair: "Pod/kube-system/kube-controller-manager-cp1",
      says: ["Service shop/backend has 2 ready Pods that its EndpointSlices do not name"],
      breaks: ["service.endpoints"],
      strength: "differing",
      healedBy: healthy,
    },
  },
  warns: {
    "an application crashes that nobody calls": { given: backends(crashing()), repair: "Deployment/shop/backend" },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a workload is switched off, and nobody calls it": cluster().with(off),
    "Services whose back ends somebody else writes": cluster().edit(addObjects("services", byHand, partner)),
    "a canary was taken away after its trial": cluster().edit(once("backend-canary", { app: "backend-canary" })),
    "the other slot of two is not deployed now": cluster().edit(once("standby", { app: "frontend", slot: "green" })),
    "a database has no replicas, and a Service for them": cluster().edit(once("db-ro", { app: "db", role: "replica" })),
    "peers are to find each other before they are ready": cluster().edit(editPods("db", unready()), early),
    "a headless Service without ports": cluster().edit(editObjects("services", "db", withSpec({ ports: null }))),
    "Pods are sent to another Service of DNS by now": cluster().edit(legacyDns, otherDns),
    "a replica became ready a moment ago": cluster().edit(forgets, editPods("backend", ready(ago(2)), "w1")),
  },
  cannotTell: {
    "pod.ready": {
      "a new version is being rolled out": backends((pod) => created(ago(20))(waiting("ContainerCreating")(pod))),
      "it is being taken away": backends(deleted(ago(3))),
    },
    "service.select": {
      "it is being installed": backends(gone).edit(editObjects("deployments", "backend", created(ago(2)))),
      "we may not read Pods": cluster().without("pods"),
      "we may not read Services": cluster().without("services"),
    },
    "service.follow": { "we may not read EndpointSlices": cluster().without("endpointslices") },
  },
});
