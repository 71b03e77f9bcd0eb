/**
 * A short cut through kube-proxy's iptables rules, for the many nodes and Services on which they are as kube-proxy writes
 * them: the dispatch rule of a cluster IP, its chain, the DNATs in it. Whatever is unusual is not judged here, and is
 * walked rule by rule instead (proxy.ts). That both come to the same is tested on every recording.
 *
 * Source: kubernetes pkg/proxy/iptables/proxier.go, writeServiceToEndpointRules and syncProxyRules.
 */
import { bitsOf, contains, type Family, formatIp, formatPrefix, formatSocket, type Ip, parseIp } from "../../net/ip.ts";
import type { Condition, Rule } from "../netfilter/rule.ts";
import type { Ruleset, RulesetChain } from "../netfilter/ruleset.ts";
import { clusterIpOf, type ServicePort } from "../services/services.ts";

/** Where connections to a cluster IP go; empty if they are refused or no rule knows it. */
export type UsualDelivery = ReadonlySet<string>;

export interface UsualRules {
  /** @returns undefined if something about the rules for this port is unusual */
  delivery(port: ServicePort): UsualDelivery | undefined;
  /** Whether the chain of a port marks for masquerading what comes to its cluster IP from others than Pods. */
  marksStrangers(port: ServicePort): boolean;
  /** Addresses of back ends on the node that may be given their own connections, where a set of the rules says so. */
  readonly hairpins?: ReadonlySet<string>;
  /** Whether rules outside kube-proxy's chains tell these two ports apart. */
  distinguishes(a: ServicePort, b: ServicePort): boolean;
}

const OWN = /^KUBE-/;
/** Conditions by which rules can tell one Service from another. */
const SPECIAL: ReadonlySet<Condition["is"]> = new Set([
  "destination",
  "destination-port",
  "any-port",
  "original-address",
  "original-port",
]);
/** Whether a rule has no other conditions than these, none of them negated; a bare `-m tcp` is none. */
const isOnly = (conditions: readonly Condition[], allowed: readonly Condition["is"][]) =>
  conditions.every((one) => one.is === "bare" || (allowed.includes(one.is) && !("not" in one && one.not)));

/** The rule that sends a port's packets to its chain: destination, protocol and port, and nothing else. */
function isDispatch({ conditions }: Rule, address: Ip, port: ServicePort): boolean {
  if (!isOnly(conditions, ["destination", "protocol", "comment", "destination-port"])) return false;
  return conditions.every((condition) => {
    if (condition.is === "destination")
      return condition.prefix.length === bitsOf(address.family) && condition.prefix.ip.value === address.value;
    if (condition.is === "protocol") return condition.protocol === port.protocol.toLowerCase();
    if (condition.is === "destination-port")
      return (
        condition.ports.length === 1 && condition.ports[0]!.from === port.port && condition.ports[0]!.to === port.port
      );
    return true;
  });
}

/** Whether a rule leaves the packets of a port alone, surely: it is for another address, protocol or port. */
function isForOthers({ conditions }: Rule, address: Ip, port: ServicePort): boolean {
  const protocol = port.protocol.toLowerCase();
  return conditions.some((condition) => {
    if ("not" in condition && condition.not) return false;
    if (condition.is === "destination") return !contains(condition.prefix, address);
    // by number it may be the same
    if (condition.is === "protocol") return /^[a-z]/.test(condition.protocol) && condition.protocol !== protocol;
    return (
      condition.is === "destination-port" && condition.ports.every(({ from, to }) => port.port < from || port.port > to)
    );
  });
}

/** The rule by which a back end that is given its own connection is masqueraded: for its address, and nothing else. */
const isHairpin = ({ conditions }: Rule, target: string): boolean =>
  isOnly(conditions, ["source", "comment"]) &&
  conditions.some(
    (one) =>
      one.is === "source" &&
      one.prefix.length === bitsOf(one.prefix.ip.family) &&
      target.startsWith(formatSocket(formatIp(one.prefix.ip), "")),
  );

/** What may stand in the rule that marks what others than Pods send to a cluster IP. */
const STRANGERS: ReadonlySet<Condition["is"]> = new Set([
  ...(["source", "in", "destination", "protocol", "comment", "destination-port", "bare"] as const),
]);

