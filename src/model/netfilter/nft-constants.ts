/** The names that nft prints for constants, by what they are compared with (nftables src/datatype.c, ct.c, fib.c, proto.c). */
import { parseIp } from "../../net/ip.ts";
import type { NftExpression, NftLiteral } from "../../parse/nftables/json.ts";
import { protocolNumber } from "./protocol.ts";

/** A value that rules compute with: a number (IPv4 addresses too), an IPv6 address, or a name. */
export type Known = number | bigint | string;

/** How constants are to be read. */
export type Domain =
  | "ipv4"
  | "ipv6"
  | "protocol"
  | "port"
  | "number"
  | "device"
  | "ct-state"
  | "ct-status"
  | "ct-direction"
  | "tcp-flags"
  | "icmp-type"
  | "icmp-code"
  | "icmpv6-type"
  | "icmpv6-code"
  | "ether-type"
  | "nfproto"
  | "text";

const numbers = (names: Readonly<Record<string, number>>): ReadonlyMap<string, number> =>
  new Map(Object.entries(names));

const NAMES: { readonly [D in Domain]?: ReadonlyMap<string, number> } = {
  // include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_BIT, and enum ip_conntrack_status.
  "ct-state": numbers({ invalid: 1, established: 2, related: 4, new: 8, untracked: 64 }),
  "ct-status": numbers({ expected: 1, "seen-reply": 2, assured: 4, confirmed: 8, snat: 16, dnat: 32, dying: 512 }),
  "ct-direction": numbers({ original: 0, reply: 1 }),
  "tcp-flags": numbers({ fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 }),
  "icmp-type": numbers({
    ...{ "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, redirect: 5, "echo-request": 8 },
    ...{ "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12 },
    ...{ "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16 },
    ...{ "address-mask-request": 17, "address-mask-reply": 18 },
  }),
  "icmp-code": numbers({
    ...{ "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3, "frag-needed": 4 },
    ...{ "net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13 },
  }),
  "icmpv6-type": numbers({
    ...{ "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4 },
    ...{ "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131 },
    ...{ "mld-listener-done": 132, "mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134 },
    ...{ "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138 },
    ...{ "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142, "mld2-listener-report": 143 },
  }),
  "icmpv6-code": numbers({
    ...{ "no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4 },
    ...{ "policy-fail": 5, "reject-route": 6 },
  }),
  "ether-type": numbers({ ip: 0x0800, arp: 0x0806, ip6: 0x86dd, vlan: 0x8100, "8021q": 0x8100, "8021ad": 0x88a8 }),
  // include/uapi/linux/netfilter.h
  nfproto: numbers({ inet: 1, ipv4: 2, arp: 3, netdev: 5, bridge: 7, ipv6: 10 }),
};

/** @returns undefined if we do not know what the constant stands for */
export function readConstant(literal: NftLiteral, domain: Domain): Known | undefined {
  if (typeof literal === "boolean") return undefined;
  switch (domain) {
    case "ipv4":
    case "ipv6": {
      const ip = typeof literal === "string" ? parseIp(literal) : undefined;
      return ip && ip.family === (domain === "ipv4" ? 4 : 6) ? ip.value : undefined;
    }
    case "protocol":
      return typeof literal === "number" ? literal : protocolNumber(literal);
    case "device":
    case "text":
      return typeof literal === "string" ? literal : undefined;
    default:
      if (typeof literal === "number") return literal;
      return NAMES[domain]?.get(literal) ?? (/^\d{1,10}$/.test(literal) ? Number(literal) : undefined);
  }
}

const PORT_FIELDS = new Set(["sport", "dport"]);

/** How constants that an expression is compared with are to be read; undefined if we do not know. */
export function domainOf(expression: NftExpression): Domain | undefined {
  if (typeof expression !== "object") return undefined;
  switch (expression.is) {
    case "payload": {
      const { protocol, field } = expression;
      if (field === "saddr" || field === "daddr") {
        return protocol === "ip" ? "ipv4" : protocol === "ip6" ? "ipv6" : "text";
      }
      if (PORT_FIELDS.has(field)) return "port";
      if (field === "protocol" || field === "nexthdr") return "protocol";
      if (protocol === "icmp" && (field === "type" || field === "code")) return `icmp-${field}`;
      if (protocol === "icmpv6" && (field === "type" || field === "code")) return `icmpv6-${field}`;
      if (protocol === "tcp" && field === "flags") return "tcp-flags";
      if (field === "type" && (protocol === "ether" || protocol === "vlan")) return "ether-type";
      return "number";
    }
    case "meta":
      return META[expression.key] ?? "number";
    case "ct": {
      const { key, family } = expression;
      if (key === "state" || key === "status" || key === "direction") return `ct-${key}`;
      if (key.endsWith("saddr") || key.endsWith("daddr"))
        return key.startsWith("ip6") || family === "ip6" ? "ipv6" : "ipv4";
      if (key === "protocol") return "protocol";
      if (key === "l3proto") return "nfproto";
      return key.startsWith("proto-") ? "port" : "number";
    }
    case "fib":
      return expression.result === "type" ? "text" : "device";
    case "numgen":
    case "hash":
      return "number";
    case "binary":
      return expression.of[0] === undefined ? undefined : domainOf(expression.of[0]);
    default:
      return undefined;
  }
}

const META: Readonly<Record<string, Domain>> = {
  ...{ iif: "device", oif: "device", iifname: "device", oifname: "device", ibrname: "device", obrname: "device" },
  ...{ sdif: "device", sdifname: "device", l4proto: "protocol", protocol: "ether-type", nfproto: "nfproto" },
  ...{ pkttype: "text", skuid: "text", skgid: "text", iiftype: "text", oiftype: "text", hour: "text", day: "text" },
  ...{ time: "text", priority: "text" },
};
