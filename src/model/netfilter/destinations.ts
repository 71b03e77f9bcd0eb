/**
 * Where chains may send packets: who asks only for some of several back ends need not follow the ways to the others.
 */
import { formatIp, type Ip } from "../../net/ip.ts";
import { constantAddress } from "./nft-translation.ts";
import type { Part, Rule, Target } from "./rule.ts";
import type { RulesetChain } from "./ruleset.ts";
import { readTranslation } from "./translation.ts";

type Chains = ReadonlyMap<string, RulesetChain>;

/** Addresses that packets may be sent on to; "any" where the rules alone do not tell. */
type Destinations = ReadonlySet<string> | "any";

const NONE: Destinations = new Set();

const known = new WeakMap<RulesetChain, Destinations>();

/** The addresses to which a chain, or one that it calls, may translate. */
function destinationsOf(
  chain: RulesetChain,
  chains: Chains,
  open: ReadonlySet<RulesetChain> = new Set(),
): Destinations {
  const made = known.get(chain);
  if (made) return made;
  if (open.has(chain)) return "any";
  const inside = new Set([...open, chain]);
  const all = new Set<string>();
  let found: Destinations = all;
  for (const rule of chain.isCut ? [] : chain.rules) {
    for (let part: Rule | Part | undefined = rule; part && found !== "any"; part = part.then) {
      const to = ofTarget(part.target, chains, inside);
      if (to === "any") found = to;
      else for (const address of to) all.add(address);
    }
  }
  if (chain.isCut) found = "any";
  known.set(chain, found);
  return found;
}

function ofTarget(target: Target, chains: Chains, open: ReadonlySet<RulesetChain>): Destinations {
  switch (target.does) {
    case "jump":
    case "goto": {
      const chain = chains.get(target.chain);
      return chain ? destinationsOf(chain, chains, open) : "any";
    }
    case "dnat":
      return only(readTranslation(target)?.addresses);
    case "nat":
      return target.nat.does === "dnat" ? only(constantAddress(target.nat)) : NONE;
    case "redirect":
    case "tproxy":
    case "vmap":
    case "unknown":
      return "any";
    default:
      return NONE;
  }
}

const only = (range: { readonly from: Ip; readonly to: Ip } | undefined): Destinations =>
  range && range.from.value === range.to.value ? new Set([formatIp(range.from)]) : "any";

/** Whether a chain leads to all, to some or to none of some addresses; undefined if it cannot be told, or it leads nowhere. */
export function leadsTo(
  chain: RulesetChain | undefined,
  chains: Chains,
  towards: ReadonlySet<string>,
): "all" | "some" | "none" | undefined {
  const destinations = chain && destinationsOf(chain, chains);
  if (!destinations || destinations === "any" || destinations.size === 0) return undefined;
  let count = 0;
  for (const address of towards) if (destinations.has(address)) count++;
  return count === towards.size ? "all" : count === 0 ? "none" : "some";
}
