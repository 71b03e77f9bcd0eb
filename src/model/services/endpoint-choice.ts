/**
 * Which back ends of a Service port a node uses.
 *
 * Source: kubernetes pkg/proxy/topology.go, CategorizeEndpoints, and pkg/proxy/serviceport.go, which all modes of
 * kube-proxy share.
 */
export type Endpoint = {
  /** Canonical. */
  readonly address: string;
  readonly port: number;
  readonly node?: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Zones and nodes for which the EndpointSlice controller meant it; empty without hints. */
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
};

export type TrafficPolicy = {
  readonly internalLocal: boolean;
  /** externalTrafficPolicy Local; counts only if the port is reachable from outside. */
  readonly externalLocal: boolean;
  /** It has a node port, an external or a load-balancer address. */
  readonly external: boolean;
};

export type NodeTopology = { readonly name: string; readonly zone?: string };

export type EndpointChoice<E> = {
  /** For policy Cluster; undefined if no traffic of the port uses them. */
  readonly cluster?: readonly E[];
  /** For policy Local; undefined if no traffic of the port uses them. */
  readonly local?: readonly E[];
  /** Whether the port has a usable back end anywhere: without one it is rejected, without a local one dropped. */
  readonly any: boolean;
};

function hintsFor<E extends Endpoint>(endpoints: readonly E[], node: NodeTopology): (endpoint: E) => boolean {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  const forNode = (endpoint: E) => endpoint.nodeHints.includes(node.name);
  if (ready.every(({ nodeHints }) => nodeHints.length > 0) && ready.some(forNode)) return forNode;
  const { zone } = node;
  const forZone = (endpoint: E) => zone !== undefined && endpoint.zoneHints.includes(zone);
  if (ready.every(({ zoneHints }) => zoneHints.length > 0) && ready.some(forZone)) return forZone;
  return () => true;
}

export function chooseEndpoints<E extends Endpoint>(
  endpoints: readonly E[],
  policy: TrafficPolicy,
  node: NodeTopology,
): EndpointChoice<E> {
  const draining = (endpoint: E) => endpoint.serving && endpoint.terminating;
  const firstOf = (preferred: readonly E[], fallback: () => readonly E[]) =>
    preferred.length > 0 ? preferred : fallback();

  // even with externalTrafficPolicy Local, traffic from Pods to an external address is short-circuited to all back ends
  const usesCluster = !policy.internalLocal || policy.external;
  const usesLocal = policy.internalLocal || (policy.externalLocal && policy.external);

  const isMeant = hintsFor(endpoints, node);
  const cluster = firstOf(
    endpoints.filter((endpoint) => endpoint.ready && isMeant(endpoint)),
    () => endpoints.filter(draining),
  );
  const here = endpoints.filter((endpoint) => endpoint.node === node.name);
  const local = firstOf(
    here.filter((endpoint) => endpoint.ready),
    () => here.filter(draining),
  );
  return {
    ...(usesCluster && { cluster }),
    ...(usesLocal && { local }),
    any: endpoints.some((endpoint) => endpoint.ready || draining(endpoint)),
  };
}
