/** What listens inside Pods. */
import type { Capture } from "../evidence/capture.ts";
import type { Observed } from "../evidence/observed.ts";
import type { ListeningSocket } from "../parse/ss.ts";
import type { PodView } from "./pods.ts";

export interface Sockets {
  /** The listening sockets that a Pod's network namespace has; for Pods on the host network the node's. */
  of(pod: PodView): Observed<readonly ListeningSocket[]>;
}

export function socketsOf(capture: Capture): Sockets {
  return {
    of: (pod) =>
      pod.hostNetwork
        ? capture.get("sockets", { node: pod.node ?? "" })
        : capture.get("podSockets", { node: pod.node ?? "", namespace: pod.namespace, pod: pod.name }),
  };
}
