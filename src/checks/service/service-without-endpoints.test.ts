import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import {
  addObjects,
  ago,
  crashing,
  created,
  type Edit,
  editObjects,
  editPods,
  edits,
  probed,
  unready,
  waiting,
} from "../../../testing/cluster-edits.ts";
import { service } from "../../../testing/cluster-objects.ts";
import { ref } from "../../model/ref.ts";
import type { Pod } from "../../parse/objects.ts";
import { serviceWithoutEndpoints } from "./service-without-endpoints.ts";

const BACKEND = ref("Deployment", "backend", "shop");
const healthy = () => cluster();
const select = (name: string, selector: Record<string, string>) =>
  ({
    do: "patch",
    target: ref("Service", name, "shop"),
    patch: { spec: { selector: { app: null, ...selector } } },
  }) as const;
const calledInVain = probed("client", "tcp", "10.96.10.1:8080", "refused");
const off = { do: "scale", target: BACKEND, replicas: 0 } as const;
const gone = () => undefined;
const deleted = (at: string) => (pod: Pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: at } });
/** A Service of this selector, which had back ends once. */
const once = (name: string, selector: Record<string, string>): Edit =>
  edits(
    addObjects("services", service(name, "shop", { clusterIP: "10.96.20.1", selector, ports: [{ port: 80 }] })),
    addObjects("endpointslices", {
      metadata: { name: `${name}-x`, namespace: "shop", generation: 4, labels: { "kubernetes.io/service-name": name } },
      endpoints: null,
      ports: null,
    }),
  );
/** Its EndpointSlice lacks the back ends that are on w1. */
const forgets: Edit = editObjects("endpointslices", "backend-00000", (slice) => ({
  ...slice,
  endpoints: (slice.endpoints ?? []).filter(({ nodeName }) => nodeName !== "w1"),
}));
const readySince =
  (at: string) =>
  (pod: Pod): Pod => ({
    ...pod,
    status: { ...pod.status, conditions: [{ type: "Ready", status: "True", lastTransitionTime: at }] },
  });
const MANAGER = "Pod/kube-system/kube-controller-manager-cp1";

