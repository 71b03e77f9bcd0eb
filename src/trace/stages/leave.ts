/** Out of a node: by a route, through the hooks, and out of a device to a Pod, into a tunnel, or to the network between the nodes. */
import { isWhole, known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { RouteLookup } from "../../model/forwarding/routing.ts";
import { linkNamed } from "../../model/forwarding/tables.ts";
import type { Hook } from "../../model/netfilter/ruleset.ts";
import type { Namespace } from "../trace.ts";
import { toBridgePort } from "./bridge.ts";
import { fromHost } from "./cilium/host.ts";
import { masqueraded } from "./cilium/masquerade.ts";
import { leaving } from "./connections.ts";
import { enterPod } from "./deliver.ts";
import { isPeerOf, isProgrammed, isUp, PROGRAMS, podBehind, podOn, wrongNeighbour } from "./devices.ts";
import { throughHooks } from "./hooks.ts";
import { after, cannotTell, end, type Moving, type Next, onNode, type Port, textOf, type Walk } from "./moving.ts";
import { unasked } from "./ndp.ts";
import { routeOf } from "./routes.ts";
import { maySplit, tooBig } from "./size.ts";
import { encapsulate, encapsulated } from "./tunnel.ts";
import { toUnderlay } from "./underlay.ts";
import { toPeer } from "./wireguard.ts";

/** Out of a node by its routes, past its rules. */
export function byRoutes(walk: Walk, moving: Moving, node: string): Next[] {
  const route = routeOf(walk.world.forwarding.of(node), moving.packet);
  if (route === "unknown") return cannotTell(moving, { node }, onNode(node, "routes", "routingRules"));
  return routed(walk, moving, node, route, []);
}

export function routed(
  walk: Walk,
  moving: Moving,
  node: string,
  route: RouteLookup,
  hooks: readonly Hook[],
  by?: Port,
): Next[] {
  const at: Namespace = { node };
  const { world } = walk;
  const plane = world.forwarding.of(node);
  if (route.end === "unknown") return cannotTell(moving, at, onNode(node, "routes"));
  if (route.end === "no-route") {
    const words = `no route to ${textOf(moving.packet.destination)}`;
    return end(moving, { is: "no-route", at, evidence: [quoteOf(plane.routes.origin, words)] });
  }
  if (route.end === "refused") return end(moving, { is: "unreachable", at, evidence: [route.evidence] });
  if (route.end === "local") {
    return throughHooks(walk, moving, node, hooks, (passed) => [{ go: "loop-back", moving: passed, node }]);
  }
  const ways = route.hops.length > 0 ? route.hops : [{ flags: [] }];
  return ways.flatMap((hop) => {
    const { device, gateway } = hop as { device?: string; gateway?: string };
    if (device === undefined) return cannotTell(moving, at, onNode(node, "routes"));
    const certainty = ways.length > 1 && moving.certainty === "certain" ? "chosen" : moving.certainty;
    const packet = { ...moving.packet, outDevice: device };
    const on = after(
      { ...moving, packet, certainty },
      { did: "route", at, device, ...(gateway !== undefined && { gateway }), evidence: [route.evidence] },
    );
    const link = linkNamed(plane.links, device);
    const isLarge = link !== undefined && link.mtu < on.size;
    if (isLarge && !maySplit(on)) return tooBig(walk, on, node, link);
    const fitting = isLarge ? { ...on, size: link.mtu } : on;
    return throughHooks(walk, fitting, node, hooks, (passed) =>
      throughDevice(walk, leaving(passed, node), node, device, gateway, by),
    );
  });
}

/** Out of a node by a device: to a Pod, into a tunnel, or to the network between the nodes. */
export function throughDevice(
  walk: Walk,
  moving: Moving,
  node: string,
  device: string,
  gateway: string | undefined,
  by?: Port,
): Next[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  if (plane.links.state !== "present") return cannotTell(moving, at, onNode(node, "links"));
  const link = linkNamed(plane.links, device);
  if (!link && !isWhole(plane.links)) return cannotTell(moving, at, onNode(node, "links"));
  if (!link || !isUp(link)) {
    const words = link ? `${device} is down` : `no device ${device}`;
    const tunnel = /^(vxlan|ipip|wireguard|geneve)$/.test(link?.kind ?? "") && { tunnel: true as const };
    return end(moving, { is: "device-down", at, evidence: [quoteOf(plane.links.origin, words)], ...tunnel });
  }
  if (link.name === "cilium_host" && world.cilium.runs) return fromHost(walk, moving, node);
  if (isProgrammed(link)) return cannotTell(moving, at, [], PROGRAMS);
  const own = known(plane.localAddresses);
  const next = gateway === undefined || own?.has(gateway) ? textOf(moving.packet.destination) : gateway;
  if (link.kind === "vxlan") return encapsulate(walk, moving, node, link, next);
  if (link.kind === "ipip") return encapsulated(moving, node, link, next, { kind: "ipip" }, []);
  if (link.kind === "wireguard") return toPeer(walk, moving, node, link);
  const target = podOn(world, node, next) ?? podBehind(world, node, link);
  if (link.kind === "bridge") return toBridgePort(walk, moving, node, link, next, by);
  const isPodDevice = target !== undefined && isPeerOf(world, target, link);
  if (isPodDevice) {
    const inside = known(world.podNamespaces.of(target).links)?.find(({ peerIndex }) => peerIndex === link.index);
    const silenced = unasked({ plane, device: link.name }, next, undefined);
    if (silenced) return end(moving, { is: "unreachable", at, evidence: [silenced] });
    const wrong = wrongNeighbour(plane, next, link.name, inside?.mac);
    if (wrong) return end(moving, { is: "lost", at, evidence: [wrong] });
    return enterPod(walk, moving, node, link, target, inside);
  }
  const masked = masqueraded(walk, moving, node, link);
  return "packet" in masked ? toUnderlay(walk, masked, node, link, next) : masked;
}
