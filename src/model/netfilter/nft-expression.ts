/**
 * What expressions of nftables rules are of a packet, and whether comparisons hold.
 *
 * As the kernel's expressions do it (net/netfilter/nft_payload.c, nft_meta.c, nft_ct.c, nft_fib.c, nft_cmp.c, nft_lookup.c):
 * where a packet has not what is asked for, the rule ends there, whatever is compared; a field of a protocol is only looked
 * at in packets of that protocol, for nft puts that condition before it and does not print it.
 */
import type { Ip } from "../../net/ip.ts";
import type { NftElement, NftExpression, NftOf } from "../../parse/nftables/json.ts";
import { isOfType } from "./addresses.ts";
import type { Answer, Context, Doubt } from "./condition.ts";
import { type Domain, domainOf, type Known, readConstant } from "./nft-constants.ts";
import { isPart, type Lookup, lookUp, type NftSets, readPart } from "./nft-set.ts";
import { bitsOf, ofBits, UNKNOWN, type Unsure, type Value, worst } from "./nft-value.ts";
import { connmarkOf, hasConnection, type Maybe, markOf, originalOf, type Packet } from "./packet.ts";
import { portOf, protocolNumber } from "./protocol.ts";
import type { NftMatch } from "./rule.ts";

export type Scope = { readonly packet: Packet; readonly sets: NftSets; readonly context: Context };

const sure = <T extends Known>(value: Maybe<T> | undefined): Value | undefined =>
  value === "unknown" ? UNKNOWN : value;

/** @returns undefined if the packet has no such value: the rule ends */
export function valueFor(expression: NftExpression, scope: Scope): Value | undefined {
  if (typeof expression !== "object") return UNKNOWN;
  const { packet } = scope;
  switch (expression.is) {
    case "payload":
      return payloadOf(expression.protocol, expression.field, packet);
    case "meta":
      return metaOf(expression.key, scope);
    case "ct":
      return ctOf(expression, packet);
    case "fib":
      return fibOf(expression, scope);
    case "numgen":
    case "hash": {
      const { mod, offset } = expression;
      if (mod === 1) return offset;
      // Which of them it is the sender's port may decide (jhash): of one connection always the same, of many each.
      return diceOf(mod, offset);
    }
    case "binary":
      return computed(expression, scope);
    case "map": {
      const found = lookedUp(expression.key, expression.data, scope);
      if (!found) return UNKNOWN;
      if (found.hits.length === 0) return undefined;
      const [hit, ...others] = found.hits;
      const domain = found.mayMiss || others.length > 0 ? undefined : dataDomain(expression.data, scope);
      const data = hit?.data;
      if (domain === undefined || data === undefined || typeof data === "object") return UNKNOWN;
      return readConstant(data, domain) ?? UNKNOWN;
    }
    default:
      return UNKNOWN;
  }
}

const dice = new Map<string, Unsure>();

function diceOf(mod: number, offset: number): Unsure {
  const key = `${mod} ${offset}`;
  let known = dice.get(key);
  if (!known) {
    const among = Array.from({ length: Math.min(mod, MOST_SIDES) }, (_, n) => n + offset);
    known = mod > MOST_SIDES ? { doubt: "choice" } : { doubt: "choice", among };
    if (dice.size < 1000) dice.set(key, known);
  }
  return known;
}

const MOST_SIDES = 4096;

function addressOf(packet: Packet, field: string): Value {
  const ip = field === "saddr" ? packet.source : packet.destination;
  return ip === "unknown" ? UNKNOWN : ip.value;
}

const IP_PROTOCOLS = new Set([
  "tcp",
  "udp",
  "udplite",
  "sctp",
  "dccp",
  "icmp",
  "icmpv6",
  "igmp",
  "gre",
  "esp",
  "ah",
  "comp",
]);

