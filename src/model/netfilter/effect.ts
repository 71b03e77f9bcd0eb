/** What targets after which a packet goes on do to it: marks and states. */
import { sha256 } from "@noble/hashes/sha2.js";
import { connmarkOf, hasConnection, markOf, type Packet, setBits } from "./packet.ts";
import type { Target } from "./rule.ts";
import type { Step } from "./when.ts";

/** Longer than the text of a digest. */
const LONGEST = 128;

/** The packet, of whose unknown parts some stand for other values since this rule. */
export function renewed(packet: Packet, { ruleset, line }: Step): Packet {
  const unknowns = `${packet.unknowns ?? ""}${ruleset} ${line};`;
  return {
    ...packet,
    unknowns:
      unknowns.length > LONGEST ? sha256(Uint8Array.from(unknowns, (char) => char.charCodeAt(0))).join() : unknowns,
  };
}

/** A target that we do not know may have set the mark to anything. */
export const markedAnyhow = (packet: Packet, step: Step): Packet =>
  renewed({ ...packet, mark: 0, markUnknown: 0xffffffff }, step);

/** xt_MARK.c, mark_tg: all forms of MARK are (mark & ~mask) ^ value. */
export function marked(
  packet: Packet,
  { value, mask }: { readonly value: number; readonly mask: number },
  step: Step,
): Packet {
  const bits = setBits(markOf(packet), value, mask);
  const after: Packet = { ...packet, mark: bits.value, markUnknown: bits.unknown };
  return (bits.unknown & value) === 0 ? after : renewed(after, step);
}

/** xt_connmark.c, connmark_tg: set, save (packet to connection) or restore (connection to packet). */
export function connmarked(packet: Packet, target: Target & { readonly does: "connmark" }, step: Step): Packet {
  const connection = hasConnection(packet);
  if (connection === false) return packet;
  const { operation, mask, packetMask = mask, value = 0 } = target;
  const mark = markOf(packet);
  const connmark = connmarkOf(packet);
  const [kept, from, fromMask] =
    operation === "restore"
      ? [setBits(mark, 0, packetMask), connmark, mask]
      : operation === "save"
        ? [setBits(connmark, 0, mask), mark, packetMask]
        : [setBits(connmark, 0, mask), { value, unknown: 0 }, 0xffffffff];
  const doubtful = connection === "unknown" ? mask | packetMask | fromMask : 0;
  const brought = (from.unknown & fromMask) | doubtful;
  const unknown = (kept.unknown | brought) >>> 0;
  const bits = ((kept.value ^ (from.value & fromMask)) & ~unknown) >>> 0;
  const after: Packet =
    operation === "restore"
      ? { ...packet, mark: bits, markUnknown: unknown }
      : { ...packet, connmark: bits, connmarkUnknown: unknown };
  const isFlipped = (kept.unknown & from.value & fromMask) !== 0;
  return brought !== 0 || isFlipped ? renewed(after, step) : after;
}

/** xt_CT.c, xt_ct_target: a packet that has an entry already keeps it, as those do that a node sends to itself. */
export function untracked(packet: Packet): Packet {
  return packet.natDone ? packet : { ...packet, ctState: "untracked" };
}

/** Of targets that the parser does not know by their options: what follows them. */
export function afterUnknown(name: string): "goes-on" | "judged" | "ends" | "unknown" {
  if (GO_ON.has(name)) return "goes-on";
  if (JUDGED.has(name)) return "judged";
  return END.has(name) ? "ends" : "unknown";
}

/** They return XT_CONTINUE; what else they do is not seen by rules. */
const GO_ON = new Set(["CT", "SECMARK", "CONNSECMARK"]);
/** A program in user space accepts or drops it (nf_reinject in net/netfilter/nf_queue.c). */
const JUDGED = new Set(["NFQUEUE", "QUEUE", "queue"]);
/** The packet is decided on elsewhere: by another device, or by an address computed from its own. */
const END = new Set(["SYNPROXY", "NETMAP", "CLUSTERIP", "DNPT", "SNPT", "fwd", "synproxy"]);

/**
 * Tables whose queue is read by one who does what the NetworkPolicies say: kube-network-policies, and kindnet, of which it
 * is a part (pkg/dataplane/controller.go). They hand it the first packet of each connection of Pods that policies select.
 */
export const POLICY_QUEUES = /^(?:kube|kindnet)-network-policies$/;

/** @param ruleset as steps have it: `nft inet kindnet-network-policies` */
export const isPolicyQueue = (ruleset: string): boolean => POLICY_QUEUES.test(ruleset.split(" ").at(-1) ?? "");
