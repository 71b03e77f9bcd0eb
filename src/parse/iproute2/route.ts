/**
 * `ip -j -d route show table all` (or `ip -j route` in a Pod's namespace): routing tables; also without -j.
 *
 * Format: a JSON array, an object a route (iproute2, ip/iproute.c). `type` is missing or "unicast" for ordinary routes,
 * else local, broadcast, blackhole, unreachable, prohibit, throw, multicast, anycast; `table` is missing for main;
 * `dst` is "default", an address or a prefix; multipath routes have `nexthops`. Plain, a line a route:
 *   10.50.0.0/16 proto static
 *   \tnexthop via 10.1.0.2 dev br0 weight 1
 *   local 10.1.0.1 dev br0 table local proto kernel scope host src 10.1.0.1
 */
import { canonicalIp, formatPrefix, parsePrefix } from "../../net/ip.ts";
import { compact, type Fields, type Fitted, fitted } from "../fields.ts";
import type { Parser } from "../parsed.ts";
import { type Block, itemOf, readPrinted, type Words, wordsOf } from "./plain.ts";

export type NextHop = {
  readonly gateway?: string;
  readonly device?: string;
  readonly weight?: number;
  readonly flags: readonly string[];
};

export type Route = {
  readonly type: string;
  readonly family: "inet" | "inet6";
  /** "default" is written as 0.0.0.0/0 or ::/0; a bare address gets its full length. */
  readonly destination: string;
  readonly table: string;
  readonly protocol?: string;
  readonly scope?: string;
  readonly metric?: number;
  /** The preferred source address. */
  readonly source?: string;
  readonly nextHops: readonly NextHop[];
  /** Flags of the route itself: onlink, linkdown, dead, offload … */
  readonly flags: readonly string[];
  readonly mtu?: number;
};

/** Kinds of tunnel whose own destination is printed as a second `dst`, so that JSON.parse loses that of the route. */
const ENCAPS_WITH_DST = ["ip", "ip6", "mpls"];

const DEAD_ENDS = ["blackhole", "unreachable", "prohibit", "throw"];

const SPEC = {
  type: "string?",
  dst: "string",
  from: "string?",
  tos: "string?",
  gateway: "string?",
  via: "object?",
  dev: "string?",
  table: "string?",
  protocol: "string?",
  scope: "string?",
  metric: "integer?",
  prefsrc: "string?",
  flags: "strings?",
  metrics: "objects?",
  nexthops: "objects?",
  nhid: "integer?",
  nh_info: "object?",
  encap: "string?",
  pref: "string?",
} as const;
type RouteFields = Fitted<typeof SPEC>;

/** A gateway of the route's own family is printed as gateway, one of the other family as via. */
function toNextHop(item: Fields): NextHop | string {
  const fields = fitted(item, {
    gateway: "string?",
    via: "object?",
    dev: "string?",
    weight: "integer?",
    flags: "strings?",
  });
  if (typeof fields === "string") return fields;
  const via = fitted(fields.via ?? {}, { host: "string?" });
  if (typeof via === "string") return `via.${via}`;
  const printed = fields.gateway ?? via.host;
  const gateway = printed === undefined ? undefined : canonicalIp(printed);
  if (printed !== undefined && gateway === undefined) return `gateway: ${printed} is no address`;
  return compact({ gateway, device: fields.dev, weight: fields.weight, flags: fields.flags ?? [] });
}

function toNextHops(item: Fields, fields: RouteFields, type: string): NextHop[] | string {
  // the kernel hangs IPv6 dead ends on lo
  if (DEAD_ENDS.includes(type)) return [];
  const isEmpty = fields.gateway === undefined && fields.via === undefined && fields.dev === undefined;
  const items = fields.nexthops ?? (isEmpty && fields.nh_info ? [fields.nh_info] : [item]);
  const hops: NextHop[] = [];
  for (const one of items) {
    const hop = toNextHop(one);
    if (typeof hop === "string") return hop;
    if (hop.gateway === undefined && hop.device === undefined) return "has no next hop that is printed";
    hops.push(hop);
  }
  return hops;
}

/**
 * `default` is printed for both families. Gateways and the preferred source have the route's family; `pref` (RFC 4191)
 * is printed of IPv6 routes only; a `via` is printed of IPv4 routes only, since it is of the other family. A default
 * route without any of these is of the family of the routes before it, for all of IPv4 is printed first.
 */
function familyOfDefault(fields: RouteFields, before: Route["family"]): Route["family"] {
  if (fields.pref !== undefined) return "inet6";
  const hops = [{ gateway: fields.gateway, via: fields.via }, ...(fields.nexthops ?? [])];
  if (hops.some((hop) => hop.via !== undefined)) return "inet";
  const address = [fields.prefsrc, ...hops.map((hop) => hop.gateway)].find((text) => typeof text === "string");
  if (address === undefined) return before;
  return address.includes(":") ? "inet6" : "inet";
}

