/**
 * Elimination: failures that no fault accounts for, where everything that they need was seen to work but for one thing
 * that nothing can observe: the network between the nodes, or the world outside.
 */
import type { Fault } from "../checks/check.ts";
import type { Evidence } from "../evidence/origin.ts";
import { type Capability, type CapabilityName, capabilityId } from "../model/capability.ts";
import { type Need, pair } from "../model/needs.ts";
import type { Observation } from "../model/observations.ts";
import { ref } from "../model/ref.ts";
import type { Tunnels } from "../model/tunnels.ts";
import { texts } from "../text.ts";
import type { CapabilitySet } from "./effect.ts";

/** What only elimination can show: no check finds it, nothing in a node's state tells. */
const UNOBSERVABLE: ReadonlySet<CapabilityName> = new Set([
  "underlay.carry",
  "underlay.carry-large",
  "node.reach",
  "outside.reach",
  "dns.upstream",
]);

/** These are of two nodes; of one node they stand for all pairs that it belongs to. */
const PAIRED: ReadonlySet<CapabilityName> = new Set(["underlay.carry", "underlay.carry-large", "node.reach"]);

const say = texts("elimination", {
  pairLost: {
    en: "Packets of Pods are lost between nodes {node} and {peer}, although both ends are right",
    zh: "节点 {node} 与 {peer} 之间的 Pod 报文丢失，而两端配置均正确",
  },
  nodeLost: {
    en: "Packets of Pods are lost between node {node} and every other node, although both ends are right",
    zh: "节点 {node} 与其他所有节点之间的 Pod 报文丢失，而各端配置均正确",
  },
  largeLost: {
    en: "Large packets are lost between nodes {node} and {peer}: small ones pass",
    zh: "节点 {node} 与 {peer} 之间的大报文丢失，小报文正常",
  },
  largeLostNode: {
    en: "Large packets are lost between node {node} and every other node: small ones pass",
    zh: "节点 {node} 与其他所有节点之间的大报文丢失，小报文正常",
  },
  nodeUnreachable: {
    en: "Nodes {node} and {peer} do not reach each other",
    zh: "节点 {node} 与 {peer} 互不可达",
  },
  nodeCutOff: {
    en: "Node {node} is cut off from the other nodes",
    zh: "节点 {node} 与其他节点之间不通",
  },
  outsideLost: {
    en: "Nothing outside the cluster answers node {node} and its Pods",
    zh: "节点 {node} 及其 Pod 无法访问集群外部",
  },
  upstreamLost: {
    en: "CoreDNS' upstream servers do not answer",
    zh: "CoreDNS 的上游服务器没有应答",
  },
});

/** What of a need is not known to work; alternatives that are known to work settle an "any". */
function doubts(need: Need, working: CapabilitySet): Capability[] {
  switch (need.is) {
    case "capability":
      return working.holds(need.of) ? [] : [need.of];
    case "all":
      return need.of.flatMap((part) => doubts(part, working));
    case "any":
      return need.of.flatMap((part) => doubts(part, working));
    case "perhaps":
      return doubts(need.of, working);
    default:
      return [];
  }
}

type Suspect = { readonly capability: Capability; readonly failures: readonly Observation[] };

/**
 * What each failure leaves of unobservable things, if it leaves one kind of them and nothing else. Those that leave one
 * thing say which it is; those that leave several (a Service with back ends on many nodes) belong to one that is suspected
 * already, or else to the only one that they all have in common.
 */
function suspectsOf(failures: readonly Observation[], working: CapabilitySet): Suspect[] {
  const left = failures.flatMap((failure) => {
    const open = new Map(doubts(failure.need, working).map((capability) => [capabilityId(capability), capability]));
    const names = new Set([...open.values()].map(({ name }) => name));
    return names.size === 1 && [...names].every((name) => UNOBSERVABLE.has(name)) ? [{ failure, open }] : [];
  });
  const suspects = new Map<string, { capability: Capability; failures: Observation[] }>();
  const blame = (id: string, capability: Capability, failure: Observation) => {
    const suspect = suspects.get(id);
    if (suspect) suspect.failures.push(failure);
    else suspects.set(id, { capability, failures: [failure] });
  };
  for (const { failure, open } of left) if (open.size === 1) blame(...[...open][0]!, failure);
  const unclear = left.filter(({ open }) => ![...open.keys()].some((id) => suspects.has(id)));
  const common = [...(unclear[0]?.open ?? [])].filter(([id]) => unclear.every(({ open }) => open.has(id)));
  if (common.length === 1) for (const { failure } of unclear) blame(...common[0]!, failure);
  return [...suspects.values()];
}

