/**
 * A connection that carries more than one packet holds: both ends agree on what their devices take (the maximum segment
 * size), and learn what fits on the way if somebody tells them (path MTU discovery, RFC 1191).
 */
import { known } from "../evidence/observed.ts";
import type { Packet } from "../model/netfilter/packet.ts";
import { formatIp } from "../net/ip.ts";
import { deviceOf, routeOf } from "./stages/routes.ts";
import type { Namespace, Trace, Way } from "./trace.ts";
import { type Sending, type World, walk } from "./walk.ts";

/** How often ends may learn of a smaller size: every node of a way can have a smaller device than the one before. */
const MOST_LESSONS = 4;

/**
 * Walks a connection as it begins, and those of its ways that are answered once more with packets as large as its ends
 * make them, both ways.
 */
export function walkStream(sending: Omit<Sending, "size">, world: World): Trace {
  const { ways } = walk(sending, world);
  return {
    ways: ways.flatMap((way) => {
      const size = way.end.is === "answered" ? segmentSize(way, sending, world) : undefined;
      return size === undefined ? way : carried(way, { ...sending, size }, world);
    }),
  };
}

/** One of the ways with large packets. */
function carried(way: Way, sending: Sending, world: World, lessons = MOST_LESSONS): readonly Way[] {
  const target = targetOf(way);
  const all = walk(sending, world).ways;
  // one that is lost before the rules have chosen is lost for each of them
  const mine = all.filter((one) => targetOf(one) === target || one.end.is === "too-big");
  return mine.flatMap((large) => {
    const { is, told, evidence } = large.end;
    const fits = Number(/ mtu (\d+)$/.exec(evidence[0]?.quote ?? "")?.[1]);
    const learns = is === "too-big" && told === "yes" && fits < (sending.size ?? 0) && lessons > 0;
    return learns ? carried(way, { ...sending, size: fits }, world, lessons - 1) : large;
  });
}

/** Whom the rules chose: the last destination before the answer. */
function targetOf({ steps, answer }: Way): string {
  const sent = steps.slice(0, answer).findLast((step) => "packet" in step);
  const destination = sent && "packet" in sent ? sent.packet.destination : "unknown";
  return destination === "unknown" ? "" : formatIp(destination);
}

/** The smaller MTU of the devices at both ends; undefined if one was not seen. */
function segmentSize({ steps, answer = 0 }: Way, { from, packet }: Sending, world: World): number | undefined {
  const taken = steps[answer - 1];
  const reply = steps[answer];
  if (from === "outside" || taken?.did !== "receive" || reply?.did !== "send") return undefined;
  const sizes = [mtuOf(from, packet, world), mtuOf(taken.at, reply.packet, world)];
  return sizes.includes(undefined) ? undefined : Math.min(...sizes.map(Number));
}

/** Of the device by which an end sends: a Pod's own, or what the node's route names before any rule sees the packet. */
function mtuOf({ node, pod }: Namespace, packet: Packet, world: World): number | undefined {
  if (pod && !pod.hostNetwork) {
    const links = known(world.podNamespaces.of(pod).links);
    return links?.find(({ addresses }) => addresses.some(({ local }) => pod.addresses.includes(local)))?.mtu;
  }
  const plane = world.forwarding.of(node);
  const route = routeOf(plane, packet);
  const device = route === "unknown" ? undefined : deviceOf(route).outDevice;
  return known(plane.links)?.find(({ name }) => name === device)?.mtu;
}
