/**
 * What rules say, in one vocabulary over iptables and nftables: conditions of a packet, and what is done with a packet that
 * meets them all.
 *
 * A rule of iptables has one target after all its conditions. One of nftables is a sequence, e.g. `ip saddr 10.0.0.1 mark set
 * 1 tcp dport 80 accept`: after the mark is set the rule can still end without verdict. Such a rule has parts, of which each
 * goes on with the next. Simple conditions of nftables are the same words as those of iptables; the others compare an
 * expression (`nft-value.ts`).
 */
import type {
  Condition as IptablesCondition,
  Rule as IptablesRule,
  Target as IptablesTarget,
} from "../../parse/iptables/save.ts";
import type { NftExpression, NftNat, NftRule, NftStatement } from "../../parse/nftables/json.ts";
import type { NftSets } from "./nft-set.ts";

export type NftMatch = NftStatement & { readonly does: "match" };

export type Condition =
  | IptablesCondition
  | { readonly is: "compare"; readonly match: NftMatch; readonly sets: NftSets }
  | { readonly is: "family"; readonly family: 4 | 6 }
  /** Not asked by rules: that of the elements of a map this one is the packet's. */
  | { readonly is: "element"; readonly text: string };

export type Target =
  | IptablesTarget
  | { readonly does: "vmap"; readonly key: NftExpression; readonly data: NftExpression; readonly sets: NftSets }
  | { readonly does: "mangle"; readonly key: NftExpression; readonly value: NftExpression; readonly sets: NftSets }
  | { readonly does: "nat"; readonly nat: NftNat; readonly sets: NftSets }
  /** With which message depends on the packet's family. */
  | { readonly does: "reject-by-family"; readonly with: Readonly<Record<4 | 6, string>> };

export type Part = {
  readonly conditions: readonly Condition[];
  readonly target: Target;
  /** What the rule says after that, for packets that go on. */
  readonly then?: Part;
};

export type Rule =
  | (IptablesRule & { readonly then?: undefined; readonly nft?: undefined })
  | (Part & {
      /** The number of the item in nft's JSON. */
      readonly line: number;
      readonly packets?: number;
      readonly bytes?: number;
      readonly nft: NftRule;
    });
