/** Whether the back ends of a Service have been as they are for a while. */
import type { CaptureTime } from "../time.ts";
import type { ServicePort, Services } from "./services.ts";

/** Milliseconds. */
const SETTLING = 60_000;

/** When the EndpointSlice controller saw the change that it wrote last (core/v1, EndpointsLastChangeTriggerTime). */
const TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time";

type Slice = ReturnType<Services["slices"]>[number];

/** Whether a slice tells when it was written last: `kubectl get` leaves that out. */
const tellsOfChange = ({ metadata }: Slice): boolean =>
  metadata.annotations?.[TRIGGERED] !== undefined || (metadata.managedFields ?? []).some(({ time }) => time);

/** For how long, in milliseconds, back ends have surely been as they are; undefined if nothing tells. */
export function unchangedFor(port: ServicePort, services: Services, time: CaptureTime): number | undefined {
  const slices = services.slices(port.service);
  return slices.length > 0 && slices.every(tellsOfChange) ? sinceLastChange(port, services, time) : undefined;
}

/** Endpoints, Pods and rules are read one after the other: what was changing meanwhile differs without fault. */
export const isSettled = (port: ServicePort, services: Services, time: CaptureTime): boolean =>
  sinceLastChange(port, services, time) > SETTLING;

/** Milliseconds since the last change that anything tells of. */
function sinceLastChange(port: ServicePort, services: Services, time: CaptureTime): number {
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
  return Math.min(...changes.map((at) => time.age(at) ?? Number.POSITIVE_INFINITY));
}