function payloadOf(protocol: string, field: string, packet: Packet): Value | undefined {
  if (protocol === "ip" || protocol === "ip6") {
    if (packet.family !== (protocol === "ip" ? 4 : 6)) return undefined;
    if (field === "saddr" || field === "daddr") return addressOf(packet, field);
    if (field === "protocol" || field === "nexthdr") return protocolOf(packet);
    if (field === "version") return packet.family;
    // Whether it may be fragmented or more fragments follow is not known: the upper three bits.
    if (field === "frag-off")
      return packet.fragment ? UNKNOWN : { doubt: "unknown", bits: { value: 0, unknown: 0xe000 } };
    return UNKNOWN;
  }
  if (protocol === "th") {
    if (packet.fragment) return undefined;
    if (field !== "sport" && field !== "dport") return UNKNOWN;
    // Of ICMP it is a part of another field.
    return sure(portOf(packet, field === "sport" ? "source" : "destination") ?? "unknown");
  }
  if (protocol === "arp") return undefined;
  if (!IP_PROTOCOLS.has(protocol)) {
    return protocol === "ether" && field === "type" ? (packet.family === 4 ? 0x0800 : 0x86dd) : UNKNOWN;
  }
  if (packet.protocol === "unknown") return UNKNOWN;
  const number = protocolNumber(packet.protocol);
  const wanted = protocol === "comp" ? 108 : protocolNumber(protocol);
  if (number === undefined || wanted === undefined) return UNKNOWN;
  if (number !== wanted || packet.fragment) return undefined;
  if (field === "sport" || field === "dport") return sure(portOf(packet, field === "sport" ? "source" : "destination"));
  if (protocol === "tcp" && field === "flags") {
    const bits = packet.tcpFlags?.map((flag) => readConstant(flag.toLowerCase(), "tcp-flags"));
    return bits?.reduce<number>((all, bit) => all | (typeof bit === "number" ? bit : 0), 0) ?? UNKNOWN;
  }
  if (protocol === "icmp" || protocol === "icmpv6") {
    if (field === "type") return sure(packet.icmpType ?? "unknown");
    if (field === "code") return sure(packet.icmpCode ?? "unknown");
  }
  return UNKNOWN;
}

function protocolOf(packet: Packet): Value {
  return packet.protocol === "unknown" ? UNKNOWN : (protocolNumber(packet.protocol) ?? UNKNOWN);
}

function metaOf(key: string, { packet, sets, context }: Scope): Value | undefined {
  switch (key) {
    case "mark":
      return ofBits(markOf(packet));
    case "l4proto":
      return protocolOf(packet);
    case "nfproto":
      return sets.table.startsWith("bridge ") ? 7 : packet.family === 4 ? 2 : 10;
    case "protocol":
      return packet.family === 4 ? 0x0800 : 0x86dd;
    // nft_meta_store_ifname: where there is no device the name is empty.
    case "iifname":
    case "iif":
      return sure(packet.inDevice ?? "");
    case "oifname":
    case "oif":
      return sure(packet.outDevice ?? "");
    case "pkttype":
      return packetType(packet, context);
    case "skuid":
    case "skgid":
    case "cgroup":
      // As of owner_mt: packets that another machine sent have no socket.
      return packet.inDevice === undefined ? UNKNOWN : undefined;
    case "random":
      return { doubt: "choice" };
    default:
      return UNKNOWN;
  }
}

/** Whether the frame was sent to this machine alone. Of what the node itself sends, and of bridges, we do not know. */
export function packetType({ destination, inDevice, physIn }: Packet, { addresses }: Context): Value {
  if (destination === "unknown" || inDevice === undefined || inDevice === "lo" || physIn !== undefined) return UNKNOWN;
  for (const type of destination.family === 4 ? ["MULTICAST", "BROADCAST"] : ["MULTICAST"]) {
    const is = isOfType(addresses, destination, [type]);
    if (is !== false) return is === true ? type.toLowerCase() : UNKNOWN;
  }
  return inDevice === "unknown" ? UNKNOWN : "host";
}

function ctOf({ key, direction }: NftOf<"ct">, packet: Packet): Value | undefined {
  const { ctState } = packet;
  if (key === "state") return ctState === "unknown" ? UNKNOWN : readConstant(ctState, "ct-state");
  const connection = hasConnection(packet);
  if (connection === false) return undefined;
  if (connection === "unknown") return UNKNOWN;
  if (key === "mark") return ofBits(connmarkOf(packet));
  if (key === "status") {
    const { dnatted = false, snatted = false } = packet;
    const value = (snatted === true ? 16 : 0) + (dnatted === true ? 32 : 0);
    const unknown = (snatted === "unknown" ? 16 : 0) + (dnatted === "unknown" ? 32 : 0);
    // Of a new connection there was no answer yet; whether it is confirmed, assured, expected is not known.
    return ofBits({ value, unknown: (unknown | (ctState === "new" ? ~(16 | 32 | 2 | 4) : ~(16 | 32))) >>> 0 });
  }
  if (key === "direction") return ctState === "new" ? 0 : packet.isReply ? 1 : UNKNOWN;
  if (key === "protocol") return protocolOf(packet);
  if (key === "l3proto") return packet.family === 4 ? 2 : 10;
  if (direction !== "original") return UNKNOWN;
  const end = originalOf(packet)?.[key.endsWith("saddr") || key === "proto-src" ? "source" : "destination"];
  if (key === "proto-src" || key === "proto-dst") return sure(end?.port ?? "unknown");
  if (!key.endsWith("saddr") && !key.endsWith("daddr")) return UNKNOWN;
  if (key.startsWith("ip ") !== (packet.family === 4) && key.includes(" ")) return undefined;
  return end?.address === undefined || end.address === "unknown" ? UNKNOWN : end.address.value;
}

