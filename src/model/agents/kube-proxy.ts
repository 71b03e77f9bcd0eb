/**
 * What kube-proxy writes in iptables mode, with iptables and with ip6tables.
 *
 * Source: kubernetes pkg/proxy/iptables/proxier.go (syncProxyRules, writeServiceToEndpointRules, iptablesJumpChains) of
 * 1.28 and later. The text is what iptables-save prints of it, so that it is read as any other.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bitsOf, type Family, formatSocket, isOfFamily } from "../../net/ip.ts";
import { clusterIpOf, type ServiceEndpoint, type ServicePort, type Services } from "../services/services.ts";

/** The tables' contents as lines: chains (`:NAME - [0:0]`) and rules (`-A …`). */
export type TableText = { readonly chains: readonly string[]; readonly rules: readonly string[] };
export type KubeProxyRules = { readonly nat: TableText; readonly filter: TableText; readonly mangle: TableText };

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The first 16 characters of base32(sha256(input)), by which chains are named (portProtoHash); names are ASCII. */
export function chainHash(input: string): string {
  const known = hashes.get(input);
  if (known !== undefined) return known;
  const hash = hashOf(input);
  hashes.set(input, hash);
  return hash;
}

/** The same Services and back ends are written on every node. */
const hashes = new Map<string, string>();

