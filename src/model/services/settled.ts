/** Whether the back ends of a Service have been as they are for a while. */
import type { CaptureTime } from "../time.ts";
import type { ServicePort, Services } from "./services.ts";

/** Milliseconds. */
const SETTLING = 60_000;

/** When the EndpointSlice controller saw the change that it wrote last (core/v1, EndpointsLastChangeTriggerTime). */
const TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time";

/** Endpoints, Pods and rules are read one after the other: what was changing meanwhile differs without fault. */
export function isSettled(port: ServicePort, services: Services, time: CaptureTime): boolean {
  const changes = [
    ...services
      .slices(port.service)
      .flatMap(({ metadata }) => [
        metadata.creationTimestamp,
        metadata.annotations?.[TRIGGERED],
        ...(metadata.managedFields ?? []).map((entry) => entry.time),
      ]),
    ...services
      .selected(port.service)
      .flatMap(({ object: { metadata, status } }) => [
        metadata.creationTimestamp,
        metadata.deletionTimestamp,
        status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime,
      ]),
    port.service.object.metadata.creationTimestamp,
  ];
  const youngest = Math.min(...changes.map((at) => time.age(at) ?? Number.POSITIVE_INFINITY));
  return youngest > SETTLING;
}
