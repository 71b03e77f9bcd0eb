/** What workloads that lack Pods were answered when their controllers wanted to make some. */
import type { Evidence } from "../evidence/origin.ts";
import type { Workload } from "../parse/objects.ts";
import type { Capability } from "./capability.ts";
import { hasLabels } from "./labels.ts";
import type { Objects } from "./objects.ts";
import type { Pods } from "./pods.ts";
import { type Ref, ref, refId } from "./ref.ts";
import type { Services } from "./services/services.ts";
import type { CaptureTime } from "./time.ts";

export type PodRefusal = {
  readonly workload: Ref;
  readonly object: Workload;
  /** How many Pods it has. */
  readonly made: number;
  /** The API server's words, as the workload's condition or an Event hands them on. */
  readonly message: string;
  readonly evidence: Evidence;
};

type Parts = { readonly objects: Objects; readonly pods: Pods; readonly time: CaptureTime };

/** Milliseconds: controllers wait for a quarter of an hour at most before they try again (client-go workqueue, 1000 s). */
const CURRENT = 1_000_000 + 60_000;

export const WORKLOAD_LISTS = [
  ["deployments", "Deployment"],
  ["statefulsets", "StatefulSet"],
  ["daemonsets", "DaemonSet"],
] as const;

/** The workload that an object's Pods are made for: the Deployment, not its ReplicaSet. */
function ownerOf(kind: string, name: string, namespace: string, objects: Objects): Ref {
  if (kind !== "ReplicaSet") return ref(kind, name, namespace);
  const set = objects
    .all("replicasets")
    .find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  const owner = set?.metadata.ownerReferences?.[0]?.name ?? name.replace(/-[a-z0-9]{1,10}$/, "");
  return ref("Deployment", owner, namespace);
}

/** Refusals of workloads that still lack Pods; only whole lists of Pods tell which do. */
export function podRefusals({ objects, pods, time }: Parts): readonly PodRefusal[] {
  const lacking = WORKLOAD_LISTS.flatMap(([list, kind]) =>
    objects.all(list).flatMap((object) => {
      const { metadata, spec, status } = object;
      const self = ref(kind, metadata.name, metadata.namespace);
      const wanted = kind === "DaemonSet" ? (status?.desiredNumberScheduled ?? 1) : (spec.replicas ?? 1);
      const made = pods.ownedBy(self).filter(({ finished, terminating }) => !finished && !terminating).length;
      return made < wanted ? [{ list, object, self, made }] : [];
    }),
  );
  const byId = new Map(lacking.map((one) => [refId(one.self), one]));
  const stated = lacking.flatMap(({ list, object, self, made }) =>
    (object.status?.conditions ?? [])
      .filter(({ type, status }) => type === "ReplicaFailure" && status === "True")
      .map(({ message }): PodRefusal => {
        const evidence = objects.quote(list, object, `${refId(self)}: ReplicaFailure: ${message}`);
        return { workload: self, object, made, message: message ?? "", evidence };
      }),
  );
  const told = objects.all("events").flatMap((event): PodRefusal[] => {
    const { reason, involvedObject, message, series, lastTimestamp, eventTime } = event;
    const at = series?.lastObservedTime ?? lastTimestamp ?? eventTime;
    if (reason !== "FailedCreate" || (time.age(at) ?? CURRENT) >= CURRENT) return [];
    const { kind, name, namespace } = involvedObject ?? {};
    const one = byId.get(refId(ownerOf(kind ?? "", name ?? "", namespace ?? "", objects)));
    const evidence = objects.quote("events", event, `${kind} ${namespace}/${name}: ${reason}: ${message}`);
    return one ? [{ workload: one.self, object: one.object, made: one.made, message: message ?? "", evidence }] : [];
  });
  return [...stated, ...told];
}

/** The Services that select the Pods of a workload, `namespace/name`. */
export function servicesOf({ metadata, spec }: Workload, services: Services): readonly string[] {
  return services.all.flatMap(({ selector, namespace, name }) =>
    selector && namespace === metadata.namespace && hasLabels(selector, spec.template.metadata?.labels ?? {})
      ? [`${namespace}/${name}`]
      : [],
  );
}

/** What is broken if no Pod of a workload is admitted. */
export const admissionOf = (workload: Ref, object: Workload, services: Services): Capability[] => [
  { name: "pod.admit", component: refId(workload) },
  ...servicesOf(object, services).map((service): Capability => ({ name: "pod.admit", service })),
];
