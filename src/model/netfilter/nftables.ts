/**
 * The tables of nftables as rule sets: one for each, since a table's chains and sets are its own.
 *
 * Chains are made when they are asked for. Within a table, of chains of equal hook and priority the one that was registered
 * last comes first (nf_hook_entries_grow in net/netfilter/core.c); of several tables the order is not recorded.
 */
import { parsePrefix } from "../../net/ip.ts";
import type {
  NftChain,
  NftExpression,
  NftLiteral,
  NftRule,
  NftRuleset,
  NftStatement,
  NftTable,
} from "../../parse/nftables/json.ts";
import { isNegated } from "./nft-expression.ts";
import type { NftSets } from "./nft-set.ts";
import type { Condition, NftMatch, Part, Rule, Target } from "./rule.ts";
import {
  type Base,
  type ChainHead,
  type Hook,
  LateChain,
  type Layer,
  type Ruleset,
  type RulesetChain,
  rulesetOf,
} from "./ruleset.ts";

const FAMILIES: Readonly<Record<string, readonly (4 | 6)[]>> = { ip: [4], ip6: [6], arp: [] };
const LAYERS: Readonly<Record<string, Layer>> = { bridge: "bridge", netdev: "device", arp: "arp" };
const HOOKS: ReadonlySet<string> = new Set([
  ...["prerouting", "input", "forward", "output", "postrouting", "ingress", "egress"],
]);

/** @param isLeftOut tables that another source tells better, as iptables-save does those of iptables-nft */
export function nftRulesets(
  { tables }: NftRuleset,
  isLeftOut: (table: NftTable) => boolean = () => false,
): readonly Ruleset[] {
  return tables.filter((table) => !isLeftOut(table)).map(toRuleset);
}

/** The name of a table's rule set, as steps have it. */
export const nftRulesetName = ({ family, name }: NftTable): string => `nft ${family} ${name}`;

function toRuleset(table: NftTable): Ruleset {
  const name = nftRulesetName(table);
  const sets: NftSets = {
    table: `${table.family} ${table.name}`,
    byName: new Map(table.sets.map((set) => [set.name, set])),
    changing: changingSets(table),
  };
  const isDormant = table.flags.includes("dormant");
  const newestFirst = table.chains.toSorted((a, b) => (b.handle ?? 0) - (a.handle ?? 0));
  const chains = newestFirst.map((chain) => toChain(name, table, chain, sets, isDormant));
  const families = FAMILIES[table.family] ?? [4, 6];
  return { ...rulesetOf(name, families, chains), layer: LAYERS[table.family] ?? "ip", nft: table };
}

/** The sets that rules change; versions that print such a statement as text have its name in it. */
function changingSets({ chains, sets }: NftTable): ReadonlySet<string> {
  const changing = new Set(sets.filter(({ flags }) => flags.includes("dynamic")).map(({ name }) => name));
  for (const { rules } of chains) {
    for (const { statements } of rules) {
      for (const statement of statements) {
        if (statement.does === "set") changing.add(statement.set);
        const found = statement.does === "unknown" ? /^(?:add|update|delete) @(\S+)/.exec(statement.text) : null;
        if (found) changing.add(found[1]!);
      }
    }
  }
  return changing;
}

function toChain(ruleset: string, table: NftTable, chain: NftChain, sets: NftSets, isDormant: boolean): RulesetChain {
  const { base } = chain;
  const head: ChainHead = {
    ...{ ruleset, table: table.name, name: chain.name, line: chain.item },
    ...(base && !isDormant && HOOKS.has(base.hook) ? { base: toBase(base) } : {}),
    ...(chain.isCut ? { isCut: true as const } : {}),
  };
  return new LateChain(head, () => chain.rules.map((rule) => toRule(rule, table, sets)));
}