const FIB_TYPES = ["LOCAL", "BROADCAST", "MULTICAST"];

/** nft_fib: the kind of an address as the routes see it; through which device it would be reached is routing's business. */
function fibOf({ result, flags }: NftOf<"fib">, { packet, context }: Scope): Value {
  if (result !== "type") return UNKNOWN;
  const ip: Maybe<Ip> = flags.includes("saddr") ? packet.source : packet.destination;
  if (ip === "unknown") return UNKNOWN;
  const device = flags.includes("iif") ? packet.inDevice : flags.includes("oif") ? packet.outDevice : undefined;
  const types = ip.family === 4 ? FIB_TYPES : ["LOCAL", "MULTICAST"];
  const possible: string[] = [];
  for (const type of types) {
    const is = isOfType(context.addresses, ip, [type], device);
    if (is === true) return type.toLowerCase();
    if (is === "unknown") possible.push(type.toLowerCase());
  }
  if (possible.length > 0) return { doubt: "unknown", among: [...possible, "unicast"] };
  // For IPv6 the routes are asked, and there may be none.
  if (ip.family === 6)
    return { doubt: "unknown", among: ["unicast", "unreachable", "blackhole", "prohibit", "anycast"] };
  return "unicast";
}

function computed({ op, of }: NftOf<"binary">, scope: Scope): Value | undefined {
  const [first, ...others] = of;
  if (first === undefined) return UNKNOWN;
  const domain = domainOf(first) ?? "number";
  let value = operand(first, domain, scope);
  for (const other of others) {
    const right = operand(other, domain, scope);
    if (value === undefined || right === undefined) return undefined;
    value = typeof value === "bigint" || typeof right === "bigint" ? wide(op, value, right) : narrow(op, value, right);
  }
  return value;
}

function operand(expression: NftExpression, domain: Domain, scope: Scope): Value | undefined {
  if (typeof expression !== "object" || expression.is === "list") {
    const part = readPart(expression, domain);
    return part && "value" in part ? part.value : UNKNOWN;
  }
  return valueFor(expression, scope);
}

function narrow(op: string, left: Value, right: Value): Value {
  const [a, b] = [bitsOf(left), bitsOf(right)];
  if (!a || !b) return UNKNOWN;
  const doubts = [left, right].filter((one): one is Unsure => typeof one === "object").map(({ doubt }) => doubt);
  const made = (value: number, unknown: number): Value =>
    unknown === 0
      ? value >>> 0
      : { doubt: worst(doubts), bits: { value: (value & ~unknown) >>> 0, unknown: unknown >>> 0 } };
  switch (op) {
    case "&":
      return made(a.value & b.value, (a.unknown & (b.value | b.unknown)) | (b.unknown & a.value));
    case "|":
      return made(a.value | b.value, (a.unknown & ~b.value) | (b.unknown & ~a.value));
    case "^":
      return made(a.value ^ b.value, a.unknown | b.unknown);
    default:
      if (b.unknown !== 0 || b.value > 31) return UNKNOWN;
      return op === "<<"
        ? made(a.value << b.value, a.unknown << b.value)
        : made(a.value >>> b.value, a.unknown >>> b.value);
  }
}

function wide(op: string, left: Value, right: Value): Value {
  if (typeof left !== "bigint" || typeof right !== "bigint") return UNKNOWN;
  return op === "&" ? left & right : op === "|" ? left | right : op === "^" ? left ^ right : UNKNOWN;
}

// ---------------------------------------------------------------------------------------------------------------------

const NEGATED = new Set(["!=", "!"]);

export const isNegated = ({ op }: NftMatch): boolean => NEGATED.has(op);

