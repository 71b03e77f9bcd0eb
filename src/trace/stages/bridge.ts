import { isWhole, known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import { bridgePortNamed, linkNumbered, neighbourOf } from "../../model/forwarding/tables.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { Namespace } from "../trace.ts";
import { enterPod } from "./deliver.ts";
import { isOversized, isUp, mtuOf, podOn, wrongNeighbour } from "./devices.ts";
import { cannotTell, end, inPod, type Moving, type Next, onNode, type Port, type Walk } from "./moving.ts";
import { unasked } from "./ndp.ts";
import { lostForSize } from "./size.ts";

/** On a bridge: the port behind which the Pod with this address is. */
export function toBridgePort(walk: Walk, moving: Moving, node: string, bridge: Link, next: string, by?: Port): Next[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  const pod = podOn(world, node, next);
  const neighbour = neighbourOf(plane.neighbours, next, bridge.name);
  if (!pod) {
    // somebody who is no Pod of the API's answered there
    const isThere = neighbour?.mac !== undefined && !neighbour.states.includes("FAILED");
    if (!world.pods.whole || isThere) return cannotTell(moving, at, [{ kind: "pods" }]);
    if (plane.neighbours.state === "unknown") return cannotTell(moving, at, onNode(node, "neighbours"));
    const words = neighbour ? `${next} ${neighbour.states.join(",")}` : `${next}: nobody on ${bridge.name} has it`;
    return end(moving, { is: "unreachable", at, evidence: [quoteOf(plane.neighbours.origin, words)] });
  }
  const { links: inside } = world.podNamespaces.of(pod);
  const own = known(inside)?.find((one) => one.addresses.some(({ local }) => local === next));
  if (inside.state === "present" && !own) {
    if (!isWhole(inside)) return cannotTell(moving, at, inPod(pod, "podLinks"));
    return end(moving, { is: "unreachable", at, evidence: [quoteOf(inside.origin, `no device has ${next}`)] });
  }
  const silenced = by?.isAcross ? undefined : unasked({ plane, device: bridge.name }, next, undefined);
  if (silenced) return end(moving, { is: "unreachable", at, evidence: [silenced] });
  const wrong = by?.isAcross ? undefined : wrongNeighbour(plane, next, bridge.name, own?.mac);
  if (wrong) return end(moving, { is: "lost", at, evidence: [wrong] });
  const out = linkNumbered(plane.links, own?.peerIndex);
  if (own?.peerIndex !== undefined && !out && !isWhole(plane.links))
    return cannotTell(moving, at, onNode(node, "links"));
  if (out?.master !== undefined && out.master !== bridge.name) {
    const words = `${next} is behind ${out.master}, not ${bridge.name}: ${out.name} master ${out.master}`;
    return end(moving, { is: "unreachable", at, evidence: [quoteOf(plane.links.origin, words)] });
  }
  if (own?.peerIndex !== undefined && (!out || out.master !== bridge.name || !isUp(out))) {
    const words = out
      ? `${out.name}: ${isUp(out) ? `master ${out.master ?? "none"}` : "down"}`
      : `no device with index ${own.peerIndex}`;
    return end(moving, { is: "device-down", at, evidence: [quoteOf(plane.links.origin, words)] });
  }
  if (plane.bridgePorts.state !== "present" && !moving.unseen)
    return toBridgePort(walk, { ...moving, unseen: true }, node, bridge, next, by);
  const port = bridgePortNamed(plane.bridgePorts, out?.name);
  if (port && port.state !== "forwarding" && port.state !== "")
    return end(moving, {
      is: "not-bridged",
      at,
      evidence: [quoteOf(plane.bridgePorts.origin, `${port.name} state ${port.state}`)],
    });
  // back out of the port by which it came (br_forward.c, should_deliver); a bridge in promiscuous mode does not help here
  const isBack = by !== undefined && by.port.master === bridge.name && by.from.key === pod.key;
  if (isBack && port?.hairpin === undefined) return cannotTell(moving, at, onNode(node, "bridgePorts"));
  if (isBack && !port?.hairpin)
    return end(moving, {
      is: "not-bridged",
      at,
      evidence: [quoteOf(plane.bridgePorts.origin, `${port?.name} hairpin off`)],
    });
  const came = bridgePortNamed(plane.bridgePorts, by?.port.name);
  if (port?.isolated && came?.isolated)
    return end(moving, {
      is: "not-bridged",
      at,
      evidence: [quoteOf(plane.bridgePorts.origin, `${port.name} and ${came.name} are isolated`)],
    });
  const enter = (taken: Moving) => enterPod(walk, taken, node, out ?? bridge, pod, own);
  if (out && isOversized(out, moving)) return lostForSize(moving, at, mtuOf(plane.links.origin, out), enter);
  return enter(moving);
}
