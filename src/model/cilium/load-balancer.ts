/** What Cilium's load balancer does with a packet (bpf/lib/lb.h: lb4_lookup_service, lb4_local). */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { keyOfLbEnd, type LbBackend, type LbFrontend } from "../../parse/cilium/lb.ts";
import type { CiliumNode } from "./cilium.ts";

export type Balanced =
  /** The address is no Service of Cilium's. */
  | { readonly is: "not-a-service" }
  | { readonly is: "unknown"; readonly because?: string }
  /** None: there is nobody to send it to. */
  | { readonly is: "service"; readonly backends: readonly LbBackend[]; readonly evidence: readonly Evidence[] };

/** States of back ends that get no new connections while others are active (pkg/loadbalancer/loadbalancer.go). */
const RETIRED = new Set(["terminating", "quarantined", "maintenance"]);

const indices = new WeakMap<readonly LbFrontend[], ReadonlyMap<string, LbFrontend>>();

function indexOf(frontends: readonly LbFrontend[]): ReadonlyMap<string, LbFrontend> {
  const made = indices.get(frontends) ?? new Map(frontends.map((one) => [keyOfLbEnd(one), one]));
  indices.set(frontends, made);
  return made;
}

export function balance(node: CiliumNode, protocol: string, address: string, port: number): Balanced {
  const frontends = known(node.lb);
  if (!frontends) return { is: "unknown" };
  const index = indexOf(frontends);
  const upper = protocol.toUpperCase();
  const found = index.get(keyOfLbEnd({ address, port, protocol: upper })) ?? index.get(keyOfLbEnd({ address, port }));
  if (!found) return isWhole(node.lb) ? { is: "not-a-service" } : { is: "unknown" };
  if (found.flags.some((flag) => /l7/.test(flag))) return { is: "unknown", because: "Cilium's L7 load balancer" };
  if (found.backends.length === 0 && !isWhole(node.lb)) return { is: "unknown" };
  const backends = inUse(node, found);
  const names = backends.map((one) => `${one.address}:${one.port}`).join(", ");
  const words = `${address}:${port} ${names === "" ? "no back end" : names}`;
  return { is: "service", backends, evidence: [quoteOf({ ...node.lb.origin, line: found.line }, words)] };
}

/** Slots beyond those in use hold back ends that are on their way out; only the agent's list tells which. */
function inUse({ services }: CiliumNode, frontend: LbFrontend): readonly LbBackend[] {
  const agents = known(services)?.find((one) => keyOfLbEnd(one) === keyOfLbEnd(frontend));
  const isRetired = (backend: LbBackend) =>
    agents?.backends.some(
      ({ address, port, state }) => address === backend.address && port === backend.port && RETIRED.has(state),
    ) ?? false;
  const active = frontend.backends.filter((backend) => !isRetired(backend));
  return active.length > 0 ? active : frontend.backends;
}
