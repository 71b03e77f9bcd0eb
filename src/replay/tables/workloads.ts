/** What makes Pods, and what it makes of them. */
import {
  age,
  ago,
  type Dict,
  duration,
  labelText,
  listed,
  type Maybe,
  type Metadata,
  NONE,
  type Printer,
  printer,
  type Selector,
  selectorText,
  UNSET,
} from "./printer.ts";

type Container = { readonly name: string; readonly image?: Maybe<string> };
type Template = Maybe<{
  readonly metadata?: Maybe<{ readonly labels?: Dict }>;
  readonly spec?: Maybe<{ readonly containers?: Maybe<readonly Container[]>; readonly nodeSelector?: Dict }>;
}>;

const containersOf = (template: Template) => template?.spec?.containers ?? [];
const names = (template: Template): string =>
  containersOf(template)
    .map(({ name }) => name)
    .join(",");
const images = (template: Template): string =>
  containersOf(template)
    .map(({ image }) => image ?? "")
    .join(",");

type Condition = { readonly type: string; readonly status: string };
type Workload = {
  readonly metadata: Metadata;
  readonly spec: {
    readonly replicas?: Maybe<number>;
    readonly selector?: Selector;
    readonly template?: Template;
  };
  readonly status?: Maybe<{
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly updatedReplicas?: number;
    readonly desiredNumberScheduled?: number;
    readonly currentNumberScheduled?: number;
    readonly numberReady?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberAvailable?: number;
  }>;
};

type Job = {
  readonly metadata: Metadata;
  readonly spec: {
    readonly completions?: Maybe<number>;
    readonly parallelism?: Maybe<number>;
    readonly selector?: Selector;
    readonly template?: Template;
  };
  readonly status?: Maybe<{
    readonly succeeded?: number;
    readonly startTime?: Maybe<string>;
    readonly completionTime?: Maybe<string>;
    readonly conditions?: Maybe<readonly Condition[]>;
  }>;
};

function jobStatus({ metadata, status }: Job): string {
  const is = (type: string) => (status?.conditions ?? []).some((each) => each.type === type && each.status === "True");
  if (is("Complete")) return "Complete";
  if (is("Failed")) return "Failed";
  if (metadata.deletionTimestamp) return "Terminating";
  if (is("Suspended")) return "Suspended";
  return is("FailureTarget") ? "FailureTarget" : "Running";
}

function completions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined && spec.completions !== null) return `${succeeded}/${spec.completions}`;
  const parallel = spec.parallelism ?? 0;
  return parallel > 1 ? `${succeeded}/1 of ${parallel}` : `${succeeded}/1`;
}

function jobDuration({ status }: Job, now: number): string {
  if (!status?.startTime) return "";
  const end = status.completionTime ? Date.parse(status.completionTime) : now;
  return duration(end - Date.parse(status.startTime));
}

type CronJob = {
  readonly metadata: Metadata;
  readonly spec: {
    readonly schedule: string;
    readonly timeZone?: Maybe<string>;
    readonly suspend?: Maybe<boolean>;
    readonly jobTemplate?: Maybe<{
      readonly spec?: Maybe<{ readonly selector?: Selector; readonly template?: Template }>;
    }>;
  };
  readonly status?: Maybe<{ readonly active?: Maybe<readonly unknown[]>; readonly lastScheduleTime?: Maybe<string> }>;
};

const replicas = "Name, Desired#, Current#, Ready#, Age, Containers^, Images^, Selector^";

const replicaSet = printer<Workload>(replicas, ({ metadata, spec, status }, now) => [
  metadata.name,
  spec.replicas ?? 0,
  status?.replicas ?? 0,
  status?.readyReplicas ?? 0,
  age(metadata, now),
  names(spec.template),
  images(spec.template),
  selectorText(spec.selector),
]);

export const workloadPrinters: Readonly<Record<string, Printer>> = {
  "apps/deployments": printer<Workload>(
    "Name, Ready, Up-to-date, Available, Age, Containers^, Images^, Selector^",
    ({ metadata, spec, status }, now) => [
      metadata.name,
      `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
      status?.updatedReplicas ?? 0,
      status?.availableReplicas ?? 0,
      age(metadata, now),
      names(spec.template),
      images(spec.template),
      selectorText(spec.selector),
    ],
  ),
  "apps/daemonsets": printer<Workload>(
    "Name, Desired#, Current#, Ready#, Up-to-date#, Available#, Node Selector, Age, Containers^, Images^, Selector^",
    ({ metadata, spec, status }, now) => [
      metadata.name,
      status?.desiredNumberScheduled ?? 0,
      status?.currentNumberScheduled ?? 0,
      status?.numberReady ?? 0,
      status?.updatedNumberScheduled ?? 0,
      status?.numberAvailable ?? 0,
      labelText(spec.template?.spec?.nodeSelector),
      age(metadata, now),
      names(spec.template),
      images(spec.template),
      selectorText(spec.selector),
    ],
  ),
  "apps/statefulsets": printer<Workload>(
    "Name, Ready, Age, Containers^, Images^",
    ({ metadata, spec, status }, now) => [
      metadata.name,
      `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
      age(metadata, now),
      names(spec.template),
      images(spec.template),
    ],
  ),
  "apps/replicasets": replicaSet,
  "/replicationcontrollers": printer<Workload>(replicas, (object, now) => {
    // its selector is a plain set of labels
    const selector = { matchLabels: object.spec.selector as Dict };
    return replicaSet.cells({ ...object, spec: { ...object.spec, selector } }, now);
  }),
  "apps/controllerrevisions": printer<{ metadata: Metadata; revision?: number }>(
    "Name, Controller, Revision, Age",
    ({ metadata, revision }, now) => {
      const owner = metadata.ownerReferences?.find(({ controller }) => controller);
      return [metadata.name, owner ? ownerText(owner) : NONE, revision ?? 0, age(metadata, now)];
    },
  ),
  "/podtemplates": printer<{ metadata: Metadata; template?: Template }>(
    "Name, Containers, Images, Pod Labels",
    ({ metadata, template }) => [
      metadata.name,
      names(template),
      images(template),
      labelText(template?.metadata?.labels),
    ],
  ),
  "batch/jobs": printer<Job>(
    "Name, Status, Completions, Duration, Age, Containers^, Images^, Selector^",
    (job, now) => [
      job.metadata.name,
      jobStatus(job),
      completions(job),
      jobDuration(job, now),
      age(job.metadata, now),
      names(job.spec.template),
      images(job.spec.template),
      selectorText(job.spec.selector),
    ],
  ),
  "batch/cronjobs": printer<CronJob>(
    "Name, Schedule, Timezone, Suspend?, Active#, Last Schedule, Age, Containers^, Images^, Selector^",
    ({ metadata, spec, status }, now) => {
      const job = spec.jobTemplate?.spec;
      return [
        metadata.name,
        spec.schedule,
        spec.timeZone ?? NONE,
        spec.suspend === true ? "True" : spec.suspend === false ? "False" : UNSET,
        status?.active?.length ?? 0,
        status?.lastScheduleTime ? ago(status.lastScheduleTime, now) : NONE,
        age(metadata, now),
        names(job?.template),
        images(job?.template),
        selectorText(job?.selector),
      ];
    },
  ),
};

/** `statefulset.apps/db` */
function ownerText({ kind, apiVersion, name }: { kind: string; apiVersion: string; name: string }): string {
  const [group, version] = apiVersion.split("/");
  return listed([`${[kind.toLowerCase(), ...(version === undefined ? [] : [group])].join(".")}/${name}`]);
}
