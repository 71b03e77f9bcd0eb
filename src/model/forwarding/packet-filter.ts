/**
 * What a node's packet filter does with packets: its iptables of both back ends and its nftables, with the node's own
 * addresses and sets.
 *
 * What iptables-nft writes both iptables-save and nft list, and nft only in part (`xt`): of tables that both have, those of
 * iptables-save count.
 */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, type Origin, quoteOf } from "../../evidence/origin.ts";
import { type Family, formatIp, type Ip, parseIp } from "../../net/ip.ts";
import type { Ipset } from "../../parse/ipset.ts";
import { printIptablesRule } from "../../parse/iptables/print.ts";
import type { Condition, IptablesSave } from "../../parse/iptables/save.ts";
import type { NftTable } from "../../parse/nftables/json.ts";
import { printNftRule } from "../../parse/nftables/print.ts";
import { sh, shellWord } from "../../shell.ts";
import { addressesOf } from "../netfilter/addresses.ts";
import type { Context } from "../netfilter/condition.ts";
import type { Outcome } from "../netfilter/evaluate.ts";
import { hook } from "../netfilter/hooks.ts";
import { nftRulesets } from "../netfilter/nftables.ts";
import type { Packet } from "../netfilter/packet.ts";
import { remembered } from "../netfilter/remembered.ts";
import type { Rule } from "../netfilter/rule.ts";
import { type Hook, iptablesRulesets, type Ruleset } from "../netfilter/ruleset.ts";
import type { Step } from "../netfilter/when.ts";
import type { NodePlane } from "./plane.ts";
import { lookupRoute } from "./routing.ts";

export interface PacketFilter {
  /** Whether the rules for packets of a family were seen, and completely. */
  stateOf(family: Family): "whole" | "partial" | "unknown";
  /** Those that hold any rule for packets of a family. */
  rulesetsFor(family: Family): readonly Ruleset[];
  /** Whether any rule asks where a translated packet was sent at first. */
  readonly asksOriginal: boolean;
  /** @param towards of several that chance chooses from only these addresses are followed, if any of them is among them */
  at(name: Hook, packet: Packet, towards?: ReadonlySet<string>): readonly Outcome[];
  /** Takes a packet through several hooks, each with what the one before made of it; all ends. */
  through(names: readonly Hook[], packet: Packet): readonly Outcome[];
  quote(step: Step): Evidence;
  /** How many packets a rule or a policy has met so far; undefined if it does not count. */
  countOf(step: Step): number | undefined;
  /** The iptables that changes the rule set of a step. */
  programOf(step: Step): string;
  /** The commands that take a rule out, put it back where it was, and show what is there. */
  removal(step: Step & { readonly rule: Rule }): Removal;
}

export type Removal = { readonly run: string; readonly undo: string; readonly verify: string };

export type Flow = {
  /** `ipencap`: IP in IP, which has no ports. */
  readonly protocol: "tcp" | "udp" | "sctp" | "ipencap";
  readonly source: Ip;
  readonly destination: Ip;
  readonly port: number;
  /** Missing: the node itself sends it. */
  readonly inDevice?: string;
  readonly outDevice?: string;
};

/** The first packet of a connection. */
export function firstPacket({ protocol, source, destination, port, inDevice, outDevice }: Flow): Packet {
  return {
    family: destination.family,
    protocol,
    source,
    destination,
    ...(protocol !== "ipencap" && { sourcePort: 40000, destinationPort: port }),
    mark: 0,
    ctState: "new",
    ...(inDevice !== undefined && { inDevice }),
    ...(outDevice !== undefined && { outDevice }),
  };
}

function contextOf(plane: NodePlane): Context {
  const links = known(plane.links);
  const addresses = links?.flatMap(({ name, addresses: list }) =>
    list.flatMap(({ local, prefixLength }) => {
      const ip = parseIp(local);
      return ip ? [{ ip, length: prefixLength, device: name }] : [];
    }),
  );
  const ipsets = wholeSets(plane.ipsets);
  return {
    addresses: addresses ? addressesOf(addresses) : "unknown",
    ipsets: ipsets ? new Map(ipsets.map((set) => [set.name, set])) : "unknown",
    answer(condition, packet) {
      if (condition.is === "rpfilter") return cameTheRightWay(condition, packet, plane);
      return condition.is === "socket" ? isTakenByProxy(condition, packet, plane) : undefined;
    },
  };
}

/** The sets of which every member could be read; of the others it is not known who is missing. */
function wholeSets(ipsets: NodePlane["ipsets"]): readonly Ipset[] | undefined {
  if (ipsets.state !== "present" || ipsets.gaps.length === 0) return known(ipsets);
  const { value, gaps } = ipsets;
  return value.filter(({ line }, index) => {
    const next = value[index + 1]?.line ?? Number.POSITIVE_INFINITY;
    return gaps.every((gap) => gap.line !== undefined && (gap.line < line || gap.line >= next));
  });
}

