/**
 * What nodes show of a Service's back ends that the API's lists do not know yet. Lists are read first, nodes after them; where
 * much does not answer, minutes lie between.
 */
import type { Nodes } from "../nodes.ts";
import type { Pods } from "../pods.ts";
import type { Sandboxes } from "../sandboxes.ts";
import type { ServiceEndpoint, Services, ServiceView } from "./services.ts";

type Parts = {
  readonly nodes: Nodes;
  readonly pods: Pods;
  readonly services: Services;
  readonly sandboxes: Sandboxes;
};

/** A node that is cut off from the API server still runs what was removed there long ago. */
const follows = (node: string, { nodes }: Parts): boolean => nodes.get(node)?.ready !== "Unknown";

/** Whether an address is that of a Pod of the same workload as the Service's, which was made after Pods had been listed. */
export function cameSince(address: string, service: ServiceView, parts: Parts): boolean {
  const { pods, services, sandboxes } = parts;
  if (!pods.whole) return false;
  const own = sandboxes.all.find(({ addresses }) => addresses.includes(address.replace(/^\[|\]$/g, "")));
  if (!own || pods.get(own.namespace, own.pod) || !follows(own.node, parts)) return false;
  const owners = services.selected(service).flatMap(({ owner }) => owner ?? []);
  return owners.some(({ namespace, name }) => namespace === own.namespace && own.pod.startsWith(`${name}-`));
}

/** Whether the Pod of an endpoint has left its node after it had been listed. */
export function hasLeft({ pod }: ServiceEndpoint, parts: Parts): boolean {
  const listed = pod && parts.pods.get(pod.namespace, pod.name);
  if (!listed || listed.node === undefined || listed.hostNetwork) return false;
  const { sandboxes } = parts;
  const runs = sandboxes.all.some((one) => one.namespace === listed.namespace && one.pod === listed.name);
  return sandboxes.isSampled(listed.node) && !runs && follows(listed.node, parts);
}
