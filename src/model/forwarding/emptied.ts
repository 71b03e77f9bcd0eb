/**
 * Tables of iptables that somebody emptied, or threw away with all that agents had written.
 *
 * `iptables -F` takes the rules and leaves the chains. No agent leaves its main chains without a rule, and none looks after the
 * rules: kube-proxy and kubelet watch whether a chain of theirs is there (pkg/util/iptables Monitor), and write again only
 * then. `nft flush ruleset` and `iptables -X` take the chains as well.
 */
import { isWhole, known, type Observed } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Family } from "../../net/ip.ts";
import type { IptablesSave, Table } from "../../parse/iptables/save.ts";
import type { NodePlane } from "./plane.ts";

/** `owners`: the ids of the components whose chains are empty; `dropping`: built-in chains without a rule that drop. */
export type EmptiedTable = {
  readonly table: "nat" | "filter";
  readonly program: string;
  readonly owners: readonly string[];
  readonly dropping: readonly string[];
  readonly evidence: readonly Evidence[];
};

type Saved = { readonly save: Observed<IptablesSave>; readonly program: string };

/** Chains that the component which makes them never leaves without a rule. */
const NEVER_EMPTY: Readonly<Record<EmptiedTable["table"], readonly (readonly [owner: string, chain: RegExp])[]>> = {
  nat: [
    ["kube-proxy", /^KUBE-(SERVICES|POSTROUTING|MARK-MASQ)$/],
    ["flannel", /^FLANNEL-POSTRTG$/],
    ["kindnet", /^KIND-MASQ-AGENT$/],
    ["calico-node", /^cali-(PREROUTING|OUTPUT|POSTROUTING)$/],
  ],
  filter: [
    ["kube-proxy", /^KUBE-FORWARD$/],
    ["flannel", /^FLANNEL-FWD$/],
    ["calico-node", /^cali-(INPUT|FORWARD|OUTPUT)$/],
    ["kube-router", /^KUBE-ROUTER-(INPUT|FORWARD|OUTPUT)$/],
    ["cilium", /^CILIUM_(INPUT|FORWARD|OUTPUT)$/],
  ],
};

const OF_PROXY = /^KUBE-(?!ROUTER-)/;

const isEmpty = ({ rules }: Table["chains"][number]): boolean => rules.length === 0;

/** Those that have chains of theirs in it, all of them empty. */
function ownersOf(table: Table, name: EmptiedTable["table"]): readonly string[] {
  return NEVER_EMPTY[name].flatMap(([owner, pattern]) => {
    const own = table.chains.filter((chain) => pattern.test(chain.name));
    return own.length > 0 && own.every(isEmpty) ? [owner] : [];
  });
}

/** Agents write their rules again, some within seconds: of those that do not, every chain is empty. */
function wasEmptied(table: Table, owners: readonly string[]): boolean {
  if (table.chains.every(isEmpty)) return owners.length > 0;
  return owners.includes("kube-proxy") && table.chains.filter(({ name }) => OF_PROXY.test(name)).every(isEmpty);
}

function savesOf(plane: NodePlane, family: Family): readonly Saved[] {
  return family === 4
    ? [
        { save: plane.iptables, program: "iptables" },
        { save: plane.iptablesLegacy, program: "iptables-legacy" },
      ]
    : [
        { save: plane.ip6tables, program: "ip6tables" },
        { save: plane.ip6tablesLegacy, program: "ip6tables-legacy" },
      ];
}

/** The tables in which the chains of agents are left without a rule. Tables that were cut off are none of them. */
export function emptiedTables(plane: NodePlane, family: Family): readonly EmptiedTable[] {
  return savesOf(plane, family).flatMap(({ save, program }) =>
    (known(save)?.tables ?? []).flatMap((table): EmptiedTable[] => {
      const { name } = table;
      if ((name !== "nat" && name !== "filter") || !table.complete) return [];
      const owners = ownersOf(table, name);
      if (!wasEmptied(table, owners)) return [];
      const at = (line: number) => ({ ...save.origin, line });
      const dropping = table.chains.filter((chain) => chain.policy === "DROP" && isEmpty(chain));
      const left = NEVER_EMPTY[name].flatMap(([owner, pattern]) =>
        owners.includes(owner) ? (table.chains.find((chain) => pattern.test(chain.name)) ?? []) : [],
      );
      return [
        {
          table: name,
          program,
          owners,
          dropping: dropping.map((chain) => chain.name),
          evidence: [
            ...left.map((chain) => quoteOf(at(chain.line), `${name}: ${chain.name} has 0 rules`)),
            ...dropping.map((chain) =>
              quoteOf(at(chain.line), `${name}: ${chain.name} has 0 rules and policy ${chain.policy}`),
            ),
          ],
        },
      ];
    }),
  );
}

/**
 * Whether there is nothing of what anybody writes: no chain but the built-in ones, and no table that is not made of them. Every
 * kubelet makes chains too (pkg/kubelet/kubelet_network_linux.go).
 *
 * @returns what shows it; undefined if there is something, or not all was seen
 */
export function flushedRuleset(plane: NodePlane, family: Family): readonly Evidence[] | undefined {
  const [{ save }] = savesOf(plane, family) as [Saved, Saved];
  const { nftables } = plane;
  if (!isWhole(save) || !isWhole(nftables)) return undefined;
  const legacy = known(savesOf(plane, family)[1]!.save)?.tables ?? [];
  const isBare = [...save.value.tables, ...legacy].every(({ chains }) =>
    chains.every((chain) => chain.policy !== undefined && isEmpty(chain)),
  );
  const isListed = nftables.value.tables.some(({ chains }) =>
    chains.some(({ base, rules }) => !base || rules.length > 0),
  );
  if (!isBare || isListed) return undefined;
  return [
    quoteOf(save.origin, "no chain but the built-in ones, and no rule"),
    quoteOf(nftables.origin, "no chain but the built-in ones, and no rule"),
  ];
}
