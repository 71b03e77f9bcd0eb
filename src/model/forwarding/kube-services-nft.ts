/**
 * The short cut of `kube-services.ts` through what kube-proxy writes in nftables mode: the element of the map service-ips, its
 * chain, the addresses in it. Whatever is unusual is not judged here, and is walked instead.
 *
 * Source: kubernetes pkg/proxy/nftables/proxier.go, writeServiceToEndpointRules and syncProxyRules. Until 1.33 each endpoint has
 * a chain; later only those of Services with session affinity, and the others are in a map of their Service's rule.
 */
import { contains, type Family, formatSocket, parseIp } from "../../net/ip.ts";
import type { NftElement, NftExpression, NftRule, NftStatement, NftTable } from "../../parse/nftables/json.ts";
import type { Condition } from "../netfilter/rule.ts";
import type { Ruleset } from "../netfilter/ruleset.ts";
import { clusterIpOf, type ServicePort } from "../services/services.ts";
import type { UsualDelivery, UsualRules } from "./kube-services.ts";

/** Whether a table is kube-proxy's, with its rules. */
export const isOfKubeProxy = ({ family, name, chains }: Pick<NftTable, "family" | "name" | "chains">): boolean =>
  (family === "ip" || family === "ip6") &&
  name === "kube-proxy" &&
  chains.some((chain) => chain.name === "services" && chain.rules.length > 0);

const MARKING = "mark-for-masquerade";

const keyOf = (address: NftExpression, protocol: NftExpression, port: NftExpression): string =>
  `${String(address)} ${String(protocol)} ${String(port)}`;

/** Chains for one Service or endpoint have a slash in their name; the others serve all. */
const isOfOne = (chain: string): boolean => chain.includes("/");

