/**
 * `nft -j list ruleset`: all tables of nftables, those of iptables-nft among them.
 *
 * Format (libnftables-json(5); nftables src/json.c): one object, on one line,
 *   {"nftables": [
 *     {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
 *     {"table": {"family": "ip", "name": "kube-proxy", "handle": 13}},
 *     {"map": {"family": "ip", "name": "service-ips", "table": "kube-proxy", "type": ["ipv4_addr", "inet_proto",
 *       "inet_service"], "map": "verdict", "handle": 51,
 *       "elem": [[{"concat": ["10.96.0.1", "tcp", 443]}, {"goto": {"target": "service-…"}}]]}},
 *     {"chain": {"family": "ip", "table": "kube-proxy", "name": "nat-output", "handle": 15, "type": "nat",
 *       "hook": "output", "prio": -100, "policy": "accept"}},
 *     {"rule": {"family": "ip", "table": "kube-proxy", "chain": "nat-output", "handle": 27,
 *       "expr": [{"jump": {"target": "services"}}]}}, … ]}
 * Of each table come first its objects, sets, maps and chains, then the rules, chain after chain. Versions differ in what
 * they leave out: 1.0.6 does not print the flag `dynamic`, a table's comment, or what an `xt` statement says; a condition
 * that another implies (`meta l4proto tcp` before `tcp dport 80`) is printed by none. Where an item is, its number in the
 * array, is its place; nft knows rules by their handle.
 *
 * Items are read one at a time, so that a file of any length needs no more memory than what it says. What a rule says is
 * read by `expression.ts`; `print.ts` prints it as `nft list ruleset` would.
 */
import { type Fields, fitted, isObject } from "../fields.ts";
import { itemSplitter } from "../json/items.ts";
import type { Gap, Parsed, Reader } from "../parsed.ts";
import { type NftElement, type NftReader, type NftStatement, nftReader } from "./expression.ts";

export type {
  NftElement,
  NftExpression,
  NftLiteral,
  NftNat,
  NftOf,
  NftStatement,
  NftVerdict,
} from "./expression.ts";

export type NftFamily = "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev";

export type NftRule = {
  /** The number of the item in the array, from 0. */
  readonly item: number;
  /** By which nft knows the rule. */
  readonly handle?: number;
  readonly comment?: string;
  readonly statements: readonly NftStatement[];
};

export type NftBase = {
  /** filter, nat, route */
  readonly type: string;
  /** prerouting, input, forward, output, postrouting, ingress, egress */
  readonly hook: string;
  readonly priority: number;
  readonly policy: "accept" | "drop";
  /** Of ingress and egress. */
  readonly devices?: readonly string[];
};

export type NftChain = {
  readonly name: string;
  readonly item: number;
  readonly handle?: number;
  readonly comment?: string;
  /** Of chains that the kernel calls. */
  readonly base?: NftBase;
  readonly rules: readonly NftRule[];
  /** The text ended before the rules of this chain did, or it is not known that it did not. */
  readonly isCut?: true;
};

export type NftSet = {
  readonly name: string;
  readonly item: number;
  readonly handle?: number;
  readonly comment?: string;
  /** The types of the key, several of a concatenation; empty if they were not given by name. */
  readonly types: readonly string[];
  /** Of maps: what they map to, "verdict" for verdict maps. */
  readonly mapsTo?: string;
  /** interval, timeout, constant; `dynamic` only of newer versions. */
  readonly flags: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
  readonly size?: number;
  readonly elements: readonly NftElement[];
  /** Elements may be missing. */
  readonly isPartial?: true;
};

/** Counters, quotas, limits, helpers, flowtables …, which rules refer to by name. */
export type NftObject = { readonly kind: string; readonly name: string; readonly item: number; readonly text: string };

export type NftTable = {
  readonly family: NftFamily;
  readonly name: string;
  readonly item: number;
  readonly handle?: number;
  readonly comment?: string;
  /** `dormant`: the kernel calls none of its chains. */
  readonly flags: readonly string[];
  readonly chains: readonly NftChain[];
  readonly sets: readonly NftSet[];
  readonly objects: readonly NftObject[];
};

