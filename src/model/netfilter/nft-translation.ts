/** What dnat, snat, masquerade and redirect of nftables translate to: constants, or what a map has for the packet. */
import { type Ip, parseIp, parsePrefix } from "../../net/ip.ts";
import type { NftExpression, NftLiteral, NftNat, NftOf } from "../../parse/nftables/json.ts";
import type { Doubt } from "./condition.ts";
import { lookedUp, type Scope } from "./nft-expression.ts";
import type { Translation } from "./translation.ts";

/** "ends": a map has nothing for the packet, and the rule ends. */
export type Possible = { readonly to: Translation | "ends" | "unknown"; readonly of: readonly unknown[] };

type Range<T> = { readonly from: T; readonly to: T };
/** What an address or a port can be; with a concatenation both. */
type Option = {
  readonly address?: Range<Ip> | "unknown";
  readonly port?: Range<number> | "unknown";
  readonly ends?: true;
  /** The keys of the elements that it comes from. */
  readonly of: readonly unknown[];
};

const ipOf = (literal: NftLiteral): Ip | undefined => (typeof literal === "string" ? parseIp(literal) : undefined);

function addressRange(expression: NftExpression): Range<Ip> | "unknown" {
  if (typeof expression !== "object") {
    const ip = ipOf(expression);
    return ip ? { from: ip, to: ip } : "unknown";
  }
  if (expression.is === "range") {
    const [from, to] = [ipOf(expression.from), ipOf(expression.to)];
    return from && to ? { from, to } : "unknown";
  }
  const prefix = expression.is === "prefix" ? parsePrefix(`${expression.address}/${expression.length}`) : undefined;
  if (!prefix) return "unknown";
  const { ip, length } = prefix;
  if (ip.family === 4) return { from: ip, to: { family: 4, value: ip.value + 2 ** (32 - length) - 1 } };
  return { from: ip, to: { family: 6, value: ip.value + (1n << BigInt(128 - length)) - 1n } };
}

function portRange(expression: NftExpression): Range<number> | "unknown" {
  if (typeof expression === "number") return { from: expression, to: expression };
  if (typeof expression !== "object" || expression.is !== "range") return "unknown";
  const { from, to } = expression;
  return typeof from === "number" && typeof to === "number" ? { from, to } : "unknown";
}

/** `addr . port`, of which a map for every Service is full. */
const sockets = new WeakMap<NftOf<"concat">, Omit<Option, "of">>();

function socketOf({ of: [address, port, ...others] }: NftOf<"concat">): Omit<Option, "of"> {
  if (address === undefined || port === undefined || others.length > 0) return { address: "unknown" };
  return { address: addressRange(address), port: portRange(port) };
}

/** What an element maps to, or a constant, is: an address or a port, or both (`addr . port`). */
function optionOf(data: NftExpression, isPort: boolean): Omit<Option, "of"> {
  if (typeof data === "object" && data.is === "concat") {
    let socket = sockets.get(data);
    if (!socket) {
      socket = socketOf(data);
      sockets.set(data, socket);
    }
    return socket;
  }
  return isPort ? { port: portRange(data) } : { address: addressRange(data) };
}

function optionsOf(
  expression: NftExpression | undefined,
  isPort: boolean,
  scope: Scope,
): { readonly doubt: Doubt; readonly options: readonly Option[] } {
  const sure = (option: Omit<Option, "of">): { readonly doubt: Doubt; readonly options: readonly Option[] } => ({
    doubt: "unknown",
    options: [{ ...option, of: [] }],
  });
  if (expression === undefined) return sure({});
  if (typeof expression !== "object" || expression.is !== "map") return sure(optionOf(expression, isPort));
  const found = lookedUp(expression.key, expression.data, scope);
  if (!found)
    return {
      doubt: "unknown",
      options: [
        { address: "unknown", of: ["?"] },
        { ends: true, of: [] },
      ],
    };
  const options: Option[] = found.hits.map(({ key, data }) => ({
    ...(data === undefined ? { address: "unknown" as const } : optionOf(data, isPort)),
    of: [key],
  }));
  if (found.mayMiss || options.length === 0) options.push({ ends: true, of: [] });
  return { doubt: found.doubt, options };
}

/** What a statement translates to, if it is always the same. */
export function constantAddress({ address, flags }: NftNat): Range<Ip> | undefined {
  if (address === undefined || flags.includes("netmap") || (typeof address === "object" && address.is === "map"))
    return undefined;
  const { address: range } = optionOf(address, false);
  return range === "unknown" ? undefined : range;
}

export function translationsOf(
  { does, address, port, flags }: NftNat,
  scope: Scope,
): { readonly doubt: Doubt; readonly possible: readonly Possible[] } {
  const addresses = optionsOf(address, false, scope);
  const ports = optionsOf(port, true, scope);
  const random = flags.includes("random") || flags.includes("fully-random") ? { random: true as const } : {};
  const possible = addresses.options.flatMap((one) =>
    ports.options.map((two): Possible => {
      const of = [...one.of, ...two.of];
      if (one.ends || two.ends) return { to: "ends", of };
      const range = flags.includes("netmap") ? netmapped(one.address, does, scope) : one.address;
      const portRange = two.port ?? one.port;
      if (range === "unknown" || portRange === "unknown") return { to: "unknown", of };
      const to = { does, ...(range && { addresses: range }), ...(portRange && { ports: portRange }), ...random };
      return { to, of };
    }),
  );
  return { doubt: addresses.options.length > 1 ? addresses.doubt : ports.doubt, possible };
}

/** nft_nat_setup_netmap: the bits that both ends of the range share are taken from it, the others stay. */
function netmapped(
  range: Range<Ip> | "unknown" | undefined,
  does: NftNat["does"],
  { packet }: Scope,
): Range<Ip> | "unknown" | undefined {
  const ip = does === "snat" ? packet.source : packet.destination;
  if (range === undefined || range === "unknown" || ip === "unknown" || ip.family !== range.from.family)
    return "unknown";
  if (ip.family === 4) {
    const [from, to] = [Number(range.from.value), Number(range.to.value)];
    const host = from ^ to;
    const value = (((from & ~host) >>> 0) | ((ip.value & host) >>> 0)) >>> 0;
    return { from: { family: 4, value }, to: { family: 4, value } };
  }
  const [from, to] = [BigInt(range.from.value), BigInt(range.to.value)];
  const host = from ^ to;
  const value = (from & ~host) | (ip.value & host);
  return { from: { family: 6, value }, to: { family: 6, value } };
}
