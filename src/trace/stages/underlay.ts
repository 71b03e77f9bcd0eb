/** The network between the nodes, and what comes from outside. */
import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { linkWithAddress, neighbourOf } from "../../model/forwarding/tables.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { NodeView } from "../../model/nodes.ts";
import { canonicalIp, contains, formatIp } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { Namespace } from "../trace.ts";
import { isOversized, isUp, mtuOf, stateOf, wrongNeighbour } from "./devices.ts";
import {
  after,
  cannotTell,
  end,
  isKnown,
  type Moving,
  type Next,
  onNode,
  textOf,
  type Walk,
  type World,
} from "./moving.ts";
import { unasked } from "./ndp.ts";
import { receiveAnswer } from "./reply.ts";
import { lostForSize } from "./size.ts";

/** The network between the nodes: to the node that has the next hop's address, or away from the cluster. */
export function toUnderlay(walk: Walk, moving: Moving, node: string, link: Link, next: string): Next[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  const address = canonicalIp(next) ?? next;
  const neighbour = neighbourOf(plane.neighbours, address, link.name);
  if (neighbour?.states.includes("FAILED"))
    return end(moving, {
      is: "unreachable",
      at,
      evidence: [quoteOf(plane.neighbours.origin, `${address} dev ${link.name} FAILED`)],
    });
  const owner = world.nodes.byAddress(address) ?? nodeWith(world, address);
  if (!owner || owner.name === node) {
    const inside = insideOf(world, moving.packet.destination);
    if (inside === undefined && walk.sending.from === "outside" && moving.answer !== undefined)
      return receiveAnswer(walk, moving, undefined);
    if (inside === undefined) return end(moving, { is: "left-cluster", at, evidence: [] });
    return end(moving, {
      is: "lost",
      at,
      evidence: [quoteOf(plane.routes.origin, `${inside} leaves by ${link.name} via ${next}`)],
    });
  }
  const { links } = world.forwarding.of(owner.name);
  const carried = after(moving, { did: "carry", from: node, to: owner.name, device: link.name });
  if (links.state !== "present") return cannotTell(carried, { node: owner.name }, onNode(owner.name, "links"));
  const into = linkWithAddress(links, address);
  if (!into) return end(carried, { is: "lost", at: { node: owner.name }, evidence: [] });
  if (!isUp(into))
    return end(carried, { is: "device-down", at: { node: owner.name }, evidence: [stateOf(world, owner.name, into)] });
  const answering = { plane: world.forwarding.of(owner.name), device: into.name };
  const silenced = unasked({ plane, device: link.name }, address, answering);
  if (silenced) return end(moving, { is: "unreachable", at, evidence: [silenced] });
  const wrong = wrongNeighbour(plane, address, link.name, into.mac);
  if (wrong) return misdirected(walk, moving, node, link, neighbour?.mac, wrong);
  const rest: Moving = { ...carried, entered: undefined };
  const arriving = { go: "arrive", node: owner.name, device: into.name } as const;
  if (!isOversized(into, moving)) return [{ ...arriving, moving: rest }];
  const goOn = (taken: Moving): Next[] => [{ ...arriving, moving: taken }];
  // many network cards take in more than they send
  const doubtful = into.kind === "veth" ? rest : { ...rest, certainty: "guessed" as const };
  return lostForSize(doubtful, { node: owner.name }, mtuOf(links.origin, into), goOn);
}

const localAddresses = new WeakMap<World["forwarding"], ReadonlyMap<string, NodeView>>();

/** The first node that has an address on a device, whatever the API says its addresses are. */
function nodeWith({ nodes, forwarding }: World, address: string): NodeView | undefined {
  let all = localAddresses.get(forwarding);
  if (!all) {
    const made = new Map<string, NodeView>();
    for (const node of nodes.all)
      for (const one of known(forwarding.of(node.name).localAddresses) ?? []) if (!made.has(one)) made.set(one, node);
    all = made;
    localAddresses.set(forwarding, all);
  }
  return all.get(address);
}

/** A frame for a hardware address goes to the node that has it, whatever it holds; or nobody takes it. */
function misdirected(
  walk: Walk,
  moving: Moving,
  node: string,
  link: Link,
  mac: string | undefined,
  evidence: Evidence,
): Next[] {
  const { world } = walk;
  for (const { name } of world.nodes.all) {
    const into = known(world.forwarding.of(name).links)?.find((one) => one.mac === mac && one.kind !== "vxlan");
    if (!into || name === node) continue;
    const carried = after({ ...moving, entered: undefined }, { did: "carry", from: node, to: name, device: link.name });
    return [{ go: "arrive", moving: carried, node: name, device: into.name }];
  }
  return end(moving, { is: "lost", at: { node }, evidence: [evidence] });
}

/** An address that belongs inside the cluster, in words: whoever is outside does not know it. */
function insideOf({ pods, nodes, services }: World, destination: Packet["destination"]): string | undefined {
  if (!isKnown(destination)) return undefined;
  const text = formatIp(destination);
  const isInside =
    services.byClusterIp(text) !== undefined ||
    pods.byAddress(text) !== undefined ||
    nodes.all.some(({ podRanges }) => podRanges.some((range) => contains(range, destination)));
  return isInside ? text : undefined;
}

export function arriveFromOutside(walk: Walk, moving: Moving): Next[] {
  const { destination } = moving.packet;
  const address = textOf(destination);
  const owner = walk.world.nodes.byAddress(address);
  if (!owner) return end(moving, { is: "left-cluster", evidence: [] });
  const into = linkWithAddress(walk.world.forwarding.of(owner.name).links, address);
  if (!into) return cannotTell(moving, { node: owner.name }, onNode(owner.name, "links"));
  return [{ go: "arrive", moving, node: owner.name, device: into.name }];
}
