/**
 * Pods whose readiness probes get no answer over the network, as the kubelet tells it in events.
 *
 * Source: pkg/kubelet/prober/prober.go ("Readiness probe failed: …"), with the words of Go's net and net/http. A port that
 * refuses, or an answer of the program, says nothing about the network.
 */
import type { Objects } from "../objects.ts";

const UNANSWERED =
  /^Readiness probe failed: [\s\S]*(?:context deadline exceeded|Client\.Timeout exceeded|i\/o timeout|no route to host|network is unreachable)/;

/** @returns keys of Pods */
export function unansweredPods(objects: Objects): ReadonlySet<string> {
  const keys = objects.all("events").flatMap(({ reason, message, involvedObject: of }) => {
    const isSo = reason === "Unhealthy" && of?.kind === "Pod" && UNANSWERED.test(message ?? "");
    return isSo ? [`${of.namespace}/${of.name}`] : [];
  });
  return new Set(keys);
}
