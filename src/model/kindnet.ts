/**
 * What kindnet should have written on each node, and what is there.
 *
 * Source: kubernetes-sigs/kind images/kindnetd/cmd/kindnetd/{main,routes,masq}.go: to the range of every other node a route by
 * that node's address, looked after every ten seconds, and no tunnel; whatever leaves the cluster's ranges is masqueraded.
 */
import type { Evidence } from "../evidence/origin.ts";
import { type Family, formatIp, formatPrefix } from "../net/ip.ts";
import type { Component, Components } from "./components/components.ts";
import type { Forwarding } from "./forwarding/plane.ts";
import type { Nodes, NodeView } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import { refId } from "./ref.ts";
import { directPath, entriesOf, type OverlayPath, type OverlayPeer } from "./tunnels/overlay.ts";

export interface Kindnet {
  /** Its DaemonSet, where it connects this node's Pods. */
  agentOn(node: string): Component | undefined;
  /** From a node to every other one that has a range of the family. */
  paths(node: string, family: Family): readonly OverlayPath[];
  /** Of a node on which it runs: that it masquerades what leaves the cluster, as it cannot be told not to. */
  masquerades(node: string): Evidence | undefined;
}

type Parts = {
  readonly objects: Objects;
  readonly nodes: Nodes;
  readonly components: Components;
  readonly forwarding: Forwarding;
};

function peerOf(node: NodeView, family: Family, objects: Objects): OverlayPeer | undefined {
  const range = node.podRanges.find(({ ip }) => ip.family === family);
  const own = node.ips[family];
  if (!node.object || !range || !own) return undefined;
  const publicIp = formatIp(own);
  const words = `Node ${node.name}: podCIDR ${formatPrefix(range)}, InternalIP ${publicIp}`;
  const evidence = objects.quote("nodes", node.object, words);
  return { node, family, range, backend: "host-gw", publicIp, gateway: publicIp, evidence };
}

export function kindnetOf({ objects, nodes, components, forwarding }: Parts): Kindnet {
  const agentOn = (node: string) =>
    components.byId("kindnet").find(({ belongsOn, leftBehind }) => leftBehind || belongsOn(node) === true);
  const peersOf = (family: Family) => nodes.all.flatMap((node) => peerOf(node, family, objects) ?? []);
  const peers = { 4: peersOf(4), 6: peersOf(6) };
  return {
    agentOn,
    paths(name, family) {
      const own = peers[family].find(({ node }) => node.name === name);
      if (!agentOn(name) || !own) return [];
      const plane = forwarding.of(name);
      const entries = entriesOf(plane, "", new Set(peers[family].map(({ range }) => range.length)), family);
      return peers[family].filter((peer) => peer !== own).map((peer) => directPath(peer, entries));
    },
    masquerades(node) {
      const agent = agentOn(node);
      const pod = agent?.pods.find((one) => one.node === node && one.ready);
      return pod && objects.quote("pods", pod.object, `${refId(agent!.ref)}: ${pod.key} is ready on ${node}`);
    },
  };
}
