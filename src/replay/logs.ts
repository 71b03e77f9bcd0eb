/**
 * GET of a container's log, as much of it as the bundle has.
 *
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ (read log); the refusals are
 * those of kubernetes, pkg/registry/core/pod/strategy.go (LogLocation) and the kubelet's. Lines of a bundle begin with
 * their time; a log ends where it was taken, so following it ends too.
 */
import { type Answer, textAnswer } from "./answer.ts";
import { wholeNumber } from "./list.ts";
import { qualified, StatusError } from "./status.ts";
import { type LogId, logPath, objectOf, type Store, type StoredObject } from "./store.ts";
import { isTrue } from "./watch.ts";

const TIME = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})) ?/;
const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

type Named = { readonly name?: string };
type PodValue = {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> | null };
  readonly spec?: {
    readonly containers?: readonly Named[];
    readonly initContainers?: readonly Named[] | null;
    readonly ephemeralContainers?: readonly Named[] | null;
  };
};

/** @param pod undefined if the bundle has logs of it only */
export function logAnswer(
  store: Store,
  namespace: string,
  podName: string,
  pod: StoredObject | undefined,
  query: URLSearchParams,
): Answer {
  const container = containerOf(podName, pod, query.get("container") ?? "");
  const isPrevious = isTrue(query.get("previous"));
  const text = store.files.get(logPath({ namespace, pod: podName, container, isPrevious }));
  if (!text) throw missing({ namespace, pod: podName, container, isPrevious });
  return textAnswer(cut(Buffer.from(text).toString(), query, store.now()));
}

function missing(id: LogId): StatusError {
  const { pod, container, isPrevious } = id;
  const what = isPrevious ? "previous terminated container" : "container";
  const message = `${what} "${container}" in pod "${pod}" not found: the bundle has no ${logPath(id)}`;
  return new StatusError(isPrevious ? "BadRequest" : "NotFound", message, { name: pod, kind: "pods" });
}

function containerOf(podName: string, pod: StoredObject | undefined, asked: string): string {
  if (!pod) {
    if (asked !== "") return asked;
    throw new StatusError("NotFound", `${qualified({ group: "", plural: "pods" })} "${podName}" not found`, {
      name: podName,
      kind: "pods",
    });
  }
  const { metadata, spec } = objectOf(pod) as PodValue;
  const namesOf = (list: readonly Named[] | null | undefined) => (list ?? []).map(({ name }) => name ?? "");
  const containers = namesOf(spec?.containers);
  const initial = namesOf(spec?.initContainers);
  const all = [...containers, ...initial, ...namesOf(spec?.ephemeralContainers)];
  if (asked !== "") {
    if (all.includes(asked)) return asked;
    throw new StatusError("BadRequest", `container ${asked} is not valid for pod ${podName}`);
  }
  const preferred = metadata?.annotations?.[DEFAULT_CONTAINER];
  if (preferred !== undefined && all.includes(preferred)) return preferred;
  if (containers.length === 1 && containers[0] !== undefined) return containers[0];
  const others = initial.length === 0 ? "" : ` or one of the init containers: [${initial.join(" ")}]`;
  const choice = `choose one of: [${containers.join(" ")}]${others}`;
  throw new StatusError("BadRequest", `a container name must be specified for pod ${podName}, ${choice}`);
}

/** The lines that are asked for, with their times or without. */
function cut(text: string, query: URLSearchParams, now: number): string {
  let lines = text.split(/(?<=\n)/);
  const since = sinceOf(query, now);
  if (since !== undefined) {
    // a line without a time belongs to the one before it
    const first = lines.findIndex((line) => Date.parse(TIME.exec(line)?.[1] ?? "") >= since);
    lines = first < 0 ? [] : lines.slice(first);
  }
  if (query.has("tailLines")) {
    const count = wholeNumber(query, "tailLines");
    lines = count === 0 ? [] : lines.slice(-count);
  }
  const shown = isTrue(query.get("timestamps")) ? lines : lines.map((line) => line.replace(TIME, ""));
  const limit = wholeNumber(query, "limitBytes");
  const joined = shown.join("");
  return limit > 0 ? Buffer.from(joined).subarray(0, limit).toString() : joined;
}

function sinceOf(query: URLSearchParams, now: number): number | undefined {
  const time = query.get("sinceTime");
  if (time !== null) {
    const at = Date.parse(time);
    if (Number.isNaN(at)) throw new StatusError("BadRequest", `sinceTime ${JSON.stringify(time)} is no RFC 3339 time`);
    return at;
  }
  return query.has("sinceSeconds") ? now - wholeNumber(query, "sinceSeconds") * 1000 : undefined;
}