testCheck(serviceWithoutEndpoints, {
  finds: [
    {
      story: "the selector was changed for a version that was never rolled out",
      given: cluster().with(select("backend", { app: "backend-v2" })),
      repair: "Service/shop/backend",
      says: ["none carries app=backend-v2, while the Pods of Deployment/shop/backend carry app=backend"],
      breaks: ["service.select"],
      strength: "direct",
    },
    {
      story: "the selector of a Service with another name was mistyped",
      given: cluster().edit(once("api", { app: "bakend" })),
      repair: "Service/shop/api",
      says: ["none carries app=bakend, while the Pods of Deployment/shop/backend"],
    },
    {
      story: "a Service is called that selects what nobody knows",
      given: cluster().edit(
        edits(once("checkout", { app: "checkout" }), probed("client", "tcp", "10.96.20.1:80", "refused")),
      ),
      repair: "Service/shop/checkout",
      says: ["Service shop/checkout selects no Pod: none in its namespace carries app=checkout"],
      healedBy: healthy,
    },
    {
      story: "all back ends fail their readiness probe",
      given: cluster().edit(editPods("backend", unready({ state: { running: { startedAt: ago(900) } } }))),
      repair: "Deployment/shop/backend",
      says: ["none of its 3 Pods is ready (Deployment/shop/backend: readiness probe fails)"],
      breaks: ["pod.ready"],
      healedBy: healthy,
    },
    {
      story: "they crash, and somebody calls them in vain",
      given: cluster().edit(edits(editPods("backend", crashing()), calledInVain)),
      repair: "Deployment/shop/backend",
      says: ["CrashLoopBackOff"],
      healedBy: healthy,
    },
    {
      story: "a readiness gate of the load balancer is never met",
      given: cluster({ flavour: "managed" }).edit(
        editPods("frontend", (pod) => ({
          ...unready({ ready: true }, "Running")(pod),
          spec: { ...pod.spec, readinessGates: [{ conditionType: "elb/target" }] },
        })),
      ),
      repair: "Deployment/shop/frontend",
      says: ["readiness gate elb/target is not met"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
    {
      story: "the only database Pods are stuck on nodes that are gone",
      given: cluster().edit(editPods("db", deleted(ago(1200)))),
      repair: "StatefulSet/data/db",
      says: ["being deleted"],
      healedBy: healthy,
    },
    {
      story: "a workload was switched off that is still called",
      given: cluster().with(off).edit(calledInVain),
      repair: "Deployment/shop/backend",
      says: ["Service shop/backend has no back end: Deployment/shop/backend is scaled to zero"],
    },
    {
      story: "a quota lets no Pod of the backend be made",
      given: cluster({ flavour: "k3s" }).edit(editPods("backend", gone)),
      repair: "Deployment/shop/backend",
      says: ["Deployment/shop/backend asks for 3 Pods and has none"],
      healedBy: () => cluster({ flavour: "k3s" }),
    },
    {
      story: "the EndpointSlice controller stands still since Pods moved to w1",
      given: cluster().edit(forgets),
      repair: MANAGER,
      says: ["Service shop/backend has 2 ready Pods that its EndpointSlices do not name"],
      breaks: ["service.endpoints"],
      strength: "differing",
      healedBy: healthy,
    },
  ],
  warns: [
    {
      story: "an application crashes that nobody calls",
      given: cluster().edit(editPods("backend", crashing())),
      repair: "Deployment/shop/backend",
      says: ["CrashLoopBackOff"],
    },
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "a workload is switched off, and nobody calls it", given: cluster().with(off) },
    {
      story: "Services whose back ends somebody else writes",
      given: cluster().edit(
        addObjects(
          "services",
          service("by-hand", "shop", { clusterIP: "10.96.20.2", ports: [{ port: 80 }] }),
          service("partner", "shop", { type: "ExternalName", externalName: "api.example.org" }),
        ),
      ),
    },
    {
      story: "a canary was taken away after its trial",
      given: cluster().edit(once("backend-canary", { app: "backend-canary" })),
    },
    {
      story: "the other slot of two is not deployed now",
      given: cluster().edit(once("standby", { app: "frontend", slot: "green" })),
    },
    {
      story: "a database without replicas has a Service for them",
      given: cluster().edit(once("db-replica", { app: "db", role: "replica" })),
    },
    {
      story: "peers are to find each other before they are ready",
      given: cluster().edit(
        edits(
          editPods("db", unready()),
          editObjects("services", "db", (one) => ({ ...one, spec: { ...one.spec, publishNotReadyAddresses: true } })),
        ),
      ),
    },
    {
      story: "a headless Service without ports",
      given: cluster().edit(editObjects("services", "db", (one) => ({ ...one, spec: { ...one.spec, ports: null } }))),
    },
    {
      story: "a replica became ready a moment ago",
      given: cluster().edit(edits(forgets, editPods("backend", readySince(ago(2)), "w1"))),
    },
  ],
  cannotTell: [
    {
      story: "a new version is being rolled out",
      given: cluster().edit(editPods("backend", (pod) => created(ago(20))(waiting("ContainerCreating")(pod)))),
      capability: "pod.ready",
    },
    {
      story: "it is being taken away",
      given: cluster().edit(editPods("backend", deleted(ago(3)))),
      capability: "pod.ready",
    },
    {
      story: "it is being installed",
      given: cluster().edit(edits(editObjects("deployments", "backend", created(ago(2))), editPods("backend", gone))),
      capability: "service.select",
    },
    { story: "we may not read Pods", given: cluster().without("pods"), capability: "service.select" },
    { story: "we may not read Services", given: cluster().without("services"), capability: "service.select" },
    {
      story: "we may not read EndpointSlices",
      given: cluster().without("endpointslices"),
      capability: "service.follow",
    },
  ],
});