function toBase({ hook, priority, type, policy, devices }: NonNullable<NftChain["base"]>): Base {
  return {
    hook: hook as Hook,
    priority,
    type: type === "nat" || type === "route" ? type : "filter",
    policy,
    ...(devices && { devices }),
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Rules.

type OpenPart = { conditions: Condition[]; target?: Target };

const ACCEPT_NOTHING: Target = { does: "nothing", name: "" };

export function toRule(rule: NftRule, table: NftTable, sets: NftSets): Rule {
  const parts: OpenPart[] = [{ conditions: [] }];
  let counter: { readonly packets?: number; readonly bytes?: number } | undefined;
  for (const [at, statement] of rule.statements.entries()) {
    const open = parts.at(-1)!;
    if (statement.does === "counter") counter ??= statement;
    const says = toWords(statement, table, sets, `${rule.item}/${at}`);
    open.conditions.push(...says.conditions);
    if (!says.target) continue;
    open.target = says.target;
    // After a verdict nothing of the rule is reached any more.
    if (statement.does === "verdict" && statement.verdict.is !== "continue") break;
    parts.push({ conditions: [] });
  }
  if (parts.length > 1 && parts.at(-1)!.conditions.length === 0 && !parts.at(-1)!.target) parts.pop();
  const [first, ...later] = parts;
  const last = later.reduceRight<Part | undefined>((then, part) => toPart(part, then), undefined);
  return {
    line: rule.item,
    ...(counter?.packets !== undefined && { packets: counter.packets }),
    ...(counter?.bytes !== undefined && { bytes: counter.bytes }),
    ...toPart(first!, last),
    nft: rule,
  };
}

const toPart = ({ conditions, target = ACCEPT_NOTHING }: OpenPart, then: Part | undefined): Part => ({
  conditions,
  target,
  ...(then && { then }),
});

type Words = { readonly conditions: readonly Condition[]; readonly target?: Target };

const NOTHING: Words = { conditions: [] };

function toWords(statement: NftStatement, table: NftTable, sets: NftSets, place: string): Words {
  switch (statement.does) {
    case "match":
      return { conditions: simple(statement, table) ?? [{ is: "compare", match: statement, sets }] };
    case "limit":
      return { conditions: [{ is: "limit", rate: statement.text }] };
    case "set":
      return statement.statements.length > 0 ? { conditions: [{ is: "limit", rate: `@${statement.set}` }] } : NOTHING;
    case "counter":
    case "nothing":
      return NOTHING;
    case "verdict": {
      const { verdict } = statement;
      if (verdict.is === "continue") return NOTHING;
      if (verdict.is === "jump" || verdict.is === "goto")
        return { conditions: [], target: { does: verdict.is, chain: verdict.chain } };
      return { conditions: [], target: { does: verdict.is } };
    }
    case "vmap":
      return { conditions: [], target: { does: "vmap", key: statement.key, data: statement.data, sets } };
    case "mangle":
      return { conditions: [], target: { does: "mangle", key: statement.key, value: statement.value, sets } };
    case "dnat":
    case "snat":
    case "masquerade":
    case "redirect":
      return { conditions: [], target: { does: "nat", nat: statement, sets } };
    case "reject":
      return { conditions: [], target: rejectOf(statement) };
    case "notrack":
      return { conditions: [], target: { does: "notrack" } };
    case "tproxy": {
      // nft_tproxy_eval: without such a socket the rule ends.
      const { address = "", port = 0 } = statement;
      const family: readonly Condition[] =
        statement.family === undefined ? [] : [{ is: "family", family: statement.family === "ip6" ? 6 : 4 }];
      const socket: Condition = { is: "unknown", match: "socket", text: place };
      return { conditions: [...family, socket], target: { does: "tproxy", port, address, value: 0, mask: 0 } };
    }
    case "elsewhere":
      return { conditions: [], target: { does: "unknown", name: statement.name, text: statement.text } };
    case "xt": {
      const { type, name = "" } = statement;
      if (type === "match" && name === "comment") return NOTHING;
      const asked: Condition = { is: "unknown", match: name, text: place };
      if (type === "match") return { conditions: [asked] };
      const target: Target = { does: "unknown", name, text: place };
      return { conditions: type === "target" ? [] : [asked], target };
    }
    case "unknown": {
      const { name, text } = statement;
      // It only changes a map, whose contents are known to change.
      if (/^(?:add|update|delete) @\S+ \{[^}]*\}$/.test(text)) return NOTHING;
      return { conditions: [{ is: "unknown", match: name, text: place }], target: { does: "unknown", name, text } };
    }
  }
}

/** nft_reject: of icmpx the message depends on the packet's family. */
const REJECTIONS: Readonly<Record<string, Readonly<Record<4 | 6, string>>>> = {
  "no-route": { 4: "icmp-net-unreachable", 6: "icmp6-no-route" },
  "port-unreachable": { 4: "icmp-port-unreachable", 6: "icmp6-port-unreachable" },
  "host-unreachable": { 4: "icmp-host-unreachable", 6: "icmp6-addr-unreachable" },
  "admin-prohibited": { 4: "icmp-admin-prohibited", 6: "icmp6-adm-prohibited" },
};

function rejectOf(statement: NftStatement & { readonly does: "reject" }): Target {
  const { type, with: message = "port-unreachable" } = statement;
  if (type === "tcp reset") return { does: "reject", with: "tcp-reset" };
  if (type === "icmp")
    return { does: "reject", with: `icmp-${message === "prot-unreachable" ? "proto-unreachable" : message}` };
  if (type === "icmpv6") {
    return { does: "reject", with: `icmp6-${message === "admin-prohibited" ? "adm-prohibited" : message}` };
  }
  const known = REJECTIONS[message];
  return known ? { does: "reject-by-family", with: known } : { does: "reject", with: message };
}

// ---------------------------------------------------------------------------------------------------------------------
// Comparisons that iptables has as well.

const WITH_PORTS = new Set(["tcp", "udp", "udplite", "sctp", "dccp"]);
const negated = (match: NftMatch): { readonly not?: true } => (isNegated(match) ? { not: true } : {});

function simple(match: NftMatch, table: NftTable): readonly Condition[] | undefined {
  const { left } = match;
  if (typeof left !== "object") return undefined;
  switch (left.is) {
    case "payload":
      return ofPayload(match, left.protocol, left.field, table);
    case "meta":
      return ofMeta(match, left.key);
    case "ct":
      if (left.key === "state") return ofState(match);
      return left.key === "mark" ? ofMark(match, "connmark", 0xffffffff) : undefined;
    case "binary":
      return masked(match, left.op, left.of);
    case "fib":
      return ofFib(match, left.result, left.flags);
    default:
      return undefined;
  }
}

const isPlain = ({ op }: NftMatch): boolean => op === "==" || op === "!=";

function ofPayload(
  match: NftMatch,
  protocol: string,
  field: string,
  table: NftTable,
): readonly Condition[] | undefined {
  if (!isPlain(match)) return undefined;
  const { right } = match;
  if ((protocol === "ip" || protocol === "ip6") && (field === "saddr" || field === "daddr")) {
    const family = protocol === "ip" ? 4 : 6;
    const prefix =
      typeof right === "string"
        ? parsePrefix(right)
        : typeof right === "object" && right.is === "prefix"
          ? parsePrefix(`${right.address}/${right.length}`)
          : undefined;
    if (!prefix || prefix.ip.family !== family) return undefined;
    const is = field === "saddr" ? "source" : "destination";
    const condition: Condition = { is, prefix, ...negated(match) };
    return table.family === protocol ? [condition] : [{ is: "family", family }, condition];
  }
  if (!WITH_PORTS.has(protocol) || (field !== "sport" && field !== "dport")) return undefined;
  const ports = portsOf(right);
  if (!ports) return undefined;
  const is = field === "sport" ? "source-port" : "destination-port";
  return [
    { is: "protocol", protocol },
    { is, ports, ...negated(match) },
  ];
}

type Ports = { readonly from: number; readonly to: number };

function portsOf(right: NftExpression): readonly Ports[] | undefined {
  if (typeof right === "number") return [{ from: right, to: right }];
  if (typeof right !== "object") return undefined;
  if (right.is === "range")
    return typeof right.from === "number" && typeof right.to === "number"
      ? [{ from: right.from, to: right.to }]
      : undefined;
  if (right.is !== "set" || right.elements.length > 64) return undefined;
  const all = right.elements.map(({ key }) => (typeof key === "object" && key.is === "set" ? undefined : portsOf(key)));
  return all.includes(undefined) ? undefined : all.flatMap((ports) => ports!);
}

function ofMeta(match: NftMatch, key: string): readonly Condition[] | undefined {
  const { right } = match;
  if (!isPlain(match)) return undefined;
  if (key === "mark") return ofMark(match, "mark", 0xffffffff);
  if (key === "l4proto" && (typeof right === "string" || typeof right === "number"))
    return [{ is: "protocol", protocol: `${right}`, ...negated(match) }];
  const side = key === "iifname" || key === "iif" ? "in" : key === "oifname" || key === "oif" ? "out" : undefined;
  if (!side || typeof right !== "string" || right === "" || right.endsWith("+") || right.includes("\\"))
    return undefined;
  return [{ is: side, device: right.endsWith("*") ? `${right.slice(0, -1)}+` : right, ...negated(match) }];
}

function ofMark(match: NftMatch, is: "mark" | "connmark", mask: number): readonly Condition[] | undefined {
  const { right } = match;
  return isPlain(match) && typeof right === "number" ? [{ is, value: right, mask, ...negated(match) }] : undefined;
}

function masked(
  match: NftMatch,
  op: string,
  [left, mask, ...others]: readonly NftExpression[],
): readonly Condition[] | undefined {
  if (op !== "&" || typeof mask !== "number" || others.length > 0 || typeof left !== "object") return undefined;
  if (left.is === "meta" && left.key === "mark") return ofMark(match, "mark", mask);
  return left.is === "ct" && left.key === "mark" ? ofMark(match, "connmark", mask) : undefined;
}

const STATES = new Set(["new", "established", "related", "invalid", "untracked"]);

function ofState(match: NftMatch): readonly Condition[] | undefined {
  const { op, right } = match;
  if (op !== "in" && op !== "!" && typeof right !== "string") return undefined;
  const words: readonly NftExpression[] = typeof right === "object" && right.is === "list" ? right.of : [right];
  if (!words.every((word): word is NftLiteral & string => typeof word === "string" && STATES.has(word)))
    return undefined;
  if (op !== "in" && op !== "!" && op !== "==" && op !== "!=") return undefined;
  return [{ is: "conntrack-state", states: words.map((word) => word.toUpperCase()), ...negated(match) }];
}

function ofFib(match: NftMatch, result: string, flags: readonly string[]): readonly Condition[] | undefined {
  const { right } = match;
  if (!isPlain(match)) return undefined;
  const [side, ...others] = [...flags].sort();
  if (result === "type" && right === "local" && others.length === 0 && (side === "daddr" || side === "saddr"))
    return [
      { is: "address-type", side: side === "saddr" ? "source" : "destination", type: "LOCAL", ...negated(match) },
    ];
  // `fib saddr . iif oif missing`: what rpfilter asks.
  if (result.startsWith("oif") && typeof right === "boolean" && flags.includes("saddr") && !flags.includes("oif")) {
    const options = [...(flags.includes("iif") ? [] : ["loose"]), ...(flags.includes("mark") ? ["validmark"] : [])];
    const exists = right === (match.op === "==");
    return [{ is: "rpfilter", options, ...(exists ? {} : { not: true as const }) }];
  }
  return undefined;
}
