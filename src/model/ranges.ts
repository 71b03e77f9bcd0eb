/** The address ranges of the cluster, and where they get in each other's way. */
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { covers, formatPrefix, overlaps, type Prefix, parseIp, parsePrefix, prefixOf } from "../net/ip.ts";
import { parseKubeProxyConfig } from "../parse/kubernetes/kube-proxy-config.ts";
import type { Components } from "./components/components.ts";
import { flag } from "./components/flags.ts";
import type { Flannel } from "./flannel.ts";
import type { Nodes, NodeView } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import { type Ref, ref } from "./ref.ts";

export type Range = {
  readonly prefix: Prefix;
  readonly of: "node-pods" | "pod-network" | "services" | "nodes";
  /** Who says so. */
  readonly source: Ref;
  readonly evidence: Evidence;
};

export type RangeConflict = {
  readonly what: /** two nodes have overlapping Pod ranges */
    | "nodes-overlap"
    /** a node's Pod range lies outside the range that the network is configured for: another generation */
    | "outside-network"
    /** no node's Pod range lies in the range that the network is configured for: the network is the odd one */
    | "network-elsewhere"
    | "pods-services"
    | "pods-nodes";
  readonly a: Range;
  readonly b: Range;
  readonly nodes: readonly NodeView[];
};

export interface Ranges {
  readonly all: readonly Range[];
  readonly conflicts: readonly RangeConflict[];
  readonly podRanges: readonly Range[];
  readonly services: readonly Range[];
  /** Whether every Pod range of a node is known. */
  readonly whole: boolean;
}

function prefixesIn(list: string): Prefix[] {
  return list
    .split(",")
    .map((text) => parsePrefix(text.trim()))
    .filter((prefix) => prefix !== undefined);
}

function podNetworks(objects: Objects, components: Components, flannel: Flannel): Range[] {
  const ranges: Range[] = [];
  if (flannel.config && flannel.configMap) {
    for (const prefix of flannel.config.networks) {
      ranges.push({ prefix, of: "pod-network", source: flannel.configMap, evidence: flannel.config.evidence });
    }
  }
  for (const map of objects.all("configmaps")) {
    const config = map.data?.["config.conf"];
    if (map.metadata.name !== "kube-proxy" || !config) continue;
    const { clusterCIDR, detectLocalMode } = parseKubeProxyConfig(config).value;
    // in other modes it knows Pods by something else (cmd/kube-proxy/app/server_linux.go, getLocalDetectors)
    if (detectLocalMode && detectLocalMode !== "ClusterCIDR") continue;
    for (const prefix of prefixesIn(clusterCIDR ?? "")) {
      const evidence = objects.quote("configmaps", map, `config.conf: clusterCIDR: ${clusterCIDR}`);
      ranges.push({
        prefix,
        of: "pod-network",
        source: ref("ConfigMap", "kube-proxy", map.metadata.namespace),
        evidence,
      });
    }
  }
  for (const { value, evidence, source } of flag(components, "kube-controller-manager", "cluster-cidr")) {
    for (const prefix of prefixesIn(value)) ranges.push({ prefix, of: "pod-network", source, evidence });
  }
  return ranges;
}

/** Of whoever does not show the range, as managed clusters do not, the addresses that Services have. */
function serviceRanges(components: Components, objects: Objects): Range[] {
  const ranges = flag(components, "kube-apiserver", "service-cluster-ip-range").flatMap(({ value, evidence, source }) =>
    prefixesIn(value).map((prefix): Range => ({ prefix, of: "services", source, evidence })),
  );
  if (ranges.length > 0) return ranges;
  return objects.all("services").flatMap((service) =>
    (service.spec.clusterIPs ?? [service.spec.clusterIP]).flatMap((address): Range[] => {
      const ip = parseIp(address ?? "");
      if (!ip) return [];
      const { name, namespace } = service.metadata;
      const evidence = objects.quote("services", service, `Service ${namespace}/${name}: clusterIP ${address}`);
      const source = ref("Service", name, namespace);
      return [{ prefix: { ip, length: ip.family === 4 ? 32 : 128 }, of: "services", source, evidence }];
    }),
  );
}

