/** What `… set …` of nftables does to a packet: marks, and fields of its headers that rules can ask for again. */
import type { Ip } from "../../net/ip.ts";
import type { NftExpression } from "../../parse/nftables/json.ts";
import type { Doubt } from "./condition.ts";
import { renewed } from "./effect.ts";
import { domainOf, type Known, readConstant } from "./nft-constants.ts";
import { lookedUp, type Scope, valueFor } from "./nft-expression.ts";
import { bitsOf, UNKNOWN, type Value } from "./nft-value.ts";
import { type Bits, hasConnection, type Packet } from "./packet.ts";
import type { Step } from "./when.ts";

type Mangled = {
  readonly doubt: Doubt;
  readonly options: readonly { readonly packet: Packet; readonly of: readonly unknown[] }[];
  /** There may be no such value: the rule ends, and nothing is changed. */
  readonly mayEnd: boolean;
};

const ALL: Bits = { value: 0, unknown: 0xffffffff };

export function mangled(key: NftExpression, value: NftExpression, scope: Scope, step: Step): Mangled {
  const withValue = (to: Value): Packet => {
    const set = written(key, to, scope);
    return set.isKnown ? set.packet : renewed(set.packet, step);
  };
  const unchanged: Mangled = { doubt: "unknown", options: [{ packet: scope.packet, of: [] }], mayEnd: false };
  // A header that the packet has not: the rule ends.
  if (typeof key === "object" && key.is === "payload" && valueFor(key, scope) === undefined)
    return { doubt: "unknown", options: [], mayEnd: true };
  const domain = domainOf(key) ?? "number";
  if (typeof value === "object" && value.is === "map") {
    const found = lookedUp(value.key, value.data, scope);
    if (!found) return { doubt: "unknown", options: [{ packet: withValue(UNKNOWN), of: ["?"] }], mayEnd: true };
    const options = found.hits.map((hit) => {
      const constant =
        hit.data === undefined || typeof hit.data === "object" ? undefined : readConstant(hit.data, domain);
      return { packet: withValue(constant ?? UNKNOWN), of: [hit.key] };
    });
    return { doubt: found.doubt, options, mayEnd: found.mayMiss || options.length === 0 };
  }
  const set = typeof value === "object" ? valueFor(value, scope) : (readConstant(value, domain) ?? UNKNOWN);
  if (set === undefined) return { doubt: "unknown", options: [], mayEnd: true };
  if (typeof set === "object" && set.among && set.among.length <= 64) {
    const options = set.among.map((one: Known) => ({ packet: withValue(one), of: [one] }));
    return { doubt: set.doubt, options, mayEnd: false };
  }
  return { ...unchanged, options: [{ packet: withValue(set), of: [] }] };
}

/** Whether rules can see the change. */
function isSeen(key: NftExpression, packet: Packet): boolean {
  if (typeof key !== "object") return false;
  if (key.is === "meta") return key.key === "mark";
  // nft_ct_set_eval: a packet without connection is left alone.
  if (key.is === "ct") return key.key === "mark" && hasConnection(packet) !== false;
  return key.is === "payload" && /^(saddr|daddr|sport|dport)$/.test(key.field) && key.protocol !== "ether";
}

type Written = { readonly packet: Packet; readonly isKnown: boolean };

function written(key: NftExpression, value: Value, { packet }: Scope): Written {
  if (typeof key !== "object" || !isSeen(key, packet)) return { packet, isKnown: true };
  if (key.is === "meta") {
    const bits = bitsOf(value) ?? ALL;
    return { packet: { ...packet, mark: bits.value, markUnknown: bits.unknown }, isKnown: bits.unknown === 0 };
  }
  if (key.is === "ct") {
    const bits = hasConnection(packet) === "unknown" ? ALL : (bitsOf(value) ?? ALL);
    return { packet: { ...packet, connmark: bits.value, connmarkUnknown: bits.unknown }, isKnown: bits.unknown === 0 };
  }
  if (key.is !== "payload") return { packet, isKnown: true };
  const isSource = key.field.startsWith("s");
  if (key.field.endsWith("port")) {
    const port = typeof value === "number" ? value : ("unknown" as const);
    const part = isSource ? "sourcePort" : "destinationPort";
    return { packet: { ...packet, [part]: port }, isKnown: port !== "unknown" };
  }
  const address = ipOf(value);
  return { packet: { ...packet, [isSource ? "source" : "destination"]: address }, isKnown: address !== "unknown" };
}

function ipOf(value: Value): Ip | "unknown" {
  if (typeof value === "number") return { family: 4, value };
  return typeof value === "bigint" ? { family: 6, value } : "unknown";
}
