/**
 * Which route a packet takes: the policy routing rules, then the longest prefix of each table they lead to.
 *
 * Source: Linux net/ipv4/fib_rules.c, fib_trie.c (fib_table_lookup); of routes to the same prefix the one with the
 * smallest metric counts; `throw` continues with the next rule. Dead next hops are not used.
 */
import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { contains, type Ip, type Prefix, parsePrefix } from "../../net/ip.ts";
import type { NextHop, Route } from "../../parse/ip-route.ts";
import type { RoutingRule } from "../../parse/ip-rule.ts";
import type { NodePlane } from "./plane.ts";

export type RouteLookup =
  | { readonly end: "via"; readonly route: Route; readonly hops: readonly NextHop[]; readonly evidence: Evidence }
  /** The address is the node's own. */
  | { readonly end: "local"; readonly route: Route; readonly evidence: Evidence }
  /** blackhole, unreachable or prohibit */
  | { readonly end: "refused"; readonly route: Route; readonly evidence: Evidence }
  | { readonly end: "no-route" }
  | { readonly end: "unknown" };

export type RoutedPacket = {
  readonly destination: Ip;
  readonly source?: Ip;
  readonly inDevice?: string;
  readonly mark?: number;
};

/** What a node without `ip rule` output has: the kernel's default rules. */
const DEFAULT_RULES: readonly RoutingRule[] = ["local", "main", "default"].map((table, index) => ({
  priority: [0, 32766, 32767][index]!,
  table,
  action: "to_tbl",
  negated: false,
}));

const prefixes = new WeakMap<Route, Prefix>();

/** The destination of a route as a prefix. */
export function destinationOf(route: Route): Prefix | undefined {
  const cached = prefixes.get(route);
  if (cached) return cached;
  const prefix = parsePrefix(route.destination);
  if (prefix) prefixes.set(route, prefix);
  return prefix;
}

function ruleApplies(rule: RoutingRule, packet: RoutedPacket): boolean {
  const within = (range: string | undefined, ip: Ip | undefined) => {
    if (range === undefined) return true;
    const prefix = parsePrefix(range);
    return prefix !== undefined && ip !== undefined && contains(prefix, ip);
  };
  const marked = !rule.mark || ((packet.mark ?? 0) & rule.mark.mask) === rule.mark.value;
  const fits =
    within(rule.source, packet.source) &&
    within(rule.destination, packet.destination) &&
    (rule.inputDevice === undefined || rule.inputDevice === packet.inDevice) &&
    rule.outputDevice === undefined &&
    marked;
  return fits !== rule.negated;
}

function bestIn(table: string, routes: readonly Route[], destination: Ip): Route | undefined {
  let best: Route | undefined;
  let bestLength = -1;
  for (const route of routes) {
    if (route.table !== table || route.flags.includes("dead")) continue;
    const prefix = destinationOf(route);
    if (!prefix || prefix.length < bestLength || !contains(prefix, destination)) continue;
    if (prefix.length === bestLength && (route.metric ?? 0) >= (best!.metric ?? 0)) continue;
    best = route;
    bestLength = prefix.length;
  }
  return best;
}

export function lookupRoute(plane: NodePlane, packet: RoutedPacket): RouteLookup {
  const { routes, routingRules } = plane;
  if (routes.state !== "present" || routes.gaps.length > 0) return { end: "unknown" };
  const rules = [...(known(routingRules) ?? DEFAULT_RULES)].sort((a, b) => a.priority - b.priority);
  for (const rule of rules) {
    if (!ruleApplies(rule, packet)) continue;
    if (rule.table === undefined) {
      if (["blackhole", "unreachable", "prohibit"].includes(rule.action)) return { end: "no-route" };
      continue;
    }
    const route = bestIn(rule.table, routes.value, packet.destination);
    if (!route || route.type === "throw") continue;
    const evidence = quoteRoute(plane, route);
    if (route.type === "local") return { end: "local", route, evidence };
    if (["blackhole", "unreachable", "prohibit"].includes(route.type)) return { end: "refused", route, evidence };
    return { end: "via", route, hops: route.nextHops, evidence };
  }
  return { end: "no-route" };
}

/** A route as `ip route` prints it. */
export function formatRoute(route: Route): string {
  const hops = route.nextHops.map(({ gateway, device }) =>
    [gateway && `via ${gateway}`, device && `dev ${device}`].filter(Boolean).join(" "),
  );
  const type = route.type === "unicast" ? "" : `${route.type} `;
  return [`${type}${route.destination}`, ...hops, ...route.flags].join(" ").trim();
}

export function quoteRoute(plane: NodePlane, route: Route): Evidence {
  return quoteOf(plane.routes.origin, formatRoute(route));
}
