/**
 * The packet walk: takes a packet from a socket through every network namespace, hook, route, device and tunnel that it
 * would pass, and its answer back, as the kernels of the nodes would.
 *
 * One function a stage, each returns the ways on from there. Order of things, from the kernel:
 *   receive   prerouting → (source check) → route → input → socket
 *                                               ↘ forward → postrouting → device
 *   send      route → output → (route again if the rules changed it) → postrouting → device
 * (net/ipv4/ip_input.c, ip_forward.c, ip_output.c; drivers/net/vxlan; net/bridge). What is not known ends a way as
 * `insufficient`, with the evidence that would tell; it is never taken for passing or for dropped.
 */
import type { Missing } from "../evidence/catalogue.ts";
import { isWhole, known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import type { NodePlane } from "../model/forwarding/plane.ts";
import { lookupRoute, type RouteLookup } from "../model/forwarding/routing.ts";
import type { ClusterModel } from "../model/model.ts";
import { isOfSome, type Outcome } from "../model/netfilter/outcome.ts";
import { type Packet, replyTo } from "../model/netfilter/packet.ts";
import type { Hook } from "../model/netfilter/ruleset.ts";
import type { PodView } from "../model/pods.ts";
import { canonicalIp, contains, formatIp, type Ip, parseIp, prefixOf } from "../net/ip.ts";
import type { Link } from "../parse/ip-addr.ts";
import type { NextHop } from "../parse/ip-route.ts";
import type { ListeningSocket } from "../parse/ss.ts";
import type { End, Namespace, Step, Trace, Way } from "./trace.ts";

export type World = Pick<ClusterModel, "nodes" | "pods" | "services" | "forwarding" | "sockets" | "podNamespaces">;

/** What is sent: by whom, and how large its packets are. */
export type Sending = {
  readonly from: Namespace | "outside";
  readonly packet: Packet;
  /** Bytes of the IP packet, where its size matters: sent with “do not fragment”. */
  readonly size?: number;
  /** All rules that it meets are told, not only those that decide. */
  readonly explain?: boolean;
};

type Trail = { readonly step: Step; readonly before: Trail | undefined; readonly length: number };

/** The packet that a tunnel carries, and the hardware address that it is for. */
type Inner = { readonly packet: Packet; readonly vni?: number; readonly mac?: string; readonly kind: "vxlan" | "ipip" };

type Moving = {
  readonly packet: Packet;
  readonly trail: Trail | undefined;
  readonly certainty: Way["certainty"];
  readonly doubts: readonly Evidence[];
  readonly inner: readonly Inner[];
  /** By node, the answers that its connection tracking expects: of one connection, or of several if it passes twice. */
  readonly tracked: ReadonlyMap<string, readonly Packet[]>;
  /** As it came to the node on which it is. */
  readonly entered?: Packet;
  /** Where the answer begins among the steps. */
  readonly answer?: number;
  /** The answer is a refusal: how the walk ends if the asker learns of it. */
  readonly refusal?: End;
  readonly size: number;
  /** Somewhere on the way nobody looked, and it was taken to be as usual: that all is well is then a guess. */
  readonly unseen?: true;
};

type Walk = {
  readonly world: World;
  readonly sending: Sending;
  /** How many ways were followed: more than a few thousand are no answer. */
  count: number;
};

const MOST_WAYS = 4096;
const MOST_STEPS = 200;
/** What VXLAN and IPIP add to a packet (RFC 7348, RFC 2003). */
const OVERHEAD = { vxlan: 50, ipip: 20 } as const;

export function walk(sending: Sending, world: World): Trace {
  const walking: Walk = { world, sending, count: 0 };
  const start: Moving = {
    packet: sending.packet,
    trail: undefined,
    certainty: "certain",
    doubts: [],
    inner: [],
    tracked: new Map(),
    size: sending.size ?? 0,
  };
  const { from } = sending;
  if (from === "outside") return { ways: arriveFromOutside(walking, start) };
  return { ways: send(walking, after(start, { did: "send", at: from, packet: start.packet }), from) };
}

// ---- what a way is made of

const after = (moving: Moving, step: Step, change: Partial<Moving> = {}): Moving => ({
  ...moving,
  ...change,
  trail: { step, before: moving.trail, length: (moving.trail?.length ?? 0) + 1 },
});

function end(moving: Moving, how: End): Way[] {
  const steps: Step[] = [];
  for (let trail = moving.trail; trail; trail = trail.before) steps.unshift(trail.step);
  return [
    {
      steps,
      ...(moving.answer !== undefined && { answer: moving.answer }),
      end: how,
      certainty: moving.certainty,
      ...(moving.doubts.length > 0 && { doubts: moving.doubts }),
    },
  ];
}

const cannotTell = (moving: Moving, at: Namespace | undefined, missing: readonly Missing[], because?: string): Way[] =>
  end(moving, { is: "insufficient", ...(at && { at }), evidence: [], missing, ...(because && { because }) });

const onNode = (node: string, ...kinds: readonly Missing["kind"][]): Missing[] =>
  kinds.map((kind) => ({ kind, place: { node } }));

const inPod = ({ node = "", namespace, name }: PodView, kind: Missing["kind"]): Missing[] => [
  { kind, place: { node, namespace, pod: name } },
];

const lessSure = (moving: Moving, outcome: Outcome): Way["certainty"] =>
  outcome.certainty === "certain"
    ? moving.certainty
    : isOfSome(outcome) && moving.certainty !== "guessed"
      ? "chosen"
      : "guessed";

const isKnown = <T>(value: T | "unknown" | undefined): value is T => value !== "unknown" && value !== undefined;

// ---- a namespace sends

function send(walk: Walk, moving: Moving, at: Namespace): Way[] {
  return at.pod && !at.pod.hostNetwork ? sendFromPod(walk, moving, at.pod) : sendFromNode(walk, moving, at.node);
}

function sendFromPod(walk: Walk, moving: Moving, pod: PodView): Way[] {
  const { world } = walk;
  const at: Namespace = { node: pod.node ?? "", pod };
  const { destination } = moving.packet;
  if (!isKnown(destination)) return cannotTell(moving, at, [], "the address that it is sent to");
  const text = formatIp(destination);
  if (addressesIn(world, pod).includes(text) || text.startsWith("127.") || text === "::1")
    return receiveInPod(walk, moving, pod);
  const { links, routes } = world.podNamespaces.of(pod);
  const route =
    routes.state === "present"
      ? lookupRoute({ routes, routingRules: NO_RULES, routingRules6: NO_RULES }, { destination })
      : undefined;
  if (route?.end === "no-route")
    return end(moving, { is: "no-route", at, evidence: [quoteOf(routes.origin, `no route to ${text}`)] });
  if (route?.end === "refused") return end(moving, { is: "unreachable", at, evidence: [route.evidence] });
  if (route?.end === "unknown") return cannotTell(moving, at, inPod(pod, "podRoutes"));
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
    return end(moving, { is: "too-big", at, evidence: [mtuOf(links.origin, device)] });
  const peer = hostPeer(walk, pod, device);
  if (peer === "unknown") return cannotTell(moving, at, onNode(at.node, "links"));
  const on: Namespace = { node: at.node };
  const crossed = after(moving, { did: "cross", from: at, to: on, device: peer.name });
  if (isProgrammed(peer)) return cannotTell(crossed, on, [], PROGRAMS);
  if (!isUp(peer)) return end(crossed, { is: "device-down", at: on, evidence: [stateOf(world, at.node, peer)] });
  if (isOversized(peer, moving))
    return end(crossed, { is: "too-big", at: on, evidence: [mtuOf(world.forwarding.of(at.node).links.origin, peer)] });
  return receiveFromPod(
    walk,
    crossed,
    at.node,
    { port: peer, from: pod },
    hop && nextOf(hop, text, addressesIn(world, pod)),
  );
}

/** A gateway that is one's own address is none: the destination is asked for itself (fib_check_nh: RT_SCOPE_HOST). */
const nextOf = ({ gateway }: NextHop, destination: string, own: readonly string[]): string =>
  gateway === undefined || own.includes(gateway) ? destination : gateway;

/** What a device does not take in (is_skb_forwardable: with room for a VLAN's tag). */
const isOversized = ({ mtu }: Link, { size }: Moving): boolean => size > mtu + 4;

/** The addresses that a Pod's devices have, up or down; where nobody looked, those that the API knows. */
function addressesIn({ podNamespaces }: World, pod: PodView): readonly string[] {
  const links = known(podNamespaces.of(pod).links);
  return links?.flatMap(({ addresses }) => addresses.map(({ local }) => local)) ?? pod.addresses;
}

/** A Pod's rules of policy routing are hardly ever other than the kernel's. */
const NO_RULES: NodePlane["routingRules"] = { state: "absent", origin: { kind: "file", path: "" } };

/** The node's end of the pair of devices that connects a Pod. */
function hostPeer({ world }: Walk, pod: PodView, own: Link | undefined): Link | "unknown" {
  const plane = world.forwarding.of(pod.node ?? "");
  const links = known(plane.links);
  if (!links) return "unknown";
  const byIndex = own?.peerIndex === undefined ? undefined : links.find(({ index }) => index === own.peerIndex);
  if (byIndex) return byIndex;
  // without the Pod's own devices: the device by which the node reaches it
  const ip = pod.addresses.map(parseIp).find((one) => one !== undefined);
  const route = ip && lookupRoute(plane, { destination: ip });
  const name = route?.end === "via" ? route.hops[0]?.device : undefined;
  return links.find((link) => link.name === name) ?? "unknown";
}

/** Cilium's programs on its devices decide over every packet, and no table of the kernel shows how. */
const PROGRAMS = "eBPF programs of Cilium";
const isProgrammed = ({ name }: Link): boolean => /^(cilium_|lxc)/.test(name);

const isUp = ({ flags }: Link): boolean => flags.length === 0 || flags.includes("UP");
const stateOf = (world: World, node: string, { name, flags }: Link): Evidence =>
  quoteOf(world.forwarding.of(node).links.origin, `${name}: <${flags.join(",")}>`);
const mtuOf = (origin: NodePlane["links"]["origin"], { name, mtu }: Link): Evidence =>
  quoteOf(origin, `${name} mtu ${mtu}`);

function sendFromNode(walk: Walk, moving: Moving, node: string): Way[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const full = tableFull(moving, plane);
  if (full) return end(moving, { is: "table-full", at, evidence: [full] });
  const first = routeOf(plane, moving.packet);
  if (typeof first !== "object") return cannotTell(moving, at, onNode(node, "routes", "routingRules"));
  // the kernel chooses the source by the first route, before any rule sees the packet
  const source = isKnown(moving.packet.source) ? moving.packet.source : sourceFor(plane, first);
  const packet: Packet = { ...expected(moving, node), ...(source && { source }), ...deviceOf(first) };
  if (first.end === "no-route" || first.end === "refused") return routed(walk, { ...moving, packet }, node, first, []);
  return atHook(walk, { ...moving, packet, entered: moving.packet }, node, "output", (passed) => {
    const balanced = throughIpvs(walk, passed, node);
    if (balanced) return balanced;
    // addresses and marks can be changed by the rules: routed again (ip_route_me_harder, nf_nat)
    const again = isChanged(packet, passed.packet) ? routeOf(plane, passed.packet) : first;
    if (typeof again !== "object") return cannotTell(passed, at, onNode(node, "routes", "routingRules"));
    const confined = staysInside(plane, passed.packet, again);
    if (confined === "unknown") return cannotTell(passed, at, onNode(node, "sysctls"));
    if (confined) return end(passed, { is: "not-accepted", at, evidence: [confined] });
    return routed(walk, { ...passed, packet: { ...passed.packet, ...deviceOf(again) } }, node, again, ["postrouting"]);
  });
}

/** What comes from a loopback address does not leave the node, unless it may (__mkroute_output). */
function staysInside(plane: NodePlane, { source }: Packet, route: RouteLookup): Evidence | "unknown" | undefined {
  if (!isKnown(source) || !contains(LOOPBACK, source) || route.end !== "via") return undefined;
  const { device = "" } = route.hops[0] ?? {};
  const local = setting(plane, "route_localnet", device);
  if (local === "unknown") return local;
  return local > 0
    ? undefined
    : quoteOf(plane.routes.origin, `${formatIp(source)} may not leave by ${device}: route_localnet is off`);
}

const isChanged = (a: Packet, b: Packet): boolean =>
  a.mark !== b.mark || textOf(a.destination) !== textOf(b.destination);
const textOf = (ip: Packet["destination"]): string => (isKnown(ip) ? formatIp(ip) : "?");
const deviceOf = (route: RouteLookup): { outDevice?: string } => {
  const device = route.end === "via" ? route.hops[0]?.device : route.end === "local" ? "lo" : undefined;
  return device === undefined ? {} : { outDevice: device };
};

/** The kernel's own address for what it sends by a route: the preferred one, else one of the device. */
function sourceFor(plane: NodePlane, route: RouteLookup): Ip | undefined {
  if (route.end === "local") return parseIp(route.route.source ?? "") ?? deviceAddress(plane, route);
  const preferred = route.end === "via" ? route.route.source : undefined;
  return preferred === undefined ? deviceAddress(plane, route) : parseIp(preferred);
}

/**
 * Of the device's addresses the one in the next hop's network, else its first; a device without, as lo, borrows from the
 * others (inet_select_addr with RT_SCOPE_UNIVERSE).
 */
function deviceAddress(plane: NodePlane, route: RouteLookup): Ip | undefined {
  if (route.end !== "via" && route.end !== "local") return undefined;
  const { device, gateway } =
    route.end === "via" ? (route.hops[0] ?? {}) : ({ device: "lo" } as { device?: string; gateway?: string });
  const next = gateway === undefined ? undefined : parseIp(gateway);
  const links = known(plane.links) ?? [];
  const globals = (link: Link | undefined) =>
    (link?.addresses ?? []).filter(({ family, scope }) => family === route.route.family && scope === "global");
  const own = globals(links.find(({ name }) => name === device));
  const near = own.find(({ local, prefixLength }) => {
    const ip = parseIp(local);
    return ip && next && contains(prefixOf(ip, prefixLength), next);
  });
  const chosen = near ?? own[0] ?? links.flatMap(globals)[0];
  return chosen && parseIp(chosen.local);
}

// ---- a node receives

/** `isAcross`: the frame is for another port, so the node resolves no address for it. */
type Port = { readonly port: Link; readonly from: PodView; readonly isAcross?: true };

/**
 * A frame of a Pod: for the node, for another Pod on the same bridge, or for nobody, as the address of its next hop is
 * resolved by ARP.
 *
 * @param next undefined if the Pod's routes are not known
 */
function receiveFromPod(walk: Walk, moving: Moving, node: string, by: Port, next: string | undefined): Way[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  const { port } = by;
  const { master } = port;
  if (master !== undefined) {
    const bridge = known(plane.links)?.find(({ name }) => name === master);
    if (bridge && !isUp(bridge))
      return end(moving, { is: "device-down", at, evidence: [stateOf(world, node, bridge)] });
    const state = known(plane.bridgePorts)?.find(({ name }) => name === port.name)?.state ?? "";
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
  if (known(plane.localAddresses)?.has(next)) return receiveOnNode(walk, moving, node, device, by);
  const isOfOther = master !== undefined && sharesBridge(world, node, master, next);
  if (isOfOther) return acrossBridge(walk, moving, node, device, by, next);
  const isProxied = answersArpFor(plane, next, device, moving.packet);
  if (isProxied === "unknown") return cannotTell(moving, at, onNode(node, "sysctls", "routes"));
  if (isProxied) return receiveOnNode(walk, moving, node, device, by);
  // a plugin that answers no ARP gives its Pods a permanent neighbour
  if (master === undefined) return cannotTell(moving, at, [], `who has ${next}: the Pod's neighbours`);
  return end(moving, {
    is: "unreachable",
    at,
    evidence: [quoteOf(plane.links.origin, `nobody on ${device} has ${next}`)],
  });
}

/** Whether a Pod behind this bridge has an address. */
const sharesBridge = (world: World, node: string, bridge: string, address: string): boolean =>
  world.pods.onNode(node).some((pod) => {
    if (pod.hostNetwork || pod.finished || !addressesIn(world, pod).includes(address)) return false;
    const own = known(world.podNamespaces.of(pod).links);
    const peers = known(world.forwarding.of(node).links);
    return !own || own.some(({ peerIndex }) => peers?.find(({ index }) => index === peerIndex)?.master === bridge);
  });

/** Proxy ARP: the node answers for what it would forward, if that leaves by another device (arp_process, arp_fwd_proxy). */
function answersArpFor(plane: NodePlane, address: string, device: string, packet: Packet): boolean | "unknown" {
  const ip = parseIp(address);
  if (ip?.family !== 4) return true;
  const on = setting(plane, "proxy_arp", device);
  const forwards = forwarding(plane, packet, device);
  if (on === 0 || (forwards.state === "present" && forwards.value.value === "0")) return false;
  const { source } = packet;
  const route = lookupRoute(plane, { destination: ip, inDevice: device, ...(isKnown(source) && { source }) });
  if (route.end === "unknown" || on === "unknown") return "unknown";
  return route.end === "via" && route.hops.every((hop) => hop.device !== device);
}

/** A parameter of IPv4 on a device, where that of all devices counts as well; the larger of both. */
function setting(plane: NodePlane, name: string, device: string): number | "unknown" {
  const values = ["all", device].map((one) => plane.sysctl(`net.ipv4.conf.${one.replaceAll(".", "/")}.${name}`));
  if (values.some(({ state }) => state !== "present")) return "unknown";
  return Math.max(...values.map((found) => (found.state === "present" ? Number(found.value.value) : 0)));
}

/** A frame for the node came in by a device, or by a port of the bridge that `device` is. */
function receiveOnNode(walk: Walk, moving: Moving, node: string, device: string, by?: Port): Way[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const full = tableFull(moving, plane);
  if (full) return end(moving, { is: "table-full", at, evidence: [full] });
  const seen = expected(moving, node);
  return takeIn(walk, { ...moving, packet: { ...seen, inDevice: device }, entered: seen }, node, device, by);
}

/** What a node sends to itself comes back in by its loopback device, with its connection and its marks. */
function loopBack(walk: Walk, moving: Moving, node: string): Way[] {
  const { outDevice: _, ...packet } = moving.packet;
  return takeIn(walk, { ...moving, packet: { ...packet, inDevice: "lo" } }, node, "lo");
}

function takeIn(walk: Walk, moving: Moving, node: string, device: string, by?: Port): Way[] {
  return atHook(walk, moving, node, "prerouting", (passed) => routeIn(walk, moving, passed, node, device, by));
}

/** After prerouting: for the node itself, or on its way. */
function routeIn(walk: Walk, before: Moving, passed: Moving, node: string, device: string, by?: Port): Way[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const route = routeOf(plane, passed.packet);
  if (typeof route !== "object") return cannotTell(passed, at, onNode(node, "routes", "routingRules"));
  const strange = notAccepted(plane, passed.packet, device, route);
  if (strange === "unknown") return cannotTell(passed, at, onNode(node, "sysctls"));
  if (strange) return end(passed, { is: "not-accepted", at, evidence: [strange] });
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
  if (forwards.value.value === "0")
    return end(passed, { is: "not-forwarded", at, evidence: [forwards.value.evidence] });
  return routed(walk, out, node, route, ["forward", "postrouting"], isBridgedNat ? by : undefined);
}

const isRedirected = (before: Moving, after: Moving): boolean =>
  textOf(after.packet.destination) !== textOf(before.packet.destination);

const isIpv4 = ({ family }: Packet): boolean => family === 4;

/** Whether a node forwards what comes in by a device (IN_DEV_FORWARD); `ip_forward` sets it for all of them. */
function forwarding(plane: NodePlane, packet: Packet, device: string): ReturnType<NodePlane["sysctl"]> {
  if (!isIpv4(packet)) return plane.sysctl("net.ipv6.conf.all.forwarding");
  const own = plane.sysctl(`net.ipv4.conf.${device.replaceAll(".", "/")}.forwarding`);
  return own.state === "present" ? own : plane.sysctl("net.ipv4.ip_forward");
}

/**
 * Whether br_netfilter shows bridged packets to the rules. What it then sends to another address behind the same bridge is
 * bridged there (br_nf_pre_routing_finish): hairpin mode and isolation count. Forwarding must be on all the same, as the
 * route that is looked up would else be an error.
 *
 * Without the module there is no such parameter; a list that has it not tells nothing.
 */
function bridgeCalls(plane: NodePlane, packet: Packet): boolean | "unknown" {
  const calls = plane.sysctl(
    isIpv4(packet) ? "net.bridge.bridge-nf-call-iptables" : "net.bridge.bridge-nf-call-ip6tables",
  );
  if (calls.state === "present") return calls.value.value === "1";
  return plane.sysctl("net.ipv4.ip_forward").state === "present" ? false : "unknown";
}

/** Frames for another port of the same bridge do not come up to the node, unless it translates their destination. */
function goesAcross({ forwarding }: World, plane: NodePlane, { destination }: Packet, bridge: string): boolean {
  if (!isKnown(destination)) return false;
  const link = known(forwarding.of(plane.node).links)?.find(({ name }) => name === bridge);
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
): Way[] {
  const plane = walk.world.forwarding.of(node);
  const packet: Packet = { ...expected(moving, node), inDevice: bridge, outDevice: bridge, physIn: by.port.name };
  const begin: Moving = { ...moving, packet, entered: moving.packet };
  const across: Port = { ...by, isAcross: true };
  const calls = bridgeCalls(plane, packet);
  if (calls === "unknown") return cannotTell(moving, { node }, onNode(node, "sysctls"));
  if (!calls) return throughDevice(walk, begin, node, bridge, next, across);
  return atHook(walk, begin, node, "prerouting", (passed) => {
    // to another address: it is the node's business, whomever the frame was for (br_nf_pre_routing_finish)
    if (isRedirected(begin, passed)) return routeIn(walk, begin, passed, node, bridge, by);
    return throughHooks(walk, passed, node, ["forward", "postrouting"], (last) =>
      throughDevice(walk, leaving(last, node), node, bridge, next, across),
    );
  });
}

/** Why the kernel does not take a packet from where it comes (ip_route_input_slow, __fib_validate_source). */
function notAccepted(
  plane: NodePlane,
  { source, destination, family }: Packet,
  device: string,
  route: RouteLookup,
): Evidence | "unknown" | undefined {
  if (family !== 4 || !isKnown(source) || !isKnown(destination) || device === "lo") return undefined;
  const quote = (words: string) => quoteOf(plane.routes.origin, words);
  if (contains(LOOPBACK, destination) || contains(LOOPBACK, source)) {
    const local = setting(plane, "route_localnet", device);
    if (local === "unknown") return "unknown";
    if (local === 0) return quote(`${formatIp(destination)} from ${device}: route_localnet is off`);
  }
  if (route.end === "no-route") return undefined;
  const back = lookupRoute(plane, { destination: source, source: destination });
  if (back.end === "unknown") return "unknown";
  if (back.end === "local") {
    const accepts = setting(plane, "accept_local", device);
    if (accepts === "unknown") return "unknown";
    return accepts > 0 ? undefined : quote(`${formatIp(source)} came by ${device} and is the node's own address`);
  }
  if (back.end === "via" && back.hops.some((hop) => hop.device === device)) return undefined;
  const strictness = setting(plane, "rp_filter", device);
  if (strictness === "unknown" || strictness === 0) return strictness === 0 ? undefined : strictness;
  if (back.end !== "via") return quote(`rp_filter ${strictness}: no way back to ${formatIp(source)}`);
  const hasAddress = known(plane.links)?.some(({ name, addresses }) => name === device && addresses.length > 0);
  if (strictness === 2 && hasAddress) return undefined;
  return quote(
    `rp_filter ${strictness}: ${formatIp(source)} came by ${device}, the way back is ${back.evidence.quote}`,
  );
}

const LOOPBACK = { ip: { family: 4, value: 0x7f000000 } as const, length: 8 };

function tableFull({ packet }: Moving, { conntrackCount }: NodePlane): Evidence | undefined {
  const counts = known(conntrackCount);
  if (!counts || packet.ctState !== "new" || !(counts.count >= counts.max)) return undefined;
  return quoteOf(conntrackCount.origin, `${counts.count} of ${counts.max} entries`);
}

/** What of a packet is on the wire: no marks, devices or states of the node that it left. */
function onTheWire(packet: Packet): Packet {
  const { family, protocol, source, destination, sourcePort, destinationPort, icmpType, icmpCode, tcpFlags } = packet;
  return {
    family,
    protocol,
    source,
    destination,
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
    ...(icmpType !== undefined && { icmpType }),
    ...(icmpCode !== undefined && { icmpCode }),
    ...(tcpFlags && { tcpFlags }),
    mark: 0,
    ctState: "new",
  };
}

/** The packet as it comes to a node, with what the node's connection tracking knows of it. */
function expected(moving: Moving, node: string): Packet {
  const packet = onTheWire(moving.packet);
  // a tunnel's packets are a flow of their own in each direction
  if (moving.answer === undefined || moving.inner.length > 0) return packet;
  const entry = moving.tracked
    .get(node)
    ?.find(
      (one) =>
        textOf(one.source) === textOf(packet.source) &&
        textOf(one.destination) === textOf(packet.destination) &&
        one.sourcePort === packet.sourcePort &&
        one.destinationPort === packet.destinationPort,
    );
  if (moving.refusal && !packet.tcpFlags) return asRelated(packet, moving.tracked.get(node) ?? []);
  if (entry) return { ...entry, ...(packet.tcpFlags && { tcpFlags: packet.tcpFlags }) };
  // an answer that this node has not seen the question of
  return { ...packet, ctState: packet.protocol === "udp" ? "new" : "invalid" };
}

/** An ICMP message has its addresses translated as its connection's answers have (nf_nat_icmp_reply_translation). */
function asRelated(packet: Packet, answers: readonly Packet[]): Packet {
  const about = answers.find(({ destination }) => textOf(destination) === textOf(packet.destination));
  if (!about) return { ...packet, ctState: "invalid" };
  const { sourcePort: _, destinationPort: __, ...rest } = about;
  const { protocol, source, destination, icmpType, icmpCode } = packet;
  return {
    ...rest,
    protocol,
    source,
    destination,
    ...(icmpType !== undefined && { icmpType }),
    ...(icmpCode !== undefined && { icmpCode }),
    ctState: "related",
  };
}

/** It leaves the node, or reaches a socket on it: from now on its connection is known there. */
function leaving(moving: Moving, node: string): Moving {
  const { entered, answer, packet } = moving;
  if (!entered || answer !== undefined || moving.inner.length > 0) return moving;
  const sent: Packet = { ...entered, source: isKnown(entered.source) ? entered.source : packet.source, ctState: "new" };
  const { tracked } = moving;
  return { ...moving, tracked: new Map(tracked).set(node, [...(tracked.get(node) ?? []), replyTo(sent, packet)]) };
}

function receiveLocally(walk: Walk, moving: Moving, node: string): Way[] {
  const { outDevice: _, ...packet } = moving.packet;
  return atHook(walk, { ...moving, packet }, node, "input", (passed) => {
    const balanced = throughIpvs(walk, passed, node);
    if (balanced) return balanced;
    const last = passed.inner.at(-1);
    if (last) return decapsulate(walk, passed, node, last);
    return receive(
      walk,
      leaving(passed, node),
      { node },
      walk.world.forwarding.of(node).sockets,
      onNode(node, "sockets"),
    );
  });
}

/** Whether IPVS' device holds the address: then it is that of a virtual server. */
const isVirtual = ({ links }: NodePlane, address: string): boolean =>
  known(links)?.some(
    ({ name, addresses }) => name === "kube-ipvs0" && addresses.some(({ local }) => local === address),
  ) ?? false;

/**
 * IPVS takes what is for a virtual server, wherever it comes from, and sends it on to a real one as if the node did
 * (ip_vs_core.c: ip_vs_in at LOCAL_IN and LOCAL_OUT; ip_vs_xmit.c: ip_vs_nat_xmit).
 *
 * @returns undefined if it is for none
 */
function throughIpvs(walk: Walk, moving: Moving, node: string): Way[] | undefined {
  const plane = walk.world.forwarding.of(node);
  const { packet } = moving;
  const at: Namespace = { node };
  if (moving.answer !== undefined || moving.inner.length > 0 || !isKnown(packet.destination)) return undefined;
  const address = formatIp(packet.destination);
  const servers = known(plane.ipvs);
  if (!servers) return isVirtual(plane, address) ? cannotTell(moving, at, onNode(node, "ipvs")) : undefined;
  const server = servers.find(
    (one) =>
      one.address === address && one.port === packet.destinationPort && one.protocol.toLowerCase() === packet.protocol,
  );
  if (!server)
    return isWhole(plane.ipvs) || !isVirtual(plane, address) ? undefined : cannotTell(moving, at, onNode(node, "ipvs"));
  const quote = (words: string, line: number) => quoteOf({ ...plane.ipvs.origin, line }, words);
  const named = `${server.protocol} ${server.address}:${server.port}`;
  const usable = server.realServers.filter(({ weight }) => weight > 0);
  if (usable.length === 0) {
    // ip_vs_leave: nobody to send it to
    const evidence = [quote(`${named}: no real server takes connections`, server.line)];
    return end(moving, { is: "rejected", at, evidence, with: "icmp-port-unreachable" });
  }
  return usable.flatMap((real) => {
    const destination = parseIp(real.address);
    if (!destination) return cannotTell(moving, at, onNode(node, "ipvs"));
    const chosen = usable.length > 1 && moving.certainty === "certain" ? "chosen" : moving.certainty;
    // the nat chain of INPUT comes after IPVS: its source is still to be decided on
    const natDone = { destination: true } as const;
    const sent: Packet = { ...packet, destination, destinationPort: real.port, dnatted: true, natDone };
    const evidence = [quote(`${named} -> ${real.address}:${real.port}`, real.line)];
    const balanced = after(
      { ...moving, packet: sent, certainty: chosen },
      { did: "balance", at, before: packet, packet: sent, evidence },
    );
    const route = routeOf(plane, sent);
    if (typeof route !== "object") return cannotTell(balanced, at, onNode(node, "routes", "routingRules"));
    if (route.end === "local")
      return receive(walk, leaving(balanced, node), at, plane.sockets, onNode(node, "sockets"));
    const { inDevice: _, ...own } = sent;
    const out = { ...balanced, packet: { ...own, ...deviceOf(route) } };
    return routed(walk, out, node, route, ["output", "postrouting"]);
  });
}

function decapsulate(walk: Walk, moving: Moving, node: string, inner: Inner): Way[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const links = known(plane.links);
  if (!links) return cannotTell(moving, at, onNode(node, "links"));
  const port = moving.packet.destinationPort;
  const device = links.find(({ kind, vxlan }) =>
    inner.kind === "ipip" ? kind === "ipip" : vxlan?.id === inner.vni && (vxlan?.port ?? port) === port,
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
  const { entered: _, ...rest } = moving;
  const size = moving.size && moving.size - OVERHEAD[inner.kind];
  const out: Moving = { ...rest, packet: inner.packet, inner: moving.inner.slice(0, -1), size };
  return receiveOnNode(walk, after(out, { did: "decapsulate", at, device: device.name }), node, device.name);
}

// ---- hooks

/** Takes a packet through all rules of a hook, and each that they accept on. */
function atHook(walk: Walk, moving: Moving, node: string, hook: Hook, on: (passed: Moving) => Way[]): Way[] {
  const at: Namespace = { node };
  const { filter, iptables } = walk.world.forwarding.of(node);
  // a node that has no iptables says so; what nobody asked for may hold anything, the legacy back end's rules even unlisted
  const isUnasked = iptables.state === "unknown" && iptables.why.reason === "not-collected";
  if (filter.stateOf(moving.packet.family) === "unknown" || isUnasked)
    return cannotTell(moving, at, onNode(node, "iptables"));
  // the rules for IPv6 are not read yet
  if (moving.packet.family === 6) return cannotTell(moving, at, onNode(node, "ip6tables"), "rules for IPv6");
  if ((moving.trail?.length ?? 0) > MOST_STEPS) return end(moving, { is: "loops", at, evidence: [] });
  return filter.at(hook, moving.packet).flatMap((outcome) => {
    if (++walk.count > MOST_WAYS) return cannotTell(moving, at, [], "more ways than are followed");
    const { verdict } = outcome;
    const decisive = outcome.rules.toReversed().map((step) => filter.quote(step));
    const certainty = lessSure(moving, outcome);
    const doubts = certainty === "guessed" ? [...moving.doubts, ...doubtsOf(outcome, filter)] : moving.doubts;
    const sure: Moving = { ...moving, certainty, doubts };
    const met = walk.sending.explain ? { met: outcome.met.map((step) => filter.quote(step)) } : {};
    if (verdict.is === "drop") return end(sure, { is: "dropped", at, hook, evidence: decisive.slice(0, 2), ...met });
    if (verdict.is === "reject") {
      const evidence = decisive.slice(0, 2);
      return refuse(walk, sure, at, { is: "rejected", at, hook, evidence, with: verdict.with, ...met });
    }
    if (verdict.is !== "accept") {
      const why = verdict.is === "insufficient" ? verdict.why : verdict.is;
      return end(sure, {
        is: "insufficient",
        at,
        hook,
        evidence: decisive.slice(0, 1),
        missing: onNode(node, "iptables"),
        because: why,
      });
    }
    const packet = filled(walk, node, outcome.packet, hook);
    // what connection tracking changes, no rule does
    const hasEffect =
      outcome.rules.some(({ rule }) => rule !== undefined) ||
      isTranslated(moving.packet, packet) ||
      (met.met ?? []).length > 0;
    return on(
      hasEffect
        ? after(sure, { did: "pass", at, hook, before: moving.packet, packet, rules: decisive, ...met }, { packet })
        : { ...sure, packet },
    );
  });
}

const isTranslated = (a: Packet, b: Packet): boolean =>
  textOf(a.source) !== textOf(b.source) ||
  textOf(a.destination) !== textOf(b.destination) ||
  a.sourcePort !== b.sourcePort ||
  a.destinationPort !== b.destinationPort;

/** The rules of which it is not known whether the packet meets them. */
const doubtsOf = ({ reasons }: Outcome, filter: NodePlane["filter"]): readonly Evidence[] =>
  reasons.flatMap((reason) => (reason.about === "rule" || reason.about === "effect" ? filter.quote(reason.step) : []));

/** MASQUERADE takes an address of the device that the packet leaves by (nf_nat_masquerade_ipv4: inet_select_addr). */
function filled({ world }: Walk, node: string, packet: Packet, hook: Hook): Packet {
  if (hook !== "postrouting" || isKnown(packet.source) || !isKnown(packet.destination)) return packet;
  const plane = world.forwarding.of(node);
  const route = routeOf(plane, packet);
  const source = typeof route === "object" ? deviceAddress(plane, route) : undefined;
  return source ? { ...packet, source, snatted: true } : packet;
}

// ---- routes and devices

function routeOf(plane: NodePlane, { destination, source, inDevice, mark }: Packet): RouteLookup | "unknown" {
  if (!isKnown(destination)) return "unknown";
  const route = lookupRoute(plane, {
    destination,
    ...(isKnown(source) && { source }),
    ...(isKnown(inDevice) && { inDevice }),
    mark,
  });
  return route.end === "unknown" ? "unknown" : route;
}

function routed(
  walk: Walk,
  moving: Moving,
  node: string,
  route: RouteLookup,
  hooks: readonly Hook[],
  by?: Port,
): Way[] {
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
    return throughHooks(walk, moving, node, hooks, (passed) => loopBack(walk, passed, node));
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
    const link = known(plane.links)?.find(({ name }) => name === device);
    if (link && link.mtu < on.size) return end(on, { is: "too-big", at, evidence: [mtuOf(plane.links.origin, link)] });
    return throughHooks(walk, on, node, hooks, (passed) =>
      throughDevice(walk, leaving(passed, node), node, device, gateway, by),
    );
  });
}

function throughHooks(
  walk: Walk,
  moving: Moving,
  node: string,
  hooks: readonly Hook[],
  on: (passed: Moving) => Way[],
): Way[] {
  const [first, ...rest] = hooks;
  if (first === undefined) return on(moving);
  return atHook(walk, moving, node, first, (passed) => throughHooks(walk, passed, node, rest, on));
}

/** Out of a node by a device: to a Pod, into a tunnel, or to the network between the nodes. */
function throughDevice(
  walk: Walk,
  moving: Moving,
  node: string,
  device: string,
  gateway: string | undefined,
  by?: Port,
): Way[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  const links = known(plane.links);
  if (!links) return cannotTell(moving, at, onNode(node, "links"));
  const link = links.find(({ name }) => name === device);
  if (!link && !isWhole(plane.links)) return cannotTell(moving, at, onNode(node, "links"));
  if (!link || !isUp(link)) {
    const words = link ? `${device} is down` : `no device ${device}`;
    const tunnel = /^(vxlan|ipip|wireguard|geneve)$/.test(link?.kind ?? "") && { tunnel: true as const };
    return end(moving, { is: "device-down", at, evidence: [quoteOf(plane.links.origin, words)], ...tunnel });
  }
  if (isProgrammed(link)) return cannotTell(moving, at, [], PROGRAMS);
  const own = known(plane.localAddresses);
  const next = gateway === undefined || own?.has(gateway) ? textOf(moving.packet.destination) : gateway;
  if (link.kind === "vxlan") return encapsulate(walk, moving, node, link, next);
  if (link.kind === "ipip") return encapsulated(walk, moving, node, link, next, { kind: "ipip" }, []);
  if (link.kind === "wireguard") return cannotTell(moving, at, [], "peers of WireGuard devices");
  const target = podOn(world, node, next) ?? podBehind(world, node, link);
  if (link.kind === "bridge") return toBridgePort(walk, moving, node, link, next, by);
  const isPodDevice = target !== undefined && isPeerOf(world, target, link);
  if (isPodDevice) {
    const inside = known(world.podNamespaces.of(target).links)?.find(({ peerIndex }) => peerIndex === link.index);
    const wrong = wrongNeighbour(plane, next, link.name, inside?.mac);
    if (wrong) return end(moving, { is: "lost", at, evidence: [wrong] });
    return enterPod(walk, moving, node, link, target, inside);
  }
  return toUnderlay(walk, moving, node, link, next);
}

/** An entry that the kernel does not look up again, with a hardware address that the next hop does not have. */
function wrongNeighbour(plane: NodePlane, next: string, device: string, mac: string | undefined): Evidence | undefined {
  const entry = known(plane.neighbours)?.find((one) => one.address === next && one.device === device);
  if (!entry?.states.includes("PERMANENT") || !entry.mac || !mac || entry.mac === mac) return undefined;
  return quoteOf(plane.neighbours.origin, `${next} lladdr ${entry.mac} PERMANENT, it has ${mac}`);
}

const isPeerOf = (world: World, pod: PodView, { index, name, addresses }: Link): boolean => {
  const own = known(world.podNamespaces.of(pod).links);
  // without the Pod's devices: one without an address, as Calico and Cilium make them
  if (!own) return addresses.every(({ scope }) => scope === "link") && name !== "lo";
  return own.some(({ peerIndex }) => peerIndex === index);
};

/** The Pod of this node that has the address: where ranges conflict, another node's may have it too. */
const podOn = ({ pods }: World, node: string, address: string): PodView | undefined =>
  pods.onNode(node).find((pod) => !pod.hostNetwork && !pod.finished && pod.addresses.includes(address));

const podBehind = (world: World, node: string, link: Link): PodView | undefined =>
  link.kind === "veth" && link.addresses.every(({ scope }) => scope === "link")
    ? world.pods
        .onNode(node)
        .find(
          (pod) =>
            !pod.hostNetwork &&
            known(world.podNamespaces.of(pod).links)?.some(({ peerIndex }) => peerIndex === link.index),
        )
    : undefined;

/** @param own the Pod's end of the pair of devices, if it was seen */
function enterPod(walk: Walk, moving: Moving, node: string, link: Link, pod: PodView, own: Link | undefined): Way[] {
  const at: Namespace = { node, pod };
  const { origin } = walk.world.podNamespaces.of(pod).links;
  const crossed = after(moving, { did: "cross", from: { node }, to: at, device: link.name });
  if (own && !isUp(own)) {
    const words = `${own.name}: <${own.flags.join(",")}>`;
    return end(crossed, { is: "device-down", at, evidence: [quoteOf(origin, words)] });
  }
  if (own && isOversized(own, moving)) return end(crossed, { is: "too-big", at, evidence: [mtuOf(origin, own)] });
  return receiveInPod(walk, own ? crossed : { ...crossed, unseen: true }, pod);
}

/** On a bridge: the port behind which the Pod with this address is. */
function toBridgePort(walk: Walk, moving: Moving, node: string, bridge: Link, next: string, by?: Port): Way[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  const pod = podOn(world, node, next);
  const neighbour = known(plane.neighbours)?.find(({ address, device }) => address === next && device === bridge.name);
  if (!pod) {
    // somebody who is no Pod of the API's answered there
    const isThere = neighbour?.mac !== undefined && !neighbour.states.includes("FAILED");
    if (!world.pods.whole || isThere) return cannotTell(moving, at, [{ kind: "pods" }]);
    const words = neighbour ? `${next} ${neighbour.states.join(",")}` : `${next}: nobody on ${bridge.name} has it`;
    return end(moving, { is: "unreachable", at, evidence: [quoteOf(plane.neighbours.origin, words)] });
  }
  const { links: inside } = world.podNamespaces.of(pod);
  const own = known(inside)?.find((one) => one.addresses.some(({ local }) => local === next));
  if (inside.state === "present" && !own) {
    if (!isWhole(inside)) return cannotTell(moving, at, inPod(pod, "podLinks"));
    return end(moving, { is: "unreachable", at, evidence: [quoteOf(inside.origin, `no device has ${next}`)] });
  }
  const wrong = by?.isAcross ? undefined : wrongNeighbour(plane, next, bridge.name, own?.mac);
  if (wrong) return end(moving, { is: "lost", at, evidence: [wrong] });
  const ports = known(plane.bridgePorts);
  const out =
    own?.peerIndex === undefined ? undefined : known(plane.links)?.find(({ index }) => index === own.peerIndex);
  if (own?.peerIndex !== undefined && !out && !isWhole(plane.links))
    return cannotTell(moving, at, onNode(node, "links"));
  if (own?.peerIndex !== undefined && (!out || out.master !== bridge.name || !isUp(out))) {
    const words = out
      ? `${out.name}: ${isUp(out) ? `master ${out.master ?? "none"}` : "down"}`
      : `no device with index ${own.peerIndex}`;
    return end(moving, { is: "device-down", at, evidence: [quoteOf(plane.links.origin, words)] });
  }
  if (!ports && !moving.unseen) return toBridgePort(walk, { ...moving, unseen: true }, node, bridge, next, by);
  const port = out && ports?.find(({ name }) => name === out.name);
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
  const came = by && ports?.find(({ name }) => name === by.port.name);
  if (port?.isolated && came?.isolated)
    return end(moving, {
      is: "not-bridged",
      at,
      evidence: [quoteOf(plane.bridgePorts.origin, `${port.name} and ${came.name} are isolated`)],
    });
  if (out && isOversized(out, moving))
    return end(moving, { is: "too-big", at, evidence: [mtuOf(plane.links.origin, out)] });
  return enterPod(walk, moving, node, out ?? bridge, pod, own);
}

function encapsulate(walk: Walk, moving: Moving, node: string, link: Link, next: string): Way[] {
  const plane = walk.world.forwarding.of(node);
  const at: Namespace = { node };
  const neighbours = known(plane.neighbours);
  const fdb = known(plane.fdb);
  if (!neighbours) return cannotTell(moving, at, onNode(node, "neighbours"));
  const neighbour = neighbours.find(({ address, device }) => address === next && device === link.name);
  const quote = (words: string) => quoteOf(plane.neighbours.origin, words);
  if (!neighbour && !isWhole(plane.neighbours)) return cannotTell(moving, at, onNode(node, "neighbours"));
  if (!neighbour?.mac || neighbour.states.includes("FAILED"))
    return end(moving, { is: "unreachable", at, evidence: [quote(`no neighbour ${next} on ${link.name}`)] });
  if (!fdb) return cannotTell(moving, at, onNode(node, "fdb"));
  const entry = fdb.find(
    ({ mac, device, destination }) => mac === neighbour.mac && device === link.name && destination,
  );
  const evidence = [quote(`${next} dev ${link.name} lladdr ${neighbour.mac}`)];
  if (!entry && !isWhole(plane.fdb)) return cannotTell(moving, at, onNode(node, "fdb"));
  if (!entry?.destination) {
    const words = `no entry for ${neighbour.mac} on ${link.name}`;
    return end(moving, { is: "lost", at, evidence: [quoteOf(plane.fdb.origin, words), ...evidence] });
  }
  const seen = [...evidence, quoteOf(plane.fdb.origin, `${neighbour.mac} dev ${link.name} dst ${entry.destination}`)];
  const inner = { kind: "vxlan" as const, mac: neighbour.mac, ...(link.vxlan && { vni: link.vxlan.id }) };
  return encapsulated(walk, moving, node, link, entry.destination, inner, seen);
}

/** The node sends the tunnel's packet as its own. */
function encapsulated(
  walk: Walk,
  moving: Moving,
  node: string,
  link: Link,
  to: string,
  inner: Omit<Inner, "packet">,
  evidence: readonly Evidence[],
): Way[] {
  const { vxlan } = link;
  const destination = parseIp(to);
  const source = vxlan?.local === undefined ? undefined : parseIp(vxlan.local);
  const at: Namespace = { node };
  if (!destination) return cannotTell(moving, at, [], `the tunnel's other end, ${to}`);
  const outer: Packet = {
    family: destination.family,
    protocol: inner.kind === "vxlan" ? "udp" : "4",
    source: source ?? "unknown",
    destination,
    // drawn from the inner flow (udp_flow_src_port)
    ...(inner.kind === "vxlan" && { sourcePort: "unknown" as const, destinationPort: vxlan?.port ?? 8472 }),
    mark: 0,
    ctState: "new",
  };
  const { entered: _, ...rest } = moving;
  const wrapped = after(
    {
      ...rest,
      packet: outer,
      inner: [...moving.inner, { ...inner, packet: moving.packet }],
      size: moving.size && moving.size + OVERHEAD[inner.kind],
    },
    { did: "encapsulate", at, device: link.name, to, evidence },
  );
  return sendFromNode(walk, wrapped, node);
}

/** The network between the nodes: to the node that has the next hop's address, or away from the cluster. */
function toUnderlay(walk: Walk, moving: Moving, node: string, link: Link, next: string): Way[] {
  const { world } = walk;
  const plane = world.forwarding.of(node);
  const at: Namespace = { node };
  const address = canonicalIp(next) ?? next;
  const neighbour = known(plane.neighbours)?.find((one) => one.address === address && one.device === link.name);
  if (neighbour?.states.includes("FAILED"))
    return end(moving, {
      is: "unreachable",
      at,
      evidence: [quoteOf(plane.neighbours.origin, `${address} dev ${link.name} FAILED`)],
    });
  const owner =
    world.nodes.byAddress(address) ??
    world.nodes.all.find(({ name }) => known(world.forwarding.of(name).localAddresses)?.has(address));
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
  const links = known(world.forwarding.of(owner.name).links);
  const carried = after(moving, { did: "carry", from: node, to: owner.name, device: link.name });
  if (!links) return cannotTell(carried, { node: owner.name }, onNode(owner.name, "links"));
  const into = links.find(({ addresses }) => addresses.some(({ local }) => local === address));
  if (!into) return end(carried, { is: "lost", at: { node: owner.name }, evidence: [] });
  if (!isUp(into))
    return end(carried, { is: "device-down", at: { node: owner.name }, evidence: [stateOf(world, owner.name, into)] });
  const wrong = wrongNeighbour(plane, address, link.name, into.mac);
  if (wrong) return misdirected(walk, moving, node, link, neighbour?.mac, wrong);
  const { entered: _, ...rest } = carried;
  if (!isOversized(into, moving)) return receiveOnNode(walk, rest, owner.name, into.name);
  const { origin } = world.forwarding.of(owner.name).links;
  const tooBig: End = { is: "too-big", at: { node: owner.name }, evidence: [mtuOf(origin, into)] };
  if (into.kind === "veth") return end(carried, tooBig);
  // many network cards take in more than they send
  const guessed = { certainty: "guessed" as const };
  return [
    ...end({ ...carried, ...guessed }, tooBig),
    ...receiveOnNode(walk, { ...rest, ...guessed }, owner.name, into.name),
  ];
}

/** A frame for a hardware address goes to the node that has it, whatever it holds; or nobody takes it. */
function misdirected(
  walk: Walk,
  moving: Moving,
  node: string,
  link: Link,
  mac: string | undefined,
  evidence: Evidence,
): Way[] {
  const { world } = walk;
  for (const { name } of world.nodes.all) {
    const into = known(world.forwarding.of(name).links)?.find((one) => one.mac === mac && one.kind !== "vxlan");
    if (!into || name === node) continue;
    const { entered: _, ...rest } = after(moving, { did: "carry", from: node, to: name, device: link.name });
    return receiveOnNode(walk, rest, name, into.name);
  }
  return end(moving, { is: "lost", at: { node }, evidence: [evidence] });
}

/** An address that belongs inside the cluster, in words: whoever is outside does not know it. */
function insideOf({ pods, nodes, services }: World, destination: Packet["destination"]): string | undefined {
  if (!isKnown(destination)) return undefined;
  const text = formatIp(destination);
  const isInside =
    pods.byAddress(text) !== undefined ||
    nodes.all.some(({ podRanges }) => podRanges.some((range) => contains(range, destination))) ||
    services.all.some(({ clusterIps }) => clusterIps.includes(text));
  return isInside ? text : undefined;
}

function arriveFromOutside(walk: Walk, moving: Moving): Way[] {
  const { destination } = moving.packet;
  const address = textOf(destination);
  const owner = walk.world.nodes.byAddress(address);
  if (!owner) return end(moving, { is: "left-cluster", evidence: [] });
  const links = known(walk.world.forwarding.of(owner.name).links);
  const into = links?.find(({ addresses }) => addresses.some(({ local }) => local === address));
  if (!into) return cannotTell(moving, { node: owner.name }, onNode(owner.name, "links"));
  return receiveOnNode(walk, moving, owner.name, into.name);
}

// ---- sockets, and the answer

function receiveInPod(walk: Walk, moving: Moving, pod: PodView): Way[] {
  const at: Namespace = { node: pod.node ?? "", pod };
  const { destination } = moving.packet;
  // what came with another address is not for this Pod, and Pods do not forward
  const text = textOf(destination);
  const isOwn = addressesIn(walk.world, pod).includes(text) || text.startsWith("127.") || text === "::1";
  if (!isOwn) return end(moving, { is: "lost", at, evidence: [] });
  return receive(walk, moving, at, walk.world.sockets.of(pod), inPod(pod, "podSockets"));
}

function receive(
  walk: Walk,
  moving: Moving,
  at: Namespace,
  sockets: ReturnType<World["sockets"]["of"]>,
  missing: readonly Missing[],
): Way[] {
  if (moving.answer !== undefined) return receiveAnswer(walk, moving, at);
  const { packet } = moving;
  if (packet.protocol === "icmp" || packet.protocol === "ipv6-icmp") {
    const ignores = at.pod && !at.pod.hostNetwork ? undefined : ignoresEcho(walk.world.forwarding.of(at.node), packet);
    if (ignores) return end(moving, { is: "dropped", at, evidence: [ignores] });
    return answer(walk, after(moving, { did: "receive", at, evidence: [] }), at);
  }
  const list = known(sockets);
  if (!list) return cannotTell(moving, at, missing);
  const socket = list.find((one) => listens(one, packet));
  if (!socket) {
    const words = `nothing listens on ${packet.protocol} ${textOf(packet.destination)}:${packet.destinationPort ?? ""}`;
    if (sockets.state === "present" && sockets.gaps.length > 0) return cannotTell(moving, at, missing);
    return refuse(walk, moving, at, { is: "refused", at, evidence: [quoteOf(sockets.origin, words)] });
  }
  const holder = socket.processes[0]?.name;
  const words = `${socket.protocol} ${socket.address}:${socket.port}${holder === undefined ? "" : ` ${holder}`}`;
  const evidence = [quoteOf({ ...sockets.origin, line: socket.line }, words)];
  return answer(walk, after(moving, { did: "receive", at, evidence }), at);
}

function ignoresEcho(plane: NodePlane, packet: Packet): Evidence | undefined {
  const found = plane.sysctl(isIpv4(packet) ? "net.ipv4.icmp_echo_ignore_all" : "net.ipv6.icmp.echo_ignore_all");
  return found.state === "present" && found.value.value !== "0" ? found.value.evidence : undefined;
}

function listens({ protocol, address, port }: ListeningSocket, packet: Packet): boolean {
  if (protocol !== packet.protocol || port !== packet.destinationPort) return false;
  const any = address === "*" || address === "0.0.0.0" || address === "::";
  return any ? !(address === "0.0.0.0" && packet.family === 6) : address === textOf(packet.destination);
}

/** Of a refusal the asker has to learn: the reset, or the ICMP message, walks back as an answer does. */
function refuse(walk: Walk, moving: Moving, at: Namespace, how: End): Way[] {
  const { packet } = moving;
  const { with: words, ...unheard } = how;
  // it is told to the one who answered, or to the node that sent the tunnel's packet
  if (moving.answer !== undefined || moving.inner.length > 0) return end(moving, unheard);
  const isReset = how.is === "refused" || words === "tcp-reset";
  if (packet.protocol !== "tcp" || !(isReset || /port-unreach/.test(words ?? ""))) return end(moving, how);
  const reset: Packet = { ...replyOf(packet), tcpFlags: ["RST", "ACK"] };
  const message: Packet = {
    family: packet.family,
    protocol: isIpv4(packet) ? "icmp" : "ipv6-icmp",
    source: "unknown",
    destination: packet.source,
    icmpType: isIpv4(packet) ? 3 : 1,
    icmpCode: isIpv4(packet) ? 3 : 4,
    mark: 0,
    ctState: "related",
  };
  const seen = at.pod && !at.pod.hostNetwork ? moving : leaving(moving, at.node);
  return sendBack(walk, { ...seen, refusal: how }, at, isReset ? reset : message);
}

/** The one that took it answers, and the answer walks back. */
function answer(walk: Walk, moving: Moving, at: Namespace): Way[] {
  return sendBack(walk, moving, at, replyOf(moving.packet));
}

function replyOf(packet: Packet): Packet {
  return {
    family: packet.family,
    protocol: packet.protocol,
    source: packet.destination,
    destination: packet.source,
    ...(packet.destinationPort !== undefined && { sourcePort: packet.destinationPort }),
    ...(packet.sourcePort !== undefined && { destinationPort: packet.sourcePort }),
    ...(packet.icmpType !== undefined && { icmpType: packet.family === 4 ? 0 : 129, icmpCode: 0 }),
    ...(packet.protocol === "tcp" && { tcpFlags: ["SYN", "ACK"] }),
    mark: 0,
    ctState: "established",
  };
}

function sendBack(walk: Walk, moving: Moving, at: Namespace, packet: Packet): Way[] {
  const { entered: _, ...rest } = moving;
  const back: Moving = { ...rest, packet, answer: moving.trail?.length ?? 0, inner: [] };
  return send(walk, after(back, { did: "send", at, packet }), at);
}

/**
 * The asker's socket takes an answer only from whom it asked.
 *
 * @param at undefined: outside
 */
function receiveAnswer({ sending }: Walk, moving: Moving, at: Namespace | undefined): Way[] {
  const { packet } = moving;
  const asked = sending.packet;
  const isHere =
    sending.from === "outside"
      ? at === undefined
      : sending.from.node === at?.node && (sending.from.pod?.key ?? "") === (at.pod?.key ?? "");
  const { refusal } = moving;
  const isMessage = refusal !== undefined && packet.protocol !== asked.protocol;
  if (isHere && isMessage) return end(at ? after(moving, { did: "receive", at, evidence: [] }) : moving, refusal);
  const isRight =
    isHere &&
    textOf(packet.source) === textOf(asked.destination) &&
    (packet.sourcePort === undefined || packet.sourcePort === asked.destinationPort);
  const received = at ? after(moving, { did: "receive", at, evidence: [] }) : moving;
  const place = at && { at };
  if (isRight && moving.unseen)
    return end({ ...received, certainty: "guessed" }, refusal ?? { is: "answered", ...place, evidence: [] });
  if (isRight) return end(received, refusal ?? { is: "answered", ...place, evidence: [] });
  const words = `${textOf(packet.source)}:${packet.sourcePort ?? ""} instead of ${textOf(asked.destination)}:${asked.destinationPort ?? ""}`;
  return end(received, { is: "wrong-answer", ...place, evidence: [], because: words });
}
