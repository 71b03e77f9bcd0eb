/**
 * States that objects of a cluster can be in, as functions of an object: for `editObjects` and `editPods`.
 *
 *   editPods("coredns", crashing(), "w1")
 *   editObjects("nodes", "w2", created(ago(30)))
 */
import type { Pod } from "../src/parse/objects.ts";
import { CREATED, NOW } from "./cluster-nodes.ts";

/** A time before the capture. */
export const ago = (seconds: number): string => new Date(Date.parse(NOW) - seconds * 1000).toISOString();

type Status = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];

/** A Pod that is not ready, with what its containers are doing. */
export function unready(state: Partial<Status> = {}, phase = "Running", since = CREATED): (pod: Pod) => Pod {
  return (pod) => ({
    ...pod,
    status: {
      ...pod.status,
      phase,
      conditions: [{ type: "Ready", status: "False", lastTransitionTime: since }],
      containerStatuses: (pod.status?.containerStatuses ?? []).map((status) => ({ ...status, ready: false, ...state })),
    },
  });
}

/** What the kubelet waits for before it starts a container. */
export const waiting = (reason: string, phase = "Pending") => unready({ state: { waiting: { reason } } }, phase);

export const crashing = (exitCode = 1) =>
  unready({
    restartCount: 6,
    state: { waiting: { reason: "CrashLoopBackOff" } },
    lastState: { terminated: { exitCode, reason: "Error", startedAt: ago(64), finishedAt: ago(63) } },
  });

/** A Pod that is ready since then, whatever its containers went through. */
export function ready(since: string, state: Partial<Status> = {}): (pod: Pod) => Pod {
  return (pod) => {
    const { status } = unready({ ready: true, ...state })(pod);
    return {
      ...pod,
      status: { ...status, conditions: [{ type: "Ready", status: "True", lastTransitionTime: since }] },
    };
  };
}

/** A Pod whose first init container is doing this, and whose others wait for it. */
export function initialising(name: string, state: Status["state"], phase = "Pending"): (pod: Pod) => Pod {
  const container = { name, ready: state?.terminated?.exitCode === 0, restartCount: 0, state };
  return (pod) => {
    const { status } = phase === "Running" ? pod : waiting("PodInitializing", phase)(pod);
    return { ...pod, status: { ...status, initContainerStatuses: [container] } };
  };
}

type Meta = { readonly metadata: object };
const withMeta =
  (more: object) =>
  <T extends Meta>(object: T): T => ({ ...object, metadata: { ...object.metadata, ...more } });

export const created = (at: string) => withMeta({ creationTimestamp: at });
export const deleted = (at: string) => withMeta({ deletionTimestamp: at });
export const annotated =
  (more: Readonly<Record<string, string>>) =>
  <T extends { readonly metadata: { readonly annotations?: Pod["metadata"]["annotations"] } }>(object: T): T =>
    withMeta({ annotations: { ...object.metadata.annotations, ...more } })(object);
export const gone = (): undefined => undefined;

export const withSpec =
  (more: object) =>
  <T extends { readonly spec?: object | null | undefined }>(object: T): T => ({
    ...object,
    spec: { ...object.spec, ...more },
  });

/** Changes every container of a Pod. */
export const withContainers =
  (change: (container: Pod["spec"]["containers"][number]) => Pod["spec"]["containers"][number]) =>
  (pod: Pod): Pod => ({ ...pod, spec: { ...pod.spec, containers: pod.spec.containers.map(change) } });

export const atAddress =
  (address: (now: string) => string) =>
  (pod: Pod): Pod => {
    const podIP = address(pod.status?.podIP ?? "");
    return pod.spec.hostNetwork ? pod : { ...pod, status: { ...pod.status, podIP, podIPs: [{ ip: podIP }] } };
  };
