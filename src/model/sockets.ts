/** What listens inside Pods. */
import type { Capture } from "../evidence/capture.ts";
import { isWhole, known, type Observed } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import type { ListeningSocket } from "../parse/iproute2/ss.ts";
import type { PodView } from "./pods.ts";

export type ClosedProbe = {
  readonly port: number;
  /** The ports that do listen, as words. */
  readonly listening: string;
  readonly evidence: Evidence;
};

export interface Sockets {
  /** The listening sockets that a Pod's network namespace has; for Pods on the host network the node's. */
  of(pod: PodView): Observed<readonly ListeningSocket[]>;
  /** Whether whoever looked asked for SCTP too (`ss -S`): netwhy's collector does, and one that lists any such socket did. */
  readonly showSctp: boolean;
  /** The port of a readiness probe that is surely closed: kubelet is refused, whatever the program does. */
  closedProbe(pod: PodView): ClosedProbe | undefined;
}

export function socketsOf(capture: Capture): Sockets {
  const all = new WeakMap<PodView, Observed<readonly ListeningSocket[]>>();
  const look: Sockets["of"] = (pod) =>
    pod.hostNetwork
      ? capture.get("sockets", { node: pod.node ?? "" })
      : capture.get("podSockets", { node: pod.node ?? "", namespace: pod.namespace, pod: pod.name });
  const of: Sockets["of"] = (pod) => {
    const sockets = all.get(pod) ?? look(pod);
    all.set(pod, sockets);
    return sockets;
  };
  let showSctp: boolean | undefined;
  const hasSctp = (kind: "sockets" | "podSockets") =>
    capture.all(kind).some(({ observed }) => known(observed)?.some(({ protocol }) => protocol === "sctp"));
  return {
    of,
    get showSctp() {
      const isOurs = known(capture.get("cluster"))?.bundle?.startsWith("netwhy.bundle/") === true;
      showSctp ??= isOurs || hasSctp("podSockets") || hasSctp("sockets");
      return showSctp;
    },
    closedProbe(pod) {
      const sockets = of(pod);
      // sandboxed runtimes show no socket at all
      if (sockets.state !== "present" || !isWhole(sockets) || sockets.value.length === 0) return undefined;
      const open = sockets.value.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
      const port = probedPorts(pod).find((asked) => !open.includes(asked));
      if (port === undefined) return undefined;
      const listening = [...new Set(open)].sort((a, b) => a - b).join(", ") || "none";
      return { port, listening, evidence: quoteOf(sockets.origin, `${pod.key}: TCP ports that listen: ${listening}`) };
    },
  };
}

/** The ports that readiness probes ask over the network. */
function probedPorts({ object }: PodView): number[] {
  return object.spec.containers.flatMap(({ readinessProbe, ports }) => {
    const asked = readinessProbe?.httpGet?.port ?? readinessProbe?.tcpSocket?.port ?? readinessProbe?.grpc?.port;
    const port = typeof asked === "string" ? (ports ?? []).find(({ name }) => name === asked)?.containerPort : asked;
    return port ?? [];
  });
}
