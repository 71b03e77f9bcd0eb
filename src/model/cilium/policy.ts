/**
 * What an endpoint's policy says of a new connection (bpf/lib/policy.h: policy_can_access).
 *
 * The policy map is looked up by identity, protocol and port, each of which an entry may leave open; what denies outranks
 * what allows. The agent prints the entries for all ports as lists of identities, the others as rules with selectors,
 * which are joined here with the labels of the identities.
 */
import { isWhole, known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import type { CiliumEndpoint, CiliumPeer, CiliumRule } from "../../parse/cilium/endpoints.ts";
import type { IdentityRequirement } from "../../parse/selectors/cilium.ts";
import type { CiliumKind, CiliumNode } from "./cilium.ts";

export type CiliumVerdict =
  | { readonly is: "allowed"; readonly evidence: readonly Evidence[] }
  | { readonly is: "denied"; readonly evidence: readonly Evidence[] }
  | { readonly is: "unknown"; readonly missing: readonly CiliumKind[]; readonly because: string };

export type Asked = {
  readonly direction: "ingress" | "egress";
  /** Of the other end. */
  readonly identity: number;
  /** Lower-case; of ICMP, `port` is the type. */
  readonly protocol: string;
  readonly port: number | undefined;
};

type Answer = boolean | "unknown";

export function policyVerdict(node: CiliumNode, endpoint: CiliumEndpoint, asked: Asked): CiliumVerdict {
  const unknown = (because: string, ...missing: readonly CiliumKind[]): CiliumVerdict => ({
    is: "unknown",
    missing,
    because,
  });
  const policy = endpoint.policy?.[asked.direction];
  if (!policy) return unknown("the policy of an endpoint", "ciliumEndpoints");
  const name = endpoint.pod ?? `endpoint ${endpoint.id}`;
  const evidence = (words: string) => [
    node.quoteEndpoint(endpoint, `${name} ${asked.direction}: ${words}; asked for identity ${asked.identity}`),
  ];
  if (endpoint.audits) return { is: "allowed", evidence: evidence("policy audit mode") };
  const { allowed, denied } = policy;
  if (denied.includes(0) || denied.includes(asked.identity))
    return { is: "denied", evidence: evidence(`denied-${asked.direction}-identities [${denied.join(", ")}]`) };
  const rules = policy.rules.filter((rule) => rule.port !== 0 || rule.protocol !== "ANY");
  const relevant = rules.filter((rule) => concerns(rule, asked));
  const peers = relevant.flatMap((rule) => rule.peers.map((peer) => ({ rule, peer, means: means(node, peer, asked) })));
  const of = (action: CiliumPeer["action"], answer: Answer) =>
    peers.find(({ peer, means: one }) => peer.action === action && one === answer);
  const words = ({ rule }: { readonly rule: CiliumRule }) =>
    `${rule.port}/${rule.protocol} by ${rule.from.join(", ") || "a rule"}`;
  const denies = of("deny", true);
  if (denies) return { is: "denied", evidence: evidence(`denied ${words(denies)}`) };
  if (of("deny", "unknown")) return unknown("whom a rule means", "ciliumIdentities");
  const list = `allowed-${asked.direction}-identities [${allowed.join(", ")}]`;
  if (allowed.includes(0) || allowed.includes(asked.identity)) {
    // an entry for all ports of one protocol is printed in the same list
    const isDoubtful = rules.some(
      (rule) => rule.port === 0 && !isFor(rule, asked) && rule.peers.some((peer) => means(node, peer, asked) !== false),
    );
    if (!isDoubtful) return { is: "allowed", evidence: evidence(list) };
    return unknown("for which protocols an identity is allowed", "ciliumEndpoints");
  }
  const proxied = of("other", true);
  if (proxied) return unknown("Cilium's proxy, or authentication");
  const allows = of("allow", true);
  if (allows) return { is: "allowed", evidence: evidence(words(allows)) };
  if (peers.some(({ means: one }) => one === "unknown")) return unknown("whom a rule means", "ciliumIdentities");
  if (policy.unreadable || !isWhole(node.endpoints)) return unknown("the policy of an endpoint", "ciliumEndpoints");
  const others = rules.map((rule) => `${rule.port}/${rule.protocol}`).join(", ");
  return { is: "denied", evidence: evidence(`${list}${others === "" ? "" : `, others by port: ${others}`}`) };
}

const isFor = ({ protocol }: CiliumRule, asked: Asked): boolean =>
  protocol === "ANY" || protocol.toLowerCase() === asked.protocol;

function concerns(rule: CiliumRule, asked: Asked): boolean {
  const { port, endPort } = rule;
  if (!isFor(rule, asked)) return false;
  return port === 0 || (asked.port !== undefined && asked.port >= port && asked.port <= (endPort ?? port));
}

function means({ identities }: CiliumNode, { requirements }: CiliumPeer, { identity }: Asked): Answer {
  if (!requirements) return "unknown";
  if (requirements.length === 0) return true;
  const labels = known(identities)?.find(({ id }) => id === identity)?.labels;
  return labels ? requirements.every((requirement) => meets(requirement, labels)) : "unknown";
}

const LABEL = /^([^:]*):([^=]*)=?(.*)$/;

/** Labels are `source:key=value`; a requirement's key begins with the source, or with `any`. */
function meets({ key, operator, values }: IdentityRequirement, labels: readonly string[]): boolean {
  const dot = key.indexOf(".");
  const source = key.slice(0, dot);
  const name = key.slice(dot + 1);
  const found = labels.flatMap((label) => {
    const [, from = "", labelName = "", value = ""] = LABEL.exec(label) ?? [];
    return labelName === name && (source === "any" || source === from) ? [value] : [];
  });
  switch (operator) {
    case "In":
      return found.some((value) => values.includes(value));
    case "NotIn":
      return !found.some((value) => values.includes(value));
    case "Exists":
      return found.length > 0;
    case "DoesNotExist":
      return found.length === 0;
  }
}