/** @param family that of the cluster IPs in question, and of the rule sets */
export function usualNftRules(rulesets: readonly Ruleset[], family: Family): UsualRules {
  const own = family === 4 ? "ip" : "ip6";
  const table = rulesets.find(({ nft }) => nft?.family === own && isOfKubeProxy(nft))?.nft;
  const chains = new Map((table?.chains ?? []).map((chain) => [chain.name, chain]));
  const services = elementsOf(table, "service-ips");
  const firewalled = elementsOf(table, "firewall-ips");
  const known = new Set((table?.sets ?? []).map(({ name }) => name));
  const hairpins = addressesIn(table, "hairpin-connections");
  const memo = new Map<string, UsualDelivery | undefined>();

  function targetsOf(name: string, protocol: string): UsualDelivery | undefined {
    const key = `${protocol} ${name}`;
    if (!memo.has(key)) memo.set(key, readTargets(name, protocol));
    return memo.get(key);
  }

  /** The back ends of a Service's chain: one last rule that chooses among them, after rules that mark or remember clients. */
  function readTargets(name: string, protocol: string): UsualDelivery | undefined {
    const chain = chains.get(name);
    const last = chain?.rules.at(-1);
    if (!chain || chain.isCut || !last) return undefined;
    const remembered: (string | undefined)[] = [];
    for (const rule of chain.rules.slice(0, -1)) {
      const to = rememberedBy(rule, known);
      if (to) remembered.push(endpointOf(to, protocol));
      else if (!isMarking(rule)) return undefined;
    }
    const targets = readChoice(last, protocol);
    // a client that comes again comes to one of the same
    return targets && remembered.every((to) => to !== undefined && targets.has(to)) ? targets : undefined;
  }

  function readChoice({ statements }: NftRule, protocol: string): UsualDelivery | undefined {
    const [first, second, ...others] = statements;
    if (others.length > 0 || !first) return undefined;
    if (first.does === "vmap" && !second) return chosen(first.key, first.data, (data) => endpointOf(data, protocol));
    if (!isProtocol(first, protocol) || second?.does !== "dnat" || second.port !== undefined) return undefined;
    const { address } = second;
    if (typeof address !== "object" || address.is !== "map") return undefined;
    return chosen(address.key, address.data, socketOf);
  }

  /** `numgen random mod N` and N elements from 0 on: every packet has one. */
  function chosen(
    key: NftExpression,
    data: NftExpression,
    read: (data: NftExpression | undefined) => string | undefined,
  ): UsualDelivery | undefined {
    if (typeof key !== "object" || key.is !== "numgen" || key.offset !== 0) return undefined;
    if (typeof data !== "object" || data.is !== "set" || data.elements.length !== key.mod) return undefined;
    const { mod } = key;
    const numbers = new Set<number>();
    const targets = new Set<string>();
    for (const { key: number, data: to } of data.elements) {
      const target = read(to);
      if (target === undefined || typeof number !== "number" || !Number.isInteger(number)) return undefined;
      if (number < 0 || number >= mod) return undefined;
      numbers.add(number);
      targets.add(target);
    }
    return numbers.size === mod ? targets : undefined;
  }

  function endpointOf(data: NftExpression | undefined, protocol: string): string | undefined {
    if (typeof data !== "object" || data.is !== "goto") return undefined;
    const chain = chains.get(data.chain);
    const last = chain?.rules.at(-1);
    if (!chain || chain.isCut || !last) return undefined;
    const before = chain.rules.slice(0, -1);
    if (!before.every((rule) => isMarking(rule) || isUpdating(rule))) return undefined;
    const [first, second, ...others] = last.statements;
    if (others.length > 0 || !first || !isProtocol(first, protocol) || second?.does !== "dnat") return undefined;
    const { address, port } = second;
    if (typeof address !== "string" || !(hairpins || before.some((rule) => isHairpin(rule, address)))) return undefined;
    return typeof port === "number" ? formatSocket(address, port) : undefined;
  }

  const special = specialConditions(rulesets, table, family);
  const meets = (condition: Condition, port: ServicePort): boolean => {
    const address = parseIp(clusterIpOf(port.service, family) ?? "");
    if ("prefix" in condition) return address !== undefined && contains(condition.prefix, address);
    return "ports" in condition && condition.ports.some(({ from, to }) => port.port >= from && port.port <= to);
  };

  return {
    ...(hairpins && { hairpins }),
    distinguishes: (a, b) =>
      special === "unknown" ||
      a.protocol !== b.protocol ||
      special.some((condition) => meets(condition, a) !== meets(condition, b)),
    marksStrangers(port) {
      const address = clusterIpOf(port.service, family);
      const data = services?.get(keyOf(address ?? "", port.protocol.toLowerCase(), port.port))?.data;
      const rules = typeof data === "object" && data.is === "goto" ? chains.get(data.chain)?.rules : undefined;
      return rules?.some(isMarking) ?? false;
    },
    delivery(port) {
      const address = clusterIpOf(port.service, family);
      if (!table || !services || !firewalled || address === undefined) return undefined;
      const protocol = port.protocol.toLowerCase();
      const key = keyOf(address, protocol, port.port);
      const data = services.get(key)?.data;
      if (firewalled.has(key) || typeof data !== "object" || data.is !== "goto") return undefined;
      return targetsOf(data.chain, protocol);
    },
  };
}

/** The addresses that the elements of a set name; undefined if there is no such set. */
function addressesIn(table: NftTable | undefined, name: string): ReadonlySet<string> | undefined {
  const set = table?.sets.find((one) => one.name === name);
  return (
    set &&
    new Set(
      set.elements.flatMap(({ key }) =>
        (typeof key === "object" && key.is === "concat" ? key.of : [key]).filter((part) => typeof part === "string"),
      ),
    )
  );
}

/** The elements of a map by address, protocol and port; undefined if it is none that kube-proxy makes. */
function elementsOf(table: NftTable | undefined, name: string): ReadonlyMap<string, NftElement> | undefined {
  const set = table?.sets.find((one) => one.name === name);
  if (!set || set.isPartial) return undefined;
  const byKey = new Map<string, NftElement>();
  for (const element of set.elements) {
    const { key } = element;
    const [address, protocol, port] = typeof key === "object" && key.is === "concat" ? key.of : [];
    if (address === undefined || protocol === undefined || port === undefined) return undefined;
    if (typeof address === "object" || typeof protocol === "object" || typeof port === "object") return undefined;
    byKey.set(keyOf(address, protocol, port), element);
  }
  return byKey;
}

/** `… jump mark-for-masquerade`, whatever it asks; since 1.34 `… mark set mark or 0x4000`. */
function isMarking({ statements }: NftRule): boolean {
  const last = statements.at(-1);
  if (!statements.slice(0, -1).every(({ does }) => does === "match") || !last) return false;
  return (
    (last.does === "verdict" && last.verdict.is === "jump" && last.verdict.chain === MARKING) ||
    (last.does === "mangle" && typeof last.key === "object" && last.key.is === "meta" && last.key.key === "mark")
  );
}