export type NftRuleset = {
  /** Of nft. */
  readonly version?: string;
  readonly tables: readonly NftTable[];
};

const FAMILIES: ReadonlySet<string> = new Set(["ip", "ip6", "inet", "arp", "bridge", "netdev"]);
const NO_ELEMENTS: readonly NftElement[] = [];
const NO_FLAGS: readonly string[] = [];

/**
 * The tables and chains of iptables. Of its rules iptables-save says more, and there can be hundreds of thousands: here those
 * that nft has no words for are all one statement.
 */
const OF_IPTABLES: ReadonlySet<string> = new Set(["filter", "nat", "mangle", "raw", "security"]);
const BUILT_IN: ReadonlySet<string> = new Set(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);
const SAID_BY_IPTABLES: readonly NftStatement[] = [{ does: "xt" }];

/** Notes what is wrong with an item. */
type Complain = (what: string) => undefined;

type OpenChain = { -readonly [K in keyof NftChain]: K extends "rules" ? NftRule[] : NftChain[K] };
type OpenTable = Omit<NftTable, "chains" | "sets" | "objects"> & {
  readonly chains: OpenChain[];
  readonly sets: { -readonly [K in keyof NftSet]: NftSet[K] }[];
  readonly objects: NftObject[];
  readonly byName: Map<string, OpenChain>;
  isOfIptables: boolean;
};

const listOf = (value: unknown): readonly string[] =>
  typeof value === "string"
    ? [value]
    : Array.isArray(value)
      ? value.filter((one): one is string => typeof one === "string")
      : NO_FLAGS;

/** `handle` and `comment`, which most things have. */
const common = (fields: Fields): { readonly handle?: number; readonly comment?: string } => ({
  ...(Number.isSafeInteger(fields.handle) && { handle: fields.handle as number }),
  ...(typeof fields.comment === "string" && { comment: fields.comment }),
});

