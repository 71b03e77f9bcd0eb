/**
 * What becomes of a tunnel's packet on its way from one node to another is the same for all packets that it carries: found
 * once, it is told of each.
 */
import type { Certainty, Namespace, Step, Way } from "../trace.ts";
import { type Moving, type Next, stepsOf, type Walk, type World } from "./moving.ts";
import { send } from "./send.ts";

const PASSAGES_KEPT = 10_000;

const passages = new WeakMap<World, Map<string, readonly Next[]>>();

/** Takes ways to their ends, or to where they are in fewer tunnels than `depth`. */
type Follow = (walk: Walk, from: readonly Next[], depth: number) => readonly Next[];

/** A socket sends, or a tunnel: its packet is taken to where it ends, or what it carries comes out. */
export function throughTunnel(walk: Walk, moving: Moving, at: Namespace, follow: Follow): readonly Next[] {
  const key = keyOf(walk, moving, at);
  if (key === undefined) return send(walk, moving, at);
  let known = passages.get(walk.world);
  if (!known || known.size >= PASSAGES_KEPT) {
    known = new Map();
    passages.set(walk.world, known);
  }
  let passage = known.get(key);
  if (!passage) {
    const alone: Moving = { ...moving, trail: undefined, certainty: "certain", doubts: [], unseen: undefined };
    passage = follow(walk, send(walk, alone, at), 1);
    known.set(key, passage);
  }
  return passage.map((next) => ("end" in next ? ended(moving, next) : cameOut(moving, next)));
}

/** The same for packets that fare alike; undefined where it depends on what is carried, on its size, or on how it came here. */
function keyOf({ sending }: Walk, moving: Moving, { node, pod }: Namespace): string | undefined {
  const { inner, size, certainty, packet } = moving;
  const [carried, ...others] = inner;
  if (!carried || others.length > 0 || pod || size > 0 || certainty === "guessed") return undefined;
  if (sending.explain || sending.from === "outside") return undefined;
  // WireGuard asks where what it carries comes from, Cilium whose it is
  if (carried.kind === "wireguard" || carried.identity !== undefined) return undefined;
  const { family, protocol, source, destination, destinationPort, mark } = packet;
  const ends = [source, destination].map((ip) => (ip === "unknown" ? ip : ip.value)).join(" ");
  const direction = moving.answer === undefined ? "there" : "back";
  return `${direction} ${node} ${carried.kind} ${carried.vni} ${carried.mac} ${family} ${protocol} ${ends} ${destinationPort} ${mark}`;
}

const SURENESS: readonly Certainty[] = ["certain", "chosen", "guessed"];
const lessSure = (a: Certainty, b: Certainty): Certainty =>
  SURENESS[Math.max(SURENESS.indexOf(a), SURENESS.indexOf(b))]!;

function ended({ trail, answer, certainty }: Moving, way: Way): Way {
  const { steps, end, doubts } = way;
  return {
    steps: [...stepsOf(trail), ...steps],
    ...(answer !== undefined && { answer }),
    end,
    certainty: lessSure(certainty, way.certainty),
    ...(doubts && { doubts }),
  };
}

function cameOut<N extends Exclude<Next, Way>>(moving: Moving, next: N): N {
  const { trail, certainty, doubts, unseen } = next.moving;
  const { packet, size } = moving.inner[0]!;
  const steps: Step[] = stepsOf(trail);
  return {
    ...next,
    moving: {
      ...moving,
      packet,
      size,
      inner: [],
      entered: undefined,
      trail: steps.reduce((before, step) => ({ step, before, length: (before?.length ?? 0) + 1 }), moving.trail),
      certainty: lessSure(moving.certainty, certainty),
      doubts: doubts.length > 0 ? [...moving.doubts, ...doubts] : moving.doubts,
      unseen: moving.unseen ?? unseen,
    },
  };
}
