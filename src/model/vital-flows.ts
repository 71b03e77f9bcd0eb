/**
 * What the cluster's network is made of, as flows through a node's packet filter: between Pods, through the tunnels, to the
 * API server, to cluster DNS, and the kubelet's to its Pods.
 */
import { known } from "../evidence/observed.ts";
import { contains, type Family, type Ip, type Prefix, parseIp } from "../net/ip.ts";
import { splitPort } from "../parse/fields.ts";
import type { Link } from "../parse/iproute2/addr.ts";
import { tunnelDevice } from "./flannel.ts";
import type { Flow } from "./forwarding/packet-filter.ts";
import { lookupRoute } from "./forwarding/routing.ts";
import type { ClusterModel } from "./model.ts";
import { addressesNamedBy, mayDrop } from "./netfilter/named-addresses.ts";
import type { Hook } from "./netfilter/ruleset.ts";
import type { NodeView } from "./nodes.ts";
import { ipOf, type PodView } from "./pods.ts";

export type VitalFlow = {
  readonly kind:
    | "to-pods"
    | "from-pods"
    | "pods-out"
    | "tunnel-in"
    | "tunnel-out"
    | "to-own-pods"
    | "dns"
    | "dns-upstream"
    | "api-in"
    | "api-from-pods"
    | "api-from-node";
  /** The other node, of flows between two. */
  readonly peer?: string;
  /** Those of the node that it passes. */
  readonly hooks: readonly Hook[];
  readonly flow: Flow;
};

type Parts = Pick<
  ClusterModel,
  "nodes" | "pods" | "forwarding" | "flannel" | "calico" | "cilium" | "policies" | "services" | "dns"
>;

/** Chains by which NetworkPolicies are enforced: what they drop is judged where policies are. */
export const POLICY_CHAINS = /^(KUBE-(ROUTER|NWPLCY|POD-FW)|cali-|WEAVE-NPC|AZURE-NPM|CILIUM_|ANTREA)/;

const FORWARDED = ["ingress", "prerouting", "forward", "postrouting", "egress"] as const;
const RECEIVED = ["ingress", "prerouting", "input"] as const;
const SENT = ["output", "postrouting", "egress"] as const;

/** Prefixes that rules which drop name: only peers in them can fare differently from the others. */
function namedByDrops(node: string, family: Family, { forwarding }: Parts): Prefix[] {
  const plane = forwarding.of(node);
  const named: Prefix[] = [];
  for (const { name: table, chains } of known(plane[family === 4 ? "iptables" : "ip6tables"])?.tables ?? []) {
    // the longest, and nothing is dropped in it
    if (table === "nat") continue;
    for (const { name, rules } of chains) {
      for (const { target, conditions } of rules) {
        if ((target.does !== "drop" && target.does !== "reject") || POLICY_CHAINS.test(name)) continue;
        for (const one of conditions) if (one.is === "source" || one.is === "destination") named.push(one.prefix);
      }
    }
  }
  for (const { nft, name: ruleset, chains } of plane.filter.rulesetsFor(family)) {
    if (!nft || ruleset.endsWith(" kube-proxy")) continue;
    for (const byName of chains.values())
      for (const { name, rules } of byName.values())
        if (!POLICY_CHAINS.test(name))
          for (const rule of rules) if (mayDrop(rule)) named.push(...addressesNamedBy(rule));
  }
  return named;
}

/** Other nodes that stand for all: a few, and each that a dropping rule names. */
function peersFor(node: NodeView, family: Family, parts: Parts): NodeView[] {
  const others = parts.nodes.all.filter((other) => other !== node && other.ips[family]);
  if (others.length <= 8) return others;
  const named = namedByDrops(node.name, family, parts).filter(({ length }) => length > 0);
  const isNamed = ({ ips, podRanges }: NodeView) => {
    const own = ips[family]!;
    return named.some((prefix) => contains(prefix, own) || podRanges.some((range) => contains(prefix, range.ip)));
  };
  return [...new Set([...others.slice(0, 3), ...others.filter(isNamed).slice(0, 50)])];
}

/** A Pod of a node that no policy isolates, so that only the node's own filter decides. */
function freePod(node: string, family: Family, { pods, policies }: Parts): PodView | undefined {
  return pods
    .onNode(node)
    .find(
      (pod) =>
        !pod.hostNetwork &&
        !pod.finished &&
        ipOf(pod, family) &&
        !policies.isolates(pod, "ingress") &&
        !policies.isolates(pod, "egress"),
    );
}

/** The device by which a node sends to an address, as its routes say: Calico has one for each Pod. */
function deviceTo(ip: Ip, node: NodeView, { forwarding }: Parts): string | undefined {
  const lookup = lookupRoute(forwarding.of(node.name), { destination: ip });
  return lookup.end === "via" ? lookup.hops[0]?.device : undefined;
}