/** A reader that is given the text piece by piece. */
export function nftRulesetReader(): Reader<NftRuleset> {
  const read = nftReader();
  const gaps: Gap[] = [];
  const tables = new Map<string, OpenTable>();
  let version: string | undefined;
  /** Where the last rule was put: what comes after it in its table may be missing if the text is cut off. */
  let last: { readonly table: OpenTable; readonly chain?: OpenChain } | undefined;

  function takeItem(value: unknown, item: number): undefined {
    const complain = (what: string): undefined => {
      gaps.push({ pointer: `/nftables/${item}`, what });
    };
    if (!isObject(value)) return complain("expected an object");
    const keys = Object.keys(value);
    const kind = keys[0];
    if (keys.length !== 1 || kind === undefined) return complain("expected an object with one key");
    const fields = value[kind];
    if (!isObject(fields)) return complain(`${kind}: expected an object`);
    if (kind === "metainfo") {
      if (typeof fields.version === "string") version = fields.version;
      return;
    }
    const { family } = fields;
    if (typeof family !== "string" || !FAMILIES.has(family)) return complain(`${kind}: no family that is known`);
    const tableName = kind === "table" ? fields.name : fields.table;
    if (typeof tableName !== "string") return complain(`${kind}: no table`);
    if (kind === "table") return openTable(family as NftFamily, tableName, fields, item);
    const table = tables.get(`${family} ${tableName}`);
    if (!table) return complain(`${kind} of table ${family} ${tableName}, which is not declared`);
    if (last?.table !== table) last = { table };
    if (kind === "rule") return takeRule(table, fields, item, complain);
    const { name } = fields;
    if (kind === "element") return complain("an element apart from its set");
    if (typeof name !== "string") return complain(`${kind}: no name`);
    if (kind === "chain") takeChain(table, name, fields, item, complain);
    else if (kind === "set" || kind === "map" || kind === "meter") takeSet(table, name, fields, item, read);
    else table.objects.push({ kind, name, item, text: JSON.stringify(fields).slice(0, 1000) });
  }

  function openTable(family: NftFamily, name: string, fields: Fields, item: number): undefined {
    const table: OpenTable = {
      ...{ family, name, item, ...common(fields), flags: listOf(fields.flags) },
      ...{ chains: [], sets: [], objects: [], byName: new Map(), isOfIptables: false },
    };
    tables.set(`${family} ${name}`, table);
    last = { table };
  }

  function takeChain(table: OpenTable, name: string, fields: Fields, item: number, complain: Complain): undefined {
    if (table.byName.has(name)) return complain(`chain ${name} is declared twice`);
    const chain: OpenChain = { name: read.text(name), item, ...common(fields), rules: [] };
    if (fields.hook !== undefined || fields.type !== undefined) {
      const base = fitted(fields, { type: "string", hook: "string", prio: "integer", policy: "string?" });
      if (typeof base === "string") {
        complain(`chain ${name}: ${base}`);
        chain.isCut = true;
      } else {
        const devices = listOf(fields.dev ?? fields.devices);
        chain.base = {
          type: base.type,
          hook: base.hook,
          priority: base.prio,
          policy: base.policy === "drop" ? "drop" : "accept",
          ...(devices.length > 0 && { devices }),
        };
      }
    }
    table.isOfIptables ||= chain.base !== undefined && OF_IPTABLES.has(table.name) && BUILT_IN.has(name);
    table.chains.push(chain);
    table.byName.set(chain.name, chain);
  }

  function takeRule(table: OpenTable, fields: Fields, item: number, complain: Complain): undefined {
    const chain = typeof fields.chain === "string" ? table.byName.get(fields.chain) : undefined;
    if (!chain) return complain("a rule of a chain that is not declared");
    last = { table, chain };
    const { expr } = fields;
    if (!Array.isArray(expr)) complain("a rule without expressions");
    const statements: readonly NftStatement[] = !Array.isArray(expr)
      ? [{ does: "unknown", name: "", text: "" }]
      : table.isOfIptables && expr.some((one) => isObject(one) && Object.hasOwn(one, "xt"))
        ? SAID_BY_IPTABLES
        : expr.map(read.statement);
    chain.rules.push({ item, ...common(fields), statements });
  }

  const splitter = itemSplitter("nftables", takeItem);
  let isEmpty = true;
  return {
    write(piece) {
      if (piece !== "") isEmpty = false;
      splitter.write(piece);
    },
    end() {
      const { gaps: cuts } = splitter.end();
      // Of what could not be read we do not know the place: a rule may be missing anywhere.
      if (!isEmpty && cuts.length > 0) markCut(last);
      const list = [...tables.values()].map(({ byName, isOfIptables, ...table }): NftTable => table);
      const value = version === undefined ? { tables: list } : { version, tables: list };
      return { value, gaps: [...gaps, ...cuts] };
    },
  };
}

/** What the end of a text that was cut off may have had: rules of the last chain and of those after it; all sets before. */
function markCut(last: { readonly table: OpenTable; readonly chain?: OpenChain } | undefined): void {
  if (!last) return;
  const { table, chain } = last;
  for (const one of table.chains.slice(chain ? table.chains.indexOf(chain) : 0)) one.isCut = true;
}

function takeSet(table: OpenTable, name: string, fields: Fields, item: number, read: NftReader): void {
  const isMap = fields.map !== undefined;
  const { elem } = fields;
  const elements = Array.isArray(elem) ? elem.map((one) => read.element(one, isMap)) : NO_ELEMENTS;
  table.sets.push({
    name: read.text(name),
    item,
    ...common(fields),
    types: listOf(fields.type),
    ...(isMap && { mapsTo: typeof fields.map === "string" ? fields.map : "" }),
    flags: listOf(fields.flags),
    ...(Number.isSafeInteger(fields.timeout) && { timeout: fields.timeout as number }),
    ...(Number.isSafeInteger(fields.size) && { size: fields.size as number }),
    elements,
    ...(elem !== undefined && !Array.isArray(elem) && { isPartial: true as const }),
  });
}

export function parseNft(text: string): Parsed<NftRuleset> {
  const reader = nftRulesetReader();
  reader.write(text);
  return reader.end();
}
