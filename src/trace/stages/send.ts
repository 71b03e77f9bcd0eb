/** A socket sends: in a Pod, or on a node. */
import { isWhole, known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { lookupRoute } from "../../model/forwarding/routing.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { PodView } from "../../model/pods.ts";
import { formatIp } from "../../net/ip.ts";
import type { NextHop } from "../../parse/iproute2/route.ts";
import type { Namespace } from "../trace.ts";
import { fromContainer } from "./cilium/container.ts";
import { atSocket } from "./cilium/socket.ts";
import { expected } from "./connections.ts";
import { receiveInPod } from "./deliver.ts";
import { addressesIn, hostPeer, isOversized, isProgrammed, isUp, mtuOf, PROGRAMS, stateOf } from "./devices.ts";
import { receiveFromPod } from "./from-pod.ts";
import { atHook } from "./hooks.ts";
import { throughIpvs } from "./ipvs.ts";
import { routed } from "./leave.ts";
import {
  after,
  cannotTell,
  end,
  inPod,
  isKnown,
  isSameIp,
  type Moving,
  type Next,
  onNode,
  rulesOf,
  type Walk,
} from "./moving.ts";
import { deviceOf, routeOf, sourceFor } from "./routes.ts";
import { staysInside, tableFull } from "./settings.ts";
import { lostForSize } from "./size.ts";

/** A Pod's rules of policy routing are hardly ever other than the kernel's. */
const NO_RULES: NodePlane["routingRules"] = { state: "absent", origin: { kind: "file", path: "" } };

/** A gateway that is one's own address is none: the destination is asked for itself (fib_check_nh: RT_SCOPE_HOST). */
const nextOf = ({ gateway }: NextHop, destination: string, own: readonly string[]): string =>
  gateway === undefined || own.includes(gateway) ? destination : gateway;

export function send(walk: Walk, moving: Moving, at: Namespace): Next[] {
  return atSocket(walk, moving, at, (sent) => sendAsIs(walk, sent, at)) ?? sendAsIs(walk, moving, at);
}

const sendAsIs = (walk: Walk, moving: Moving, at: Namespace): Next[] =>
  at.pod && !at.pod.hostNetwork ? sendFromPod(walk, moving, at.pod) : sendFromNode(walk, moving, at.node);

function sendFromPod(walk: Walk, moving: Moving, pod: PodView): Next[] {
  const { world } = walk;
  const at: Namespace = { node: pod.node ?? "", pod };
  const { destination } = moving.packet;
  if (!isKnown(destination)) return cannotTell(moving, at, [], "the address that it is sent to");
  const text = formatIp(destination);
  if (addressesIn(world, pod).includes(text) || text.startsWith("127.") || text === "::1")
    return receiveInPod(walk, moving, pod);
  const { links, routes: routes4, routes6 } = world.podNamespaces.of(pod);
  const routes = destination.family === 4 ? routes4 : routes6;
  const hasAddress = known(links)?.some(({ name, addresses }) =>
    addresses.some((one) => name !== "lo" && one.family === "inet6" && one.scope === "global"),
  );
  if (destination.family === 6 && hasAddress === false && isWhole(links))
    return end(moving, { is: "no-route", at, evidence: [quoteOf(links.origin, "no global IPv6 address")] });
  const route =
    routes.state === "present"
      ? lookupRoute({ routes, routingRules: NO_RULES, routingRules6: NO_RULES }, { destination })
      : undefined;
  if (route?.end === "no-route")
    return end(moving, { is: "no-route", at, evidence: [quoteOf(routes.origin, `no route to ${text}`)] });
  if (route?.end === "refused") return end(moving, { is: "unreachable", at, evidence: [route.evidence] });
  if (route?.end === "unknown")
    return cannotTell(moving, at, inPod(pod, destination.family === 4 ? "podRoutes" : "podRoutes6"));
  if (!route && !moving.unseen) return sendFromPod(walk, { ...moving, unseen: true }, pod);
  const hop = route?.end === "via" ? route.hops[0] : undefined;
  const device =
    known(links)?.find(({ name }) => name === hop?.device) ??
    known(links)?.find(
      (link) => link.name !== "lo" && link.addresses.some(({ local }) => pod.addresses.includes(local)),
    );
  if (device && !isUp(device)) {
    const words = `${device.name}: <${device.flags.join(",")}>`;
    return end(moving, { is: "device-down", at, evidence: [quoteOf(links.origin, words)] });
  }
  if (device && device.mtu < moving.size)
    return end(moving, { is: "too-big", at, evidence: [mtuOf(links.origin, device)], told: "yes" });
  const peer = hostPeer(walk, pod, device);
  if (peer === "unknown") return cannotTell(moving, at, onNode(at.node, "links"));
  const on: Namespace = { node: at.node };
  const crossed = after(moving, { did: "cross", from: at, to: on, device: peer.name });
  if (!isUp(peer)) return end(crossed, { is: "device-down", at: on, evidence: [stateOf(world, at.node, peer)] });
  const receive = (taken: Moving) =>
    receiveFromPod(walk, taken, at.node, { port: peer, from: pod }, hop && nextOf(hop, text, addressesIn(world, pod)));
  if (isOversized(peer, moving))
    return lostForSize(crossed, on, mtuOf(world.forwarding.of(at.node).links.origin, peer), receive);
  if (isProgrammed(peer)) {
    if (!world.cilium.runs) return cannotTell(crossed, on, [], PROGRAMS);
    return fromContainer(walk, crossed, pod, peer.name);
  }
  return receive(crossed);
}

function sendFromNode(walk: Walk, moving: Moving, node: string): Next[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const full = tableFull(moving, plane);
  if (full === "unknown") return cannotTell(moving, at, onNode(node, "conntrackCount"));
  if (full) return end(moving, { is: "table-full", at, evidence: [full] });
  const first = routeOf(plane, moving.packet);
  if (typeof first !== "object") return cannotTell(moving, at, onNode(node, "routes", rulesOf(moving.packet)));
  // the kernel chooses the source by the first route, before any rule sees the packet
  const source = isKnown(moving.packet.source)
    ? moving.packet.source
    : sourceFor(plane, first, moving.packet.destination);
  const packet: Packet = { ...expected(moving, node), ...(source && { source }), ...deviceOf(first) };
  if (first.end === "no-route" || first.end === "refused") return routed(walk, { ...moving, packet }, node, first, []);
  return atHook(walk, { ...moving, packet, entered: moving.packet }, node, "output", (passed) => {
    const balanced = throughIpvs(walk, passed, node);
    if (balanced) return balanced;
    // addresses and marks can be changed by the rules: routed again (ip_route_me_harder, nf_nat)
    const again = isChanged(packet, passed.packet) ? routeOf(plane, passed.packet) : first;
    if (typeof again !== "object") return cannotTell(passed, at, onNode(node, "routes", rulesOf(moving.packet)));
    const confined = staysInside(plane, passed.packet, again);
    if (confined === "unknown") return cannotTell(passed, at, onNode(node, "sysctls"));
    if (confined) return end(passed, { is: "not-accepted", at, evidence: [confined] });
    return routed(walk, { ...passed, packet: { ...passed.packet, ...deviceOf(again) } }, node, again, ["postrouting"]);
  });
}

const isChanged = (a: Packet, b: Packet): boolean => a.mark !== b.mark || !isSameIp(a.destination, b.destination);
