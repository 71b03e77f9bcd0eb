/**
 * Logs of containers, by need: those of the control plane and of what makes the network, on the nodes that are looked
 * into; and those of Pods that are in trouble.
 */
import type { Capture, Intake } from "../../evidence/capture.ts";
import type { ObjectOf } from "../../evidence/catalogue.ts";
import { known } from "../../evidence/observed.ts";
import type { Api } from "./api.ts";
import type { Kubelets } from "./kubelets.ts";
import { type Progress, tellFailure } from "./read-api.ts";

type Pod = ObjectOf<"pods">;

export type ReadLogsOptions = {
  /** Agents run on every node: those of these are read. */
  readonly nodes: readonly string[];
  readonly kubelets: Kubelets;
  readonly progress: Progress;
};

type Log = {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly previous: boolean;
  readonly node: string;
};

/** Where control planes, DNS and the agents of networks run. */
const SYSTEM =
  /^(?:kube-system|kube-flannel|calico-system|calico-apiserver|tigera-operator|cilium|cilium-system|kube-ovn|openshift-(?:dns|sdn|ovn-kubernetes|multus|network-operator))$/;

const TAIL_LINES = 2000;
const LIMIT_BYTES = 4 * 1024 * 1024;
const MOST_LOGS = 120;
const MOST_TROUBLED = 20;
const AT_A_TIME = 4;

const isReady = ({ status }: Pod) => status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
const isOver = ({ status }: Pod) => status?.phase === "Succeeded" || status?.phase === "Failed";
const restartsOf = ({ status }: Pod) =>
  (status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);

function logsOf({ metadata, spec, status }: Pod): Log[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].flatMap(
    ({ name, restartCount, state }) => {
      const log = {
        namespace: metadata.namespace ?? "",
        pod: metadata.name,
        container: name,
        node: spec.nodeName ?? "",
      };
      const hasRun = state?.running || state?.terminated;
      return [
        ...(hasRun ? [{ ...log, previous: false }] : []),
        ...(restartCount > 0 ? [{ ...log, previous: true }] : []),
      ];
    },
  );
}

/** Which logs are read, the most telling first. */
function chooseLogs(pods: readonly Pod[], nodes: readonly string[]): Log[] {
  const running = pods.filter((pod) => !isOver(pod));
  const system = running.filter(({ metadata, spec }) => {
    const isAgent = spec.hostNetwork === true;
    return SYSTEM.test(metadata.namespace ?? "") && (!isAgent || nodes.includes(spec.nodeName ?? ""));
  });
  const troubled = running.filter((pod) => !system.includes(pod) && (!isReady(pod) || restartsOf(pod) > 0));
  const byTrouble = (a: Pod, b: Pod) => Number(isReady(a)) - Number(isReady(b)) || restartsOf(b) - restartsOf(a);
  return [...system.sort(byTrouble), ...troubled.sort(byTrouble).slice(0, MOST_TROUBLED)]
    .flatMap(logsOf)
    .slice(0, MOST_LOGS);
}

/** Reads logs of the Pods that the capture shows. */
export async function readLogs(
  api: Api,
  capture: Capture,
  intake: Intake,
  { nodes, kubelets, progress }: ReadLogsOptions,
): Promise<void> {
  const waiting = chooseLogs(known(capture.get("pods"))?.items ?? [], nodes);
  let done = 0;
  progress("logs");
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (let log = waiting.shift(); log; log = waiting.shift()) {
        if (kubelets.isSilent(log.node))
          tellFailure(intake, fileOf(log), `not asked: the kubelet of ${log.node} is silent`);
        else kubelets.heard(log.node, await readLog(api, intake, log, kubelets));
        progress("logs", ++done);
      }
    }),
  );
}

/** Of one log, milliseconds: nodes are still to be looked into. */
const LOG_LIMIT_MS = 20_000;

const fileOf = ({ namespace, pod, container, previous }: Log): string =>
  `logs/${namespace}/${pod}/${container}${previous ? ".previous" : ""}.log`;

/** @returns whether anything was answered */
async function readLog(api: Api, intake: Intake, log: Log, kubelets: Kubelets): Promise<boolean> {
  const { namespace, pod, container, previous } = log;
  const file = fileOf(log);
  const query = new URLSearchParams({
    container,
    timestamps: "true",
    tailLines: String(TAIL_LINES),
    limitBytes: String(LIMIT_BYTES),
    ...(previous && { previous: "true" }),
  });
  let sink = intake.open(file);
  let bytes = 0;
  const answer = await api.get(`/api/v1/namespaces/${namespace}/pods/${pod}/log?${query}`, {
    onText(piece) {
      sink?.write(piece);
      bytes += piece.length;
    },
    onRetry() {
      sink = intake.open(file);
      bytes = 0;
    },
    ...kubelets.patience(log.node),
    limitMs: LOG_LIMIT_MS,
    isRelayed: true,
  });
  if (answer.ok || bytes > 0) sink?.end({ bytes, ...(!answer.ok && { cutOff: answer.failure.message }) });
  // a container that was restarted long ago has no earlier log any more
  else if (!previous || answer.failure.kind !== "refused") tellFailure(intake, file, answer.failure.message);
  return answer.ok || bytes > 0 || answer.failure.kind !== "timeout";
}
