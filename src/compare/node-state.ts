/** A node's state as lines that can be compared: without counters, ages and whatever else moves by itself. */
import type { Capture } from "../evidence/capture.ts";
import type { KindId, ValueOf } from "../evidence/catalogue.ts";
import { isWhole } from "../evidence/observed.ts";
import { ref } from "../model/ref.ts";
import { printIptablesRule } from "../parse/iptables/print.ts";
import type { IptablesSave } from "../parse/iptables/save.ts";
import { printNftRule } from "../parse/nftables/print.ts";
import type { Difference } from "./compare.ts";
import { lineChanges } from "./values.ts";

type Printed = { readonly [K in KindId]?: (value: ValueOf<K>) => readonly string[] };

const COUNTERS = /^\[\d+:\d+\] /;

const iptablesLines = ({ tables }: IptablesSave): string[] =>
  tables.flatMap(({ name, chains }) =>
    chains.flatMap((chain) => [
      ...(chain.policy === undefined ? [] : [`${name}: -P ${chain.name} ${chain.policy}`]),
      ...chain.rules.map((rule) => `${name}: ${printIptablesRule(chain.name, rule).replace(COUNTERS, "")}`),
    ]),
  );

/** Kernel parameters that say how packets go; most others move by themselves. */
const OF_PACKETS = /^net\.(ipv4|ipv6|bridge|core\.(somaxconn|rmem_max|wmem_max)|netfilter\.nf_conntrack_(max|tcp|udp))/;
const MOVES = /\.(neigh|route)\.|nf_conntrack_count|\.stable_secret$|\.tcp_mem$|\.udp_mem$/;

/** IPv6 addresses are big integers, which JSON does not know; counters and times move by themselves. */
const plain = (value: unknown): string =>
  JSON.stringify(value, (key, part: unknown) =>
    /^(counter|expires|timeout|item|line)$/.test(key) ? undefined : typeof part === "bigint" ? part.toString() : part,
  );

const sorted = (words: readonly string[]): string => [...words].sort().join(" ");

const PRINTED = {
  iptables: iptablesLines,
  iptablesLegacy: iptablesLines,
  ip6tables: iptablesLines,
  ip6tablesLegacy: iptablesLines,
  nftables: ({ tables }) =>
    tables.flatMap(({ family, name, chains, sets }) => [
      ...chains.flatMap((chain) => chain.rules.map((rule) => `${family} ${name} ${chain.name}: ${printNftRule(rule)}`)),
      ...sets.flatMap((set) => set.elements.map((element) => `${family} ${name} @${set.name}: ${plain(element)}`)),
    ]),
  ipset: (sets) => sets.flatMap(({ name, entries }) => entries.map(({ value }) => `${name} ${value}`)),
  ipvs: (servers) =>
    servers.flatMap(({ protocol, address, port, scheduler, realServers }) => [
      `${protocol} ${address}:${port} ${scheduler}`,
      ...realServers.map((real) => `${protocol} ${address}:${port} -> ${real.address}:${real.port} ${real.weight}`),
    ]),
  links: (links) =>
    links
      // those of Pods come and go with them
      .filter(({ kind }) => kind !== "veth")
      .map(
        ({ name, kind, mtu, flags, master, addresses, vxlan }) =>
          `${name}${kind ? ` ${kind}` : ""} mtu ${mtu} ${flags.includes("UP") ? "UP" : "DOWN"}${master ? ` master ${master}` : ""} ${sorted(addresses.map(({ local, prefixLength }) => `${local}/${prefixLength}`))}${vxlan ? ` vxlan id ${vxlan.id}` : ""}`,
      ),
  routes: (routes) =>
    routes
      .filter(({ table }) => table !== "local")
      .map(({ type, destination, table, metric, nextHops }) => {
        const hops = nextHops.map(
          ({ gateway, device }) => `${gateway ? ` via ${gateway}` : ""}${device ? ` dev ${device}` : ""}`,
        );
        return `${type === "unicast" ? "" : `${type} `}${destination}${hops.join(",")}${table === "main" ? "" : ` table ${table}`}${metric ? ` metric ${metric}` : ""}`;
      })
      // those of Calico and others to single Pods come and go with them
      .filter((line) => !/ dev (cali|lxc|veth)/.test(line)),
  routingRules: (rules) =>
    rules.map(
      ({ priority, action, table, ...rest }) => `${priority}: ${JSON.stringify(rest)} ${action} ${table ?? ""}`,
    ),
  fdb: (entries) =>
    entries
      .filter(({ destination }) => destination !== undefined)
      .map(({ mac, device, destination }) => `${mac} dev ${device} dst ${destination}`),
  sysctls: (all) =>
    [...all].filter(([key]) => OF_PACKETS.test(key) && !MOVES.test(key)).map(([key, { value }]) => `${key} = ${value}`),
} satisfies Printed;

export const NODE_KINDS = Object.keys(PRINTED) as (keyof typeof PRINTED)[];

export function nodeDifferences(kind: keyof typeof PRINTED, node: string, old: Capture, now: Capture): Difference[] {
  const print = PRINTED[kind] as (value: unknown) => readonly string[];
  const [was, is] = [old.get(kind, { node }), now.get(kind, { node })];
  if (was.state !== "present" || is.state !== "present") return [];
  // of what was read only in part, nothing is missing for sure
  const fields = lineChanges(print(was.value), print(is.value), "").filter(({ before }) =>
    isWhole<unknown>(before === undefined ? was : is),
  );
  return fields.length === 0 ? [] : [{ subject: ref("Node", node), kind, change: "changed", fields }];
}