/** Whether a comparison holds. */
export function compare({ left, op, right }: NftMatch, scope: Scope): Answer {
  const elements = elementsOf(right, scope.sets);
  if (elements !== undefined) {
    if (op !== "==" && op !== "!=") return "unknown";
    if (elements === "changing") return "history";
    const key = elements && keyValues(left, scope);
    if (!key) return "unknown";
    if (key === "ends") return "no";
    const found = lookUp(elements, key.values, key.domains);
    if (!found) return "unknown";
    const isIn: Answer = found.hits.length === 0 ? "no" : found.mayMiss ? found.doubt : "yes";
    return op === "==" ? isIn : flip(isIn);
  }
  const value = valueFor(left, scope);
  if (value === undefined) return "no";
  const domain = domainOf(left);
  if (domain === undefined) return "unknown";
  if (op === "in" || op === "!") {
    const part = readPart(right, domain);
    const [bits, mask] = [bitsOf(value), part && "value" in part ? part.value : undefined];
    if (!bits || typeof mask !== "number") return "unknown";
    const any: Answer = (bits.value & mask) !== 0 ? "yes" : (bits.unknown & mask) !== 0 ? doubtOf(value) : "no";
    return op === "in" ? any : flip(any);
  }
  if (op === "==" || op === "!=") {
    const part = readPart(right, domain);
    const isEqual = part ? holds(value, (known) => isPart(known, part), part) : "unknown";
    return op === "==" ? isEqual : flip(isEqual);
  }
  const bound = typeof right === "object" ? undefined : readConstant(right, domain);
  if (bound === undefined || typeof bound === "string") return "unknown";
  return holds(value, (known) => typeof known !== "string" && ordered(op, known, bound));
}

const flip = (answer: Answer): Answer => (answer === "yes" ? "no" : answer === "no" ? "yes" : answer);
const doubtOf = (value: Value): Doubt => (typeof value === "object" ? value.doubt : "unknown");

function ordered(op: string, a: number | bigint, b: number | bigint): boolean {
  return op === "<" ? a < b : op === ">" ? a > b : op === "<=" ? a <= b : a >= b;
}

function holds(value: Value, test: (known: Known) => boolean, part?: object): Answer {
  if (typeof value !== "object") return test(value) ? "yes" : "no";
  if (value.among) {
    const answers = new Set(value.among.map(test));
    return answers.size > 1 ? value.doubt : answers.has(true) ? "yes" : "no";
  }
  if (
    value.bits &&
    part &&
    "value" in part &&
    typeof part.value === "number" &&
    ((value.bits.value ^ part.value) & ~value.bits.unknown) !== 0
  )
    return "no";
  return value.doubt;
}

/** The elements of a set or map; undefined if it is none; null if they are not known. */
function elementsOf(data: NftExpression, sets: NftSets): readonly NftElement[] | "changing" | undefined | null {
  if (typeof data !== "object") return undefined;
  if (data.is === "set") return data.elements;
  if (data.is !== "named") return undefined;
  if (sets.changing.has(data.name)) return "changing";
  const set = sets.byName.get(data.name);
  return set && !set.isPartial ? set.elements : null;
}

type Key = { readonly values: readonly Value[]; readonly domains: readonly Domain[] };

/** The values of a key's parts; "ends" if the packet has not all of them. */
function keyValues(key: NftExpression, scope: Scope): Key | "ends" | undefined {
  const parts = typeof key === "object" && key.is === "concat" ? key.of : [key];
  const domains: Domain[] = [];
  const values: Value[] = [];
  for (const part of parts) {
    const domain = domainOf(part);
    const value = valueFor(part, scope);
    if (value === undefined) return "ends";
    if (domain === undefined) return undefined;
    domains.push(domain);
    values.push(value);
  }
  return { values, domains };
}

/** Looks a key up in a map. @returns undefined if nothing can be said */
export function lookedUp(key: NftExpression, data: NftExpression, scope: Scope): Lookup | undefined {
  const read = keyValues(key, scope);
  if (read === "ends") return { hits: [], mayMiss: true, doubt: "unknown" };
  const elements = elementsOf(data, scope.sets);
  return read && elements && elements !== "changing" ? lookUp(elements, read.values, read.domains) : undefined;
}

/** How what a map maps to is to be read; undefined if we do not know. */
function dataDomain(data: NftExpression, { sets }: Scope): Domain | undefined {
  if (typeof data !== "object") return undefined;
  // Without a name its type is not printed: only numbers are what they are.
  if (data.is === "set") return "number";
  const type = data.is === "named" ? sets.byName.get(data.name)?.mapsTo : undefined;
  return type === undefined ? undefined : DATA[type];
}

const DATA: Readonly<Record<string, Domain>> = {
  ...{ mark: "number", ipv4_addr: "ipv4", ipv6_addr: "ipv6", inet_service: "port", inet_proto: "protocol" },
  integer: "number",
};
