/** The forwarding plane of a node: what its kernel holds, as far as it was seen. */
import type { Capture } from "../../evidence/capture.ts";
import { type Observed, partOf, present } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { canonicalIp } from "../../net/ip.ts";
import type { ConntrackCount } from "../../parse/conntrack/count.ts";
import type { ConntrackEntry } from "../../parse/conntrack/entries.ts";
import type { ConntrackStats } from "../../parse/conntrack/stats.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { FdbEntry } from "../../parse/iproute2/bridge-fdb.ts";
import type { BridgePort } from "../../parse/iproute2/bridge-link.ts";
import type { LinkCounters } from "../../parse/iproute2/link-stats.ts";
import type { Neighbour } from "../../parse/iproute2/neigh.ts";
import type { NetworkCounters } from "../../parse/iproute2/nstat.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import type { RoutingRule } from "../../parse/iproute2/rule.ts";
import type { ListeningSocket } from "../../parse/iproute2/ss.ts";
import type { Ipset } from "../../parse/ipset.ts";
import type { IptablesSave } from "../../parse/iptables/save.ts";
import type { VirtualServer } from "../../parse/ipvsadm.ts";
import type { KernelLine } from "../../parse/logs/kernel.ts";
import type { NftRuleset } from "../../parse/nftables/json.ts";
import type { Sysctls } from "../../parse/sysctl.ts";
import type { WireGuardDevice } from "../../parse/wg.ts";
import { type PacketFilter, packetFilterOf } from "./packet-filter.ts";

export type NodePlane = {
  readonly node: string;
  readonly links: Observed<readonly Link[]>;
  readonly routes: Observed<readonly Route[]>;
  /** Of IPv4, and of IPv6: the kernel keeps them apart. */
  readonly routingRules: Observed<readonly RoutingRule[]>;
  readonly routingRules6: Observed<readonly RoutingRule[]>;
  readonly neighbours: Observed<readonly Neighbour[]>;
  readonly fdb: Observed<readonly FdbEntry[]>;
  readonly bridgePorts: Observed<readonly BridgePort[]>;
  readonly wireguard: Observed<readonly WireGuardDevice[]>;
  readonly iptables: Observed<IptablesSave>;
  readonly iptablesLegacy: Observed<IptablesSave>;
  readonly ip6tables: Observed<IptablesSave>;
  readonly ip6tablesLegacy: Observed<IptablesSave>;
  /** All that nft lists: also the tables of iptables-nft, which `iptables` and `ip6tables` tell better. */
  readonly nftables: Observed<NftRuleset>;
  readonly ipsets: Observed<readonly Ipset[]>;
  readonly ipvs: Observed<readonly VirtualServer[]>;
  readonly conntrack: Observed<readonly ConntrackEntry[]>;
  readonly conntrackCount: Observed<ConntrackCount>;
  readonly conntrackStats: Observed<ConntrackStats>;
  /** Of all packets since each device was made. */
  readonly linkCounters: Observed<readonly LinkCounters[]>;
  /** Of all packets since boot. */
  readonly networkCounters: Observed<NetworkCounters>;
  readonly sockets: Observed<readonly ListeningSocket[]>;
  readonly kernelLog: Observed<readonly KernelLine[]>;
  /** All that were listed. */
  readonly parameters: Observed<Sysctls>;
  /** Seconds since boot. */
  readonly uptime: Observed<number>;
  /** Addresses of the node itself, canonical. */
  readonly localAddresses: Observed<ReadonlySet<string>>;
  readonly filter: PacketFilter;
  /** A kernel parameter. One that is not listed is unknown: lists of them are filtered. */
  sysctl(key: string): Observed<{ readonly value: string; readonly evidence: Evidence }>;
};

export interface Forwarding {
  of(node: string): NodePlane;
}

/** A packet filter is large, made fast, and asked for node by node: so many are kept at once. */
const FILTERS_KEPT = 16;

export function forwardingOf(capture: Capture): Forwarding {
  const planes = new Map<string, NodePlane>();
  const filters = new Map<NodePlane, PacketFilter>();
  let last: { readonly plane: NodePlane; readonly filter: PacketFilter } | undefined;
  const filterOf = (plane: NodePlane): PacketFilter => {
    if (last?.plane === plane) return last.filter;
    const filter = filters.get(plane) ?? packetFilterOf(plane);
    // the last in a map is the one that was put in last
    filters.delete(plane);
    filters.set(plane, filter);
    if (filters.size > FILTERS_KEPT) filters.delete(filters.keys().next().value!);
    last = { plane, filter };
    return filter;
  };
  return {
    of(node) {
      const known = planes.get(node);
      if (known) return known;
      const plane = planeOf(capture, node, filterOf);
      planes.set(node, plane);
      return plane;
    },
  };
}

function planeOf(capture: Capture, node: string, filterOf: (plane: NodePlane) => PacketFilter): NodePlane {
  const links = capture.get("links", { node });
  const sysctls = capture.get("sysctls", { node });
  const told = new Map<string, ReturnType<NodePlane["sysctl"]>>();
  const plane: NodePlane = {
    node,
    links,
    get filter() {
      return filterOf(plane);
    },
    routes: capture.get("routes", { node }),
    routingRules: capture.get("routingRules", { node }),
    routingRules6: capture.get("routingRules6", { node }),
    neighbours: capture.get("neighbours", { node }),
    fdb: capture.get("fdb", { node }),
    bridgePorts: capture.get("bridgePorts", { node }),
    wireguard: capture.get("wireguard", { node }),
    iptables: capture.get("iptables", { node }),
    iptablesLegacy: capture.get("iptablesLegacy", { node }),
    ip6tables: capture.get("ip6tables", { node }),
    ip6tablesLegacy: capture.get("ip6tablesLegacy", { node }),
    nftables: capture.get("nftables", { node }),
    ipsets: capture.get("ipset", { node }),
    ipvs: capture.get("ipvs", { node }),
    conntrack: capture.get("conntrack", { node }),
    conntrackCount: capture.get("conntrackCount", { node }),
    conntrackStats: capture.get("conntrackStats", { node }),
    linkCounters: capture.get("linkCounters", { node }),
    networkCounters: capture.get("networkCounters", { node }),
    sockets: capture.get("sockets", { node }),
    kernelLog: capture.get("kernelLog", { node }),
    parameters: sysctls,
    uptime: capture.get("uptime", { node }),
    localAddresses: localAddresses(links),
    sysctl(key) {
      let known = told.get(key);
      if (!known) {
        known = parameter(key);
        told.set(key, known);
      }
      return known;
    },
  };
  return plane;

  function parameter(key: string): ReturnType<NodePlane["sysctl"]> {
    const found = partOf(sysctls, (all) => all.get(key));
    if (found.state === "absent") return { state: "unknown", why: { reason: "not-collected" }, origin: found.origin };
    if (found.state === "unknown") return found;
    const { value, line } = found.value;
    const origin = { ...found.origin, line };
    return present({ value, evidence: quoteOf(origin, `${key} = ${value}`) }, origin);
  }
}

function localAddresses(links: Observed<readonly Link[]>): Observed<ReadonlySet<string>> {
  if (links.state !== "present") return links;
  const texts = links.value.flatMap(({ addresses }) => addresses.map(({ local }) => canonicalIp(local) ?? local));
  return present(new Set(texts), links.origin, links.gaps);
}
