/** Connections of Pods to what is outside the cluster, as nodes' connection tracking shows them. */
import { type Evidence, type Origin, quoteOf } from "../evidence/origin.ts";
import { contains, type Ip, type Prefix, parseIp, parsePrefix } from "../net/ip.ts";
import type { ConntrackEntry } from "../parse/conntrack/entries.ts";
import type { Nodes, NodeView } from "./nodes.ts";
import type { Services } from "./services/services.ts";

type Parts = { readonly nodes: Nodes; readonly services: Services };

/** Addresses that no router passes on: loopback, link-local, multicast. */
const NOWHERE = ["127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"].map(
  (text) => parsePrefix(text)!,
);

/** So many connections without an answer are no accident. */
export const ENOUGH_LEAVING = 3;

/** Connections that Pods of a node opened to the outside and that left with the Pods' addresses. */
export type Leaving = { readonly answered: readonly ConntrackEntry[]; readonly unanswered: readonly ConntrackEntry[] };

/** The entry was not given another source: answers come to whoever sent it. */
const keepsSource = ({ original, reply }: ConntrackEntry): boolean => original.source === reply.destination;

/** @param ranges the addresses of its Pods */
export function leavingFrom(
  node: NodeView,
  ranges: readonly Prefix[],
  inside: (ip: Ip) => boolean,
  entries: readonly ConntrackEntry[],
): Leaving {
  const isOfPod = (text: string) => {
    const ip = parseIp(text);
    return ip !== undefined && ranges.some((range) => contains(range, ip));
  };
  const toOutside = entries.filter((entry) => {
    const to = parseIp(entry.reply.source);
    return to !== undefined && keepsSource(entry) && !inside(to) && !NOWHERE.some((range) => contains(range, to));
  });
  // what does not answer the node either says nothing of the Pods' addresses
  const byNode = toOutside.filter(({ original }) => node.addresses.includes(original.source));
  const deaf = new Set(byNode.map(({ reply }) => reply.source));
  for (const { replied, reply } of byNode) if (replied) deaf.delete(reply.source);
  const byPods = toOutside.filter(({ original }) => isOfPod(original.source));
  return {
    answered: byPods.filter(({ replied }) => replied),
    unanswered: byPods.filter(({ replied, reply }) => !replied && !deaf.has(reply.source)),
  };
}

/** @param pods ranges of Pods @returns whether an address is of a node, a Pod or a Service */
export function insideOf({ nodes, services }: Parts, pods: readonly Prefix[]): (ip: Ip) => boolean {
  const ranges = [...pods, ...nodes.all.flatMap(({ podRanges }) => podRanges)];
  const addresses = new Set<string | number | bigint>(
    [...nodes.all.flatMap((node) => node.addresses), ...services.all.flatMap(({ clusterIps }) => clusterIps)].flatMap(
      (text) => parseIp(text)?.value ?? [],
    ),
  );
  return (ip) => addresses.has(ip.value) || ranges.some((range) => contains(range, ip));
}

export function quoteUnanswered({ line, protocol, original, reply }: ConntrackEntry, origin: Origin): Evidence {
  const { source, destination, destinationPort } = original;
  const words = `${protocol} src=${source} dst=${destination} dport=${destinationPort ?? 0} [UNREPLIED] src=${reply.source} dst=${reply.destination}`;
  return quoteOf({ ...origin, line }, words);
}
