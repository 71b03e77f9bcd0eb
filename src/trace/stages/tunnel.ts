/** Into a tunnel (VXLAN, IPIP, WireGuard), and out of it. */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { neighbourOf, tunnelEntry } from "../../model/forwarding/tables.ts";
import { inFull, type Packet } from "../../model/netfilter/packet.ts";
import { isOfFamily, parseIp } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { FdbEntry } from "../../parse/iproute2/bridge-fdb.ts";
import type { Neighbour } from "../../parse/iproute2/neigh.ts";
import type { Namespace } from "../trace.ts";
import { isUp } from "./devices.ts";
import { after, cannotTell, end, type Inner, type Moving, type Next, onNode, type Walk } from "./moving.ts";

/**
 * What tunnels add to a packet, by the family of the addresses outside (RFC 7348, RFC 2003, RFC 2473, the WireGuard paper,
 * section 5.4.6).
 */
const OVERHEAD = { vxlan: { 4: 50, 6: 70 }, ipip: { 4: 20, 6: 40 }, wireguard: { 4: 60, 6: 80 } } as const;

export function encapsulate(walk: Walk, moving: Moving, node: string, link: Link, next: string): Next[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  if (plane.neighbours.state !== "present") return cannotTell(moving, at, onNode(node, "neighbours"));
  const neighbour = neighbourOf(plane.neighbours, next, link.name);
  const quote = (words: string) => quoteOf(plane.neighbours.origin, words);
  if (!neighbour && !isWhole(plane.neighbours)) return cannotTell(moving, at, onNode(node, "neighbours"));
  if (!neighbour?.mac || neighbour.states.includes("FAILED"))
    return end(moving, { is: "unreachable", at, evidence: [quote(`no neighbour ${next} on ${link.name}`)] });
  if (plane.fdb.state !== "present") return cannotTell(moving, at, onNode(node, "fdb"));
  const entry = tunnelEntry(plane.fdb, neighbour.mac, link.name);
  if (!entry && !isWhole(plane.fdb)) return cannotTell(moving, at, onNode(node, "fdb"));
  const resolved = told(neighbour, () => quote(`${next} dev ${link.name} lladdr ${neighbour.mac}`));
  if (!entry?.destination) {
    const words = `no entry for ${neighbour.mac} on ${link.name}`;
    return end(moving, { is: "lost", at, evidence: [quoteOf(plane.fdb.origin, words), resolved] });
  }
  const words = () => quoteOf(plane.fdb.origin, `${neighbour.mac} dev ${link.name} dst ${entry.destination}`);
  const seen = [resolved, told(entry, words)];
  const inner = { kind: "vxlan" as const, mac: neighbour.mac, ...(link.vxlan && { vni: link.vxlan.id }) };
  return encapsulated(moving, node, link, entry.destination, inner, seen);
}

const quotes = new WeakMap<Neighbour | FdbEntry, Evidence>();

/** What is told of an entry, made once: every packet of the tunnel meets it. */
function told(entry: Neighbour | FdbEntry, make: () => Evidence): Evidence {
  let quote = quotes.get(entry);
  if (!quote) {
    quote = make();
    quotes.set(entry, quote);
  }
  return quote;
}

/** The node sends the tunnel's packet as its own. */
export function encapsulated(
  moving: Moving,
  node: string,
  link: Link,
  to: string,
  inner: Omit<Inner, "packet" | "size">,
  evidence: readonly Evidence[],
  { port, mark = 0 }: { readonly port?: number; readonly mark?: number } = {},
): Next[] {
  const { vxlan } = link;
  const destination = parseIp(to);
  const source = vxlan?.local === undefined ? undefined : parseIp(vxlan.local);
  const at: Namespace = { node };
  if (!destination) return cannotTell(moving, at, [], `the tunnel's other end, ${to}`);
  const outer = inFull({
    family: destination.family,
    protocol: inner.kind === "ipip" ? "4" : "udp",
    source: source ?? "unknown",
    destination,
    // drawn from the inner flow (udp_flow_src_port)
    ...(inner.kind !== "ipip" && { sourcePort: "unknown" as const, destinationPort: port ?? vxlan?.port ?? 8472 }),
    mark,
    ctState: "new",
  });
  const wrapped = after(
    {
      ...moving,
      entered: undefined,
      packet: outer,
      inner: [...moving.inner, { ...inner, packet: moving.packet, size: moving.size }],
      size: moving.size && moving.size + OVERHEAD[inner.kind][destination.family],
    },
    { did: "encapsulate", at, device: link.name, to, evidence },
  );
  return [{ go: "send", moving: wrapped, at }];
}

export function decapsulate(walk: Walk, moving: Moving, node: string, inner: Inner): Next[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const links = known(plane.links);
  if (!links) return cannotTell(moving, at, onNode(node, "links"));
  const port = moving.packet.destinationPort;
  const device = links.find(({ name, kind, vxlan }) =>
    inner.kind === "ipip"
      ? kind === "ipip"
      : inner.identity !== undefined
        ? name === "cilium_vxlan" || name === "cilium_geneve"
        : vxlan?.id === inner.vni && (vxlan?.port ?? port) === port && isOfTunnel(vxlan?.local, moving.packet),
  );
  if (!device || !isUp(device)) {
    const words = device
      ? `${device.name} is down`
      : `no ${inner.kind} device${inner.vni === undefined ? "" : ` with id ${inner.vni}`}`;
    return end(moving, { is: "device-down", at, evidence: [quoteOf(plane.links.origin, words)], tunnel: true });
  }
  if (inner.mac !== undefined && device.mac !== undefined && inner.mac !== device.mac) {
    const words = `${device.name} has ${device.mac}, the packet is for ${inner.mac}`;
    return end(moving, { is: "lost", at, evidence: [quoteOf(plane.links.origin, words)] });
  }
  return unwrapped(moving, node, inner, device);
}

/** What was inside comes in by the tunnel's device. */
export function unwrapped(moving: Moving, node: string, inner: Inner, device: Link): Next[] {
  const { packet, size } = inner;
  const out: Moving = { ...moving, entered: undefined, packet, inner: moving.inner.slice(0, -1), size };
  const arrived = after(out, { did: "decapsulate", at: { node }, device: device.name });
  return [{ go: "arrive", moving: arrived, node, device: device.name }];
}

/** Of two tunnels with one number, the one between addresses of the packet's family takes it (vxlan_find_sock). */
const isOfTunnel = (local: string | undefined, { family }: Packet): boolean =>
  local === undefined || isOfFamily(local, family);
