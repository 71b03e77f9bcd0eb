import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { bridgePortNamed, linkNamed, linkNumbered } from "../../model/forwarding/tables.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import { contains, formatIp, parseIp, prefixOf } from "../../net/ip.ts";
import type { Namespace } from "../trace.ts";
import { isRedirected, receiveOnNode, routeIn } from "./arrive.ts";
import { expected, leaving } from "./connections.ts";
import { holdersOf, isUp, stateOf } from "./devices.ts";
import { atHook, throughHooks } from "./hooks.ts";
import { throughDevice } from "./leave.ts";
import {
  cannotTell,
  end,
  isKnown,
  type Moving,
  type Next,
  onNode,
  type Port,
  textOf,
  type Walk,
  type World,
} from "./moving.ts";
import { unanswered, unbridged } from "./ndp.ts";
import { answersForItself, answersForOthers, bridgeCalls } from "./settings.ts";

/**
 * A frame of a Pod: for the node, for another Pod on the same bridge, or for nobody, as the address of its next hop is
 * resolved by ARP or neighbour discovery.
 *
 * @param next undefined if the Pod's routes are not known
 */
export function receiveFromPod(walk: Walk, moving: Moving, node: string, by: Port, next: string | undefined): Next[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  const { port } = by;
  const { master } = port;
  if (master !== undefined) {
    const bridge = linkNamed(plane.links, master);
    if (bridge && !isUp(bridge))
      return end(moving, { is: "device-down", at, evidence: [stateOf(world, node, bridge)] });
    const state = bridgePortNamed(plane.bridgePorts, port.name)?.state ?? "";
    if (state !== "" && state !== "forwarding") {
      const evidence = [quoteOf(plane.bridgePorts.origin, `${port.name} state ${state}`)];
      return end(moving, { is: "not-bridged", at, evidence });
    }
  }
  const device = master ?? port.name;
  if (master !== undefined && plane.bridgePorts.state !== "present" && !moving.unseen)
    return receiveFromPod(walk, { ...moving, unseen: true }, node, by, next);
  if (next === undefined) {
    const isForOther = master !== undefined && goesAcross(world, plane, moving.packet, device);
    return isForOther ? acrossBridge(walk, moving, node, device, by) : receiveOnNode(walk, moving, node, device, by);
  }
  if (answersForItself(plane, next, device)) {
    const silenced = unanswered({ plane, device }, next, moving.packet.source);
    if (silenced) return end(moving, { is: "unreachable", at, evidence: [silenced] });
    return receiveOnNode(walk, moving, node, device, by);
  }
  const isOfOther = master !== undefined && sharesBridge(world, node, master, next);
  if (isOfOther) return acrossBridge(walk, moving, node, device, by, next);
  const isProxied = answersForOthers(plane, next, device, moving.packet);
  if (isProxied === "unknown") return cannotTell(moving, at, onNode(node, "sysctls", "routes"));
  if (isProxied) return receiveOnNode(walk, moving, node, device, by);
  // a plugin that answers nobody gives its Pods a permanent neighbour
  if (master === undefined) return cannotTell(moving, at, [], `who has ${next}: the Pod's neighbours`);
  return end(moving, {
    is: "unreachable",
    at,
    evidence: [quoteOf(plane.links.origin, `nobody on ${device} has ${next}`)],
  });
}

/** Whether a Pod behind this bridge has an address. */
const sharesBridge = (world: World, node: string, bridge: string, address: string): boolean =>
  holdersOf(world, node, address).some((pod) => {
    const own = known(world.podNamespaces.of(pod).links);
    const { links } = world.forwarding.of(node);
    return !own || own.some(({ peerIndex }) => linkNumbered(links, peerIndex)?.master === bridge);
  });

/** Frames for another port of the same bridge do not come up to the node, unless it translates their destination. */
function goesAcross({ forwarding }: World, plane: NodePlane, { destination }: Packet, bridge: string): boolean {
  if (!isKnown(destination)) return false;
  const link = linkNamed(forwarding.of(plane.node).links, bridge);
  const isOwn = link?.addresses.some(({ local }) => local === formatIp(destination));
  if (isOwn) return false;
  return (
    link?.addresses.some(({ local, prefixLength }) => {
      const ip = parseIp(local);
      return ip !== undefined && contains(prefixOf(ip, prefixLength), destination);
    }) ?? false
  );
}

/** From port to port of a bridge; with br_netfilter through the hooks of IP as well. */
function acrossBridge(
  walk: Walk,
  moving: Moving,
  node: string,
  bridge: string,
  by: Port,
  next = textOf(moving.packet.destination),
): Next[] {
  const plane = walk.world.forwarding.of(node);
  const packet: Packet = { ...expected(moving, node), inDevice: bridge, outDevice: bridge, physIn: by.port.name };
  const begin: Moving = { ...moving, packet, entered: moving.packet };
  const across: Port = { ...by, isAcross: true };
  const calls = bridgeCalls(plane, packet);
  if (calls === "unknown") return cannotTell(moving, { node }, onNode(node, "sysctls"));
  if (!calls) return throughDevice(walk, begin, node, bridge, next, across);
  const silenced = unbridged({ plane, device: bridge }, next, moving.packet.source);
  if (silenced) return end(moving, { is: "unreachable", at: { node }, evidence: [silenced] });
  return atHook(walk, begin, node, "prerouting", (passed) => {
    // to another address: it is the node's business, whomever the frame was for (br_nf_pre_routing_finish)
    if (isRedirected(begin, passed)) return routeIn(walk, begin, passed, node, bridge, by);
    return throughHooks(walk, passed, node, ["forward", "postrouting"], (last) =>
      throughDevice(walk, leaving(last, node), node, bridge, next, across),
    );
  });
}