function toDestination(
  fields: RouteFields,
  before: Route["family"],
): Pick<Route, "family" | "destination"> | undefined {
  if (fields.dst === "default") {
    const family = familyOfDefault(fields, before);
    return { family, destination: family === "inet" ? "0.0.0.0/0" : "::/0" };
  }
  const prefix = parsePrefix(fields.dst);
  return prefix && { family: prefix.ip.family === 4 ? "inet" : "inet6", destination: formatPrefix(prefix) };
}

function mtuOf(metrics: readonly Fields[] | undefined): number | undefined {
  const mtu = metrics?.map((metric) => metric.mtu).find((value) => value !== undefined);
  return Number.isSafeInteger(mtu) ? (mtu as number) : undefined;
}

function toRoute(item: Fields, before: Route["family"]): Route | string {
  const fields = fitted(item, SPEC);
  if (typeof fields === "string") return fields;
  if (fields.encap !== undefined && ENCAPS_WITH_DST.includes(fields.encap)) {
    return `dst: is hidden by that of its ${fields.encap} encapsulation`;
  }
  if (fields.from !== undefined || fields.tos !== undefined) return "depends on more than the destination";
  const type = fields.type ?? "unicast";
  const target = toDestination(fields, before);
  const source = fields.prefsrc === undefined ? undefined : canonicalIp(fields.prefsrc);
  const nextHops = toNextHops(item, fields, type);
  if (target === undefined) return `dst: ${fields.dst} is no prefix`;
  if (fields.prefsrc !== undefined && source === undefined) return `prefsrc: ${fields.prefsrc} is no address`;
  if (typeof nextHops === "string") return nextHops;
  return compact({
    type,
    ...target,
    table: fields.table ?? "main",
    protocol: fields.protocol,
    scope: fields.scope,
    metric: fields.metric,
    source,
    nextHops,
    flags: fields.flags ?? [],
    mtu: mtuOf(fields.metrics),
  });
}

const TYPES = ["unicast", "local", "broadcast", "multicast", "anycast", "nat", ...DEAD_ENDS];

const WORDS: Words = {
  strings: {
    dev: "dev",
    table: "table",
    proto: "protocol",
    scope: "scope",
    src: "prefsrc",
    from: "from",
    tos: "tos",
    pref: "pref",
  },
  numbers: { metric: "metric", nhid: "nhid", weight: "weight" },
  flags: [
    ...["onlink", "dead", "linkdown", "pervasive", "offload", "trap", "notify", "unresolved"],
    ...["rt_offload", "rt_trap", "rt_offload_failed"],
  ],
  passed: [
    ...[
      "advmss",
      "cwnd",
      "initcwnd",
      "initrwnd",
      "hoplimit",
      "window",
      "ssthresh",
      "reordering",
      "features",
      "quickack",
    ],
    ...[
      "rtt",
      "rttvar",
      "rto_min",
      "congctl",
      "fastopen_no_cookie",
      "realm",
      "realms",
      "expires",
      "error",
      "ttl-propagate",
    ],
  ],
};

/** What more than one word tells: gateways, the metrics that can be locked, and tunnels, whose words end before the device. */
function severalWords(words: readonly string[], at: number, item: Record<string, unknown>): number | undefined {
  const [word, next, after] = words.slice(at, at + 3);
  if (word === "via" && (next === "inet" || next === "inet6")) {
    item.via = { family: next, host: after };
    return at + 3;
  }
  if (word === "via") {
    item.gateway = next;
    return at + 2;
  }
  if (word === "mtu" && next !== undefined) {
    const value = next === "lock" ? after : next;
    item.metrics = [{ mtu: Number(value) }];
    return at + (next === "lock" ? 3 : 2);
  }
  if (next === "lock") return at + 3;
  if (word !== "encap") return undefined;
  item.encap = next;
  const end = words.findIndex((one, index) => index > at + 1 && (one === "via" || one === "dev"));
  return end < 0 ? words.length : end;
}

function plainRoute({ head, below }: Block): Fields | string {
  const words = wordsOf(head);
  const [type, rest] = TYPES.includes(words[0]!) ? [words[0], words.slice(1)] : [undefined, words];
  const [dst, ...more] = rest;
  const route = itemOf(more, WORDS, severalWords);
  if (typeof route === "string") return route;
  const nexthops: Fields[] = [];
  for (const line of below) {
    const [word, ...hopWords] = wordsOf(line);
    // with -d the next hop's object comes before the next hops themselves
    if (word === "nh_info") continue;
    const hop = word === "nexthop" ? itemOf(hopWords, WORDS, severalWords) : `${word}: is not known`;
    if (typeof hop === "string") return hop;
    nexthops.push(hop);
  }
  return { ...(type !== undefined && { type }), dst, ...route, ...(nexthops.length > 0 && { nexthops }) };
}

export const parseIpRoute: Parser<readonly Route[]> = (text) => {
  let before: Route["family"] = "inet";
  return readPrinted(text, plainRoute, (item) => {
    const route = toRoute(item, before);
    if (typeof route !== "string") before = route.family;
    return route;
  });
};
