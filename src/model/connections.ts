/**
 * Connections that were answered a moment ago, as the connection tracking of the nodes remembers them: who answers, and who
 * asked what address. They show that something works; that there are none shows nothing.
 *
 * How long ago is told by the time that an entry has left (Linux, nf_conntrack_proto_tcp.c and …_udp.c: TIME_WAIT 120 s, UDP
 * at most 120 s, an established connection five days from its last packet).
 */
import { known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { canonicalIp } from "../net/ip.ts";
import type { ConntrackEntry } from "../parse/conntrack/entries.ts";
import type { Forwarding, NodePlane } from "./forwarding/plane.ts";
import type { Nodes } from "./nodes.ts";

export interface Connections {
  /** A connection that was answered from this address and port. */
  answeredFrom(protocol: string, address: string, port: number): Evidence | undefined;
  /** Connections that a node tracks, asked from an address of `sources` of an address and port, and answered. */
  answeredTo(node: string, sources: ReadonlySet<string>, address: string, port: number): Evidence | undefined;
}

/** Seconds that an established connection has left after its last packet, at the kernel's default, and fewer by five minutes. */
const ESTABLISHED_LATELY = 432_000 - 300;

/** Whether both sides sent packets within the last minutes. */
function isFresh({ protocol, state, secondsLeft, replied, assured }: ConntrackEntry): boolean {
  if (protocol === "udp") return replied;
  if (protocol !== "tcp" || !assured) return false;
  return state === "TIME_WAIT" || (state === "ESTABLISHED" && secondsLeft >= ESTABLISHED_LATELY);
}

const keyOf = (protocol: string, address: string, port: number | undefined): string =>
  `${protocol} ${canonicalIp(address) ?? address} ${port}`;

export function connectionsOf(nodes: Nodes, forwarding: Forwarding): Connections {
  const fresh = (node: string): readonly ConntrackEntry[] =>
    (known(forwarding.of(node).conntrack) ?? []).filter(isFresh);
  const quote = ({ conntrack }: NodePlane, { line, protocol, original, reply }: ConntrackEntry): Evidence =>
    quoteOf(
      { ...conntrack.origin, line },
      `${protocol} src=${original.source} dst=${original.destination} dport=${original.destinationPort} answered by ${reply.source}:${reply.sourcePort}`,
    );
  let answering: Map<string, Evidence> | undefined;
  return {
    answeredFrom(protocol, address, port) {
      answering ??= new Map(
        nodes.all.flatMap(({ name }) =>
          fresh(name).map((entry) => [
            keyOf(entry.protocol, entry.reply.source, entry.reply.sourcePort),
            quote(forwarding.of(name), entry),
          ]),
        ),
      );
      return answering.get(keyOf(protocol, address, port));
    },
    answeredTo(node, sources, address, port) {
      const found = fresh(node).find(
        ({ original }) =>
          original.destinationPort === port &&
          canonicalIp(original.destination) === address &&
          sources.has(canonicalIp(original.source) ?? ""),
      );
      return found && quote(forwarding.of(node), found);
    },
  };
}
