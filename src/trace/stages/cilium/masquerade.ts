/**
 * Cilium's own masquerading of what Pods send out of a node's devices, past the kernel's rules (bpf/lib/nat.h:
 * snat_v4_needs_masquerade, snat_v4_rev_nat), in place of that by iptables.
 */
import { isWhole, known } from "../../../evidence/observed.ts";
import { quoteOf } from "../../../evidence/origin.ts";
import { IDENTITY } from "../../../model/cilium/cilium.ts";
import { whereabouts } from "../../../model/cilium/ipcache.ts";
import { replyTo } from "../../../model/netfilter/packet.ts";
import { contains, parseIp, parsePrefix } from "../../../net/ip.ts";
import type { Link } from "../../../parse/iproute2/addr.ts";
import type { Namespace, Way } from "../../trace.ts";
import { onTheWire } from "../connections.ts";
import { after, cannotTell, isIpv4, isKnown, isSameIp, type Moving, type Next, textOf, type Walk } from "../moving.ts";
import { deliver, endpointAt, restored } from "./endpoint.ts";
import { tunnelOf } from "./overlay.ts";

/** `BPF   [eth0, eth1]   10.244.0.0/16 [IPv4: Enabled, IPv6: Disabled]`: the devices, and what is left as it is. */
const MODE = /^BPF( \(ip-masq-agent\))?(?:\s+\[([^\]]*)\]\s+([\d./]*))?\s*\[IPv4: (\w+), IPv6: (\w+)\]/;

const connectionsOf = (node: string): string => `${node} masquerading`;

/** What leaves a node by a device, with the node's address where Cilium gives it that. */
export function masqueraded(walk: Walk, moving: Moving, node: string, link: Link): Moving | Way[] {
  const { cilium } = walk.world;
  const { source, destination } = moving.packet;
  // what others began is answered as it was asked
  if (!cilium.runs || moving.answer !== undefined || moving.inner.length > 0) return moving;
  const own = cilium.of(node);
  const { masquerading = "" } = known(own.status) ?? {};
  if (!masquerading.startsWith("BPF") || !isKnown(source) || !isKnown(destination)) return moving;
  const at: Namespace = { node };
  const [, agent, devices, kept = "", by4, by6] = MODE.exec(masquerading) ?? [];
  if (by4 === undefined) return cannotTell(moving, at, [], `Cilium's masquerading: ${masquerading}`);
  const isOn = (isIpv4(moving.packet) ? by4 : by6) === "Enabled";
  const isMeant = devices === undefined || devices.split(/[\s,]+/).includes(link.name);
  if (!isOn || !isMeant) return moving;
  const endpoint = endpointAt(own, textOf(source));
  if (endpoint === "unknown") return cannotTell(moving, at, [own.missing("ciliumEndpoints")]);
  if (endpoint === "none") return moving;
  const range = parsePrefix(kept);
  if (range && contains(range, destination)) return moving;
  const to = whereabouts(own, destination);
  if (to === "unknown") return cannotTell(moving, at, [own.missing("ciliumIpcache")]);
  // where Pods' addresses are routed, other nodes know the way to them
  const isNode = to.identity === IDENTITY.remoteNode || to.identity === IDENTITY.apiServer;
  if (isNode && !tunnelOf(walk, node)) return moving;
  if (agent !== undefined) return cannotTell(moving, at, [], "the networks that Cilium's ip-masq-agent leaves out");
  if (cilium.setting("enable-ipv4-egress-gateway") === "true" || cilium.setting("enable-egress-gateway") === "true")
    return cannotTell(moving, at, [], "Cilium's egress gateways");
  const family = isIpv4(moving.packet) ? "inet" : "inet6";
  const held = link.addresses.find((one) => one.family === family && one.scope === "global");
  const address = held && parseIp(held.local);
  if (!address) return cannotTell(moving, at, isWhole(walk.world.forwarding.of(node).links) ? [] : [onLinks(node)]);
  const packet = { ...moving.packet, source: address };
  const rules = [quoteOf(own.status.origin, `Masquerading: ${masquerading}`)];
  const step = { did: "pass", at, hook: "postrouting", before: moving.packet, packet, rules } as const;
  const key = connectionsOf(node);
  const entries = [...(moving.tracked.get(key) ?? []), replyTo(onTheWire(moving.packet), onTheWire(packet))];
  return after(moving, step, { packet, tracked: new Map(moving.tracked).set(key, entries) });
}

const onLinks = (node: string) => ({ kind: "links", place: { node } }) as const;

/** The answer to what was masqueraded, for the Pod again; one that is none is left as it is. */
export function unmasqueraded({ tracked, packet, answer }: Moving, node: string): Moving["packet"] {
  const entry = tracked
    .get(connectionsOf(node))
    ?.find(
      (one) =>
        isSameIp(one.source, packet.source) &&
        isSameIp(one.destination, packet.destination) &&
        one.protocol === packet.protocol &&
        one.sourcePort === packet.sourcePort &&
        one.destinationPort === packet.destinationPort,
    );
  return entry && answer !== undefined ? restored(packet, entry) : packet;
}

/** With host routing by BPF the answer goes to its Pod past the kernel; else the kernel routes it. */
export function toItsEndpoint(walk: Walk, moving: Moving, node: string): Next[] | undefined {
  const own = walk.world.cilium.of(node);
  if (known(own.status)?.hostRouting !== "BPF") return undefined;
  const endpoint = endpointAt(own, textOf(moving.packet.destination));
  return typeof endpoint === "object" ? deliver(walk, moving, own, endpoint, IDENTITY.world) : undefined;
}