function linkWith(node: NodeView, { forwarding }: Parts, isMeant: (link: Link) => boolean): string | undefined {
  return known(forwarding.of(node.name).links)?.find(isMeant)?.name;
}

/** The device through which Pods of a node are reached: the CNI's bridge, or what the route to a Pod names. */
function podDevice(node: NodeView, pod: Ip, parts: Parts): string | undefined {
  const range = node.podRanges.find(({ ip }) => ip.family === pod.family);
  const isBridge = ({ kind, addresses }: Link) =>
    kind === "bridge" &&
    range !== undefined &&
    addresses.some(({ local }) => {
      const ip = parseIp(local);
      return ip !== undefined && contains(range, ip);
    });
  const named = linkWith(node, parts, isBridge) ?? deviceTo(pod, node, parts);
  return named ?? (parts.flannel.peer(node.name, pod.family) ? "cni0" : undefined);
}

/** The device by which a node is known to the others. */
const uplinkOf = (node: NodeView, parts: Parts): string =>
  linkWith(node, parts, ({ addresses }) => addresses.some(({ local }) => node.addresses.includes(local))) ?? "eth0";

/** A Pod of the node, and how its packets come in. */
type Sender = { readonly ip: Ip; readonly device: string };

/** Whether Calico carries all packets between nodes as IP in IP, its manifest's default beside BGP. */
const usesIpip = ({ calico }: Parts): boolean =>
  calico.used &&
  !calico.tunnels &&
  calico.backend !== "vxlan" &&
  calico.pools.some(
    ({ serves, object, prefix }) => serves && prefix.ip.family === 4 && object.spec.ipipMode === "Always",
  );

/** Of one address family, all that a node has to let pass. */
export function* vitalFlows(node: NodeView, family: Family, parts: Parts): Iterable<VitalFlow> {
  const { name } = node;
  const own = node.ips[family];
  const mine = freePod(name, family, parts);
  const myIp = ipOf(mine, family);
  const bridge = myIp && podDevice(node, myIp, parts);
  const pod: Sender | undefined = myIp && bridge !== undefined ? { ip: myIp, device: bridge } : undefined;
  const uplink = uplinkOf(node, parts);
  const { config } = parts.flannel;
  const isCalico = family === 4 && parts.calico.tunnels;
  const isFlannel = parts.flannel.peer(name, family)?.backend === "vxlan";
  const isPast = parts.cilium.carriesPods;
  const isIpip = family === 4 && !isPast && usesIpip(parts);
  const isTunnel = isCalico || isFlannel || isPast || isIpip;
  const port = isPast ? parts.cilium.tunnelPort : isCalico ? parts.calico.tunnelPort(name) : (config?.port ?? 8472);
  const wayTo = (to: Ip) => (isFlannel ? tunnelDevice(config?.vni ?? 1, family) : deviceTo(to, node, parts));
  for (const { name: peer, ips } of peersFor(node, family, parts)) {
    const theirs = ipOf(freePod(peer, family, parts), family);
    const far = ips[family];
    const overlay = theirs && wayTo(theirs);
    if (pod && far && isPast) {
      yield {
        ...{ kind: "pods-out", peer, hooks: FORWARDED },
        flow: {
          ...{ protocol: "tcp", port: 8080, source: pod.ip, destination: far },
          ...{ inDevice: pod.device, outDevice: uplink },
        },
      };
    } else if (pod && theirs && overlay) {
      const tcp = { protocol: "tcp", port: 8080 } as const;
      yield {
        ...{ kind: "to-pods", peer, hooks: FORWARDED },
        flow: { ...tcp, source: pod.ip, destination: theirs, inDevice: pod.device, outDevice: overlay },
      };
      yield {
        ...{ kind: "from-pods", peer, hooks: FORWARDED },
        flow: { ...tcp, source: theirs, destination: pod.ip, inDevice: overlay, outDevice: pod.device },
      };
    }
    if (own && far && isTunnel) {
      const wrapped = isIpip ? ({ protocol: "ipencap", port: 0 } as const) : ({ protocol: "udp", port } as const);
      yield {
        ...{ kind: "tunnel-in", peer, hooks: RECEIVED },
        flow: { ...wrapped, source: far, destination: own, inDevice: uplink },
      };
      yield {
        ...{ kind: "tunnel-out", peer, hooks: SENT },
        flow: { ...wrapped, source: own, destination: far, outDevice: uplink },
      };
    }
  }
  // probes go to the first of a Pod's addresses (status.podIP)
  if (own && pod && ipOf(mine, family) && parseIp(mine?.addresses[0] ?? "")?.family === family) {
    yield {
      ...{ kind: "to-own-pods", hooks: SENT },
      flow: { protocol: "tcp", source: own, destination: pod.ip, port: 8080, outDevice: pod.device },
    };
  }
  if (pod && !isPast) yield* dnsFlows(node, pod, wayTo, parts);
  yield* upstreamFlows(node, family, (ip) => podDevice(node, ip, parts), parts);
  yield* apiFlows(node, own, pod, uplink, parts);
}

