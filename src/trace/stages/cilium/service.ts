/** Cilium's load balancer: to one of the back ends of a Service. */
import { known } from "../../../evidence/observed.ts";
import type { CiliumNode } from "../../../model/cilium/cilium.ts";
import type { Balanced } from "../../../model/cilium/load-balancer.ts";
import { parseIp } from "../../../net/ip.ts";
import type { Namespace, Way } from "../../trace.ts";
import { after, cannotTell, end, followed, type Moving, type Next, type Walk } from "../moving.ts";
import { refuse } from "../reply.ts";

/** @param on goes on with the packet, its destination translated */
export function toBackends(
  walk: Walk,
  moving: Moving,
  at: Namespace,
  node: CiliumNode,
  found: Exclude<Balanced, { is: "not-a-service" }>,
  on: (translated: Moving) => Next[],
): Next[] {
  if (found.is === "unknown") return cannotTell(moving, at, [node.missing("ciliumLb")], found.because);
  const { backends, evidence } = found;
  if (backends.length === 0) return withoutBackend(walk, moving, at, node, evidence);
  return followed(walk, backends, ({ address }) => address).flatMap((backend) => {
    const destination = parseIp(backend.address);
    if (!destination) return cannotTell(moving, at, [node.missing("ciliumLb")]);
    const packet = { ...moving.packet, destination, destinationPort: backend.port };
    const certainty = backends.length > 1 && moving.certainty === "certain" ? "chosen" : moving.certainty;
    const step = { did: "balance", by: "cilium", at, before: moving.packet, packet, evidence } as const;
    return on(after({ ...moving, packet, certainty }, step));
  });
}

/**
 * With nobody to send it to, it is dropped; since 1.16 the sender is told, if the kernel can and it is not switched off
 * (service-no-backend-response).
 */
function withoutBackend(
  walk: Walk,
  moving: Moving,
  at: Namespace,
  node: CiliumNode,
  evidence: Extract<Balanced, { is: "service" }>["evidence"],
): Next[] {
  const drops = (certainty: Way["certainty"]) => end({ ...moving, certainty }, { is: "dropped", at, evidence });
  const rejects = (certainty: Way["certainty"]) =>
    refuse({ ...moving, certainty }, at, { is: "rejected", at, evidence, with: "icmp-port-unreachable" });
  const [major = 0, minor = 0] = (known(node.status)?.version ?? "").split(".").map(Number);
  const isSilent = major === 1 && minor < 15;
  const asked = walk.world.cilium.setting("service-no-backend-response");
  if (isSilent || asked === "drop") return drops(moving.certainty);
  return asked === "reject" ? rejects(moving.certainty) : [...rejects("guessed"), ...drops("guessed")];
}
