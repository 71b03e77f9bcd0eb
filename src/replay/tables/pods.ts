/** Pods, and what their containers tell of them. */
import { ago, type Cell, type Maybe, type Metadata, NONE, type Printer, printer } from "./printer.ts";

type Terminated = {
  readonly exitCode?: number;
  readonly signal?: Maybe<number>;
  readonly reason?: Maybe<string>;
  readonly finishedAt?: Maybe<string>;
};
type ContainerState = Maybe<{
  readonly running?: Maybe<object>;
  readonly waiting?: Maybe<{ readonly reason?: Maybe<string> }>;
  readonly terminated?: Maybe<Terminated>;
}>;
type ContainerStatus = {
  readonly name: string;
  readonly ready?: boolean;
  readonly started?: Maybe<boolean>;
  readonly restartCount?: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
};
type Condition = { readonly type: string; readonly status: string; readonly reason?: Maybe<string> };
type Pod = {
  readonly metadata: Metadata;
  readonly spec: {
    readonly nodeName?: Maybe<string>;
    readonly containers: readonly object[];
    readonly initContainers?: Maybe<readonly { readonly name: string; readonly restartPolicy?: Maybe<string> }[]>;
    readonly readinessGates?: Maybe<readonly { readonly conditionType: string }[]>;
  };
  readonly status?: Maybe<{
    readonly phase?: Maybe<string>;
    readonly reason?: Maybe<string>;
    readonly podIP?: Maybe<string>;
    readonly podIPs?: Maybe<readonly { readonly ip?: string }[]>;
    readonly nominatedNodeName?: Maybe<string>;
    readonly conditions?: Maybe<readonly Condition[]>;
    readonly containerStatuses?: Maybe<readonly ContainerStatus[]>;
    readonly initContainerStatuses?: Maybe<readonly ContainerStatus[]>;
  }>;
};

/** Restarts, and the end of the run before the last of them. */
type Restarts = { readonly count: number; readonly last: string };

const NO_RESTARTS: Restarts = { count: 0, last: "" };

function counted({ count, last }: Restarts, { restartCount = 0, lastState }: ContainerStatus): Restarts {
  const finishedAt = lastState?.terminated?.finishedAt ?? "";
  return { count: count + restartCount, last: finishedAt > last ? finishedAt : last };
}

const exitOf = ({ signal, exitCode }: Terminated): string =>
  signal ? `Signal:${signal}` : `ExitCode:${exitCode ?? 0}`;

/** How the initial containers stand. `reason` is undefined once they are all done, or keep running beside the others. */
function initialStep(pod: Pod) {
  const specs = pod.spec.initContainers ?? [];
  const keepsRunning = (name: string) => specs.some((spec) => spec.name === name && spec.restartPolicy === "Always");
  let ready = 0;
  let all = NO_RESTARTS;
  let beside = NO_RESTARTS;
  let reason: string | undefined;
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const { name, state, started } = status;
    all = counted(all, status);
    if (keepsRunning(name)) beside = counted(beside, status);
    const terminated = state?.terminated;
    if (terminated && (terminated.exitCode ?? 0) === 0) continue;
    if (keepsRunning(name) && started) {
      if (status.ready) ready++;
      continue;
    }
    const waiting = state?.waiting?.reason;
    if (terminated) reason = `Init:${terminated.reason || exitOf(terminated)}`;
    else if (waiting && waiting !== "PodInitializing") reason = `Init:${waiting}`;
    else reason = `Init:${index}/${specs.length}`;
    break;
  }
  return { ready, all, beside, reason, besideCount: specs.filter(({ name }) => keepsRunning(name)).length };
}

function cells(pod: Pod, now: number): readonly Cell[] {
  const { metadata, spec, status } = pod;
  const conditions = status?.conditions ?? [];
  const isTrue = (type: string) => conditions.some((each) => each.type === type && each.status === "True");
  const phase = status?.phase ?? "";
  let reason = status?.reason || phase;
  if (conditions.some((each) => each.type === "PodScheduled" && each.reason === "SchedulingGated")) {
    reason = "SchedulingGated";
  }
  const initial = initialStep(pod);
  let { ready, all: restarts } = initial;
  if (initial.reason !== undefined) reason = initial.reason;
  if (initial.reason === undefined || isTrue("Initialized")) {
    restarts = initial.beside;
    let isRunning = false;
    for (const container of [...(status?.containerStatuses ?? [])].reverse()) {
      restarts = counted(restarts, container);
      const { waiting, terminated, running } = container.state ?? {};
      if (waiting?.reason) reason = waiting.reason;
      else if (terminated) reason = terminated.reason || exitOf(terminated);
      else if (container.ready && running) {
        isRunning = true;
        ready++;
      }
    }
    if (reason === "Completed" && isRunning) reason = isTrue("Ready") ? "Running" : "NotReady";
  }
  if (metadata.deletionTimestamp) {
    if (status?.reason === "NodeLost") reason = "Unknown";
    else if (phase !== "Failed" && phase !== "Succeeded") reason = "Terminating";
  }
  const gates = spec.readinessGates ?? [];
  return [
    metadata.name,
    `${ready}/${spec.containers.length + initial.besideCount}`,
    reason,
    restarts.count > 0 && restarts.last !== ""
      ? `${restarts.count} (${ago(restarts.last, now)} ago)`
      : `${restarts.count}`,
    ago(metadata.creationTimestamp, now),
    status?.podIPs?.[0]?.ip || status?.podIP || NONE,
    spec.nodeName || NONE,
    status?.nominatedNodeName || NONE,
    gates.length === 0 ? NONE : `${gates.filter((gate) => isTrue(gate.conditionType)).length}/${gates.length}`,
  ];
}

export const podPrinters: Readonly<Record<string, Printer>> = {
  "/pods": printer<Pod>("Name, Ready, Status, Restarts, Age, IP^, Node^, Nominated Node^, Readiness Gates^", cells),
};