/**
 * The smallest set of ends that covers all failing pairs and no working one: a node if all pairs that it belongs to and
 * that were tested fail, and there is more than one; else the pair.
 */
function smallestEnds(suspects: readonly Suspect[], working: CapabilitySet, nodes: readonly string[]): Suspect[] {
  const rest = [...suspects];
  const merged: Suspect[] = [];
  for (const node of nodes) {
    const mine = rest.filter(({ capability }) => capability.node === node || capability.peer === node);
    const peers = new Set(mine.map(({ capability }) => (capability.node === node ? capability.peer : capability.node)));
    if (peers.size < 2) continue;
    const name = mine[0]!.capability.name;
    const worksSomewhere = nodes.some(
      (other) =>
        other !== node && working.holds(other < node ? { name, node: other, peer: node } : { name, node, peer: other }),
    );
    if (worksSomewhere) continue;
    merged.push({ capability: { name, node }, failures: [...new Set(mine.flatMap(({ failures }) => failures))] });
    for (const suspect of mine) rest.splice(rest.indexOf(suspect), 1);
  }
  return [...merged, ...rest];
}

function titleOf({ name, node = "", peer }: Capability) {
  switch (name) {
    case "underlay.carry-large":
      return peer === undefined ? say.largeLostNode({ node }) : say.largeLost({ node, peer });
    case "node.reach":
      return peer === undefined ? say.nodeCutOff({ node }) : say.nodeUnreachable({ node, peer });
    case "outside.reach":
      return say.outsideLost({ node });
    case "dns.upstream":
      return say.upstreamLost();
    default:
      return peer === undefined ? say.nodeLost({ node }) : say.pairLost({ node, peer });
  }
}

/** What a node pair's own tables show of encapsulated packets: seen where they were sent and not where they should arrive. */
function tunnelEvidence({ name, node, peer }: Capability, tunnels: Tunnels): Evidence[] | "acquitted" {
  if (name !== "underlay.carry" || node === undefined || peer === undefined) return [];
  const there = tunnels.flows(node, peer);
  const back = tunnels.flows(peer, node);
  if (there.state === "arrived" && back.state === "arrived") return "acquitted";
  return [...(there.state === "lost" ? there.evidence : []), ...(back.state === "lost" ? back.evidence : [])];
}

export function inferredFaults(
  failures: readonly Observation[],
  working: CapabilitySet,
  nodes: readonly string[],
  tunnels: Tunnels,
): readonly Fault[] {
  const suspects = smallestEnds(suspectsOf(failures, working), working, nodes);
  return suspects.flatMap(({ capability, failures: owned }) => {
    const seen = tunnelEvidence(capability, tunnels);
    if (seen === "acquitted") return [];
    const { name, node, peer } = capability;
    const isOfPairs = PAIRED.has(name) && node !== undefined && peer === undefined;
    const others = nodes.filter((other) => other !== node);
    return {
      outcome: "fault",
      check: capability.name.replace(".", "-"),
      repair: node === undefined ? ref("Cluster", "cluster") : ref("Node", node),
      related: peer === undefined ? [] : [ref("Node", peer)],
      nodes: [node, peer].filter((name) => name !== undefined),
      breaks: isOfPairs ? others.map((other) => ({ name, ...pair(node, other) })) : [capability],
      title: titleOf(capability),
      evidence: [...seen, ...owned.slice(0, 3).map(({ evidence }) => evidence)],
      // encapsulated packets that left one node and never reached the other are more than elimination
      strength: seen.length > 0 ? "differing" : "inferred",
      lost: false,
      facts: {},
    };
  });
}
