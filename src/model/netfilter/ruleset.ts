/**
 * A netfilter rule set in one vocabulary: chains by table and name, and which of them the kernel calls at which hook.
 *
 * iptables' tables are brought into it here, nftables' in `nftables.ts`: there each table is a rule set of its own.
 */
import type { IptablesSave, Table } from "../../parse/iptables/save.ts";
import type { NftTable } from "../../parse/nftables/json.ts";
import type { Condition, Rule } from "./rule.ts";

/** ingress and egress are those of a device, before and after all others. */
export type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting" | "ingress" | "egress";

/** Whose packets a table sees: those of IP; frames that a bridge passes on; all of a device; ARP. */
export type Layer = "ip" | "bridge" | "device" | "arp";

/** What makes a chain one that the kernel calls. */
export type Base = {
  readonly hook: Hook;
  /** include/uapi/linux/netfilter_ipv4.h, enum nf_ip_hook_priorities: lower ones come first. */
  readonly priority: number;
  /** Chains of type nat are asked once for each connection, by its first packet. */
  readonly type: "filter" | "nat" | "route";
  readonly policy: "accept" | "drop";
  /** Of ingress and egress: at which devices. Absent there: not recorded. */
  readonly devices?: readonly string[];
};

export type RulesetChain = {
  /** The rule set's name. */
  readonly ruleset: string;
  readonly table: string;
  readonly name: string;
  readonly line: number;
  readonly rules: readonly Rule[];
  readonly base?: Base;
  /** The text ended before its table did: rules may be missing at the end. */
  readonly isCut?: true;
  /** Only of long chains. Made when it is first asked for: most chains of a node never see a packet. */
  readonly index?: RuleIndex | undefined;
};

export type Ruleset = {
  /** Tells the rule sets of one node apart, e.g. `iptables-nft`, `ip6tables-legacy`, `nft inet filter`. */
  readonly name: string;
  readonly families: readonly (4 | 6)[];
  /** Absent: ip. */
  readonly layer?: Layer;
  /** The table of nftables that it is made of. */
  readonly nft?: NftTable;
  /** By table, then by name. */
  readonly chains: ReadonlyMap<string, ReadonlyMap<string, RulesetChain>>;
  /** Of equal hook and priority in the order in which they are called. */
  readonly bases: readonly (RulesetChain & { readonly base: Base })[];
};

/**
 * Where in a long chain the rules are that a packet can meet: most rules of KUBE-SERVICES are for one destination address,
 * most of KUBE-NODEPORTS for one port. Positions are in order.
 */
export type RuleIndex = {
  readonly byDestination: ReadonlyMap<number | bigint, readonly number[]>;
  readonly byPort: ReadonlyMap<number, readonly number[]>;
  readonly others: readonly number[];
};

const INDEXED_FROM = 32;

/** net/ipv4/netfilter/iptable_*.c and ip6table_*.c: the tables' hooks and priorities. */
const BUILT_IN: Readonly<Record<string, readonly (readonly [chain: string, hook: Hook, priority: number])[]>> = {
  raw: [
    ["PREROUTING", "prerouting", -300],
    ["OUTPUT", "output", -300],
  ],
  mangle: [
    ["PREROUTING", "prerouting", -150],
    ["INPUT", "input", -150],
    ["FORWARD", "forward", -150],
    ["OUTPUT", "output", -150],
    ["POSTROUTING", "postrouting", -150],
  ],
  nat: [
    ["PREROUTING", "prerouting", -100],
    ["OUTPUT", "output", -100],
    ["INPUT", "input", 100],
    ["POSTROUTING", "postrouting", 100],
  ],
  filter: [
    ["INPUT", "input", 0],
    ["FORWARD", "forward", 0],
    ["OUTPUT", "output", 0],
  ],
  security: [
    ["INPUT", "input", 50],
    ["FORWARD", "forward", 50],
    ["OUTPUT", "output", 50],
  ],
};

const BASES: ReadonlyMap<string, Omit<Base, "policy">> = new Map(
  Object.entries(BUILT_IN).flatMap(([table, chains]) =>
    chains.map(([chain, hook, priority]) => {
      const type = table === "nat" ? "nat" : table === "mangle" && chain === "OUTPUT" ? "route" : "filter";
      return [`${table} ${chain}`, { hook, priority, type }] as const;
    }),
  ),
);

