/**
 * Whether a packet is in an ipset (net/netfilter/ipset): the kernel takes as many ends of the packet as the set's type has
 * dimensions, and looks up the most specific entry first; `nomatch` entries are exceptions.
 */
import { formatIp, type Ip, parsePrefix, prefixOf } from "../../net/ip.ts";
import type { Ipset } from "../../parse/ipset.ts";
import type { Maybe, Packet } from "./packet.ts";
import { portOf, protocolNumber } from "./protocol.ts";

export type Side = "source" | "destination";
export type Ipsets = ReadonlyMap<string, Ipset>;

type Dimension = "ip" | "net" | "port" | "iface";

/** Entries whose networks have the same lengths, by what they say. */
type Group = { readonly lengths: readonly number[]; readonly entries: Map<string, boolean> };
type Index = {
  readonly dimensions: readonly Dimension[];
  readonly groups: readonly Group[];
  /** There are entries that we cannot read. */
  readonly isPartial: boolean;
};

const DIMENSIONS: ReadonlySet<string> = new Set(["ip", "net", "port", "iface"]);

const indexes = new WeakMap<Ipset, Index>();

function indexOf(set: Ipset): Index {
  let index = indexes.get(set);
  if (!index) {
    index = makeIndex(set);
    indexes.set(set, index);
  }
  return index;
}

/** `tcp:80` as `6:80`, `icmp:8/0` as `1:2048` (type * 256 + code); `80` of a bitmap:port has no protocol. */
function portKey(word: string): string | undefined {
  const found = /^(?:([^:]+):)?(\d{1,5})(?:\/(\d{1,3}))?$/.exec(word);
  if (!found) return undefined;
  const [, name, number, code] = found;
  if (name === undefined) return number;
  const protocol = protocolNumber(name);
  if (protocol === undefined) return undefined;
  return `${protocol}:${code === undefined ? number : Number(number) * 256 + Number(code)}`;
}

function makeIndex(set: Ipset): Index {
  const kinds = set.type.slice(set.type.indexOf(":") + 1).split(",");
  const dimensions = kinds.filter((kind): kind is Dimension => DIMENSIONS.has(kind));
  const groups = new Map<string, Group>();
  // hash:ip,mac and the like: we never know.
  if (dimensions.length !== kinds.length) return { dimensions, groups: [], isPartial: true };
  let isPartial = false;
  for (const { value, nomatch } of set.entries) {
    const words = value.split(",");
    const lengths: number[] = [];
    const parts: string[] = [];
    for (const [i, dimension] of dimensions.entries()) {
      const word = words[i] ?? "";
      if (dimension === "ip" || dimension === "net") {
        const prefix = parsePrefix(word);
        if (!prefix) break;
        lengths.push(prefix.length);
        parts.push(formatIp(prefix.ip));
      } else {
        const part = dimension === "port" ? portKey(word) : word.startsWith("physdev:") ? undefined : word;
        if (part === undefined) break;
        parts.push(part);
      }
    }
    if (parts.length !== dimensions.length || words.length !== kinds.length) {
      isPartial = true;
      continue;
    }
    const key = lengths.join(",");
    let group = groups.get(key);
    if (!group) {
      group = { lengths, entries: new Map() };
      groups.set(key, group);
    }
    group.entries.set(parts.join(" "), nomatch);
  }
  const mostSpecificFirst = [...groups.values()].sort((a, b) => {
    const at = a.lengths.findIndex((length, i) => length !== b.lengths[i]);
    return at < 0 ? 0 : b.lengths[at]! - a.lengths[at]!;
  });
  return { dimensions, groups: mostSpecificFirst, isPartial };
}

/** What the packet has at one end for one dimension: undefined if the kernel finds nothing to look up. */
function lookedUp(packet: Packet, dimension: Dimension, side: Side, type: string): Maybe<Ip | string> | undefined {
  if (dimension === "ip" || dimension === "net") return packet[side];
  if (dimension === "iface") return side === "source" ? (packet.inDevice ?? "") : (packet.outDevice ?? "");
  if (packet.protocol === "unknown") return "unknown";
  const protocol = protocolNumber(packet.protocol);
  if (protocol === undefined) return "unknown";
  // ip_set_getport.c: of ICMP the type and code; of protocols without ports 0.
  const isIcmp = protocol === 1 || protocol === 58;
  const { icmpType = "unknown", icmpCode = "unknown" } = packet;
  const icmp = icmpType === "unknown" || icmpCode === "unknown" ? "unknown" : icmpType * 256 + icmpCode;
  const port = isIcmp ? icmp : (portOf(packet, side) ?? 0);
  if (type === "bitmap:port") return protocol === 6 || protocol === 17 ? `${port}` : undefined;
  return port === "unknown" ? port : `${protocol}:${port}`;
}

/**
 * Whether the set named so has the packet.
 *
 * @param returnNomatch the rule asks for the exceptions (--return-nomatch)
 */
export function isMember(
  sets: Ipsets | "unknown",
  name: string,
  packet: Packet,
  sides: readonly Side[],
  returnNomatch: boolean,
  depth = 0,
): Maybe<boolean> {
  const set = sets === "unknown" ? undefined : sets.get(name);
  if (sets === "unknown" || !set || depth > 4) return "unknown";
  if (set.entries.length === 0) return false;
  if (set.type === "list:set") {
    const answers = set.entries.map(({ value }) => isMember(sets, value, packet, sides, returnNomatch, depth + 1));
    return answers.includes(true) ? true : answers.includes("unknown") ? "unknown" : false;
  }
  const { dimensions, groups, isPartial } = indexOf(set);
  const hasAddresses = dimensions.some((dimension) => dimension === "ip" || dimension === "net");
  if (hasAddresses && (set.family === "inet6" ? 6 : 4) !== packet.family) return false;
  if (sides.length < dimensions.length) return isPartial ? "unknown" : false;
  const values = dimensions.map((dimension, i) => lookedUp(packet, dimension, sides[i]!, set.type));
  if (values.includes(undefined)) return false;
  if (values.includes("unknown")) return "unknown";
  for (const { lengths, entries } of groups) {
    let network = 0;
    const key = values.map((value) =>
      typeof value === "object" ? formatIp(prefixOf(value, lengths[network++]!).ip) : value,
    );
    const nomatch = entries.get(key.join(" "));
    if (nomatch !== undefined) return nomatch === returnNomatch;
  }
  return isPartial ? "unknown" : false;
}