/**
 * rpfilter_mt (net/ipv4/netfilter/ipt_rpfilter.c, net/ipv6/netfilter/ip6t_rpfilter.c): whether the way back to the source
 * leaves by the device it came in. For IPv6 any route by that device will do, also if a longer prefix leads elsewhere
 * (RT6_LOOKUP_F_IFACE).
 */
function cameTheRightWay(
  { options, not }: Extract<Condition, { is: "rpfilter" }>,
  { source, destination, inDevice, mark }: Packet,
  plane: NodePlane,
): "yes" | "no" | undefined {
  const answer = (holds: boolean) => (holds === (not === true) ? "no" : "yes");
  if (inDevice === "lo") return answer(true);
  if (source === "unknown" || destination === "unknown" || inDevice === "unknown") return undefined;
  // what nobody can be asked back at, as neighbour discovery sends it before a host has its address
  if (source.family === 6 && source.value === 0n) return answer(true);
  const isBound = source.family === 6 && !options.includes("loose");
  const back = lookupRoute(plane, {
    destination: source,
    source: destination,
    mark: options.includes("validmark") ? mark : 0,
    ...(isBound && inDevice !== undefined && { outDevice: inDevice }),
  });
  if (back.end === "unknown") return undefined;
  if (back.end === "local") return answer(options.includes("accept-local"));
  if (back.end !== "via") return answer(false);
  return answer(options.includes("loose") || back.hops.some(({ device }) => device === inDevice));
}

/**
 * socket_match (net/netfilter/xt_socket.c), of sockets that may take what is for others' addresses, as proxies open them.
 * One that listens on any address does not count, unless it is asked to. A connection that a proxy already has is none of
 * those that are walked.
 */
function isTakenByProxy(
  { options }: Extract<Condition, { is: "socket" }>,
  { protocol, destination, destinationPort }: Packet,
  plane: NodePlane,
): "no" | undefined {
  if (protocol !== "tcp" && protocol !== "udp") return "no";
  if (destination === "unknown" || !isWhole(plane.sockets)) return undefined;
  const isAny = options.includes("nowildcard") ? /^(\*|0\.0\.0\.0|::)$/ : /^$/;
  const mayTake = plane.sockets.value.some(
    ({ address, port, ...socket }) =>
      socket.protocol === protocol &&
      (destinationPort === "unknown" || port === destinationPort) &&
      (isAny.test(address) || address === formatIp(destination)),
  );
  // whether a listening socket is transparent is not listed
  return mayTake ? undefined : "no";
}

/** The nat table, the longest, translates and refuses nothing; rules of nftables ask in other words. */
const hasOriginal = ({ chains, nft }: Ruleset): boolean =>
  !nft &&
  [...chains].some(
    ([table, byName]) =>
      table !== "nat" &&
      [...byName.values()].some(({ rules }) =>
        rules.some(({ conditions }) => conditions.some(({ is }) => is.startsWith("original-"))),
      ),
  );

/** The words of a rule as it is printed; those in quotes may hold blanks. */
const wordsOf = (printed: string): readonly string[] =>
  [...printed.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([word, quoted]) => quoted?.replace(/\\(.)/g, "$1") ?? word);

/** A built-in chain as iptables-save declares it. */
function declared({ table, chain }: Step, save: IptablesSave | undefined) {
  // built-in chains come first
  const all = save?.tables.map((one) =>
    one.name === table ? one.chains.find(({ name }) => name === chain) : undefined,
  );
  return all?.find((one) => one !== undefined);
}

/** With its policy. */
function printedPolicy(step: Step, save: IptablesSave | undefined): string {
  const { chain } = step;
  const { policy, packets, bytes } = declared(step, save) ?? {};
  return `:${chain} ${policy ?? "-"} [${packets ?? 0}:${bytes ?? 0}]`;
}

const FAMILIES = [4, 6] as const;
const OF_IPTABLES = /^(filter|nat|mangle|raw|security)$/;
const isOfIptables = ({ name, chains }: NftTable): boolean =>
  OF_IPTABLES.test(name) && chains.some((chain) => chain.base && /^[A-Z]+$/.test(chain.name));

