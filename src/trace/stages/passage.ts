/**
 * Parts of ways that are the same for many packets: found once, they are told of each.
 *
 * What becomes of a tunnel's packet on its way from one node to another does not depend on what it carries; and what a node
 * does with a packet that no rule has changed there yet, until it or its answer leaves for another node, not on how it came.
 */
import type { Packet } from "../../model/netfilter/packet.ts";
import type { Certainty, Namespace, Step, Way } from "../trace.ts";
import { receiveOnNode } from "./arrive.ts";
import { longer, type Moving, type Next, type Onward, stepsOf, type Walk, type World } from "./moving.ts";
import { send } from "./send.ts";

const KEPT = 10_000;
const MOST_TOWARDS = 8;

/** A part of a way, with the steps that it adds. */
type Part = { readonly next: Next; readonly steps: readonly Step[] };
type Parts = Map<string, readonly Part[] | undefined>;
const tunnels = new WeakMap<World, Parts>();
const nodes = new WeakMap<World, Parts>();

/** Takes ways to their ends, or to where `isFar` holds. */
type Follow = (walk: Walk, from: readonly Next[], isFar: (next: Onward) => boolean) => readonly Next[];
type Arriving = Extract<Onward, { go: "arrive" }>;

function partsOf(all: WeakMap<World, Parts>, world: World): Parts {
  let parts = all.get(world);
  if (!parts || parts.size >= KEPT) {
    parts = new Map();
    all.set(world, parts);
  }
  return parts;
}

const partOf = (next: Next): Part => ({ next, steps: "end" in next ? next.steps : stepsOf(next.moving.trail) });

/** As if it began here. */
const alone = (moving: Moving): Moving => ({
  ...moving,
  trail: undefined,
  certainty: "certain",
  doubts: [],
  unseen: undefined,
});

/** A socket sends, or a tunnel: its packet is taken to where it ends, or what it carries comes out. */
export function throughTunnel(walk: Walk, moving: Moving, at: Namespace, follow: Follow): readonly Next[] {
  const key = tunnelKey(walk, moving, at);
  if (key === undefined) return send(walk, moving, at);
  const known = partsOf(tunnels, walk.world);
  let parts = known.get(key);
  if (!parts) {
    parts = follow(walk, send(walk, alone(moving), at), ({ moving: { inner } }) => inner.length === 0).map(partOf);
    known.set(key, parts);
  }
  const { packet, size } = moving.inner[0] ?? moving;
  return parts.map((part) => joined(moving, part, { packet, size, inner: [], entered: undefined }));
}

/** The same for packets that fare alike; undefined where it depends on what is carried, on its size, or on how it came here. */
function tunnelKey({ sending }: Walk, moving: Moving, { node, pod }: Namespace): string | undefined {
  const { inner, size, certainty, packet } = moving;
  const [carried, ...others] = inner;
  if (!carried || others.length > 0 || pod || size > 0 || certainty === "guessed") return undefined;
  if (sending.explain || sending.from === "outside") return undefined;
  // WireGuard asks where what it carries comes from, Cilium whose it is
  if (carried.kind === "wireguard" || carried.identity !== undefined) return undefined;
  const direction = moving.answer === undefined ? "there" : "back";
  return `${direction} ${node} ${carried.kind} ${carried.vni} ${carried.mac} ${wireKey(packet)}`;
}

const wireKey = ({ family, protocol, source, destination, sourcePort, destinationPort, mark }: Packet): string =>
  `${family} ${protocol} ${source === "unknown" ? source : source.value} ${sourcePort} ${destination === "unknown" ? destination : destination.value} ${destinationPort} ${mark}`;

/**
 * A question comes to a node: taken to where it, or its answer, comes to another node. A way that ends before is followed
 * each time: the end may tell of what was asked for.
 */
export function throughNode(walk: Walk, arriving: Arriving, follow: Follow): readonly Next[] {
  const { moving, node, device, mark } = arriving;
  const key = nodeKey(walk, arriving);
  if (key === undefined) return receiveOnNode(walk, moving, node, device, undefined, mark);
  const known = partsOf(nodes, walk.world);
  let parts = known.get(key);
  if (!parts) {
    if (known.has(key)) return receiveOnNode(walk, moving, node, device, undefined, mark);
    const began: Moving = { ...alone(moving), tracked: new Map() };
    const isElsewhere = (next: Onward) => next.go === "arrive" && next.node !== node && next.moving.inner.length === 0;
    const found = follow(walk, receiveOnNode(walk, began, node, device, undefined, mark), isElsewhere);
    parts = found.some((next) => "end" in next) ? undefined : found.map(partOf);
    known.set(key, parts);
    if (!parts) return receiveOnNode(walk, moving, node, device, undefined, mark);
  }
  return parts.map((part) => {
    if ("end" in part.next) return joined(moving, part, {});
    const { packet, size, inner, entered, answer, refusal, tracked } = part.next.moving;
    const from = moving.trail?.length ?? 0;
    return joined(moving, part, {
      packet,
      size,
      inner,
      entered,
      refusal,
      answer: answer === undefined ? undefined : from + answer,
      tracked: new Map([...moving.tracked, ...tracked]),
    });
  });
}

/** The same for packets with which a node does the same. */
function nodeKey({ sending, world }: Walk, { moving, node, device, mark }: Arriving): string | undefined {
  const { inner, size, certainty, answer, refusal, packet, tracked } = moving;
  if (answer !== undefined || refusal || inner.length > 0 || size > 0 || certainty === "guessed") return undefined;
  // which of several back ends are followed may be asked on this node too
  if ((sending.towards?.size ?? 0) > MOST_TOWARDS) return undefined;
  if (sending.explain || tracked.has(node) || world.cilium.runs) return undefined;
  const { source, destination, icmpType, icmpCode, tcpFlags, ctState } = packet;
  if (source === "unknown" || destination === "unknown") return undefined;
  return `${node} ${device} ${mark} ${wireKey(packet)} ${icmpType} ${icmpCode} ${tcpFlags} ${ctState} ${sending.towards ? [...sending.towards] : ""}`;
}

const SURENESS: readonly Certainty[] = ["certain", "chosen", "guessed"];
const lessSure = (a: Certainty, b: Certainty): Certainty =>
  SURENESS[Math.max(SURENESS.indexOf(a), SURENESS.indexOf(b))]!;

/** The way so far, and the part of it that is known; `change` is what of it is this packet's own where it goes on. */
function joined({ ...moving }: Moving, { next, steps }: Part, change: Partial<Moving>): Next {
  if ("end" in next) {
    const { end, doubts } = next;
    const whole: Way = {
      steps: [...stepsOf(moving.trail), ...steps],
      ...(moving.answer !== undefined && { answer: moving.answer }),
      end,
      certainty: lessSure(moving.certainty, next.certainty),
      ...(doubts && { doubts }),
    };
    return whole;
  }
  const { certainty, doubts, unseen } = next.moving;
  const on: Moving = {
    ...moving,
    ...change,
    trail: longer(moving.trail, steps),
    certainty: lessSure(moving.certainty, certainty),
    doubts: doubts.length > 0 ? [...moving.doubts, ...doubts] : moving.doubts,
    unseen: moving.unseen ?? unseen,
  };
  return { ...next, moving: on };
}
