/** What a node's routes say of a packet, and which source address they give it. */
import { known } from "../../evidence/observed.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { lookupRoute, type RouteLookup } from "../../model/forwarding/routing.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import { contains, type Ip, parseIp, parsePrefix, prefixOf } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import { isKnown } from "./moving.ts";

export function routeOf(plane: NodePlane, { destination, source, inDevice, mark }: Packet): RouteLookup | "unknown" {
  if (!isKnown(destination)) return "unknown";
  const route = lookupRoute(plane, {
    destination,
    ...(isKnown(source) && { source }),
    ...(isKnown(inDevice) && { inDevice }),
    mark,
  });
  return route.end === "unknown" ? "unknown" : route;
}

export const deviceOf = (route: RouteLookup): { outDevice?: string } => {
  const device = route.end === "via" ? route.hops[0]?.device : route.end === "local" ? "lo" : undefined;
  return device === undefined ? {} : { outDevice: device };
};

/** The kernel's own address for what it sends by a route: the preferred one, else one of the device. */
export function sourceFor(plane: NodePlane, route: RouteLookup, destination: Packet["destination"]): Ip | undefined {
  if (!isKnown(destination)) return undefined;
  const preferred = route.end === "local" || route.end === "via" ? parseIp(route.route.source ?? "") : undefined;
  // of all addresses that a node has, IPv6 takes the very one that it is asked for (rule 1)
  if (!preferred && route.end === "local" && destination.family === 6) return destination;
  return preferred ?? deviceAddress(plane, route, destination);
}

/**
 * Of the device's addresses the one in the next hop's network, else its first; a device without, as lo, borrows from the
 * others (inet_select_addr with RT_SCOPE_UNIVERSE).
 */
export function deviceAddress(plane: NodePlane, route: RouteLookup, destination: Ip): Ip | undefined {
  if (route.end !== "via" && route.end !== "local") return undefined;
  if (destination.family === 6) return address6(plane, route.end === "via" ? route.hops[0]?.device : "lo", destination);
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

const UNIQUE_LOCAL = parsePrefix("fc00::/7")!;

/**
 * RFC 6724 as net/ipv6/addrconf.c has it (ipv6_dev_get_saddr): an address of the device before those of others (rule 5), one
 * of the same kind as the destination (rule 6, of whose labels only unique local addresses matter here), the one that shares
 * the longest prefix with it (rule 8).
 */
function address6(plane: NodePlane, device: string | undefined, destination: Ip): Ip | undefined {
  const candidates = (known(plane.links) ?? []).flatMap(({ name, addresses }) =>
    addresses.flatMap(({ local, family, scope }) => {
      const ip = family === "inet6" && scope === "global" ? parseIp(local) : undefined;
      if (!ip) return [];
      const isAlike = contains(UNIQUE_LOCAL, ip) === contains(UNIQUE_LOCAL, destination);
      return [{ ip, rank: [name === device ? 1 : 0, isAlike ? 1 : 0, sharedBits(ip, destination)] as const }];
    }),
  );
  const best = candidates.reduce<(typeof candidates)[number] | undefined>(
    (a, b) => (a && !isBefore(b.rank, a.rank) ? a : b),
    undefined,
  );
  return best?.ip;
}

const isBefore = (a: readonly number[], b: readonly number[]): boolean => {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at >= 0 && a[at]! > b[at]!;
};

/** How many bits two addresses begin with alike. */
const sharedBits = (a: Ip, b: Ip): number => 128 - (BigInt(a.value) ^ BigInt(b.value)).toString(2).length;
