/** What a node's routes say of a packet, and which source address they give it. */
import { known } from "../../evidence/observed.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { lookupRoute, type RouteLookup } from "../../model/forwarding/routing.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import { contains, type Ip, parseIp, prefixOf } from "../../net/ip.ts";
import type { Link } from "../../parse/ip-addr.ts";
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
export function sourceFor(plane: NodePlane, route: RouteLookup): Ip | undefined {
  if (route.end === "local") return parseIp(route.route.source ?? "") ?? deviceAddress(plane, route);
  const preferred = route.end === "via" ? route.route.source : undefined;
  return preferred === undefined ? deviceAddress(plane, route) : parseIp(preferred);
}

/**
 * Of the device's addresses the one in the next hop's network, else its first; a device without, as lo, borrows from the
 * others (inet_select_addr with RT_SCOPE_UNIVERSE).
 */
export function deviceAddress(plane: NodePlane, route: RouteLookup): Ip | undefined {
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