/** `ip saddr ADDRESS jump mark-for-masquerade` */
function isHairpin(rule: NftRule, address: string): boolean {
  const [match, , ...others] = rule.statements;
  if (!isMarking(rule) || others.length > 0 || match?.does !== "match" || match.op !== "==") return false;
  const { left, right } = match;
  return typeof left === "object" && left.is === "payload" && left.field === "saddr" && right === address;
}

/** `update @affinity-… { ip saddr }` */
const isUpdating = ({ statements }: NftRule): boolean => statements.every(({ does }) => does === "set");

/** `ip saddr @affinity-… goto endpoint-…`: where it goes to. */
function rememberedBy({ statements }: NftRule, sets: ReadonlySet<string>): NftExpression | undefined {
  const [match, verdict, ...others] = statements;
  const isAffinity =
    others.length === 0 &&
    match?.does === "match" &&
    typeof match.right === "object" &&
    match.right.is === "named" &&
    match.right.name.startsWith("affinity-") &&
    sets.has(match.right.name);
  return isAffinity && verdict?.does === "verdict" && verdict.verdict.is === "goto" ? verdict.verdict : undefined;
}

function isProtocol(statement: NftStatement, protocol: string): boolean {
  if (statement.does !== "match" || statement.op !== "==") return false;
  const { left, right } = statement;
  return typeof left === "object" && left.is === "meta" && left.key === "l4proto" && right === protocol;
}

/** `addr . port` */
function socketOf(data: NftExpression | undefined): string | undefined {
  if (typeof data !== "object" || data.is !== "concat") return undefined;
  const [address, port, ...others] = data.of;
  return others.length === 0 && typeof address === "string" && typeof port === "number"
    ? formatSocket(address, port)
    : undefined;
}

const SPECIAL: ReadonlySet<string> = new Set([
  ...["destination", "destination-port", "any-port", "original-address", "original-port"],
]);

/**
 * Conditions outside the chains of single Services by which rules can tell one Service from another; "unknown" if there are
 * some that we do not look into. kube-proxy's own sets and maps, looked up in chains for all, are looked at by `delivery`.
 */
function specialConditions(
  rulesets: readonly Ruleset[],
  own: NftTable | undefined,
  family: Family,
): readonly Condition[] | "unknown" {
  const found: Condition[] = [];
  for (const { chains, nft, layer = "ip", families } of rulesets) {
    if (layer !== "ip" || !families.includes(family)) continue;
    for (const table of chains.values()) {
      for (const chain of table.values()) {
        // rules are read when they are asked for
        if (nft === own && nft && isOfOne(chain.name)) continue;
        for (const rule of chain.rules) {
          for (let part: typeof rule.then | typeof rule = rule; part; part = part.then) {
            for (const condition of part.conditions) {
              if (SPECIAL.has(condition.is)) found.push(condition);
              else if (condition.is === "compare" && !(nft === own && isOwnSet(condition.match.right))) {
                if (asksDestination(condition.match.left)) return "unknown";
              } else if (condition.is === "set" && condition.sides.includes("destination")) return "unknown";
            }
            const { target } = part;
            if (target.does === "vmap" && !(nft === own && isOwnSet(target.data)) && asksDestination(target.key))
              return "unknown";
          }
        }
      }
    }
  }
  return found;
}

const OWN_SETS: ReadonlySet<string> = new Set([
  ...["cluster-ips", "nodeport-ips", "hairpin-connections", "service-ips", "service-nodeports"],
  ...["firewall-ips", "no-endpoint-services", "no-endpoint-nodeports"],
]);
const isOwnSet = (data: NftExpression): boolean =>
  typeof data === "object" && data.is === "named" && OWN_SETS.has(data.name);

/** Whether an expression is of what tells Services apart: where the packet goes. */
function asksDestination(expression: NftExpression): boolean {
  if (typeof expression !== "object") return false;
  switch (expression.is) {
    case "payload":
      return expression.field === "daddr" || expression.field === "dport";
    case "concat":
    case "binary":
      return expression.of.some(asksDestination);
    case "map":
      return asksDestination(expression.key);
    case "ct":
      return expression.direction !== undefined;
    case "unknown":
    case "hash":
      return true;
    default:
      return false;
  }
}
