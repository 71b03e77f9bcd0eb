/**
 * What the EndpointSlice controller writes for a Service with a selector.
 *
 * Slices are of one address family; a dual-stack Service has some of each.
 *
 * Source: kubernetes staging/src/k8s.io/endpointslice/{reconciler,utils}.go (podToEndpoint, FindPort, getEndpointPorts,
 * getAddressTypesForService).
 */
import { type Family, isOfFamily } from "../../net/ip.ts";
import type { EndpointSlice } from "../../parse/objects.ts";
import type { PodView } from "../pods.ts";
import { namedPorts } from "../policies/views.ts";
import type { ServiceView } from "../services/services.ts";

/** The Pod's number for each port of the Service; a name that no container has leaves the port out. */
function portsOf(service: ServiceView, pod: PodView): { name: string; protocol: string; port: number }[] {
  return service.ports.flatMap(({ name, protocol, targetPort }) => {
    const port = typeof targetPort === "number" ? targetPort : namedPorts(pod, targetPort, protocol)[0];
    return port === undefined ? [] : [{ name, protocol, port }];
  });
}

export function endpointSlices(service: ServiceView, pods: readonly PodView[]): EndpointSlice[] {
  return service.families.flatMap((family) => slicesOfFamily(service, pods, family));
}

function slicesOfFamily(service: ServiceView, pods: readonly PodView[], family: Family): EndpointSlice[] {
  const addressOf = ({ addresses }: PodView) => addresses.find((address) => isOfFamily(address, family));
  const groups = new Map<string, { ports: ReturnType<typeof portsOf>; pods: PodView[] }>();
  for (const pod of pods) {
    if (addressOf(pod) === undefined || pod.finished) continue;
    const ports = portsOf(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key);
    if (group) group.pods.push(pod);
    else groups.set(key, { ports, pods: [pod] });
  }
  if (groups.size === 0) groups.set("", { ports: [], pods: [] });
  return [...groups.values()].map(
    ({ ports, pods: members }, index): EndpointSlice => ({
      metadata: {
        name: `${service.name}-${index.toString(36).padStart(5, family === service.families[0] ? "0" : "v")}`,
        namespace: service.namespace,
        generation: 2,
        labels: {
          "kubernetes.io/service-name": service.name,
          "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        },
      },
      addressType: `IPv${family}`,
      ports,
      endpoints: members.map((pod) => ({
        addresses: [addressOf(pod)!],
        conditions: {
          ready: pod.ready || service.object.spec.publishNotReadyAddresses === true,
          serving: pod.ready,
          terminating: pod.terminating,
        },
        nodeName: pod.node ?? null,
        targetRef: { kind: "Pod", namespace: pod.namespace, name: pod.name },
      })),
    }),
  );
}