function* dnsFlows(
  node: NodeView,
  pod: Sender,
  wayTo: (pod: Ip) => string | undefined,
  { dns, services, pods }: Parts,
): Iterable<VitalFlow> {
  const { family } = pod.ip;
  for (const protocol of ["udp", "tcp"] as const) {
    const port = dns.services
      .flatMap((service) => service.ports)
      .find((one) => one.port === 53 && one.protocol.toLowerCase() === protocol);
    // Pods ask the server that they are told first
    const asked = parseIp(dns.clusterDnsOf(node.name)?.addresses[0] ?? port?.service.clusterIps[0] ?? "");
    if (!port || (asked && asked.family !== family)) continue;
    const server = services
      .endpoints(port, family)
      .find((endpoint) => endpoint.ready && endpoint.node !== node.name && pods.byAddress(endpoint.address));
    const target = server && parseIp(server.address);
    const outDevice = target && wayTo(target);
    if (!target || outDevice === undefined) continue;
    yield {
      ...{ kind: "dns", hooks: FORWARDED },
      flow: {
        ...{ protocol, source: pod.ip, destination: target, port: server.port },
        ...{ inDevice: pod.device, outDevice },
      },
    };
  }
}

const RESOLV_CONF = "/etc/resolv.conf";
/** Reached without leaving the Pod, or the node. */
const NEAR = /^(127\.|::1$|169\.254\.|fe80:)/;

/** From CoreDNS' Pods on the node to the servers outside that they forward to. */
function* upstreamFlows(
  node: NodeView,
  family: Family,
  device: (pod: Ip) => string | undefined,
  parts: Parts,
): Iterable<VitalFlow> {
  const { dns, nodes, pods, services } = parts;
  for (const { to, server } of dns.forwards) {
    const pod = server.component.pods.find((one) => one.node === node.name && !one.hostNetwork && ipOf(one, family));
    const source = ipOf(pod, family);
    const inDevice = source && device(source);
    if (!source || inDevice === undefined) continue;
    const own = known(dns.nodeResolver(node.name))?.nameservers ?? [];
    const asked = to.flatMap((one) => (one === RESOLV_CONF ? own : (splitPort(one)?.host ?? one)));
    for (const text of new Set(asked.map((one) => one.replace(/^(dns|tls):\/\//, "").replace(/^\[|\]$/g, "")))) {
      const destination = parseIp(text);
      const isInside = nodes.byAddress(text) ?? pods.byAddress(text) ?? services.byClusterIp(text);
      if (destination?.family !== family || NEAR.test(text) || isInside) continue;
      const outDevice = deviceTo(destination, node, parts);
      if (outDevice === undefined) continue;
      const flow = { protocol: "udp", source, destination, port: 53, inDevice, outDevice } as const;
      yield { kind: "dns-upstream", hooks: FORWARDED, flow };
    }
  }
}

function* apiFlows(
  node: NodeView,
  own: Ip | undefined,
  pod: Sender | undefined,
  uplink: string,
  { services, nodes }: Parts,
): Iterable<VitalFlow> {
  const port = services.get("default", "kubernetes")?.ports[0];
  if (!port || !own) return;
  const { family } = own;
  for (const endpoint of services.endpoints(port)) {
    const target = parseIp(endpoint.address);
    if (target?.family !== family) continue;
    const to = { protocol: "tcp", destination: target, port: endpoint.port } as const;
    const fromPod = pod && { ...to, source: pod.ip, inDevice: pod.device };
    if (nodes.byAddress(endpoint.address) === node) {
      const from = nodes.all.find((other) => other !== node && other.ips[family])?.ips[family];
      if (from) yield { kind: "api-in", hooks: RECEIVED, flow: { ...to, source: from, inDevice: uplink } };
      if (fromPod) yield { kind: "api-from-pods", hooks: RECEIVED, flow: fromPod };
      continue;
    }
    yield { kind: "api-from-node", hooks: SENT, flow: { ...to, source: own, outDevice: uplink } };
    if (fromPod) yield { kind: "api-from-pods", hooks: FORWARDED, flow: { ...fromPod, outDevice: uplink } };
  }
}