/** The one value of a condition of this rule, if it has such a condition: a whole address, or a single port. */
function onlyValue<T>(rule: Rule, value: (condition: Condition) => T | undefined): T | undefined {
  for (const condition of rule.conditions) {
    if ("not" in condition && condition.not) continue;
    const found = value(condition);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What a chain is, its rules apart. */
export type ChainHead = Omit<RulesetChain, "rules" | "index">;

/**
 * Chains are classes so that all have one shape, whatever is made late: it makes reading them fast. A copy with other
 * rules has no index of the old ones.
 */
abstract class ChainOfRules implements RulesetChain {
  readonly ruleset: string;
  readonly table: string;
  readonly name: string;
  readonly line: number;
  readonly base?: Base;
  readonly isCut?: true;
  abstract readonly rules: readonly Rule[];
  #index: RuleIndex | undefined;

  constructor({ ruleset, table, name, line, base, isCut }: ChainHead) {
    this.ruleset = ruleset;
    this.table = table;
    this.name = name;
    this.line = line;
    if (base) this.base = base;
    if (isCut) this.isCut = isCut;
  }

  get index(): RuleIndex | undefined {
    this.#index ??= indexRules(this.rules);
    return this.#index;
  }
}

class Chain extends ChainOfRules {
  readonly rules: readonly Rule[];

  constructor(head: ChainHead, rules: readonly Rule[]) {
    super(head);
    this.rules = rules;
  }
}

/** A chain whose rules are read when a packet first comes to it. */
export class LateChain extends ChainOfRules {
  readonly #read: () => readonly Rule[];
  #rules: readonly Rule[] | undefined;

  constructor(head: ChainHead, read: () => readonly Rule[]) {
    super(head);
    this.#read = read;
  }

  get rules(): readonly Rule[] {
    this.#rules ??= this.#read();
    return this.#rules;
  }
}

function indexRules(rules: readonly Rule[]): RuleIndex | undefined {
  if (rules.length < INDEXED_FROM) return undefined;
  const byDestination = new Map<number | bigint, number[]>();
  const byPort = new Map<number, number[]>();
  const others: number[] = [];
  const put = <K>(map: Map<K, number[]>, key: K, position: number): void => {
    const positions = map.get(key);
    if (positions) positions.push(position);
    else map.set(key, [position]);
  };
  for (const [position, rule] of rules.entries()) {
    const address = onlyValue(rule, (condition) => {
      if (condition.is !== "destination") return undefined;
      const { ip, length } = condition.prefix;
      return length === (ip.family === 4 ? 32 : 128) ? ip.value : undefined;
    });
    const port = onlyValue(rule, (condition) => {
      if (condition.is !== "destination-port" || condition.ports.length !== 1) return undefined;
      const { from, to } = condition.ports[0]!;
      return from === to ? from : undefined;
    });
    if (address !== undefined) put(byDestination, address, position);
    else if (port !== undefined) put(byPort, port, position);
    else others.push(position);
  }
  return { byDestination, byPort, others };
}

function toChains(ruleset: string, table: Table): RulesetChain[] {
  return table.chains.map(({ name, line, rules, policy }) => {
    const built = BASES.get(`${table.name} ${name}`);
    const head = {
      ...{ ruleset, table: table.name, name, line },
      ...(built ? { base: { ...built, policy: policy === "DROP" ? ("drop" as const) : ("accept" as const) } } : {}),
      ...(table.complete ? {} : { isCut: true as const }),
    };
    return new Chain(head, rules);
  });
}

/** Makes a rule set of chains, wherever they come from. */
export function rulesetOf(name: string, families: readonly (4 | 6)[], chains: readonly RulesetChain[]): Ruleset {
  const byTable = new Map<string, Map<string, RulesetChain>>();
  for (const chain of chains) {
    let table = byTable.get(chain.table);
    if (!table) {
      table = new Map();
      byTable.set(chain.table, table);
    }
    table.set(chain.name, chain);
  }
  const all = [...byTable.values()].flatMap((table) => [...table.values()]);
  const bases = all.filter((chain): chain is RulesetChain & { readonly base: Base } => chain.base !== undefined);
  return { name, families, chains: byTable, bases };
}

/**
 * The rule sets in what iptables-save printed: one, or one for each back end if the outputs of both are in the text. Of a
 * table that occurs twice the later one counts.
 */
export function iptablesRulesets(save: IptablesSave, family: 4 | 6): readonly Ruleset[] {
  const program = family === 6 ? "ip6tables" : "iptables";
  const nameOf = (table: Table): string => {
    const backend = table.backend ?? save.backend;
    return backend === undefined ? program : `${program}-${backend === "nf_tables" ? "nft" : "legacy"}`;
  };
  const names = [...new Set(save.tables.map(nameOf))];
  return names.map((name) => {
    const tables = new Map(save.tables.filter((table) => nameOf(table) === name).map((table) => [table.name, table]));
    return rulesetOf(
      name,
      [family],
      [...tables.values()].flatMap((table) => toChains(name, table)),
    );
  });
}
