/** Packets that are larger than a device takes: split, told of to their sender, or lost. */
import type { Evidence } from "../../evidence/origin.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { End, Namespace, Way } from "../trace.ts";
import { mtuOf } from "./devices.ts";
import { end, isKnown, type Moving, type Next, type Walk } from "./moving.ts";

/**
 * Whether a packet may be sent in fragments: one that is sent as too large to split may not, but what VXLAN and WireGuard send
 * (vxlan_xmit_one: `df` unset) and answers to pings (icmp_reply: IP_PMTUDISC_DONT) may.
 */
export const maySplit = ({ packet, inner, answer, refusal }: Moving): boolean =>
  /^(vxlan|wireguard)$/.test(inner.at(-1)?.kind ?? "") ||
  (packet.protocol === "icmp" && answer !== undefined && refusal === undefined && inner.length === 0);

/**
 * Dropped between two devices, where no route is looked up: nobody is told (is_skb_forwardable, veth_xmit). Several packets
 * of a stream that the kernel still holds as one (GSO) pass all the same.
 */
export function lostForSize(
  moving: Moving,
  at: Namespace,
  evidence: Evidence,
  goOn: (taken: Moving) => Next[],
): Next[] {
  const how = { is: "too-big", at, evidence: [evidence], told: "never" } satisfies End;
  const carried = moving.inner[0]?.packet ?? moving.packet;
  const isStream = carried.protocol === "tcp";
  if (!isStream && moving.certainty !== "guessed") return end(moving, how);
  const guessed = { ...moving, certainty: "guessed" as const };
  return [...end(guessed, how), ...goOn(guessed)];
}

/** Does not fit the device that its route names: its sender is told, if the message gets there (ip_forward; ip_fragment tells even the node itself by a message). */
export function tooBig(walk: Walk, moving: Moving, node: string, link: Link): Way[] {
  const { origin } = walk.world.forwarding.of(node).links;
  const how = { is: "too-big", at: { node }, evidence: [mtuOf(origin, link)], told: "yes" } satisfies End;
  const silenced = moving.inner.length === 0 ? unheard(walk, moving, node) : undefined;
  return end(moving, silenced ? { ...how, evidence: [...how.evidence, ...silenced], told: "silenced" } : how);
}

/** “Fragmentation needed” and “packet too big”, by which a sender is told. */
const TOO_BIG = {
  4: { protocol: "icmp", icmpType: 3, icmpCode: 4 },
  6: { protocol: "ipv6-icmp", icmpType: 2, icmpCode: 0 },
} as const;

/**
 * What keeps the message from the sender of a packet; undefined if it arrives, or if that cannot be told.
 *
 * It goes to the address that the packet has: one that a node has given it is that node's, which knows whom to tell.
 */
function unheard({ also }: Walk, { packet }: Moving, node: string): readonly Evidence[] | undefined {
  if (!isKnown(packet.source)) return undefined;
  const message = {
    family: packet.family,
    ...TOO_BIG[packet.family],
    source: "unknown",
    destination: packet.source,
    mark: 0,
    ctState: "related",
  } as const;
  const ways = also({ from: { node }, packet: message });
  const isLost = ({ answer, end: { is } }: Way) =>
    answer === undefined && is !== "insufficient" && is !== "left-cluster";
  return ways.length > 0 && ways.every(isLost) ? ways[0]!.end.evidence : undefined;
}
