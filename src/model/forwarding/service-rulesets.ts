/**
 * The rule sets of a node that translate Services: kube-proxy's iptables rules, in either back end, and its nftables table.
 * There should be one. Of another mode kube-proxy takes away at its start what it finds (cmd/kube-proxy/app/server_linux.go,
 * platformCleanup), but only in the back end of iptables that its own image uses, and nothing that comes later: rules that
 * iptables-restore brings back from a file stay, and nobody keeps them up to date.
 *
 * Which of two decides? Chains of type nat of one priority are asked until one translates, the last registered first
 * (nf_hook_entries_grow in net/netfilter/core.c puts a new one before those of equal priority). When they were registered is
 * not recorded anywhere.
 */
import type { Observed } from "../../evidence/observed.ts";
import type { Family } from "../../net/ip.ts";
import type { IptablesSave } from "../../parse/iptables/save.ts";
import { nftRulesetName } from "../netfilter/nftables.ts";
import type { Rule } from "../netfilter/rule.ts";
import type { Ruleset } from "../netfilter/ruleset.ts";
import type { Step } from "../netfilter/when.ts";
import type { ServicePort } from "../services/services.ts";
import { type UsualDelivery, usualRules } from "./kube-services.ts";
import { isOfKubeProxy, usualNftRules } from "./kube-services-nft.ts";
import { type PacketFilter, packetFilterOf } from "./packet-filter.ts";
import type { NodePlane } from "./plane.ts";

export type ServiceRuleset = {
  /** As the rule set is called: `iptables-nft`, `ip6tables-legacy`, `nft ip kube-proxy`. */
  readonly name: string;
  readonly mode: "iptables" | "nftables";
  /** Of the packets that it translates. */
  readonly family: Family;
  /** The rules of base chains by which packets come to it. */
  readonly entries: readonly RuleStep[];
  /** The back ends it has for a port; undefined if it has none, or something about its rules is unusual. */
  delivery(port: ServicePort): UsualDelivery | undefined;
  /** The rules that translate to a back end, `address:port`. */
  translating(target: string): readonly RuleStep[];
};

export type RuleStep = Step & { readonly rule: Rule };

const SERVICES = { iptables: "KUBE-SERVICES", nftables: "services" } as const;

/** Those that packets of a family come to. */
export function serviceRulesets(filter: PacketFilter, family: Family): readonly ServiceRuleset[] {
  return filter.rulesetsFor(family).flatMap((ruleset): ServiceRuleset[] => {
    const mode = modeOf(ruleset);
    if (mode === undefined) return [];
    const entries = entriesOf(ruleset, SERVICES[mode]);
    if (entries.length === 0) return [];
    let usual: ReturnType<typeof usualRules> | undefined;
    return [
      {
        ...{ name: ruleset.name, mode, family, entries },
        delivery(port) {
          usual ??= mode === "iptables" ? usualRules([ruleset], family) : usualNftRules([ruleset], family);
          return usual.delivery(port);
        },
        translating: (target) => translatingTo(target, ruleset),
      },
    ];
  });
}

function modeOf({ chains, nft }: Ruleset): ServiceRuleset["mode"] | undefined {
  if (nft) return isOfKubeProxy(nft) ? "nftables" : undefined;
  return (chains.get("nat")?.get(SERVICES.iptables)?.rules.length ?? 0) > 0 ? "iptables" : undefined;
}

const entriesOf = ({ name, bases }: Ruleset, to: string): readonly RuleStep[] =>
  bases
    .filter(({ base }) => base.type === "nat" && base.hook !== "postrouting")
    .flatMap(({ table, name: chain, rules }) =>
      rules
        .filter(({ target }) => target.does === "jump" && target.chain === to)
        .map((rule) => ({ ruleset: name, table, chain, line: rule.line, rule })),
    );

const translatingTo = (target: string, { name, chains, nft }: Ruleset): readonly RuleStep[] =>
  nft
    ? []
    : [...(chains.get("nat")?.values() ?? [])].flatMap(({ name: chain, rules }) =>
        rules
          .filter((rule) => rule.target.does === "dnat" && "to" in rule.target && rule.target.to === target)
          .map((rule) => ({ ruleset: name, table: "nat", chain, line: rule.line, rule })),
      );

const SAVES = ["iptables", "iptablesLegacy", "ip6tables", "ip6tablesLegacy"] as const;

/** The same node without rule sets that translate Services; all else that these hold stays. */
export function withoutServices(plane: NodePlane, left: readonly ServiceRuleset[]): NodePlane {
  const isLeft = (name: string) => left.some((one) => one.name === name);
  const cleared = (save: Observed<IptablesSave>, of: (typeof SAVES)[number]): Observed<IptablesSave> =>
    save.state !== "present" || !isLeft(nameOf(save.value, of))
      ? save
      : { ...save, value: { ...save.value, tables: save.value.tables.map(withoutJumps) } };
  const { nftables } = plane;
  const changed = {
    ...plane,
    ...Object.fromEntries(SAVES.map((of) => [of, cleared(plane[of], of)])),
    nftables:
      nftables.state === "present"
        ? {
            ...nftables,
            value: {
              ...nftables.value,
              tables: nftables.value.tables.filter((table) => !isLeft(nftRulesetName(table)) || !isOfKubeProxy(table)),
            },
          }
        : nftables,
  };
  const filter = packetFilterOf(changed);
  return { ...changed, filter };
}

function nameOf({ backend }: IptablesSave, of: (typeof SAVES)[number]): string {
  const program = of.startsWith("ip6") ? "ip6tables" : "iptables";
  if (of.endsWith("Legacy")) return `${program}-legacy`;
  return backend === undefined ? program : `${program}-${backend === "nf_tables" ? "nft" : "legacy"}`;
}

function withoutJumps(table: IptablesSave["tables"][number]): IptablesSave["tables"][number] {
  if (table.name !== "nat") return table;
  const chains = table.chains
    .filter(({ name }) => name !== SERVICES.iptables)
    .map((chain) => ({
      ...chain,
      rules: chain.rules.filter(({ target }) => target.does !== "jump" || target.chain !== SERVICES.iptables),
    }));
  return { ...table, chains };
}
