/** A node's routes by table and prefix, longest prefix first: each table is read once, however often it is asked. */
import { type Family, type Ip, type Prefix, parsePrefix, prefixOf } from "../../net/ip.ts";
import type { Route } from "../../parse/iproute2/route.ts";

const prefixes = new WeakMap<Route, Prefix>();

/** The destination of a route as a prefix. */
export function destinationOf(route: Route): Prefix | undefined {
  const cached = prefixes.get(route);
  if (cached) return cached;
  const prefix = parsePrefix(route.destination);
  if (prefix) prefixes.set(route, prefix);
  return prefix;
}

/** The routes to prefixes of one length, by the prefix. */
type Level = { readonly length: number; readonly routes: Map<number | bigint, Route[]> };

type Tables = ReadonlyMap<string, readonly Level[]>;

/** By the family of their destinations. */
const tables = new WeakMap<readonly Route[], { readonly [family in Family]: Tables }>();

function tablesOf(routes: readonly Route[], family: Family): Tables {
  const known = tables.get(routes);
  if (known) return known[family];
  const made = { 4: new Map<string, Level[]>(), 6: new Map<string, Level[]>() };
  for (const route of routes) {
    const prefix = destinationOf(route);
    if (!prefix) continue;
    const { ip, length } = prefix;
    const ofFamily = made[ip.family];
    const levels = ofFamily.get(route.table) ?? [];
    ofFamily.set(route.table, levels);
    let level = levels.find((one) => one.length === length);
    if (!level) {
      level = { length, routes: new Map() };
      levels.push(level);
    }
    const same = level.routes.get(ip.value);
    if (same) same.push(route);
    else level.routes.set(ip.value, [route]);
  }
  for (const ofFamily of [made[4], made[6]])
    for (const levels of ofFamily.values()) levels.sort((a, b) => b.length - a.length);
  tables.set(routes, made);
  return made[family];
}

/** Of the routes of a table to an address that may be used, that with the longest prefix, and of those the smallest metric. */
export function bestIn(
  table: string,
  routes: readonly Route[],
  destination: Ip,
  isUsable: (route: Route) => boolean,
): Route | undefined {
  for (const level of tablesOf(routes, destination.family).get(table) ?? []) {
    let best: Route | undefined;
    for (const route of level.routes.get(prefixOf(destination, level.length).ip.value) ?? [])
      if (isUsable(route) && (!best || (route.metric ?? 0) < (best.metric ?? 0))) best = route;
    if (best) return best;
  }
  return undefined;
}
