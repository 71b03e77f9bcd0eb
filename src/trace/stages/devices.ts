/** Devices: whose they are, and what they do not let through. */
import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { lookupRoute } from "../../model/forwarding/routing.ts";
import { linkNamed, linkNumbered, neighbourOf } from "../../model/forwarding/tables.ts";
import type { PodView } from "../../model/pods.ts";
import { parseIp } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { Moving, Walk, World } from "./moving.ts";

export const isUp = ({ flags }: Link): boolean => flags.length === 0 || flags.includes("UP");

export const stateOf = (world: World, node: string, { name, flags }: Link): Evidence =>
  quoteOf(world.forwarding.of(node).links.origin, `${name}: <${flags.join(",")}>`);

export const mtuOf = (origin: NodePlane["links"]["origin"], { name, mtu }: Link): Evidence =>
  quoteOf(origin, `${name} mtu ${mtu}`);

/** What a device does not take in (is_skb_forwardable: with room for a VLAN's tag). */
export const isOversized = ({ mtu }: Link, { size }: Moving): boolean => size > mtu + 4;

/** Cilium's programs on its devices decide over every packet, and no table of the kernel shows how. */
export const PROGRAMS = "eBPF programs of Cilium";

export const isProgrammed = ({ name }: Link): boolean => /^(cilium_|lxc)/.test(name);

/** The addresses that a Pod's devices have, up or down; where nobody looked, those that the API knows. */
export function addressesIn({ podNamespaces }: World, pod: PodView): readonly string[] {
  const links = known(podNamespaces.of(pod).links);
  if (!links) return pod.addresses;
  const addresses = addressesOf.get(links) ?? links.flatMap((link) => link.addresses.map(({ local }) => local));
  addressesOf.set(links, addresses);
  return addresses;
}

const addressesOf = new WeakMap<readonly Link[], readonly string[]>();

type ByAddress<T> = ReadonlyMap<string, readonly T[]>;
const holders = new WeakMap<World["podNamespaces"], Map<string, ByAddress<PodView>>>();

/** The running Pods of a node whose devices have an address. */
export function holdersOf(world: World, node: string, address: string): readonly PodView[] {
  const byNode = holders.get(world.podNamespaces) ?? new Map<string, ByAddress<PodView>>();
  holders.set(world.podNamespaces, byNode);
  let onNode = byNode.get(node);
  if (!onNode) {
    const all = new Map<string, PodView[]>();
    for (const pod of world.pods.onNode(node)) {
      if (pod.hostNetwork || pod.finished) continue;
      for (const one of new Set(addressesIn(world, pod))) {
        const same = all.get(one);
        if (same) same.push(pod);
        else all.set(one, [pod]);
      }
    }
    onNode = all;
    byNode.set(node, onNode);
  }
  return onNode.get(address) ?? [];
}

/** The node's end of the pair of devices that connects a Pod. */
export function hostPeer({ world }: Walk, pod: PodView, own: Link | undefined): Link | "unknown" {
  const plane = world.forwarding.of(pod.node ?? "");
  if (plane.links.state !== "present") return "unknown";
  const byIndex = linkNumbered(plane.links, own?.peerIndex);
  if (byIndex) return byIndex;
  // without the Pod's own devices: the device by which the node reaches it
  const ip = pod.addresses.map(parseIp).find((one) => one !== undefined);
  const route = ip && lookupRoute(plane, { destination: ip });
  const name = route?.end === "via" ? route.hops[0]?.device : undefined;
  return linkNamed(plane.links, name) ?? "unknown";
}

export const isPeerOf = (world: World, pod: PodView, { index, name, addresses }: Link): boolean => {
  const own = known(world.podNamespaces.of(pod).links);
  // without the Pod's devices: one without an address, as Calico and Cilium make them
  if (!own) return addresses.every(({ scope }) => scope === "link") && name !== "lo";
  return own.some(({ peerIndex }) => peerIndex === index);
};

/** The Pod of this node that has the address: where ranges conflict, another node's may have it too. */
export function podOn({ pods }: World, node: string, address: string): PodView | undefined {
  const all = pods.onNode(node);
  let byAddress = podsByAddress.get(all);
  if (!byAddress) {
    byAddress = new Map();
    for (const pod of all.filter((one) => !one.hostNetwork && !one.finished))
      for (const one of pod.addresses) if (!byAddress.has(one)) byAddress.set(one, pod);
    podsByAddress.set(all, byAddress);
  }
  return byAddress.get(address);
}

const podsByAddress = new WeakMap<readonly PodView[], Map<string, PodView>>();

export const podBehind = (world: World, node: string, link: Link): PodView | undefined =>
  link.kind === "veth" && link.addresses.every(({ scope }) => scope === "link")
    ? world.pods
        .onNode(node)
        .find(
          (pod) =>
            !pod.hostNetwork &&
            known(world.podNamespaces.of(pod).links)?.some(({ peerIndex }) => peerIndex === link.index),
        )
    : undefined;

/** An entry that the kernel does not look up again, with a hardware address that the next hop does not have. */
export function wrongNeighbour(
  plane: NodePlane,
  next: string,
  device: string,
  mac: string | undefined,
): Evidence | undefined {
  const entry = neighbourOf(plane.neighbours, next, device);
  if (!entry?.states.includes("PERMANENT") || !entry.mac || !mac || entry.mac === mac) return undefined;
  return quoteOf(plane.neighbours.origin, `${next} lladdr ${entry.mac} PERMANENT, it has ${mac}`);
}
