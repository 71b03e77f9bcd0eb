/** A node takes a packet in: prerouting, the check of its source, the route; then it is for the node itself, or on its way. */

import type { Packet } from "../../model/netfilter/packet.ts";
import type { Namespace } from "../trace.ts";
import { toItsEndpoint, unmasqueraded } from "./cilium/masquerade.ts";
import { fromNetdev } from "./cilium/netdev.ts";
import { fromOverlay } from "./cilium/overlay.ts";
import { expected, leaving } from "./connections.ts";
import { receive } from "./deliver.ts";
import { atDevice, atHook } from "./hooks.ts";
import { throughIpvs } from "./ipvs.ts";
import { routed } from "./leave.ts";
import {
  cannotTell,
  end,
  type Inner,
  isIpv4,
  isSameIp,
  type Moving,
  type Next,
  onNode,
  type Port,
  rulesOf,
  type Walk,
} from "./moving.ts";
import { deviceOf, routeOf } from "./routes.ts";
import { bridgeCalls, forwarding, notAccepted, tableFull } from "./settings.ts";
import { decapsulate } from "./tunnel.ts";
import { fromPeer } from "./wireguard.ts";

/** A frame for the node came in by a device, or by a port of the bridge that `device` is. */
export function receiveOnNode(
  walk: Walk,
  moving: Moving,
  node: string,
  device: string,
  by?: Port,
  mark?: number,
): Next[] {
  const decided = mark === undefined ? fromNetdev(walk, moving, node, device) : undefined;
  if (decided) return decided;
  const entering: Moving = { ...moving, packet: { ...moving.packet, inDevice: device } };
  return atDevice(walk, entering, node, () => fromDevice(walk, moving, node, device, by, mark));
}

function fromDevice(walk: Walk, moving: Moving, node: string, device: string, by?: Port, mark?: number): Next[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const own = unmasqueraded(moving, node);
  if (own !== moving.packet) {
    const back: Moving = { ...moving, packet: own };
    return toItsEndpoint(walk, back, node) ?? receiveOnNode(walk, back, node, device, by, mark);
  }
  const full = tableFull(moving, plane);
  if (full === "unknown") return cannotTell(moving, at, onNode(node, "conntrackCount"));
  if (full) return end(moving, { is: "table-full", at, evidence: [full] });
  const known = expected(moving, node);
  const seen = mark === undefined ? known : { ...known, mark };
  return takeIn(walk, { ...moving, packet: { ...seen, inDevice: device }, entered: seen }, node, device, by);
}

/** What a node sends to itself comes back in by its loopback device, with its connection and its marks. */
export function loopBack(walk: Walk, moving: Moving, node: string): Next[] {
  return takeIn(walk, { ...moving, packet: { ...moving.packet, inDevice: "lo", outDevice: undefined } }, node, "lo");
}

function takeIn(walk: Walk, moving: Moving, node: string, device: string, by?: Port): Next[] {
  return atHook(walk, moving, node, "prerouting", (passed) => routeIn(walk, moving, passed, node, device, by));
}

/** After prerouting: for the node itself, or on its way. */
export function routeIn(walk: Walk, before: Moving, passed: Moving, node: string, device: string, by?: Port): Next[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const route = routeOf(plane, passed.packet);
  if (typeof route !== "object") return cannotTell(passed, at, onNode(node, "routes", rulesOf(passed.packet)));
  const strange = notAccepted(plane, passed.packet, device, route);
  if (strange === "unknown") return cannotTell(passed, at, onNode(node, "sysctls"));
  if (strange) return end(passed, { is: "not-accepted", at, evidence: strange });
  if (route.end === "local") return receiveLocally(walk, passed, node);
  const out = { ...passed, packet: { ...passed.packet, ...deviceOf(route) } };
  const isBridgedNat =
    by?.port.master !== undefined &&
    bridgeCalls(plane, passed.packet) === true &&
    isRedirected(before, passed) &&
    route.end === "via" &&
    route.hops.every((hop) => hop.device === device);
  const forwards = forwarding(plane, passed.packet, device);
  if (forwards.state !== "present") return cannotTell(passed, at, onNode(node, "sysctls"));
  // the route alone decides of what br_netfilter gives back to the bridge (br_netfilter_ipv6.c)
  const isBridged6 = isBridgedNat && !isIpv4(passed.packet);
  if (forwards.value.value === "0" && !isBridged6)
    return end(passed, { is: "not-forwarded", at, evidence: [forwards.value.evidence] });
  return routed(walk, out, node, route, ["forward", "postrouting"], isBridgedNat ? by : undefined);
}

export const isRedirected = (before: Moving, after: Moving): boolean =>
  !isSameIp(after.packet.destination, before.packet.destination);

function outOf({ kind, identity }: Inner): typeof decapsulate {
  if (kind === "wireguard") return fromPeer;
  return identity === undefined ? decapsulate : fromOverlay;
}

function receiveLocally(walk: Walk, moving: Moving, node: string): Next[] {
  const packet: Packet = { ...moving.packet, outDevice: undefined };
  return atHook(walk, { ...moving, packet }, node, "input", (passed) => {
    const balanced = throughIpvs(walk, passed, node);
    if (balanced) return balanced;
    const last = passed.inner.at(-1);
    if (last) return outOf(last)(walk, passed, node, last);
    return receive(
      walk,
      leaving(passed, node),
      { node },
      walk.world.forwarding.of(node).sockets,
      onNode(node, "sockets"),
    );
  });
}