/** The networks that nodes are attached to with the address by which they are known. */
function nodeNetworks(capture: Capture, nodes: Nodes): Range[] {
  return nodes.all.flatMap((node) => {
    const observed = capture.get("links", { node: node.name });
    return (known(observed) ?? []).flatMap((link) =>
      link.addresses
        .filter(({ local }) => node.addresses.includes(local))
        .flatMap(({ local, prefixLength }): Range[] => {
          const ip = parseIp(local);
          if (!ip) return [];
          const prefix = prefixOf(ip, prefixLength);
          return [
            {
              prefix,
              of: "nodes",
              source: node.ref,
              evidence: quoteOf(observed.origin, `${link.name} ${local}/${prefixLength}`),
            },
          ];
        }),
    );
  });
}

export function rangesOf(
  capture: Capture,
  objects: Objects,
  nodes: Nodes,
  components: Components,
  flannel: Flannel,
): Ranges {
  const nodePods = nodes.all.flatMap((node) =>
    node.podRanges.map(
      (prefix): Range => ({
        prefix,
        of: "node-pods",
        source: node.ref,
        evidence: objects.quote("nodes", node.object!, `Node ${node.name}: podCIDR ${formatPrefix(prefix)}`),
      }),
    ),
  );
  const networks = podNetworks(objects, components, flannel);
  const services = serviceRanges(components, objects);
  const attached = nodeNetworks(capture, nodes);
  const viewOf = (range: Range) => nodes.get(range.source.name);
  const nodesOf = (...ranges: Range[]) => ranges.map(viewOf).filter((node) => node !== undefined);

  const conflicts: RangeConflict[] = [];
  const add = (what: RangeConflict["what"], a: Range, b: Range) => conflicts.push({ what, a, b, nodes: nodesOf(a, b) });

  // sorted by address, ranges that overlap are neighbours (prefixes are nested or disjoint)
  const sorted = [...nodePods].sort((a, b) => compare(a.prefix, b.prefix));
  for (const [index, range] of sorted.entries()) {
    for (let next = index + 1; next < sorted.length && overlaps(range.prefix, sorted[next]!.prefix); next++) {
      if (range.source.name !== sorted[next]!.source.name) add("nodes-overlap", range, sorted[next]!);
    }
  }
  const flannelNetworks = networks.filter(({ source }) => source === flannel.configMap);
  for (const network of flannelNetworks) {
    const { family } = network.prefix.ip;
    const mine = nodePods.filter(({ prefix, source }) => prefix.ip.family === family && flannel.peer(source.name));
    const outside = mine.filter(({ prefix }) => !covers(network.prefix, prefix));
    if (mine.length > 1 && outside.length === mine.length)
      conflicts.push({ what: "network-elsewhere", a: network, b: outside[0]!, nodes: nodesOf(...outside) });
    else for (const range of outside) add("outside-network", range, network);
  }
  const [amongNodes, amongNetworks] = [finderOf(nodePods), finderOf(flannelNetworks)];
  for (const service of services) {
    const clash = amongNodes(service.prefix) ?? amongNetworks(service.prefix);
    if (clash) add("pods-services", clash, service);
  }
  for (const range of nodePods) {
    const clash = attached.find(
      ({ prefix, evidence: { origin } }) => overlaps(prefix, range.prefix) && origin.node !== undefined,
    );
    if (clash) add("pods-nodes", range, clash);
  }
  return {
    all: [...nodePods, ...networks, ...services, ...attached],
    conflicts,
    podRanges: nodePods,
    services,
    whole: objects.isWhole("nodes"),
  };
}

/** Finds the first of many ranges that shares an address with a prefix. */
function finderOf(ranges: readonly Range[]): (prefix: Prefix) => Range | undefined {
  const keyOf = ({ ip, length }: Prefix) => `${ip.family} ${ip.value}/${length}`;
  const byKey = new Map(ranges.map((range) => [keyOf(range.prefix), range]));
  const lengths = [...new Set(ranges.map(({ prefix }) => prefix.length))];
  return (prefix) => {
    // those that hold it are found by their length, those that it holds one by one
    for (const length of lengths.filter((one) => one <= prefix.length)) {
      const found = byKey.get(keyOf(prefixOf(prefix.ip, length)));
      if (found) return found;
    }
    const isHost = prefix.length === (prefix.ip.family === 4 ? 32 : 128);
    return isHost ? undefined : ranges.find((range) => covers(prefix, range.prefix));
  };
}

function compare(a: Prefix, b: Prefix): number {
  if (a.ip.family !== b.ip.family) return a.ip.family - b.ip.family;
  if (a.ip.value !== b.ip.value) return a.ip.value < b.ip.value ? -1 : 1;
  return a.length - b.length;
}
