/**
 * Encapsulated packets between nodes, as the connection tracking of both ends shows them.
 *
 * VXLAN and Geneve choose the source port by the inner flow (Linux udp_flow_src_port), so that the same flow has one
 * entry on each end that it passed: UDP, from the sender's address to the receiver's, to the tunnel's port.
 */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { ConntrackEntry } from "../../parse/conntrack/entries.ts";
import type { Calico } from "../calico/calico.ts";
import type { Flannel } from "../flannel.ts";
import type { Forwarding } from "../forwarding/plane.ts";
import type { Nodes } from "../nodes.ts";

export type TunnelFlows =
  | { readonly state: "arrived"; readonly evidence: readonly Evidence[] }
  /** The sender's table has them, the receiver's has none of them. */
  | { readonly state: "lost"; readonly evidence: readonly Evidence[] }
  | { readonly state: "unknown" };

export interface Tunnels {
  /** To which UDP port nodes send them. */
  readonly port: number;
  /** What became of encapsulated packets from one node to another. */
  flows(from: string, to: string): TunnelFlows;
}

/** A flow must have been sent this often to tell anything: entries can expire between the two captures. */
const ENOUGH = 2;

export function tunnelsOf(nodes: Nodes, forwarding: Forwarding, flannel: Flannel, calico: Calico): Tunnels {
  const port = calico.used ? calico.tunnelPort("") : (flannel.config?.port ?? 8472);
  const isFlow = (entry: ConntrackEntry, source: readonly string[], destination: readonly string[]) =>
    entry.protocol === "udp" &&
    entry.original.destinationPort === port &&
    source.includes(entry.original.source) &&
    destination.includes(entry.original.destination);
  return {
    port,
    flows(from, to) {
      const source = nodes.get(from)?.addresses ?? [];
      const destination = nodes.get(to)?.addresses ?? [];
      const sender = forwarding.of(from).conntrack;
      const receiver = forwarding.of(to).conntrack;
      const sent = (known(sender) ?? []).filter((entry) => isFlow(entry, source, destination));
      const arrived = (known(receiver) ?? []).filter((entry) => isFlow(entry, source, destination));
      const quote = (entry: ConntrackEntry, at: typeof sender) =>
        quoteOf(
          { ...at.origin, line: entry.line },
          `udp src=${entry.original.source} dst=${entry.original.destination} sport=${entry.original.sourcePort} dport=${port}${entry.replied ? "" : " [UNREPLIED]"}`,
        );
      if (arrived.length > 0)
        return { state: "arrived", evidence: arrived.slice(0, 2).map((entry) => quote(entry, receiver)) };
      // of a table that is cut off, what is missing may be just these
      if (sent.length < ENOUGH || !isWhole(receiver)) return { state: "unknown" };
      // a table that shows no encapsulated packets of anybody does not track them
      if (!receiver.value.some((entry) => entry.protocol === "udp" && entry.original.destinationPort === port)) {
        return { state: "unknown" };
      }
      return { state: "lost", evidence: sent.slice(0, 2).map((entry) => quote(entry, sender)) };
    },
  };
}
