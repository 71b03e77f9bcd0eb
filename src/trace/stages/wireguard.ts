/**
 * Through WireGuard: whom a packet is for, and whether it may come from whom it came, is told by the addresses that each
 * peer is allowed (drivers/net/wireguard: allowedips.c, send.c, receive.c).
 */
import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import { contains, formatPrefix, type Ip } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { WireGuardDevice, WireGuardPeer } from "../../parse/wg.ts";
import type { Namespace } from "../trace.ts";
import { isUp } from "./devices.ts";
import { cannotTell, end, type Inner, isKnown, type Moving, type Next, onNode, textOf, type Walk } from "./moving.ts";
import { encapsulated, unwrapped } from "./tunnel.ts";

/** The peer that has the longest prefix with the address: of all peers only one can. */
function peerFor({ peers }: WireGuardDevice, address: Ip): WireGuardPeer | undefined {
  const fitting = peers.flatMap((peer) =>
    peer.allowed.filter((prefix) => contains(prefix, address)).map(({ length }) => ({ peer, length })),
  );
  return fitting.sort((a, b) => b.length - a.length)[0]?.peer;
}

const allowedOf = ({ allowed }: WireGuardPeer): string => allowed.map(formatPrefix).join(", ") || "(none)";

/** Into the tunnel: to the peer that the destination belongs to. */
export function toPeer(walk: Walk, moving: Moving, node: string, link: Link): Next[] {
  const at: Namespace = { node };
  const { wireguard } = walk.world.forwarding.of(node);
  const device = known(wireguard)?.find(({ name }) => name === link.name);
  const { destination } = moving.packet;
  if (!device || !isKnown(destination)) return cannotTell(moving, at, onNode(node, "wireguard"));
  const quote = (words: string, line = device.line) => quoteOf({ ...wireguard.origin, line }, words);
  const peer = peerFor(device, destination);
  if (!peer) {
    const words = `no peer of ${link.name} is allowed ${textOf(destination)}`;
    return end(moving, { is: "unreachable", at, evidence: [quote(words)] });
  }
  if (!peer.endpoint) {
    const words = `peer ${peer.publicKey} of ${link.name} has no endpoint`;
    return end(moving, { is: "unreachable", at, evidence: [quote(words, peer.line)] });
  }
  const { address, port } = peer.endpoint;
  const inner = { kind: "wireguard" as const, ...(device.publicKey && { key: device.publicKey }) };
  const evidence = [quote(`peer ${peer.publicKey} allowed ips: ${allowedOf(peer)} endpoint: ${address}`, peer.line)];
  return encapsulated(moving, node, link, address, inner, evidence, { port, mark: device.mark ?? 0 });
}

/** Out of it: only from a peer that the device knows, and only from addresses that this peer is allowed. */
export function fromPeer(walk: Walk, moving: Moving, node: string, inner: Inner): Next[] {
  const at: Namespace = { node };
  const { wireguard, links } = walk.world.forwarding.of(node);
  const devices = known(wireguard);
  const { source } = inner.packet;
  if (!devices || !known(links) || !isKnown(source)) return cannotTell(moving, at, onNode(node, "wireguard", "links"));
  const device = devices.find(({ listeningPort }) => listeningPort === moving.packet.destinationPort);
  const link = known(links)?.find(({ name }) => name === device?.name);
  if (!device || !link || !isUp(link)) {
    const words = device ? `${device.name} is down` : `no WireGuard device on port ${moving.packet.destinationPort}`;
    return end(moving, { is: "device-down", at, evidence: [quoteOf(wireguard.origin, words)], tunnel: true });
  }
  if (inner.key === undefined) return cannotTell(moving, at, [], "the sender's public key");
  const quote = (words: string, line: number) => quoteOf({ ...wireguard.origin, line }, words);
  const peer = device.peers.find(({ publicKey }) => publicKey === inner.key);
  if (!peer) {
    const words = `${device.name} has no peer ${inner.key}`;
    return end(moving, { is: "lost", at, evidence: [quote(words, device.line)] });
  }
  if (!peer.allowed.some((prefix) => contains(prefix, source))) {
    const words = `peer ${peer.publicKey} allowed ips: ${allowedOf(peer)}`;
    return end(moving, { is: "not-accepted", at, evidence: [quote(words, peer.line)] });
  }
  return unwrapped(moving, node, inner, link);
}