/** @param family that of the cluster IPs in question, and of the rule sets */
export function usualRules(rulesets: readonly Ruleset[], family: Family): UsualRules {
  const addressOf = ({ service }: ServicePort): Ip | undefined => parseIp(clusterIpOf(service, family) ?? "");
  const [only] = rulesets.filter(({ chains }) => chains.get("nat")?.has("KUBE-SERVICES"));
  const nat = rulesets.length > 0 && only ? only.chains.get("nat") : undefined;
  const dispatch = nat?.get("KUBE-SERVICES");
  const memo = new Map<string, UsualDelivery | undefined>();

  /** The DNATs at the end of a Service's chain; undefined if it is not built as kube-proxy builds it. */
  function targetsOf(name: string, protocol: string): UsualDelivery | undefined {
    const key = `${protocol} ${name}`;
    if (memo.has(key)) return memo.get(key);
    const targets = readTargets(nat?.get(name), protocol);
    memo.set(key, targets);
    return targets;
  }

  function readTargets(chain: RulesetChain | undefined, protocol: string): UsualDelivery | undefined {
    if (!chain || chain.isCut) return undefined;
    const targets = new Set<string>();
    let isClosed = false;
    for (const { conditions, target } of chain.rules) {
      if (target.does !== "jump") return undefined;
      if (target.chain === "KUBE-MARK-MASQ") continue;
      if (!isOnly(conditions, ["comment", "random", "recent"])) return undefined;
      const endpoint = endpointOf(nat?.get(target.chain), protocol);
      if (endpoint === undefined) return undefined;
      targets.add(endpoint);
      isClosed ||= isOnly(conditions, ["comment"]);
    }
    // without a last rule for all, some packets fall through
    return isClosed ? targets : undefined;
  }

  function endpointOf(chain: RulesetChain | undefined, protocol: string): string | undefined {
    const last = chain?.rules.at(-1);
    if (!chain || chain.isCut || last?.target.does !== "dnat") return undefined;
    if (!last.conditions.every((one) => one.is !== "protocol" || one.protocol === protocol)) return undefined;
    const { to } = last.target;
    const others = chain.rules.slice(0, -1);
    const isUsual =
      others.every(({ target }) => target.does === "jump" && target.chain === "KUBE-MARK-MASQ") &&
      others.some((rule) => isHairpin(rule, to));
    return isUsual && isOnly(last.conditions, ["protocol", "comment", "recent"]) ? last.target.to : undefined;
  }

  const specials = rulesets.flatMap(({ chains }) =>
    [...chains.values()].flatMap((table) =>
      [...table.values()]
        .filter(({ name }) => !OWN.test(name))
        .flatMap(({ rules }) =>
          rules.flatMap(({ conditions }) => conditions.filter((condition) => SPECIAL.has(condition.is))),
        ),
    ),
  );
  const special = [
    ...new Map(
      specials.map((condition) => [
        "prefix" in condition
          ? formatPrefix(condition.prefix)
          : JSON.stringify("ports" in condition ? condition.ports : ""),
        condition,
      ]),
    ).values(),
  ];
  const meets = (condition: Condition, port: ServicePort): boolean => {
    const address = addressOf(port);
    if ("prefix" in condition) return address !== undefined && contains(condition.prefix, address);
    return "ports" in condition && condition.ports.some(({ from, to }) => port.port >= from && port.port <= to);
  };

  return {
    distinguishes: (a, b) =>
      a.protocol !== b.protocol || special.some((condition) => meets(condition, a) !== meets(condition, b)),
    delivery(port) {
      const chain = chainOf(port);
      return chain === undefined ? undefined : targetsOf(chain, port.protocol.toLowerCase());
    },
    marksStrangers(port) {
      const chain = chainOf(port);
      const address = addressOf(port);
      const rules = chain === undefined || !address ? undefined : nat?.get(chain)?.rules;
      return (
        rules?.some(
          (rule) =>
            rule.target.does === "jump" &&
            rule.target.chain === "KUBE-MARK-MASQ" &&
            rule.conditions.every(({ is }) => STRANGERS.has(is)) &&
            !isForOthers(rule, address!, port),
        ) ?? false
      );
    },
  };

  /** The chain to which the rule for a port's cluster IP leads. */
  function chainOf(port: ServicePort): string | undefined {
    const address = addressOf(port);
    if (!dispatch || dispatch.isCut || !address || rulesets.length > 1) return undefined;
    const { rules, index } = dispatch;
    const positions = index
      ? [...(index.byDestination.get(address.value) ?? []), ...(index.byPort.get(port.port) ?? []), ...index.others]
      : [...rules.keys()];
    const mine = positions.filter((at) => isDispatch(rules[at]!, address, port));
    const [position = -1] = mine;
    const rule = rules[position];
    if (mine.length !== 1 || rule?.target.does !== "jump") return undefined;
    // a rule before it may take the packets away
    if (positions.some((at) => at < position && !isForOthers(rules[at]!, address, port))) return undefined;
    return rule.target.chain;
  }
}