function hashOf(input: string): string {
  const bytes = sha256(Uint8Array.from(input, (char) => char.charCodeAt(0)));
  let bits = 0;
  let value = 0;
  let out = "";
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5 && out.length < 16) {
      bits -= 5;
      out += BASE32[(value >> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return out;
}

const comment = (text: string) => `-m comment --comment "${text}"`;

/** Jumps from the built-in chains (iptablesJumpChains), in the order in which a save shows them. */
const NAT_JUMPS = [
  `-A PREROUTING ${comment("kubernetes service portals")} -j KUBE-SERVICES`,
  `-A OUTPUT ${comment("kubernetes service portals")} -j KUBE-SERVICES`,
  `-A POSTROUTING ${comment("kubernetes postrouting rules")} -j KUBE-POSTROUTING`,
];
const NEW = "-m conntrack --ctstate NEW";
const FILTER_JUMPS = [
  `-A INPUT ${NEW} ${comment("kubernetes load balancer firewall")} -j KUBE-PROXY-FIREWALL`,
  `-A INPUT ${comment("kubernetes health check service ports")} -j KUBE-NODEPORTS`,
  `-A INPUT ${NEW} ${comment("kubernetes externally-visible service portals")} -j KUBE-EXTERNAL-SERVICES`,
  "-A INPUT -j KUBE-FIREWALL",
  `-A FORWARD ${NEW} ${comment("kubernetes load balancer firewall")} -j KUBE-PROXY-FIREWALL`,
  `-A FORWARD ${comment("kubernetes forwarding rules")} -j KUBE-FORWARD`,
  `-A FORWARD ${NEW} ${comment("kubernetes service portals")} -j KUBE-SERVICES`,
  `-A FORWARD ${NEW} ${comment("kubernetes externally-visible service portals")} -j KUBE-EXTERNAL-SERVICES`,
  `-A OUTPUT ${NEW} ${comment("kubernetes load balancer firewall")} -j KUBE-PROXY-FIREWALL`,
  `-A OUTPUT ${NEW} ${comment("kubernetes service portals")} -j KUBE-SERVICES`,
  "-A OUTPUT -j KUBE-FIREWALL",
];
const LOCALNET = [
  `-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 ${comment("block incoming localnet connections")} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`,
];
const FILTER_FIXED = [
  "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
  `-A KUBE-FORWARD ${comment("kubernetes forwarding rules")} -m mark --mark 0x4000/0x4000 -j ACCEPT`,
  `-A KUBE-FORWARD ${comment("kubernetes forwarding conntrack rule")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
];
const NAT_FIXED = [
  "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
  "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
  "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
  `-A KUBE-POSTROUTING ${comment("kubernetes service traffic requiring SNAT")} -j MASQUERADE --random-fully`,
];

type Sink = {
  readonly family: Family;
  readonly natChains: Set<string>;
  readonly services: string[];
  readonly nodePorts: string[];
  readonly nat: string[];
  readonly filter: string[];
};

/** `-m statistic` probabilities as the kernel prints them: 31-bit fixed point. */
function probability(n: number): string {
  return (Math.round((1 / n) * 0x80000000) / 0x80000000).toFixed(11);
}

/** What iptables-save prints of a host's address, and of the refusal that kube-proxy gives. */
const hostOf = (address: string, family: Family): string => `${address}/${bitsOf(family)}`;
const REJECTION = { 4: "icmp-port-unreachable", 6: "icmp6-port-unreachable" } as const;
const WHOLE_MASK = { 4: "255.255.255.255", 6: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" } as const;

function writeBackends(chain: string, port: ServicePort, endpoints: readonly ServiceEndpoint[], sink: Sink): void {
  const protocol = port.protocol.toLowerCase();
  sink.natChains.add(chain);
  const sepOf = ({ address, port: number }: ServiceEndpoint) =>
    `KUBE-SEP-${chainHash(`${port.key}${protocol}${formatSocket(address, number)}`)}`;
  const said = ({ address, port: number }: ServiceEndpoint) =>
    comment(`${port.key} -> ${formatSocket(address, number)}`);
  const remembered = `--mask ${WHOLE_MASK[sink.family]} --rsource`;
  if (port.service.object.spec.sessionAffinity === "ClientIP") {
    for (const endpoint of endpoints) {
      const sep = sepOf(endpoint);
      sink.nat.push(
        `-A ${chain} ${said(endpoint)} -m recent --rcheck --seconds 10800 --reap --name ${sep} ${remembered} -j ${sep}`,
      );
    }
  }
  for (const [index, endpoint] of endpoints.entries()) {
    const sep = sepOf(endpoint);
    const rest = endpoints.length - index;
    const random = rest > 1 ? ` -m statistic --mode random --probability ${probability(rest)}` : "";
    sink.nat.push(`-A ${chain} ${said(endpoint)}${random} -j ${sep}`);
    if (sink.natChains.has(sep)) continue;
    sink.natChains.add(sep);
    const affinity =
      port.service.object.spec.sessionAffinity === "ClientIP" ? ` -m recent --set --name ${sep} ${remembered}` : "";
    sink.nat.push(`-A ${sep} -s ${hostOf(endpoint.address, sink.family)} ${comment(port.key)} -j KUBE-MARK-MASQ`);
    sink.nat.push(
      `-A ${sep} -p ${protocol} ${comment(port.key)}${affinity} -m ${protocol} -j DNAT --to-destination ${formatSocket(endpoint.address, endpoint.port)}`,
    );
  }
}

function writePort(
  port: ServicePort,
  node: string,
  services: Services,
  clusterRange: string | undefined,
  sink: Sink,
): void {
  const { family } = sink;
  const { policy, externalIps, loadBalancerIps } = port.service;
  const address = clusterIpOf(port.service, family);
  // a proxier of the other family serves it (proxy.ServiceChangeTracker)
  if (address === undefined) return;
  const protocol = port.protocol.toLowerCase();
  const hash = chainHash(`${port.key}${protocol}`);
  const { cluster = [], local = [], any } = services.expected(port, node, family);
  const match = `-m ${protocol} --dport ${port.port}`;
  const internal = policy.internalLocal ? local : cluster;
  const rejection = `REJECT --reject-with ${REJECTION[family]}`;
  const headOf = (to: string) => `-d ${hostOf(to, family)} -p ${protocol}`;
  const head = headOf(address);
  if (!any)
    sink.filter.push(`-A KUBE-SERVICES ${head} ${comment(`${port.key} has no endpoints`)} ${match} -j ${rejection}`);
  else if (internal.length === 0)
    sink.filter.push(`-A KUBE-SERVICES ${head} ${comment(`${port.key} has no local endpoints`)} ${match} -j DROP`);
  else
    sink.services.push(
      `-A KUBE-SERVICES ${head} ${comment(`${port.key} cluster IP`)} ${match} -j KUBE-SV${policy.internalLocal ? "L" : "C"}-${hash}`,
    );
  const external = [
    ...externalIps.map((to) => ({ to, what: "external IP" })),
    ...loadBalancerIps.map((to) => ({ to, what: "loadbalancer IP" })),
  ].filter(({ to }) => isOfFamily(to, family));
  for (const { to, what } of external) {
    if (any)
      sink.services.push(
        `-A KUBE-SERVICES ${headOf(to)} ${comment(`${port.key} ${what}`)} ${match} -j KUBE-EXT-${hash}`,
      );
    else
      sink.filter.push(
        `-A KUBE-EXTERNAL-SERVICES ${headOf(to)} ${comment(`${port.key} has no endpoints`)} ${match} -j ${rejection}`,
      );
  }
  if (port.nodePort !== undefined) {
    const nodePort = `-m ${protocol} --dport ${port.nodePort}`;
    if (any)
      sink.nodePorts.push(`-A KUBE-NODEPORTS -p ${protocol} ${comment(port.key)} ${nodePort} -j KUBE-EXT-${hash}`);
    const fate = any ? "DROP" : rejection;
    const why = any ? "has no local endpoints" : "has no endpoints";
    if (!any || (policy.externalLocal && local.length === 0)) {
      sink.filter.push(
        `-A KUBE-EXTERNAL-SERVICES -p ${protocol} ${comment(`${port.key} ${why}`)} -m addrtype --dst-type LOCAL ${nodePort} -j ${fate}`,
      );
    }
  }
  if (!any) return;
  if (cluster.length > 0 && (!policy.internalLocal || policy.external)) {
    const chain = `KUBE-SVC-${hash}`;
    if (clusterRange && !policy.internalLocal)
      sink.nat.push(
        `-A ${chain} ! -s ${clusterRange} ${head} ${comment(`${port.key} cluster IP`)} ${match} -j KUBE-MARK-MASQ`,
      );
    writeBackends(chain, port, cluster, sink);
  }
  if (local.length > 0) writeBackends(`KUBE-SVL-${hash}`, port, local, sink);
  if (port.service.policy.external) writeExternal(port, hash, local.length > 0, clusterRange, sink);
}

function writeExternal(
  port: ServicePort,
  hash: string,
  hasLocal: boolean,
  clusterRange: string | undefined,
  sink: Sink,
): void {
  const chain = `KUBE-EXT-${hash}`;
  sink.natChains.add(chain);
  if (!port.service.policy.externalLocal) {
    sink.nat.push(
      `-A ${chain} ${comment(`masquerade traffic for ${port.key} external destinations`)} -j KUBE-MARK-MASQ`,
    );
    sink.nat.push(`-A ${chain} -j KUBE-SVC-${hash}`);
    return;
  }
  if (clusterRange)
    sink.nat.push(
      `-A ${chain} -s ${clusterRange} ${comment(`pod traffic for ${port.key} external destinations`)} -j KUBE-SVC-${hash}`,
    );
  sink.nat.push(
    `-A ${chain} ${comment(`masquerade LOCAL traffic for ${port.key} external destinations`)} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
  );
  sink.nat.push(
    `-A ${chain} ${comment(`route LOCAL traffic for ${port.key} external destinations`)} -m addrtype --src-type LOCAL -j KUBE-SVC-${hash}`,
  );
  if (hasLocal) sink.nat.push(`-A ${chain} -j KUBE-SVL-${hash}`);
}

/** Whether kube-proxy writes the same rules on every node: no Service has back ends of one node only, or hints. */
export function areAlike(services: Services, family: Family): boolean {
  return services.all.every(
    (service) =>
      !service.policy.internalLocal &&
      !service.policy.externalLocal &&
      service.ports.every((port) =>
        services.endpoints(port, family).every(({ zoneHints, nodeHints }) => zoneHints.length + nodeHints.length === 0),
      ),
  );
}

/**
 * @param clusterRange the family's range of Pod addresses (clusterCIDR); without it nothing is masqueraded as coming from
 *   outside
 */
export function kubeProxyRules(
  services: Services,
  node: string,
  clusterRange: string | undefined,
  family: Family,
): KubeProxyRules {
  const sink: Sink = { family, natChains: new Set(), services: [], nodePorts: [], nat: [], filter: [] };
  for (const service of services.all) {
    if (service.proxied) for (const port of service.ports) writePort(port, node, services, clusterRange, sink);
  }
  const nodePortsJump = `-A KUBE-SERVICES ${comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`;
  const fixedChains = ["KUBE-MARK-MASQ", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-PROXY-CANARY", "KUBE-SERVICES"];
  return {
    nat: {
      chains: [...fixedChains, ...[...sink.natChains].sort()],
      rules: [...NAT_JUMPS, ...NAT_FIXED, ...sink.nodePorts, ...sink.nat, ...sink.services, nodePortsJump],
    },
    filter: {
      chains: [
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-FIREWALL",
        "KUBE-FORWARD",
        "KUBE-NODEPORTS",
        "KUBE-PROXY-CANARY",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SERVICES",
      ],
      rules: [...FILTER_JUMPS, ...(family === 4 ? LOCALNET : []), ...FILTER_FIXED, ...sink.filter],
    },
    mangle: { chains: ["KUBE-PROXY-CANARY"], rules: [] },
  };
}