export function packetFilterOf(plane: NodePlane): PacketFilter {
  const { nftables } = plane;
  const saves = {
    4: { nft: plane.iptables, legacy: plane.iptablesLegacy, program: "iptables", table: "ip" },
    6: { nft: plane.ip6tables, legacy: plane.ip6tablesLegacy, program: "ip6tables", table: "ip6" },
  } as const;
  const ofIptables: Ruleset[] = FAMILIES.flatMap((family) => {
    const [first = [], second = []] = [saves[family].nft, saves[family].legacy].map((observed) => {
      const save = known(observed);
      return save ? iptablesRulesets(save, family) : [];
    });
    // where iptables is iptables-legacy, both tell the same
    return [...first, ...second.filter(({ name }) => first.every((one) => one.name !== name))];
  });
  const told = new Set(
    ofIptables.flatMap(({ name, chains, families }) =>
      name.endsWith("-legacy") ? [] : [...chains.keys()].map((table) => `${saves[families[0]!].table} ${table}`),
    ),
  );
  const listed = known(nftables);
  const ofNft = listed ? nftRulesets(listed, ({ family, name }) => told.has(`${family} ${name}`)) : [];
  const rulesets = [...ofIptables, ...ofNft];
  const context = contextOf(plane);
  let asksOriginal: boolean | undefined;
  const inUse = rulesets.filter(
    ({ chains, layer = "ip", nft }) =>
      layer === "ip" &&
      (nft?.chains ?? [...chains.values()].flatMap((table) => [...table.values()])).some(
        ({ rules }) => rules.length > 0,
      ),
  );
  const byFamily = {
    4: inUse.filter(({ families }) => families.includes(4)),
    6: inUse.filter(({ families }) => families.includes(6)),
  };
  function stateOf(family: Family): "whole" | "partial" | "unknown" {
    const { nft: save, table: prefix } = saves[family];
    // Where there is no iptables at all, nft lists everything.
    const sources = [save, nftables].filter(({ state }) => state === "present");
    // … but says of the rules of iptables-nft only in part what they are.
    const isListed = listed?.tables.some((table) => table.family === prefix && isOfIptables(table)) ?? false;
    const isAll = !(save.state !== "present" && isListed) && sources.every((source) => isWhole<unknown>(source));
    return sources.length === 0 ? "unknown" : isAll ? "whole" : "partial";
  }
  const states = { 4: stateOf(4), 6: stateOf(6) };
  const at = remembered((name, packet, towards) => hook(rulesets, name, packet, context, { towards }));
  const policyOf = ({ ruleset, table, chain }: Step): string =>
    rulesets
      .find(({ name }) => name === ruleset)
      ?.chains.get(table)
      ?.get(chain)?.base?.policy ?? "accept";
  const sourceOf = ({ ruleset }: Pick<Step, "ruleset">) => {
    const { nft, legacy, program } = saves[ruleset.startsWith("ip6") ? 6 : 4];
    const isLegacy = ruleset.endsWith("legacy") && legacy.state === "present";
    return isLegacy ? { save: legacy, program: `${program}-legacy` } : { save: nft, program };
  };
  // walks ask for the same again and again
  const quotes = new WeakMap<Step, Evidence>();
  return {
    stateOf: (family) => states[family],
    rulesetsFor: (family) => byFamily[family],
    get asksOriginal() {
      asksOriginal ??= inUse.some(hasOriginal);
      return asksOriginal;
    },
    at,
    through(names, packet) {
      const [first, ...rest] = names;
      if (first === undefined) return [];
      const ends = at(first, packet);
      if (rest.length === 0) return ends;
      return ends.flatMap((end) => {
        if (end.verdict.is !== "accept") return [end];
        return this.through(rest, end.packet).map((later) => ({
          ...later,
          certainty: end.certainty === "certain" ? later.certainty : ("depends" as const),
          reasons: [...end.reasons, ...later.reasons],
        }));
      });
    },
    programOf: (step) => sourceOf(step).program,
    countOf(step) {
      const { rule, ruleset } = step;
      if (rule) return rule.packets;
      return ruleset.startsWith("nft ") ? undefined : declared(step, known(sourceOf(step).save))?.packets;
    },
    removal({ ruleset, table, chain, line, rule }) {
      if (rule.nft) {
        const place = `${ruleset.slice(4)} ${chain}`.split(" ").map(shellWord).join(" ");
        return {
          run: `nft delete rule ${place} handle ${rule.nft.handle ?? 0}`,
          undo: `nft insert rule ${place} ${shellWord(printNftRule(rule.nft))}`,
          verify: `nft -a list chain ${place}`,
        };
      }
      const rules =
        rulesets
          .find(({ name }) => name === ruleset)
          ?.chains.get(table)
          ?.get(chain)?.rules ?? [];
      const position = 1 + rules.findIndex((one) => one.line === line);
      const printed = printIptablesRule(chain, rule).replace(/^\[[\d:]+\] /, "");
      const words = wordsOf(printed).slice(2).map(shellWord).join(" ");
      const program = sh`${sourceOf({ ruleset }).program} -t ${table}`;
      return {
        run: `${program} ${sh`-D ${chain}`} ${words}`,
        undo: `${program} ${sh`-I ${chain} ${position}`} ${words}`,
        verify: `${program} ${sh`-S ${chain}`}`,
      };
    },
    quote(step) {
      const quote = quotes.get(step) ?? printed(step);
      quotes.set(step, quote);
      return quote;
    },
  };

  function printed(step: Step): Evidence {
    const { rule } = step;
    if (step.ruleset.startsWith("nft ")) {
      const origin: Origin = { ...nftables.origin, pointer: `/nftables/${step.line}` };
      const words = rule?.nft ? printNftRule(rule.nft) : `policy ${policyOf(step)}`;
      return quoteOf(origin, `${step.ruleset.slice(4)} ${step.chain}: ${words}`);
    }
    const { save: observed } = sourceOf(step);
    const words = rule && !rule.nft ? printIptablesRule(step.chain, rule) : printedPolicy(step, known(observed));
    return quoteOf({ ...observed.origin, line: step.line }, `${step.table}: ${words}`);
  }
}
