/**
 * Which route a packet takes: the policy routing rules, then the longest prefix of each table they lead to.
 *
 * Source: Linux net/core/fib_rules.c (fib_rules_lookup), net/ipv4/fib_rules.c, fib_trie.c (fib_table_lookup); of routes to
 * the same prefix the one with the smallest metric counts; `throw` continues with the next rule. Dead next hops are not
 * used. IPv6 has rules of its own (net/ipv6/fib6_rules.c, route.c). testing/kernel/routing.kernel.test.ts holds this to what the kernel says.
 */
import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { contains, formatIp, type Ip, parsePrefix } from "../../net/ip.ts";
import type { NextHop, Route } from "../../parse/iproute2/route.ts";
import type { RoutingRule } from "../../parse/iproute2/rule.ts";
import type { NodePlane } from "./plane.ts";
import { bestIn, destinationOf } from "./route-table.ts";

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
  /** Only routes that leave by this device count. */
  readonly outDevice?: string;
};

/** A node's routes and policy rules. */
export type RoutingTables = Pick<NodePlane, "routes" | "routingRules" | "routingRules6"> &
  Partial<Pick<NodePlane, "localAddresses">>;

/** What a node without `ip rule` output has: the kernel's default rules. */
const DEFAULT_RULES: readonly RoutingRule[] = ["local", "main", "default"].map((table, index) => ({
  priority: [0, 32766, 32767][index]!,
  table,
  action: "to_tbl",
  negated: false,
}));

/** Whether a rule is for a packet; undefined where it asks for something of the packet that is not known. */
function ruleApplies(rule: RoutingRule, packet: RoutedPacket): boolean | undefined {
  const within = (range: string | undefined, ip: Ip | undefined) => {
    if (range === undefined) return true;
    const prefix = parsePrefix(range);
    return prefix !== undefined && ip !== undefined && contains(prefix, ip);
  };
  const differing = rule.mark ? ((packet.mark ?? 0) ^ rule.mark.value) & rule.mark.mask : 0;
  const fits =
    within(rule.source, packet.source) &&
    within(rule.destination, packet.destination) &&
    // what the node itself sends counts as coming in by lo
    (rule.inputDevice === undefined || rule.inputDevice === (packet.inDevice ?? "lo")) &&
    rule.outputDevice === undefined &&
    differing === 0;
  if (fits && rule.otherSelectors) return undefined;
  return fits !== rule.negated;
}

const isUsable = ({ flags, nextHops }: Route, outDevice: string | undefined): boolean =>
  !flags.includes("dead") &&
  (nextHops.length === 0 || nextHops.some((hop) => !hop.flags.includes("dead"))) &&
  (outDevice === undefined || nextHops.some(({ device }) => device === outDevice));

/** The same prefix on every device: which of them is meant, the socket or the sender has to say. */
const LINK_LOCAL = parsePrefix("fe80::/10")!;

const REFUSALS = ["blackhole", "unreachable", "prohibit"];

/** Where the rules go on after one that did not decide. */
function nextRule(rules: readonly RoutingRule[], index: number): number {
  const { action, goto: target } = rules[index]!;
  if (action !== "goto") return index + 1;
  // it only leads forward; one whose target is not there is passed over
  const found = rules.findIndex(({ priority }, at) => at > index && priority === target);
  return found < 0 ? index + 1 : found;
}

const ordered = new WeakMap<readonly RoutingRule[], readonly RoutingRule[]>();

function inOrder(rules: readonly RoutingRule[]): readonly RoutingRule[] {
  const known = ordered.get(rules);
  if (known) return known;
  const sorted = rules.toSorted((a, b) => a.priority - b.priority);
  ordered.set(rules, sorted);
  return sorted;
}

const isDead = ({ flags }: NextHop): boolean => flags.includes("dead");
const liveHops = ({ nextHops }: Route): readonly NextHop[] =>
  nextHops.some(isDead) ? nextHops.filter((hop) => !isDead(hop)) : nextHops;

const tables = new WeakMap<readonly Route[], ReadonlySet<string>>();

/** Whether `ip route` was asked for some tables and not for this: a node that has addresses has routes in table local. */
function isLeftOut(table: string, routes: readonly Route[]): boolean {
  let printed = tables.get(routes);
  if (!printed) {
    printed = new Set(routes.map((route) => route.table));
    tables.set(routes, printed);
  }
  return printed.size > 0 && !printed.has("local") && !printed.has(table);
}

/** What is in a table that was not asked for: in default nothing, in local the node's addresses, of others nobody knows. */
function mayHold(table: string, destination: Ip, { localAddresses }: RoutingTables): boolean {
  if (table !== "local") return table !== "default";
  return localAddresses?.state === "present" && localAddresses.value.has(formatIp(destination));
}

export function lookupRoute(plane: RoutingTables, packet: RoutedPacket): RouteLookup {
  const { routes } = plane;
  const { destination, outDevice } = packet;
  const routingRules = destination.family === 4 ? plane.routingRules : plane.routingRules6;
  if (routes.state !== "present" || routes.gaps.length > 0) return { end: "unknown" };
  if (routingRules.state === "present" && routingRules.gaps.length > 0) return { end: "unknown" };
  const rules = inOrder(known(routingRules) ?? DEFAULT_RULES);
  const usable = (route: Route) => isUsable(route, outDevice);
  for (let index = 0; index < rules.length; ) {
    const { action, table, suppressPrefixLength = -1 } = rules[index]!;
    const applies = ruleApplies(rules[index]!, packet);
    if (applies === undefined) return { end: "unknown" };
    index = applies ? nextRule(rules, index) : index + 1;
    if (!applies) continue;
    if (REFUSALS.includes(action)) return { end: "no-route" };
    const route = table === undefined ? undefined : bestIn(table, routes.value, destination, usable);
    if (!route && table !== undefined && isLeftOut(table, routes.value) && mayHold(table, destination, plane))
      return { end: "unknown" };
    if (!route || route.type === "throw") continue;
    const evidence = quoteRoute(plane, route);
    if (REFUSALS.includes(route.type)) return { end: "refused", route, evidence };
    if (destinationOf(route)!.length <= suppressPrefixLength) continue;
    // an anycast address is a node's own as well (ip6_input_finish)
    if (route.type === "local" || route.type === "anycast") return { end: "local", route, evidence };
    if (contains(LINK_LOCAL, destination) && outDevice === undefined) return { end: "unknown" };
    return { end: "via", route, hops: liveHops(route), evidence };
  }
  return { end: "no-route" };
}

/** A route as `ip route` prints it. */
export function formatRoute(route: Route): string {
  const destination = destinationOf(route)?.length === 0 ? "default" : route.destination;
  const hops = route.nextHops.map(({ gateway, device }) =>
    [gateway && `via ${gateway}`, device && `dev ${device}`].filter(Boolean).join(" "),
  );
  const type = route.type === "unicast" ? "" : `${route.type} `;
  return [`${type}${destination}`, ...hops, ...route.flags].join(" ").trim();
}

const quotes = new WeakMap<Route, Evidence>();

export function quoteRoute({ routes: { origin } }: Pick<NodePlane, "routes">, route: Route): Evidence {
  const known = quotes.get(route);
  if (known?.origin === origin) return known;
  const quote = quoteOf(origin, formatRoute(route));
  quotes.set(route, quote);
  return quote;
}
