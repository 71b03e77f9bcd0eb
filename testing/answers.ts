/** What the API server answers who asks kubelets for logs. */
import { unknown } from "../src/evidence/observed.ts";
import { overlay } from "../src/evidence/overlay.ts";
import { pathOf } from "../src/evidence/path.ts";
import { type Cluster, cluster, clusterOf } from "./cluster.ts";

/** The cluster as somebody has it whose requests for logs of a node's containers were answered so. */
export function answered(node: string, words: (address: string) => string, most = 99, seen = cluster()): Cluster {
  const { capture } = seen;
  const { pods, nodes } = cluster().model();
  const address = nodes.get(node)?.addresses[0] ?? "";
  return clusterOf(
    overlay(
      capture,
      pods
        .onNode(node)
        .flatMap((pod) => pod.object.spec.containers.map(({ name: container }) => ({ pod, container })))
        .slice(0, most)
        .map(({ pod, container }) => {
          const place = { namespace: pod.namespace, pod: pod.name, container };
          const path = pathOf("containerLog", place);
          return {
            kind: "containerLog" as const,
            place,
            observed: unknown({ reason: "failed", message: words(address) }, { kind: "log", path }),
          };
        }),
    ),
  );
}
