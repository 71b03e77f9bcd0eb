/**
 * The packet walk: takes a packet from a socket through every network namespace, hook, route, device and tunnel that it
 * would pass, and its answer back, as the kernels of the nodes would.
 *
 * A file of `stages/` each, and in it one function a stage, which returns the ways on from there. Order of things, from
 * the kernel:
 *   receive   prerouting → (source check) → route → input → socket
 *                                               ↘ forward → postrouting → device
 *   send      route → output → (route again if the rules changed it) → postrouting → device
 * (net/ipv4/ip_input.c, ip_forward.c, ip_output.c; drivers/net/vxlan; net/bridge). What is not known ends a way as
 * `insufficient`, with the evidence that would tell; it is never taken for passing or for dropped.
 */
import { inFull } from "../model/netfilter/packet.ts";
import { loopBack } from "./stages/arrive.ts";
import { byRoutes } from "./stages/leave.ts";
import { after, type Moving, type Next, type Onward, type Sending, type Walk, type World } from "./stages/moving.ts";
import { throughNode, throughTunnel } from "./stages/passage.ts";
import { send } from "./stages/send.ts";
import { arriveFromOutside } from "./stages/underlay.ts";
import { asSeen } from "./stages/whole.ts";
import type { Trace } from "./trace.ts";

export { type Sending, WORLD, type World } from "./stages/moving.ts";

export function walk(sending: Sending, world: World): Trace {
  const walking: Walk = { world: asSeen(world), sending, count: 0, also: (other) => walk(other, world).ways };
  const start: Moving = {
    packet: inFull(sending.packet),
    trail: undefined,
    certainty: "certain",
    doubts: [],
    inner: [],
    tracked: new Map(),
    asked: undefined,
    entered: undefined,
    answer: undefined,
    refusal: undefined,
    size: sending.size ?? 0,
    unseen: undefined,
  };
  const { from } = sending;
  const first =
    from === "outside"
      ? arriveFromOutside(walking, start)
      : send(walking, after(start, { did: "send", at: from, packet: start.packet }), from);
  return { ways: follow(walking, first).filter((next) => "end" in next) };
}

/** Each way to its end, or to where it is far enough, in the order in which they part. */
function follow(walk: Walk, from: readonly Next[], isFar: (next: Onward) => boolean = () => false): Next[] {
  const far: Next[] = [];
  const ahead = from.toReversed();
  for (let next = ahead.pop(); next; next = ahead.pop()) {
    if ("end" in next || isFar(next)) far.push(next);
    else ahead.push(...goOn(walk, next).toReversed());
  }
  return far;
}

function goOn(walk: Walk, onward: Onward): readonly Next[] {
  const { moving } = onward;
  switch (onward.go) {
    case "send":
      return throughTunnel(walk, moving, onward.at, follow);
    case "arrive":
      return throughNode(walk, onward, follow);
    case "route":
      return byRoutes(walk, moving, onward.node);
    case "loop-back":
      return loopBack(walk, moving, onward.node);
  }
}
